"""Layouts and number types of Keras files, and files whose arrays claim too much space."""

import io
import json
import zipfile

import h5py
import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from keras_models import keras_model, randomise

from tljax.core import UserError
from tljax.zoo import mobilenet
from tljax.zoo.weights import hdf5
from tljax.zoo.weights.graph import graph
from tljax.zoo.weights.hdf5 import read
from tljax.zoo.weights.keras import load


@pytest.fixture(scope='module')
def network():
    body = keras_model('mobilenet', 32, {'alpha': 0.25}, include_top=False, pooling='avg')
    inner = keras.Sequential([keras.layers.Dense(4, 'relu'), keras.layers.Dense(2, 'softmax')])
    return randomise(keras.Sequential([body, inner]))


def assert_same_weights(first, second):
    for part in ('params', 'state'):
        jax.tree.map(np.testing.assert_array_equal, getattr(first, part), getattr(second, part))


def rewrite(path, change):
    """Rewrites an archive after a function has changed the open file of its weights."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO(members['model.weights.h5'])
    with h5py.File(buffer, 'r+') as file:
        change(file)
    with zipfile.ZipFile(path, 'w') as archive:
        for name, content in {
            **members,
            'model.weights.h5': buffer.getvalue(),
            '../../model.weights.h5': b'nothing',
        }.items():
            archive.writestr(name, content)


def test_an_archive_is_read_by_the_names_in_it_or_by_the_order_of_its_config(network, tmp_path):
    network.save(tmp_path / 'm.h5')
    network.save(tmp_path / 'm.keras')
    expected = load(tmp_path / 'm.h5', mobilenet(alpha=0.25), 224)
    assert 'head' in expected.params and len(expected.above.dense) == 1
    assert_same_weights(expected, load(tmp_path / 'm.keras', mobilenet(alpha=0.25), 224))

    def without_names(file):
        file.visititems(lambda _, group: group.attrs.pop('name', None) and None)

    rewrite(tmp_path / 'm.keras', without_names)  # as Keras 3.0 to 3.6 wrote them
    (tmp_path / 'm.keras').rename(tmp_path / 'm.zip')
    assert_same_weights(expected, load(tmp_path / 'm.zip', mobilenet(alpha=0.25), 224))
    network.save_weights(tmp_path / 'm.weights.h5')
    with h5py.File(tmp_path / 'm.weights.h5', 'r+') as file:
        without_names(file)
    with pytest.raises(UserError, match='does not tell the names of its layers.*Keras 3.7'):
        read(tmp_path / 'm.weights.h5')


def test_names_that_keras_splits_are_joined(network, tmp_path):
    network.save(tmp_path / 'm.h5')
    expected = load(tmp_path / 'm.h5', mobilenet(alpha=0.25), 224)
    with h5py.File(tmp_path / 'm.h5', 'r+') as file:
        root = file['model_weights']
        for group, name in (
            (root, 'layer_names'),
            *((root[layer], 'weight_names') for layer in list(root.attrs['layer_names'])),
        ):
            names = group.attrs.pop(name)
            for i, part in enumerate(np.array_split(names, 3)):
                group.attrs[f'{name}{i}'] = part
    assert_same_weights(expected, load(tmp_path / 'm.h5', mobilenet(alpha=0.25), 224))


def dense(path, kernel, bias=(0.0, 0.0), **kw):
    """Writes a file with one dense layer."""
    with h5py.File(path, 'w') as file:
        file.attrs['layer_names'] = [b'dense']
        group = file.create_group('dense')
        group.attrs['weight_names'] = [b'dense/kernel', b'dense/bias']
        group.create_dataset('dense/kernel', data=kernel, **kw)
        group['dense/bias'] = np.array(bias, 'f')
    return path


def test_numbers_of_every_width_become_float32(tmp_path):
    kernel = np.array([[1.5, -2.0], [0.25, 3.0]])
    bfloat16 = kernel.astype(jnp.bfloat16)
    for values in (kernel.astype('<f2'), kernel.astype('>f4'), kernel, bfloat16.view('V2')):
        array = read(dense(tmp_path / 'm.h5', values)).layers['dense'][0]
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, kernel)
    for values in (np.zeros((2, 2), 'V3'), np.zeros((2, 2), 'S4'), np.zeros((2, 2), 'c8')):
        with pytest.raises(UserError, match="'dense/kernel' as .* no kind of numbers"):
            read(dense(tmp_path / 'm.h5', values))
    network = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2, dtype='bfloat16', name='mine')]
    )
    for name in ('b.h5', 'b.keras'):
        network.save(tmp_path / name)
        array = read(tmp_path / name).layers['mine'][0]
        np.testing.assert_array_equal(
            array, np.asarray(network.get_layer('mine').get_weights()[0], np.float32)
        )


def test_quantised_layers_are_refused_by_name(network, tmp_path):
    network.save(tmp_path / 'm.h5')
    with h5py.File(tmp_path / 'm.h5', 'r+') as file:
        group = file['model_weights/mobilenet_0.25_32/conv1']
        kernel = group['kernel'][()]
        del group['kernel']
        group['kernel'] = np.round(kernel * 100).astype(np.int8)
    with pytest.raises(UserError, match='holds quantised layers \\(conv1 int8\\)'):
        load(tmp_path / 'm.h5', mobilenet(alpha=0.25), 224)


def test_what_a_file_is_too_small_to_hold_is_refused_before_it_is_made(tmp_path):
    path = tmp_path / 'm.h5'
    for kw in (dict(chunks=(1024, 1024)), dict(chunks=(1024, 1024), compression='gzip')):
        with h5py.File(dense(path, np.zeros((2, 2))), 'r+') as file:
            del file['dense/dense/kernel']
            file.create_dataset(
                'dense/dense/kernel', (2**30, 2**20), 'f4', **kw
            )  # a thousand terabytes, none of them written
        with pytest.raises(UserError, match='more than 20 times its size'):
            read(path)
    with pytest.raises(UserError, match='more than 20 times its size'):
        read(dense(path, np.zeros((4096, 4096), 'f4'), compression='gzip'))
    with h5py.File(dense(path, np.zeros((64, 64))), 'r+') as file:  # the same array again and again
        file['dense'].attrs['weight_names'] = [b'dense/kernel'] * 4000
    with pytest.raises(UserError, match='times its size'):
        read(path)


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    path = tmp_path / 'm.keras'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('model.weights.h5', bytes(10**7))
    with pytest.raises(UserError, match='unpacks to more than .* bytes of model.weights.h5'):
        read(path)
    dense(tmp_path / 'w.h5', np.ones((2, 2)))
    with zipfile.ZipFile(path, 'w') as archive:
        archive.write(tmp_path / 'w.h5', 'model.weights.h5')
    monkeypatch.setattr(hdf5, 'LARGEST', 100)
    with pytest.raises(UserError, match='more than 100 bytes'):
        read(path)


def test_what_lies_in_another_file_is_never_opened(tmp_path):
    path = tmp_path / 'm.h5'
    with h5py.File(tmp_path / 'other.h5', 'w') as other:
        other['kernel'] = np.ones((2, 2))
    (tmp_path / 'raw').write_bytes(bytes(16))
    layout = h5py.VirtualLayout((2, 2), 'f4')
    layout[:] = h5py.VirtualSource(str(tmp_path / 'other.h5'), 'kernel', (2, 2))
    makes = [
        lambda group: group.__setitem__(
            'kernel', h5py.ExternalLink(str(tmp_path / 'other.h5'), 'kernel')
        ),
        lambda group: group.create_dataset(
            'kernel', (2, 2), 'f4', external=[(str(tmp_path / 'raw'), 0, 16)]
        ),
        lambda group: group.create_virtual_dataset('kernel', layout),
    ]
    for make in makes:
        with h5py.File(dense(path, np.zeros((2, 2))), 'r+') as file:
            del file['dense/dense/kernel']
            make(file['dense/dense'])
        with pytest.raises(UserError, match="'dense/kernel' in another file or place|damaged"):
            read(path)
    with h5py.File(path, 'w') as file:
        file['model_weights'] = h5py.ExternalLink(str(tmp_path / 'other.h5'), '/')
    with pytest.raises(UserError, match='damaged'):
        read(path)


def test_a_config_of_any_form_is_data_alone(network, tmp_path):
    network.save(tmp_path / 'm.h5')
    with h5py.File(tmp_path / 'm.h5') as file:
        good = json.loads(file.attrs['model_config'])
    layers = good['config']['layers']
    deep = '[' * 5000 + ']' * 5000
    for config in (
        '',
        'no json',
        '[]',
        '3',
        deep,
        json.dumps({'config': None}),
        json.dumps({'config': {'layers': layers + layers}}),
        json.dumps({'config': {'layers': [{'class_name': 'Dense', 'config': {'name': ['x']}}]}}),
        json.dumps({'config': {'layers': layers, 'output_layers': [['nowhere', 0, 0]]}}),
    ):
        with h5py.File(tmp_path / 'm.h5', 'r+') as file:
            file.attrs['model_config'] = config
        weights = load(tmp_path / 'm.h5', mobilenet(alpha=0.25), 224)
        assert 'head' not in weights.params and 'not told by weights alone' in weights.above.why


def test_a_short_config_that_tells_billions_of_ways_is_left_soon():
    def dense(name, *below):
        return {
            'class_name': 'Dense',
            'config': {'name': name},
            'name': name,
            'inbound_nodes': [[[parent, 0, 0, {}] for parent in below]],
        }

    wide = [dense(f'w{i}') for i in range(20_000)]
    inner = {
        'class_name': 'Functional',
        'name': 'inner',
        'inbound_nodes': [],
        'config': {
            'name': 'inner',
            'layers': wide,
            'output_layers': [[layer['name'], 0, 0] for layer in wide],
        },
    }
    joins = [dense(f'j{i}', 'inner') for i in range(20_000)]
    config = {
        'class_name': 'Functional',
        'config': {'name': 'm', 'layers': [inner, *joins], 'output_layers': [['j0', 0, 0]]},
    }
    assert graph(config) is None
    chain = [dense(f'c{i}', *([f'c{i - 1}'] if i else [])) for i in range(50_000)]
    long = graph(
        {
            'class_name': 'Functional',
            'config': {'name': 'm', 'layers': chain, 'output_layers': [['c49999', 0, 0]]},
        }
    )
    assert list(long.before(['c2', 'c49999'])) == ['c0', 'c1']
