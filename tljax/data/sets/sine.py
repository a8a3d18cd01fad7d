"""Sine waves, the regression tasks of MAML (Finn et al. 2017, https://arxiv.org/abs/1703.03400,
section 5.1)."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np

from tljax.core import Dataset, Task

AMPLITUDE, PHASE, RANGE = (0.1, 5.0), (0.0, np.pi), (-5.0, 5.0)


def sine(shots: int = 10, queries: int = 10, count: int = 600, seed: int = 0) -> dict[str, Dataset]:
    """Makes episodes of regression: points of one sine wave, the label amplitude * sin(x - phase).

    Amplitudes are uniform in [0.1, 5], phases in [0, pi] and inputs x in [-5, 5]. Each training
    step draws new episodes; `seed` fixes the validation and test episodes.

    Args:
        shots: number of support points in an episode.
        queries: number of query points in an episode.
        count: number of validation episodes, and of test episodes.
        seed: seed of the validation and test episodes.

    Returns:
        {'train', 'validation', 'test'}: Datasets of episodes {'support', 'query'}. Their inputs and
        labels are float32, (1, shots, 1) and (1, queries, 1).

    Source: Finn et al. 2017, section 5.1.

    >>> sine(shots=3)['test'].take(np.arange(2))['support']['label'].shape
    (2, 1, 3, 1)
    """

    def example(key):
        keys = jax.random.split(key, 4)
        amplitude = jax.random.uniform(keys[0], minval=AMPLITUDE[0], maxval=AMPLITUDE[1])
        phase = jax.random.uniform(keys[1], minval=PHASE[0], maxval=PHASE[1])

        def points(key, count):
            x = jax.random.uniform(key, (1, count, 1), minval=RANGE[0], maxval=RANGE[1])
            return {'input': x, 'label': amplitude * jnp.sin(x - phase)}

        return {'support': points(keys[2], shots), 'query': points(keys[3], queries)}

    def split(number):
        root = jax.random.fold_in(jax.random.fold_in(jax.random.key(98), seed), number)
        make = jax.jit(jax.vmap(lambda index: example(jax.random.fold_in(root, index))))
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
