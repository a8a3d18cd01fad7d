"""Names of tensors in files of other libraries, turned into timm's.

Each family has conventions: those of torchvision, of Hugging Face's transformers, and of the
authors. A convention is recognised by a regex that one of the file's names matches. Its rules are
pairs (regex over a whole name, replacement); a name that no rule matches stays as it is.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from tljax.zoo.weights import mobile

Tensors = dict[str, np.ndarray]

# prefixes of wrappers that save the network inside them
WRAPPERS = ('module.', '_orig_mod.', 'model.')
# tensors that are no part of the function that a network computes
UNUSED = r'.*\.num_batches_tracked|.*mask_token|.*position_ids|.*relative_position_index'


class Convention(NamedTuple):
    """Names of one library.

    Attributes:
        sign: regex of a name that only this library gives.
        rules: (regex, replacement) pairs; the first one that matches a whole name is applied. A
            replacement has the groups of the match in braces.
        change: changes the tensors before they are renamed.
    """

    sign: str
    rules: tuple[tuple[str, str], ...]
    change: Callable[[Tensors], Tensors] = dict


def as_in_timm(
    tensors: Mapping[str, np.ndarray], family: str, blocks: Iterable[str] = ()
) -> Tensors:
    """Returns tensors by timm's names, with PyTorch's order of axes.

    Args:
        tensors: {name: tensor}.
        family: module of `zoo.families` that defines the network.
        blocks: names of the network's top layers here.

    >>> list(as_in_timm({'module.fc.weight': np.zeros(1)}, 'regnet'))
    ['fc.weight']
    >>> list(as_in_timm({'stem.0.weight': np.zeros(1)}, 'regnet'))
    ['stem.conv.weight']
    """
    named = unwrapped(tensors)
    if family in ('efficientnet', 'mobilenet_v3'):
        named = mobile.as_in_timm(named, in_order(blocks))
    return renamed(named, CONVENTIONS.get(family, ()))


def unwrapped(tensors: Mapping[str, np.ndarray]) -> Tensors:
    """Returns tensors without the prefix of a wrapper around the network.

    Args:
        tensors: {name: tensor}.

    >>> list(unwrapped({'module.fc.weight': np.zeros(1)}))
    ['fc.weight']
    """
    named = dict(tensors)
    for prefix in WRAPPERS:
        if named and all(name.startswith(prefix) for name in named):
            named = {name.removeprefix(prefix): tensor for name, tensor in named.items()}
    return named


def renamed(tensors: Tensors, conventions: Iterable[Convention]) -> Tensors:
    """Returns tensors with the names that the first convention with a matching sign gives.

    Tensors that are no part of the function that a network computes are left out.

    Args:
        tensors: {name: tensor}.
        conventions: conventions of one family.

    >>> rules = (('a(?P<n>[0-9])', 'b{n}'),)
    >>> list(renamed({'a0': np.zeros(1)}, [Convention('a.*', rules)]))
    ['b0']
    """
    named = tensors
    for convention in conventions:
        if any(re.fullmatch(convention.sign, name) for name in named):
            named = {
                new_name(name, convention.rules): tensor
                for name, tensor in convention.change(named).items()
            }
            break
    return {name: tensor for name, tensor in named.items() if not re.fullmatch(UNUSED, name)}


def keras_names(layers: Iterable[str], family: str, blocks: Iterable[str]) -> dict[str, str]:
    """Returns {Keras's name of a layer: path of the layer here}.

    Args:
        layers: names of the layers of a file of Keras.
        family: module of `zoo.families` that defines the network.
        blocks: names of the network's top layers here.

    >>> keras_names(['convnext_tiny_stage_0_block_2_layernorm'], 'convnext', [])
    {'convnext_tiny_stage_0_block_2_layernorm': 'stages.0.blocks.2/norm'}
    """
    if family != 'convnext':
        return mobile.keras_names(layers, in_order(blocks))
    named = {layer: new_name(layer, KERAS_CONVNEXT) for layer in layers}
    return {layer: name for layer, name in named.items() if name != layer}


def in_order(layers: Iterable[str]) -> list[str]:
    """Returns the names of blocks among layers, from shallow to deep.

    Args:
        layers: names of the network's top layers here.

    >>> in_order(['blocks.0.10', 'blocks.0.9', 'conv_stem'])
    ['blocks.0.9', 'blocks.0.10']
    """
    blocks = [name for name in layers if name.startswith('blocks.')]
    return sorted(blocks, key=lambda name: [int(part) for part in name.split('.')[1:]])


def new_name(name: str, rules: Iterable[tuple[str, str]]) -> str:
    """Returns a name after the first rule that matches the whole of it; without one, the name.

    Args:
        name: the name.
        rules: (regex, replacement) pairs. '{i}' in a replacement stands for the regex's group i,
            '{i+1}' and '{i-1}' for a number beside it.

    >>> new_name('block3/conv', [(r'block(?P<i>\\d)/(?P<layer>\\w+)', '{layer}{i+1}')])
    'conv4'
    """
    for pattern, replacement in rules:
        if match := re.fullmatch(pattern, name):
            return re.sub(
                r'\{(\w+)([+-]\d+)?\}',
                lambda field, match=match: (
                    str(int(match[field[1]]) + int(field[2])) if field[2] else match[field[1]]
                ),
                replacement,
            )
    return name


def fused_attention(
    tensors: Tensors, layers: tuple[str, str, str] = ('query', 'key', 'value')
) -> Tensors:
    """Joins the tensors of query, key and value, which timm has in one layer.

    Args:
        tensors: {name: tensor}.
        layers: what query, key and value are called. The joined tensor has the name of the query's.

    >>> tensors = {f'attn.{name}.bias': np.zeros(4) for name in ('query', 'key', 'value')}
    >>> {name: tensor.shape for name, tensor in fused_attention(tensors).items()}
    {'attn.query.bias': (12,)}
    """
    query, *others = layers
    joined = {}
    for name, tensor in tensors.items():
        if re.search(rf'\b({"|".join(others)})\b', name):
            continue
        if re.search(rf'\b{query}\b', name):
            parts = [
                tensors.get(re.sub(rf'\b{query}\b', part, name), np.zeros((0, *tensor.shape[1:])))
                for part in layers
            ]
            tensor = np.concatenate(parts)
        joined[name] = tensor
    return joined


def _google_vit(tensors: Tensors) -> Tensors:
    """Gives the arrays of Google's .npz files, which are in Flax's order, PyTorch's order."""
    ordered = {}
    for name, array in tensors.items():
        if name.endswith('/kernel'):
            if array.ndim == 4:  # of the patches
                array = array.transpose(3, 2, 0, 1)
            elif '/out/' in name:  # (heads, channels, width)
                array = array.reshape(-1, array.shape[-1]).T
            else:  # of a dense layer, or (width, heads, channels)
                array = array.reshape(array.shape[0], -1).T
        elif array.ndim == 2:  # a bias (heads, channels)
            array = array.reshape(-1)
        ordered[name] = array
    return fused_attention(ordered)


def _squeezed_scale(tensors: Tensors) -> Tensors:
    """Gives torchvision's factors of ConvNeXt's blocks, (channels, 1, 1), one axis."""
    return {
        name: tensor.reshape(-1) if name.endswith('layer_scale') else tensor
        for name, tensor in tensors.items()
    }


def _registers(tensors: Tensors) -> Tensors:
    """Adds the class token's embedding of its position to the token, where there are registers."""
    tensors = fused_attention(fused_attention(tensors), PROJECTIONS)
    names = {name.rsplit('.', 1)[-1]: name for name in tensors}
    if 'register_tokens' not in names:
        return tensors
    positions = next(name for key, name in names.items() if key in POSITIONS)
    both = tensors[positions]
    return {
        **tensors,
        names['cls_token']: tensors[names['cls_token']] + both[:, :1],
        positions: both[:, 1:],
    }


# what version 5 of transformers calls query, key and value in a model, not in its files
PROJECTIONS = ('q_proj', 'k_proj', 'v_proj')
POSITIONS = ('pos_embed', 'position_embeddings')
_VIT = r'(?:vit|deit|dinov2|dinov2_with_registers)?\.?'

CONVENTIONS: dict[str, tuple[Convention, ...]] = {
    'convnext': (
        Convention(  # torchvision
            r'features\.0\.0\.weight',
            (
                (r'features\.0\.(?P<n>[01])\.(?P<leaf>\w+)', 'stem.{n}.{leaf}'),
                *(
                    rule
                    for s in range(4)
                    for rule in (
                        (
                            rf'features\.{2 * s}\.(?P<n>[01])\.(?P<leaf>\w+)',
                            f'stages.{s}.downsample.{{n}}.{{leaf}}',
                        ),
                        *(
                            (
                                rf'features\.{2 * s + 1}\.(?P<i>\d+)\.{theirs}(?P<leaf>\w*)',
                                f'stages.{s}.blocks.{{i}}.{ours}{{leaf}}',
                            )
                            for theirs, ours in (
                                (r'block\.0\.', 'conv_dw.'),
                                (r'block\.2\.', 'norm.'),
                                (r'block\.3\.', 'mlp.fc1.'),
                                (r'block\.5\.', 'mlp.fc2.'),
                                ('layer_scale', 'gamma'),
                            )
                        ),
                    )
                ),
                (r'classifier\.0\.(?P<leaf>\w+)', 'head.norm.{leaf}'),
            ),
            _squeezed_scale,
        ),
        Convention(  # the authors
            r'downsample_layers\.0\.0\.weight',
            (
                (r'downsample_layers\.0\.(?P<n>[01])\.(?P<leaf>\w+)', 'stem.{n}.{leaf}'),
                (
                    r'downsample_layers\.(?P<s>\d)\.(?P<n>[01])\.(?P<leaf>\w+)',
                    'stages.{s}.downsample.{n}.{leaf}',
                ),
                (
                    r'stages\.(?P<s>\d)\.(?P<i>\d+)\.dwconv\.(?P<leaf>\w+)',
                    'stages.{s}.blocks.{i}.conv_dw.{leaf}',
                ),
                (
                    r'stages\.(?P<s>\d)\.(?P<i>\d+)\.pwconv(?P<n>[12])\.(?P<leaf>\w+)',
                    'stages.{s}.blocks.{i}.mlp.fc{n}.{leaf}',
                ),
                (r'stages\.(?P<s>\d)\.(?P<i>\d+)\.(?P<leaf>.*)', 'stages.{s}.blocks.{i}.{leaf}'),
                (r'norm\.(?P<leaf>\w+)', 'head.norm.{leaf}'),
            ),
        ),
        Convention(  # Hugging Face
            r'(convnext\.)?embeddings\.patch_embeddings\.weight',
            (
                (r'(?:convnext\.)?embeddings\.patch_embeddings\.(?P<leaf>\w+)', 'stem.0.{leaf}'),
                (r'(?:convnext\.)?embeddings\.layernorm\.(?P<leaf>\w+)', 'stem.1.{leaf}'),
                (
                    r'(?:convnext\.)?encoder\.stages\.(?P<s>\d)\.downsampling_layer\.'
                    r'(?P<n>[01])\.(?P<leaf>\w+)',
                    'stages.{s}.downsample.{n}.{leaf}',
                ),
                *(
                    (
                        rf'(?:convnext\.)?encoder\.stages\.(?P<s>\d)\.layers\.(?P<i>\d+)\.{theirs}'
                        r'(?P<leaf>\w*)',
                        f'stages.{{s}}.blocks.{{i}}.{ours}{{leaf}}',
                    )
                    for theirs, ours in (
                        (r'dwconv\.', 'conv_dw.'),
                        (r'layernorm\.', 'norm.'),
                        (r'pwconv1\.', 'mlp.fc1.'),
                        (r'pwconv2\.', 'mlp.fc2.'),
                        ('layer_scale_parameter', 'gamma'),
                    )
                ),
                (r'(?:convnext\.)?layernorm\.(?P<leaf>\w+)', 'head.norm.{leaf}'),
            ),
        ),
    ),
    'regnet': (
        Convention(  # torchvision
            r'stem\.0\.weight',
            (
                (r'stem\.0\.(?P<leaf>\w+)', 'stem.conv.{leaf}'),
                (r'stem\.1\.(?P<leaf>\w+)', 'stem.bn.{leaf}'),
                *(
                    (
                        rf'trunk_output\.block(?P<s>\d)\.block\d-(?P<i>\d+)\.{theirs}\.(?P<leaf>\w+)',
                        f's{{s}}.b{{i+1}}.{ours}.{{leaf}}',
                    )
                    for theirs, ours in (
                        (r'proj\.0', 'downsample.conv'),
                        (r'proj\.1', 'downsample.bn'),
                        (r'f\.a\.0', 'conv1.conv'),
                        (r'f\.a\.1', 'conv1.bn'),
                        (r'f\.b\.0', 'conv2.conv'),
                        (r'f\.b\.1', 'conv2.bn'),
                        (r'f\.se\.fc1', 'se.fc1'),
                        (r'f\.se\.fc2', 'se.fc2'),
                        (r'f\.c\.0', 'conv3.conv'),
                        (r'f\.c\.1', 'conv3.bn'),
                    )
                ),
            ),
        ),
    ),
    'vit': (
        Convention(  # Google
            r'embedding/kernel',
            (
                ('cls', 'cls_token'),
                ('Transformer/posembed_input/pos_embedding', 'pos_embed'),
                ('embedding/kernel', 'patch_embed.proj.weight'),
                ('embedding/bias', 'patch_embed.proj.bias'),
                *(
                    (f'{theirs}/{leaf}', f'{ours}.{torch}')
                    for theirs, ours in (
                        ('Transformer/encoder_norm', 'norm'),
                        (r'Transformer/encoderblock_(?P<i>\d+)/LayerNorm_0', 'blocks.{i}.norm1'),
                        (r'Transformer/encoderblock_(?P<i>\d+)/LayerNorm_2', 'blocks.{i}.norm2'),
                        (
                            r'Transformer/encoderblock_(?P<i>\d+)/'
                            'MultiHeadDotProductAttention_1/query',
                            'blocks.{i}.attn.qkv',
                        ),
                        (
                            r'Transformer/encoderblock_(?P<i>\d+)/'
                            'MultiHeadDotProductAttention_1/out',
                            'blocks.{i}.attn.proj',
                        ),
                        (
                            r'Transformer/encoderblock_(?P<i>\d+)/MlpBlock_3/Dense_0',
                            'blocks.{i}.mlp.fc1',
                        ),
                        (
                            r'Transformer/encoderblock_(?P<i>\d+)/MlpBlock_3/Dense_1',
                            'blocks.{i}.mlp.fc2',
                        ),
                        ('head', 'head'),
                    )
                    for leaf, torch in (('(?:kernel|scale)', 'weight'), ('bias', 'bias'))
                ),
            ),
            _google_vit,
        ),
        Convention(  # Hugging Face
            r'(\w+\.)?embeddings\.patch_embeddings\.projection\.weight',
            (
                (rf'{_VIT}embeddings\.cls_token', 'cls_token'),
                (rf'{_VIT}embeddings\.register_tokens', 'reg_token'),
                (rf'{_VIT}embeddings\.position_embeddings', 'pos_embed'),
                (
                    rf'{_VIT}embeddings\.patch_embeddings\.projection\.(?P<leaf>\w+)',
                    'patch_embed.proj.{leaf}',
                ),
                (rf'{_VIT}layernorm\.(?P<leaf>\w+)', 'norm.{leaf}'),
                *(
                    (
                        rf'{_VIT}(?:encoder\.layer|layers)\.(?P<i>\d+)\.{theirs}(?P<leaf>\w*)',
                        f'blocks.{{i}}.{ours}{{leaf}}',
                    )
                    for theirs, ours in (
                        (r'(?:layernorm_before|norm1)\.', 'norm1.'),
                        (r'(?:layernorm_after|norm2)\.', 'norm2.'),
                        (r'attention\.(?:attention\.query|q_proj)\.', 'attn.qkv.'),
                        (r'attention\.(?:output\.dense|o_proj)\.', 'attn.proj.'),
                        (r'(?:intermediate\.dense|mlp\.fc1)\.', 'mlp.fc1.'),
                        (r'(?:output\.dense|mlp\.fc2)\.', 'mlp.fc2.'),
                        (r'layer_scale1\.lambda1', 'ls1.gamma'),
                        (r'layer_scale2\.lambda1', 'ls2.gamma'),
                    )
                ),
            ),
            _registers,
        ),
        Convention(  # the authors of DINOv2
            r'register_tokens', (('register_tokens', 'reg_token'),), _registers
        ),
    ),
}

_BLOCK = r'convnext_\w+?_stage_(?P<s>\d)_block_(?P<i>\d+)_'
KERAS_CONVNEXT = (
    (r'convnext_\w+?_stem_conv', 'stem.0'),
    (r'convnext_\w+?_stem_layernorm', 'stem.1'),
    (r'convnext_\w+?_downsampling_layernorm_(?P<s>\d)', 'stages.{s+1}.downsample.0'),
    (r'convnext_\w+?_downsampling_conv_(?P<s>\d)', 'stages.{s+1}.downsample.1'),
    (rf'{_BLOCK}depthwise_conv', 'stages.{s}.blocks.{i}/conv_dw'),
    (rf'{_BLOCK}layernorm', 'stages.{s}.blocks.{i}/norm'),
    (rf'{_BLOCK}pointwise_conv_1', 'stages.{s}.blocks.{i}/mlp.fc1'),
    (rf'{_BLOCK}pointwise_conv_2', 'stages.{s}.blocks.{i}/mlp.fc2'),
    (rf'{_BLOCK}layer_scale', 'stages.{s}.blocks.{i}'),
    (r'convnext_\w+?_head_layernorm|layer_normalization(_\d+)?', 'head.norm'),
)
