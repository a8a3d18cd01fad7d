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
    """JAN: matches the joint distribution of features and predictions in the two domains.

    The loss is CE(source) + weight * JMMD^2. JMMD is the MMD whose kernel is the product of a
    kernel of the features and a kernel of the predictions.

    Args:
        net: the backbone.
        classes: number of classes.
        weight: of the second term.
        ramp: steps over which the weight rises.
        scales: of the features' Gaussian kernels, as in `dan`. The predictions, which are softmax
            probabilities, have one kernel of fixed width.

    Returns:
        A Method over params {'backbone', 'head'} on batches of two domains (`two_domains`).

    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> method = jan(identity(1), 2)
    >>> xs = jnp.array([[0.0], [1.0]])
    >>> batch = {'input': xs, 'label': jnp.arange(2), 'target': {'input': xs}}
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> params['head']['kernel'] = jnp.array([[1.0, 0.0]])
    >>> for shift in (1, 2, 4):
    ...     shifted = {**batch, 'target': {'input': xs + shift}}
    ...     metrics = jax.jit(method.loss)(params, state, shifted, Tick(0, jax.random.key(0)))[1][1]
    ...     print(round(float(metrics['gap']), 2))
    -0.18
    0.59
    1.21
    """

    def align(params, source, target, strength):
        predictions = jax.nn.softmax(jnp.concatenate([source['logits'], target['logits']]))
        feature_kernel = mixture(source['features'], target['features'], scales)
        prediction_kernel = gaussian(predictions, predictions, WIDTH)
        return strength * mmd(feature_kernel * prediction_kernel)

    return adapting(net, classes, align, weight=weight, ramp=ramp)
