"""Self-training by pseudo-labels: Lee 2013, Pseudo-Label, ICML workshop on challenges in
representation learning, equation 15."""

import jax
import jax.numpy as jnp

from tljax.core import Method, Net
from tljax.losses import cross_entropy
from tljax.methods.adaptation.two_domains import adapting

BATCHES = 'domains'


def self_training(
    net: Net, classes: int, weight: float = 1.0, ramp: int = 0, threshold: float = 0.9
) -> Method:
    """CE(source) + strength * CE of the target's predictions with their own largest class, where
    that has `threshold` or more.

    Args:
        net: the backbone.
        classes: number of classes.
        weight: the paper's alpha.
        ramp: steps over which alpha rises.
        threshold: on the probability; 0 takes every example, as the paper does.

    Returns:
        A Method over params {'backbone', 'head'} on batches of two domains (`two_domains`).

    >>> from tljax.zoo.families.identity import identity
    >>> sorted(
    ...     self_training(identity(2), 3).init(
    ...         jax.random.key(0), {'input': jnp.zeros((1, 2)), 'label': jnp.array([0])}
    ...     )[0]
    ... )
    ['backbone', 'head']
    """

    def align(params, source, target, strength):
        logits = target['logits']
        sure = jax.nn.softmax(jax.lax.stop_gradient(logits)).max(-1) >= threshold
        return strength * jnp.mean(
            sure * cross_entropy(logits, jax.lax.stop_gradient(logits).argmax(-1))
        )

    return adapting(net, classes, align, weight=weight, ramp=ramp)
