"""Episodes of vectors, and what methods make of them."""

import jax
import jax.numpy as jnp
import numpy as np

from tljax.core import Tick

TICK = Tick(jnp.zeros((), jnp.int32), jax.random.key(3))


def vectors(ways=4, shots=3, queries=5, dim=6, tasks=2, seed=0):
    rng = np.random.default_rng(seed)
    label = np.broadcast_to(np.arange(ways)[:, None], (tasks, ways, shots + queries))
    x = rng.normal(size=(tasks, ways, shots + queries, dim)).astype('f')
    return {
        'support': {'input': x[:, :, :shots], 'label': label[..., :shots]},
        'query': {'input': x[:, :, shots:], 'label': label[..., shots:]},
    }


def output(method, batch):
    params, state = jax.jit(method.init)(jax.random.key(0), batch)
    return jax.device_get((jax.jit(method.predict)(params, state, batch)['output'], params))
