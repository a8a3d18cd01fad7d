"""EfficientNet: Tan and Le 2019 (https://arxiv.org/abs/1905.11946), its variants for phones
(EfficientNet-Lite, 2020), and EfficientNetV2: Tan and Le 2021, tables 4 and 5
(https://arxiv.org/abs/2104.00298), with timm's layer names.

The networks of a kind are one network whose widths and depths are multiplied together.
"""

import math
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net, UserError, nearest_name
from tljax.nn.inverted import Block, Port, Shape, batch_norm, convolution, divisible, port_of
from tljax.nn.layers import net, relu6
from tljax.nn.preprocessing import preprocess
from tljax.nn.taps import tap
from tljax.protocols import StoredStatistics


class Stage(NamedTuple):
    """A stage of blocks of one width. Its first block has the stride."""

    kind: str
    count: int
    kernel: int
    stride: int
    expansion: int
    width: int
    squeezed: bool = False


V1 = (
    Stage('separable', 1, 3, 1, 1, 16, True),
    Stage('inverted', 2, 3, 2, 6, 24, True),
    Stage('inverted', 2, 5, 2, 6, 40, True),
    Stage('inverted', 3, 3, 2, 6, 80, True),
    Stage('inverted', 3, 5, 1, 6, 112, True),
    Stage('inverted', 4, 5, 2, 6, 192, True),
    Stage('inverted', 1, 3, 1, 6, 320, True),
)
LITE = tuple(stage._replace(squeezed=False) for stage in V1)
V2_BASE = (
    Stage('plain', 1, 3, 1, 1, 16),
    Stage('fused', 2, 3, 2, 4, 32),
    Stage('fused', 2, 3, 2, 4, 48),
    Stage('inverted', 3, 3, 2, 4, 96, True),
    Stage('inverted', 5, 3, 1, 6, 112, True),
    Stage('inverted', 8, 3, 2, 6, 192, True),
)


def _v2(plain, fused, squeezed):
    """The stages of a large EfficientNetV2 from (count, width) of each."""
    strides, expansions = (2, 1, 2, 1), (4, 6, 6, 6)
    return (
        Stage('plain', plain[0], 3, 1, 1, plain[1]),
        *(Stage('fused', count, 3, 2, 4, width) for count, width in fused),
        *(
            Stage('inverted', count, 3, strides[i], expansions[i], width, True)
            for i, (count, width) in enumerate(squeezed)
        ),
    )


# size: (factor on the widths, factor on the depths)
FACTORS = {
    'b0': (1.0, 1.0),
    'b1': (1.0, 1.1),
    'b2': (1.1, 1.2),
    'b3': (1.2, 1.4),
    'b4': (1.4, 1.8),
    'b5': (1.6, 2.2),
    'b6': (1.8, 2.6),
    'b7': (2.0, 3.1),
}
LITES = {f'lite{i}': FACTORS[f'b{i}'] for i in range(5)}
V2_FACTORS = {'b0': (1.0, 1.0), 'b1': (1.0, 1.1), 'b2': (1.1, 1.2), 'b3': (1.2, 1.4)}
V2_STAGES = {
    's': _v2((2, 24), ((4, 48), (4, 64)), ((6, 128), (9, 160), (15, 256))),
    'm': _v2((3, 24), ((5, 48), (5, 80)), ((7, 160), (14, 176), (18, 304), (5, 512))),
    'l': _v2((4, 32), ((7, 64), (7, 96)), ((10, 192), (19, 224), (25, 384), (7, 640))),
    'xl': _v2((4, 32), ((8, 64), (8, 96)), ((16, 192), (24, 256), (32, 512), (8, 640))),
}


class _EfficientNet(nn.Module):
    stem: int
    stages: tuple[tuple[Shape, ...], ...]
    dim: int
    activation: str
    port: Port
    mode: str
    drop_path: float
    stored: StoredStatistics | None
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        port, act = self.port, relu6 if self.activation == 'relu6' else nn.silu

        def conv(x, width, name, norm, size=1, stride=1):
            x = convolution(width, size, stride, 1, port, self.dtype, name)(x)
            return act(batch_norm(port, self.stored, self.dtype, norm)(x, train))

        x = conv(preprocess(x, self.mode), self.stem, 'conv_stem', 'bn1', 3, 2)
        taps = {'stem': x}
        depth, before = sum(map(len, self.stages)), 0
        for s, stage in enumerate(self.stages):
            for i, shape in enumerate(stage):
                rate = self.drop_path * before / depth
                x = Block(
                    shape,
                    act,
                    port,
                    drop_path=rate,
                    stored=self.stored,
                    dtype=self.dtype,
                    name=f'blocks.{s}.{i}',
                )(x, train)
                before += 1
                x = taps[f'stage{s + 1}_block{i + 1}'] = tap(f'stage{s + 1}_block{i + 1}', x)
        x = conv(x, self.dim, 'conv_head', 'bn2')
        x = taps['head_conv'] = tap('head_conv', x)
        return {
            **taps,
            'features': x.mean((1, 2)).astype(jnp.promote_types(self.dtype, jnp.float32)),
        }


def _shapes(stages, widths, depths, start, fixed_ends=False, least=0.9):
    """The shapes of all blocks, stage by stage.

    `widths` and `depths` are factors, `start` is the width of the stem. With `fixed_ends` the first
    and last stage are not deepened.
    """
    shapes = []
    for s, stage in enumerate(stages):
        is_end = fixed_ends and s in (0, len(stages) - 1)
        count = stage.count if is_end else math.ceil(stage.count * depths)
        width, blocks = divisible(stage.width * widths, least=least), []
        for i in range(count):
            blocks.append(
                Shape(
                    stage.kind,
                    stage.kernel,
                    1 if i else stage.stride,
                    divisible(start * stage.expansion),
                    width,
                    max(1, start // 4) if stage.squeezed else 0,
                )
            )
            start = width
        shapes.append(tuple(blocks))
    return tuple(shapes)


def _net(name, stem, shapes, dim, activation, port, mode, drop_path, stored, dtype):
    groups = {
        'stem': '(conv_stem|bn1)/.*',
        **{
            f'stage{s + 1}_block{i + 1}': f'blocks.{s}.{i}/.*'
            for s, stage in enumerate(shapes)
            for i in range(len(stage))
        },
        'head_conv': '(conv_head|bn2)/.*',
    }
    module = _EfficientNet(stem, shapes, dim, activation, port, mode, drop_path, stored, dtype)
    return net(module, dim, groups, {'name': name})


def efficientnet(
    size: str = 'b0',
    port: str = 'tf',
    mode: str = '',
    momentum: float | None = None,
    drop_path: float = 0.0,
    stored: StoredStatistics | None = None,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """EfficientNet up to global average pooling: 1280 features for B0.

    Inputs are pictures in [0, 1], (n, h, w, 3), of any size. The Lite networks have ReLU6 and no
    squeeze and excitation, which phones quantise well. The groups are the stem, each block, and the
    last convolution.

    Args:
        size: 'b0' to 'b7', or 'lite0' to 'lite4'.
        port: 'tf' pads strided convolutions as TensorFlow does, with an epsilon of 1e-3: Google's
            weights, Keras's, and timm's whose names begin with tf_; 'torch' pads both sides alike,
            with 1e-5: timm's other weights, and torchvision's B0 to B4; 'torchvision' pads both
            sides alike, with 1e-3: torchvision's B5 to B7.
        mode: preprocessing of the pictures, as `nn.preprocessing.preprocess` has it; '': that of
            the published weights.
        momentum: share of the old value in an update of BatchNorm's statistics; None: as published,
            0.99 in 'tf' and 'torchvision', 0.9 in 'torch'. 0.9 follows the data in about 50 steps,
            0.99 in about 500; short runs from scratch need 0.9.
        drop_path: rate of stochastic depth in the last block; it grows linearly from 0. Published:
            0.2.
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    Raises:
        UserError: for another size or port, or a momentum that is not from 0 to 1.

    >>> efficientnet().dim, efficientnet('b7').dim, efficientnet('lite4').dim
    (1280, 2560, 1280)
    """
    name = f'efficientnet_{size}'
    if size in LITES:
        shapes = _shapes(LITE, *LITES[size], 32, fixed_ends=True)
        constants, mode = port_of(port, momentum), mode or 'tf'
        return _net(name, 32, shapes, 1280, 'relu6', constants, mode, drop_path, stored, dtype)
    if size not in FACTORS:
        raise UserError(
            f'net.size={size!r} is no EfficientNet: {nearest_name(size, [*FACTORS, *LITES])}'
        )
    widths, depths = FACTORS[size]
    stem, dim = divisible(32 * widths), divisible(1280 * widths)
    shapes = _shapes(V1, widths, depths, stem)
    constants, mode = port_of(port, momentum), mode or 'torch'
    return _net(name, stem, shapes, dim, 'silu', constants, mode, drop_path, stored, dtype)


def efficientnet_v2(
    size: str = 's',
    port: str = 'tf',
    mode: str = '',
    momentum: float | None = None,
    drop_path: float = 0.0,
    stored: StoredStatistics | None = None,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """EfficientNetV2 up to global average pooling: 1280 features for S.

    Otherwise as `efficientnet`. Early blocks are fused: one convolution expands and filters.

    Args:
        size: 's', 'm', 'l' or 'xl', or 'b0' to 'b3'.
        port: as for `efficientnet`.
        mode: preprocessing of the pictures, as `nn.preprocessing.preprocess` has it; '': that of
            the published weights.
        momentum: as for `efficientnet`; published in 'tf': 0.9.
        drop_path: as for `efficientnet`.
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    Raises:
        UserError: for another size or port, or a momentum that is not from 0 to 1.

    >>> efficientnet_v2().dim, efficientnet_v2('b3').dim
    (1280, 1536)
    """
    name = f'efficientnet_v2_{size}'
    if size in V2_STAGES:
        stages = V2_STAGES[size]
        stem, dim = stages[0].width, 1280
        shapes, mode = _shapes(stages, 1.0, 1.0, stem), mode or 'tf'
    elif size in V2_FACTORS:
        widths, depths = V2_FACTORS[size]
        stem, dim = (divisible(width * widths, least=0.0) for width in (32, 1280))
        shapes, mode = _shapes(V2_BASE, widths, depths, stem, least=0.0), mode or 'torch'
    else:
        raise UserError(
            f'net.size={size!r} is no EfficientNetV2: '
            f'{nearest_name(size, [*V2_STAGES, *V2_FACTORS])}'
        )
    constants = port_of(port, momentum, in_tf=0.9)
    return _net(name, stem, shapes, dim, 'silu', constants, mode, drop_path, stored, dtype)
