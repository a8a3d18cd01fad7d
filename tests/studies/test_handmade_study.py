"""The comparison of deep with hand-made features, against scikit-learn on the same draws."""

import json

import numpy as np
import pytest
from commands import call, error
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from configs import handmade as config_file
from tljax import build
from tljax.configuration import plain
from tljax.core import UserError
from tljax.data.splits import per_class
from tljax.studies import handmade

pytest.importorskip('skimage')


@pytest.fixture(scope='module')
def config():
    """The smallest config, with more pictures and draws."""
    config = plain(config_file.get_config('smoke')) | {'seeds': [3, 4, 5], 'budgets': [1, 2]}
    config['sets']['digits']['most'] = 100
    return config


@pytest.fixture(scope='module')
def study(config, tmp_path_factory):
    """Folder and results of the smallest study."""
    folder = tmp_path_factory.mktemp('handmade')
    return folder, handmade.compare(config, folder)


def scikit_learn(parts, k, seed, scale, penalty):
    """Accuracies on validation and test of scikit-learn's classifier, on the same draw."""
    x, y = parts['train']
    rows = per_class(y, k, seed)
    if scale == 'unit':
        transform = lambda z: z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-9)  # noqa: E731
    else:
        scaler = StandardScaler().fit(x[rows])
        transform = lambda z: scaler.transform(z) / z.shape[1] ** 0.5  # noqa: E731
    model = LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=5000)
    model.fit(transform(x[rows]), y[rows])
    return [model.score(transform(parts[name][0]), parts[name][1]) for name in handmade.SPLITS[1:]]


@pytest.mark.slow
def test_scores_are_those_of_scikit_learn_chosen_on_the_validation_split(config, study):
    row = next(
        row for row in study[1]['rows'] if row['feature'] == 'hog' and row['labels_per_class'] == 2
    )
    splits = {}
    for setting, spec in config['features']['handmade']['hog'].items():
        loaded = build.load({**spec, 'of': config['sets']['digits']})
        splits[setting] = {
            name: (split.take(np.arange(split.size))['input'].astype(float), split.label)
            for name, split in loaded.items()
        }
    for draw, seed in zip(row['draws'], config['seeds'], strict=True):
        every = {
            (setting, scale, penalty): scikit_learn(parts, 2, seed, scale, penalty)
            for setting, parts in splits.items()
            for scale in config['scales']
            for penalty in config['penalties']
        }
        validation, test = every[draw['setting'], draw['scale'], draw['penalty']]
        assert (draw['validation'], draw['test']) == pytest.approx((validation, test))
        assert draw['validation'] == pytest.approx(max(first for first, _ in every.values()))
    assert row['mean'] == pytest.approx(np.mean([draw['test'] for draw in row['draws']]))


def test_the_best_of_a_group_is_chosen_without_the_test_split():
    draws = {
        ('photo', 'handmade', 'hog', 5): [(0.5, 0.1), (0.3, 0.2), (0.4, 0.3)],
        ('photo', 'handmade', 'sift', 5): [(0.4, 0.9), (0.6, 0.4), (0.5, 0.5)],
        ('photo', 'deep', 'lite0', 5): [(0.9, 0.7), (0.9, 0.8), (0.9, 0.8)],
        ('photo', 'control', 'untrained', 5): [(0.99, 0.99), (0.99, 0.99), (0.99, 0.99)],
    }
    results = handmade.summarise(
        {
            cell: [dict(validation=validation, test=test) for validation, test in answers]
            for cell, answers in draws.items()
        }
    )
    best = {row['group']: row for row in results['best']}
    assert [draw['feature'] for draw in best['handmade']['draws']] == ['hog', 'sift', 'sift']
    assert best['handmade']['values'] == [0.1, 0.4, 0.5]
    (margin,) = results['margins']
    paired = stats.ttest_rel([0.7, 0.8, 0.8], [0.1, 0.4, 0.5])
    interval = paired.confidence_interval()
    assert (margin['low'], margin['high']) == pytest.approx((interval.low, interval.high))
    assert margin['mean'] == pytest.approx(1.3 / 3)
    assert margin['verdict'] == ('positive' if paired.pvalue <= 0.05 else 'none detected')


def test_a_restart_reads_what_was_finished(config, study, monkeypatch):
    folder, results = study

    def refuse(*arguments):
        raise AssertionError('a draw is trained again')

    monkeypatch.setattr(handmade, 'probe', refuse)
    assert handmade.compare(config, folder) == results
    with pytest.raises(AssertionError):
        handmade.compare({**config, 'penalties': [0.2]}, folder)


def test_the_command_prints_one_table_with_the_margin(tmp_path):
    done = call('handmade', '--config=configs/handmade.py:smoke', f'--workdir={tmp_path}')
    assert done.code == 0, done.err[-2000:]
    results = json.loads((tmp_path / 'results.json').read_text())
    assert {row['feature'] for row in results['rows']} == {'hog', 'orb', 'untrained'}
    assert 'margin' in done.out and 'best handmade' in done.out
    page = (tmp_path / 'report.html').read_text()
    assert 'What was chosen' in page and 'words_10 2x' in page


@pytest.mark.parametrize(
    'changes, said',
    [
        ({'seeds': [3, 3]}, 'seeds=[3, 3]: the interval of a margin needs two draws or more'),
        ({'sets': {}}, 'sets is empty'),
        ({'features': {'handmade': {}}}, 'features.handmade is empty: a margin needs features'),
        (
            {'features': {'handmade': {'hog': {}}, 'deep': {'a': {'b': {}}}}},
            'features.handmade.hog is empty: give it one setting or more',
        ),
        ({'scales': ['units']}, "scales='units' is unknown: did you mean unit?"),
        ({'penalties': []}, 'penalties is empty: give one or more'),
        ({'budgets': [0]}, 'budgets=[0]: give labels per class, 1 or more each'),
        ({'budgets': [40]}, 'budgets=[40]: sets.digits has '),
        ({'sets': {'sine': {'name': 'sine'}}}, 'sets.sine asks for numbers: give a set with'),
        ({'penalties': [-1.0]}, 'penalty=-1.0'),
    ],
)
def test_settings_that_do_not_fit(config, changes, said, tmp_path):
    with pytest.raises(UserError) as refused:
        handmade.compare({**config, **changes}, tmp_path)
    assert said in str(refused.value) and '\n' not in str(refused.value)


def test_the_command_line_sets_a_keyword_of_a_feature(tmp_path):
    flags = '--config=configs/handmade.py:smoke', f'--workdir={tmp_path}'
    line = error(call('handmade', *flags, '--config.features.handmade.hog.cell_8.cell=70'))
    assert 'too small, as a block of 2 cells of 70 pixels has 140' in line
    line = error(call('handmade', *flags, '--config.features.handmade.hog.cell_8.cells=4'))
    assert 'did you mean cell?' in line


def test_options_of_the_config():
    config = config_file.get_config('data=sketch,first=0')
    assert list(config.sets) == ['sketch'] and config.seeds == tuple(range(8))
    assert len(config_file.get_config().sets) == 6 and config_file.get_config().seeds[0] == 1000
