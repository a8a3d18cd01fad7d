"""Transformer blocks with pre-normalisation, which ViT and CLIP are made of, with timm's names."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.nn.apart import branch
from tljax.nn.layers import Dense, DropPath, LayerNorm, gelu


def quick_gelu(x: jax.Array) -> jax.Array:
    """Returns x * sigmoid(1.702 x), OpenAI's approximation of GELU.

    Args:
        x: of any shape.

    >>> quick_gelu(jnp.array([0.0, 10.0])).tolist()
    [0.0, 10.0]
    """
    return x * nn.sigmoid(1.702 * x)


class Transformer(nn.Module):
    """A block: self-attention and two dense layers, each on normalised inputs and with a shortcut.

    Args:
        heads: number of attention heads.
        activation: between the two dense layers: 'gelu' or 'quick_gelu'.
        epsilon: of the normalisations.
        layer_scale: start of the factors on each branch's channels; None: without factors.
        causal: whether a token attends to those before it and itself alone.
        drop_path: rate of stochastic depth, 0 to 1.
        dtype: of the computation.

    Source:
        Dosovitskiy et al. 2021, equations 2 and 3, https://arxiv.org/abs/2010.11929; factors:
        Touvron et al. 2021, equation 4, https://arxiv.org/abs/2103.17239

    >>> block, x = Transformer(heads=2), jnp.ones((1, 5, 8))
    >>> output, variables = jax.eval_shape(block.init_with_output, jax.random.key(0), x)
    >>> output.shape, variables['params']['attn.qkv']['kernel'].shape
    ((1, 5, 8), (8, 24))
    """

    heads: int
    activation: str = 'gelu'
    epsilon: float = 1e-6
    layer_scale: float | None = None
    causal: bool = False
    drop_path: float = 0.0
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        def dense(y, width, name):
            init = nn.initializers.truncated_normal(0.02)
            return Dense(width, dtype=self.dtype, kernel_init=init, name=name)(y)

        def residual(x, y, name):
            if self.layer_scale is not None:
                start = nn.initializers.constant(self.layer_scale)
                y = y * self.param(f'{name}.gamma', start, x.shape[-1:]).astype(self.dtype)
            return x + DropPath(self.drop_path)(y, train)

        width = x.shape[-1]
        x, y = branch(x)
        y = dense(LayerNorm(self.epsilon, self.dtype, name='norm1')(y), 3 * width, 'attn.qkv')
        q, k, v = jnp.split(y.reshape(*x.shape[:2], 3, self.heads, width // self.heads), 3, 2)
        y = jax.nn.dot_product_attention(q[:, :, 0], k[:, :, 0], v[:, :, 0], is_causal=self.causal)
        x = residual(x, dense(y.reshape(x.shape), width, 'attn.proj'), 'ls1')
        x, y = branch(x)
        y = dense(LayerNorm(self.epsilon, self.dtype, name='norm2')(y), 4 * width, 'mlp.fc1')
        y = gelu(y) if self.activation == 'gelu' else quick_gelu(y)
        return residual(x, dense(y, width, 'mlp.fc2'), 'ls2')
