"""The multilayer perceptron: dense layers, each with a nonlinearity."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net, UserError
from tljax.nn.layers import BatchNorm, Dense, net
from tljax.nn.taps import tap
from tljax.protocols import StoredStatistics


class _MLP(nn.Module):
    widths: tuple
    activation: str
    norm: str
    stored: StoredStatistics | None
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        x, taps = x.reshape(x.shape[0], -1), {}
        for i, width in enumerate(self.widths, 1):
            x = Dense(width, use_bias=self.norm == 'none', dtype=self.dtype, name=f'dense{i}')(x)
            if self.norm == 'batch':
                x = BatchNorm(momentum=0.9, stored=self.stored, dtype=self.dtype, name=f'norm{i}')(
                    x, train
                )
            x = getattr(nn, self.activation)(x)
            x = taps[f'layer{i}'] = tap(f'layer{i}', x)
        return {**taps, 'features': x.astype(jnp.promote_types(x.dtype, 'float32'))}


def mlp(
    widths: Sequence[int] = (40, 40),
    activation: str = 'relu',
    norm: str = 'none',
    stored: StoredStatistics | None = None,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """Multilayer perceptron on flattened inputs: features (n, widths[-1]) of inputs (n, ...).

    The default is the network of MAML's sine regression.

    Args:
        widths: number of units of each layer.
        activation: 'relu', 'sigmoid' or 'tanh'.
        norm: 'none', or 'batch' for BatchNorm before every activation.
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    Raises:
        UserError: for another activation or normalisation.

    >>> mlp((5, 3)).dim, list(mlp((5, 3)).groups)
    (3, ['layer1', 'layer2'])
    """
    if activation not in ('relu', 'sigmoid', 'tanh'):
        raise UserError(f'net.activation={activation!r} is not relu, sigmoid or tanh')
    if norm not in ('none', 'batch'):
        raise UserError(f'net.norm={norm!r} is not none or batch')
    groups = {f'layer{i}': f'(dense|norm){i}/.*' for i in range(1, len(widths) + 1)}
    return net(_MLP(tuple(widths), activation, norm, stored, dtype), widths[-1], groups)
