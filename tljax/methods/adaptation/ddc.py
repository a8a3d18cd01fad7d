"""Deep domain confusion: Tzeng et al. 2014, https://arxiv.org/abs/1412.3474, equations 1 and 2."""

import jax.numpy as jnp

from tljax.core import Method, Net
from tljax.methods.adaptation.two_domains import adapting

BATCHES = 'domains'


def ddc(net: Net, classes: int, weight: float = 0.25, ramp: int = 0) -> Method:
    """DDC: matches the mean features of the two domains.

    The loss is CE(source) + weight * |mean of f(xs) - mean of f(xt)|^2. The second term is the
    squared MMD with a linear kernel.

    Args:
        net: f.
        classes: number of classes.
        weight: lambda; 0.25 in the paper.
        ramp: steps over which lambda rises.

    Returns:
        A Method over params {'backbone', 'head'} on batches of two domains (`two_domains`).

    >>> import jax
    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> method = ddc(identity(1), 2)
    >>> xs = jnp.array([[0.0], [1.0]])
    >>> batch = {'input': xs, 'label': jnp.arange(2), 'target': {'input': xs}}
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> for shift in (0, 1, 2):  # log 2 of the classifier, which starts at zero, + 0.25 * shift^2
    ...     shifted = {**batch, 'target': {'input': xs + shift}}
    ...     value = jax.jit(method.loss)(params, state, shifted, Tick(0, jax.random.key(0)))[0]
    ...     print(round(float(value), 2))
    0.69
    0.94
    1.69
    """

    def align(params, source, target, strength):
        return strength * jnp.sum((source['features'].mean(0) - target['features'].mean(0)) ** 2)

    return adapting(net, classes, align, weight=weight, ramp=ramp)
