"""Detectors of one stage against the TensorFlow Object Detection API; single_shot_reference.py has
written its answers.
"""

import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import single_shot_samples as samples
from flax.traverse_util import flatten_dict, unflatten_dict
from two_stage_samples import labels, picked

from tljax.configuration import GIVEN, METHODS, ZOO, bind_named, call_named
from tljax.core import Tick
from tljax.methods.detection import anchoring, predictors
from tljax.paths import flatten
from tljax.zoo.detectors import DETECTORS
from tljax.zoo.weights.slim import from_slim, slim_path
from tljax.zoo.weights.slim_heads import head_arrays, head_path

ANSWERS = json.loads((Path(__file__).parent / 'single_shot.json').read_text(encoding='utf-8'))
SCOPE = 'FeatureExtractor/'


def rows(names):
    return [pytest.param(row, marks=pytest.mark.slow) for row in names]


def here(name):
    """The path of a parameter, by its name in TensorFlow."""
    if name.startswith(SCOPE):
        return f'backbone/{slim_path(name.removeprefix(SCOPE))}'
    return f'head/{head_path(name)}'


def everywhere(path):
    return True


def made(row, stored=everywhere):
    """A network and a method of the zoo."""
    detector = DETECTORS[row]
    net = call_named(ZOO, detector.net, 'net', stored=stored)
    bound = bind_named(METHODS, detector.method, 'method', *GIVEN)
    return net, bound(net=net, classes=samples.CLASSES, stored=stored)


def batch(row):
    return {'input': samples.pictures(row), 'label': labels()}


def shapes(row):
    """Of parameters and of state, {path: shape}."""
    trees = jax.eval_shape(made(row)[1].init, jax.random.key(0), batch(row))
    return [{path: leaf.shape for path, leaf in flatten(tree).items()} for tree in trees]


def variables(row):
    """Parameters and state whose values TensorFlow's names give."""
    known = {path: shape for tree in shapes(row) for path, shape in tree.items()}
    names = [*flatten_dict(ANSWERS[row]['gradients'], sep='/')]
    norms = [name.removesuffix('/beta') for name in names if name.endswith('/beta')]
    names += [f'{norm}/moving_{part}' for norm in norms for part in ('mean', 'variance')]
    tensors = {name: samples.variable(name, known[here(name)]) for name in names}
    params, state = from_slim(tensors, made(row)[0], shape=(*samples.SIZES[row], 3))
    arrays = head_arrays(tensors)
    means = {path: arrays.pop(path) for path in [*arrays] if path.endswith(('/mean', '/var'))}
    head, head_state = (unflatten_dict(tree, sep='/') for tree in (arrays, means))
    return {'backbone': params, 'head': head}, {'backbone': state, 'head': head_state}


@functools.cache
def told(row):
    """The answers here of a detector with stored statistics."""
    net, method = made(row)
    spec = DETECTORS[row].method
    anchors = call_named(anchoring.__name__, spec['anchors'], 'anchors')
    predictor = call_named(predictors.__name__, spec['predictor'], 'predictor')

    @jax.jit
    def run(params, state, batch):
        taps, _ = net.features(params['backbone'], state['backbone'], batch['input'])
        maps = [taps[name] for name in sorted(taps) if name.startswith('map')]
        grid = anchors([x.shape[1:3] for x in maps], batch['input'].shape[1:3])
        head = predictor(grid.per_cell, 1 + samples.CLASSES, None)
        codes, logits = head.apply(
            {'params': params['head'], 'batch_stats': state['head']}, maps, False
        )
        value_and_grad = jax.value_and_grad(method.loss, has_aux=True)
        return {
            'anchors': jnp.asarray(grid.boxes),
            'codes': codes,
            'logits': logits,
            'found': method.predict(params, state, batch)['output'],
            'loss': value_and_grad(params, state, batch, Tick(0, jax.random.key(0))),
            'state': state,
        }

    return run(*variables(row), batch(row))


def close(value, expected, tolerance=1e-4):
    expected = np.array(expected)
    np.testing.assert_allclose(value, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def same_losses(metrics, answers):
    for name, key in (('box_error', 'localization_loss'), ('class_error', 'classification_loss')):
        np.testing.assert_allclose(metrics[name], answers['losses'][key], rtol=1e-4, err_msg=name)


def same_norms(gradients, answers, share=0.5):
    """A unit whose value rounds to the other side of a kink of ReLU6 changes the gradients of the
    layers below it, and neither outputs nor losses: a share of the norms is equal to 1e-4."""
    expected = flatten_dict(answers['gradients'], sep='/')
    norms = {path: np.linalg.norm(leaf) for path, leaf in flatten(gradients).items()}
    assert {here(name) for name in expected} == {*norms}
    pairs = np.array([(norms[here(name)], norm) for name, norm in expected.items()])
    np.testing.assert_allclose(pairs[:, 0], pairs[:, 1], rtol=2e-2, atol=1e-9)
    assert np.isclose(pairs[:, 0], pairs[:, 1], rtol=1e-4, atol=1e-9).mean() >= share


@pytest.mark.parametrize('row', rows(ANSWERS))
def test_outputs_are_the_apis(row):
    for name, tolerance in (('anchors', 1e-6), ('codes', 1e-4), ('logits', 1e-4)):
        close(picked(told(row)[name]), ANSWERS[row][name], tolerance)


@pytest.mark.parametrize('row', rows(ANSWERS))
def test_losses_and_gradients_are_the_apis(row):
    (value, (state, metrics)), gradients = told(row)['loss']
    same_losses(metrics, ANSWERS[row])
    np.testing.assert_allclose(value, sum(ANSWERS[row]['losses'].values()), rtol=1e-4)
    jax.tree.map(np.testing.assert_array_equal, state, told(row)['state'])
    same_norms(gradients, ANSWERS[row])


@pytest.mark.parametrize('row', rows(ANSWERS))
def test_detections_are_the_apis(row):
    found, expected = told(row)['found'][:, : samples.TOP], ANSWERS[row]
    close(found[..., 5], expected['scores'])
    np.testing.assert_array_equal(found[..., 4], expected['classes'])
    close(found[..., :4], expected['boxes'])


@pytest.mark.slow
@pytest.mark.parametrize('row', samples.FOLLOWING)
def test_losses_and_gradients_with_the_batch_s_statistics_are_the_apis(row):
    _, method = made(row, None)
    params, state = variables(row)
    value_and_grad = jax.jit(jax.value_and_grad(method.loss, has_aux=True))
    (_, (new_state, metrics)), gradients = value_and_grad(
        params, state, batch(row), Tick(0, jax.random.key(0))
    )
    expected = ANSWERS[row]['following']
    same_losses(metrics, expected)
    # pictures that differ in their last bit change the norms by 0.4 % here
    same_norms(gradients, expected, share=0)
    old, new = flatten(state), flatten(new_state)
    for name, change in flatten_dict(expected['moved'], sep='/').items():
        moved = np.linalg.norm(new[here(name)] - old[here(name)])
        np.testing.assert_allclose(moved, change, rtol=1e-2, err_msg=name)


@pytest.mark.parametrize('row', ANSWERS)
def test_as_many_parameters_are_trained_in_the_api(row):
    # its pooling pyramid has Conv2d_12 and Conv2d_13, which nothing reads
    assert ANSWERS[row]['unread'] == (1_593_856 if row.endswith('ppn') else 0)
    assert ANSWERS[row]['trained'] == DETECTORS[row].parameters
