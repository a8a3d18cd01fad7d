"""Functions from `Method` to `Method`: they change where a method's parameters start, or add a term
to its loss."""

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
    """Starts a method from a donor's parameters and statistics (parameter transfer).

    Args:
        method: its `init` is changed.
        params: the donor's parameters.
        state: the donor's state.
        rules: pairs [regex of the method's paths, path in the donor], as `paths.graft` takes them.
            None means the same path. Parameters that no rule matches start as before.

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
        fresh_params, fresh_state = method.init(key, batch)
        new_params, _ = graft(fresh_params, params, rules)
        new_state, _ = graft(fresh_state, state, rules, strict=False)
        return new_params, new_state

    return method._replace(init=init)


class Penalty(NamedTuple):
    """A term on the parameters, which `with_penalty` adds to a loss.

    Attributes:
        name: key of the memory in the method's state, and of the term in the metrics.
        init: (params) -> memory, before the first step and after the graft.
        value: (params, memory) -> the term, a scalar.
    """

    name: str
    init: Callable[[Tree], Tree]
    value: Callable[[Tree, Tree], jax.Array | float]


def with_penalty(method: Method, penalty: Penalty) -> Method:
    """Adds a penalty to a method's loss.

    Args:
        method: its loss gains the term.
        penalty: the term.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from tljax.core import Tick
    >>> from tljax.methods.fine_tuning.finetune import finetune
    >>> from tljax.zoo.families.identity import identity
    >>> penalty = Penalty(
    ...     'size', lambda params: {}, lambda params, _: (params['head']['bias'] ** 2).sum()
    ... )
    >>> method = with_penalty(finetune(identity(2), 2), penalty)
    >>> batch = {'input': jnp.zeros((1, 2)), 'label': jnp.array([0])}
    >>> params, state = method.init(jax.random.key(0), batch)
    >>> state = method.remember(params, state, None)  # a penalty needs no examples
    >>> params['head']['bias'] = jnp.ones(2)
    >>> loss = method.loss(params, state, batch, Tick(0, jax.random.key(0)))[0]
    >>> round(float(loss), 3)  # log 2 + 1^2 + 1^2
    2.693
    """

    def remember(params, state, start):
        state = method.remember(params, state, start)
        return {**state, penalty.name: penalty.init(params)}

    def loss(params, state, batch, tick):
        memory = state[penalty.name]
        value, (new_state, metrics) = method.loss(
            params, _without(state, penalty.name), batch, tick
        )
        term = penalty.value(params, memory)
        return value + term, (
            {**new_state, penalty.name: memory},
            {**metrics, penalty.name: term},
        )

    def predict(params, state, batch):
        return method.predict(params, _without(state, penalty.name), batch)

    return method._replace(loss=loss, predict=predict, remember=remember)


def _without(state, name):
    return {key: value for key, value in state.items() if key != name}
