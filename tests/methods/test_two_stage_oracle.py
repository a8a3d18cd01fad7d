"""Detectors of two stages against the TensorFlow Object Detection API; two_stage_reference.py has
written its answers."""

import functools
import json
import re
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np
import pytest
import two_stage_samples as samples
from flax.traverse_util import unflatten_dict

from tljax import paths
from tljax.core import Tick
from tljax.methods.detection import proposals as first
from tljax.methods.detection.two_stage import two_stage
from tljax.nn.layers import Conv, net

ANSWERS = json.loads((Path(__file__).parent / 'two_stage.json').read_text(encoding='utf-8'))
ALL = 100_000  # more anchors and regions than there are
RULES = (  # (name in TensorFlow, path here)
    (r'FirstStageFeatureExtractor/(conv\d)/(.*)', r'backbone/\1/\2'),
    (r'SecondStageFeatureExtractor/(conv\d)/(.*)', r'tail/\1/\2'),
    (r'Conv/(.*)', r'rpn/conv/\1'),
    (r'FirstStageBoxPredictor/BoxEncodingPredictor/(.*)', r'rpn/box/\1'),
    (r'FirstStageBoxPredictor/ClassPredictor/(.*)', r'rpn/objectness/\1'),
    (r'SecondStageBoxPredictor/(?:BoxEncodingPredictor|refined_locations)/(.*)', r'head/box/\1'),
    (r'SecondStageBoxPredictor/(?:ClassPredictor|class_predictions)/(.*)', r'head/class/\1'),
    (r'SecondStageBoxPredictor/reduce_depth/(.*)', r'head/reduce/\1'),
)
LEAVES = {'weights': 'kernel', 'biases': 'bias'}


class _Layers(nn.Module):
    """Convolutions with ReLU, named 'conv1', ...: (name, channels, side of the kernel, stride)."""

    layers: tuple

    @nn.compact
    def __call__(self, x, train):
        for name, width, size, stride in self.layers:
            layer = Conv(width, (size, size), (stride, stride), use_bias=True, name=name)
            x = nn.relu(layer(x))
        return {'map1': x, 'features': x.mean((1, 2))}


def made(*layers):
    return net(_Layers(layers), layers[-1][1], {name: f'{name}/.*' for name, *_ in layers})


def here(name):
    """The path of a parameter, by its name in TensorFlow."""
    for pattern, path in RULES:
        if match := re.fullmatch(pattern, name):
            layer, _, leaf = match.expand(path).rpartition('/')
            return f'{layer}/{LEAVES[leaf]}'
    raise KeyError(name)


@functools.cache
def detector(name, **changes):
    """A method, and its parameters by their names in TensorFlow."""
    row = samples.ROWS[name]._replace(**changes)
    method = two_stage(
        made(('conv1', 6, 5, 4), ('conv2', 8, 5, 4)),
        made(('conv3', 10, 3, 1)),
        row.classes,
        proposals=row.proposals,
        pool=row.pool,
        sides=row.sides,
        width=row.width,
        reduced=row.reduced,
        drawn_anchors=ALL,
        drawn_regions=ALL,
    )
    shapes = ANSWERS[name]['training']['shapes']
    params = {here(variable): samples.variable(variable, shapes[variable]) for variable in shapes}
    return method, unflatten_dict(params, sep='/')


def batch(name):
    return {'input': samples.pictures(name), 'label': samples.labels()}


def close(value, expected, tolerance=1e-5):
    np.testing.assert_allclose(value, np.array(expected), rtol=1e-4, atol=tolerance)


rows = pytest.mark.parametrize('name', ['made_crop', 'made_position'])


@rows
def test_losses_and_gradients_are_the_apis(name):
    method, params = detector(name)
    state = {'backbone': {}, 'tail': {}}
    value_and_grad = jax.jit(jax.value_and_grad(method.loss, has_aux=True))
    (value, (_, metrics)), gradients = value_and_grad(
        params, state, batch(name), Tick(0, jax.random.key(0))
    )
    expected = ANSWERS[name]['training']
    close(
        [metrics[key] for key in ('anchor_location', 'objectness', 'location', 'class')],
        list(expected['losses'].values()),
    )
    close(value, sum(expected['losses'].values()))
    norms = {path: np.linalg.norm(leaf) for path, leaf in paths.flatten(gradients).items()}
    assert norms.keys() == {here(variable) for variable in expected['gradients']}
    for variable, norm in expected['gradients'].items():
        np.testing.assert_allclose(norms[here(variable)], norm, rtol=2e-4, err_msg=variable)


@rows
def test_detections_are_the_apis(name):
    method, params = detector(name)
    output = jax.jit(method.predict)(params, {'backbone': {}, 'tail': {}}, batch(name))['output']
    expected = ANSWERS[name]['inference']
    close(output[:, :12, :4], expected['boxes'])
    close(output[:, :12, 4], expected['classes'])
    close(output[:, :12, 5], expected['scores'])


def test_outputs_of_the_first_stage_are_the_apis():
    row, expected = samples.ROWS['made_crop'], ANSWERS['made_crop']['inference']
    params = detector('made_crop')[1]

    @jax.jit
    def told(params, input):
        taps, _ = made(('conv1', 6, 5, 4), ('conv2', 8, 5, 4)).features(
            params['backbone'], {}, input
        )
        logits, codes = first.rpn(params['rpn'], taps['map1'])
        anchors = first.region_anchors(
            row.size, taps['map1'].shape[1:3], 16, row.sides, (0.5, 1, 2)
        )
        return logits, codes, first.propose(logits, codes, anchors.clip(0, 1), row.proposals)[0]

    logits, codes, regions = told(params, samples.pictures('made_crop'))
    close(samples.picked(logits), expected['anchor_logits'])
    close(samples.picked(codes), expected['anchor_codes'])
    close(samples.picked(regions), expected['regions'])
