"""Methods made of methods: what is added to a loss, or changed about its parameters, whatever the method is."""
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from flax.traverse_util import unflatten_dict

from tljax.core import Method
from tljax.paths import flatten, graft, select

NAMES = ('l2_sp',)   # the penalties that a config may name


def with_graft(method, params, state, rules=(('backbone/.*', None),)):
    """Starts from a donor's parameters and statistics wherever a rule says so: parameter transfer (`paths.graft`).

    >>> import jax
    >>> from tljax.methods.finetune import finetune
    >>> from tljax.zoo.identity import identity
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
    """A term on the parameters: `init(params) -> memory`, kept in the method's state under `name`; `value(params, memory) -> ()`.

    >>> Penalty('l2', lambda params: {}, lambda params, memory: jnp.sum(params['w'] ** 2)).name
    'l2'
    """
    name: str
    init: Callable
    value: Callable


def with_penalty(method, penalty):
    """Adds a penalty to a method's loss.

    >>> import jax
    >>> from tljax.methods.finetune import finetune
    >>> from tljax.zoo.identity import identity
    >>> batch = {'input': jnp.zeros((1, 2)), 'label': jnp.array([0])}
    >>> method = with_penalty(finetune(identity(2), 3), l2_sp(alpha=1., beta=1.))
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
        return value + extra, ({**moved, penalty.name: state[penalty.name]}, {**metrics, penalty.name: extra})

    def predict(params, state, batch):
        return method.predict(params, _without(state, penalty.name), batch)

    return Method(init, loss, predict)


def l2_sp(alpha=.1, beta=.01, pattern='backbone/.*'):
    """The starting point as reference: alpha/2 |w - w0|^2 on what was transferred, beta/2 |w|^2 on the rest.

    Xuhong, Grandvalet and Davoine, Explicit inductive bias for transfer learning with convolutional networks, 2018, equation 6
    (https://arxiv.org/abs/1802.01483). The start w0 is what the method begins from, grafts included.

    >>> penalty = l2_sp(alpha=2., beta=2., pattern='a')
    >>> memory = penalty.init({'a': jnp.ones(1), 'b': jnp.ones(1)})
    >>> float(penalty.value({'a': jnp.full(1, 3.), 'b': jnp.full(1, 3.)}, memory))
    13.0
    """
    def init(params):
        return unflatten_dict(select(params, pattern), sep='/')

    def value(params, start):
        start = flatten(start)
        near = sum(jnp.sum((leaf - start[path]) ** 2) for path, leaf in flatten(params).items() if path in start)
        small = sum(jnp.sum(leaf ** 2) for path, leaf in flatten(params).items() if path not in start)
        return alpha / 2 * near + beta / 2 * small

    return Penalty('l2_sp', init, value)


def _without(state, name):
    return {key: value for key, value in state.items() if key != name}
