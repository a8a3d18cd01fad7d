"""Detectors of two stages against the TensorFlow Object Detection API; two_stage_reference.py has
written its answers.

Most regions that the published rows propose end at the border of the picture. There TensorFlow
takes the last samples of a crop as outside of the picture or not, as rounding will have it, and a
row of zeros changes what the second stage says of the region. The second stage of these rows looks
at given regions on both sides.
"""

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

from tljax import detector_weights, paths
from tljax.configuration import GIVEN, METHODS, ZOO, bind_named, call_named
from tljax.core import Tick, UserError
from tljax.methods.detection import proposals as first
from tljax.methods.detection import second_stage as second
from tljax.methods.detection.two_stage import two_stage
from tljax.nn.layers import Conv, net
from tljax.zoo.detectors import DETECTORS
from tljax.zoo.weights.slim import LEAVES, slim_path
from tljax.zoo.weights.slim_stages import FIRST, parts_from_slim, stage_arrays, stage_path

ANSWERS = json.loads((Path(__file__).parent / 'two_stage.json').read_text(encoding='utf-8'))
ALL = 100_000  # more anchors and regions than there are
NETWORKS = Path(__file__).parents[1] / 'zoo' / 'slim.json'


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
    if path := stage_path(name):
        return path
    scope, rest = name.split('/', 1)
    player = 'backbone' if scope == FIRST else 'tail'
    if rest.startswith('conv'):  # of the small network
        layer, _, leaf = rest.rpartition('/')
        return f'{player}/{layer}/{LEAVES[leaf]}'
    return f'{player}/{slim_path(rest)}'


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


def variables(name):
    """All variables of a published detector, {name in TensorFlow: values}."""
    tensors, row = {}, samples.ROWS[name]
    layers = json.loads(NETWORKS.read_text(encoding='utf-8'))[row.extractor]['layers']
    for layer, shapes in layers.items():
        if isinstance(shapes, int):  # BatchNorm
            names = ('beta', 'gamma', 'moving_mean', 'moving_variance')
            shapes = dict.fromkeys(names, [shapes])
        for leaf, shape in shapes.items():
            tensors[f'{layer}/{leaf}'] = shape
    tensors |= ANSWERS[name]['training']['shapes']
    return {variable: samples.variable(variable, shape) for variable, shape in tensors.items()}


@functools.cache
def published(name):
    """A detector of the zoo with stored statistics, its parameters and its state."""
    row, detector, tensors = samples.ROWS[name], DETECTORS[name], variables(name)
    net = call_named(ZOO, detector.net, 'net', stored=lambda path: True)
    tail = call_named(ZOO, detector.method['tail'], 'tail')
    params, state = parts_from_slim(tensors, net, tail, (*row.size, 3))
    keywords = dict(proposals=row.proposals, drawn_anchors=ALL, drawn_regions=ALL)
    method = bind_named(METHODS, {**detector.method, **keywords}, 'method', *GIVEN)(
        net=net, classes=row.classes, statistics=lambda player: lambda path: True
    )
    own = unflatten_dict(stage_arrays(tensors), sep='/')
    return method, {**params, **own}, state


def batch(name):
    return {'input': samples.pictures(name), 'label': samples.labels(samples.boxes_of(name))}


def close(value, expected, tolerance=1e-5):
    np.testing.assert_allclose(value, np.array(expected), rtol=1e-4, atol=tolerance)


def any_detector(name):
    if name in DETECTORS:
        return published(name)
    return *detector(name), {'backbone': {}, 'tail': {}}


@pytest.fixture
def regions(monkeypatch):
    """Lets the second stage of a published row look at the given regions, once it is called."""

    def give(name):
        if name in DETECTORS:
            boxes = samples.regions(name)
            given = boxes, np.ones(boxes.shape[:2], bool)
            monkeypatch.setattr(first, 'propose', lambda *told: given)

    return give


def rows(quick):
    """All detectors; those but one are among the slow tests."""
    names = [pytest.param(n, marks=[pytest.mark.slow] * (n != quick)) for n in samples.ROWS]
    return pytest.mark.parametrize('name', names)


@rows('made_crop')
def test_losses_and_gradients_are_the_apis(name, regions):
    method, params, state = any_detector(name)
    regions(name)
    value_and_grad = jax.jit(jax.value_and_grad(method.loss, has_aux=True))
    (value, (new_state, metrics)), gradients = value_and_grad(
        params, state, batch(name), Tick(0, jax.random.key(0))
    )
    jax.tree.map(np.testing.assert_array_equal, state, new_state)
    expected = ANSWERS[name]['training']
    losses = [metrics[key] for key in ('anchor_location', 'objectness', 'location', 'class')]
    answers = list(expected['losses'].values())
    close(losses, answers)
    np.testing.assert_allclose(value, sum(answers), rtol=1e-4)
    norms = {path: np.linalg.norm(leaf) for path, leaf in paths.flatten(gradients).items()}
    named = variables(name) if name in DETECTORS else expected['shapes']
    trained = [variable for variable in sorted(named) if here(variable) in norms]
    assert len(norms) == len(trained)
    for variable, norm in zip(trained, expected['gradients'], strict=True):
        np.testing.assert_allclose(norms[here(variable)], norm, rtol=1e-3, err_msg=variable)


@rows('made_position')
def test_detections_are_the_apis(name, regions):
    method, params, state = any_detector(name)
    regions(name)
    output = jax.jit(method.predict)(params, state, batch(name))['output']
    expected = ANSWERS[name]['inference']
    close(output[:, :12, :4], expected['boxes'], 1e-4)
    close(output[:, :12, 4], expected['classes'])
    close(output[:, :12, 5], expected['scores'])


@rows('made_crop')
def test_outputs_of_both_stages_are_the_apis(name, regions, monkeypatch):
    method, params, state = any_detector(name)
    regions(name)
    propose, told = first.propose, {}

    def noted(logits, codes, anchors, limit):
        boxes, mask = propose(logits, codes, anchors, limit)
        told.update(anchor_logits=logits, anchor_codes=codes, regions=boxes)
        return boxes, mask

    def answered(logits, codes, *regions):
        return {**told, 'logits': logits, 'codes': codes}

    monkeypatch.setattr(first, 'propose', noted)
    monkeypatch.setattr(second, 'detected', answered)
    predict = jax.jit(lambda *arguments: method.predict(*arguments))  # compiled anew
    output = predict(params, state, batch(name))['output']
    for key, value in output.items():
        close(samples.picked(value), ANSWERS[name]['inference'][key])


@pytest.mark.slow
@pytest.mark.parametrize('name', ['faster_rcnn_inception_v2', 'rfcn_resnet101'])
def test_weights_of_a_published_detector_are_loaded(name, monkeypatch):
    tensors = variables(name)
    monkeypatch.setattr(detector_weights, 'read', lambda path: path)
    facts = type('Facts', (), {'classes': 90})
    monkeypatch.setattr(detector_weights, 'variables', lambda file: (tensors, facts))
    params, state, _ = detector_weights.pretrained_detector(name, 'file')
    _, expected_params, expected_state = published(name)
    for trees in ((params, expected_params), (state, expected_state)):
        jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[0], b), *trees)
    unused = sum(  # TensorFlow's first stage has a block that nothing reads
        array.size
        for variable, array in tensors.items()
        if re.match(f'{FIRST}/.*/block4/.*(weights|gamma|beta)', variable)
    )
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert count + unused == DETECTORS[name].parameters
    tensors.pop('Conv/biases')
    with pytest.raises(UserError, match='missing: rpn/conv/bias'):
        detector_weights.pretrained_detector(name, 'file')
