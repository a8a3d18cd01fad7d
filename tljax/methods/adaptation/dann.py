"""Domain-adversarial training: Ganin et al. 2016, https://arxiv.org/abs/1505.07818, section 4.2,
equations 10 to 16."""

from tljax.core import Method, Net
from tljax.methods.adaptation.critic import Critic, domain_error, reverse
from tljax.methods.adaptation.two_domains import adapting

BATCHES = 'domains'
CACHED = False  # the critic may read a layer below the features, which a cache would not hold


def dann(
    net: Net,
    classes: int,
    width: int = 100,
    weight: float = 1.0,
    ramp: int = 0,
    layer: str = 'features',
) -> Method:
    """DANN: learns features from which a critic cannot tell the domains apart.

    Let f be the network, h the classifier on its features, (xs, ys) the source's examples and xt
    the target's inputs. f and h minimise, and the critic maximises,

        CE(h(f(xs)), ys) - strength * error of the critic, which tells f(xs) from f(xt).

    Gradient reversal between f and the critic turns these opposite aims into a single loss.

    Args:
        net: the network f.
        classes: number of classes.
        width: width of the critic's hidden layer; 0 for a linear critic.
        weight: the strength after the ramp.
        ramp: number of steps over which the strength rises (`two_domains.ramp_up`); in the paper
            it rises during the whole training. The strength scales only the reversed gradient: the
            critic itself learns at its full rate from the start.
        layer: name of the intermediate output that the critic reads. The network up to this layer
            is then f, and the rest is part of h.

    Returns:
        A Method with params {'backbone', 'head', 'critic'}, for batches of two domains
        (`two_domains`). The metric 'gap' is the critic's error, which is small if the domains are
        easy to tell apart.

    >>> import jax, jax.numpy as jnp
    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> method = dann(identity(1), 2, width=0)
    >>> xs = jnp.array([[0.0], [1.0]])
    >>> batch = {'input': xs, 'label': jnp.arange(2), 'target': {'input': xs}}
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> params['critic']['out'] = {'kernel': -2 * jnp.ones((1, 1)), 'bias': 3 * jnp.ones(1)}
    >>> for shift in (0, 1, 2):  # the further the target is shifted, the smaller the critic's error
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
