"""What methods share: losses, a linear head, and the accuracy of a batch.

A loss is a mean over the batch of weighted values, so that shards of a batch add up.
"""

import jax
import jax.numpy as jnp
import optax

from tljax.core import Batch, Tree


def weighted_mean(values: jax.Array, batch: Batch) -> jax.Array:
    """Mean of `values` (n,) times the batch's `weight` where it has one; weights average 1 over the
    whole batch.

    Args:
        values: (n,).
        batch: whose 'weight', (n,), counts; its other keys do not.

    >>> float(weighted_mean(jnp.array([1.0, 3.0]), {'weight': jnp.array([2.0, 0.0])}))
    1.0
    """
    return jnp.mean(values * batch['weight'] if 'weight' in batch else values)


def cross_entropy(logits: jax.Array, label: jax.Array, smoothing: float = 0.0) -> jax.Array:
    """Softmax cross-entropy per example, (n, c) and (n,) integers -> (n,); smoothing mixes in the
    uniform distribution (Szegedy et al. 2016, section 7).

    Args:
        logits: (n, c).
        label: (n,) integers.
        smoothing: the part of the uniform distribution, 0 to 1.

    >>> cross_entropy(jnp.zeros((1, 2)), jnp.array([0])).round(4).tolist()
    [0.6930999755859375]
    """
    values = optax.softmax_cross_entropy_with_integer_labels(logits, label)
    uniform = (
        optax.softmax_cross_entropy(logits, jnp.full_like(logits, 1 / logits.shape[-1]))
        if smoothing
        else 0.0
    )
    return (1 - smoothing) * values + smoothing * uniform


def sigmoid_cross_entropy(logits: jax.Array, label: jax.Array) -> jax.Array:
    """Cross-entropy of several labels, each on or off: the mean over labels per example, (n, c) and
    (n, c) of 0 and 1 -> (n,).

    Args:
        logits: (n, c).
        label: (n, c) of 0 and 1.

    >>> sigmoid_cross_entropy(jnp.zeros((1, 2)), jnp.array([[0.0, 1.0]])).round(4).tolist()
    [0.6930999755859375]
    """
    return jnp.mean(optax.sigmoid_binary_cross_entropy(logits, label), -1)


def squared_error(output: jax.Array, label: jax.Array) -> jax.Array:
    """Squared error per example, summed over outputs, (n, d) and (n, d) or (n,) -> (n,).

    Args:
        output: (n, d).
        label: (n, d), or (n,) where d is 1.

    >>> squared_error(jnp.array([[1.0]]), jnp.array([3.0])).tolist()
    [4.0]
    """
    return jnp.sum((output - label.reshape(output.shape)) ** 2, -1)


def accuracy(logits: jax.Array, label: jax.Array) -> jax.Array:
    """The share of examples whose largest logit is that of their class: (..., c) and (...) integers
    -> ().

    Args:
        logits: (..., c).
        label: (...) integers.

    >>> float(accuracy(jnp.array([[0.0, 1.0], [0.0, 1.0]]), jnp.array([1, 0])))
    0.5
    """
    return jnp.mean(logits.argmax(-1) == label)


def linear(head: dict[str, Tree], features: jax.Array) -> jax.Array:
    """A linear head's answer to features (n, dim): (n, width).

    Args:
        head: {'kernel': (dim, width), 'bias': (width,)}.
        features: (n, dim).

    >>> linear({'kernel': jnp.eye(2), 'bias': jnp.ones(2)}, jnp.array([[1.0, 2.0]])).tolist()
    [[2.0, 3.0]]
    """
    return features @ head['kernel'] + head['bias']
