"""Domain-adversarial training: Ganin et al. 2016, https://arxiv.org/abs/1505.07818, section 4.2, equations 10 to 16."""
from tljax.adaptation import Critic, adapting, domain_error, reverse

BATCHES = 'domains'
CACHED = False   # its critic may look at another layer than the features


def dann(net, classes, width=100, weight=1., ramp=0, layer='features'):
    """min over f, h, max over critic: CE(h(f(xs)), ys) - strength * error of the critic on f(xs) against f(xt), by gradient reversal.

    Args:
        net: f. classes: their number. width: of the critic's hidden layer; 0: it has none. weight: of the reversed gradient. ramp: steps
            over which it rises (`adaptation.risen`), the paper's whole training; the critic learns at full rate from the start. layer:
            which intermediate is f: the rest of the network is part of h.

    Returns:
        A Method over params {'backbone', 'head', 'critic'} on batches of two domains (`tljax.adaptation`).

    >>> import jax, jax.numpy as jnp
    >>> from tljax.zoo.identity import identity
    >>> sorted(dann(identity(2), 3).init(jax.random.key(0), {'input': jnp.zeros((1, 2)), 'label': jnp.array([0])})[0])
    ['backbone', 'critic', 'head']
    """
    critic = Critic((width,) if width else ())

    def align(params, source, target, strength):
        return domain_error(*(critic.tell(params, reverse(domain[layer], strength)) for domain in (source, target)))

    return adapting(net, classes, align, lambda key, taps: critic.start(key, *taps[layer].shape[1:]), weight, ramp)
