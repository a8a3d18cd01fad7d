"""Central moment discrepancy: Zellinger et al. 2017, https://arxiv.org/abs/1702.08811, equation
10."""

import jax.numpy as jnp

from tljax.core import Method, Net
from tljax.methods.adaptation.two_domains import adapting

BATCHES = 'domains'


def cmd(net: Net, classes: int, weight: float = 1.0, ramp: int = 0, moments: int = 5) -> Method:
    """CMD: matches the means and the central moments of every feature in the two domains.

    The loss is CE(source) + weight * sum over k of |c_k(source) - c_k(target)| / (b - a)^k, where
    c_1 holds the means of the features and c_k, k > 1, their k-th central moments.

    Args:
        net: the backbone. Its features are taken through tanh, which bounds them in [-1, 1]: b - a
            = 2.
        classes: number of classes.
        weight: of the second term.
        ramp: steps over which the weight rises.
        moments: number of moments.

    Returns:
        A Method over params {'backbone', 'head'} on batches of two domains (`two_domains`).

    >>> import jax
    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> method = cmd(identity(1), 2)
    >>> xs = jnp.array([[-1.0], [1.0]])
    >>> batch = {'input': xs, 'label': jnp.arange(2), 'target': {'input': xs}}
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> for scale in (1, 2, 4):  # the means agree, the spreads do not
    ...     stretched = {**batch, 'target': {'input': scale * xs}}
    ...     metrics = jax.jit(method.loss)(params, state, stretched, Tick(0, jax.random.key(0)))[1][
    ...         1
    ...     ]
    ...     print(round(float(metrics['gap']), 2))
    0.0
    0.12
    0.15
    """

    def align(params, source, target, strength):
        xs, xt = jnp.tanh(source['features']), jnp.tanh(target['features'])
        source_mean, target_mean = xs.mean(0), xt.mean(0)
        gaps = [source_mean - target_mean]
        for k in range(2, moments + 1):
            gaps.append(((xs - source_mean) ** k).mean(0) - ((xt - target_mean) ** k).mean(0))
        return strength * sum(_length(gap) / 2**k for k, gap in enumerate(gaps, 1))

    return adapting(net, classes, align, weight=weight, ramp=ramp)


def _length(x):
    # the small number makes the gradient at 0 equal 0; without it, it is undefined
    return jnp.sqrt(jnp.sum(x**2) + 1e-12)
