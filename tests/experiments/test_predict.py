"""Pictures in, labels out: the commands that work on a model, and the real weights on real
photographs."""

import csv
import json
import os
import shutil
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
from trees import tarred, zipped

from tljax.build import build
from tljax.data.finding import find
from tljax.engine.checkpoint import load_final
from tljax.engine.train import fit
from tljax.studies.picture_scores import count_hits
from tljax.studies.pictures import predict
from tljax.trained import load

DATA = os.environ.get('TLJAX_DATA')
REAL = pytest.mark.skipif(not DATA, reason='TLJAX_DATA names no folder of real data')
QUARTER = ('--model=mobilenet', '--model.alpha=0.25')


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """A MobileNet with random weights and three classes, its file, its class index, and what Keras
    makes of two pictures."""
    root = tmp_path_factory.mktemp('model')
    network = keras.applications.MobileNet(
        weights=None, alpha=0.25, input_shape=(224, 224, 3), classes=3
    )
    rng = np.random.default_rng(0)
    network.get_layer('conv_preds').set_weights(
        [rng.normal(size=(1, 1, 256, 3)).astype('f'), rng.normal(size=3).astype('f')]
    )
    with h5py.File(root / 'weights.h5', 'w') as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network)
    (root / 'imagenet_class_index.json').write_text(
        json.dumps({str(i): [f'n0000000{i}', name] for i, name in enumerate('abc')})
    )
    (root / 'pictures').mkdir()
    pixels = rng.integers(0, 256, (2, 256, 256, 3), np.uint8)
    for i, each in enumerate(pixels):
        Image.fromarray(each).save(root / 'pictures' / f'n0000000{i}_{i}.png')
    return root, predicted(network, pixels[:, 16:240, 16:240] / np.float32(127.5) - 1)


def test_predict_tells_keras_s_probabilities(model):
    root, expected = model
    done = call(
        'predict', *QUARTER, f'--weights={root}/weights.h5', '--json', '--top=2', root / 'pictures'
    )
    assert done.code == 0, done.err
    lines = json.loads(done.out)
    assert [Path(line['path']).name for line in lines] == ['n00000000_0.png', 'n00000001_1.png']
    for line, probability in zip(lines, np.asarray(expected), strict=True):
        order = np.argsort(-probability)[:2]
        assert [label for label, _ in line['top']] == ['abc'[i] for i in order]
        np.testing.assert_allclose(
            [share for _, share in line['top']], probability[order], rtol=1e-4
        )


def test_a_converted_file_is_a_finished_run(model, tmp_path):
    root, expected = model
    done = call('convert', *QUARTER, f'--weights={root}/weights.h5', f'--workdir={tmp_path}/run')
    assert done.code == 0 and 'equal to the file' in done.err, done.err
    params, state, record = load_final(tmp_path / 'run')
    with h5py.File(root / 'weights.h5') as file:
        np.testing.assert_array_equal(
            params['backbone']['conv1']['kernel'][0], file['conv1/conv1/kernel']
        )
        np.testing.assert_array_equal(
            state['backbone']['conv_pw_13_bn']['var'][0],
            file['conv_pw_13_bn/conv_pw_13_bn/moving_variance'],
        )
    assert record['classes'] == ['a', 'b', 'c']
    again = call('convert', *QUARTER, f'--weights={root}/weights.h5', f'--workdir={tmp_path}/run')
    assert again.code == 0, 'a second time compares'
    done = call(
        'predict', f'--workdir={tmp_path}/run', '--json', root / 'pictures' / 'n00000000_0.png'
    )
    np.testing.assert_allclose(
        dict(json.loads(done.out)[0]['top'])['a'], np.asarray(expected)[0, 0], rtol=1e-4
    )
    done = call(
        'evaluate',
        f'--workdir={tmp_path}/run',
        f'--classes={root}/imagenet_class_index.json',
        root / 'pictures',
    )
    top1 = np.mean(np.asarray(expected).argmax(-1) == [0, 1])
    # five guesses of three classes tell nothing
    assert done.out.splitlines()[:2] == [f'top-1 {top1:.3f}', ''], done.out + done.err
    assert f'{top1:.4f}' in done.out and '5 guesses' not in done.out, done.out + done.err
    done = call(
        'evaluate',
        f'--workdir={tmp_path}/run',
        f'--classes={root}/imagenet_class_index.json',
        '--json',
        root / 'pictures',
    )
    found = json.loads(done.out)
    assert found['top1'] == pytest.approx(top1) and 'top5' not in found and found['pictures'] == 2
    done = call(
        'evaluate',
        f'--workdir={tmp_path}/run',
        f'--classes={root}/imagenet_class_index.json',
        '--size=8',
        root / 'pictures',
    )
    assert (
        done.code == 2
        and 'a map of 1x1 is smaller than the 3x3 kernel on it: take larger inputs' in done.err
    )


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A run that tells dark pictures from light ones, beside its pictures."""
    root = tmp_path_factory.mktemp('run')
    for name, level in (('dark', 30), ('light', 220)):
        (root / 'data' / name).mkdir(parents=True)
        for i in range(10):
            Image.new('L', (12, 10), level + i).save(root / 'data' / name / f'{i}.png')
    settings = tiny(
        {
            'data': {'name': 'folder', 'path': str(root / 'data'), 'size': 8, 'channels': 1},
            'seeds': [0, 1],
            'steps': 60,
            'optim': {'lr': 1e-2},
            'statistics': 'batch',
            'net': {'norm': 'layer'},
        }
    )
    fit(build(settings), root / 'run' / '00-train')
    return root


def test_a_trained_run_predicts_pictures(run):
    done = call('predict', f'--workdir={run}/run', '--json', run / 'data' / 'dark' / '3.png')
    assert done.code == 0, done.err
    top = json.loads(done.out)[0]['top']
    assert {label for label, _ in top} == {'dark', 'light'} and abs(
        sum(share for _, share in top) - 1
    ) < 1e-5


@pytest.mark.slow
def test_a_run_of_two_tasks_predicts_and_measures_the_one_that_is_named(run, tmp_path):
    """The second task has the same pictures by other names, and turned labels."""
    shutil.copytree(run / 'data' / 'dark', tmp_path / 'data' / 'night')
    shutil.copytree(run / 'data' / 'light', tmp_path / 'data' / 'day')
    folders = {'shade': run / 'data', 'time': tmp_path / 'data'}
    sets = {
        name: {'name': 'folder', 'path': str(path), 'size': 8, 'channels': 1}
        for name, path in folders.items()
    }
    settings = tiny(
        {
            'data': {'name': 'joint_tasks', 'of': sets, 'shares': 'equal'},
            'method': {'name': 'hard_sharing'},
            'steps': 60,
            'net': {'norm': 'batch'},  # a layer's normalisation would hide the shade
        }
    )
    fit(build(settings), tmp_path / 'run')
    picture, workdir = run / 'data' / 'dark' / '3.png', f'--workdir={tmp_path}/run'
    for task, label in (('shade', 'dark'), ('time', 'night')):
        done = call('predict', workdir, f'--task={task}', '--json', picture)
        assert done.code == 0, done.err
        assert json.loads(done.out)[0]['top'][0][0] == label
        done = call('evaluate', workdir, f'--task={task}', '--json', folders[task])
        assert json.loads(done.out)['top1'] == 1
    assert 'has several tasks' in error(call('predict', workdir, picture))
    assert "no task 'tmie': did you mean time" in error(
        call('predict', workdir, '--task=tmie', picture)
    )
    one = f'--workdir={run}/run'
    assert 'a single task: leave it out' in error(call('predict', one, '--task=time', picture))


@pytest.fixture
def mixed(run, tmp_path):
    """Six pictures: two cannot be read, the name of one is not in UTF-8; and a file beside."""
    shutil.copytree(
        run / 'data',
        tmp_path / 'mixed',
        ignore=lambda _, names: [name for name in names if name[0] in '3456789'],
    )
    (tmp_path / 'mixed' / 'dark' / '0.png').write_bytes(b'')
    (tmp_path / 'mixed' / 'light' / '1.png').write_bytes(
        (tmp_path / 'mixed' / 'light' / '1.png').read_bytes()[:50]
    )
    (tmp_path / 'mixed' / 'light' / 'a.heic').write_bytes(b'x')
    os.rename(
        tmp_path / 'mixed' / 'light' / '2.png',
        os.fsencode(tmp_path / 'mixed' / 'light') + b'/\xff.png',
    )
    return tmp_path / 'mixed'


def test_predict_answers_for_the_good_ones(run, mixed, tmp_path):
    done = call(
        'predict', f'--workdir={run}/run', '--json', '--top=1', f'--csv={tmp_path}/a.csv', mixed
    )
    assert done.code == 1 and 'Traceback' not in done.err
    answers = {answer['path'].split('mixed/')[1]: answer for answer in json.loads(done.out)}
    assert sorted(answers) == [
        'dark/0.png',
        'dark/1.png',
        'dark/2.png',
        'light/0.png',
        'light/1.png',
        'light/\\xff.png',
    ]
    assert {name for name, answer in answers.items() if 'error' in answer} == {
        'dark/0.png',
        'light/1.png',
    }
    lines = [line for line in done.err.splitlines() if 'cannot be' in line]
    assert len(lines) == 2
    assert 'dark/0.png cannot be decoded' in lines[0]
    assert 'light/1.png cannot be decoded' in lines[1]
    assert done.err.count('1 file passed over (.heic 1): pillow-heif makes PNG of .heic') == 1
    rows = list(csv.reader((tmp_path / 'a.csv').open()))
    assert rows[0] == ['path', 'label', 'probability'] and len(rows) == 5
    for path, label, probability in rows[1:]:
        assert [label, float(probability)] == answers[path.split('mixed/')[1]]['top'][0]
    done = call('predict', f'--workdir={run}/run', '--top=1', mixed)
    assert done.code == 1 and done.out.count('probability') == 4
    done = call('predict', f'--workdir={run}/run', mixed / 'dark' / '0.png')
    assert done.code == 1 and not done.out and 'Traceback' not in done.err


def test_evaluate_and_features_leave_out_what_cannot_be_read(run, mixed, tmp_path):
    done = call('evaluate', f'--workdir={run}/run', '--json', mixed)
    found = json.loads(done.out)
    assert done.code == 1 and found['pictures'] == 4 and len(found['unread']) == 2, done
    assert [(row['class'], row['pictures']) for row in found['classes']] == [
        ('dark', 2),
        ('light', 2),
    ]
    done = call('features', f'--workdir={run}/run', f'--out={tmp_path}/a.npz', mixed)
    held = np.load(tmp_path / 'a.npz')
    assert done.code == 1 and len(held['features']) == 4
    assert sorted(path.split('mixed/')[1] for path in held['path']) == [
        'dark/1.png',
        'dark/2.png',
        'light/0.png',
        'light/\\xff.png',
    ]
    for name, flags in (('evaluate', []), ('features', [f'--out={tmp_path}/b.npz'])):
        done = call(name, f'--workdir={run}/run', *flags, mixed / 'dark' / '0.png')
        assert done.code == 2
        assert 'error: none of the 1 pictures can be read' in done.err
        assert not (tmp_path / 'b.npz').exists()


@pytest.mark.parametrize(
    'ending, make', [('zip', zipped), ('tar.gz', lambda root, path: tarred(root, path, 'w:gz'))]
)
def test_archives_are_read_as_folders_are(run, tmp_path, ending, make):
    packed, whole = make(run / 'data', tmp_path / f'a.{ending}'), run / 'data'
    one, two = (
        json.loads(call('predict', f'--workdir={run}/run', '--json', path).out)
        for path in (packed, whole)
    )
    assert len(one) == 20 and [answer['top'] for answer in one] == [answer['top'] for answer in two]
    assert one[0]['path'] == f'{packed}/dark/0.png'
    found = json.loads(call('evaluate', f'--workdir={run}/run', '--json', packed).out)
    assert found['pictures'] == 20
    assert sum(map(sum, found['confusion']['counts'])) == pytest.approx(20)


def test_evaluate_reads_classes_by_a_table_and_whatever_their_case(run, tmp_path):
    (run / 'swapped.csv').write_text(
        'file,class\n' + ''.join(f'data/dark/{i}.png,light\n' for i in range(10))
    )
    right, swapped = (
        json.loads(call('evaluate', f'--workdir={run}/run', '--json', path).out)['top1']
        for path in (run / 'data' / 'dark', run / 'swapped.csv')
    )
    assert right + swapped == pytest.approx(1)
    shutil.copytree(run / 'data', tmp_path / 'data')
    (tmp_path / 'data' / 'dark').rename(tmp_path / 'data' / 'Dark')
    done = call('evaluate', f'--workdir={run}/run', tmp_path / 'data')
    assert done.code == 0 and 'pictures of Dark count as the class dark' in done.err
    (tmp_path / 'data' / 'Dark').rename(tmp_path / 'data' / 'dusk')
    line = error(call('evaluate', f'--workdir={run}/run', tmp_path / 'data'))
    assert 'names no class of the model, which has dark, light' in line and 'WordNet' not in line


def test_what_has_no_picture_is_told(run):
    done = call('evaluate', f'--workdir={run}/run', run / 'data' / 'dark')
    assert '1 class; no pictures of light' in done.out and 'of classes that are here' in done.out
    found = json.loads(
        call('evaluate', f'--workdir={run}/run', '--json', run / 'data' / 'dark').out
    )
    assert found['without_pictures'] == ['light']
    found = json.loads(call('evaluate', f'--workdir={run}/run', '--json', run / 'data').out)
    assert found['without_pictures'] == []


def test_names_of_classes_are_refused_for_a_run(run, tmp_path):
    (tmp_path / 'labels.txt').write_text('light\ndark\n')
    (tmp_path / 'index.json').write_text('{"0": ["n01440764", "tench"], "1": ["n2", "a"]}')
    (tmp_path / 'other.json').write_text('{"0": ["n01440764", "tench"]}')
    for name, flags in (('predict', []), ('evaluate', []), ('features', ['--out=a.csv'])):
        line = error(
            call(
                name,
                f'--workdir={run}/run',
                f'--classes={tmp_path}/labels.txt',
                *flags,
                run / 'data',
            )
        )
        assert '--classes names the' in line and 'leave it out' in line
    for index, said in (
        ('index', 'a run has its own'),
        ('other', '1 classes (tench), and the run'),
    ):
        assert said in error(
            call(
                'evaluate',
                f'--workdir={run}/run',
                f'--classes={tmp_path}/{index}.json',
                run / 'data',
            )
        )


def test_outputs_are_looked_at_before_anything_is_loaded(tmp_path):
    (tmp_path / 'file').write_text('')
    for out, said in (
        (tmp_path, 'is a folder: name a file'),
        (tmp_path / 'file' / 'a.csv', 'file is no folder'),
        (f'{tmp_path}/none/', 'is a folder'),
        ('', 'names no file'),
    ):
        assert said in error(call('predict', '--workdir=nowhere', f'--csv={out}', tmp_path))
    (tmp_path / 'a.csv').mkdir()
    for out in (tmp_path / 'a.csv', tmp_path / 'file' / 'a.npz'):
        assert 'folder' in error(call('features', '--workdir=nowhere', f'--out={out}', tmp_path))


def test_pictures_that_a_table_lists_are_predicted(run, tmp_path):
    rows = [('data/light/3.png', 'x'), ('data/dark/0.png', 'y')]
    (run / 'list.csv').write_text('file,mood,age\n' + ''.join(f'{a},{b},\n' for a, b in rows))
    (run / 'only.tsv').write_text('picture\n' + ''.join(f'{name}\n' for name, _ in rows * 2))
    (run / 'bare.csv').write_text(''.join(f'{name}\n' for name, _ in rows))
    (run / 'pics.csv').write_text('mood;pic\n' + ''.join(f'{b};{a}\n' for a, b in rows))
    paths = [run / name for name, _ in rows]
    expected = json.loads(call('predict', f'--workdir={run}/run', '--json', *paths).out)
    for name in ('list.csv', 'only.tsv', 'bare.csv', 'pics.csv'):
        done = call('predict', f'--workdir={run}/run', '--json', run / name)
        assert done.code == 0 and json.loads(done.out) == expected, done.err
    done = call(
        'features', f'--workdir={run}/run', f'--out={tmp_path}/a.npz', paths[1], run / 'list.csv'
    )
    assert np.load(tmp_path / 'a.npz')['path'].tolist() == [str(p) for p in (paths[1], *paths)]
    for text, said in (
        ('a,b\n1,2\n', 'names no pictures (columns a, b)'),
        ('', 'no pictures'),
        ('file,a\nno.png,1\n', '1 of 1 pictures are missing'),
        ('file,a\n,1\n', 'a row names no picture'),
    ):
        (run / 'bad.csv').write_text(text)
        assert said in error(call('predict', f'--workdir={run}/run', run / 'bad.csv'))
    line = error(call('evaluate', f'--workdir={run}/run', run / 'data', run / 'list.csv'))
    assert 'is a table, and other paths are named with it' in line


def test_a_regression_tells_numbers(run, tmp_path):
    lines = [
        f'data/{name}/{i}.png,{level + i + 0.5}'
        for name, level in (('dark', 30), ('light', 220))
        for i in range(10)
    ]
    (run / 'levels.csv').write_text('\n'.join(['file,level', *lines]))
    settings = tiny(
        {
            'data': {'name': 'folder', 'path': str(run / 'levels.csv'), 'size': 8, 'channels': 1},
            'steps': 1,
            'net': {'name': 'mlp', 'widths': [4]},
        }
    )
    fit(build(settings), tmp_path / 'run' / '00-train')
    path = run / 'data' / 'dark' / '0.png'
    done = call('predict', f'--workdir={tmp_path}/run', '--json', f'--csv={tmp_path}/a.csv', path)
    (answer,) = json.loads(done.out)
    assert done.code == 0
    assert answer['numbers'] == load(tmp_path / 'run').predict(path).ravel().tolist()
    assert (tmp_path / 'a.csv').read_text() == f'path,number\n{path},{answer["numbers"][0]}\n'
    assert 'number' in call('predict', f'--workdir={tmp_path}/run', path).out
    assert 'this model tells numbers: name a CSV of pictures and their numbers' in error(
        call('evaluate', f'--workdir={tmp_path}/run', path)
    )


def test_a_model_of_several_labels_tells_all_of_them(run):
    params, state, record = load_final(run / 'run' / '00-train')
    answers = predict(
        (params, state, {**record, 'task': 'labels'}),
        find([run / 'data' / 'dark' / '0.png']),
        top=1,
    )
    assert sorted(label for label, _ in answers[0]['top']) == ['dark', 'light']
    assert (
        len(
            predict((params, state, record), find([run / 'data' / 'dark' / '0.png']), top=1)[0][
                'top'
            ]
        )
        == 1
    )


def test_scores_worked_by_hand():
    # two seeds, four pictures of the classes a, a, b and f
    told = np.eye(6)[[[0, 0, 1, 5], [0, 1, 1, 4]]]
    found = count_hits(told, np.array([0, 0, 1, 5]), list('abcdef'))
    assert found['top1'] == 6 / 8
    assert found['mean_of_classes'] == pytest.approx((3 / 4 + 1 + 1 / 2) / 3)
    assert [(row['class'], row['pictures'], row['accuracy']) for row in found['classes']] == [
        ('a', 2, 0.75),
        ('b', 1, 1.0),
        ('f', 1, 0.5),
    ]
    assert found['confusion'] == {
        'classes': ['a', 'b', 'e', 'f'],
        'counts': [[1.5, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0.5, 0.5]],
    }
    # where e is told, f is the last of equals: a, b, c and d come before
    assert found['top5'] == 7 / 8
    assert 'top5' not in count_hits(told[..., :5], np.array([0, 0, 1, 4]), list('abcde'))


def test_the_limit_of_pixels_is_a_flag(run, tmp_path):
    path = run / 'data' / 'dark' / '0.png'
    for name, flags in (
        ('predict', []),
        ('evaluate', []),
        ('features', [f'--out={tmp_path}/a.npz']),
    ):
        done = call(name, f'--workdir={run}/run', '--pixels=119', *flags, path)
        assert done.code in (1, 2)
        assert 'has 12 x 10 pixels, and at most 119 are read' in done.err
        assert '--pixels=120' in done.err
    assert call('predict', f'--workdir={run}/run', '--pixels=120', path).code == 0


def test_what_does_not_fit_is_told_in_one_line_and_leaves_nothing(model, tmp_path):
    root, _ = model
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'bad').mkdir()
    (tmp_path / 'bad' / 'cut.jpg').write_bytes(b'\xff\xd8 no picture')
    (tmp_path / 'few.json').write_text('{"0": ["n0", "a"]}')
    weights = f'--weights={root}/weights.h5'
    for name, flags, said in [
        ('predict', [*QUARTER, weights, tmp_path / 'empty'], 'holds no pictures'),
        (
            'features',
            [*QUARTER, weights, f'--out={tmp_path}/out', tmp_path / 'bad'],
            'file that ends in .npz or .csv',
        ),
        (
            'predict',
            [*QUARTER, weights, f'--classes={tmp_path}/few.json', root / 'pictures'],
            '3 classes apart, and 1 are named',
        ),
        ('predict', ['--model=mobilenet', weights, root / 'pictures'], 'shapes differ at conv1'),
        ('predict', ['--model=mobilnet', weights, root / 'pictures'], 'did you mean mobilenet'),
        (
            'predict',
            ['--model=mobilenet', '--model.alpa=1', weights, root / 'pictures'],
            'did you mean alpha',
        ),
        (
            'convert',
            ['--model=mobilenet', weights, f'--workdir={tmp_path}/out'],
            'shapes differ at conv1',
        ),
    ]:
        assert said in error(call(name, *flags)), flags
    assert not (tmp_path / 'out').exists()


@pytest.mark.slow
@REAL
def test_the_real_weights_see_what_they_see_in_keras():
    """Keras with these weights and this preprocessing: top-1 0.552, top-5 0.784 of 500
    photographs."""
    done = call(
        'evaluate',
        *QUARTER,
        f'--weights={DATA}/imagenet_weights/mobilenet_2_5_224_tf.h5',
        f'{DATA}/imagenet_photos',
    )
    assert done.code == 0, done.err
    found = [float(line.split()[1]) for line in done.out.splitlines() if line.startswith('top-')]
    assert abs(found[0] - 0.552) <= 0.004 and abs(found[1] - 0.784) <= 0.004
