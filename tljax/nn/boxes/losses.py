"""Losses of an anchor's code and of its classes."""

import jax
import optax


def smooth_l1(codes: jax.Array, wanted: jax.Array, delta: float = 1.0) -> jax.Array:
    """Returns the smooth L1 loss of each code, (...), summed over its four numbers.

    Args:
        codes: (..., 4).
        wanted: (..., 4).
        delta: difference at which the loss turns from quadratic to linear.

    Source:
        Girshick 2015, equation 3, https://arxiv.org/abs/1504.08083

    A half of 0.5 squared, and 2 less a half:

    >>> from jax import numpy as jnp
    >>> smooth_l1(jnp.array([0.5, 2.0, 0.0, 0.0]), jnp.zeros(4)).tolist()
    1.625
    """
    return optax.losses.huber_loss(codes, wanted, delta=delta).sum(-1)


def focal(
    logits: jax.Array, wanted: jax.Array, alpha: float = 0.25, gamma: float = 2.0
) -> jax.Array:
    """Returns the sigmoid focal loss of each logit, (...).

    Args:
        logits: (...).
        wanted: 1 where the logit's class is right, else 0; (...).
        alpha: weight of the ones; that of the zeros is 1 - alpha.
        gamma: strength of the focus on logits that are wrong; 0 gives the cross-entropy.

    Source:
        Lin et al. 2017, equation 5, https://arxiv.org/abs/1708.02002

    At probability 0.5 the factor of the focus is 0.25, and the cross-entropy log 2:

    >>> from jax import numpy as jnp
    >>> right, wrong = jax.jit(focal)(jnp.zeros(2), jnp.array([1.0, 0.0])).tolist()
    >>> f'{right:.4f}, {wrong:.4f}'
    '0.0433, 0.1300'
    """
    return optax.losses.sigmoid_focal_loss(logits, wanted, alpha=alpha, gamma=gamma)
