"""ConvNeXt: Liu et al. 2022, section 2 and figure 4 (https://arxiv.org/abs/2201.03545), with timm's
layer names.

A block filters each channel separately with a 7x7 kernel, normalises each position, and passes it
through two dense layers. Its output is scaled channel by channel and added to its input.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net, UserError, nearest_name
from tljax.nn.apart import branch
from tljax.nn.layers import Conv, Dense, DropPath, LayerNorm, gelu, net, refuse_smaller
from tljax.nn.preprocessing import preprocess
from tljax.nn.taps import tap
from tljax.protocols import StoredStatistics

# size: (number of blocks of each stage, channels of the first stage, which each stage doubles)
SIZES = {
    'tiny': ((3, 3, 9, 3), 96),
    'small': ((3, 3, 27, 3), 96),
    'base': ((3, 3, 27, 3), 128),
    'large': ((3, 3, 27, 3), 192),
    'xlarge': ((3, 3, 27, 3), 256),
}
SCALE = 1e-6  # of a block's output at the start


class _Block(nn.Module):
    drop_path: float
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        width = x.shape[-1]
        x, y = branch(x)
        y = Conv(width, (7, 7), groups=width, use_bias=True, dtype=self.dtype, name='conv_dw')(y)
        y = LayerNorm(dtype=self.dtype, name='norm')(y)
        y = gelu(Dense(4 * width, dtype=self.dtype, name='mlp.fc1')(y))
        y = Dense(width, dtype=self.dtype, name='mlp.fc2')(y)
        gamma = self.param('gamma', nn.initializers.constant(SCALE), (width,))
        return x + DropPath(self.drop_path)(y * gamma.astype(self.dtype), train)


class _ConvNeXt(nn.Module):
    depths: tuple[int, ...]
    width: int
    mode: str
    drop_path: float
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        def patches(x, width, side, name):
            """A convolution of patches that do not overlap."""
            return Conv(
                width,
                (side, side),
                (side, side),
                'VALID',
                use_bias=True,
                dtype=self.dtype,
                name=name,
            )(x)

        def norm(x, name):
            return LayerNorm(dtype=self.dtype, name=name)(x)

        refuse_smaller(x, 32, 'ConvNeXt')
        x = norm(patches(preprocess(x, self.mode), self.width, 4, 'stem.0'), 'stem.1')
        taps, before = {'stem': x}, 0
        for s, depth in enumerate(self.depths):
            if s:
                x = norm(x, f'stages.{s}.downsample.0')
                x = patches(x, 2 * x.shape[-1], 2, f'stages.{s}.downsample.1')
                x = taps[f'down{s + 1}'] = tap(f'down{s + 1}', x)
            for i in range(depth):
                rate = self.drop_path * before / (sum(self.depths) - 1)
                x = _Block(rate, self.dtype, name=f'stages.{s}.blocks.{i}')(x, train)
                before += 1
                x = taps[f'stage{s + 1}_block{i + 1}'] = tap(f'stage{s + 1}_block{i + 1}', x)
        x = taps['norm'] = norm(x.mean((1, 2)), 'head.norm')
        return {**taps, 'features': x.astype(jnp.promote_types(self.dtype, jnp.float32))}


def convnext(
    size: str = 'tiny',
    mode: str = 'torch',
    drop_path: float = 0.0,
    stored: StoredStatistics | None = None,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """ConvNeXt up to global average pooling and the last normalisation: 768 features for Tiny.

    Inputs are pictures in [0, 1], (n, h, w, 3), of 32x32 pixels or more. The groups are the stem,
    each block, the convolution before each of the stages 2 to 4, and the last normalisation.

    Args:
        size: 'tiny', 'small', 'base', 'large' or 'xlarge'.
        mode: preprocessing of the pictures, as `nn.preprocessing.preprocess` has it.
        drop_path: rate of stochastic depth in the last block; it grows linearly from 0. Published
            for fine-tuning: 0.1 to 0.4.
        stored: unused, since the network has no BatchNorm.
        dtype: of the computation; parameters and features are float32 or wider.

    Raises:
        UserError: for another size.

    >>> convnext().dim, convnext('xlarge').dim
    (768, 2048)
    """
    if size not in SIZES:
        raise UserError(f'net.size={size!r} is no ConvNeXt: {nearest_name(size, SIZES)}')
    depths, width = SIZES[size]
    groups = {'stem': r'stem\..*'}
    for s, depth in enumerate(depths):
        if s:
            groups[f'down{s + 1}'] = rf'stages\.{s}\.downsample\..*'
        for i in range(depth):
            groups[f'stage{s + 1}_block{i + 1}'] = rf'stages\.{s}\.blocks\.{i}/.*'
    groups['norm'] = r'head\.norm/.*'
    module = _ConvNeXt(depths, width, mode, drop_path, dtype)
    return net(module, 8 * width, groups, {'name': f'convnext_{size}'})
