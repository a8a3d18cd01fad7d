"""Domain confusion: Tzeng, Hoffman, Darrell and Saenko 2015, https://arxiv.org/abs/1510.02192,
section 3.2, equations 2 to 5."""

import jax
import jax.numpy as jnp
import optax

from tljax.core import Method, Net
from tljax.methods.adaptation.critic import Critic, domain_error
from tljax.methods.adaptation.two_domains import adapting

BATCHES = 'domains'


def domain_confusion(
    net: Net, classes: int, width: int = 100, weight: float = 0.01, ramp: int = 0
) -> Method:
    """The critic minimises its error of domains, the features its cross-entropy with the uniform
    distribution over them.

    Args:
        net: the backbone.
        classes: number of classes.
        width: of the critic's hidden layer.
        weight: the paper's lambda, of the confusion.
        ramp: steps over which lambda rises.

    Returns:
        A Method over params {'backbone', 'head', 'critic'} on batches of two domains
        (`two_domains`).

    >>> from tljax.zoo.families.identity import identity
    >>> sorted(
    ...     domain_confusion(identity(2), 3).init(
    ...         jax.random.key(0), {'input': jnp.zeros((1, 2)), 'label': jnp.array([0])}
    ...     )[0]
    ... )
    ['backbone', 'critic', 'head']
    """
    critic, still = Critic((width,)), jax.lax.stop_gradient

    def align(params, source, target, strength):
        learning = domain_error(
            *(critic.tell(params, still(domain['features'])) for domain in (source, target))
        )
        logits = jnp.concatenate(
            [critic.tell(still(params), domain['features']) for domain in (source, target)]
        )
        confusion = optax.sigmoid_binary_cross_entropy(logits, 0.5).mean()
        return learning + strength * confusion

    return adapting(net, classes, align, lambda key, taps: critic.start(key, net.dim), weight, ramp)
