"""The kind of outputs by the loss in a file, and heads in inner models."""

import h5py
import keras
import numpy as np
import pytest
from keras_models import agrees, keras_model, predicted, randomise, write_legacy
from scipy.special import expit, softmax

from tljax.core import UserError
from tljax.program import predictor
from tljax.studies.pictures import predict
from tljax.weights import pretrained, read_weights
from tljax.zoo import mobilenet

L, SPEC = keras.layers, {'name': 'mobilenet', 'alpha': 0.25}


def body():
    return keras_model('mobilenet', 32, {'alpha': 0.25}, include_top=False)


@pytest.fixture(scope='module')
def features():
    return keras.Sequential([body(), L.GlobalAveragePooling2D()])


def nested_network():
    return randomise(
        keras.Sequential(
            [
                keras.Sequential([keras.Sequential([body(), L.GlobalAveragePooling2D()])]),
                keras.Sequential([keras.Sequential([keras.Sequential([L.Dense(3)])])]),
                L.Activation('softmax'),
            ]
        )
    )


@pytest.mark.parametrize('layout', ['m.h5', 'm.keras', 'm.weights.h5', 'legacy.h5'])
def test_a_head_in_models_of_its_own_answers_in_every_layout(layout, tmp_path):
    network = nested_network()
    network(np.zeros((1, 32, 32, 3), 'f'))
    network = randomise(network)
    write = {
        'm.weights.h5': network.save_weights,
        'legacy.h5': lambda path: write_legacy(path, network),
    }.get(layout, network.save)
    write(tmp_path / layout)
    assert agrees(network, tmp_path / layout, SPEC)['config']['net'] == SPEC


def test_the_only_layer_of_a_model_bears_its_own_name_in_keras_2_too(tmp_path):
    network = nested_network()
    network(np.zeros((1, 32, 32, 3), 'f'))
    network.save(tmp_path / 'm.h5')
    with h5py.File(tmp_path / 'm.h5', 'r+') as file:  # Keras 2 wrote the layer's name alone
        head = file['model_weights'][network.layers[1].name]
        names = ['/'.join(name.split('/')[-2:]) + ':0' for name in head.attrs['weight_names']]
        for old, new in zip(head.attrs['weight_names'], names, strict=True):
            head[new] = head[old][()]
        head.attrs['weight_names'] = [name.encode() for name in names]
    agrees(network, tmp_path / 'm.h5', SPEC)


NUMBERS = [
    'mse',
    'mean_absolute_error',
    keras.losses.Huber(),
    keras.losses.log_cosh,
    ['mape'],
    {'out': 'msle'},
]


@pytest.mark.parametrize('ending, width', [('h5', 1), ('keras', 4)])
@pytest.mark.parametrize('loss', NUMBERS)
def test_a_regression_tells_no_classes(width, loss, ending, features, tmp_path):
    network = keras.Sequential([features, L.Dense(width, name='out')])
    if isinstance(loss, dict):
        network = keras.Model(features.input, L.Dense(width, name='out')(features.output))
    network.compile('sgd', loss)
    network.save(tmp_path / f'm.{ending}')
    with pytest.raises(UserError, match='it tells numbers, no classes: its loss is .*init.path'):
        predict(pretrained(SPEC, tmp_path / f'm.{ending}'), [])
    params, _ = read_weights(mobilenet(alpha=0.25), tmp_path / f'm.{ending}', top=False)
    np.testing.assert_array_equal(
        params['backbone']['conv_pw_13']['kernel'],
        features.layers[0].get_layer('conv_pw_13').get_weights()[0],
    )


@pytest.mark.parametrize('ending', ['h5', 'keras'])
@pytest.mark.parametrize(
    'loss, is_told',
    [
        (None, True),
        ('categorical_hinge', True),
        ('sparse_categorical_crossentropy', False),
        (keras.losses.CategoricalCrossentropy(from_logits=True), False),
    ],
)
def test_linear_outputs_are_logits_and_said_to_be_where_no_loss_tells(
    loss, is_told, ending, features, tmp_path, capsys
):
    network = keras.Sequential([features, L.Dense(4)])
    if loss:
        network.compile('sgd', loss)
    network.save(path := tmp_path / f'm.{ending}')
    params, state, record = pretrained(SPEC, path)
    assert ('no loss in the file tells' in capsys.readouterr().err) == is_told
    x = np.random.default_rng(0).uniform(size=(2, 32, 32, 3)).astype('f')
    output = predictor(record).run(params, state, {'input': x, 'label': np.zeros(2)})['output'][0]
    np.testing.assert_allclose(
        softmax(output, -1), softmax(predicted(network, 2 * x - 1), -1), rtol=1e-4
    )


def test_one_linear_output_is_the_log_odds_where_its_loss_says_so(features, tmp_path, capsys):
    network = keras.Sequential([features, L.Dense(1)])
    network.compile('sgd', keras.losses.BinaryCrossentropy(from_logits=True))
    network.save(path := tmp_path / 'm.keras')
    params, state, record = pretrained(SPEC, path)
    assert 'taken for the log-odds' in capsys.readouterr().err
    x = np.random.default_rng(0).uniform(size=(2, 32, 32, 3)).astype('f')
    output = predictor(record).run(params, state, {'input': x, 'label': np.zeros(2)})['output'][0]
    np.testing.assert_allclose(
        softmax(output, -1)[:, 1], expit(predicted(network, 2 * x - 1))[:, 0], rtol=1e-4
    )


def test_linear_outputs_of_several_labels_are_no_classes(features, tmp_path):
    network = keras.Sequential([features, L.Dense(4)])
    network.compile('sgd', keras.losses.BinaryFocalCrossentropy(from_logits=True))
    network.save(tmp_path / 'm.keras')
    with pytest.raises(UserError, match='sigmoids of several labels'):
        predict(pretrained(SPEC, tmp_path / 'm.keras'), [])
