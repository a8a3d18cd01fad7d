"""Joint adaptation networks: Long, Zhu, Wang and Jordan 2017, https://arxiv.org/abs/1605.06636, equations 6 to 9."""
import math

import jax

from tljax.adaptation import adapting
from tljax.kernels import mixture, mmd


def jan(net, classes, weight=1., ramp=0, scales=(.25, .5, 1., 2., 4.)):
    """CE(source) + weight * JMMD^2: the discrepancy of the joint distribution of features and predictions, whose kernel is the product
    of the two layers' kernels.

    Args:
        net: the backbone. classes: their number. weight, ramp: as `dan`. scales: of the features' Gaussian kernels; predictions, which
            are softmax probabilities, have one of 1.68, as the authors' code has.

    Returns:
        A Method over params {'backbone', 'head'} on batches of two domains (`tljax.adaptation`). Under pmap each device compares its own
        rows, under jit the whole batch is one.

    >>> import jax.numpy as jnp
    >>> from tljax.zoo.identity import identity
    >>> sorted(jan(identity(2), 3).init(jax.random.key(0), {'input': jnp.zeros((1, 2)), 'label': jnp.array([0])})[0])
    ['backbone', 'head']
    """
    def align(params, source, target, strength):
        predictions = [jax.nn.softmax(domain['logits']) for domain in (source, target)]
        kernels = mixture(source['features'], target['features'], scales), mixture(*predictions, (1.68,))
        return strength * mmd(math.prod(kernels))

    return adapting(net, classes, align, weight=weight, ramp=ramp)
