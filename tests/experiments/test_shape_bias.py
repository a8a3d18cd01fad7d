"""experiments.shape_bias: runs with and without outputs for the categories, the demonstration, and
the real networks."""

import csv
import json
import os
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from commands import call, error
from keras_models import predicted
from PIL import Image
from tiny import tiny

from tljax.build import build
from tljax.data.finding import find
from tljax.engine.train import fit
from tljax.trained import load

DATA = os.environ.get('TLJAX_DATA')
REAL = pytest.mark.skipif(
    not DATA or not Path(DATA, 'cue_conflict').exists(), reason='TLJAX_DATA has no cue_conflict'
)
NAMES = ('cat', 'dog', 'owl')


@pytest.fixture(scope='module')
def here(tmp_path_factory):
    """A set of 81 pictures of three categories, a run of these, and two of other classes."""
    root, rng = tmp_path_factory.mktemp('bias'), np.random.default_rng(0)
    (root / 'set').mkdir()
    for shape, i, texture, j in np.ndindex(3, 3, 3, 3):
        pixels = rng.integers(0, 90, (8, 8, 3))
        pixels[2 * shape : 2 * shape + 3, :, texture] += 100 + 10 * i + 5 * j
        name = f'{NAMES[shape]}{i + 1}-{NAMES[texture]}{j + 1}.png'
        Image.fromarray(pixels.astype(np.uint8)).save(root / 'set' / name)
    categories = {name: [f'n0000000{i}'] for i, name in enumerate(NAMES)}
    (root / 'set' / 'sixteen_categories.json').write_text(json.dumps(categories))
    with open(root / 'set' / 'responses.csv.gz', 'w', newline='') as file:
        rows = csv.writer(file)
        rows.writerow(['who', 'picture', 'answer'])
        for path in sorted((root / 'set').glob('*.png')):
            shape, texture = (cue[:-1] for cue in path.stem.split('-'))
            rows.writerow(['subject-01_session_1', path.stem, shape])
            rows.writerow(['subject-02_session_1', path.stem, 'na'])
            rows.writerow(['resnet50_session-1', path.stem, texture])
    for run, classes, seeds in (
        ('same', ('owl', 'cat', 'dog'), [0]),
        ('other', ('day', 'night'), [0, 1]),
        ('later', ('day', 'night'), [2]),
    ):
        for k, name in enumerate(classes):
            (root / run / 'data' / name).mkdir(parents=True)
            for i in range(10):
                pixels = rng.integers(0, 90, (8, 8, 3)) + 60 * k
                Image.fromarray(pixels.astype(np.uint8)).save(
                    root / run / 'data' / name / f'{i}.png'
                )
        data = {'name': 'folder', 'path': str(root / run / 'data'), 'size': 8}
        fit(
            build(tiny({'data': data, 'seeds': seeds, 'steps': 5})), root / run / 'run' / '00-train'
        )
    return root


@pytest.mark.slow
def test_a_run_of_the_categories_is_measured_by_its_outputs(here, tmp_path):
    done = call(
        'shape_bias',
        f'--data={here}/set',
        f'--workdir={here}/same/run',
        f'--out={tmp_path}/out',
        '--json',
    )
    assert done.code == 0, done.err
    results = json.loads(done.out)
    assert results == json.loads((tmp_path / 'out' / 'results.json').read_text())
    row, people, network = results['rows']
    assert (row['measure'], results['pictures'], results['size']) == ('outputs', 54, 8)
    files = find([here / 'set'])
    model = load(here / 'same' / 'run')
    chosen = np.array(model.classes)[model.predict([file.path for file in files]).argmax(1)]
    cues = np.array([[cue[:-1] for cue in file.path.stem.split('-')] for file in files])
    shape, texture = cues[cues[:, 0] != cues[:, 1]].T
    chosen = chosen[cues[:, 0] != cues[:, 1]]
    count = (chosen == shape).sum(), (chosen == texture).sum()
    assert row['bias'] == pytest.approx(count[0] / sum(count))
    assert row['decided'] == pytest.approx(sum(count) / 54)
    assert people['name'] == 'people (2)' and people['by_seed'] == [1, None]
    assert people['bias'] is None and people['decided'] == 0.5
    assert network['name'] == 'ResNet-50' and network['bias'] == 0 and network['agreeing'] == 1
    page = (tmp_path / 'out' / 'report.html').read_text()
    assert 'By category of the shape' in page and '<svg' in page and 'NaN' not in page


@pytest.mark.slow
def test_runs_of_other_classes_are_measured_by_their_features_as_the_first_one_is(here):
    done = call(
        'shape_bias',
        f'--data={here}/set',
        f'--workdir={here}/same/run',
        f'{here}/other/run',
        f'{here}/later/run',
        '--json',
    )
    assert done.code == 0, done.err
    first, other, later, *_ = json.loads(done.out)['rows']
    assert {row['measure'] for row in (first, other, later)} == {'features'}
    assert len(other['by_seed']) == 2 and len(later['by_seed']) == 1 and first['change'] is None
    for row in (other, later):
        mean, low, high = row['change']
        assert mean == pytest.approx(row['bias'] - first['bias']) and low <= mean <= high
    done = call(
        'shape_bias', f'--data={here}/set', f'--workdir={here}/same/run', f'{here}/later/run'
    )
    assert '54 pictures whose shape and texture conflict, at 8 pixels' in done.out
    assert 'change, points' in done.out and 'people (2)' in done.out, done.out


@pytest.mark.slow
def test_published_answers_alone(here):
    done = call('shape_bias', f'--data={here}/set')
    assert done.code == 0 and 'ResNet-50' in done.out and 'answers' in done.out


def test_what_does_not_fit_is_one_clear_line(here, tmp_path):
    (tmp_path / 'cat1-dog1.png').write_bytes((here / 'set' / 'cat1-dog1.png').read_bytes())
    (tmp_path / 'sixteen_categories.json').write_text('{"cat": ["n00000001"]}')
    run = f'--workdir={here}/other/run'
    for flags, said in [
        ([f'--data={tmp_path}/nowhere'], 'nowhere does not exist: take stimuli'),
        ([f'--data={tmp_path}'], 'has no published answers'),
        ([f'--data={tmp_path}', run], 'too few pictures whose shape and texture agree'),
        ([f'--data={here}/set', run, '--by=outputs'], 'has no outputs for the 3 categories'),
        ([f'--data={here}/set', '--workdir=nowhere'], 'holds no finished run'),
        (['--demo', run], '--demo trains a network of its own'),
    ]:
        assert said in error(call('shape_bias', *flags)), flags


@pytest.mark.slow
def test_the_demonstration_needs_no_data(tmp_path):
    done = call('shape_bias', '--demo', f'--out={tmp_path}/demo', '--json')
    assert done.code == 0, done.err
    results = json.loads(done.out)
    (row,) = results['rows']
    assert min(results['right']) > 0.9 and results['pictures'] == 300
    assert len(row['by_seed']) == 3 and row['decided'] > 0.5 and row['agreeing'] > 0.9
    assert row['low'] <= row['bias'] <= row['high']
    assert 'a demonstration' in (tmp_path / 'demo' / 'report.html').read_text()


@REAL
def test_decisions_about_real_pictures_are_those_of_keras(tmp_path):
    """Keras's probabilities of ImageNet's classes, averaged by category here."""
    weights = Path(DATA, 'imagenet_weights')
    names = ['cat1-bottle1', 'airplane1-bicycle2', 'dog1-bird1', 'oven1-clock1', 'knife1-truck1']
    with zipfile.ZipFile(Path(DATA, 'cue_conflict', 'cue_conflict_224.zip')) as archive:
        members = {Path(name).stem: name for name in archive.namelist()}
        names = [name for name in names if name in members] + sorted(members)[::160]
        for name in names:
            (tmp_path / f'{name}.jpg').write_bytes(archive.read(members[name]))
    names = sorted(set(names))
    ids = json.loads(Path(DATA, 'cue_conflict', 'sixteen_categories.json').read_text())
    (tmp_path / 'sixteen_categories.json').write_text(json.dumps(ids))
    network = keras.applications.MobileNet(
        weights=str(weights / 'mobilenet_2_5_224_tf.h5'), alpha=0.25, input_shape=(224, 224, 3)
    )
    pixels = np.stack([np.asarray(Image.open(tmp_path / f'{name}.jpg')) for name in names])
    probability = np.asarray(predicted(network, pixels / np.float32(127.5) - 1))
    index = json.loads((weights / 'imagenet_class_index.json').read_text())
    column = {wordnet_id: int(i) for i, (wordnet_id, _) in index.items()}
    categories = sorted(ids)
    means = [probability[:, [column[key] for key in ids[name]]].mean(1) for name in categories]
    chosen = [categories[i] for i in np.argmax(means, 0)]
    cues = [[cue.rstrip('0123456789') for cue in name.split('-')] for name in names]
    conflict = [
        cue for cue in zip(chosen, *zip(*cues, strict=True), strict=True) if cue[1] != cue[2]
    ]
    by_shape = sum(answer == shape for answer, shape, _ in conflict)
    by_texture = sum(answer == texture for answer, _, texture in conflict)
    done = call(
        'shape_bias',
        f'--data={tmp_path}',
        '--model=mobilenet',
        '--model.alpha=0.25',
        f'--weights={weights}/mobilenet_2_5_224_tf.h5',
        '--json',
    )
    assert done.code == 0, done.err
    (row,) = json.loads(done.out)['rows']
    assert by_shape + by_texture > 2
    assert row['decided'] == pytest.approx((by_shape + by_texture) / len(conflict))
    assert row['bias'] == pytest.approx(by_shape / (by_shape + by_texture))


@REAL
@pytest.mark.slow
@pytest.mark.parametrize(
    'network, bias, within, decided',
    [
        (('mobilenet', '--model.alpha=0.25', 'mobilenet_2_5_224_tf.h5'), 33.1, 1.0, 58),
        (('efficientnet_lite0', '', 'efficientnet_lite0.safetensors'), 24.05, 1.5, 68.2),
    ],
)
def test_real_networks_prefer_textures_as_much_as_was_measured_elsewhere(
    network, bias, within, decided
):
    name, keywords, weights = network
    done = call(
        'shape_bias',
        f'--model={name}',
        *filter(None, [keywords]),
        f'--weights={DATA}/imagenet_weights/{weights}',
        '--json',
    )
    assert done.code == 0, done.err
    row = json.loads(done.out)['rows'][0]
    assert row['measure'] == 'outputs' and 100 * row['bias'] == pytest.approx(bias, abs=within)
    assert 100 * row['decided'] == pytest.approx(decided, abs=3)
