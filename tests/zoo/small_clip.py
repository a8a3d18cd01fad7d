"""A small CLIP: its sizes, weights drawn from the names of its tensors, its vocabulary, and what it
is asked. open_clip's side has no other part of tljax than this and `random_tensors`."""

import json
from pathlib import Path

import numpy as np
from random_tensors import tensor

WIDTH, DEPTH, HEADS, PATCH, SIDE = 128, 2, 2, 8, 32  # of the tower for pictures
TEXT_WIDTH, TEXT_DEPTH, CONTEXT = 64, 2, 77
DIM = 32  # of the embeddings
MERGES = """t h|th e</w>|a n|an d</w>|p h|o t|ph ot|phot o</w>|o f</w>|d o|do g</w>|c a|ca t</w>|
ca t|cat s</w>|d r|dr a|dra w|i n|in g</w>|draw ing</w>|i s|' t</w>|' ll</w>|l l</w>|a u|au x</w>|
Ã ©|Ã ©</w>|c h""".replace('\n', '').split('|')
TEXTS = [
    'a photo of a cat',
    '  A PHOTO of\tthe   Dog!  ',
    "the 3 cats' toys, isn't it? (no: 1,024 of 50%)",
    "don't I'll we've they're he'd I'm O'Neill's rock'n'roll",
    'Crème BRÛLÉE à la carte, cafe\u0301 aux œufs',
    'cats &amp; dogs &lt;drawing&gt; #1 __init__ a/b',
    'naïve 日本語 ÄÖÜ ß — …',
    'the cat and the dog, ' * 20,
    '',
]
CLASSES = ['cat', 'dog', 'toy_box']
PROMPTS = ['a photo of a {}', 'a drawing of the {}!']


def vocabulary(start: str = '<|startoftext|>', end: str = '<|endoftext|>') -> list[str]:
    """The tokens in the order of their numbers, as open_clip has them: bytes, bytes that end a
    word, merged ones, and two that begin and end a text."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    characters = [*map(chr, printable), *(chr(256 + i) for i in range(len(others)))]
    merged = [merge.replace(' ', '') for merge in MERGES]
    return [*characters, *(f'{c}</w>' for c in characters), *merged, start, end]


def shapes() -> dict[str, tuple[int, ...]]:
    """{open_clip's name: shape}"""

    def blocks(name, depth, width):
        return {
            f'{name}.resblocks.{i}.{leaf}': shape
            for i in range(depth)
            for leaf, shape in {
                'ln_1.weight': (width,),
                'ln_1.bias': (width,),
                'attn.in_proj_weight': (3 * width, width),
                'attn.in_proj_bias': (3 * width,),
                'attn.out_proj.weight': (width, width),
                'attn.out_proj.bias': (width,),
                'ln_2.weight': (width,),
                'ln_2.bias': (width,),
                'mlp.c_fc.weight': (4 * width, width),
                'mlp.c_fc.bias': (4 * width,),
                'mlp.c_proj.weight': (width, 4 * width),
                'mlp.c_proj.bias': (width,),
            }.items()
        }

    return {
        'positional_embedding': (CONTEXT, TEXT_WIDTH),
        'text_projection': (TEXT_WIDTH, DIM),
        'logit_scale': (),
        'visual.class_embedding': (WIDTH,),
        'visual.positional_embedding': (1 + (SIDE // PATCH) ** 2, WIDTH),
        'visual.proj': (WIDTH, DIM),
        'visual.conv1.weight': (WIDTH, 3, PATCH, PATCH),
        'visual.ln_pre.weight': (WIDTH,),
        'visual.ln_pre.bias': (WIDTH,),
        **blocks('visual.transformer', DEPTH, WIDTH),
        'visual.ln_post.weight': (WIDTH,),
        'visual.ln_post.bias': (WIDTH,),
        **blocks('transformer', TEXT_DEPTH, TEXT_WIDTH),
        'token_embedding.weight': (len(vocabulary()), TEXT_WIDTH),
        'ln_final.weight': (TEXT_WIDTH,),
        'ln_final.bias': (TEXT_WIDTH,),
    }


def tensors() -> dict[str, np.ndarray]:
    """{open_clip's name: tensor}"""
    return {
        **{name: tensor(name, shape) for name, shape in shapes().items()},
        'logit_scale': np.array(np.log(20), np.float32),
    }


def as_in_transformers(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same tensors, as Hugging Face's CLIPModel has them."""
    renamed = {}
    for name, array in tensors.items():
        tower = 'vision_model' if name.startswith('visual.') else 'text_model'
        name = name.removeprefix('visual.')
        for old, new in (
            ('transformer.resblocks.', 'encoder.layers.'),
            ('ln_1', 'layer_norm1'),
            ('ln_2', 'layer_norm2'),
            ('c_fc', 'fc1'),
            ('c_proj', 'fc2'),
            ('attn.', 'self_attn.'),
            ('class_embedding', 'embeddings.class_embedding'),
            ('positional_embedding', 'embeddings.position_embedding.weight'),
            ('token_embedding', 'embeddings.token_embedding'),
            ('conv1', 'embeddings.patch_embedding'),
            ('ln_pre', 'pre_layrnorm'),
            ('ln_post', 'post_layernorm'),
            ('ln_final', 'final_layer_norm'),
        ):
            name = name.replace(old, new)
        if name == 'logit_scale':
            renamed[name] = array
        elif name == 'proj':
            renamed['visual_projection.weight'] = array.T
        elif name == 'text_projection':
            renamed['text_projection.weight'] = array.T
        elif 'in_proj_' in name:
            for part, third in zip('qkv', np.split(array, 3), strict=True):
                renamed[f'{tower}.{name.replace("in_proj_", f"{part}_proj.")}'] = third
        else:
            renamed[f'{tower}.{name}'] = array
    for tower, count in (('vision_model', 1 + (SIDE // PATCH) ** 2), ('text_model', CONTEXT)):
        renamed[f'{tower}.embeddings.position_ids'] = np.arange(count)[None]
    return renamed


def photographs() -> np.ndarray:
    """Bytes of two pictures, (2, SIDE, SIDE, 3)."""
    return np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)


def write_vocabulary(folder: Path) -> None:
    """Writes vocab.json and merges.txt as the hub has them."""
    numbers = {token: number for number, token in enumerate(vocabulary())}
    (folder / 'vocab.json').write_text(json.dumps(numbers))
    (folder / 'merges.txt').write_text('\n'.join(['#version: 0.2', *MERGES, '']))
