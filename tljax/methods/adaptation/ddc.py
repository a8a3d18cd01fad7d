"""Deep domain confusion: Tzeng et al. 2014, https://arxiv.org/abs/1412.3474, equations 1 and 2."""

import jax.numpy as jnp

from tljax.core import Method, Net
from tljax.methods.adaptation.two_domains import adapting

BATCHES = 'domains'


def ddc(net: Net, classes: int, weight: float = 0.25, ramp: int = 0) -> Method:
    """CE(source) + weight * |mean of f(xs) - mean of f(xt)|^2, the discrepancy of means (MMD with a
    linear kernel).

    Args:
        net: f.
        classes: number of classes.
        weight: lambda; 0.25 in the paper.
        ramp: steps over which lambda rises.

    Returns:
        A Method over params {'backbone', 'head'} on batches of two domains (`two_domains`). Under
        pmap each device compares its own rows, under jit the whole batch is one.

    >>> import jax
    >>> from tljax.zoo.families.identity import identity
    >>> sorted(
    ...     ddc(identity(2), 3).init(
    ...         jax.random.key(0), {'input': jnp.zeros((1, 2)), 'label': jnp.array([0])}
    ...     )[0]
    ... )
    ['backbone', 'head']
    """

    def align(params, source, target, strength):
        return strength * jnp.sum((source['features'].mean(0) - target['features'].mean(0)) ** 2)

    return adapting(net, classes, align, weight=weight, ramp=ramp)
