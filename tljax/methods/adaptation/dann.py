"""Domain-adversarial training: Ganin et al. 2016, https://arxiv.org/abs/1505.07818, section 4.2,
equations 10 to 16."""

from tljax.core import Method, Net
from tljax.methods.adaptation.critic import Critic, domain_error, reverse
from tljax.methods.adaptation.two_domains import adapting

BATCHES = 'domains'
CACHED = False  # its critic may look at another layer than the features


def dann(
    net: Net,
    classes: int,
    width: int = 100,
    weight: float = 1.0,
    ramp: int = 0,
    layer: str = 'features',
) -> Method:
    """DANN: learns features from which a critic cannot tell the domains apart.

    f and h minimise, and the critic maximises, CE(h(f(xs)), ys) - strength * error of the critic on
    f(xs) against f(xt). Gradient reversal between f and the critic makes both one loss.

    Args:
        net: f.
        classes: number of classes.
        width: of the critic's hidden layer; 0 for a critic without one.
        weight: of the reversed gradient.
        ramp: steps over which the weight rises (`two_domains.ramp_up`): the whole training in the
            paper. The critic learns at full rate from the start.
        layer: the intermediate that the critic sees. The network up to it is f, and the rest is
            part of h.

    Returns:
        A Method over params {'backbone', 'head', 'critic'} on batches of two domains
        (`two_domains`).

    >>> import jax, jax.numpy as jnp
    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> method = dann(identity(1), 2, width=0)
    >>> xs = jnp.array([[0.0], [1.0]])
    >>> batch = {'input': xs, 'label': jnp.arange(2), 'target': {'input': xs}}
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> params['critic']['out'] = {'kernel': -2 * jnp.ones((1, 1)), 'bias': 3 * jnp.ones(1)}
    >>> for shift in (0, 1, 2):  # the further apart the domains, the smaller the critic's error
    ...     shifted = {**batch, 'target': {'input': xs + shift}}
    ...     metrics = jax.jit(method.loss)(params, state, shifted, Tick(0, jax.random.key(0)))[1][1]
    ...     print(round(float(metrics['gap']), 2))
    1.18
    0.5
    0.18
    """
    critic = Critic((width,) if width else ())

    def align(params, source, target, strength):
        return domain_error(
            critic.logits(params, reverse(source[layer], strength)),
            critic.logits(params, reverse(target[layer], strength)),
        )

    def players(key, taps):
        return critic.start(key, *taps[layer].shape[1:])

    return adapting(net, classes, align, players, weight, ramp)
