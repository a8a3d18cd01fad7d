"""Feature pyramid networks: Lin et al. 2017, section 3 (https://arxiv.org/abs/1612.03144), with the
layers of the TensorFlow Object Detection API; the coarser maps are those of RetinaNet, Lin et al.
2017, section 4 (https://arxiv.org/abs/1708.02002).

    top(k) = project(map k) + upsample(top(k + 1))

A 1x1 convolution projects, each pixel is repeated twice along both sides, and a 3x3 convolution
smooths every sum. The coarsest projection is no sum and stays as it is.
"""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net, UserError
from tljax.nn.layers import Conv
from tljax.protocols import StoredStatistics
from tljax.zoo.necks import Neck, with_neck


class _Pyramid(Neck):
    count: int = 5
    width: int = 256

    @nn.compact
    def __call__(self, maps, train):
        top = self.project(maps, len(maps))
        made = [top]
        for level in range(len(maps) - 1, 0, -1):
            finer = self.project(maps, level)
            if finer.shape[1:3] != (2 * top.shape[1], 2 * top.shape[2]):
                raise UserError(
                    f'net.maps: map{level} is {finer.shape[1]}x{finer.shape[2]} and map{level + 1} '
                    f'is {top.shape[1]}x{top.shape[2]}; a pyramid needs maps of twice the side: '
                    'take pictures whose sides are divisible by the stride of the coarsest map'
                )
            top = finer + upsampled(top)
            made.insert(0, self.layer(top, train, self.width, f'map{level}_smooth', 3))
        while len(made) < self.count:
            name = f'map{len(made) + 1}_conv'
            made.append(self.layer(made[-1], train, self.width, name, 3, stride=2))
        return made

    def project(self, maps, level):
        """The projection of a map; the first level is the finest."""
        return Conv(
            self.width, (1, 1), use_bias=True, dtype=self.dtype, name=f'map{level}_project'
        )(maps[level - 1])


def upsampled(x: jax.Array) -> jax.Array:
    """Returns maps of twice the side, with each pixel repeated.

    Args:
        x: maps, (n, h, w, c).

    >>> upsampled(jnp.array([1, 2]).reshape(1, 1, 2, 1))[0, :, :, 0].tolist()
    [[1, 1, 2, 2], [1, 1, 2, 2]]
    """
    return x.repeat(2, axis=1).repeat(2, axis=2)


def with_pyramid(
    net: Net | Callable[..., Net],
    maps: Sequence[str],
    count: int = 5,
    width: int = 256,
    momentum: float = 0.99,
    stored: StoredStatistics | None = None,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """Returns a network with a feature pyramid on some of its maps.

    Its intermediates 'map1', 'map2', ... are the maps of a detector, finest first: those of the
    pyramid, then coarser ones, each by a 3x3 convolution of stride 2. All have the same number of
    channels. The parameters that are added stand under `pyramid`;
    `init.rules=(('backbone/(?!pyramid/).*', None),)` takes all others from a donor.

    Args:
        net: the network, which takes its weights from the same files as before.
        maps: names of the intermediates that the pyramid takes, finest first, each of twice the
            next one's side: ('block5', 'block11', 'block13') of `mobilenet`, ('block2', 'block3',
            'block4') of `resnet_slim`.
        count: number of maps of the detector, at least as many as `maps`.
        width: number of channels of each map.
        momentum: of BatchNorm's statistics; 0.997 in the API.
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the added layers' computation; parameters are float32 or wider.

    Raises:
        UserError: for no maps, fewer maps than the pyramid takes, a width below 1, a map that the
            network does not have, and for maps that are not of half the side of the next finer one.

    >>> from tljax.zoo import mobilenet
    >>> net = with_pyramid(mobilenet(0.25), ('block5', 'block11', 'block13'), width=8)
    >>> x = jax.ShapeDtypeStruct((1, 64, 64, 3), 'float32')
    >>> params, state = jax.eval_shape(net.init, jax.random.key(0), x)
    >>> taps, _ = jax.eval_shape(net.features, params, state, x)
    >>> [taps[f'map{i}'].shape[1:] for i in range(1, 6)]
    [(8, 8, 8), (4, 4, 8), (2, 2, 8), (1, 1, 8), (1, 1, 8)]
    >>> list(net.groups)[-3:]
    ['pyramid', 'map4', 'map5']
    """
    if not maps or count < len(maps):
        raise UserError(f'net.maps={maps!r} with net.count={count}: give 1 to net.count maps')
    if width < 1:
        raise UserError(f'net.width={width}: give 1 or more')
    neck = _Pyramid(momentum, stored, dtype, count, width)
    coarser = range(len(maps) + 1, count + 1)
    groups = {'pyramid': r'map\d+_(project|smooth)(_bn)?/.*'}
    groups |= {f'map{i}': f'map{i}_conv(_bn)?/.*' for i in coarser}
    return with_neck(net, neck, 'pyramid', maps, groups)
