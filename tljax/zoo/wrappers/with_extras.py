"""The extra layers of SSD: Liu et al. 2016, section 2.1 (https://arxiv.org/abs/1512.02325), with
the widths and the BatchNorm of the TensorFlow Object Detection API; separable ones as in SSDLite,
Sandler et al. 2018, section 6.2 (https://arxiv.org/abs/1801.04381).

A 1x1 convolution halves the channels of the next map, and a 3x3 convolution of stride 2 makes it.
"""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net, UserError
from tljax.protocols import StoredStatistics
from tljax.zoo.necks import Neck, with_neck

LEAST = 16  # channels of a 1x1 convolution


class _Extras(Neck):
    widths: tuple[int, ...] = ()
    depthwise: bool = False

    @nn.compact
    def __call__(self, maps, train):
        maps = list(maps)
        for width in self.widths:
            name, x = f'map{len(maps) + 1}', maps[-1]
            x = self.layer(x, train, max(width // 2, LEAST), f'{name}_reduce')
            size, stride = 3, 2
            if self.depthwise:
                channels = x.shape[-1]
                x = self.layer(x, train, channels, f'{name}_depthwise', 3, 2, groups=channels)
                size, stride = 1, 1
            maps.append(self.layer(x, train, width, f'{name}_conv', size, stride))
        return maps


def with_extras(
    net: Net | Callable[..., Net],
    maps: Sequence[str],
    widths: Sequence[int] = (512, 256, 256, 128),
    depthwise: bool = False,
    momentum: float = 0.99,
    stored: StoredStatistics | None = None,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """Returns a network with SSD's extra layers on its last map.

    Its intermediates 'map1', 'map2', ... are the maps of an SSD, finest first: some of the
    network's own, then those of the extra layers, each of half the side. The parameters that are
    added stand under `extras`; `init.rules=(('backbone/(?!extras/).*', None),)` takes all others
    from a donor.

    Args:
        net: the network, which takes its weights from the same files as before.
        maps: names of its intermediates that are maps of the detector, finest first: ('block11',
            'block13') of `mobilenet`, ('block13_expand', 'conv2') of `mobilenet_v2`.
        widths: number of channels of each further map. () adds none.
        depthwise: whether the 3x3 convolutions are depthwise, each followed by a 1x1 convolution.
        momentum: of BatchNorm's statistics; 0.9997 in the API.
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the added layers' computation; parameters are float32 or wider.

    Raises:
        UserError: for a width below 1, and for a map that the network does not have.

    >>> import jax
    >>> from tljax.zoo import mobilenet
    >>> net = with_extras(mobilenet(0.25, padding='same'), ('block11', 'block13'), (64, 32))
    >>> x = jax.ShapeDtypeStruct((1, 300, 300, 3), 'float32')
    >>> params, state = jax.eval_shape(net.init, jax.random.key(0), x)
    >>> taps, _ = jax.eval_shape(net.features, params, state, x)
    >>> [taps[f'map{i}'].shape[1:] for i in (1, 2, 3, 4)]
    [(19, 19, 128), (10, 10, 256), (5, 5, 64), (3, 3, 32)]
    >>> list(net.groups)[-2:]
    ['map3', 'map4']
    """
    if any(not isinstance(width, int) or width < 1 for width in widths):
        raise UserError(f'net.widths={widths!r}: give whole numbers of 1 or more')
    neck = _Extras(momentum, stored, dtype, tuple(widths), depthwise)
    first = len(maps) + 1
    groups = {f'map{i}': f'map{i}_.*' for i in range(first, first + len(widths))}
    return with_neck(net, neck, 'extras', maps, groups)
