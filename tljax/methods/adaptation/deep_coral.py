"""Deep CORAL: Sun and Saenko 2016, https://arxiv.org/abs/1607.01719, equations 1 to 3."""

import jax.numpy as jnp

from tljax.core import Method, Net
from tljax.methods.adaptation.two_domains import adapting

BATCHES = 'domains'


def deep_coral(
    net: Net, classes: int, weight: float = 1.0, ramp: int = 0, layer: str = 'logits'
) -> Method:
    """CE(source) + weight * |cov(source) - cov(target)|_F^2 / (4 d^2), of the last layer's d
    outputs.

    Args:
        net: the backbone.
        classes: number of classes.
        weight: of the second term.
        ramp: steps over which the second term rises.
        layer: 'logits' as in the paper, or 'features'.

    Returns:
        A Method over params {'backbone', 'head'} on batches of two domains (`two_domains`). Under
        pmap each device compares its own rows, under jit the whole batch is one.

    >>> import jax
    >>> from tljax.zoo.families.identity import identity
    >>> sorted(
    ...     deep_coral(identity(2), 3).init(
    ...         jax.random.key(0), {'input': jnp.zeros((1, 2)), 'label': jnp.array([0])}
    ...     )[0]
    ... )
    ['backbone', 'head']
    """

    def covariance(x):
        centred = x - x.mean(0)
        return centred.T @ centred / (len(x) - 1)

    def align(params, source, target, strength):
        difference = covariance(source[layer]) - covariance(target[layer])
        return strength * jnp.sum(difference**2) / (4 * source[layer].shape[1] ** 2)

    return adapting(net, classes, align, weight=weight, ramp=ramp)
