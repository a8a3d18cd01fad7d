"""Deep domain confusion: Tzeng et al. 2014, https://arxiv.org/abs/1412.3474, equations 1 and 2."""
import jax.numpy as jnp

from tljax.adaptation import adapting

BATCHES = 'domains'


def ddc(net, classes, weight=.25, ramp=0):
    """CE(source) + weight * |mean of f(xs) - mean of f(xt)|^2, the discrepancy of means (MMD with a linear kernel).

    Args:
        net: f. classes: their number. weight: lambda; 0.25 in the paper. ramp: steps over which it rises.

    Returns:
        A Method over params {'backbone', 'head'} on batches of two domains (`tljax.adaptation`). Under pmap each device compares its own
        rows, under jit the whole batch is one.

    >>> import jax
    >>> from tljax.zoo.identity import identity
    >>> sorted(ddc(identity(2), 3).init(jax.random.key(0), {'input': jnp.zeros((1, 2)), 'label': jnp.array([0])})[0])
    ['backbone', 'head']
    """
    def align(params, source, target, strength):
        return strength * jnp.sum((source['features'].mean(0) - target['features'].mean(0)) ** 2)

    return adapting(net, classes, align, weight=weight, ramp=ramp)
