"""Deep CORAL: Sun and Saenko 2016, https://arxiv.org/abs/1607.01719, equations 1 to 3."""

import jax.numpy as jnp

from tljax.core import Method, Net
from tljax.methods.adaptation.two_domains import adapting

BATCHES = 'domains'


def deep_coral(
    net: Net, classes: int, weight: float = 1.0, ramp: int = 0, layer: str = 'logits'
) -> Method:
    """Deep CORAL: matches the covariances of a layer in the two domains.

    The loss is CE(source) + weight * |cov(source) - cov(target)|_F^2 / (4 d^2), where d is the
    number of the layer's outputs.

    Args:
        net: the backbone.
        classes: number of classes.
        weight: of the second term.
        ramp: steps over which the weight rises.
        layer: 'logits' as in the paper, or 'features'.

    Returns:
        A Method over params {'backbone', 'head'} on batches of two domains (`two_domains`).

    >>> import jax
    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> method = deep_coral(identity(1), 2, layer='features')
    >>> xs = jnp.array([[-1.0], [1.0]])
    >>> batch = {'input': xs, 'label': jnp.arange(2), 'target': {'input': xs}}
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> for scale in (1, 2, 3):  # variances 2 and 2 * scale^2
    ...     stretched = {**batch, 'target': {'input': scale * xs}}
    ...     metrics = jax.jit(method.loss)(params, state, stretched, Tick(0, jax.random.key(0)))[1][
    ...         1
    ...     ]
    ...     print(round(float(metrics['gap']), 2))
    0.0
    9.0
    64.0
    """

    def covariance(x):
        centred = x - x.mean(0)
        return centred.T @ centred / (len(x) - 1)

    def align(params, source, target, strength):
        difference = covariance(source[layer]) - covariance(target[layer])
        return strength * jnp.sum(difference**2) / (4 * source[layer].shape[1] ** 2)

    return adapting(net, classes, align, weight=weight, ramp=ramp)
