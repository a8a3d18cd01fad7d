"""A perceptron above the features: the decoder of an autoencoder, the projector of SimCLR."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from tljax.core import Tree
from tljax.nn.layers import Dense, apply_stateless


class Perceptron(nn.Module):
    """A hidden layer with ReLU, and a linear layer: (n, d) -> (n, outputs).

    Attributes:
        width: of the hidden layer; 0 for none.
        outputs: number of outputs.

    >>> perceptron = Perceptron(width=0, outputs=1)
    >>> params = {'out': {'kernel': jnp.ones((2, 1)), 'bias': jnp.ones(1)}}
    >>> perceptron.outputs_of(params, jnp.array([[1.0, 2.0]])).tolist()
    [[4.0]]
    """

    width: int
    outputs: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        if self.width:
            x = nn.relu(Dense(self.width, name='hidden')(x))
        return Dense(self.outputs, name='out')(x)

    def start(self, key: jax.Array, dim: int) -> Tree:
        """Draws the parameters.

        Args:
            key: random key.
            dim: number of inputs.
        """
        return self.init(key, jnp.zeros((1, dim)))['params']

    def outputs_of(self, params: Tree, x: jax.Array) -> jax.Array:
        """Returns the outputs for rows, (n, outputs).

        Args:
            params: as `start` draws them.
            x: rows, (n, d).
        """
        return apply_stateless(self, params, x)
