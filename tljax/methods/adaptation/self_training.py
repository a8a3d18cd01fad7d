"""Self-training by pseudo-labels: Lee 2013, Pseudo-Label, ICML workshop on challenges in representation learning, equation 15."""
import jax
import jax.numpy as jnp

from tljax.losses import cross_entropy
from tljax.methods.adaptation.two_domains import adapting

BATCHES = 'domains'


def self_training(net, classes, weight=1., ramp=0, threshold=.9):
    """CE(source) + strength * CE of the target's predictions with their own largest class, where that has `threshold` or more.

    Args:
        net: the backbone. classes: their number. weight, ramp: the paper's alpha and the steps over which it rises. threshold: on the
            probability; 0 takes every example, as the paper does.

    Returns:
        A Method over params {'backbone', 'head'} on batches of two domains (`two_domains`).

    >>> from tljax.zoo.families.identity import identity
    >>> sorted(self_training(identity(2), 3).init(jax.random.key(0), {'input': jnp.zeros((1, 2)), 'label': jnp.array([0])})[0])
    ['backbone', 'head']
    """
    def align(params, source, target, strength):
        logits = target['logits']
        sure = jax.nn.softmax(jax.lax.stop_gradient(logits)).max(-1) >= threshold
        return strength * jnp.mean(sure * cross_entropy(logits, jax.lax.stop_gradient(logits).argmax(-1)))

    return adapting(net, classes, align, weight=weight, ramp=ramp)
