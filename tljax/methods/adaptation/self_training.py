"""Self-training by pseudo-labels: Lee 2013, Pseudo-Label, ICML workshop on challenges in
representation learning, equation 15."""

import jax
import jax.numpy as jnp

from tljax.core import Method, Net
from tljax.losses import cross_entropy
from tljax.methods.adaptation.two_domains import adapting

BATCHES = 'domains'


def self_training(
    net: Net, classes: int, weight: float = 1.0, ramp: int = 0, threshold: float = 0.9
) -> Method:
    """Self-training: the classes that the network predicts on the target serve as its labels.

    The loss is CE(source) + weight * CE(target, class of the largest logit). A target example
    counts in the second term if the probability of that class is `threshold` or more.

    Args:
        net: the backbone.
        classes: number of classes.
        weight: the paper's alpha.
        ramp: steps over which alpha rises.
        threshold: of the probability; 0 takes every example, as the paper does.

    Returns:
        A Method over params {'backbone', 'head'} on batches of two domains (`two_domains`).

    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> method = self_training(identity(1), 2)
    >>> batch = {'input': jnp.zeros((1, 1)), 'label': jnp.array([0])}
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> params['head']['kernel'] = jnp.array([[1.0, 0.0]])
    >>> for x in (2.0, 3.0, 4.0):  # probabilities .88, which is below .9, .95 and .98
    ...     example = {**batch, 'target': {'input': jnp.full((1, 1), x)}}
    ...     metrics = jax.jit(method.loss)(params, state, example, Tick(0, jax.random.key(0)))[1][1]
    ...     print(round(float(metrics['gap']), 3))
    0.0
    0.049
    0.018
    """

    def align(params, source, target, strength):
        logits = target['logits']
        fixed_logits = jax.lax.stop_gradient(logits)
        confident = jax.nn.softmax(fixed_logits).max(-1) >= threshold
        return strength * jnp.mean(confident * cross_entropy(logits, fixed_logits.argmax(-1)))

    return adapting(net, classes, align, weight=weight, ramp=ramp)
