"""CLIP's tensors by name: those of open_clip (and of OpenAI), of Hugging Face's transformers, and
of timm, which has the tower for pictures alone.

The tower for pictures has timm's names here. The names of the tower for texts begin with `text.`
and go on as timm's.
"""

import re
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from tljax.protocols import Tree
from tljax.zoo.families.clip import TextTower
from tljax.zoo.weights.names import Convention, Tensors, fused_attention, renamed, unwrapped

WHY = "CLIP's is made of the names of classes: --classes"  # why a file of CLIP has no head


def as_in_timm(tensors: Mapping[str, np.ndarray]) -> Tensors:
    """Returns CLIP's tensors by the names of this module, with PyTorch's order of axes.

    Args:
        tensors: {name: tensor}.

    >>> for name, tensor in as_in_timm(
    ...     {
    ...         'visual.conv1.weight': np.zeros((8, 3, 2, 2)),
    ...         'visual.proj': np.zeros((8, 5)),
    ...         'ln_final.bias': np.zeros(8),
    ...     }
    ... ).items():
    ...     print(name, tensor.shape)
    patch_embed.proj.weight (8, 3, 2, 2)
    projection.weight (5, 8)
    text.norm.bias (8,)
    """
    return {
        name: tensor.reshape(AXES[name](tensor.shape)) if name in AXES else tensor
        for name, tensor in renamed(unwrapped(tensors), CONVENTIONS).items()
    }


# name -> shape here of a tensor that libraries store with more or fewer axes of length 1
AXES = {
    'cls_token': lambda shape: (1, 1, *shape[-1:]),
    'pos_embed': lambda shape: (1, *shape[-2:]),
    'text.logit_scale': lambda shape: () if np.prod(shape) == 1 else shape,
}


def text_shapes(tensors: Mapping[str, np.ndarray], dim: int) -> Tree:
    """Returns the shapes of the parameters for texts: {'text': those of the tower, and the scale}.

    The scale is the logarithm of the factor on the similarities. The tower has the size that the
    tensors tell, or the usual one. A file of the tower for pictures alone has none of this.

    Args:
        tensors: {name: tensor} by the names of this module.
        dim: numbers of an embedding.

    >>> text_shapes({}, 512)
    {}
    >>> text_shapes({'text.norm.bias': np.zeros(512)}, 512)['text']['token_embedding'].shape
    (49408, 512)
    """
    if not any(name.startswith('text.') for name in tensors):
        return {}
    vocabulary, width = _matrix(tensors, 'token_embedding', (49408, dim))
    context, width = _matrix(tensors, 'positional_embedding', (77, width))
    blocks = [re.match(r'text\.blocks\.(\d+)\.', name) for name in tensors]
    depth = max([int(match[1]) + 1 for match in blocks if match], default=12)
    tower = TextTower(vocabulary, context, width, depth, dim)
    tokens, ends = (jax.ShapeDtypeStruct(shape, jnp.int32) for shape in ((1, 1), (1,)))
    params = jax.eval_shape(tower.init, jax.random.key(0), tokens, ends)['params']
    return {'text': {**params, 'logit_scale': jax.ShapeDtypeStruct((), jnp.float32)}}


def _matrix(tensors, name, usual):
    """The shape of a matrix of the tower for texts; `usual` where there is no such matrix."""
    shape = np.shape(tensors.get(f'text.{name}', ()))
    return shape if len(shape) == 2 else usual


def _transposed(tensors: Tensors) -> Tensors:
    """Gives open_clip's projections, which are (in, out), the order of a dense layer."""
    return {
        name: tensor.T if name in ('visual.proj', 'text_projection') else tensor
        for name, tensor in tensors.items()
    }


def _joined(tensors: Tensors) -> Tensors:
    """Joins query, key and value of Hugging Face's files."""
    return fused_attention(tensors, ('q_proj', 'k_proj', 'v_proj'))


def _without_zeros(tensors: Tensors) -> Tensors:
    """Drops the bias of zeros that timm adds to the projection."""
    if np.any(tensors.get('head.bias', 0)):
        return tensors
    return {name: tensor for name, tensor in tensors.items() if name != 'head.bias'}


def _blocks(theirs: str, ours: str, layers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Rules for the layers of a tower's blocks: {regex below the block: name below the block}."""
    return tuple(
        (
            rf'{theirs}\.(?P<i>\d+)\.{layer}(?P<leaf>weight|bias)',
            f'{ours}blocks.{{i}}.{name}.{{leaf}}',
        )
        for layer, name in layers.items()
    )


_OPEN_CLIP = {
    r'ln_1\.': 'norm1',
    r'ln_2\.': 'norm2',
    r'attn\.in_proj_': 'attn.qkv',
    r'attn\.out_proj\.': 'attn.proj',
    r'mlp\.c_fc\.': 'mlp.fc1',
    r'mlp\.c_proj\.': 'mlp.fc2',
}
_HUGGING_FACE = {
    r'layer_norm1\.': 'norm1',
    r'layer_norm2\.': 'norm2',
    r'self_attn\.q_proj\.': 'attn.qkv',
    r'self_attn\.out_proj\.': 'attn.proj',
    r'mlp\.fc1\.': 'mlp.fc1',
    r'mlp\.fc2\.': 'mlp.fc2',
}
CONVENTIONS = (
    Convention(  # open_clip
        r'visual\.(conv1\.weight|class_embedding|proj)',
        (
            (r'visual\.conv1\.weight', 'patch_embed.proj.weight'),
            (r'visual\.class_embedding', 'cls_token'),
            (r'visual\.positional_embedding', 'pos_embed'),
            (r'visual\.ln_pre\.(?P<leaf>\w+)', 'norm_pre.{leaf}'),
            (r'visual\.ln_post\.(?P<leaf>\w+)', 'norm.{leaf}'),
            (r'visual\.proj', 'projection.weight'),
            *_blocks(r'visual\.transformer\.resblocks', '', _OPEN_CLIP),
            (r'token_embedding\.weight', 'text.token_embedding'),
            (r'positional_embedding', 'text.positional_embedding'),
            (r'ln_final\.(?P<leaf>\w+)', 'text.norm.{leaf}'),
            (r'text_projection', 'text.projection.weight'),
            (r'logit_scale', 'text.logit_scale'),
            *_blocks(r'transformer\.resblocks', 'text.', _OPEN_CLIP),
        ),
        _transposed,
    ),
    Convention(  # Hugging Face
        r'vision_model\.embeddings\..*',
        (
            (r'vision_model\.embeddings\.patch_embedding\.weight', 'patch_embed.proj.weight'),
            (r'vision_model\.embeddings\.class_embedding', 'cls_token'),
            (r'vision_model\.embeddings\.position_embedding\.weight', 'pos_embed'),
            (r'vision_model\.pre_layrnorm\.(?P<leaf>\w+)', 'norm_pre.{leaf}'),
            (r'vision_model\.post_layernorm\.(?P<leaf>\w+)', 'norm.{leaf}'),
            (r'visual_projection\.weight', 'projection.weight'),
            *_blocks(r'vision_model\.encoder\.layers', '', _HUGGING_FACE),
            (r'text_model\.embeddings\.token_embedding\.weight', 'text.token_embedding'),
            (r'text_model\.embeddings\.position_embedding\.weight', 'text.positional_embedding'),
            (r'text_model\.final_layer_norm\.(?P<leaf>\w+)', 'text.norm.{leaf}'),
            (r'text_projection\.weight', 'text.projection.weight'),
            (r'logit_scale', 'text.logit_scale'),
            *_blocks(r'text_model\.encoder\.layers', 'text.', _HUGGING_FACE),
        ),
        _joined,
    ),
    Convention(  # timm
        'cls_token', ((r'head\.(?P<leaf>\w+)', 'projection.{leaf}'),), _without_zeros
    ),
)
