"""Files of other formats are named for what they are, with the way to convert them."""
import pickle
import zipfile

import numpy as np
import pytest
from tiny import tiny

from tljax.build import fit_phases
from tljax.core import Refused
from tljax.features import donors_at
from tljax.studies.models import ModelChoice, model
from tljax.trained import load
from tljax.weights import pretrained
from tljax.zoo import mobilenet

SPEC = {'name': 'mobilenet', 'alpha': 0.25}


def zipped(*names):
    def write(path):
        with zipfile.ZipFile(path, 'w') as archive:
            for name in names:
                archive.writestr(name, 'x')

    return write


def holding(content):
    return lambda path: path.write_bytes(content)


def folder(*names):
    def write(path):
        path.mkdir()
        for name in names:
            (path / name).touch()

    return write


PICKLE = pickle.dumps({'weight': [1.0]}, 2)
TENSORS = (2).to_bytes(8, 'little') + b'{}'
CASES = {  # name of the file -> (what writes it, what it is called)
    'model.pth': (zipped('model/data.pkl'), 'a PyTorch file'),
    'model.ckpt': (zipped('archive/data.pkl'), 'a PyTorch file'),
    'old.pt': (holding(PICKLE), 'a PyTorch file'),
    'renamed.h5': (zipped('model/data.pkl'), 'a PyTorch file'),
    'pytorch_model.bin': (holding(b'x'), 'a PyTorch file'),
    'model.pkl': (holding(PICKLE), 'a pickle'),
    'model.joblib': (holding(pickle.dumps([1], 4)), 'a pickle'),
    'hidden.h5': (holding(PICKLE), 'a pickle'),
    'model.onnx': (holding(b'\x08\x07'), 'an ONNX model'),
    'frozen.pb': (holding(b'\n'), 'a TensorFlow graph'),
    'model.tflite': (holding(b'    TFL3'), 'a TensorFlow Lite model'),
    'lite.h5': (holding(b'\x1c\0\0\0TFL3'), 'a TensorFlow Lite model'),
    'model.json': (holding(b'{"weightsManifest": []}'), 'a TensorFlow.js model'),
    'm.safetensors': (holding(TENSORS), 'a safetensors file'),
    'tensors.h5': (holding(TENSORS), 'a safetensors file'),
    'arrays.npz': (lambda path: np.savez(path, a=1), 'a file of NumPy arrays'),
    'array.npy': (lambda path: np.save(path, np.ones(2)), 'a file of NumPy arrays'),
    'm.weights.json': (holding(b'{}'), 'in several files'),
    'sharded.keras': (zipped('config.json', 'model.weights.json'), 'in several files'),
    'model.index': (holding(b'x'), 'checkpoint'),
    'lfs.h5': (holding(b'version https://git-lfs.github.com/spec/v1\n'), 'a Git LFS pointer'),
    'pictures.zip': (zipped('a.jpg'), 'a ZIP without model.weights.h5'),
    'saved.zip': (zipped('m/saved_model.pb'), 'SavedModel'),
    'saved': (folder('saved_model.pb', 'keras_metadata.pb'), 'a TensorFlow SavedModel'),
    'web': (folder('model.json'), 'TensorFlow.js'),
    'checkpoint': (folder('m.index', 'm.data-00000-of-00001'), 'a TensorFlow checkpoint'),
    'run': (folder('final'), 'a folder of a run: name it by --workdir'),
    'nothing': (folder(), 'is a folder: name a Keras'),
}


@pytest.mark.parametrize('name', CASES)
def test_another_format_is_named_with_the_way_to_convert_it(name, tmp_path):
    write, said = CASES[name]
    write(tmp_path / name)
    ways = [
        lambda: pretrained(SPEC, tmp_path / name),
        lambda: model(ModelChoice(SPEC, str(tmp_path / name))),
    ]
    if name not in ('run', 'nothing'):
        ways.append(lambda: donors_at(str(tmp_path / name), mobilenet(alpha=0.25)))
    if name in ('saved', 'web', 'checkpoint'):
        ways += [lambda: model(ModelChoice(workdir=tmp_path / name)), lambda: load(tmp_path / name)]
    for way in ways:
        with pytest.raises(Refused, match=said) as refused:
            way()
        assert 'docs/weights.md' in str(refused.value)
        assert len(str(refused.value)) - len(str(tmp_path)) < 200, 'it fits on the line'


def test_a_file_that_is_not_there_is_no_run():
    for name in ('nowhere.keras', 'nowhere.pth', 'nowhere.h5'):
        with pytest.raises(Refused, match=f'{name} does not exist'):
            donors_at(name, mobilenet(alpha=0.25))


def test_a_run_of_phases_gives_its_last_one(tmp_path):
    _, fitted = fit_phases([(str(steps), tiny({'steps': steps})) for steps in (1, 2)], tmp_path)
    found = donors_at(str(tmp_path), None)
    np.testing.assert_array_equal(
        found.trees[0][0]['head']['bias'], fitted.params['head']['bias'][0]
    )
