"""Writes what open_clip computes with the weights and the vocabulary of `small_clip`, for
tests/zoo/test_clip.py.

    TORCH/bin/python tests/zoo/open_clip_reference.py tests/zoo/open_clip.json

TORCH is an environment with torch, open_clip_torch 3.3.0, timm and torchvision.
"""

import gzip
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]
import small_clip  # noqa: E402
from random_tensors import pictures  # noqa: E402

from benchmarks.sides.torch_operators import define_missing_operators  # noqa: E402

define_missing_operators()
import open_clip  # noqa: E402
from open_clip.model import CLIP, resize_pos_embed  # noqa: E402
from open_clip.tokenizer import SimpleTokenizer  # noqa: E402

MEAN, DEVIATION = (
    torch.tensor(values)[:, None, None]
    for values in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
)


def main():
    model = small_model((small_clip.SIDE, small_clip.SIDE))
    found = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert found == small_clip.shapes(), set(found.items()) ^ set(small_clip.shapes().items())
    tokenizer = small_tokenizer()
    tokens = tokenizer(small_clip.TEXTS)
    with torch.no_grad():
        answers = {
            'tokens': tokens.tolist(),
            'texts': numbers(model.encode_text(tokens, normalize=True)),
            'pictures': {
                f'{height}x{width}': numbers(
                    small_model((height, width)).encode_image(
                        scaled(pictures(height, width)), normalize=True
                    )
                )
                for height, width in ((32, 32), (48, 40))
            },
            'gelu': embeddings_with_gelu(tokens),
            'zero_shot': numbers(zero_shot(model, tokenizer)),
        }
    Path(sys.argv[1]).write_text(json.dumps(answers, indent=0) + '\n')


def small_model(size, quick_gelu=True):
    """open_clip's model for pictures of a size, with the weights of `small_clip`."""
    model = CLIP(
        small_clip.DIM,
        vision_cfg=dict(
            layers=small_clip.DEPTH,
            width=small_clip.WIDTH,
            head_width=small_clip.WIDTH // small_clip.HEADS,
            patch_size=small_clip.PATCH,
            image_size=size,
        ),
        text_cfg=dict(
            context_length=small_clip.CONTEXT,
            vocab_size=len(small_clip.vocabulary()),
            width=small_clip.TEXT_WIDTH,
            heads=1,
            layers=small_clip.TEXT_DEPTH,
        ),
        quick_gelu=quick_gelu,
    ).eval()
    state = {name: torch.tensor(value) for name, value in small_clip.tensors().items()}
    resize_pos_embed(state, model)
    model.load_state_dict(state)
    return model


def small_tokenizer():
    """open_clip's tokenizer with the merges of `small_clip`."""
    path = Path(tempfile.mkdtemp(), 'merges.txt.gz')
    with gzip.open(path, 'wt', encoding='utf-8') as file:
        file.write('\n'.join(['"version: 0.2', *small_clip.MERGES]))
    tokenizer = SimpleTokenizer(str(path))
    names = [name for name, _ in sorted(tokenizer.encoder.items(), key=lambda item: item[1])]
    assert names == small_clip.vocabulary('<start_of_text>', '<end_of_text>')
    return tokenizer


def scaled(x):
    return (torch.from_numpy(x).permute(0, 3, 1, 2) - MEAN) / DEVIATION


def embeddings_with_gelu(tokens):
    """The first picture and the first text with the exact GELU."""
    model = small_model((32, 32), quick_gelu=False)
    picture = model.encode_image(scaled(pictures(32, 32)[:1]), normalize=True)
    return numbers(torch.cat([picture, model.encode_text(tokens[:1], normalize=True)]))


def zero_shot(model, tokenizer):
    """Logits (2, classes) of the photographs, by open_clip's own builder of classifiers."""
    classes = [name.replace('_', ' ') for name in small_clip.CLASSES]
    templates = [lambda name, prompt=prompt: prompt.format(name) for prompt in small_clip.PROMPTS]
    weights = open_clip.build_zero_shot_classifier(model, tokenizer, classes, templates)
    x = scaled(small_clip.photographs().astype(np.float32) / 255)
    return model.logit_scale.exp() * model.encode_image(x, normalize=True) @ weights


def numbers(values):
    return np.asarray(values.detach()).astype(float).round(7).tolist()


if __name__ == '__main__':
    main()
