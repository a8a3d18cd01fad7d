"""CLIP: Radford et al. 2021, section 2 (https://arxiv.org/abs/2103.00020). Two transformers map
pictures and texts into one space, where a picture is near to the texts that describe it.

The tower for pictures is a network like the others. The tower for texts takes tokens, and makes the
head of a classifier without training (`zoo.weights.zero_shot`).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net, UserError, nearest_name
from tljax.kernels import unit
from tljax.nn.layers import Dense, LayerNorm, net
from tljax.nn.transformer import Transformer
from tljax.protocols import StoredStatistics
from tljax.zoo.families import vit

# size: (width, number of blocks, heads, number of features)
SIZES = {
    'base': (*vit.SIZES['base'], 512),
    'large': (*vit.SIZES['large'], 768),
    'huge': (*vit.SIZES['huge'], 1024),
}
ACTIVATIONS = ('quick_gelu', 'gelu')
HEAD = 64  # numbers of a token that one attention head of the tower for texts sees
EPSILON = 1e-5  # of the normalisations


def clip(
    size: str = 'base',
    patch: int = 32,
    trained: int = 224,
    activation: str = 'quick_gelu',
    mode: str = 'clip',
    drop_path: float = 0.0,
    stored: StoredStatistics | None = None,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """CLIP's tower for pictures: 512 features of length 1 for the base size.

    Inputs are pictures in [0, 1], (n, h, w, 3), of any size: the embeddings of positions are
    resized, and zeros complete the last patches. The groups are the embeddings, each block, the
    last normalisation, and the projection to the features.

    Args:
        size: 'base', 'large' or 'huge'.
        patch: side of a patch, pixels.
        trained: side of the pictures whose patches have embeddings of their own, pixels.
        activation: 'quick_gelu' for OpenAI's weights; 'gelu' for most of open_clip's own, such as
            those trained on LAION.
        mode: preprocessing of the pictures, as `nn.preprocessing.preprocess` has it.
        drop_path: rate of stochastic depth in the last block; it grows linearly from 0.
        stored: unused, since the network has no BatchNorm.
        dtype: of the computation; parameters and features are float32 or wider.

    Raises:
        UserError: for another size or activation, and a patch that does not divide the trained
            side.

    >>> clip().dim, clip('large', patch=14).dim, list(clip().groups)[-2:]
    (512, 768, ['norm', 'projection'])
    """
    if size not in SIZES:
        raise UserError(f'net.size={size!r} is no CLIP: {nearest_name(size, SIZES)}')
    if activation not in ACTIVATIONS:
        raise UserError(
            f'net.activation={activation!r} is unknown: {nearest_name(activation, ACTIVATIONS)}'
        )
    vit.refuse_patch(patch, trained)
    width, depth, heads, dim = SIZES[size]
    module = vit.VisionTransformer(
        width,
        depth,
        heads,
        patch,
        trained,
        mode,
        normed_embedding=True,
        activation=activation,
        epsilon=EPSILON,
        projection=dim,
        drop_path=drop_path,
        dtype=dtype,
    )
    return net(module, dim, {**vit.groups(depth), 'projection': 'projection/.*'})


class TextTower(nn.Module):
    """CLIP's tower for texts: a causal transformer, whose output at a text's end is its embedding.

    Args:
        vocabulary: number of tokens that there are.
        context: number of tokens that a text may have.
        width: numbers of a token.
        depth: number of blocks.
        dim: numbers of an embedding.
        activation: of the blocks, as `clip` has it.
        dtype: of the computation; parameters and embeddings are float32 or wider.

    Source:
        Radford et al. 2021, section 2.4, https://arxiv.org/abs/2103.00020

    >>> tower = TextTower(vocabulary=9, context=7, width=64, depth=1, dim=3)
    >>> tokens, ends = jnp.array([[7, 2, 8, 0], [7, 3, 4, 8]]), jnp.array([2, 3])
    >>> jax.eval_shape(tower.init_with_output, jax.random.key(0), tokens, ends)[0].shape
    (2, 3)
    """

    vocabulary: int = 49408
    context: int = 77
    width: int = 512
    depth: int = 12
    dim: int = 512
    activation: str = 'quick_gelu'
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, tokens: jax.Array, ends: jax.Array) -> jax.Array:
        """Returns embeddings of length 1, (n, dim).

        What follows the end of a text does not change its embedding.

        Args:
            tokens: (n, t) numbers of tokens, with t up to `context`.
            ends: (n,) place of each text's end token.
        """
        normal = nn.initializers.normal
        table = self.param('token_embedding', normal(0.02), (self.vocabulary, self.width))
        positions = self.param('positional_embedding', normal(0.01), (self.context, self.width))
        x = (table[tokens] + positions[: tokens.shape[1]]).astype(self.dtype)
        for i in range(self.depth):
            x = Transformer(
                max(1, self.width // HEAD),
                self.activation,
                EPSILON,
                causal=True,
                dtype=self.dtype,
                name=f'blocks.{i}',
            )(x)
        x = LayerNorm(EPSILON, self.dtype, name='norm')(x[jnp.arange(x.shape[0]), ends])
        x = Dense(self.dim, use_bias=False, dtype=self.dtype, name='projection')(x)
        return unit(x.astype(jnp.promote_types(self.dtype, jnp.float32)))
