"""Central moment discrepancy: Zellinger et al. 2017, https://arxiv.org/abs/1702.08811, equation
10."""

import jax.numpy as jnp

from tljax.core import Method, Net
from tljax.methods.adaptation.two_domains import adapting

BATCHES = 'domains'


def cmd(net: Net, classes: int, weight: float = 1.0, ramp: int = 0, moments: int = 5) -> Method:
    """CE(source) + weight * sum over k of |c_k(source) - c_k(target)| / (b - a)^k: means (k = 1)
    and central moments of every feature.

    Args:
        net: the backbone. Its features are taken through tanh, which bounds them in [-1, 1]: b - a
            = 2.
        classes: number of classes.
        weight: of the second term.
        ramp: steps over which the second term rises.
        moments: number of moments.

    Returns:
        A Method over params {'backbone', 'head'} on batches of two domains (`two_domains`). Under
        pmap each device compares its own rows, under jit the whole batch is one.

    >>> import jax
    >>> from tljax.zoo.families.identity import identity
    >>> sorted(
    ...     cmd(identity(2), 3).init(
    ...         jax.random.key(0), {'input': jnp.zeros((1, 2)), 'label': jnp.array([0])}
    ...     )[0]
    ... )
    ['backbone', 'head']
    """

    def align(params, source, target, strength):
        xs, xt = jnp.tanh(source['features']), jnp.tanh(target['features'])
        means = xs.mean(0), xt.mean(0)
        gaps = [means[0] - means[1]]
        gaps += [
            ((xs - means[0]) ** k).mean(0) - ((xt - means[1]) ** k).mean(0)
            for k in range(2, moments + 1)
        ]
        return strength * sum(_length(gap) / 2**k for k, gap in enumerate(gaps, 1))

    return adapting(net, classes, align, weight=weight, ramp=ramp)


def _length(x):
    return jnp.sqrt(jnp.sum(x**2) + 1e-12)  # its gradient at 0 is 0, not undefined
