"""Layers before the network in a file: the network's own preprocessing is recognised, and layers
with weights are left out."""

import json

import keras
import numpy as np
import pytest
from keras_models import agrees, keras_model, randomise, write_legacy

from tljax.core import UserError
from tljax.studies.pictures import predict
from tljax.weights import pretrained, read_weights
from tljax.zoo import inception_v3, mobilenet
from tljax.zoo.weights.graph import graph
from tljax.zoo.weights.inputs import unlike

L, SPEC = keras.layers, {'name': 'mobilenet', 'alpha': 0.25}


@pytest.fixture(scope='module')
def body():
    return keras_model('mobilenet', 32, {'alpha': 0.25}, include_top=False)


def head_on(body, x, y):
    return keras.Model(x, L.Dense(3, 'softmax')(L.GlobalAveragePooling2D()(body(y))))


def grey_inputs(body):
    x = keras.Input((32, 32, 1))
    return head_on(body, x, L.Conv2D(3, 3, padding='same', name='mine')(x))


def two_convolutions(body):
    x = keras.Input((32, 32, 3))
    return head_on(body, x, L.Conv2D(3, 1, name='mine')(L.Conv2D(3, 1, use_bias=False)(x)))


def normalisation(body):
    x, layer = keras.Input((32, 32, 3)), L.Normalization(name='mine')
    layer.build((None, 32, 32, 3))
    return head_on(body, x, layer(x))


def inner_model(body):
    layer = L.Normalization(name='mine')
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.Sequential([layer, body]),
            L.GlobalAveragePooling2D(),
            L.Dense(3, 'softmax'),
        ]
    )


@pytest.mark.parametrize('layout', ['m.h5', 'm.keras', 'm.weights.h5', 'legacy.h5'])
@pytest.mark.parametrize('make', [grey_inputs, two_convolutions, normalisation, inner_model])
def test_layers_with_weights_before_the_network_are_left_and_said(
    make, layout, body, tmp_path, capsys
):
    network = make(body)
    write = {
        'm.weights.h5': network.save_weights,
        'legacy.h5': lambda path: write_legacy(path, network),
    }.get(layout, network.save)
    write(tmp_path / layout)
    params, state = read_weights(mobilenet(alpha=0.25), tmp_path / layout, top=False)
    message = capsys.readouterr().err
    assert 'mine before the network is left: its inputs were changed there' in message, message
    assert 'above the network is left: dense' in message and 'may scale' not in message, message
    for name in ('conv1', 'conv_pw_13'):
        np.testing.assert_array_equal(
            params['backbone'][name]['kernel'], body.get_layer(name).get_weights()[0]
        )
    np.testing.assert_array_equal(
        state['backbone']['conv1_bn']['mean'], body.get_layer('conv1_bn').get_weights()[2]
    )
    with pytest.raises(UserError, match='mine before the network changes its inputs'):
        predict(pretrained(SPEC, tmp_path / layout), [])


@pytest.mark.slow
def test_a_convolution_before_does_not_count_among_those_that_keras_names_itself(tmp_path, capsys):
    keras.utils.clear_session()
    x = keras.Input((96, 96, 1))
    y = L.Conv2D(3, 1)(x)
    base = keras_model('inception_v3', 96, {}, include_top=False)
    head_on(base, x, y).save(tmp_path / 'm.keras')
    params, _ = read_weights(inception_v3(), tmp_path / 'm.keras', top=False)
    assert "conv2d (the file's) before the network is left" in capsys.readouterr().err
    conv_layers = [layer for layer in base.layers if isinstance(layer, L.Conv2D)]
    for number in (1, 94):
        np.testing.assert_array_equal(
            params['backbone'][f'conv2d_{number}']['kernel'],
            sorted(conv_layers, key=lambda layer: int(layer.name[7:]))[number - 1].get_weights()[0],
        )


def test_what_joins_a_network_midway_is_not_before_it(body, tmp_path):
    def call(layer, x, **kw):
        if layer.name != 'conv_pad_2':
            return layer(x, **kw)
        return layer(L.Add()([x, L.Conv2D(16, 1, strides=2, name='mine')(start)]))

    start = keras.Input((32, 32, 3))
    base = keras.applications.MobileNet(
        alpha=0.25, include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    network = keras.models.clone_model(base, start, call_function=call)
    network.save(tmp_path / 'm.keras')
    with pytest.raises(UserError, match='it has, unasked for, mine'):
        read_weights(mobilenet(alpha=0.25), tmp_path / 'm.keras', top=False)


def test_keras_s_own_preprocessing_in_the_model_is_no_reason_for_a_word(body, tmp_path, capsys):
    x = keras.Input((32, 32, 3))
    network = randomise(head_on(body, x, keras.applications.mobilenet.preprocess_input(x)))
    for name in ('m.keras', 'm.h5'):
        network.save(tmp_path / name)
        agrees(network, tmp_path / name, SPEC, scaled=lambda x: 255 * x)
        assert 'scale pictures' not in capsys.readouterr().err


def graph_of(make):
    x = keras.Input((8, 8, 3))
    y = L.Conv2D(2, 3, name='conv1')(make(x))
    return graph(json.loads(keras.Model(x, y).to_json()))


MODES = {'tf': 'mobilenet', 'torch': 'densenet', 'caffe': 'resnet'}


@pytest.mark.parametrize('mode', MODES)
def test_arithmetic_is_compared_with_each_way_of_preprocessing(mode):
    model = graph_of(getattr(keras.applications, MODES[mode]).preprocess_input)
    for net_mode in MODES:
        assert (unlike(model, ['conv1'], [], net_mode) == ()) == (net_mode == mode)


@pytest.mark.parametrize(
    'make, is_same',
    [
        (lambda x: x / 127.5 - 1, True),
        (lambda x: (x - 127.5) / 127.5, True),
        (lambda x: 2 * (x / 255) - 1, True),
        (lambda x: L.Rescaling(2, -1)(L.Rescaling(1 / 255)(L.RandomFlip()(x))), True),
        (lambda x: L.Rescaling([1 / 127.5] * 3, [-1] * 3)(x), True),
        (lambda x: x / 128 - 1, False),
        (lambda x: x / 255, False),
        (lambda x: 1 - x / 127.5, False),
        (lambda x: (x / 127.5 - 1)[..., ::-1], False),
        (lambda x: L.Lambda(lambda x: x / 127.5 - 1)(x), False),
        (lambda x: L.Concatenate()([x[..., :1]] * 3), False),
    ],
)
def test_only_what_comes_out_the_same_is_the_same(make, is_same):
    assert (unlike(graph_of(make), ['conv1'], [], 'tf') == ()) == is_same


def test_operations_of_keras_2_are_arithmetic_too():
    def op(name, function, below, y):
        return {
            'class_name': 'TFOpLambda',
            'name': name,
            'config': {'name': name, 'function': function},
            'inbound_nodes': [[below, 0, 0, {'y': y, 'name': None}]],
        }

    def model(by):
        first = {
            'class_name': 'InputLayer',
            'name': 'in',
            'config': {'name': 'in', 'batch_input_shape': [None, 8, 8, 3]},
            'inbound_nodes': [],
        }
        last = {
            'class_name': 'Conv2D',
            'name': 'conv1',
            'config': {'name': 'conv1'},
            'inbound_nodes': [[['less', 0, 0, {}]]],
        }
        layers = [
            first,
            op('by', 'math.truediv', 'in', by),
            op('less', 'math.subtract', 'by', 1.0),
            last,
        ]
        return graph(
            {
                'class_name': 'Functional',
                'config': {
                    'layers': layers,
                    'input_layers': [['in', 0, 0]],
                    'output_layers': [['conv1', 0, 0]],
                },
            }
        )

    assert unlike(model(127.5), ['conv1'], [], 'tf') == ()
    assert unlike(model(255.0), ['conv1'], [], 'tf') == ('by', 'less')


@pytest.mark.parametrize(
    'args',
    [
        None,
        3,
        [],
        [[]],
        [{'args': 4}],
        [{'args': [{'config': 3}, {}]}],
        [{'args': [[1] * 99, {'config': {'keras_history': [9]}}]}],
    ],
)
def test_a_config_that_is_not_as_keras_writes_it_is_another_way(args):
    layers = [
        {'class_name': 'InputLayer', 'config': {'name': 'in'}, 'inbound_nodes': []},
        {'class_name': 'Add', 'config': {'name': 'add'}, 'inbound_nodes': args},
        {'class_name': 'Conv2D', 'config': {'name': 'conv1'}, 'inbound_nodes': [['add', 0, 0, {}]]},
    ]
    model = graph(
        {'class_name': 'F', 'config': {'layers': layers, 'output_layers': [['conv1', 0, 0]]}}
    )
    assert model is None or unlike(model, ['conv1'], [], 'tf') == ('add',)
