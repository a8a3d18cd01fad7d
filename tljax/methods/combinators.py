"""Methods made of methods: what is added to a loss, or changed about its parameters, whatever the
method is."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax

from tljax.core import Method, Tree
from tljax.paths import graft


def with_graft(
    method: Method,
    params: Tree,
    state: Tree,
    rules: Sequence[Sequence[str | None]] = (('backbone/.*', None),),
) -> Method:
    """Starts from a donor's parameters and statistics wherever a rule says so: parameter transfer
    (`paths.graft`).

    Args:
        method: what starts so.
        params: of the donor.
        state: of the donor.
        rules: [pattern of a path, path at the donor; None: the same], as `paths.graft` takes them.

    >>> import jax.numpy as jnp
    >>> import jax
    >>> from tljax.methods.fine_tuning.finetune import finetune
    >>> from tljax.zoo.families.identity import identity
    >>> batch = {'input': jnp.zeros((1, 2)), 'label': jnp.array([0])}
    >>> donor = {'head': {'kernel': jnp.ones((2, 3)), 'bias': jnp.ones(3)}}
    >>> method = with_graft(finetune(identity(2), 3), donor, {}, rules=[('head/.*', None)])
    >>> method.init(jax.random.key(0), batch)[0]['head']['bias'].tolist()
    [1.0, 1.0, 1.0]
    """

    def init(key, batch):
        fresh, statistics = method.init(key, batch)
        return graft(fresh, params, rules)[0], graft(statistics, state, rules, strict=False)[0]

    return method._replace(init=init)


class Penalty(NamedTuple):
    """A term on the parameters.

    Attributes:
        name: of the term, under which the method's state keeps the memory.
        init: (params) -> memory, at the start.
        value: (params, memory) -> the term, a scalar.

    >>> Penalty('l2', lambda params: {}, lambda params, memory: jnp.sum(params['w'] ** 2)).name
    'l2'
    """

    name: str
    init: Callable[[Tree], Tree]
    value: Callable[[Tree, Tree], jax.Array | float]


def with_penalty(method: Method, penalty: Penalty) -> Method:
    """Adds a penalty to a method's loss.

    Args:
        method: what trains.
        penalty: what is added.

    >>> from tljax.methods.penalties.l2_sp import l2_sp
    >>> import jax.numpy as jnp
    >>> import jax
    >>> from tljax.methods.fine_tuning.finetune import finetune
    >>> from tljax.zoo.families.identity import identity
    >>> batch = {'input': jnp.zeros((1, 2)), 'label': jnp.array([0])}
    >>> method = with_penalty(finetune(identity(2), 3), l2_sp(alpha=1.0, beta=1.0))
    >>> params, state = method.init(jax.random.key(0), batch)
    >>> sorted(state)
    ['backbone', 'l2_sp']
    """

    def init(key, batch):
        params, state = method.init(key, batch)
        return params, {**state, penalty.name: penalty.init(params)}

    def loss(params, state, batch, tick):
        value, (moved, metrics) = method.loss(params, _without(state, penalty.name), batch, tick)
        extra = penalty.value(params, state[penalty.name])
        return value + extra, (
            {**moved, penalty.name: state[penalty.name]},
            {**metrics, penalty.name: extra},
        )

    def predict(params, state, batch):
        return method.predict(params, _without(state, penalty.name), batch)

    return Method(init, loss, predict)


def _without(state, name):
    return {key: value for key, value in state.items() if key != name}
