"""Files with the names of torchvision, transformers and Google give what those libraries compute.

`names.json` has their tensors' names and shapes and their logits; `names_reference.py` wrote it.
"""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from random_tensors import pictures, tensor
from safetensors.numpy import save_file

from tljax import zoo
from tljax.core import UserError
from tljax.weights import pretrained

ANSWERS = json.loads(Path(__file__).with_name('names.json').read_text())
# keywords of the network where a library's port differs from the table's
KEYWORDS = {
    'torchvision efficientnet_b0': {'port': 'torch'},
    'torchvision efficientnet_v2_s': {'port': 'torchvision'},
    'torchvision mobilenet_v3_large': {'port': 'torchvision', 'mode': 'torch'},
    'torchvision mobilenet_v3_small': {'port': 'torchvision', 'mode': 'torch'},
    'transformers vit_small_patch14_dinov2': {'trained': 56},
}
QUICK = (
    'torchvision mobilenet_v3_small',
    'torchvision regnet_y_004',
    'transformers vit_tiny_patch16_224',
    'google vit_tiny_patch16_224',
)


def write(key, folder, in_model=False, **changes):
    """A file of a library's random weights; `changes` replaces tensors, or drops them (None).

    Names are those of files that the library saves, or those in its model.
    """
    answer = ANSWERS[key]
    drawn = {} if in_model else answer.get('drawn', {})
    drawn = drawn or {name: name for name in answer['shapes']}
    arrays = {name: tensor(source, answer['shapes'][source]) for name, source in drawn.items()}
    arrays = {name: array for name, array in {**arrays, **changes}.items() if array is not None}
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    if key.startswith('google'):
        np.savez(folder / 'weights.npz', **arrays)
        return str(folder / 'weights.npz')
    save_file(arrays, folder / 'weights.safetensors')
    return str(folder / 'weights.safetensors')


@pytest.mark.parametrize(
    'key', [pytest.param(key, marks=[pytest.mark.slow] * (key not in QUICK)) for key in ANSWERS]
)
def test_logits_are_the_library_s(key, tmp_path):
    name, keywords = key.split()[1], KEYWORDS.get(key, {})
    params, state, _ = pretrained({'name': name, **keywords}, write(key, tmp_path))
    params, state = jax.tree.map(lambda leaf: leaf[0], (params, state))
    net = getattr(zoo, name)(**keywords)
    x = pictures(ANSWERS[key]['size'], ANSWERS[key]['size'])
    features = jax.jit(net.features)(params['backbone'], state['backbone'], x)[0]['features']
    head = params.get('head')
    ours = features @ head['kernel'] + head['bias'] if head else features
    theirs = np.array(ANSWERS[key]['logits'])
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * np.abs(theirs).max())


def test_a_model_of_transformers_may_have_other_names_than_its_files(tmp_path):
    key = 'transformers vit_tiny_patch16_224'
    ours = [
        pretrained({'name': 'vit_tiny_patch16_224'}, write(key, tmp_path, in_model))[0]
        for in_model in (False, True)
    ]
    jax.tree.map(np.testing.assert_array_equal, *ours)


KEY = 'torchvision regnet_y_004'
FIRST = 'trunk_output.block1.block1-0.f.b.0.weight'


@pytest.mark.parametrize(
    'changes, message',
    [
        ({FIRST: None}, 'it lacks s1.b1.conv2.conv.weight'),
        ({'extra.weight': np.zeros((3, 3), 'f')}, 'it has, unasked for, extra.weight'),
        ({FIRST: np.zeros((8, 8, 3, 3), 'f')}, 'shapes differ at s1.b1.conv2.conv.weight'),
        ({'stem.1.bias': np.full(32, np.nan, 'f')}, 'not finite at stem.bn.bias'),
    ],
)
def test_a_file_that_does_not_fit_is_told_by_names_and_shapes(changes, message, tmp_path):
    with pytest.raises(UserError, match=message):
        pretrained({'name': 'regnet_y_004'}, write(KEY, tmp_path, **changes))


def test_files_of_another_depth_or_family_are_refused(tmp_path):
    path = write(KEY, tmp_path)
    for name in ('regnet_y_002', 'regnet_x_004', 'vit_tiny_patch16_224', 'efficientnet_b0'):
        with pytest.raises(UserError, match='another network or is damaged'):
            pretrained({'name': name}, path)


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16', 'float64'])
def test_tensors_of_other_precisions_are_read(dtype, tmp_path):
    import ml_dtypes

    kind = ml_dtypes.bfloat16 if dtype == 'bfloat16' else np.dtype(dtype)
    shapes = ANSWERS[KEY]['shapes']
    whole = pretrained({'name': 'regnet_y_004'}, write(KEY, tmp_path))[0]
    cast = {name: tensor(name, shape).astype(kind) for name, shape in shapes.items()}
    params = pretrained({'name': 'regnet_y_004'}, write(KEY, tmp_path, **cast))[0]
    kernels = [tree['backbone']['s1.b1']['conv1.conv']['kernel'] for tree in (whole, params)]
    assert kernels[1].dtype == np.float32
    np.testing.assert_allclose(*kernels, rtol=1e-2)


def test_damaged_files_are_one_line(tmp_path):
    path = Path(write(KEY, tmp_path))
    content = path.read_bytes()
    for damaged in (content[:100], content[: len(content) // 2], b'\xff' * 64, b''):
        path.write_bytes(damaged)
        with pytest.raises(UserError) as error:
            pretrained({'name': 'regnet_y_004'}, str(path))
        assert '\n' not in str(error.value)
