"""RegNet: Radosavovic et al. 2020, section 3.3 and equations 2 to 4
(https://arxiv.org/abs/2003.13678), with timm's layer names.

Widths of the blocks are a quantised linear function of their number: four numbers describe a
network. RegNetY has squeeze and excitation, RegNetX does not.
"""

import itertools
import math
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net, UserError, nearest_name
from tljax.nn.inverted import PORTS, SqueezeExcite, batch_norm, convolution
from tljax.nn.layers import DropPath, net
from tljax.nn.preprocessing import preprocess
from tljax.nn.taps import tap
from tljax.protocols import StoredStatistics

STEM = 32  # channels


class Design(NamedTuple):
    """The numbers that describe a network.

    Attributes:
        initial: width of the first block before it is quantised (w0).
        slope: of the width over the number of the block (wa).
        factor: between the widths of one stage and the next (wm).
        group: channels of a group of the 3x3 convolutions.
        depth: number of blocks.
    """

    initial: int
    slope: float
    factor: float
    group: int
    depth: int


SIZES = {
    'x_002': Design(24, 36.44, 2.49, 8, 13),
    'x_004': Design(24, 24.48, 2.54, 16, 22),
    'x_006': Design(48, 36.97, 2.24, 24, 16),
    'x_008': Design(56, 35.73, 2.28, 16, 16),
    'x_016': Design(80, 34.01, 2.25, 24, 18),
    'x_032': Design(88, 26.31, 2.25, 48, 25),
    'x_040': Design(96, 38.65, 2.43, 40, 23),
    'x_064': Design(184, 60.83, 2.07, 56, 17),
    'x_080': Design(80, 49.56, 2.88, 120, 23),
    'x_120': Design(168, 73.36, 2.37, 112, 19),
    'x_160': Design(216, 55.59, 2.1, 128, 22),
    'x_320': Design(320, 69.86, 2.0, 168, 23),
    'y_002': Design(24, 36.44, 2.49, 8, 13),
    'y_004': Design(48, 27.89, 2.09, 8, 16),
    'y_006': Design(48, 32.54, 2.32, 16, 15),
    'y_008': Design(56, 38.84, 2.4, 16, 14),
    'y_016': Design(48, 20.71, 2.65, 24, 27),
    'y_032': Design(80, 42.63, 2.66, 24, 21),
    'y_040': Design(96, 31.41, 2.24, 64, 22),
    'y_064': Design(112, 33.22, 2.27, 72, 25),
    'y_080': Design(192, 76.82, 2.19, 56, 17),
    'y_120': Design(168, 73.36, 2.37, 112, 19),
    'y_160': Design(200, 106.23, 2.48, 112, 18),
    'y_320': Design(232, 115.89, 2.53, 232, 20),
}


def stages_of(design: Design) -> list[tuple[int, int, int]]:
    """Returns (width, number of blocks, channels of a group) of each stage.

    Args:
        design: of the network.

    >>> stages_of(SIZES['x_002'])
    [(24, 1, 8), (56, 1, 8), (152, 4, 8), (368, 7, 8)]
    """
    widths = []
    for block in range(design.depth):
        linear = design.initial + design.slope * block  # equation 2
        power = round(math.log(linear / design.initial) / math.log(design.factor))  # equation 3
        widths.append(round(design.initial * design.factor**power / 8) * 8)  # equation 4
    stages = []
    for width, blocks in itertools.groupby(widths):
        group = min(design.group, width)
        stages.append((round(width / group) * group, len(list(blocks)), group))
    return stages


class _Block(nn.Module):
    width: int
    stride: int
    group: int
    squeezes: bool
    drop_path: float
    stored: StoredStatistics | None
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        port, width = PORTS['torch'], self.width

        def conv(y, name, size=1, stride=1, groups=1):
            y = convolution(width, size, stride, groups, port, self.dtype, f'{name}.conv')(y)
            return batch_norm(port, self.stored, self.dtype, f'{name}.bn')(y, train)

        y = nn.relu(conv(x, 'conv1'))
        y = nn.relu(conv(y, 'conv2', 3, self.stride, groups=width // self.group))
        if self.squeezes:
            squeezed, names = round(x.shape[-1] / 4), ('fc1', 'fc2')
            y = SqueezeExcite(squeezed, nn.relu, nn.sigmoid, names, self.dtype, name='se')(y)
        y = DropPath(self.drop_path)(conv(y, 'conv3'), train)
        if self.stride > 1 or x.shape[-1] != width:
            x = conv(x, 'downsample', stride=self.stride)
        return nn.relu(x + y)


class _RegNet(nn.Module):
    stages: tuple[tuple[int, int, int], ...]
    squeezes: bool
    mode: str
    drop_path: float
    stored: StoredStatistics | None
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        port = PORTS['torch']
        x = preprocess(x, self.mode)
        x = convolution(STEM, 3, 2, 1, port, self.dtype, 'stem.conv')(x)
        x = nn.relu(batch_norm(port, self.stored, self.dtype, 'stem.bn')(x, train))
        taps, before = {'stem': x}, 0
        depth = sum(count for _, count, _ in self.stages)
        for s, (width, count, group) in enumerate(self.stages, 1):
            for i in range(1, count + 1):
                x = _Block(
                    width,
                    2 if i == 1 else 1,
                    group,
                    self.squeezes,
                    self.drop_path * before / (depth - 1),
                    self.stored,
                    self.dtype,
                    name=f's{s}.b{i}',
                )(x, train)
                before += 1
                x = taps[f'stage{s}_block{i}'] = tap(f'stage{s}_block{i}', x)
        return {
            **taps,
            'features': x.mean((1, 2)).astype(jnp.promote_types(self.dtype, jnp.float32)),
        }


def regnet(
    size: str = 'y_004',
    mode: str = 'torch',
    drop_path: float = 0.0,
    stored: StoredStatistics | None = None,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """RegNetX or RegNetY up to global average pooling: 440 features for Y-400MF.

    Inputs are pictures in [0, 1], (n, h, w, 3), of any size. The groups are the stem and each
    block.

    Args:
        size: 'x_' or 'y_' and the hundreds of millions of multiplications at 224 pixels, from
            'x_002' to 'y_320'.
        mode: preprocessing of the pictures, as `nn.preprocessing.preprocess` has it.
        drop_path: rate of stochastic depth in the last block; it grows linearly from 0.
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    Raises:
        UserError: for another size.

    >>> regnet().dim, regnet('x_002').dim
    (440, 368)
    """
    if size not in SIZES:
        raise UserError(f'net.size={size!r} is no RegNet: {nearest_name(size, SIZES)}')
    stages = stages_of(SIZES[size])
    groups = {'stem': r'stem\..*'} | {
        f'stage{s}_block{i}': rf's{s}\.b{i}/.*'
        for s, (_, count, _) in enumerate(stages, 1)
        for i in range(1, count + 1)
    }
    module = _RegNet(tuple(stages), size.startswith('y'), mode, drop_path, stored, dtype)
    return net(module, stages[-1][0], groups, {'name': f'regnet_{size}'})
