"""Files of weights: layouts, heads, names of classes, and files that are refused."""

import h5py
import jax
import keras
import numpy as np
import pytest
from keras_models import agree, keras_model, predicted, randomise, scaled, write_legacy

from tljax.configuration import call_named
from tljax.core import UserError
from tljax.features import extracted
from tljax.program import predictor
from tljax.weights import pretrained
from tljax.zoo import mobilenet
from tljax.zoo.table import KERAS as ROWS
from tljax.zoo.weights.keras import load


def test_a_set_of_features_is_what_keras_makes_of_the_pictures(tmp_path):
    body = keras_model('mobilenet', 32, {'alpha': 0.25}, include_top=False, pooling='avg')
    of = {'name': 'resampled', 'of': {'name': 'digits', 'size': 8}, 'size': 32, 'most': 20}
    pictures = call_named('tljax.data', of, 'data')
    splits = extracted(
        pictures, mobilenet(alpha=0.25), str(write_legacy(tmp_path / 'body.h5', body))
    )
    assert {name: split.size for name, split in splits.items()} == {
        'train': 20,
        'validation': 20,
        'test': 20,
    }
    for name, split in splits.items():
        batch = split.take(np.arange(20))
        agree(
            batch['input'],
            predicted(body, scaled('mobilenet', pictures[name].take(np.arange(20))['input'])),
        )
        np.testing.assert_array_equal(batch['label'], pictures[name].label)


def test_three_layouts_hold_the_same_weights(tmp_path):
    model = keras_model('mobilenet', 32, {'alpha': 0.25})
    model.save(tmp_path / 'whole.h5')
    model.save_weights(tmp_path / 'new.weights.h5')
    net = call_named('tljax.zoo', {'name': 'mobilenet', 'alpha': 0.25}, 'net')
    first = load(write_legacy(tmp_path / 'legacy.h5', model), net, 224, ('conv_preds',))[:2]
    for name in ('whole.h5', 'new.weights.h5'):
        second = load(tmp_path / name, net, 224, ('conv_preds',))[:2]
        jax.tree.map(np.testing.assert_array_equal, first, second)
    np.testing.assert_array_equal(
        first[0]['head']['kernel'], model.get_layer('conv_preds').get_weights()[0][0, 0]
    )


def test_a_head_of_one_s_own_is_found_and_a_model_within_a_model(tmp_path):
    body = keras_model('mobilenet', 32, {'alpha': 0.25}, include_top=False, pooling='avg')
    net = call_named('tljax.zoo', {'name': 'mobilenet', 'alpha': 0.25}, 'net')
    model = keras.Sequential([keras.Input((32, 32, 3)), body, keras.layers.Dense(7, name='mine')])
    for path in (
        write_legacy(tmp_path / 'legacy.h5', model),
        tmp_path / 'new.weights.h5',
        tmp_path / 'whole.h5',
    ):
        if path.name == 'new.weights.h5':
            model.save_weights(path)
        elif path.name == 'whole.h5':
            model.save(path)
        params, *_ = load(path, net, 224, ROWS['mobilenet'].top)
        np.testing.assert_array_equal(params['head']['kernel'], model.layers[-1].get_weights()[0])
        np.testing.assert_array_equal(
            params['backbone']['conv1']['kernel'], body.get_layer('conv1').get_weights()[0]
        )


@pytest.mark.slow
def test_a_full_vgg_file_serves_without_its_dense_layers(tmp_path):
    model = keras_model('vgg16', 32, {}, classes=3)
    params, _, _ = pretrained(
        {'name': 'vgg16', 'fc': False}, write_legacy(tmp_path / 'top.h5', model), top=False
    )
    assert set(params) == {'backbone'} and not {'fc1', 'fc2'} & set(params['backbone'])
    np.testing.assert_array_equal(
        params['backbone']['block5_conv3']['kernel'][0],
        model.get_layer('block5_conv3').get_weights()[0],
    )


def test_wrong_files_are_refused_by_name(tmp_path):
    spec = {'name': 'mobilenet', 'alpha': 0.25}
    file = write_legacy(tmp_path / 'good.h5', keras_model('mobilenet', 32, {'alpha': 0.25}))
    (tmp_path / 'cut.h5').write_bytes(file.read_bytes()[:-200_000])
    (tmp_path / 'text.h5').write_text('no weights')
    with h5py.File(tmp_path / 'empty.h5', 'w'):
        pass
    dense_file = write_legacy(
        tmp_path / 'other.h5',
        randomise(keras.Sequential([keras.Input((8,)), keras.layers.Dense(3, name='dense')])),
    )
    nan_model = keras_model('mobilenet', 32, {'alpha': 0.25})
    nan_model.get_layer('conv1').set_weights(
        [np.full_like(nan_model.get_layer('conv1').get_weights()[0], np.nan)]
    )
    for path, message in [
        (tmp_path / 'cut.h5', 'cut off or damaged'),
        (tmp_path / 'text.h5', 'no HDF5'),
        (tmp_path / 'empty.h5', 'no layers'),
        (tmp_path / 'none.h5', 'does not exist'),
        (dense_file, 'lacks conv1.*asked for, dense'),
        (write_legacy(tmp_path / 'nan.h5', nan_model), 'not finite, at conv1/kernel'),
    ]:
        with pytest.raises(UserError, match=message) as error:
            pretrained(spec, path)
        assert '\n' not in str(error.value) and str(path) in str(error.value)
    with pytest.raises(UserError, match='shapes differ at conv1 3x3x3x8 for 3x3x3x16'):
        pretrained({'name': 'mobilenet', 'alpha': 0.5}, file)
    with pytest.raises(UserError, match='1000 classes apart, and 2 are named'):
        pretrained(spec, file, ['a', 'b'])


@pytest.mark.parametrize('layout', ['whole', 'weights', 'legacy'])
def test_one_output_is_two_classes_by_a_sigmoid(layout, tmp_path):
    body = keras_model('mobilenet', 32, {'alpha': 0.25}, include_top=False, pooling='avg')
    model = keras.Model(body.input, keras.layers.Dense(1, 'sigmoid', name='mine')(body.output))
    model.layers[-1].set_weights([np.random.default_rng(0).normal(size=(256, 1)), np.array([0.3])])
    path = tmp_path / ('m.weights.h5' if layout == 'weights' else 'm.h5')
    if layout == 'legacy':
        write_legacy(path, model)
    elif layout == 'weights':
        model.save_weights(path)
    else:
        model.save(path)
    params, state, record = pretrained({'name': 'mobilenet', 'alpha': 0.25}, path)
    x = np.random.default_rng(1).uniform(size=(3, 32, 32, 3)).astype('f')
    output = predictor(record).run(params, state, {'input': x, 'label': np.zeros(3)})['output'][0]
    np.testing.assert_allclose(
        jax.nn.softmax(output)[:, 1], predicted(model, scaled('mobilenet', x))[:, 0], rtol=1e-4
    )
    assert record['classes'] == ['0', '1']


def test_sigmoids_of_several_labels_are_no_softmax(tmp_path, capsys):
    body = keras_model('mobilenet', 32, {'alpha': 0.25}, include_top=False, pooling='avg')
    for kind, head in (('sigmoid', False), ('softmax', True), ('linear', True)):
        model = keras.Model(body.input, keras.layers.Dense(4, kind, name='mine')(body.output))
        model.save(tmp_path / f'{kind}.h5')
        params, _, record = pretrained(
            {'name': 'mobilenet', 'alpha': 0.25}, tmp_path / f'{kind}.h5'
        )
        assert ('head' in params) == head and len(record['classes']) == 4 * head
    assert 'its 4 outputs are sigmoids' in capsys.readouterr().err
