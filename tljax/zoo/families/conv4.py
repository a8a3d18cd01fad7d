"""Conv-4, the four-block convolutional network of few-shot learning: Vinyals et al. 2016, section
4.1 (https://arxiv.org/abs/1606.04080)."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net, UserError
from tljax.nn.layers import BatchNorm, Conv, max_pool, net
from tljax.nn.taps import tap
from tljax.protocols import StoredStatistics


class _Conv4(nn.Module):
    widths: tuple
    norm: str
    stored: StoredStatistics | None
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        taps = {}
        for i, width in enumerate(self.widths, 1):
            x = Conv(width, dtype=self.dtype, name=f'conv{i}')(x)
            if self.norm == 'batch':
                x = nn.relu(
                    BatchNorm(momentum=0.9, stored=self.stored, dtype=self.dtype, name=f'norm{i}')(
                        x, train, pool=max_pool
                    )
                )
            else:
                x = max_pool(
                    nn.relu(nn.GroupNorm(num_groups=1, dtype=self.dtype, name=f'norm{i}')(x))
                )
            x = taps[f'block{i}'] = tap(f'block{i}', x)
        return {
            **taps,
            'features': x.reshape(x.shape[0], -1).astype(
                jnp.promote_types(self.dtype, jnp.float32)
            ),
        }


def conv4(
    width: int | Sequence[int] = 64,
    size: int = 16,
    blocks: int = 4,
    norm: str = 'batch',
    stored: StoredStatistics | None = None,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """Conv-4: blocks of a 3x3 convolution, BatchNorm, ReLU and 2x2 max pooling.

    The features are the last block's map, flattened.

    Args:
        width: number of channels of every block, or a sequence with one number per block.
        size: side of the input, pixels.
        blocks: number of blocks; unused where `width` is a sequence.
        norm: 'batch' as published, or 'layer', which normalises each example separately (group
            normalisation with one group, Wu and He 2018). 'layer' is better with few labels,
            because a batch then repeats the same examples.
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    Raises:
        UserError: for another normalisation, a block without channels, and inputs too small for
            the poolings.

    >>> conv4(width=32, size=28).dim  # one position of 32 channels is left of 28x28 pixels
    32
    """
    if norm not in ('batch', 'layer'):
        raise UserError(f'net.norm={norm!r} is not batch or layer')
    widths = (width,) * blocks if isinstance(width, int) else tuple(width)
    if not widths or min(widths) < 1:
        raise UserError(f'net.width={width}: give channels of a block or more, each 1 or more')
    if size < 2 ** len(widths):
        raise UserError(
            f'net.size={size} leaves nothing after {len(widths)} poolings: take fewer blocks or '
            'larger inputs'
        )
    groups = {f'block{i}': f'(conv|norm){i}/.*' for i in range(1, len(widths) + 1)}
    return net(
        _Conv4(widths, norm, stored, dtype),
        widths[-1] * (size // 2 ** len(widths)) ** 2,
        groups,
    )
