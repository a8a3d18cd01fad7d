"""Names of the layers of EfficientNets and MobileNetV3 in files of torchvision, transformers and
Keras, turned into timm's.

All libraries number the blocks in one order, and a block has layers of at most five roles: expand,
depthwise, project, and the two of squeeze and excitation. The roles that a block has tell its kind,
and with that timm's names of its layers.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

Tensors = dict[str, np.ndarray]
# the roles of a block's convolutions: timm's name of each convolution, in order; BatchNorm is
# numbered alike
KINDS = {
    ('expand', 'depthwise', 'project'): ('conv_pw', 'conv_dw', 'conv_pwl'),
    ('depthwise', 'project'): ('conv_dw', 'conv_pw'),
    ('expand', 'project'): ('conv_exp', 'conv_pwl'),
    ('project',): ('conv',),
}
ROLES = ('expand', 'depthwise', 'project')
SQUEEZE = {'reduce': 'se.conv_reduce', 'excite': 'se.conv_expand'}

HUGGING_FACE = {
    'expansion.expand_conv': ('expand', 'conv'),
    'expansion.expand_bn': ('expand', 'norm'),
    'depthwise_conv.depthwise_conv': ('depthwise', 'conv'),
    'depthwise_conv.depthwise_norm': ('depthwise', 'norm'),
    'squeeze_excite.reduce': ('reduce', 'conv'),
    'squeeze_excite.expand': ('excite', 'conv'),
    'projection.project_conv': ('project', 'conv'),
    'projection.project_bn': ('project', 'norm'),
}
HUGGING_FACE_ENDS = {
    'embeddings.convolution': 'conv_stem',
    'embeddings.batchnorm': 'bn1',
    'encoder.top_conv': 'conv_head',
    'encoder.top_bn': 'bn2',
}
KERAS = {
    'expand_conv': ('expand', 'conv'),
    'expand_bn': ('expand', 'norm'),
    'dwconv': ('depthwise', 'conv'),
    'dwconv2': ('depthwise', 'conv'),
    'bn': ('depthwise', 'norm'),
    'se_reduce': ('reduce', 'conv'),
    'se_expand': ('excite', 'conv'),
    'project_conv': ('project', 'conv'),
    'project_bn': ('project', 'norm'),
    # MobileNetV3
    'expand': ('expand', 'conv'),
    'depthwise': ('depthwise', 'conv'),
    'depthwise_bn': ('depthwise', 'norm'),
    'squeeze_excite_conv': ('reduce', 'conv'),
    'squeeze_excite_conv_1': ('excite', 'conv'),
    'project': ('project', 'conv'),
}
KERAS_ENDS = {
    'stem_conv': 'conv_stem',
    'stem_bn': 'bn1',
    'top_conv': 'conv_head',
    'top_bn': 'bn2',
    'conv': 'conv_stem',
    'conv_bn': 'bn1',
    'conv_2': 'conv_head',
}
Layers = Mapping[str, dict[str, np.ndarray]]
Place = tuple[tuple[int, ...], str, str]  # number of the block, role of the layer, conv or norm


def as_in_timm(tensors: Mapping[str, np.ndarray], blocks: Sequence[str]) -> Tensors:
    """Returns the tensors of torchvision or transformers by timm's names; others stay as they are.

    Args:
        tensors: {name: tensor}, in PyTorch's order of axes.
        blocks: names of the blocks in timm, in order.

    >>> names = ['features.0.0.weight', 'features.1.0.block.0.0.weight']
    >>> list(as_in_timm(dict.fromkeys(names, np.zeros((4, 4, 3, 3))), ['blocks.0.0']))
    ['conv_stem.weight', 'blocks.0.0.conv.weight']
    """
    layers = defaultdict(dict)
    for name, tensor in tensors.items():
        layer, _, leaf = name.rpartition('.')
        layers[layer][leaf] = tensor
    if 'features.0.0' in layers:
        places, ends = _torchvision(layers)
    elif any(re.fullmatch(r'(\w+\.)?embeddings\.convolution', layer) for layer in layers):
        places, ends = _hugging_face(layers)
    else:
        return dict(tensors)
    new_names = {**_named(places, blocks), **ends}
    return {
        f'{new_names.get(layer, layer)}.{leaf}'.removeprefix('.'): tensor
        for layer, leaves in layers.items()
        for leaf, tensor in leaves.items()
    }


def keras_names(layers: Iterable[str], blocks: Sequence[str]) -> dict[str, str]:
    """Returns {Keras's name of a layer: path of the layer here}.

    Args:
        layers: names of the file's layers.
        blocks: names of the blocks here, in order.

    >>> keras_names(['stem_conv', 'block1a_dwconv', 'block1a_project_conv'], ['blocks.0.0'])
    {'block1a_dwconv': 'blocks.0.0/conv_dw', 'block1a_project_conv': ..., 'stem_conv': 'conv_stem'}
    """
    places, ends = {}, {}
    for layer in layers:
        plain = layer.lower().replace('/batchnorm', '_bn').replace('/', '_')
        if match := re.fullmatch(r'block(\d+)([a-z])_(\w+)', plain):
            number = (int(match[1]), ord(match[2]))
        elif match := re.fullmatch(r'expanded_conv(?:_(\d+))?()_([a-z]\w*)', plain):
            number = (int(match[1] or 0),)
        elif plain in ('conv_1', 'conv_1_bn'):  # the last convolution of MobileNetV3
            places[layer] = ((10**6,), 'project', 'norm' if plain.endswith('bn') else 'conv')
            continue
        else:
            if plain in KERAS_ENDS:
                ends[layer] = KERAS_ENDS[plain]
            continue
        if match[3] in KERAS:
            places[layer] = (number, *KERAS[match[3]])
    named = _named(places, blocks)
    return {layer: _path(name, blocks) for layer, name in named.items()} | ends


def _path(name, blocks):
    """Path here of a layer by its name in timm: 'blocks.0.0.se.conv_reduce' is in 'blocks.0.0'."""
    block = max((b for b in blocks if name.startswith(f'{b}.')), key=len, default='')
    if not block:
        return name
    inner = name.removeprefix(f'{block}.').replace('se.', 'se/')
    return f'{block}/{inner}'


def _named(places: Mapping[str, Place], blocks: Sequence[str]) -> dict[str, str]:
    """Returns {layer: timm's name}, from the place of each layer."""
    roles_of = defaultdict(set)
    for number, role, _ in places.values():
        roles_of[number].add(role)
    order = {number: i for i, number in enumerate(sorted(roles_of))}
    names = {}
    for layer, (number, role, kind) in places.items():
        i = order[number]
        block = blocks[i] if i < len(blocks) else f'block{i + 1}'
        roles = tuple(each for each in ROLES if each in roles_of[number])
        if role in SQUEEZE:
            names[layer] = f'{block}.{SQUEEZE[role]}'
        elif roles in KINDS:
            place = roles.index(role)
            names[layer] = f'{block}.{KINDS[roles][place] if kind == "conv" else f"bn{place + 1}"}'
    return names


def _torchvision(layers: Layers) -> tuple[dict[str, Place], dict[str, str]]:
    """Places of torchvision's layers, which are numbered in a block; shapes tell their roles."""
    last = max(int(layer.split('.')[1]) for layer in layers if layer.startswith('features.'))
    is_v3 = not any(re.fullmatch(r'features\.\d+\.\d+\.block\..*', layer) for layer in layers)
    ends = {'features.0.0': 'conv_stem', 'features.0.1': 'bn1'}
    places: dict[str, Place] = {}
    if is_v3:
        places[f'features.{last}.0'] = ((last, 0), 'project', 'conv')
        places[f'features.{last}.1'] = ((last, 0), 'project', 'norm')
        ends['classifier.0'] = 'conv_head'
    else:
        ends |= {f'features.{last}.0': 'conv_head', f'features.{last}.1': 'bn2'}
    parts = defaultdict(dict)  # {block: {number of a part: its convolution's kernel}}
    for layer, leaves in layers.items():
        match = re.fullmatch(r'features\.(\d+)\.(?:(\d+)\.)?block\.(\d+)\.(0|1|fc1|fc2)', layer)
        if not match:
            continue
        number = (int(match[1]), int(match[2] or 0))
        if match[4] in ('fc1', 'fc2'):
            places[layer] = (number, 'reduce' if match[4] == 'fc1' else 'excite', 'conv')
            continue
        places[layer] = (number, match[3], 'conv' if match[4] == '0' else 'norm')
        if match[4] == '0':
            parts[number][match[3]] = leaves['weight']
    return {
        layer: (number, _roles(parts[number]).get(role, role), kind)
        for layer, (number, role, kind) in places.items()
    }, ends


def _roles(parts: dict[str, np.ndarray]) -> dict[str, str]:
    """Roles of a block's numbered parts, from the kernels: a depthwise kernel has one input."""
    numbers = sorted(parts, key=int)
    first_is_depthwise = len(numbers) == 2 and parts[numbers[0]].shape[1] == 1
    roles = {
        1: ('project',),
        2: ('depthwise' if first_is_depthwise else 'expand', 'project'),
        3: ROLES,
    }.get(len(numbers), ())
    return dict(zip(numbers, roles, strict=False))


def _hugging_face(layers: Layers) -> tuple[dict[str, Place], dict[str, str]]:
    places: dict[str, Place] = {}
    ends = {}
    for layer in layers:
        plain = layer.removeprefix('efficientnet.')
        if plain in HUGGING_FACE_ENDS:
            ends[layer] = HUGGING_FACE_ENDS[plain]
        match = re.fullmatch(r'encoder\.blocks\.(\d+)\.(.*)', plain)
        if match and match[2] in HUGGING_FACE:
            places[layer] = ((int(match[1]),), *HUGGING_FACE[match[2]])
    return places, ends
