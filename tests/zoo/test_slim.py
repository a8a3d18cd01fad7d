"""The networks of TensorFlow's detectors compute what the Object Detection API computes with the
same variables.

`slim.json` has the API's maps; `slim_reference.py` wrote it.
"""

import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest
import slim_samples as samples

from tljax import paths
from tljax.configuration import call_named
from tljax.core import UserError
from tljax.zoo import conv4, mobilenet, with_extras
from tljax.zoo.weights.slim import from_slim

ANSWERS = json.loads(Path(__file__).with_name('slim.json').read_text())
V1, V2 = {'name': 'mobilenet', 'padding': 'same'}, {'name': 'mobilenet_v2'}
EXTRAS = {'name': 'with_extras', 'maps': ['block11', 'block13']}
V2_EXTRAS = {'name': 'with_extras', 'of': V2, 'maps': ['block13_expand', 'conv2']}
RESNET_FPN = {'name': 'resnet_slim', 'activation': 'relu6'}
NETS = {
    'ssd_mobilenet_v1': {**EXTRAS, 'of': V1},
    'ssd_mobilenet_v1_75': {
        **EXTRAS,
        'of': {**V1, 'alpha': 0.75, 'min_depth': 16},
        'widths': [384, 192, 192, 96],
    },
    'ssd_mobilenet_v1_25': {
        **EXTRAS,
        'of': {**V1, 'alpha': 0.25, 'min_depth': 16},
        'widths': [128, 64, 64, 32],
    },
    'ssd_mobilenet_v1_ppn': {
        'name': 'with_pools',
        'of': {'name': 'truncated', 'of': V1, 'tap': 'block11'},
        'tap': 'block11',
    },
    'ssd_mobilenet_v1_fpn': {
        'name': 'with_pyramid',
        'of': V1,
        'maps': ['block5', 'block11', 'block13'],
    },
    'ssd_resnet50_fpn': {
        'name': 'with_pyramid',
        'of': RESNET_FPN,
        'maps': ['block2', 'block3', 'block4'],
    },
    'ssd_mobilenet_v2': V2_EXTRAS,
    'ssdlite_mobilenet_v2': {**V2_EXTRAS, 'depthwise': True},
    'ssd_inception_v2': {
        **EXTRAS,
        'of': {'name': 'inception_v2', 'activation': 'relu6'},
        'maps': ['Mixed_4c', 'Mixed_5c'],
    },
}
PARTS = {  # two networks, and the names of their last maps
    'faster_rcnn_inception_v2': ({'name': 'inception_v2'}, 'Mixed_4e', 'Mixed_5c'),
    'faster_rcnn_resnet50': ({'name': 'resnet_slim'}, 'block3', 'block4'),
    'faster_rcnn_resnet101': ({'name': 'resnet_slim', 'depth': 101}, 'block3', 'block4'),
}
# rows that compile in a few seconds; the others are among the slow tests
QUICK = ('ssd_mobilenet_v1_25',)


def rows(names):
    return [pytest.param(n, marks=[pytest.mark.slow] * (n not in QUICK)) for n in names]


def made(spec, **keywords):
    return call_named('tljax.zoo', {**spec, **keywords}, 'net')


def variables(row):
    """{name: values} of all variables of a row."""
    tensors = {}
    for layer, shapes in ANSWERS[row]['layers'].items():
        if isinstance(shapes, int):
            names = ('beta', 'gamma', 'moving_mean', 'moving_variance')
            shapes = dict.fromkeys(names, [shapes])
        for leaf, shape in shapes.items():
            name = f'{layer}/{leaf}'
            tensors[name] = samples.variable(name, shape)
    return tensors


def close(row, maps):
    answers = ANSWERS[row]['maps']
    assert [list(x.shape) for x in maps] == [answer['shape'] for answer in answers]
    for x, answer in zip(maps, answers, strict=True):
        expected = np.array(answer['picked'])
        np.testing.assert_allclose(
            samples.picked(x), expected, rtol=0, atol=1e-4 * np.abs(expected).max()
        )


def sizes(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize('row', rows(row for row in ANSWERS if row in NETS))
def test_the_maps_of_a_detector_of_one_stage_are_the_apis(row):
    net, tensors = made(NETS[row]), variables(row)
    params, state = from_slim(tensors, net)
    taps, _ = jax.jit(net.features)(params, state, samples.pictures(row))
    close(row, [taps[f'map{i}'] for i in range(1, len(ANSWERS[row]['maps']) + 1)])
    unused = 0
    if row.endswith('ppn'):  # the API makes layers above the map that nothing reads
        unused = sum(
            array.size
            for name, array in tensors.items()
            if re.search('Conv2d_1[23]_', name) and 'moving' not in name
        )
    assert sizes(params) + unused == ANSWERS[row]['trainable']


@pytest.mark.parametrize('row', rows(PARTS))
def test_the_maps_of_both_stages_of_a_detector_are_the_apis(row):
    (spec, *last), tensors = PARTS[row], variables(row)
    first, second = made(spec, part='first'), made(spec, part='last')
    crops = samples.crops(row, first.dim)
    maps, count = [], 0
    for net, scope, x, tap in (
        (first, 'FirstStageFeatureExtractor', samples.pictures(row), last[0]),
        (second, 'SecondStageFeatureExtractor', crops, last[1]),
    ):
        params, state = from_slim(tensors, net, scope, x.shape[1:])
        taps, _ = jax.jit(net.features)(params, state, x)
        maps.append(taps[tap])
        assert (taps['map1'] == taps[tap]).all()
        count += sizes(params)
    close(row, maps)
    unused = sum(
        array.size
        for name, array in tensors.items()
        if name.startswith('FirstStage') and '/block4/' in name and 'moving' not in name
    )
    assert count + unused == ANSWERS[row]['trainable']


@pytest.mark.parametrize(
    'spec, last',
    [
        *((NETS[row], 'map') for row in NETS if row.endswith(('lite_mobilenet_v2', 'fpn'))),
        ({'name': 'resnet_slim'}, 'block4_unit3'),
        ({'name': 'inception_v2'}, 'Mixed_5c'),
    ],
    ids=lambda value: value['name'] if isinstance(value, dict) else '',
)
def test_groups_cover_every_parameter_once_and_end_with_the_last_layers(spec, last):
    net = made(spec)
    params, _ = shapes(net)
    for path in paths.flatten(params):
        assert sum(bool(re.fullmatch(p, path)) for p in net.groups.values()) == 1, path
    assert list(net.groups)[-1].startswith(last)


def shapes(net, side=64):
    picture = jax.ShapeDtypeStruct((2, side, side, 3), 'float32')
    return jax.eval_shape(net.init, jax.random.key(0), picture)


def small(stored=None):
    of = conv4(width=4, blocks=2, size=8)
    net = with_extras(of, ('block1', 'block2'), (8,), depthwise=True, stored=stored)
    x = np.random.default_rng(0).uniform(size=(2, 8, 8, 3)).astype('f')
    return net, x, jax.jit(net.init)(jax.random.key(0), x)


def test_a_neck_s_statistics_follow_the_batch_unless_they_are_stored():
    moved = {}
    for name, stored in (('free', None), ('frozen', lambda path: path.startswith('extras/'))):
        net, x, (params, state) = small(stored)
        _, new = jax.jit(net.features)(params, state, x, jax.random.key(1))
        old, new = paths.flatten(state), paths.flatten(new)
        moved[name] = {path for path in old if not np.array_equal(old[path], new[path])}
    extras = {path for path in old if path.startswith('extras/')}
    assert moved['free'] == {*old} and moved['frozen'] == {*old} - extras and extras


def test_variables_of_another_network_are_refused_by_name():
    row = 'ssd_mobilenet_v1_25'
    tensors, net = variables(row), made(NETS[row])
    slots = {'FeatureExtractor/MobilenetV1/Conv2d_0/weights/RMSProp_1': np.ones(1)}
    from_slim({**tensors, **slots, 'BoxPredictor_0/weights': np.ones(1)}, net)
    gone, spare, nan = [f'FeatureExtractor/MobilenetV1/Conv2d_{i}' for i in (0, 99, '1_pointwise')]
    changed = {
        f'{gone}/weights': np.ones((3, 3, 3, 9)),
        f'{spare}/weights': np.ones((1, 1)),
        f'{nan}/weights': np.full((1, 1, 16, 16), np.nan),
    }
    said = (
        'spare are MobilenetV1/Conv2d_99/weights; shapes differ at MobilenetV1/Conv2d_0/weights '
        r'\(3, 3, 3, 9\) for \(3, 3, 3, 16\); not finite are conv_pw_1/kernel'
    )
    with pytest.raises(UserError, match=said):
        from_slim({**tensors, **changed}, net)
    del tensors[f'{gone}/weights']
    said = 'missing are conv1/kernel; spare are MobilenetV1/Conv2d_13_pointwise_1_Conv2d_2_1x1'
    with pytest.raises(UserError, match=said):
        from_slim(tensors, made(V1, alpha=0.25, min_depth=16))


def test_averages_take_the_place_of_variables_and_absent_scales_are_1():
    net = mobilenet(0.25, min_depth=16)
    tensors = {
        name.partition('/')[2]: array
        for name, array in variables('ssd_mobilenet_v1_25').items()
        if '_Conv2d_' not in name and not name.endswith('gamma')
    }
    name = 'MobilenetV1/Conv2d_0/weights'
    average = {f'{name}/ExponentialMovingAverage': 2 * tensors[name]}
    params, _ = from_slim({**tensors, **average, 'global_step': np.ones(())}, net, scope='')
    np.testing.assert_array_equal(params['conv1']['kernel'], 2 * tensors[name])
    assert (params['conv_pw_13_bn']['scale'] == 1).all()


@pytest.mark.parametrize(
    'spec, said',
    [
        ({**V1, 'padding': 'valid'}, "net.padding='valid' is unknown"),
        ({'name': 'resnet_slim', 'depth': 18}, 'net.depth=18 is unknown'),
        ({'name': 'resnet_slim', 'part': 'lats'}, "net.part='lats' is unknown: did you mean last?"),
        ({'name': 'inception_v2', 'activation': 'tanh'}, "net.activation='tanh' is unknown"),
        ({**EXTRAS, 'of': V1, 'widths': [0]}, r'net.widths=\[0\]: give whole numbers'),
        ({**EXTRAS, 'of': V1, 'maps': ['block14']}, "'block14' is no intermediate of the network"),
        ({**NETS['ssd_mobilenet_v1_ppn'], 'count': 0}, 'net.count=0: give 1 or more'),
        ({**NETS['ssd_mobilenet_v1_fpn'], 'count': 2}, 'with net.count=2: give 1 to net.count'),
        ({**NETS['ssd_mobilenet_v1_fpn'], 'width': 0}, 'net.width=0: give 1 or more'),
        (NETS['ssd_mobilenet_v1_fpn'], 'map2 is 5x5 and map3 is 3x3; a pyramid needs'),
    ],
    ids=lambda value: value if isinstance(value, str) else '',
)
def test_what_no_detector_has_is_refused(spec, said):
    with pytest.raises(UserError, match=said):
        shapes(made(spec), side=66)
