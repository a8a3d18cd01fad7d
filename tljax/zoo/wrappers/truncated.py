"""The lower part of another network: its features are one of the layers in between, averaged over
positions."""

import re

import jax
import jax.numpy as jnp
from flax.traverse_util import unflatten_dict

from tljax.core import Net, UserError, nearest_name
from tljax.paths import flatten


def truncated(net: Net, tap: str, size: int = 224, channels: int = 3) -> Net:
    """A network that ends at one of another's groups. Lower layers are more general than upper
    ones: Yosinski et al. 2014 (https://arxiv.org/abs/1411.1792).

    Args:
        net: the whole network, whose weights it takes.
        tap: the group that it ends at, which the network tells among its intermediates.
        size: side of the inputs, pixels.
        channels: of the inputs.

    Raises:
        UserError: the network has no such tap.

    >>> from tljax.zoo import mobilenet
    >>> part = truncated(mobilenet(alpha=0.25), tap='block3', size=32)
    >>> part.dim, list(part.groups)
    (32, ['conv1', 'block1', 'block2', 'block3'])
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
    groups = {
        name: net.groups[name] for name in list(net.groups)[: list(net.groups).index(tap) + 1]
    }

    def below(tree):
        return unflatten_dict(
            {
                path: leaf
                for path, leaf in flatten(tree).items()
                if any(re.fullmatch(pattern, path) for pattern in groups.values())
            },
            sep='/',
        )

    def filled(tree, shape):  # the layers above want parameters; nothing is computed from them
        return unflatten_dict(
            {
                **{path: jnp.zeros(leaf.shape) for path, leaf in flatten(shape).items()},
                **flatten(tree),
            },
            sep='/',
        )

    def init(key, input):
        params, state = net.init(key, input)
        return below(params), below(state)

    def features(params, state, input, key=None):
        found, moved = net.features(filled(params, shapes[0]), filled(state, shapes[1]), input, key)
        end = found[tap].astype(jnp.promote_types(found[tap].dtype, jnp.float32))
        mean = end.mean(tuple(range(1, end.ndim - 1)))
        return {**{name: found[name] for name in groups if name in found}, 'features': mean}, below(
            moved
        )

    return Net(
        init,
        features,
        taps[tap].shape[-1],
        groups,
        f'truncated({net.fingerprint}, {tap})',
        net.published,
        net.whole or net,
    )
