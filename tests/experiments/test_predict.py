"""Pictures in, labels out: the commands that work on a model, and the real weights on real photographs."""
import json
import os
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from commands import call, error
from keras.src.legacy.saving import legacy_h5_format
from keras_models import predicted
from PIL import Image
from tiny import tiny

from tljax.build import build
from tljax.engine.checkpoint import load_final
from tljax.engine.train import fit

DATA = os.environ.get('TLJAX_DATA')
REAL = pytest.mark.skipif(not DATA, reason='TLJAX_DATA names no folder of real data')
QUARTER = ('--model=mobilenet', '--model.alpha=0.25')


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """A MobileNet with random weights and three classes, its file, its class index, and what Keras makes of two pictures."""
    root = tmp_path_factory.mktemp('model')
    network = keras.applications.MobileNet(weights=None, alpha=.25, input_shape=(224, 224, 3), classes=3)
    rng = np.random.default_rng(0)
    network.get_layer('conv_preds').set_weights([rng.normal(size=(1, 1, 256, 3)).astype('f'), rng.normal(size=3).astype('f')])
    with h5py.File(root / 'weights.h5', 'w') as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network)
    (root / 'imagenet_class_index.json').write_text(json.dumps({str(i): [f'n0000000{i}', name] for i, name in enumerate('abc')}))
    (root / 'pictures').mkdir()
    pixels = rng.integers(0, 256, (2, 256, 256, 3), np.uint8)
    for i, each in enumerate(pixels):
        Image.fromarray(each).save(root / 'pictures' / f'n0000000{i}_{i}.png')
    return root, predicted(network, pixels[:, 16:240, 16:240] / np.float32(127.5) - 1)


def test_predict_tells_keras_s_probabilities(model):
    root, expected = model
    done = call('predict', *QUARTER, f'--weights={root}/weights.h5', '--json', '--top=2', root / 'pictures')
    assert done.code == 0, done.err
    lines = json.loads(done.out)
    assert [Path(line['path']).name for line in lines] == ['n00000000_0.png', 'n00000001_1.png']
    for line, probability in zip(lines, np.asarray(expected), strict=True):
        order = np.argsort(-probability)[:2]
        assert [label for label, _ in line['top']] == ['abc'[i] for i in order]
        np.testing.assert_allclose([share for _, share in line['top']], probability[order], rtol=1e-4)


def test_a_converted_file_is_a_finished_run(model, tmp_path):
    root, expected = model
    done = call('convert', *QUARTER, f'--weights={root}/weights.h5', f'--workdir={tmp_path}/run')
    assert done.code == 0 and 'equal to the file' in done.err, done.err
    params, state, record = load_final(tmp_path / 'run')
    with h5py.File(root / 'weights.h5') as file:
        np.testing.assert_array_equal(params['backbone']['conv1']['kernel'][0], file['conv1/conv1/kernel'])
        np.testing.assert_array_equal(state['backbone']['conv_pw_13_bn']['var'][0], file['conv_pw_13_bn/conv_pw_13_bn/moving_variance'])
    assert record['classes'] == ['a', 'b', 'c']
    again = call('convert', *QUARTER, f'--weights={root}/weights.h5', f'--workdir={tmp_path}/run')
    assert again.code == 0, 'a second time compares'
    done = call('predict', f'--workdir={tmp_path}/run', '--json', root / 'pictures' / 'n00000000_0.png')
    np.testing.assert_allclose(dict(json.loads(done.out)[0]['top'])['a'], np.asarray(expected)[0, 0], rtol=1e-4)
    done = call('evaluate', f'--workdir={tmp_path}/run', f'--classes={root}/imagenet_class_index.json', root / 'pictures')
    top1 = np.mean(np.asarray(expected).argmax(-1) == [0, 1])
    assert done.out.splitlines()[0] == f'top-1 {top1:.3f}', done.out + done.err
    assert f'{top1:.4f}' in done.out
    assert 'top-5' not in done.out and '5 guesses' not in done.out, 'they hold all three classes'
    done = call('evaluate', f'--workdir={tmp_path}/run', f'--classes={root}/imagenet_class_index.json', '--json', root / 'pictures')
    found = json.loads(done.out)
    assert found['top1'] == pytest.approx(top1) and 'top5' not in found and found['pictures'] == 2
    done = call('evaluate', f'--workdir={tmp_path}/run', f'--classes={root}/imagenet_class_index.json', '--size=8', root / 'pictures')
    assert done.code == 2 and 'a map of 1x1 is smaller than the 3x3 kernel on it: take larger inputs' in done.err


def test_a_trained_run_predicts_pictures(tmp_path):
    for name, level in (('dark', 30), ('light', 220)):
        (tmp_path / 'data' / name).mkdir(parents=True)
        for i in range(10):
            Image.new('L', (12, 10), level + i).save(tmp_path / 'data' / name / f'{i}.png')
    settings = tiny({'data': {'name': 'folder', 'path': str(tmp_path / 'data'), 'size': 8, 'channels': 1}, 'seeds': [0, 1], 'steps': 60,
                     'optim': {'lr': 1e-2}, 'statistics': 'batch', 'net': {'norm': 'layer'}})
    fit(build(settings), tmp_path / 'run' / '00-train')
    done = call('predict', f'--workdir={tmp_path}/run', '--json', tmp_path / 'data' / 'dark' / '3.png')
    assert done.code == 0, done.err
    top = json.loads(done.out)[0]['top']
    assert {label for label, _ in top} == {'dark', 'light'} and abs(sum(share for _, share in top) - 1) < 1e-5


def test_what_does_not_fit_is_told_in_one_line_and_leaves_nothing(model, tmp_path):
    root, _ = model
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'bad').mkdir()
    (tmp_path / 'bad' / 'cut.jpg').write_bytes(b'\xff\xd8 no picture')
    (tmp_path / 'few.json').write_text('{"0": ["n0", "a"]}')
    weights = f'--weights={root}/weights.h5'
    for name, flags, said in [
            ('predict', [*QUARTER, weights, tmp_path / 'empty'], 'holds no pictures'),
            ('predict', [*QUARTER, weights, root / 'pictures', tmp_path / 'bad'], 'cut.jpg cannot be decoded'),
            ('predict', [*QUARTER, weights, f'--classes={tmp_path}/few.json', root / 'pictures'], '3 classes apart, and 1 are named'),
            ('predict', ['--model=mobilenet', weights, root / 'pictures'], 'shapes differ at conv1'),
            ('predict', ['--model=mobilnet', weights, root / 'pictures'], 'did you mean mobilenet'),
            ('predict', ['--model=mobilenet', '--model.alpa=1', weights, root / 'pictures'], 'did you mean alpha'),
            ('convert', ['--model=mobilenet', weights, f'--workdir={tmp_path}/out'], 'shapes differ at conv1')]:
        assert said in error(call(name, *flags)), flags
    assert not (tmp_path / 'out').exists()


@REAL
def test_the_real_weights_see_what_they_see_in_keras():
    """Keras with these weights and this preprocessing: top-1 0.552, top-5 0.784 of 500 photographs."""
    done = call('evaluate', *QUARTER, f'--weights={DATA}/imagenet_weights/mobilenet_2_5_224_tf.h5', f'{DATA}/imagenet_photos')
    assert done.code == 0, done.err
    found = [float(line.split()[1]) for line in done.out.splitlines() if line.startswith('top-')]
    assert abs(found[0] - .552) <= .004 and abs(found[1] - .784) <= .004
