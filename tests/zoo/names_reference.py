"""Writes what networks of torchvision, transformers and Google's files compute with weights of
`random_tensors`, for tests/zoo/test_names.py.

    TORCH/bin/python tests/zoo/names_reference.py tests/zoo/names.json

TORCH is the environment of `benchmarks.networks`, with transformers. The file has the names and
shapes of each network's tensors, and its logits for two pictures.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]
from random_tensors import pictures, tensor  # noqa: E402

from benchmarks.sides.torch_operators import define_missing_operators  # noqa: E402

define_missing_operators()
import timm  # noqa: E402
import torchvision  # noqa: E402
import transformers  # noqa: E402
from safetensors.numpy import load_file  # noqa: E402

SIZE = 64
MEANS = {
    'tf': ((0.5,) * 3, (0.5,) * 3),
    'torch': ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
TORCHVISION = {  # name here: (name there, preprocessing)
    'efficientnet_b0': ('efficientnet_b0', 'torch'),
    'efficientnet_v2_s': ('efficientnet_v2_s', 'tf'),
    'mobilenet_v3_large': ('mobilenet_v3_large', 'torch'),
    'mobilenet_v3_small': ('mobilenet_v3_small', 'torch'),
    'convnext_tiny': ('convnext_tiny', 'torch'),
    'regnet_x_008': ('regnet_x_800mf', 'torch'),
    'regnet_y_004': ('regnet_y_400mf', 'torch'),
}


def main():
    answers = {}
    for name, (theirs, mode) in TORCHVISION.items():
        model = torchvision.models.get_model(theirs, num_classes=10)
        answers[f'torchvision {name}'] = answer(model, mode, lambda model, x: model(x))
    answers |= from_transformers()
    answers['google vit_tiny_patch16_224'] = from_google()
    Path(sys.argv[1]).write_text(json.dumps(answers, indent=0))


def answer(model, mode, call, size=SIZE):
    """Names, shapes and logits of a model with random weights."""
    model.eval()
    shapes = {
        key: tuple(value.shape)
        for key, value in model.state_dict().items()
        if value.is_floating_point()
    }
    state = {key: torch.from_numpy(tensor(key, shape)) for key, shape in shapes.items()}
    model.load_state_dict(state, strict=False)
    with torch.no_grad():
        logits = call(model, inputs(mode, size))
    found = {'size': size, 'shapes': shapes, 'logits': numbers(logits)}
    return found | ({'drawn': saved_names(model)} if hasattr(model, 'save_pretrained') else {})


def saved_names(model):
    """{name in the file that transformers saves: name of the tensor in the model}.

    They may differ: a file keeps the names that earlier versions wrote.
    """
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        arrays = load_file(Path(folder, 'model.safetensors'))
    state = {key: np.asarray(value) for key, value in model.state_dict().items()}
    return {
        name: next(key for key, value in state.items() if np.array_equal(value, array))
        for name, array in arrays.items()
        if array.dtype == np.float32
    }


def from_transformers():
    """Small networks of transformers with the sizes of networks of the table.

    ViTs see pictures of the size that they are made for, because transformers resizes the
    embeddings of positions otherwise than timm.
    """
    t, labels = transformers, {i: str(i) for i in range(10)}
    vit = t.ViTConfig(
        hidden_size=192, num_attention_heads=3, intermediate_size=768, id2label=labels
    )
    dino = t.Dinov2Config(
        hidden_size=384, num_attention_heads=6, patch_size=14, image_size=56, mlp_ratio=4
    )
    convnext = t.ConvNextConfig(id2label=labels)
    efficientnet = t.EfficientNetConfig(
        width_coefficient=1.0,
        depth_coefficient=1.0,
        image_size=224,
        hidden_dim=1280,
        depthwise_padding=[],
        id2label=labels,
    )
    answers = {
        'transformers vit_tiny_patch16_224': answer(
            t.ViTForImageClassification(vit),
            'tf',
            lambda model, x: model(x).logits,
            224,
        ),
        'transformers convnext_tiny': answer(
            t.ConvNextForImageClassification(convnext), 'torch', lambda model, x: model(x).logits
        ),
        'transformers efficientnet_b0': answer(
            t.EfficientNetForImageClassification(efficientnet),
            'torch',
            lambda model, x: model(x).logits,
        ),
        'transformers vit_small_patch14_dinov2': answer(
            t.Dinov2Model(dino), 'torch', lambda model, x: model(x).pooler_output, 56
        ),
    }
    return answers


def from_google():
    """ViT-Ti/16, which timm reads from a file with the names that Google's code writes."""
    width, heads, depth = 192, 3, 12
    shapes = {
        'cls': (1, 1, width),
        'embedding/kernel': (16, 16, 3, width),
        'embedding/bias': (width,),
        'Transformer/posembed_input/pos_embedding': (1, 197, width),
        'Transformer/encoder_norm/scale': (width,),
        'Transformer/encoder_norm/bias': (width,),
        'head/kernel': (width, 10),
        'head/bias': (10,),
    }
    for i in range(depth):
        block, attention = f'Transformer/encoderblock_{i}', 'MultiHeadDotProductAttention_1'
        for part in ('query', 'key', 'value'):
            shapes[f'{block}/{attention}/{part}/kernel'] = (width, heads, width // heads)
            shapes[f'{block}/{attention}/{part}/bias'] = (heads, width // heads)
        shapes[f'{block}/{attention}/out/kernel'] = (heads, width // heads, width)
        shapes[f'{block}/{attention}/out/bias'] = (width,)
        for layer, (before, after) in enumerate(((width, 4 * width), (4 * width, width))):
            shapes[f'{block}/MlpBlock_3/Dense_{layer}/kernel'] = (before, after)
            shapes[f'{block}/MlpBlock_3/Dense_{layer}/bias'] = (after,)
        for norm in (0, 2):
            for leaf in ('scale', 'bias'):
                shapes[f'{block}/LayerNorm_{norm}/{leaf}'] = (width,)
    model = timm.create_model('vit_tiny_patch16_224', num_classes=10, dynamic_img_size=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'google.npz')
        np.savez(path, **{key: tensor(key, shape) for key, shape in shapes.items()})
        model.load_pretrained(str(path))
    with torch.no_grad():
        logits = model.eval()(inputs('tf', SIZE))
    return {'size': SIZE, 'shapes': shapes, 'logits': numbers(logits)}


def inputs(mode, size):
    mean, deviation = (torch.tensor(values)[:, None, None] for values in MEANS[mode])
    return (torch.from_numpy(pictures(size, size)).permute(0, 3, 1, 2) - mean) / deviation


def numbers(values):
    return np.asarray(values.detach()).astype(float).round(6).tolist()


if __name__ == '__main__':
    main()
