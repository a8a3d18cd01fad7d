"""Vision transformer: Dosovitskiy et al. 2021, section 3.1 (https://arxiv.org/abs/2010.11929), with
timm's layer names.

A picture is a sequence of patches, each embedded as a vector, to which an embedding of its position
is added. DeiT (Touvron et al. 2021) has the same networks with other weights. DINOv2 (Oquab et al.
2024) scales the branches and may have registers, tokens without a meaning (Darcet et al. 2024).
CLIP's tower for pictures (`clip.py`) normalises the embeddings as well.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net, UserError, nearest_name
from tljax.kernels import unit
from tljax.nn.layers import Conv, Dense, LayerNorm, net
from tljax.nn.preprocessing import preprocess
from tljax.nn.taps import tap
from tljax.nn.transformer import Transformer
from tljax.protocols import StoredStatistics

# size: (width, number of blocks, heads)
SIZES = {
    'tiny': (192, 12, 3),
    'small': (384, 12, 6),
    'base': (768, 12, 12),
    'large': (1024, 24, 16),
    'huge': (1280, 32, 16),
}
POOLS = ('token', 'mean', 'mean_of_normed')


class VisionTransformer(nn.Module):
    """The transformer of `vit` and of CLIP's tower for pictures.

    Args:
        width: numbers of a token.
        depth: number of blocks.
        heads: attention heads of a block.
        patch: side of a patch, pixels.
        trained: side of the pictures whose patches have embeddings of their own, pixels.
        mode: preprocessing of the pictures, as `nn.preprocessing.preprocess` has it.
        pool: as `vit` has it.
        layer_scale: as `vit` has it.
        registers: as `vit` has it.
        normed_embedding: whether the embeddings are normalised; those of patches then have no bias.
        activation: of the blocks, 'gelu' or 'quick_gelu'.
        epsilon: of the normalisations.
        projection: number of features, which are a linear map of the last normalisation's output,
            divided by their length; 0: the features are that output.
        drop_path: as `vit` has it.
        dtype: of the computation.

    >>> module = VisionTransformer(8, depth=1, heads=2, patch=2, trained=4, projection=3)
    >>> output, _ = jax.eval_shape(
    ...     lambda x: module.init_with_output(jax.random.key(0), x, False), jnp.ones((1, 4, 4, 3))
    ... )
    >>> {name: tap.shape for name, tap in output.items()}
    {'block1': (1, 5, 8), 'embedding': (1, 5, 8), 'features': (1, 3), 'norm': (1, 8), ...}
    """

    width: int
    depth: int
    heads: int
    patch: int
    trained: int
    mode: str = 'tf'
    pool: str = 'token'
    layer_scale: float | None = None
    registers: int = 0
    normed_embedding: bool = False
    activation: str = 'gelu'
    epsilon: float = 1e-6
    projection: int = 0
    drop_path: float = 0.0
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> dict[str, jax.Array]:
        x = self._embed(preprocess(x, self.mode))
        if self.normed_embedding:
            x = LayerNorm(self.epsilon, self.dtype, name='norm_pre')(x)
        taps = {'embedding': x}
        for i in range(self.depth):
            x = Transformer(
                self.heads,
                self.activation,
                self.epsilon,
                self.layer_scale,
                drop_path=self.drop_path * i / max(1, self.depth - 1),
                dtype=self.dtype,
                name=f'blocks.{i}',
            )(x, train)
            x = taps[f'block{i + 1}'] = tap(f'block{i + 1}', x)
        first = 1 + self.registers  # the first patch
        if self.pool == 'token':
            x = LayerNorm(self.epsilon, self.dtype, name='norm')(x[:, 0])
        elif self.pool == 'mean':
            x = LayerNorm(self.epsilon, self.dtype, name='fc_norm')(x[:, first:].mean(1))
        else:
            x = LayerNorm(self.epsilon, self.dtype, name='norm')(x[:, first:]).mean(1)
        x = taps['norm'] = tap('norm', x)
        if self.projection:
            x = Dense(self.projection, use_bias=False, dtype=self.dtype, name='projection')(x)
            x = taps['projection'] = tap('projection', x)
        x = x.astype(jnp.promote_types(self.dtype, jnp.float32))
        return {**taps, 'features': unit(x) if self.projection else x}

    def _embed(self, x):
        """Tokens (n, t, width) of pictures: the class token, registers, and patches."""
        n, sides = x.shape[0], [side % self.patch for side in x.shape[1:3]]
        if any(sides):  # zeros complete the patches at the right and at the bottom
            low, right = ((self.patch - side) % self.patch for side in sides)
            x = jnp.pad(x, ((0, 0), (0, low), (0, right), (0, 0)))
        x = Conv(
            self.width,
            (self.patch, self.patch),
            (self.patch, self.patch),
            'VALID',
            use_bias=not self.normed_embedding,
            dtype=self.dtype,
            name='patch_embed.proj',
        )(x)
        grid, side = (x.shape[1], x.shape[2]), self.trained // self.patch
        own = 0 if self.registers else 1  # tokens with an embedding that are no patches
        normal = nn.initializers.normal(0.02)
        positions = self.param('pos_embed', normal, (1, own + side * side, self.width))
        of_patches = resized(positions[:, own:].reshape(side, side, self.width), grid)
        token = self.param('cls_token', normal, (1, 1, self.width))
        tokens = [token + positions[:, :own].sum(1, keepdims=True)]
        if self.registers:
            tokens.append(self.param('reg_token', normal, (1, self.registers, self.width)))
        prefix = jnp.concatenate(tokens, 1).astype(self.dtype)
        x = (x + of_patches.astype(self.dtype)).reshape(n, -1, self.width)
        return jnp.concatenate([jnp.broadcast_to(prefix, (n, *prefix.shape[1:])), x], 1)


def resized(positions: jax.Array, grid: tuple[int, ...]) -> jax.Array:
    """Returns embeddings of positions for another grid of patches, bicubic, without aliasing.

    Args:
        positions: (rows, columns, width).
        grid: numbers of rows and columns.

    >>> resized(jnp.ones((2, 2, 1)), (3, 5)).shape
    (3, 5, 1)
    """
    if positions.shape[:2] == tuple(grid):
        return positions
    return jax.image.resize(positions, (*grid, positions.shape[-1]), 'cubic', antialias=True)


def vit(
    size: str = 'small',
    patch: int = 16,
    trained: int = 224,
    pool: str = 'token',
    layer_scale: float | None = None,
    registers: int = 0,
    mode: str = 'tf',
    drop_path: float = 0.0,
    stored: StoredStatistics | None = None,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """Vision transformer up to the last normalisation: 384 features for the small one.

    Inputs are pictures in [0, 1], (n, h, w, 3), of any size: the embeddings of positions are
    resized, and zeros complete the last patches. The groups are the embeddings, each block, and the
    last normalisation.

    Args:
        size: 'tiny', 'small', 'base', 'large' or 'huge'.
        patch: side of a patch, pixels.
        trained: side of the pictures whose patches have embeddings of their own, pixels.
        pool: 'token' takes the class token; 'mean' averages the patches, then normalises, as timm's
            networks with average pooling; 'mean_of_normed' normalises each patch, then averages, as
            timm's `reset_classifier` has it.
        layer_scale: start of the factors on each branch's channels, as DINOv2 has them (1e-5);
            None: without factors.
        registers: number of tokens without a meaning, as DINOv2 may have them (4); with them the
            class token has no embedding of its position.
        mode: preprocessing of the pictures, as `nn.preprocessing.preprocess` has it.
        drop_path: rate of stochastic depth in the last block; it grows linearly from 0.
        stored: unused, since the network has no BatchNorm.
        dtype: of the computation; parameters and features are float32 or wider.

    Raises:
        UserError: for another size or pooling, and a patch that does not divide the trained side.

    >>> vit().dim, vit('large').dim, len(vit('large').groups)
    (384, 1024, 26)
    """
    if size not in SIZES:
        raise UserError(f'net.size={size!r} is no ViT: {nearest_name(size, SIZES)}')
    if pool not in POOLS:
        raise UserError(f'net.pool={pool!r} is unknown: {nearest_name(pool, POOLS)}')
    refuse_patch(patch, trained)
    width, depth, heads = SIZES[size]
    module = VisionTransformer(
        width,
        depth,
        heads,
        patch,
        trained,
        mode,
        pool,
        layer_scale,
        registers,
        drop_path=drop_path,
        dtype=dtype,
    )
    return net(module, width, groups(depth))


def refuse_patch(patch: int, trained: int) -> None:
    """Refuses a patch that does not divide the pictures.

    Args:
        patch: side of a patch, pixels.
        trained: side of the pictures, pixels.

    Raises:
        UserError: it does not.

    >>> refuse_patch(16, 100)
    Traceback (most recent call last):
    tljax.core.UserError: net.patch=16 does not divide net.trained=100: take 16 and 224, say
    """
    if patch < 1 or trained % patch or trained < patch:
        raise UserError(
            f'net.patch={patch} does not divide net.trained={trained}: take 16 and 224, say'
        )


def groups(depth: int) -> dict[str, str]:
    """Returns the groups of a `VisionTransformer` without a projection, as `Net.groups`.

    Args:
        depth: number of blocks.

    >>> list(groups(2))
    ['embedding', 'block1', 'block2', 'norm']
    """
    return {
        'embedding': r'(patch_embed\.proj/.*|pos_embed|cls_token|reg_token|norm_pre/.*)',
        **{f'block{i + 1}': rf'blocks\.{i}/.*' for i in range(depth)},
        'norm': '(norm|fc_norm)/.*',
    }
