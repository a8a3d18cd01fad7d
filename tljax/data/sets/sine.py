"""Sine waves, the regression tasks of MAML: Finn et al. 2017, section 5.1
(https://arxiv.org/abs/1703.03400)."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np

from tljax.core import Dataset, Task

AMPLITUDE, PHASE, RANGE = (0.1, 5.0), (0.0, np.pi), (-5.0, 5.0)


def sine(shots: int = 10, queries: int = 10, count: int = 600, seed: int = 0) -> dict[str, Dataset]:
    """Episodes of regression: one wave each, amplitude in [0.1, 5], phase in [0, pi], at inputs in
    [-5, 5].

    Args:
        shots: points of support.
        queries: points of query.
        count: of validation and of test episodes.
        seed: of the validation and the test episodes.

    Returns:
        {'train', 'validation', 'test'}: Datasets of episodes with inputs and labels (1, shots or
        queries, 1), float32.

    >>> sine(shots=3)['test'].take(np.arange(2))['support']['label'].shape
    (2, 1, 3, 1)
    """

    def example(key):
        keys = jax.random.split(key, 4)
        amplitude = jax.random.uniform(keys[0], minval=AMPLITUDE[0], maxval=AMPLITUDE[1])
        phase = jax.random.uniform(keys[1], minval=PHASE[0], maxval=PHASE[1])

        def points(key, number):
            x = jax.random.uniform(key, (1, number, 1), minval=RANGE[0], maxval=RANGE[1])
            return {'input': x, 'label': amplitude * jnp.sin(x - phase)}

        return {'support': points(keys[2], shots), 'query': points(keys[3], queries)}

    def split(number):
        root = jax.random.fold_in(jax.random.fold_in(jax.random.key(98), seed), number)
        make = jax.jit(jax.vmap(lambda each: example(jax.random.fold_in(root, each))))
        digest = hashlib.sha256(
            repr(('sine', shots, queries, count, seed, number)).encode()
        ).hexdigest()
        return Dataset(
            lambda index: jax.device_get(make(jnp.asarray(index))),
            np.zeros(count),
            Task.of(()),
            digest,
            example,
        )

    return {name: split(number) for number, name in enumerate(('train', 'validation', 'test'))}
