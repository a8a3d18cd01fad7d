"""Deep adaptation networks: Long, Cao, Wang and Jordan 2015, https://arxiv.org/abs/1502.02791,
equations 1 to 5."""

from collections.abc import Sequence

from tljax.core import Method, Net
from tljax.kernels import mixture, mmd
from tljax.methods.adaptation.two_domains import adapting

BATCHES = 'domains'
CACHED = False  # it may compare other layers than the features


def dan(
    net: Net,
    classes: int,
    weight: float = 1.0,
    ramp: int = 0,
    layers: Sequence[str] = ('features', 'logits'),
    scales: Sequence[float] = (0.25, 0.5, 1.0, 2.0, 4.0),
) -> Method:
    """CE(source) + weight * sum over layers of MMD^2 of the two domains, in the mean of Gaussian
    kernels of several widths.

    Args:
        net: the backbone.
        classes: number of classes.
        weight: lambda.
        ramp: steps over which lambda rises.
        layers: which intermediates are matched: groups of the network, 'features', 'logits'.
        scales: of the kernels, in mean squared distances of the batch; equal weights stand for the
            paper's learnt ones.

    Returns:
        A Method over params {'backbone', 'head'} on batches of two domains (`two_domains`). Under
        pmap each device compares its own rows, under jit the whole batch is one.

    >>> import jax, jax.numpy as jnp
    >>> from tljax.zoo.families.identity import identity
    >>> sorted(
    ...     dan(identity(2), 3).init(
    ...         jax.random.key(0), {'input': jnp.zeros((1, 2)), 'label': jnp.array([0])}
    ...     )[0]
    ... )
    ['backbone', 'head']
    """

    def align(params, source, target, strength):
        def rows(domain, layer):
            return domain[layer].reshape(len(domain[layer]), -1)

        return strength * sum(
            mmd(mixture(rows(source, layer), rows(target, layer), scales)) for layer in layers
        )

    return adapting(net, classes, align, weight=weight, ramp=ramp)
