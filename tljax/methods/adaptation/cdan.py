"""Conditional adversarial domain adaptation: Long, Cao, Wang and Jordan 2018,
https://arxiv.org/abs/1705.10667, equations 2, 4, 5, 7."""

import jax
import jax.numpy as jnp

from tljax.core import Method, Net
from tljax.methods.adaptation.critic import Critic, domain_error, reverse
from tljax.methods.adaptation.two_domains import adapting

BATCHES = 'domains'
# the paper's: of f and g, the whole product is taken up to this width, and a random map to 1,024
# beyond it
LARGEST = 4096


def cdan(
    net: Net,
    classes: int,
    width: int = 1024,
    weight: float = 1.0,
    ramp: int = 0,
    entropy: bool = True,
    random: int = 1024,
) -> Method:
    """DANN whose critic sees features times predictions: it is asked whether the domains agree
    class by class.

    Args:
        net: the backbone.
        classes: number of classes.
        width: of the critic's two hidden layers.
        weight: as `dann`.
        ramp: as `dann`.
        entropy: CDAN+E: an example counts 1 + exp(-entropy of its prediction), the sure ones most.
        random: the width of the random map that stands for the product where that has more than
            4,096 numbers; its matrices are drawn once, from a fixed key.

    Returns:
        A Method over params {'backbone', 'head', 'critic'} on batches of two domains
        (`two_domains`).

    >>> from tljax.zoo.families.identity import identity
    >>> batch = {'input': jnp.zeros((1, 2)), 'label': jnp.array([0])}
    >>> params, _ = jax.eval_shape(cdan(identity(2), 3).init, jax.random.key(0), batch)
    >>> params['critic']['dense1']['kernel'].shape
    (6, 1024)
    """
    critic, whole = Critic((width, width)), net.dim * classes <= LARGEST
    keys = jax.random.split(jax.random.key(3))
    maps = [
        jax.random.normal(key, (size, random))
        for key, size in zip(keys, () if whole else (net.dim, classes), strict=not whole)
    ]

    def joint(features, probability):
        if whole:
            return (features[:, :, None] * probability[:, None]).reshape(len(features), -1)
        return (features @ maps[0]) * (probability @ maps[1]) / jnp.sqrt(random)

    def align(params, source, target, strength):
        logits, sureness = [], []
        for domain in (source, target):
            probability = jax.nn.softmax(domain['logits'])
            logits.append(
                critic.tell(
                    params,
                    reverse(
                        joint(domain['features'], jax.lax.stop_gradient(probability)), strength
                    ),
                )
            )
            sure = (
                1
                + jnp.exp(reverse(jnp.sum(probability * jnp.log(probability + 1e-6), -1), strength))
                if entropy
                else 1.0
            )
            sureness.append(sure / jax.lax.stop_gradient(jnp.mean(sure)))
        return domain_error(*logits, *sureness)

    return adapting(
        net,
        classes,
        align,
        lambda key, taps: critic.start(key, net.dim * classes if whole else random),
        weight,
        ramp,
    )
