"""What a stranger finds who imports tljax."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import call
from PIL import Image

import tljax

ROOT = Path(__file__).parents[1]
DOORS = ('data', 'methods', 'shallow', 'when', 'zoo')


def test_importing_the_face_imports_nothing_heavy():
    code = (
        'import sys, tljax; heavy = {"jax", "flax", "numpy", "sklearn", "matplotlib"}; '
        'print(sorted(heavy & set(sys.modules)))'
    )
    assert (
        subprocess.run(
            [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True
        ).stdout
        == '[]\n'
    )


def test_every_name_of_the_face_is_there_and_an_unknown_one_is_refused():
    assert all(getattr(tljax, name) is getattr(tljax, name) for name in tljax.__all__)
    assert set(tljax.__all__) <= set(dir(tljax))
    with pytest.raises(AttributeError, match="tljax has no 'trian'"):
        tljax.trian  # noqa: B018


@pytest.mark.parametrize('door', DOORS)
def test_a_door_never_bears_the_name_of_a_module_beside_it(door):
    package = getattr(tljax, door)
    folder = Path(package.__file__).parent
    beside = {path.stem for path in folder.glob('*.py')} | {
        path.name for path in folder.iterdir() if path.is_dir()
    }
    assert not beside & set(dir(package))
    with pytest.raises(AttributeError):
        package.nothing_of_this_name  # noqa: B018


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """A classifier of two colours on pictures of 8x8, which a run of two seeds has learnt."""
    rng = np.random.default_rng(0)
    label = np.arange(80) % 2
    input = 0.2 * rng.random((80, 8, 8, 3)).astype('f')
    input[np.arange(80), :, :, 2 * label] += 0.7
    splits = {
        name: tljax.data.arrays(input[rows], label[rows], ('red', 'blue'))
        for name, rows in {
            'train': np.arange(60),
            'validation': np.arange(60, 70),
            'test': np.arange(70, 80),
        }.items()
    }
    workdir = tmp_path_factory.mktemp('face') / 'run'
    net = {'name': 'conv4', 'width': 4, 'blocks': 2, 'size': 8}
    settings = dict(steps=60, batch=16, seeds=[0, 1], optim={'lr': 1e-2})
    return workdir, tljax.train(data=splits, net=net, workdir=workdir, **settings), splits['test']


@pytest.mark.slow
def test_a_model_predicts_arrays_and_files_alike(model, tmp_path):
    workdir, trained, test = model
    batch = test.take(np.arange(10))
    probability = trained.predict(batch['input'])
    assert (probability.argmax(1) == batch['label']).all() and trained.classes == ('red', 'blue')
    np.testing.assert_allclose(probability.sum(1), 1, rtol=1e-5)
    pixels = np.round(255 * batch['input']).astype(np.uint8)
    for i, each in enumerate(pixels):
        Image.fromarray(each).save(tmp_path / f'{i}.png')
    np.testing.assert_allclose(
        trained.predict(pixels), tljax.load(workdir).predict(tmp_path), atol=1e-6
    )
    assert tljax.load(workdir).scores == trained.scores and list(trained.scores['test']) == [
        'accuracy',
        'mean_class_accuracy',
    ]
    with pytest.raises(
        tljax.UserError,
        match=r'inputs are \(1, 4, 4, 3\): this model takes \(n, 8, 8, 3\)',
    ):
        trained.predict(np.zeros((1, 4, 4, 3)))


def test_features_of_a_model_are_those_that_its_head_sees(model):
    _, trained, test = model
    inputs = test.take(np.arange(10))['input']
    features = trained.features(inputs, seed=1)
    logits = features @ trained.params['head']['kernel'][1] + trained.params['head']['bias'][1]
    both = [
        trained.features(inputs, seed=seed) @ trained.params['head']['kernel'][seed]
        + trained.params['head']['bias'][seed]
        for seed in (0, 1)
    ]
    expected = np.mean([np.exp(each) / np.exp(each).sum(1, keepdims=True) for each in both], 0)
    np.testing.assert_allclose(logits, both[1])
    np.testing.assert_allclose(trained.predict(inputs), expected, rtol=1e-4)


def test_features_are_written_with_the_names_of_the_files(model, tmp_path):
    workdir, trained, _ = model
    (tmp_path / 'pictures').mkdir()
    rng = np.random.default_rng(1)
    for name in 'ab':
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(
            tmp_path / 'pictures' / f'{name}.png'
        )
    expected = trained.features(tmp_path / 'pictures')
    for out in ('f.npz', 'f.csv'):
        done = call(
            'features',
            f'--workdir={workdir}',
            f'--out={tmp_path / out}',
            '--json',
            tmp_path / 'pictures',
        )
        assert json.loads(done.out) == {
            'file': str(tmp_path / out),
            'pictures': 2,
            'dim': expected.shape[1],
            'unread': 0,
        }, done.err
    with np.load(tmp_path / 'f.npz') as stored:
        assert [Path(path).name for path in stored['path']] == ['a.png', 'b.png']
        np.testing.assert_array_equal(stored['features'], expected)
    rows = [line.split(',') for line in (tmp_path / 'f.csv').read_text().splitlines()]
    assert rows[0][:2] == ['path', 'feature0'] and Path(rows[2][0]).name == 'b.png'
    np.testing.assert_array_equal(np.array(rows[1][1:], np.float32), expected[0])


@pytest.mark.parametrize(
    'keywords, said',
    [
        (dict(stepz=3), 'stepz is unknown to tljax.train: did you mean steps?'),
        (dict(optim={'lrr': 1}), 'optim.lrr is unknown'),
        (dict(method='fintune'), "method.name='fintune' is unknown: did you mean finetune?"),
        (dict(net='conv5'), "net.name='conv5' is unknown: did you mean conv4?"),
    ],
)
def test_an_unknown_keyword_gets_the_nearest_one(keywords, said, tmp_path):
    with pytest.raises(tljax.UserError) as refused:
        tljax.train(**{'data': 'digits', 'net': 'conv4', 'workdir': tmp_path / 'run', **keywords})
    assert said in str(refused.value) and not (tmp_path / 'run').exists()
