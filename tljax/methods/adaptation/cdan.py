"""Conditional adversarial domain adaptation: Long, Cao, Wang and Jordan 2018,
https://arxiv.org/abs/1705.10667, equations 2, 4, 5, 7."""

import jax
import jax.numpy as jnp

from tljax.core import Method, Net
from tljax.methods.adaptation.critic import Critic, domain_error, reverse
from tljax.methods.adaptation.two_domains import adapting

BATCHES = 'domains'
# Up to this width the critic sees the whole product of features and predictions, and beyond it a
# random map of the product to 1,024 numbers. Both numbers are the paper's.
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
    """CDAN: DANN with a critic of features times predictions, which compares the domains by class.

    Args:
        net: the backbone.
        classes: number of classes.
        width: of the critic's two hidden layers.
        weight: of the reversed gradient, as in `dann`.
        ramp: steps over which the weight rises, as in `dann`.
        entropy: True for CDAN+E, where an example counts 1 + exp(-entropy of its prediction), so
            that confident examples count most.
        random: width of the random map that replaces the product of features and predictions if
            that has more than 4,096 numbers. Its matrices are drawn once, from a fixed key.

    Returns:
        A Method over params {'backbone', 'head', 'critic'} on batches of two domains
        (`two_domains`).

    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> method = cdan(identity(1), 2, width=1)
    >>> xs = jnp.array([[0.0], [1.0]])
    >>> batch = {'input': xs, 'label': jnp.arange(2), 'target': {'input': xs + 2}}
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> params['critic']['dense1']['kernel'] = jnp.ones((2, 1))  # sums the product: the feature
    >>> params['critic']['dense2']['kernel'] = jnp.ones((1, 1))
    >>> params['critic']['out'] = {'kernel': -2 * jnp.ones((1, 1)), 'bias': 3 * jnp.ones(1)}
    >>> for shift in (0, 1, 2):  # the further apart the domains, the smaller the critic's error
    ...     shifted = {**batch, 'target': {'input': xs + shift}}
    ...     metrics = jax.jit(method.loss)(params, state, shifted, Tick(0, jax.random.key(0)))[1][1]
    ...     print(round(float(metrics['gap']), 2))
    1.18
    0.5
    0.18
    """
    uses_product = net.dim * classes <= LARGEST
    critic = Critic((width, width))
    maps = []
    if not uses_product:
        feature_key, class_key = jax.random.split(jax.random.key(3))
        maps = [
            jax.random.normal(feature_key, (net.dim, random)),
            jax.random.normal(class_key, (classes, random)),
        ]

    def joint(features, probability):
        if uses_product:
            return (features[:, :, None] * probability[:, None]).reshape(len(features), -1)
        return (features @ maps[0]) * (probability @ maps[1]) / jnp.sqrt(random)

    def critic_logits(params, domain, probability, strength):
        product = joint(domain['features'], jax.lax.stop_gradient(probability))
        return critic.logits(params, reverse(product, strength))

    def example_weights(probability, strength):
        """Weights by the entropy of predictions, of average 1."""
        if not entropy:
            return 1.0
        negative_entropy = jnp.sum(probability * jnp.log(probability + 1e-6), -1)
        weights = 1 + jnp.exp(reverse(negative_entropy, strength))
        return weights / jax.lax.stop_gradient(jnp.mean(weights))

    def align(params, source, target, strength):
        source_probability = jax.nn.softmax(source['logits'])
        target_probability = jax.nn.softmax(target['logits'])
        return domain_error(
            critic_logits(params, source, source_probability, strength),
            critic_logits(params, target, target_probability, strength),
            example_weights(source_probability, strength),
            example_weights(target_probability, strength),
        )

    def players(key, taps):
        return critic.start(key, net.dim * classes if uses_product else random)

    return adapting(net, classes, align, players, weight, ramp)
