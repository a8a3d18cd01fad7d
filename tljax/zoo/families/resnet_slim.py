"""Residual networks of TF-slim, version 1: He et al. 2015, table 1
(https://arxiv.org/abs/1512.03385), as the TensorFlow Object Detection API takes them.

They differ from Keras's `resnet`: convolutions before BatchNorm have no bias, and a block strides
in the 3x3 convolution of its last unit, not in the first 1x1 convolution of the next block. That
convolution with a stride gives every second row and column of the one without. Here a unit has
none, its output is an intermediate, and the next block takes every second row and column of it.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net, UserError, nearest_name
from tljax.nn.layers import BatchNorm, Conv, max_pool, net, relu6
from tljax.nn.preprocessing import preprocess
from tljax.nn.taps import tap
from tljax.protocols import StoredStatistics

# depth -> number of units in the blocks 1 to 4
UNITS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
# channels of each block's 3x3 convolutions; the units' outputs have four times as many
WIDTHS = (64, 128, 256, 512)
PARTS = {'whole': (1, 2, 3, 4), 'first': (1, 2, 3), 'last': (4,)}  # blocks of each part
ACTIVATIONS = {'relu': nn.relu, 'relu6': relu6}


class _ResNetSlim(nn.Module):
    units: tuple[int, ...]
    part: str
    activation: str
    momentum: float
    stored: StoredStatistics | None
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        activate = ACTIVATIONS[self.activation]

        def conv(x, width, name, size=1, stride=1):
            padding = size // 2, size // 2
            x = Conv(
                width,
                (size, size),
                (stride, stride),
                (padding, padding),
                dtype=self.dtype,
                name=name,
            )(x)
            return BatchNorm(
                momentum=self.momentum,
                epsilon=1e-5,
                stored=self.stored,
                dtype=self.dtype,
                name=f'{name}_bn',
            )(x, train)

        def unit(x, width, name):
            y = activate(conv(x, width, f'{name}_conv1'))
            y = activate(conv(y, width, f'{name}_conv2', size=3))
            y = conv(y, 4 * width, f'{name}_conv3')
            widens = x.shape[-1] != 4 * width
            return nn.relu(y + (conv(x, 4 * width, f'{name}_shortcut') if widens else x))

        blocks, taps = PARTS[self.part], {}
        if blocks[0] == 1:
            x = activate(conv(preprocess(x, 'vgg'), 64, 'conv1', size=7, stride=2))
            taps['conv1'] = x
            x = max_pool(x, (3, 3), (2, 2), 'SAME')
        for block in blocks:
            x = x if block == blocks[0] else x[:, ::2, ::2]
            for i in range(1, self.units[block - 1] + 1):
                name = f'block{block}_unit{i}'
                x = taps[name] = tap(name, unit(x, WIDTHS[block - 1], name))
            taps[f'block{block}'] = x
        if self.part != 'whole':
            taps['map1'] = x
        return {
            **taps,
            'features': x.mean((1, 2)).astype(jnp.promote_types(self.dtype, jnp.float32)),
        }


def resnet_slim(
    depth: int = 50,
    part: str = 'whole',
    activation: str = 'relu',
    momentum: float = 0.997,
    stored: StoredStatistics | None = None,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """ResNet-50, 101 or 152 of TF-slim up to global average pooling: 2048 features.

    Inputs are pictures in [0, 1], (n, h, w, 3), of any size. The intermediates 'block1' to 'block4'
    are the blocks' last maps, of strides 4, 8, 16 and 32.

    A detector of two stages has a network of two parts. The first part ends at 'block3', of 1024
    channels and stride 16. The last part is block 4; its inputs are maps of 1024 channels, (n, h,
    w, 1024), such as crops of 'block3', and 'block4' has their height and width. A part's last map
    is also called 'map1'.

    Args:
        depth: number of layers: 50, 101 or 152.
        part: 'whole', 'first' (1024 features) or 'last'.
        activation: after BatchNorm, 'relu' or 'relu6'; the sums of the units have ReLU. The API's
            detectors of one stage have 'relu6'.
        momentum: of BatchNorm's statistics.
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    Raises:
        UserError: for an unknown depth, part or activation.

    >>> import jax
    >>> first, last = (resnet_slim(part=part) for part in ('first', 'last'))
    >>> list(last.groups)
    ['block4_unit1', 'block4_unit2', 'block4_unit3']
    >>> picture = jax.ShapeDtypeStruct((1, 75, 98, 3), 'float32')
    >>> variables = jax.eval_shape(first.init, jax.random.key(0), picture)
    >>> jax.eval_shape(first.features, *variables, picture)[0]['map1'].shape
    (1, 5, 7, 1024)
    """
    choices: tuple[tuple[str, Any, Any], ...] = (
        ('depth', depth, UNITS),
        ('part', part, PARTS),
        ('activation', activation, ACTIVATIONS),
    )
    for key, value, known in choices:
        if value not in known:
            raise UserError(
                f'net.{key}={value!r} is unknown: {nearest_name(str(value), map(str, known))}'
            )
    blocks = PARTS[part]
    names = [f'block{b}_unit{i}' for b in blocks for i in range(1, UNITS[depth][b - 1] + 1)]
    groups = {name: f'{name}_.*' for name in names}
    if blocks[0] == 1:
        groups = {'conv1': 'conv1(_bn)?/.*', **groups}
    made = net(
        _ResNetSlim(UNITS[depth], part, activation, momentum, stored, dtype),
        4 * WIDTHS[blocks[-1] - 1],
        groups,
    )
    return made if part == 'whole' else made._replace(whole=resnet_slim(depth))
