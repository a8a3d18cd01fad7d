"""MobileNetV3: Howard et al. 2019, tables 1 and 2 (https://arxiv.org/abs/1905.02244), with timm's
layer names.

The last layer before the classes is computed after the mean over positions, where it is cheap.
"""

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net, UserError
from tljax.nn.inverted import Block, Port, Shape, batch_norm, convolution, divisible, port_of
from tljax.nn.layers import Conv, net
from tljax.nn.preprocessing import preprocess
from tljax.nn.taps import tap
from tljax.protocols import StoredStatistics


class Row(NamedTuple):
    """A row of the paper's tables: a block, by the number of the resolution's stage."""

    stage: int
    kernel: int
    expansion: float
    width: int
    squeezed: bool
    swish: bool
    stride: int


LARGE = (
    Row(0, 3, 1, 16, False, False, 1),
    Row(1, 3, 4, 24, False, False, 2),
    Row(1, 3, 3, 24, False, False, 1),
    Row(2, 5, 3, 40, True, False, 2),
    Row(2, 5, 3, 40, True, False, 1),
    Row(2, 5, 3, 40, True, False, 1),
    Row(3, 3, 6, 80, False, True, 2),
    Row(3, 3, 2.5, 80, False, True, 1),
    Row(3, 3, 2.3, 80, False, True, 1),
    Row(3, 3, 2.3, 80, False, True, 1),
    Row(4, 3, 6, 112, True, True, 1),
    Row(4, 3, 6, 112, True, True, 1),
    Row(5, 5, 6, 160, True, True, 2),
    Row(5, 5, 6, 160, True, True, 1),
    Row(5, 5, 6, 160, True, True, 1),
)
SMALL = (
    Row(0, 3, 1, 16, True, False, 2),
    Row(1, 3, 4.5, 24, False, False, 2),
    Row(1, 3, 3.67, 24, False, False, 1),
    Row(2, 5, 4, 40, True, True, 2),
    Row(2, 5, 6, 40, True, True, 1),
    Row(2, 5, 6, 40, True, True, 1),
    Row(3, 5, 3, 48, True, True, 1),
    Row(3, 5, 3, 48, True, True, 1),
    Row(4, 5, 6, 96, True, True, 2),
    Row(4, 5, 6, 96, True, True, 1),
    Row(4, 5, 6, 96, True, True, 1),
)
LAST = {'large': (LARGE, 960, 1280), 'small': (SMALL, 576, 1024)}


class _MobileNetV3(nn.Module):
    stem: int
    blocks: tuple[tuple[str, Shape, bool], ...]  # (name, shape, whether it has hard swish)
    last: tuple[str, int]
    dim: int
    minimal: bool
    port: Port
    mode: str
    drop_path: float
    stored: StoredStatistics | None
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        swish = nn.relu if self.minimal else nn.hard_swish
        x = preprocess(x, self.mode)
        x = convolution(self.stem, 3, 2, 1, self.port, self.dtype, 'conv_stem')(x)
        x = swish(batch_norm(self.port, self.stored, self.dtype, 'bn1')(x, train))
        taps = {'stem': x}
        last_name, last_width = self.last
        blocks = (*self.blocks, (last_name, Shape('plain', 1, 1, 0, last_width), True))
        for before, (name, shape, has_swish) in enumerate(blocks):
            x = Block(
                shape,
                swish if has_swish else nn.relu,
                self.port,
                (nn.relu, nn.hard_sigmoid),
                self.drop_path * before / len(blocks),
                self.stored,
                self.dtype,
                name=f'blocks.{name}',
            )(x, train)
            x = taps[_group(name)] = tap(_group(name), x)
        x = x.mean((1, 2), keepdims=True)
        x = Conv(self.dim, (1, 1), use_bias=True, dtype=self.dtype, name='conv_head')(x)
        x = taps['head_conv'] = swish(x)[:, 0, 0]
        return {**taps, 'features': x.astype(jnp.promote_types(self.dtype, jnp.float32))}


def _group(name):
    stage, block = name.split('.')
    return f'stage{int(stage) + 1}_block{int(block) + 1}'


def mobilenet_v3(
    size: str = 'large',
    alpha: float = 1.0,
    minimal: bool = False,
    port: str = 'tf',
    mode: str = '',
    momentum: float | None = None,
    drop_path: float = 0.0,
    stored: StoredStatistics | None = None,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """MobileNetV3 up to the layer below the classes: 1280 features, or 1024 for the small network.

    Inputs are pictures in [0, 1], (n, h, w, 3), of any size. The groups are the stem, each block,
    and the layer below the classes.

    Args:
        size: 'large' or 'small'.
        alpha: width multiplier; weights are published for 0.75 and 1.
        minimal: whether the network has 3x3 filters and ReLU alone, without squeeze and excitation.
        port: 'tf' pads strided convolutions as TensorFlow does, with an epsilon of 1e-3: Google's
            weights, Keras's, and timm's whose names begin with tf_; 'torch' pads both sides alike,
            with 1e-5: timm's other weights; 'torchvision' pads both sides alike, with 1e-3.
        mode: preprocessing of the pictures, as `nn.preprocessing.preprocess` has it; '': that of
            the published weights.
        momentum: share of the old value in an update of BatchNorm's statistics; None: as published,
            0.999 in 'tf', which follows the data in about 5,000 steps, and otherwise as in
            `efficientnet`.
        drop_path: rate of stochastic depth in the last block; it grows linearly from 0.
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    Raises:
        UserError: for another size or port, an alpha that is not positive, and a momentum that is
            not from 0 to 1.

    >>> mobilenet_v3().dim, mobilenet_v3('small', alpha=0.75).dim
    (1280, 1024)
    """
    if size not in LAST:
        raise UserError(f'net.size={size!r} is not {" or ".join(LAST)}')
    if not alpha > 0:
        raise UserError(
            f'net.alpha={alpha} is no width: take more than 0 (weights are published for 0.75 and '
            '1)'
        )
    rows, last_width, dim = LAST[size]
    stem = start = divisible(16 * alpha) if alpha >= 0.75 else 16
    blocks = []
    for row in rows:
        expanded, width = divisible(start * row.expansion), divisible(row.width * alpha)
        shape = Shape(
            'separable' if row.expansion == 1 else 'inverted',
            3 if minimal else row.kernel,
            row.stride,
            expanded,
            width,
            divisible(expanded / 4) if row.squeezed and not minimal else 0,
        )
        index = sum(name.startswith(f'{row.stage}.') for name, *_ in blocks)
        blocks.append((f'{row.stage}.{index}', shape, row.swish))
        start = width
    last = (f'{rows[-1].stage + 1}.0', divisible(last_width * alpha))
    module = _MobileNetV3(
        stem,
        tuple(blocks),
        last,
        dim,
        minimal,
        port_of(port, momentum, in_tf=0.999),
        mode or ('tf' if port == 'tf' else 'torch'),
        drop_path,
        stored,
        dtype,
    )
    names = [name for name, *_ in (*blocks, last)]
    groups = {
        'stem': '(conv_stem|bn1)/.*',
        **{_group(name): f'blocks.{name}/.*' for name in names},
        'head_conv': 'conv_head/.*',
    }
    published = {'name': f'mobilenet_v3_{size}', **({'alpha': alpha} if alpha != 1 else {})}
    return net(module, dim, groups, published | ({'minimal': True} if minimal else {}))
