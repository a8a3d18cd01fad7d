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
    """min over f, h, max over critic: CE(h(f(xs)), ys) - strength * error of the critic on f(xs)
    against f(xt), by gradient reversal.

    Args:
        net: f.
        classes: number of classes.
        width: of the critic's hidden layer; 0: it has none.
        weight: of the reversed gradient.
        ramp: steps over which the weight rises (`two_domains.ramp_up`), the paper's whole training;
            the critic learns at full rate from the start.
        layer: which intermediate is f: the rest of the network is part of h.

    Returns:
        A Method over params {'backbone', 'head', 'critic'} on batches of two domains
        (`two_domains`).

    >>> import jax, jax.numpy as jnp
    >>> from tljax.zoo.families.identity import identity
    >>> batch = {'input': jnp.zeros((1, 2)), 'label': jnp.array([0])}
    >>> sorted(jax.eval_shape(dann(identity(2), 3).init, jax.random.key(0), batch)[0])
    ['backbone', 'critic', 'head']
    """
    critic = Critic((width,) if width else ())

    def align(params, source, target, strength):
        return domain_error(
            *(critic.tell(params, reverse(domain[layer], strength)) for domain in (source, target))
        )

    return adapting(
        net,
        classes,
        align,
        lambda key, taps: critic.start(key, *taps[layer].shape[1:]),
        weight,
        ramp,
    )
