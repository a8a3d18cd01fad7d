"""Residual networks for CIFAR's small pictures: He et al. 2016, section 4.2
(https://arxiv.org/abs/1512.03385)."""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net, UserError
from tljax.nn.layers import BatchNorm, Conv, net
from tljax.nn.taps import tap
from tljax.protocols import StoredStatistics


class _ResNet(nn.Module):
    blocks: int
    width: int
    stored: StoredStatistics | None
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        def conv_bn(x, width, name, strides=(1, 1), kernel=(3, 3)):
            x = Conv(width, kernel, strides, dtype=self.dtype, name=f'{name}_conv')(x)
            return BatchNorm(momentum=0.9, stored=self.stored, dtype=self.dtype, name=f'{name}_bn')(
                x, train
            )

        x = nn.relu(conv_bn(x, self.width, 'stem'))
        taps = {'stem': x}
        for stage in range(1, 4):
            for block in range(self.blocks):
                name, width = f'stage{stage}_block{block}', self.width * 2 ** (stage - 1)
                strides = (2, 2) if stage > 1 and block == 0 else (1, 1)
                y = nn.relu(conv_bn(x, width, f'{name}_1', strides))
                y = conv_bn(y, width, f'{name}_2')
                if x.shape != y.shape:
                    x = conv_bn(x, width, f'{name}_shortcut', strides, (1, 1))
                x = nn.relu(x + y)
            x = taps[f'stage{stage}'] = tap(f'stage{stage}', x)
        return {
            **taps,
            'features': x.mean((1, 2)).astype(jnp.promote_types(self.dtype, jnp.float32)),
        }


def cifar_resnet(
    depth: int = 20,
    width: int = 16,
    stored: StoredStatistics | None = None,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """CIFAR ResNet up to global average pooling: 4 * width features of pictures (n, h, w, c).

    The network has three stages of (depth - 2) / 6 residual blocks, with maps of full, half and
    quarter size. Shortcuts that change the shape are 1x1 convolutions (option B of the paper).

    Args:
        depth: number of layers, 6 n + 2: 8, 14, 20, 32, 44, 56, 110, ...
        width: number of channels of the first stage.
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    Raises:
        UserError: for a depth that is not 6 n + 2.

    >>> cifar_resnet(depth=20, width=16).dim
    64
    """
    if depth < 8 or (depth - 2) % 6:
        raise UserError(f'net.depth={depth} is not 6 n + 2: take 8, 14, 20, 32, 44 or 56')
    groups = {name: f'{name}_.*' for name in ('stem', 'stage1', 'stage2', 'stage3')}
    return net(_ResNet((depth - 2) // 6, width, stored, dtype), 4 * width, groups)
