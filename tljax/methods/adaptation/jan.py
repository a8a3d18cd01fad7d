"""Joint adaptation networks: Long, Zhu, Wang and Jordan 2017, https://arxiv.org/abs/1605.06636,
equations 6 to 9."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from tljax.core import Method, Net
from tljax.kernels import gaussian, mixture, mmd
from tljax.methods.adaptation.two_domains import adapting

BATCHES = 'domains'
WIDTH = 0.84**0.5  # of the predictions' kernel, exp(-d^2 / 1.68), as in the authors' code


def jan(
    net: Net,
    classes: int,
    weight: float = 1.0,
    ramp: int = 0,
    scales: Sequence[float] = (0.25, 0.5, 1.0, 2.0, 4.0),
) -> Method:
    """CE(source) + weight * JMMD^2: the discrepancy of the joint distribution of features and
    predictions, whose kernel is the product of the two layers' kernels.

    Args:
        net: the backbone.
        classes: number of classes.
        weight: as `dan`.
        ramp: as `dan`.
        scales: of the features' Gaussian kernels; predictions, which are softmax probabilities,
            have one of fixed width.

    Returns:
        A Method over params {'backbone', 'head'} on batches of two domains (`two_domains`). Under
        pmap each device compares its own rows, under jit the whole batch is one.

    >>> from tljax.zoo.families.identity import identity
    >>> sorted(
    ...     jan(identity(2), 3).init(
    ...         jax.random.key(0), {'input': jnp.zeros((1, 2)), 'label': jnp.array([0])}
    ...     )[0]
    ... )
    ['backbone', 'head']
    """

    def align(params, source, target, strength):
        predictions = jax.nn.softmax(jnp.concatenate([source['logits'], target['logits']]))
        kernel = mixture(source['features'], target['features'], scales) * gaussian(
            predictions, predictions, WIDTH
        )
        return strength * mmd(kernel)

    return adapting(net, classes, align, weight=weight, ramp=ramp)
