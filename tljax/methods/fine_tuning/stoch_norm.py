"""Stochastic normalisation: Kou, You, Long and Wang 2020, section 3,
https://proceedings.neurips.cc/paper/2020/hash/bc573864331a9e42e4511de6f678aa83-Abstract.html"""

from tljax.core import Method, Net, UserError
from tljax.methods.fine_tuning.finetune import finetune
from tljax.nn.layers import batch_norm_with

BATCHES = 'labelled'
SEVERAL = True
STATISTICS = ('follow', 'batch')  # with stored statistics alone there is nothing to choose


def stoch_norm(net: Net, classes: int, share: float = 0.5, several: bool = False) -> Method:
    """StochNorm: every channel of BatchNorm tosses a coin for the statistics that it uses.

    In training a channel of a layer is normalised by the batch's mean and variance with probability
    `share`, and otherwise by the stored ones, which start as the source's. There is a coin for each
    channel and layer in every step. Loss and prediction are those of `finetune`. Frozen layers
    toss no coins.

    Under pmap each device tosses its own coins and sees the statistics of its own rows.

    Args:
        net: the backbone. Without BatchNorm the method equals `finetune`.
        classes: number of classes; 0 for regression.
        share: the paper's p, from 0 to 1. 1 is BatchNorm as usual.
        several: as in `finetune`.

    Returns:
        A Method over params {'backbone', 'head'}.

    Raises:
        UserError: the share is not from 0 to 1.

    >>> import jax, jax.numpy as jnp
    >>> from tljax.zoo.families.mlp import mlp
    >>> net = tossing(mlp((4,), activation='tanh', norm='batch'), share=0.5)
    >>> inputs = jnp.array([[1.0], [3.0]])
    >>> params, state = net.init(jax.random.key(0), inputs)
    >>> params['dense1']['kernel'] = jnp.ones((1, 4))
    >>> for step in range(2):  # the first row is 1 by stored statistics, and -1 by the batch's
    ...     taps, _ = net.features(params, state, inputs, jax.random.key(step))
    ...     print(jnp.arctanh(taps['features'][0]).round().tolist())
    [-1.0, 1.0, 1.0, -1.0]
    [1.0, 1.0, -1.0, 1.0]
    """
    return finetune(tossing(net, share), classes, several=several)


def tossing(net: Net, share: float) -> Net:
    """Returns a network whose BatchNorm layers toss coins in training.

    Args:
        net: the network.
        share: as in `stoch_norm`.

    Raises:
        UserError: the share is not from 0 to 1.

    >>> from tljax.zoo import mlp
    >>> tossing(mlp(norm='batch'), share=50)
    Traceback (most recent call last):
    tljax.core.UserError: method.share=50: give a number from 0 to 1
    """
    if not 0 <= share <= 1:
        raise UserError(f'method.share={share}: give a number from 0 to 1')

    tossed = batch_norm_with(net, share=share)
    return tossed._replace(fingerprint=f'tossing({net.fingerprint}, {share})')
