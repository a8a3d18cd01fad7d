"""A multilayer perceptron: dense layers and a nonlinearity, on the last axis of its input."""
import flax.linen as nn
import jax.numpy as jnp

from tljax.core import Refused
from tljax.layers import net


class _MLP(nn.Module):
    widths: tuple
    activation: str
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x, train):
        x, taps = x.reshape(len(x), -1), {}
        for i, width in enumerate(self.widths, 1):
            taps[f'layer{i}'] = (x := getattr(nn, self.activation)(nn.Dense(width, dtype=self.dtype, name=f'dense{i}')(x)))
        return {**taps, 'features': x.astype(jnp.promote_types(x.dtype, 'float32'))}


def mlp(widths=(40, 40), activation='relu', form='plain', stored=None, dtype=jnp.float32):
    """Features (n, widths[-1]) of inputs (n, ...), which are flattened; the default is the network of MAML's sine regression.

    Args:
        widths: units of each layer. activation: 'relu', 'sigmoid' or 'tanh'. form, stored: taken as by every network, for nothing.

    >>> mlp((5, 3)).dim, list(mlp((5, 3)).groups)
    (3, ['layer1', 'layer2'])
    """
    if activation not in ('relu', 'sigmoid', 'tanh'):
        raise Refused(f'net.activation={activation!r} is not relu, sigmoid or tanh')
    groups = {f'layer{i}': f'dense{i}/.*' for i in range(1, len(widths) + 1)}
    return net(_MLP(tuple(widths), activation, dtype), widths[-1], groups)
