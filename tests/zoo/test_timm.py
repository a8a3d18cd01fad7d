"""Networks with timm's names compute what timm computes with the same weights.

`timm.json` has timm's numbers; `timm_reference.py` wrote it.
"""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from random_tensors import pictures, tensor
from safetensors.numpy import save_file

from tljax import paths, zoo
from tljax.weights import pretrained
from tljax.zoo.table import ROWS
from tljax.zoo.weights.tensors import as_in_flax, tensor_name

ANSWERS = json.loads(Path(__file__).with_name('timm.json').read_text())
# networks that compile in a few seconds; the others are among the slow tests
QUICK = ('efficientnet_lite0', 'regnet_y_002')  # a ViT: test_names.py
NAMES = [pytest.param(n, marks=[pytest.mark.slow] * (n not in QUICK)) for n in ANSWERS]

HEADS = {'efficientnet': 'classifier', 'mobilenet_v3': 'classifier', 'vit': 'head'}


def shapes_of(name):
    """{timm's name: shape in PyTorch's order} of parameters, and of statistics."""
    net = getattr(zoo, name)()
    trees = jax.eval_shape(
        net.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 64, 64, 3), 'float32')
    )
    return [
        {tensor_name(path): torch_order(leaf.shape) for path, leaf in paths.flatten(tree).items()}
        for tree in trees
    ]


def torch_order(shape):
    if len(shape) == 4:
        return shape[3], shape[2], shape[0], shape[1]
    return shape[::-1] if len(shape) == 2 else shape


def head_of(name):
    layer, dim = HEADS.get(ROWS[name].module, 'head.fc'), getattr(zoo, name)().dim
    return {f'{layer}.weight': (10, dim), f'{layer}.bias': (10,)}


@pytest.fixture(scope='module')
def file_of(tmp_path_factory):
    """A function from a network's name to a file of its random weights, with ten outputs."""
    folder, files = tmp_path_factory.mktemp('weights'), {}

    def make(name):
        if name not in files:
            parameters, statistics = shapes_of(name)
            arrays = {
                key: np.ascontiguousarray(tensor(key, shape))
                for key, shape in {**parameters, **statistics, **head_of(name)}.items()
            }
            files[name] = folder / f'{name}.safetensors'
            save_file(arrays, files[name])
        return files[name]

    return make


def agree(ours, theirs, tolerance=1e-4):
    theirs = np.array(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


@pytest.mark.parametrize('name', NAMES)
def test_features_and_logits_are_timm_s(name, file_of):
    params, state, record = pretrained({'name': name}, str(file_of(name)))
    net = getattr(zoo, name)()
    for size, answer in ANSWERS[name]['results'].items():
        x = pictures(*map(int, size.split('x')))
        taps, _ = jax.jit(net.features)(
            *jax.tree.map(lambda leaf: leaf[0], (params['backbone'], state['backbone'])), x
        )
        assert set(taps) == {*net.groups, 'features'}
        agree(taps['features'], answer['features'])
        head = jax.tree.map(lambda leaf: leaf[0], params['head'])
        agree(taps['features'] @ head['kernel'] + head['bias'], answer['logits'])


@pytest.mark.slow  # gradients compile for longer
@pytest.mark.parametrize('name', list(ANSWERS))
def test_gradients_are_timm_s(name, file_of):
    """The derivative of a linear function of the logits, along one direction of each parameter."""
    params, state, _ = pretrained({'name': name}, str(file_of(name)))
    params, state = jax.tree.map(lambda leaf: leaf[0], (params, state))
    net = getattr(zoo, name)()
    size = list(ANSWERS[name]['results'])[-1]
    x = pictures(*map(int, size.split('x')))
    weight = tensor('function', (len(x), 10))

    def function(params):
        taps, _ = net.features(params['backbone'], state['backbone'], x)
        return (
            weight * (taps['features'] @ params['head']['kernel'] + params['head']['bias'])
        ).sum()

    gradients = jax.jit(jax.grad(function))(params)
    slopes = {}
    for path, gradient in paths.flatten(gradients['backbone']).items():
        key, shape = tensor_name(path), gradient.shape
        direction = as_in_flax(tensor(f'direction {key}', torch_order(shape)), path, len(shape))
        slopes[key] = float((gradient * direction).sum())
    theirs = {key: value for key, value in ANSWERS[name]['slopes'].items() if key in slopes}
    assert {*ANSWERS[name]['slopes']} - {*slopes} == {
        *head_of(name)
    } and theirs.keys() == slopes.keys()
    agree([slopes[key] for key in theirs], list(theirs.values()), 1e-3)


@pytest.mark.parametrize('name', list(ANSWERS))
def test_parameters_are_as_many_as_published(name):
    parameters, _ = shapes_of(name)
    outputs = 1000 * (getattr(zoo, name)().dim + 1) if ROWS[name].top1 else 0
    count = sum(int(np.prod(shape)) for shape in parameters.values()) + outputs
    assert count == ANSWERS[name]['parameters'] == ROWS[name].parameters
