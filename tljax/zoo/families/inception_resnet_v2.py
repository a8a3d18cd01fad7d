"""Inception-ResNet-v2: Szegedy et al. 2017, section 3.2 (https://arxiv.org/abs/1602.07261), with
the layer names of its Keras weights.

Blocks are written as in `inception_v3`. The weights come from TF-slim, so the widths are those of
TF-slim and not those of the paper's figures.
"""

import itertools
import re
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net
from tljax.nn.layers import BatchNorm, Conv, net, refuse_smaller
from tljax.nn.preprocessing import preprocess
from tljax.nn.taps import tap
from tljax.protocols import StoredStatistics
from tljax.zoo.families.inception_v3 import SMALLEST, STEM, layer_patterns, mixed


class Block(NamedTuple):
    """A block of the network.

    Attributes:
        name: name of the block.
        group: name of the group of parameters that the block is in.
        branches: texts of steps, as in `inception_v3`.
        scale: factor on what a residual block adds to its input, a 1x1 convolution of the joined
            branches. 0 where the block is not residual: the branches are its output.
    """

    name: str
    group: str
    branches: tuple[str, ...]
    scale: float = 0.0


def _residual(name, count, scale, branches):
    """Residual blocks 1 to `count`, in groups of five; a group has the name of its last block."""
    return [
        Block(f'{name}_{i}', f'{name}_{-(-i // 5) * 5}', branches, scale)
        for i in range(1, count + 1)
    ]


BLOCK8 = ('192', '192 224:1x3 256:3x1')
LAST = 'block8_10'  # the one residual block without a ReLU after the sum
BLOCKS = (
    Block('stem', 'stem', STEM),
    Block('mixed_5b', 'mixed_5b', ('96', '48 64:5x5', '64 96:3x3 96:3x3', 'mean 64')),
    *_residual('block35', 10, 0.17, ('32', '32 32:3x3', '32 48:3x3 64:3x3')),
    Block('mixed_6a', 'mixed_6a', ('384:3x3/2', '256 256:3x3 384:3x3/2', 'max')),
    *_residual('block17', 20, 0.1, ('192', '128 160:1x7 192:7x1')),
    Block(
        'mixed_7a', 'mixed_7a', ('256 384:3x3/2', '256 288:3x3/2', '256 288:3x3 320:3x3/2', 'max')
    ),
    *_residual('block8', 9, 0.2, BLOCK8),
    Block(LAST, 'block8_10', BLOCK8, 1.0),
)


class _InceptionResNetV2(nn.Module):
    stored: StoredStatistics | None
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        refuse_smaller(x, SMALLEST, 'inception_resnet_v2')
        number = itertools.count(1)

        def unit(x, channels, kernel, strides, padding, conv, norm):
            x = Conv(channels, kernel, strides, padding, dtype=self.dtype, name=conv)(x)
            return nn.relu(
                BatchNorm(
                    momentum=0.99,
                    epsilon=1e-3,
                    use_scale=False,
                    stored=self.stored,
                    dtype=self.dtype,
                    name=norm,
                )(x, train)
            )

        def conv(x, channels, kernel, strides, padding):
            i = next(number)
            conv, norm = f'conv2d_{i}', f'batch_normalization_{i}'
            return unit(x, channels, kernel, strides, padding, conv, norm)

        x, taps = preprocess(x, 'tf'), {}
        for block in BLOCKS:
            y = mixed(x, block.branches, conv)
            if block.scale:
                y = Conv(
                    x.shape[-1],
                    (1, 1),
                    use_bias=True,
                    dtype=self.dtype,
                    name=f'{block.name}_conv',
                )(y)
                y = x + block.scale * y
                y = y if block.name == LAST else nn.relu(y)
            x = y
            x = taps[block.group] = tap(block.group, x)
        x = unit(x, 1536, (1, 1), (1, 1), 'SAME', 'conv_7b', 'conv_7b_bn')
        x = taps['conv_7b'] = tap('conv_7b', x)
        return {
            **taps,
            'features': x.mean((1, 2)).astype(jnp.promote_types(self.dtype, jnp.float32)),
        }


def _groups():
    members = {}
    for block in BLOCKS:
        members.setdefault(block.group, []).append(block)
    branches = {group: [] for group in members}
    for group, blocks in members.items():
        for block in blocks:
            branches[group] += block.branches
    groups = layer_patterns(branches)
    for group, blocks in members.items():
        if blocks[0].scale:
            groups[group] += f'|({"|".join(block.name for block in blocks)})_conv/.*'
    return {**groups, 'conv_7b': 'conv_7b(_bn)?/.*'}


def inception_resnet_v2(
    stored: StoredStatistics | None = None, dtype: DTypeLike = jnp.float32
) -> Net:
    """Inception-ResNet-v2 up to global average pooling: 1536 features.

    Inputs are pictures in [0, 1], (n, h, w, 3), of 75x75 pixels or more.

    Args:
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    >>> list(inception_resnet_v2().groups)[:4]
    ['stem', 'mixed_5b', 'block35_5', 'block35_10']
    """
    return net(
        _InceptionResNetV2(stored, dtype),
        1536,
        _groups(),
        {'name': 'inception_resnet_v2', 'older': PUBLISHED},
    )


def _slim_names():
    """TF-slim's names of the convolutions, in the order in which Keras numbers them."""
    yield from (f'Conv2d_{name}' for name in ('1a_3x3', '2a_3x3', '2b_3x3', '3b_1x1', '4a_3x3'))
    for block in BLOCKS[1:]:
        for branch, line in enumerate(block.branches):
            steps = line.split()
            for letter, step in zip('abc', steps, strict=False):
                match = re.fullmatch(r'\d+(?::(\dx\d))?(/2)?', step)
                if match:  # a pooling has no name
                    size, stride = match.groups(default='')
                    place = '1a_' if stride else f'0{letter}_' if len(steps) > 1 else ''
                    yield f'{block.name.capitalize()}_Branch_{branch}_Conv2d_{place}{size or "1x1"}'


# {name in the published files: name here}; those files were saved with TF-slim's names of layers
PUBLISHED = {
    **{name: f'conv2d_{i}' for i, name in enumerate(_slim_names(), 1)},
    **{f'{name}_BatchNorm': f'batch_normalization_{i}' for i, name in enumerate(_slim_names(), 1)},
    **{
        f'{block.name.capitalize()}_Conv2d_1x1': f'{block.name}_conv'
        for block in BLOCKS
        if block.scale
    },
    'Conv2d_7b_1x1': 'conv_7b',
    'Conv2d_7b_1x1_BatchNorm': 'conv_7b_bn',
}
