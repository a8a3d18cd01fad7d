"""Losses per example, their weighted mean, a linear head, and the accuracy of a batch.

The loss of a batch is the mean of weighted values, so that the losses of equal shards average to
it.
"""

from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tljax.core import Batch, Tree

Array = TypeVar('Array', jax.Array, np.ndarray)


def weighted_mean(values: jax.Array, batch: Batch) -> jax.Array:
    """Returns the mean of weight * values; without weights, the mean of the values.

    Args:
        values: one value per example, (n,).
        batch: its 'weight', (n,), is used if it has one. Weights average 1 over the whole batch.

    >>> float(weighted_mean(jnp.array([1.0, 3.0]), {}))
    2.0
    >>> float(weighted_mean(jnp.array([1.0, 3.0]), {'weight': jnp.array([2.0, 0.0])}))
    1.0
    """
    return jnp.mean(values * batch['weight'] if 'weight' in batch else values)


def cross_entropy(logits: jax.Array, label: jax.Array, smoothing: float = 0.0) -> jax.Array:
    """Softmax cross-entropy per example, (n,).

    Args:
        logits: (n, c).
        label: class of each example, (n,) integers.
        smoothing: share of the uniform distribution in the label, 0 to 1 (label smoothing, Szegedy
            et al. 2016, section 7).

    >>> logits, label = jnp.array([[2.0, 0.0], [2.0, 0.0]]), jnp.array([0, 1])
    >>> [round(value, 4) for value in cross_entropy(logits, label).tolist()]
    [0.1269, 2.1269]
    >>> [round(value, 4) for value in cross_entropy(logits, label, smoothing=0.1).tolist()]
    [0.2269, 2.0269]
    """
    values = optax.softmax_cross_entropy_with_integer_labels(logits, label)
    uniform = (
        optax.softmax_cross_entropy(logits, jnp.full_like(logits, 1 / logits.shape[-1]))
        if smoothing
        else 0.0
    )
    return (1 - smoothing) * values + smoothing * uniform


def sigmoid_cross_entropy(logits: jax.Array, label: jax.Array) -> jax.Array:
    """Sigmoid cross-entropy of examples with several labels: the mean over labels, (n,).

    Args:
        logits: one per label, (n, c).
        label: 0 or 1 for each label, (n, c).

    >>> logits, label = jnp.array([[2.0, 2.0]]), jnp.array([[1.0, 0.0]])
    >>> round(float(sigmoid_cross_entropy(logits, label)[0]), 4)  # mean of 0.1269 and 2.1269
    1.1269
    """
    return jnp.mean(optax.sigmoid_binary_cross_entropy(logits, label), -1)


def squared_error(output: jax.Array, label: jax.Array) -> jax.Array:
    """Squared error per example, summed over outputs: (n,).

    Args:
        output: (n, d).
        label: (n, d), or (n,) if d is 1.

    >>> squared_error(jnp.array([[1.0]]), jnp.array([3.0])).tolist()
    [4.0]
    """
    return jnp.sum((output - label.reshape(output.shape)) ** 2, -1)


def accuracy(logits: jax.Array, label: jax.Array) -> jax.Array:
    """Returns the share of examples whose largest logit is that of their class: a scalar.

    Args:
        logits: (..., c).
        label: class of each example, (...) integers.

    >>> float(accuracy(jnp.array([[0.0, 1.0], [0.0, 1.0]]), jnp.array([1, 0])))
    0.5
    """
    return jnp.mean(logits.argmax(-1) == label)


def linear(head: dict[str, Tree], features: Array) -> Array:
    """Returns the outputs of a linear head, (n, width).

    Args:
        head: {'kernel': (dim, width), 'bias': (width,)}.
        features: (n, dim).

    >>> linear({'kernel': jnp.eye(2), 'bias': jnp.ones(2)}, jnp.array([[1.0, 2.0]])).tolist()
    [[2.0, 3.0]]
    """
    return features @ head['kernel'] + head['bias']
