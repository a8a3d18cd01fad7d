"""Layers above the network in a file: a head gives Keras's answers, and other layers are left out
with a message."""

import json

import h5py
import keras
import numpy as np
import pytest
from keras_models import agrees, keras2, keras_model, randomise, write_legacy

from tljax.configuration import call_named
from tljax.core import UserError
from tljax.features import donors_at
from tljax.studies import donors
from tljax.studies.models import ModelChoice, model
from tljax.studies.pictures import predict
from tljax.weights import pretrained
from tljax.zoo import mobilenet
from tljax.zoo.weights.keras import load

L, SPEC = keras.layers, {'name': 'mobilenet', 'alpha': 0.25}


@pytest.fixture(scope='module')
def body():
    return keras_model('mobilenet', 32, {'alpha': 0.25}, include_top=False)


def model_on_mean(*layers, body):
    x = mean(body)
    for layer in layers:
        x = layer(x)
    return randomise(keras.Model(body.input, x))


HEADS = {
    'two dense layers': lambda: (L.Dense(16, 'relu'), L.Dropout(0.3), L.Dense(3, 'softmax')),
    'batch normalisation between': lambda: (
        L.BatchNormalization(),
        L.Dropout(0.2),
        L.Dense(16),
        L.BatchNormalization(),
        L.Activation('relu'),
        L.BatchNormalization(scale=False, epsilon=0.1),
        L.Dense(3),
        L.Softmax(),
    ),
    'other activations': lambda: (
        L.Dense(9, 'tanh'),
        L.Dense(8),
        L.ReLU(6.0),
        L.Dense(7, 'gelu', use_bias=False),
        L.Dense(5, 'softmax'),
        L.Dense(4, 'selu'),
        L.Dense(3, 'elu'),
        L.Dense(3, 'softmax'),
    ),
    'activations with numbers': lambda: (
        L.Dense(9),
        L.BatchNormalization(),
        L.LeakyReLU(0.3),
        L.Dense(8, activation=L.ELU(0.4)),
        L.Dense(7, 'leaky_relu'),
        L.Dropout(0.1),
        L.Dense(6),
        L.ReLU(negative_slope=0.05),
        L.Dense(5, activation=L.LeakyReLU(0.01)),
        L.Dense(3, 'softmax'),
    ),
    'a convolution in place': lambda: (
        L.Reshape((1, 1, 256)),
        L.Conv2D(5, 1, activation='relu'),
        L.Flatten(),
        L.Dense(2, 'softmax'),
    ),
    'one model in another': lambda: (
        keras.Sequential([L.Dense(8, 'relu'), keras.Sequential([L.Dense(2, 'softmax')])]),
    ),
}


@pytest.mark.parametrize(
    'head, ending',
    [
        ('two dense layers', 'h5'),
        ('batch normalisation between', 'keras'),
        ('activations with numbers', 'h5'),
        *(
            pytest.param(head, 'keras', marks=pytest.mark.slow)
            for head in HEADS
            if head not in ('batch normalisation between', 'activations with numbers')
        ),
    ],
)
def test_a_saved_model_answers_as_in_keras(head, ending, body, tmp_path):
    network = model_on_mean(*HEADS[head](), body=body)
    network.save(tmp_path / f'm.{ending}')
    record = agrees(network, tmp_path / f'm.{ending}', SPEC)
    assert record['config']['net']['of'] == SPEC and record['input'] == [32, 32, 3], (
        "the size of its pictures is the file's"
    )


@pytest.mark.slow
def test_teachable_machine_s_file_answers_with_its_labels(tmp_path, capsys):
    inner = keras_model('mobilenet_v2', 64, {'alpha': 0.35}, include_top=False)
    network = randomise(
        keras.Sequential(
            [
                keras.Sequential([inner, L.GlobalAveragePooling2D()]),
                keras.Sequential(
                    [
                        L.Dense(100, 'relu', name='dense_Dense1'),
                        L.Dense(2, 'softmax', use_bias=False, name='dense_Dense2'),
                    ]
                ),
            ]
        )
    )
    with h5py.File(tmp_path / 'keras_model.h5', 'w') as file:  # as Keras 2 wrote it
        from keras.src.legacy.saving import legacy_h5_format

        legacy_h5_format.save_weights_to_hdf5_group(file.create_group('model_weights'), network)
        file.attrs['model_config'] = json.dumps(keras2(json.loads(network.to_json())))
    spec = {'name': 'mobilenet_v2', 'alpha': 0.35}
    assert agrees(network, tmp_path / 'keras_model.h5', spec, 64)['config']['net'] == {
        'name': 'with_layers',
        'of': spec,
        'layers': [[100, 'relu']],
    }
    (tmp_path / 'labels.txt').write_text('0 ant hill\r\n1 bee\r\n')
    assert model(ModelChoice(spec, str(tmp_path / 'keras_model.h5')))[2]['classes'] == [
        'ant hill',
        'bee',
    ]
    assert 'labels.txt: ant hill, bee' in capsys.readouterr().err
    (tmp_path / 'labels.txt').write_text('ant\nbee\nwasp\n')
    assert model(ModelChoice(spec, str(tmp_path / 'keras_model.h5')))[2]['classes'] == ['0', '1']
    assert 'names 3 classes, and the weights have 2 outputs' in capsys.readouterr().err
    with pytest.raises(UserError, match='2 classes apart, and 3 are named'):
        model(ModelChoice(spec, str(tmp_path / 'keras_model.h5'), str(tmp_path / 'labels.txt')))


def mean(body):
    return L.GlobalAveragePooling2D()(body.output)


def two_heads(body):
    return [L.Dense(n)(mean(body)) for n in (2, 3)]


def two_inputs(body):
    second_input = keras.Input((5,))
    features = L.Concatenate()([mean(body), L.Dense(16)(L.Dense(16)(second_input))])
    return keras.Model([body.input, second_input], L.Dense(2)(features))


NO_HEADS = {
    'flattened': (
        lambda body: L.Dense(2)(L.Flatten()(body.output)),
        'no linear head stands on the mean',
    ),
    'two heads': (two_heads, 'the model has 2 outputs'),
    'the largest in place of the mean': (
        lambda body: L.Dense(2)(L.GlobalMaxPooling2D()(body.output)),
        'global_max_pooling2d.*, of kind GlobalMaxPooling2D, is not computed above a network',
    ),
    'pooled before the mean': (
        lambda body: L.Dense(2)(L.GlobalAveragePooling2D()(L.MaxPooling2D(1)(body.output))),
        'max_pooling2d.* between',
    ),
    'a convolution between': (
        lambda body: L.Dense(2)(
            L.GlobalAveragePooling2D()(L.Conv2D(256, 1, name='extra')(body.output))
        ),
        'extra between the network and the mean',
    ),
    'a second input': (two_inputs, 'concatenate.*, of kind Concatenate, is not computed'),
    'an activation unheard of': (
        lambda body: L.Dense(2)(L.Dense(4, 'hard_sigmoid')(mean(body))),
        'unknown activation of dense.* \\(hard_sigmoid\\)',
    ),
    'numbers for answers': (lambda body: L.Dense(2, 'relu')(mean(body)), 'no probabilities'),
    'an activation with weights': (
        lambda body: L.Dense(2)(L.PReLU(name='mine')(L.Dense(5)(mean(body)))),
        'mine, of kind PReLU, is not computed above a network',
    ),
    'a limit of its own': (
        lambda body: L.Dense(2)(L.ReLU(3.0)(L.Dense(5)(mean(body)))),
        'unknown activation of dense.* \\(ReLU\\)',
    ),
    'a softmax over one': (
        lambda body: L.Dense(1, 'softmax')(mean(body)),
        'a softmax over its one output is 1 whatever the picture',
    ),
    'sigmoids on dense layers': (
        lambda body: L.Dense(4, 'sigmoid')(L.Dense(5)(mean(body))),
        '4 outputs are sig',
    ),
}


@pytest.mark.parametrize('case', NO_HEADS)
def test_what_is_no_head_is_left_and_said(case, body, tmp_path, capsys):
    make, why = NO_HEADS[case]
    output = make(body)
    network = output if isinstance(output, keras.Model) else keras.Model(body.input, output)
    network.save(tmp_path / 'm.keras')
    weights = pretrained(SPEC, tmp_path / 'm.keras')
    assert 'what lies above the network is left' in capsys.readouterr().err
    with pytest.raises(UserError, match=why):
        predict(weights, [])
    with pytest.raises(UserError, match=f'{why}.*graft the backbone alone'):
        donors_at(str(tmp_path / 'm.keras'), mobilenet(alpha=0.25), top=True)
    params = donors_at(str(tmp_path / 'm.keras'), mobilenet(alpha=0.25)).trees[0][0]
    assert set(params) == {'backbone'}
    np.testing.assert_array_equal(
        params['backbone']['conv_pw_13']['kernel'], body.get_layer('conv_pw_13').get_weights()[0]
    )


def test_weights_alone_tell_no_activations(body, tmp_path):
    network = model_on_mean(L.BatchNormalization(), L.Dense(16, 'relu'), L.Dense(3), body=body)
    network.save_weights(tmp_path / 'm.weights.h5')
    for path in (tmp_path / 'm.weights.h5', write_legacy(tmp_path / 'm.h5', network)):
        weights = load(path, mobilenet(alpha=0.25), 224)
        np.testing.assert_array_equal(
            weights.params['backbone']['conv1']['kernel'], body.get_layer('conv1').get_weights()[0]
        )
        with pytest.raises(
            UserError, match='not told by weights alone: take the whole saved model'
        ):
            predict(pretrained(SPEC, path), [])


def deeper_network(body, name='conv_dw_14'):
    x = L.BatchNormalization(name=f'{name}_bn')(
        L.DepthwiseConv2D(3, padding='same', use_bias=False, name=name)(body.output)
    )
    return keras.Model(body.input, L.Dense(2)(L.GlobalAveragePooling2D()(x)))


def network_with_prelu():
    network = keras.applications.MobileNet(
        alpha=0.25, include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    return keras.models.clone_model(
        network,
        call_function=lambda layer, x, **kw: (
            L.PReLU(name='mine')(layer(x)) if layer.name == 'conv_pw_5_relu' else layer(x, **kw)
        ),
    )


def two_networks(body):
    x = keras.Input((32, 32, 3))
    networks = [
        keras.applications.MobileNet(
            alpha=0.25, include_top=False, weights=None, input_shape=(32, 32, 3), name=name
        )
        for name in 'ab'
    ]
    return keras.Model(x, L.Add()([network(x) for network in networks]))


@pytest.mark.parametrize('layout', ['m.h5', 'm.keras', 'm.weights.h5', 'legacy.h5'])
@pytest.mark.parametrize(
    'make, layer',
    [
        (deeper_network, 'conv_dw_14'),
        (lambda body: network_with_prelu(), 'mine'),
        (two_networks, 'conv1'),
    ],
    ids=['deeper', 'inserted', 'several'],
)
def test_another_network_of_the_family_is_refused(make, layer, layout, body, tmp_path):
    network = make(body)
    write = {
        'm.weights.h5': network.save_weights,
        'legacy.h5': lambda path: write_legacy(path, network),
    }.get(layout, network.save)
    write(tmp_path / layout)
    with pytest.raises(
        UserError, match=f'another network or width .*it has, unasked for, .*{layer}'
    ):
        load(tmp_path / layout, mobilenet(alpha=0.25), 224)


def test_a_run_goes_on_with_the_dense_layers_and_a_ranking_does_without(body, tmp_path):
    network = model_on_mean(L.Dense(16, 'relu'), L.Dense(3), body=body)
    network.save(tmp_path / 'm.keras')
    net = call_named(
        'tljax.zoo', {'name': 'with_layers', 'of': SPEC, 'layers': [[16, 'relu']]}, 'net'
    )
    donor = donors_at(str(tmp_path / 'm.keras'), net, top=True)
    np.testing.assert_array_equal(
        donor.trees[0][0]['backbone']['above1']['bias'], network.layers[-2].get_weights()[1]
    )
    np.testing.assert_array_equal(
        donor.trees[0][0]['head']['kernel'], network.layers[-1].get_weights()[0]
    )
    study_donor = donors.donor(
        'mine', {'net': SPEC, 'weights': str(tmp_path / 'm.keras')}, {}, tmp_path
    )
    assert study_donor.classes == () and 'head' not in study_donor.params, (
        'scores that ask a head need one on the features'
    )


@pytest.mark.parametrize('scale, is_told', [(1 / 127.5, False), (1 / 255, True)])
def test_a_file_that_scales_pictures_otherwise_is_told(scale, is_told, body, tmp_path, capsys):
    x = keras.Input((32, 32, 3))
    y = keras.Sequential([L.RandomFlip(), L.Rescaling(scale, offset=-1, name='mine')])(x)
    keras.Model(x, L.Dense(2)(L.GlobalAveragePooling2D()(body(y)))).save(tmp_path / 'm.h5')
    pretrained(SPEC, tmp_path / 'm.h5')
    assert (
        'mine may scale pictures otherwise than mobilenet does' in capsys.readouterr().err
    ) == is_told
