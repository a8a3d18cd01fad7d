"""A few-shot run tells new pictures by a folder of labelled ones, whatever its method."""

import json
from pathlib import Path

import numpy as np
import pytest
from commands import call, error
from PIL import Image

from configs import base, protonet, simpleshot
from tljax.build import build
from tljax.configuration import phases, plain
from tljax.engine.checkpoint import load_final, save_final
from tljax.engine.train import fit
from tljax.studies import episodes

LEVELS = {'dark': 20, 'middle': 120, 'light': 220}


def run(workdir, method, **data):
    """A run without training, on episodes of rendered letters: its network is random."""
    config = base.get_config()
    with config.unlocked():
        config.method = method
        base.smoke_episodes(config, **data)
        config.steps = 0
    settings = phases(plain(config))[0][1]
    fit(build(settings), workdir)
    return workdir


@pytest.fixture
def root(tmp_path):
    """Pictures of three levels of grey: a few with labels, six without, named by their level."""
    rng = np.random.default_rng(0)
    for number, (name, level) in enumerate(LEVELS.items()):
        for i in range(4):
            place = tmp_path / 'labelled' / name if i < 2 else tmp_path / 'new'
            place.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(level - 10, level + 10, (12, 10), np.uint8)
            Image.fromarray(pixels).save(place / f'{name}{i}{number}.png')
    return tmp_path


@pytest.mark.parametrize(
    'method',
    [
        'protonet',
        'maml',
        *(pytest.param(name, marks=pytest.mark.slow) for name in ('ridge', 'simpleshot')),
    ],
)
def test_new_pictures_are_told_by_a_few_labelled_ones(method, root):
    keywords = {'transform': 'UN'} if method == 'simpleshot' else {}
    workdir = run(root / 'run', dict(name=method, **keywords), pictures=method == 'simpleshot')
    assert load_final(workdir)[2]['input'] == [8, 8, 1]
    done = call(
        'predict',
        f'--workdir={workdir}',
        f'--support={root}/labelled',
        '--json',
        '--batch=4',
        root / 'new',
    )
    assert done.code == 0, done.err
    answers = json.loads(done.out)
    assert [Path(answer['path']).name[:-6] for answer in answers] == sorted(2 * list(LEVELS))
    for answer in answers:
        assert {label for label, _ in answer['top']} == set(LEVELS)
        assert sum(share for _, share in answer['top']) == pytest.approx(1, abs=1e-5)
        if method in ('protonet', 'simpleshot'):  # features of a random network keep the level
            assert Path(answer['path']).name.startswith(answer['top'][0][0])
    assert ('normalises the pictures of a batch together' in done.err) == (method == 'maml')
    export = 'export', f'--workdir={workdir}', f'--support={root}/labelled'
    done = call(*export, f'--out={root}/new.tljax')
    if method == 'maml':
        assert 'maml predicts the pictures of a batch together' in error(done)
        return
    done = call('predict', f'--model={root}/new.tljax', '--json', root / 'new')
    for answer, told in zip(answers, json.loads(done.out), strict=True):
        assert dict(told['top']) == pytest.approx(dict(answer['top']), abs=1e-5)


def test_a_classifier_of_base_classes_is_measured_on_any_number_of_new_ones(tmp_path):
    workdir = run(tmp_path / 'run', dict(name='simpleshot'), pictures=True)
    done = call(
        'few_shot', f'--workdir={workdir}', '--ways=2', '--shots=1', '--queries=1', '--count=4'
    )
    assert done.code == 0 and '2-way 1-shot' in done.out, done.err


def test_answers_are_those_of_prototypes_worked_by_hand(root):
    """Features, a mean a class, squared distances, a softmax, a mean over seeds."""
    from scipy.special import softmax

    from tljax.data.finding import find
    from tljax.trained import Trained

    model = load_final(run(root / 'run', dict(name='protonet')))
    files = find([root / 'new'])
    found = episodes.predict(model, str(root / 'labelled'), files, top=3, batch=5)
    expected = []
    for seed in (0, 1):
        centres = np.stack(
            [
                Trained(*model).features(root / 'labelled' / name, seed=seed).mean(0)
                for name in sorted(LEVELS)
            ]
        )
        features = Trained(*model).features(root / 'new', seed=seed)
        expected.append(softmax(-((features[:, None] - centres) ** 2).sum(-1), -1))
    for answer, probability in zip(found, np.mean(expected, 0), strict=True):
        shares = dict(answer['top'])
        np.testing.assert_allclose(
            [shares[name] for name in sorted(LEVELS)], probability, atol=1e-4
        )


def test_of_an_uneven_support_as_many_are_taken_and_it_is_said(root):
    workdir = run(root / 'run', dict(name='protonet'))
    Image.new('L', (12, 10), 20).save(root / 'labelled' / 'dark' / 'zzz.png')
    done = call('predict', f'--workdir={workdir}', f'--support={root}/labelled', root / 'new')
    assert 'support: 2 of each class, as many as the smallest has; there are more of dark 3' in (
        done.err
    )


def test_dark_ink_is_turned_into_the_ink_of_the_training_set(tmp_path):
    """Strokes on white paper, and the same drawn white on black, are answered alike."""
    workdir = run(tmp_path / 'run', dict(name='protonet'))
    answers = []
    for paper in (255, 0):
        for name, box in (
            ('labelled/bar/0', (2, 0, 4, 8)),
            ('labelled/row/0', (0, 2, 8, 4)),
            ('new/0', (2, 0, 4, 7)),
        ):
            image = Image.new('L', (8, 8), paper)
            image.paste(255 - paper, box)
            path = tmp_path / str(paper) / f'{name}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
        done = call(
            'predict',
            f'--workdir={workdir}',
            f'--support={tmp_path}/{paper}/labelled',
            '--json',
            tmp_path / str(paper) / 'new',
        )
        answers.append(json.loads(done.out)[0]['top'])
        assert ('they are inverted' in done.err) == (paper == 255)
    assert answers[0] == answers[1]


def test_what_does_not_fit_is_refused(root, tmp_path):
    workdir, empty = run(root / 'run', dict(name='maml')), root / 'empty'
    (empty / 'a').mkdir(parents=True)
    new = root / 'new'
    (root / 'labelled' / 'light').rename(root / 'aside')
    for arguments, said in (
        ([new], 'this run was trained on episodes: python -m experiments.predict --support='),
        (
            [f'--support={root}/labelled', new],
            'this model tells 3 classes apart, not 2: ask for 3 folders in --support=',
        ),
        ([f'--support={empty}', new], 'holds 1 folders: give it one for each of two classes'),
        ([f'--support={root}/nowhere', new], 'holds 0 folders'),
        ([f'--support={new}', new], 'holds 0 folders'),
    ):
        assert said in error(call('predict', f'--workdir={workdir}', *arguments))
    (empty / 'b').mkdir()
    line = error(call('predict', f'--workdir={workdir}', f'--support={empty}', new))
    assert 'holds no pictures' in line
    params, state, record = load_final(workdir)
    save_final(tmp_path / 'old', params, state, record | {'input': []})
    line = error(call('predict', f'--workdir={tmp_path}/old', f'--support={root}/labelled', new))
    assert 'does not say the shape' in line
    record['config']['data'] = {'name': 'digits'}
    save_final(tmp_path / 'other', params, state, record)
    line = error(call('predict', f'--workdir={tmp_path}/other', f'--support={root}/labelled', new))
    assert 'was not trained on episodes but on digits' in line


def test_a_few_shot_config_takes_a_folder_of_ones_own(tmp_path):
    config = plain(protonet.get_config(f'data={tmp_path},ways=3,shots=2'))
    data = config['data']
    assert data['of'] == {'name': 'folder', 'path': str(tmp_path), 'size': 84}
    assert (data['ways'], data['shots'], data['queries'], data['rotations']) == (3, 2, 5, False)
    assert data['test'] == {'ways': 3, 'shots': 2, 'queries': 5} and config['net']['size'] == 84
    assert data['by_class'] == {'test': 0.3}
    assert 'ways' not in plain(simpleshot.get_config(f'data={tmp_path}'))['data']
    line = error(call('train', f'--config=configs/protonet.py:data={tmp_path}/no'))
    assert 'is not one of glyphs, omniglot, and no folder that is there' in line


@pytest.mark.slow
def test_a_run_on_ones_own_classes_tells_others(tmp_path):
    rng = np.random.default_rng(0)
    for c in range(8):
        for i in range(4):
            path = tmp_path / 'classes' / f'class{c}' / f'{i}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(25 * c, 25 * c + 20, (8, 8, 3), np.uint8)).save(path)
    done = call(
        'train',
        f'--config=configs/protonet.py:data={tmp_path}/classes,ways=2',
        f'--workdir={tmp_path}/run',
        '--config.steps=1',
        '--config.data.of.size=8',
        '--config.net.size=8',
        '--config.net.width=4',
        '--config.net.blocks=1',
        '--config.data.queries=1',
        '--config.data.test.queries=1',
        '--config.data.count=4',
        '--config.eval_every=0',
    )
    assert done.code == 0, done.err
    done = call(
        'predict',
        f'--workdir={tmp_path}/run',
        f'--support={tmp_path}/classes',
        '--json',
        '--top=1',
        tmp_path / 'classes' / 'class3' / '0.png',
    )
    assert done.code == 0 and 'inverted' not in done.err, done.err
    assert json.loads(done.out)[0]['top'][0][0].startswith('class')
