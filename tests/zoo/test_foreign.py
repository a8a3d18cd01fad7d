"""Files of other formats are refused by the format's name, with the way to convert them."""

import pickle
import zipfile

import numpy as np
import pytest
from keras_models import keras_model
from tiny import tiny

from tljax.build import build, fit_phases
from tljax.configuration import settings
from tljax.core import UserError
from tljax.engine.checkpoint import load_final
from tljax.features import donors_at
from tljax.studies.donors import donor
from tljax.studies.episodes import Plan, measure
from tljax.studies.models import ModelChoice, model
from tljax.trained import load
from tljax.weights import pretrained, read_weights
from tljax.zoo import conv4, mobilenet

SPEC = {'name': 'mobilenet', 'alpha': 0.25}


def zip_of(*names):
    def write(path):
        with zipfile.ZipFile(path, 'w') as archive:
            for name in names:
                archive.writestr(name, 'x')

    return write


def file_of(content):
    return lambda path: path.write_bytes(content)


def folder_of(*names):
    def write(path):
        path.mkdir()
        for name in names:
            (path / name).touch()

    return write


PICKLE = pickle.dumps({'weight': [1.0]}, 2)
TENSORS = (2).to_bytes(8, 'little') + b'{}'
CASES = {  # name of the file -> (function that writes it, text in the message)
    'model.pth': (zip_of('model/data.pkl'), 'a PyTorch file'),
    'model.ckpt': (zip_of('archive/data.pkl'), 'a PyTorch file'),
    'old.pt': (file_of(PICKLE), 'a PyTorch file'),
    'renamed.h5': (zip_of('model/data.pkl'), 'a PyTorch file'),
    'pytorch_model.bin': (file_of(b'x'), 'a PyTorch file'),
    'model.pkl': (file_of(PICKLE), 'a pickle'),
    'model.joblib': (file_of(pickle.dumps([1], 4)), 'a pickle'),
    'hidden.h5': (file_of(PICKLE), 'a pickle'),
    'model.onnx': (file_of(b'\x08\x07'), 'an ONNX model'),
    'frozen.pb': (file_of(b'\n'), 'a TensorFlow graph'),
    'model.tflite': (file_of(b'    TFL3'), 'a TensorFlow Lite model'),
    'lite.h5': (file_of(b'\x1c\0\0\0TFL3'), 'a TensorFlow Lite model'),
    'model.json': (file_of(b'{"weightsManifest": []}'), 'a TensorFlow.js model'),
    'm.safetensors': (file_of(TENSORS), 'a safetensors file'),
    'tensors.h5': (file_of(TENSORS), 'a safetensors file'),
    'arrays.npz': (lambda path: np.savez(path, a=1), 'a file of NumPy arrays'),
    'array.npy': (lambda path: np.save(path, np.ones(2)), 'a file of NumPy arrays'),
    'm.weights.json': (file_of(b'{}'), 'in several files'),
    'sharded.keras': (zip_of('config.json', 'model.weights.json'), 'in several files'),
    'model.index': (file_of(b'x'), 'checkpoint'),
    'lfs.h5': (file_of(b'version https://git-lfs.github.com/spec/v1\n'), 'a Git LFS pointer'),
    'llama.gguf': (file_of(b'GGUF\3\0'), 'a GGUF file'),
    'flax_model.msgpack': (file_of(b'\x83'), 'a MessagePack file'),
    'bvlc.caffemodel': (file_of(b'\n'), 'a Caffe model'),
    'model.engine': (file_of(b'ftrt'), 'a TensorRT engine'),
    'openvino.xml': (file_of(b'<?xml version="1.0"?>\n<net name="m">'), 'an OpenVINO model'),
    'openvino.bin': (
        lambda path: [path.write_bytes(b'x'), path.with_suffix('.xml').write_bytes(b'<net>')],
        'an OpenVINO model',
    ),
    'm.mlmodel': (file_of(b'x'), 'a Core ML model'),
    'm.pdparams': (file_of(b'x'), 'a PaddlePaddle file'),
    'm-0000.params': (file_of(b'x'), 'an MXNet file'),
    'yolo.weights': (file_of(b'x'), 'a Darknet file'),
    'imagenet-vgg.mat': (file_of(b'MATLAB 5.0'), 'a MATLAB file'),
    'hf': (folder_of('config.json', 'model.safetensors'), 'a model folder of Hugging Face'),
    'orbax': (folder_of('_METADATA', 'd'), 'a checkpoint of Orbax'),
    'steps': (
        lambda path: [(path / '100').mkdir(parents=True), (path / '100' / '_METADATA').touch()],
        'a checkpoint of Orbax',
    ),
    'elsewhere': (folder_of('config.json'), 'the config.json of another program'),
    'begun': (
        lambda path: [path.mkdir(), (path / 'config.json').write_text('{"steps": 5}')],
        'a folder of a run',
    ),
    'pictures.zip': (zip_of('a.jpg'), 'a ZIP without model.weights.h5'),
    'saved.zip': (zip_of('m/saved_model.pb'), 'SavedModel'),
    'saved': (folder_of('saved_model.pb', 'keras_metadata.pb'), 'a TensorFlow SavedModel'),
    'web': (folder_of('model.json'), 'TensorFlow.js'),
    'checkpoint': (folder_of('m.index', 'm.data-00000-of-00001'), 'a TensorFlow checkpoint'),
    'run': (folder_of('final'), 'a folder of a run: name it by --workdir'),
    'nothing': (folder_of(), 'is a folder: name a Keras'),
}


@pytest.mark.parametrize('name', CASES)
def test_another_format_is_named_with_the_way_to_convert_it(name, tmp_path):
    write, message = CASES[name]
    write(tmp_path / name)
    readers = [
        lambda: pretrained(SPEC, tmp_path / name),
        lambda: model(ModelChoice(SPEC, str(tmp_path / name))),
    ]
    if name not in ('run', 'begun', 'nothing'):
        readers.append(lambda: donors_at(str(tmp_path / name), mobilenet(alpha=0.25)))
    if name in ('saved', 'web', 'checkpoint', 'hf', 'orbax', 'steps', 'elsewhere'):
        readers += [
            lambda: model(ModelChoice(workdir=tmp_path / name)),
            lambda: load(tmp_path / name),
            lambda: measure(tmp_path / name, Plan()),
            lambda: donor('mine', {'run': str(tmp_path / name)}, {}, tmp_path),
        ]
    for reader in readers:
        with pytest.raises(UserError, match=message) as error:
            reader()
        assert 'docs/weights.md' in str(error.value)
        assert len(str(error.value)) - len(str(tmp_path)) < 200, 'the message fits on a line'


@pytest.mark.parametrize('name', ['m.h5', 'm.pt', 'm.npz', 'm.tflite', 'm.safetensors', 'any'])
def test_a_file_is_no_folder_of_a_run(name, tmp_path):
    (tmp_path / name).write_bytes(b'x')
    for reader in (
        lambda: model(ModelChoice(workdir=tmp_path / name)),
        lambda: load(tmp_path / name),
        lambda: measure(tmp_path / name, Plan()),
    ):
        with pytest.raises(UserError, match=f'{name} is a file, and .* --model and --weights'):
            reader()
    for place in (tmp_path / name, tmp_path / name / 'mine'):
        with pytest.raises(UserError, match='is a file, and a run is a folder: take another'):
            fit_phases([('only', tiny())], place)


def test_a_run_that_has_begun_tells_its_step(tmp_path):
    (tmp_path / 'config.json').write_text('{"steps": 5}')
    with pytest.raises(UserError, match='is at step 0 of 5: give the training command again'):
        load(tmp_path)
    for text in ('{}', '[]', '{', '3', '{"steps": 5}{'):
        (tmp_path / 'config.json').write_text(text)
        with pytest.raises(UserError, match='config.json of another program'):
            load(tmp_path)
        with pytest.raises(UserError, match='no config of a run'):
            load_final(tmp_path)


def test_a_network_without_weights_of_files_is_told_from_one_that_is_none(tmp_path):
    (tmp_path / 'm.h5').write_bytes(b'x')
    for name, path, message in (
        ('squeezed_net', tmp_path / 'm.h5', 'no network of tljax.zoo: there are xception'),
        ('efficientnetb0', 'imagenet', 'no network of tljax.zoo: did you mean efficientnet_b0'),
        ('MobileNetV2', tmp_path / 'm.h5', 'no network of tljax.zoo: did you mean mobilenet_v2'),
        ('conv4', tmp_path / 'm.h5', 'conv4. reads no Keras weights'),
        ('conv4', 'imagenet', 'conv4. has no published ImageNet weights'),
    ):
        with pytest.raises(UserError, match=message):
            pretrained({'name': name}, path)
    with pytest.raises(UserError, match='this network reads no Keras weights'):
        read_weights(conv4(), tmp_path / 'm.h5')
    (tmp_path / 'm.gguf').write_bytes(b'GGUF')
    with pytest.raises(UserError, match='a GGUF file'):
        read_weights(conv4(), tmp_path / 'm.gguf')


def test_a_donor_of_other_channels_is_told_by_them(tmp_path):
    body = keras_model('mobilenet', 32, {'alpha': 0.25}, include_top=False)
    body.save(tmp_path / 'm.h5')
    options = {'net': SPEC, 'init': {'path': str(tmp_path / 'm.h5')}, 'steps': 1}
    data = {'name': 'resampled', 'of': {'name': 'digits'}, 'size': 32}
    with pytest.raises(UserError, match='3 channels, and the data have 1: give data.channels=3'):
        build(settings(data={**data, 'channels': 1}, **options))
    params, _ = build(settings(data=data, **options)).init(0)
    np.testing.assert_array_equal(
        params['backbone']['conv1']['kernel'], body.get_layer('conv1').get_weights()[0]
    )


def test_a_file_that_is_not_there_is_no_run():
    for name in ('nowhere.keras', 'nowhere.pth', 'nowhere.h5'):
        with pytest.raises(UserError, match=f'{name} does not exist'):
            donors_at(name, mobilenet(alpha=0.25))


def test_a_run_of_phases_gives_its_last_one(tmp_path):
    _, fitted = fit_phases([(str(steps), tiny({'steps': steps})) for steps in (1, 2)], tmp_path)
    donors = donors_at(str(tmp_path), None)
    np.testing.assert_array_equal(
        donors.trees[0][0]['head']['bias'], fitted.params['head']['bias'][0]
    )
