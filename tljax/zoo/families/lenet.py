"""LeNet, the small network of digit adaptation: 5x5 convolutions with 2x2 max pooling, then dense
layers.

Source: LeCun et al. 1998. Ganin et al. 2016, figure 4, and Tzeng et al. 2017, section 5.1, use it
for adaptation.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net, UserError
from tljax.nn.layers import BatchNorm, Conv, Dense, max_pool, net
from tljax.nn.taps import tap
from tljax.protocols import StoredStatistics


class _LeNet(nn.Module):
    widths: tuple
    dense: tuple
    norm: str
    dropout: float
    stored: StoredStatistics | None
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        taps = {}
        for i, width in enumerate(self.widths, 1):
            x = Conv(
                width,
                (5, 5),
                padding='VALID',
                use_bias=self.norm == 'none',
                dtype=self.dtype,
                name=f'conv{i}',
            )(x)
            if self.norm == 'batch':
                x = BatchNorm(momentum=0.9, stored=self.stored, dtype=self.dtype, name=f'norm{i}')(
                    x, train, pool=max_pool
                )
            else:
                x = max_pool(x)
            x = nn.relu(x)
            x = taps[f'block{i}'] = tap(f'block{i}', x)
        x = x.reshape(x.shape[0], -1)
        for i, width in enumerate(self.dense, 1):
            if self.dropout:
                x = nn.Dropout(self.dropout, deterministic=not train)(x)
            x = Dense(width, use_bias=self.norm == 'none', dtype=self.dtype, name=f'dense{i}')(x)
            if self.norm == 'batch':
                x = BatchNorm(momentum=0.9, stored=self.stored, dtype=self.dtype, name=f'normd{i}')(
                    x, train
                )
            x = nn.relu(x)
            x = taps[f'dense{i}'] = tap(f'dense{i}', x)
        return {**taps, 'features': x.astype(jnp.promote_types(self.dtype, jnp.float32))}


def lenet(
    widths: Sequence[int] = (20, 50),
    dense: Sequence[int] = (500,),
    size: int = 28,
    norm: str = 'none',
    dropout: float = 0.0,
    stored: StoredStatistics | None = None,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """LeNet up to its last dense layer: features (n, dense[-1]) of pictures (n, size, size,
    channels).

    Args:
        widths: number of channels of each convolution.
        dense: number of units of each dense layer; empty for no dense layer. The features are then
            the last convolution's map, flattened.
        size: side of the pictures, pixels.
        norm: 'none' as published, or 'batch' for BatchNorm before every ReLU.
        dropout: dropout rate before every dense layer.
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    Raises:
        UserError: for another normalisation, and for pictures too small for the convolutions.

    >>> lenet().dim, list(lenet().groups)
    (500, ['block1', 'block2', 'dense1'])
    """
    if norm not in ('none', 'batch'):
        raise UserError(f'net.norm={norm!r} is not none or batch')
    side = size
    for _ in widths:
        side = (side - 4) // 2
    if side < 1:
        raise UserError(
            f'net.size={size} leaves nothing after {len(widths)} convolutions of 5x5 and poolings: '
            'take fewer or larger inputs'
        )
    groups = {
        **{f'block{i}': f'(conv|norm){i}/.*' for i in range(1, len(widths) + 1)},
        **{f'dense{i}': f'(dense|normd){i}/.*' for i in range(1, len(dense) + 1)},
    }
    dim = dense[-1] if dense else side * side * widths[-1]
    return net(_LeNet(tuple(widths), tuple(dense), norm, dropout, stored, dtype), dim, groups)
