"""Writes what timm computes with weights of `random_tensors`, for tests/zoo/test_timm.py.

    TORCH/bin/python tests/zoo/timm_reference.py tests/zoo/timm.json          # the tests' networks
    TORCH/bin/python tests/zoo/timm_reference.py all.json NAME ...            # others

TORCH is the environment of `benchmarks.networks`. The file has, for every network and picture size,
the features and logits of two pictures, and the derivative of a fixed linear function of the logits
along a fixed direction of every parameter.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import torch

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]
from random_tensors import pictures, tensor  # noqa: E402

from benchmarks.sides.torch_operators import define_missing_operators  # noqa: E402

define_missing_operators()
import timm  # noqa: E402

ROOT = Path(__file__).parents[2]
TESTED = {  # name: picture sizes, the default size of each family among them
    'efficientnet_b0': [(224, 224), (64, 64), (75, 53)],
    'efficientnet_lite0': [(64, 64), (75, 53)],
    'efficientnet_v2_b0': [(224, 224), (64, 64), (75, 53)],
    'mobilenet_v3_large': [(224, 224), (64, 64), (75, 53)],
    'mobilenet_v3_small': [(64, 64)],
    'mobilenet_v3_small_minimal': [(64, 64)],
    'convnext_tiny': [(224, 224), (64, 64), (75, 53)],
    'regnet_x_002': [(224, 224), (64, 64), (75, 53)],
    'regnet_y_002': [(64, 64), (75, 53)],
    'vit_tiny_patch16_224': [(224, 224), (96, 64), (75, 53)],
    'vit_small_patch14_reg4_dinov2': [(70, 70)],
    'vit_small_patch14_dinov2': [(70, 70)],
}
MEANS = {
    'tf': ((0.5,) * 3, (0.5,) * 3),
    'torch': ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


def main():
    path, *names = sys.argv[1:]
    with (ROOT / 'tljax' / 'zoo' / 'timm.csv').open(newline='') as file:
        rows = {row['name']: row for row in csv.DictReader(file)}
    chosen = {name: sizes_of(rows[name]) for name in names} or TESTED
    answers = {}
    for name, sizes in chosen.items():
        answers[name] = answer(rows[name], sizes, gradients=not names or len(names) < 4)
        print(name, answers[name]['parameters'], flush=True)
        Path(path).write_text(json.dumps(answers, indent=0))


def sizes_of(row):
    size = int(row['size'])
    step = 14 if 'patch14' in row['name'] else 16
    return [(size, size), (size // 2 // step * step, size // 2 // step * step), (117, 101)]


def answer(row, sizes, gradients=True):
    """What timm computes for one network."""
    name = row['weights'].removeprefix('timm/').split('.')[0]
    options = {}
    if row['module'] == 'vit':
        options = dict(dynamic_img_size=True, dynamic_img_pad=True, img_size=trained(row))
    model = timm.create_model(name, num_classes=10, **options).eval()
    state = {
        key: torch.from_numpy(tensor(key, tuple(value.shape)))
        for key, value in model.state_dict().items()
        if not key.endswith('num_batches_tracked')
    }
    model.load_state_dict(state, strict=False)
    mean, deviation = (torch.tensor(values)[:, None, None] for values in MEANS[row['mode']])
    results = {}
    for height, width in sizes:
        x = torch.from_numpy(pictures(height, width)).permute(0, 3, 1, 2)
        x = (x - mean) / deviation
        with torch.set_grad_enabled(gradients):
            features = model.forward_head(model.forward_features(x), pre_logits=True)
            logits = model(x)
        results[f'{height}x{width}'] = {
            'features': numbers(features),
            'logits': numbers(logits),
        }
    published = timm.create_model(name, num_classes=1000 if row['top1'] else 0)
    return {
        'parameters': sum(p.numel() for p in published.parameters()),
        'results': results,
        'slopes': slopes(model, logits) if gradients else {},
    }


def trained(row):
    fields = dict(pair.split('=') for pair in row['keywords'].split(';'))
    return int(fields.get('trained', 224))


def slopes(model, logits):
    """{name: derivative of the function along the direction of `tensor('direction ' + name)`}."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    weight = torch.from_numpy(tensor('function', tuple(logits.shape)))
    gradients = torch.autograd.grad((weight * logits).sum(), parameters, allow_unused=True)
    return {
        name: float((gradient * torch.from_numpy(direction(name, gradient.shape))).sum())
        for name, gradient in zip(names, gradients, strict=True)
        if gradient is not None
    }


def direction(name, shape):
    return tensor(f'direction {name}', tuple(shape))


def numbers(values):
    return np.asarray(values.detach()).astype(float).round(6).tolist()


if __name__ == '__main__':
    main()
