"""A batch of two domains, and methods made for it."""

import jax
import jax.numpy as jnp
import numpy as np

import tljax.methods
from tljax.core import Tick
from tljax.zoo.families.identity import identity
from tljax.zoo.families.mlp import mlp

DOMAINS = {
    'data': {
        'name': 'domains',
        'source': {'name': 'glyphs', 'part': 'digits', 'size': 8, 'per_class': 10},
        'target': {'name': 'digits', 'size': 8},
    }
}
TICK = Tick(jnp.int32(0), jax.random.key(0))


def made(name, net=None, batch=None, **keywords):
    """A method with a head that is not zero, and its parameters."""
    method = getattr(tljax.methods, name)(net or mlp((4,)), 3, **keywords)
    params, state = jax.jit(method.init)(jax.random.key(1), batch)
    kernel = np.random.default_rng(2).normal(size=params['head']['kernel'].shape).astype('f')
    params['head'] = {'kernel': kernel, 'bias': np.arange(3, dtype='f')}
    return method, params, state


def gap(name, batch, **keywords):
    """What a method adds to the source's error, with the features being the inputs; and its
    head."""
    method, params, state = made(name, identity(5), batch, **keywords)
    value, (_, metrics) = jax.device_get(jax.jit(method.loss)(params, state, batch, TICK))
    np.testing.assert_allclose(value - metrics['gap'], metrics['loss'], rtol=1e-5)
    return float(metrics['gap']), params['head']


def logits(batch, head):
    return [x @ head['kernel'] + head['bias'] for x in (batch['input'], batch['target']['input'])]


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)
