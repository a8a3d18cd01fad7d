"""The lower part of a network: its features are an intermediate layer, averaged over positions."""

import re

import jax
import jax.numpy as jnp
from flax.traverse_util import unflatten_dict

from tljax.core import Net, UserError, nearest_name
from tljax.paths import flatten


def truncated(net: Net, tap: str, size: int = 224, channels: int = 3) -> Net:
    """Returns the lower part of a network, up to one of its groups.

    Lower layers are more general than upper ones: Yosinski et al. 2014
    (https://arxiv.org/abs/1411.1792).

    Args:
        net: the whole network. The part takes its weights from it.
        tap: name of the last group of the part, one that is among the network's intermediates.
        size: side of the inputs, pixels.
        channels: number of channels of the inputs.

    Raises:
        UserError: the network has no such group among its intermediates.

    >>> from tljax.zoo import lenet
    >>> part = truncated(lenet(), tap='block2', size=28, channels=1)
    >>> part.dim, list(part.groups)
    (50, ['block1', 'block2'])
    """
    picture = jax.ShapeDtypeStruct((1, size, size, channels), jnp.float32)
    shapes = jax.eval_shape(net.init, jax.random.key(0), picture)
    taps = jax.eval_shape(net.features, *shapes, picture)[0]
    names = [name for name in net.groups if name in taps]
    if tap not in names:
        raise UserError(
            f'net.tap={tap!r} is no group of the network among its intermediates: '
            f'{nearest_name(tap, names)}'
        )
    depth = list(net.groups).index(tap) + 1
    groups = dict(list(net.groups.items())[:depth])

    def select(tree):
        """Drops the layers above the part."""
        leaves = {
            path: leaf
            for path, leaf in flatten(tree).items()
            if any(re.fullmatch(pattern, path) for pattern in groups.values())
        }
        return unflatten_dict(leaves, sep='/')

    def complete(tree, shape):
        """Adds zeros for the layers above the part; nothing is computed from them."""
        zeros = {path: jnp.zeros(leaf.shape) for path, leaf in flatten(shape).items()}
        return unflatten_dict({**zeros, **flatten(tree)}, sep='/')

    def init(key, input):
        params, state = net.init(key, input)
        return select(params), select(state)

    def features(params, state, input, key=None):
        params, state = complete(params, shapes[0]), complete(state, shapes[1])
        outputs, state = net.features(params, state, input, key)
        last = outputs[tap].astype(jnp.promote_types(outputs[tap].dtype, jnp.float32))
        mean = last.mean(tuple(range(1, last.ndim - 1)))
        part = {name: outputs[name] for name in groups if name in outputs}
        return {**part, 'features': mean}, select(state)

    return Net(
        init,
        features,
        taps[tap].shape[-1],
        groups,
        f'truncated({net.fingerprint}, {tap})',
        net.published,
        net.whole or net,
    )
