"""Adaptive batch normalisation: Li et al. 2016, https://arxiv.org/abs/1603.04779, algorithm 1."""

from tljax.core import Method, Net
from tljax.methods.adaptation.two_domains import target_input
from tljax.methods.fine_tuning.finetune import finetune

BATCHES = 'domains'


def adabn(net: Net, classes: int) -> Method:
    """CE(source), normalised by the source batch's statistics; what BatchNorm stores, and
    prediction uses, are the target's.

    Args:
        net: the backbone, with BatchNorm: without it this is `finetune`.
        classes: number of classes.

    Returns:
        A Method over params {'backbone', 'head'} on batches of two domains (`two_domains`). Its
        accuracy on the source's validation split is that of the target's statistics, too.

    >>> import jax, jax.numpy as jnp
    >>> from tljax.zoo.families.identity import identity
    >>> sorted(
    ...     adabn(identity(2), 3).init(
    ...         jax.random.key(0), {'input': jnp.zeros((1, 2)), 'label': jnp.array([0])}
    ...     )[0]
    ... )
    ['backbone', 'head']
    """
    alone = finetune(net, classes)

    def loss(params, state, batch, tick):
        value, (_, metrics) = alone.loss(params, state, batch, tick)
        moved = net.features(params['backbone'], state['backbone'], target_input(batch), tick.key)[
            1
        ]
        return value, ({**state, 'backbone': moved}, metrics)

    return Method(alone.init, loss, alone.predict)
