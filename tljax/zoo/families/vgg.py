"""VGG: Simonyan and Zisserman 2015, table 1, columns D and E (https://arxiv.org/abs/1409.1556),
with the layer names of its Keras weights.

The network has five blocks of 3x3 convolutions, then dense layers, which have most of the
parameters. Every block halves the size of the map.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net, UserError
from tljax.nn.layers import Conv, Dense, max_pool, net
from tljax.nn.preprocessing import preprocess
from tljax.nn.taps import tap
from tljax.protocols import StoredStatistics

WIDTHS = (64, 128, 256, 512, 512)  # channels of each block
DENSE = 4096  # units of fc1 and of fc2


class _VGG(nn.Module):
    counts: tuple
    fc: bool
    size: int
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        if self.fc and {length // 32 for length in x.shape[1:3]} != {self.size // 32}:
            raise UserError(
                f'inputs {x.shape[1:]} do not fit fc1, made for net.size={self.size}: set net.size '
                'to the size of the inputs, or net.fc=False'
            )
        x, taps = preprocess(x, 'caffe'), {}
        for i, (count, width) in enumerate(zip(self.counts, WIDTHS, strict=True), 1):
            for j in range(1, count + 1):
                x = nn.relu(
                    Conv(
                        width,
                        use_bias=True,
                        dtype=self.dtype,
                        name=f'block{i}_conv{j}',
                    )(x)
                )
            x = max_pool(x)
            x = taps[f'block{i}'] = tap(f'block{i}', x)
        if not self.fc:
            return {
                **taps,
                'features': x.mean((1, 2)).astype(jnp.promote_types(self.dtype, jnp.float32)),
            }
        x = x.reshape(x.shape[0], -1)
        for name in ('fc1', 'fc2'):
            x = nn.relu(Dense(DENSE, dtype=self.dtype, name=name)(x))
            x = taps[name] = tap(name, x)
        return {**taps, 'features': x.astype(jnp.promote_types(self.dtype, jnp.float32))}


def _vgg(name, counts, fc, size, dtype):
    if size < 32:
        raise UserError(
            f'net.size={size} leaves nothing after five poolings: take 32 or more (the weights of '
            'fc1 were trained at 224)'
        )
    groups = {f'block{i}': f'block{i}_.*' for i in range(1, len(WIDTHS) + 1)}
    if fc:
        groups |= {'fc1': 'fc1/.*', 'fc2': 'fc2/.*'}
    return net(
        _VGG(counts, fc, size, dtype),
        DENSE if fc else WIDTHS[-1],
        groups,
        {'name': name, 'fc': fc},
    )


def vgg16(
    fc: bool = True,
    size: int = 224,
    stored: StoredStatistics | None = None,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """VGG-16 up to its dense layer fc2: 4096 features of pictures in [0, 1], (n, size, size, 3).

    The network has thirteen convolutions in five blocks, then fc1 and fc2.

    Args:
        fc: whether the network has fc1 and fc2. Without them it ends with global average pooling
            of the last block's map, 512 features, and pictures have any size from 32 on.
        size: side of the inputs, pixels, which sets the shape of fc1. ImageNet weights of fc1 are
            published for 224.
        stored: unused; there is no BatchNorm.
        dtype: of the computation; parameters and features are float32 or wider.

    Raises:
        UserError: for a size below 32 and, with `fc`, for inputs of another size.

    >>> vgg16().dim, vgg16(fc=False).dim
    (4096, 512)
    """
    return _vgg('vgg16', (2, 2, 3, 3, 3), fc, size, dtype)


def vgg19(
    fc: bool = True,
    size: int = 224,
    stored: StoredStatistics | None = None,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """VGG-19, with sixteen convolutions; otherwise as `vgg16`.

    Args:
        fc: as `vgg16`.
        size: as `vgg16`.
        stored: unused; there is no BatchNorm.
        dtype: of the computation; parameters and features are float32 or wider.

    >>> list(vgg19(fc=False).groups)
    ['block1', 'block2', 'block3', 'block4', 'block5']
    """
    return _vgg('vgg19', (2, 2, 4, 4, 4), fc, size, dtype)
