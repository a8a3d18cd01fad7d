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
    """DAN: matches the distributions of several layers in the two domains.

    The loss is CE(source) + weight * sum over layers of the two domains' squared MMD. The kernel is
    the mean of Gaussian kernels of several widths.

    Args:
        net: the backbone.
        classes: number of classes.
        weight: lambda.
        ramp: steps over which lambda rises.
        layers: which intermediates are matched: groups of the network, 'features', 'logits'.
        scales: of the kernels, in mean squared distances of the batch. All kernels weigh the same;
            the paper learns their weights.

    Returns:
        A Method over params {'backbone', 'head'} on batches of two domains (`two_domains`).

    >>> import jax, jax.numpy as jnp
    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> method = dan(identity(1), 2, layers=('features',))
    >>> xs = jnp.array([[0.0], [1.0]])
    >>> batch = {'input': xs, 'label': jnp.arange(2), 'target': {'input': xs}}
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> for shift in (1, 2, 4):
    ...     shifted = {**batch, 'target': {'input': xs + shift}}
    ...     metrics = jax.jit(method.loss)(params, state, shifted, Tick(0, jax.random.key(0)))[1][1]
    ...     print(round(float(metrics['gap']), 2))
    -0.17
    0.58
    1.19
    """

    def rows(domain, layer):
        return domain[layer].reshape(len(domain[layer]), -1)

    def align(params, source, target, strength):
        return strength * sum(
            mmd(mixture(rows(source, layer), rows(target, layer), scales)) for layer in layers
        )

    return adapting(net, classes, align, weight=weight, ramp=ramp)
