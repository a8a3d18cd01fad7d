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
    """Domain confusion: the features make the critic of domains predict the uniform distribution.

    The loss is CE(source) + error of the critic + weight * confusion. The critic minimises its
    error. The features minimise the confusion, which is the cross-entropy of the critic's
    prediction with the uniform distribution over the two domains.

    Args:
        net: the backbone.
        classes: number of classes.
        width: of the critic's hidden layer.
        weight: of the confusion, the paper's lambda.
        ramp: steps over which lambda rises.

    Returns:
        A Method over params {'backbone', 'head', 'critic'} on batches of two domains
        (`two_domains`).

    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> method = domain_confusion(identity(1), 2, width=1)
    >>> xs = jnp.array([[0.0], [1.0]])
    >>> batch = {'input': xs, 'label': jnp.arange(2), 'target': {'input': xs}}
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> params['critic']['dense1']['kernel'] = jnp.ones((1, 1))
    >>> params['critic']['out'] = {'kernel': -2 * jnp.ones((1, 1)), 'bias': 3 * jnp.ones(1)}
    >>> for shift in (0, 1, 2):  # the further apart the domains, the smaller the critic's error
    ...     shifted = {**batch, 'target': {'input': xs + shift}}
    ...     metrics = jax.jit(method.loss)(params, state, shifted, Tick(0, jax.random.key(0)))[1][1]
    ...     print(round(float(metrics['gap']), 2))
    1.19
    0.51
    0.19
    """
    critic = Critic((width,))

    def align(params, source, target, strength):
        xs, xt = source['features'], target['features']
        critic_error = domain_error(
            critic.logits(params, jax.lax.stop_gradient(xs)),
            critic.logits(params, jax.lax.stop_gradient(xt)),
        )
        # the critic's parameters are constant here: only the features get this gradient
        fixed_params = jax.lax.stop_gradient(params)
        logits = jnp.concatenate([critic.logits(fixed_params, xs), critic.logits(fixed_params, xt)])
        confusion = optax.sigmoid_binary_cross_entropy(logits, 0.5).mean()
        return critic_error + strength * confusion

    def players(key, taps):
        return critic.start(key, net.dim)

    return adapting(net, classes, align, players, weight, ramp)
