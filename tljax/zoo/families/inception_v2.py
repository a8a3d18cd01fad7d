"""Inception-v2: Ioffe and Szegedy 2015, figure 5 (https://arxiv.org/abs/1502.03167), with the
widths and layer names of TF-slim, whose first convolution is separable.

Blocks are written as in `inception_v3`. Here all convolutions and poolings have TensorFlow's SAME
padding, with a stride or without; 'max/2' is a pooling of stride 2.
"""

import functools
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net, UserError, nearest_name
from tljax.nn.layers import BatchNorm, Conv, SeparableConv, max_pool, mean_pool, net, relu6
from tljax.nn.preprocessing import preprocess
from tljax.nn.taps import tap
from tljax.protocols import StoredStatistics
from tljax.zoo.families.inception_v3 import mixed

_POOL = {'size': (3, 3), 'padding': 'SAME'}
POOLS = {
    'mean': functools.partial(mean_pool, strides=(1, 1), **_POOL),
    'max': functools.partial(max_pool, strides=(1, 1), **_POOL),
    'max/2': functools.partial(max_pool, strides=(2, 2), **_POOL),
}
STEM = ('Conv2d_1a_7x7', 'Conv2d_2b_1x1', 'Conv2d_2c_3x3')
BLOCKS = {
    'Mixed_3b': ('64', '64 64:3x3', '64 96:3x3 96:3x3', 'mean 32'),
    'Mixed_3c': ('64', '64 96:3x3', '64 96:3x3 96:3x3', 'mean 64'),
    'Mixed_4a': ('128 160:3x3/2', '64 96:3x3 96:3x3/2', 'max/2'),
    'Mixed_4b': ('224', '64 96:3x3', '96 128:3x3 128:3x3', 'mean 128'),
    'Mixed_4c': ('192', '96 128:3x3', '96 128:3x3 128:3x3', 'mean 128'),
    'Mixed_4d': ('160', '128 160:3x3', '128 160:3x3 160:3x3', 'mean 96'),
    'Mixed_4e': ('96', '128 192:3x3', '160 192:3x3 192:3x3', 'mean 96'),
    'Mixed_5a': ('128 192:3x3/2', '192 256:3x3 256:3x3/2', 'max/2'),
    'Mixed_5b': ('352', '192 320:3x3', '160 224:3x3 224:3x3', 'mean 128'),
    'Mixed_5c': ('352', '192 320:3x3', '192 224:3x3 224:3x3', 'max 128'),
}
FIRST = 7  # blocks of the first part
PARTS = {
    'whole': tuple(BLOCKS),
    'first': tuple(BLOCKS)[:FIRST],
    'last': tuple(BLOCKS)[FIRST:],
}
WIDTHS = {'whole': 1024, 'first': 576, 'last': 1024}  # channels of each part's last map
ACTIVATIONS = {'relu': nn.relu, 'relu6': relu6}


def layer_names(block: str) -> list[str]:
    """TF-slim's names of the convolutions of a block, in the order in which they are written.

    The letter is the place in the branch, which poolings count for. A convolution with a stride
    has 1a.

    Args:
        block: a key of BLOCKS.

    >>> layer_names('Mixed_4a')[:2], layer_names('Mixed_5c')[-1]
    (['Branch_0/Conv2d_0a_1x1', 'Branch_0/Conv2d_1a_3x3'], 'Branch_3/Conv2d_0b_1x1')
    """
    names = []
    for i, branch in enumerate(BLOCKS[block]):
        for letter, step in zip('abc', branch.split(), strict=False):
            size = '3x3' if '3x3' in step else '1x1'
            place = '1a' if step.endswith('/2') else f'0{letter}'
            if step not in POOLS:
                names.append(f'Branch_{i}/Conv2d_{place}_{size}')
    return names


class _InceptionV2(nn.Module):
    part: str
    activation: str
    momentum: float
    stored: StoredStatistics | None
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        activate = ACTIVATIONS[self.activation]

        def normed(x, name):
            norm = BatchNorm(
                momentum=self.momentum,
                epsilon=1e-3,
                stored=self.stored,
                dtype=self.dtype,
                name=f'{name}_bn',
            )
            return activate(norm(x, train))

        def conv(x, channels, kernel, strides, padding, names):
            name = next(names)
            x = Conv(channels, kernel, strides, dtype=self.dtype, name=name)(x)
            return normed(x, name)

        def block(x, name, branches, layers):
            x = mixed(x, branches, functools.partial(conv, names=iter(layers)), POOLS)
            taps[name] = tap(name, x)
            return taps[name]

        taps = {}
        if self.part != 'last':
            name = 'Conv2d_1a_7x7'
            first = SeparableConv(64, (7, 7), (2, 2), multiplier=8, dtype=self.dtype, name=name)
            x = taps[name] = tap(name, normed(first(preprocess(x, 'tf')), name))
            x = block(POOLS['max/2'](x), 'Conv2d_2b_1x1', ('64',), ['Conv2d_2b_1x1'])
            x = block(x, 'Conv2d_2c_3x3', ('192:3x3',), ['Conv2d_2c_3x3'])
            x = POOLS['max/2'](x)
        for name in PARTS[self.part]:
            layers = [f'{name}_{layer}'.replace('/', '_') for layer in layer_names(name)]
            x = block(x, name, BLOCKS[name], layers)
        if self.part != 'whole':
            taps['map1'] = x
        return {
            **taps,
            'features': x.mean((1, 2)).astype(jnp.promote_types(self.dtype, jnp.float32)),
        }


def inception_v2(
    part: str = 'whole',
    activation: str = 'relu',
    momentum: float = 0.9997,
    stored: StoredStatistics | None = None,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """Inception-v2 of TF-slim up to global average pooling: 1024 features.

    Inputs are pictures in [0, 1], (n, h, w, 3), of any size. The intermediate 'Mixed_4c' has stride
    16, 'Mixed_5c' stride 32.

    A detector of two stages has a network of two parts. The first part ends at 'Mixed_4e', of 576
    channels and stride 16. The inputs of the last part are maps of 576 channels, (n, h, w, 576),
    such as crops of 'Mixed_4e', and it halves their sides. A part's last map is also called 'map1'.

    Args:
        part: 'whole', 'first' (576 features) or 'last'.
        activation: after BatchNorm, 'relu' or 'relu6', which the TensorFlow Object Detection API's
            detectors of one stage have.
        momentum: of BatchNorm's statistics.
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    Raises:
        UserError: for an unknown part or activation.

    >>> inception_v2().dim, inception_v2('first').dim
    (1024, 576)
    >>> list(inception_v2('last').groups)
    ['Mixed_5a', 'Mixed_5b', 'Mixed_5c']
    """
    choices: tuple[tuple[str, str, Any], ...] = (
        ('part', part, PARTS),
        ('activation', activation, ACTIVATIONS),
    )
    for key, value, known in choices:
        if value not in known:
            raise UserError(f'net.{key}={value!r} is unknown: {nearest_name(value, known)}')
    names = PARTS[part] if part == 'last' else (*STEM, *PARTS[part])
    made = net(
        _InceptionV2(part, activation, momentum, stored, dtype),
        WIDTHS[part],
        {name: f'{name}(_.*)?/.*' for name in names},
    )
    return made if part == 'whole' else made._replace(whole=inception_v2())
