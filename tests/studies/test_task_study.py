"""The study of several tasks: gains of pairs and of joint training, and a conflict found."""

import json

import numpy as np
import pytest
from scipy.stats import ttest_rel
from tiny import tiny

from tljax.core import Task, UserError
from tljax.studies import multitask, multitask_report

DATA = {
    'name': 'joint_tasks',
    'of': {
        'read': {'name': 'digits', 'size': 8},
        'print': {'name': 'glyphs', 'part': 'digits', 'size': 8, 'per_class': 10},
    },
    'shares': 'equal',
}


def config(**study):
    settings = tiny(
        {
            'data': DATA,
            'method': {'name': 'hard_sharing'},
            'net': {'name': 'mlp', 'widths': [4]},
            'steps': 2,
            'batch': 8,
            'seeds': [1000, 1001],
        }
    )
    full = {'strategies': {'hard_sharing': {}}, 'sequence': {}, 'rates': [], 'choosing': []}
    return {**settings, 'phases': {}, 'study': full | study}


def test_gains_are_paired_by_seed_with_training_alone():
    rng = np.random.default_rng(0)
    tasks = {'a': Task.of(('x', 'y')), 'b': Task.of(()), 'c': Task.of(('x', 'y'))}
    alone = {task: rng.uniform(0.5, 1, 5) for task in tasks}
    scores = {
        'alone': {(task,): {task: values} for task, values in alone.items()},
        'together': {('a', 'b'): {task: alone[task] + rng.normal(0.1, 0.02, 5) for task in 'ab'}},
        'after': {('c', 'a'): {'a': alone['a'] - 0.1}},
        'sum': {('all',): {task: 1.1 * values for task, values in alone.items()}},
    }
    found = multitask.summarise(scores, tasks)
    pairs = {(p['how'], p['task'], p['other']): p['gain'] for p in found['pairs']}
    assert set(pairs) == {('together', 'a', 'b'), ('together', 'b', 'a'), ('after', 'a', 'c')}
    for task in 'ab':
        test = ttest_rel(scores['together']['a', 'b'][task], alone[task])
        interval = test.confidence_interval()
        gain = pairs['together', task, 'ba'['ab'.index(task)]]
        np.testing.assert_allclose(
            [gain['low'], gain['high'], gain['p']], [interval.low, interval.high, test.pvalue]
        )
    assert pairs['after', 'a', 'c']['verdict'] == 'negative'
    assert found['relative'] and np.isclose(found['joint'][0]['mean']['mean'], 0.1)
    text = multitask_report.reading(
        {**found, 'tasks': {t: {'metric': 'rmse' if t == 'b' else 'accuracy'} for t in tasks}}
    )
    assert 'Negative transfer: a after c -10.0' in text and 'sum gains: +10.0' in text


@pytest.mark.slow
def test_a_study_chooses_rates_on_other_seeds(tmp_path):
    results = multitask.compare_tasks(config(rates=[1e-3, 1e-2], choosing=[0]), tmp_path)
    kinds = {'alone', 'together', 'after', 'hard_sharing'}
    assert set(results['rates']) == set(results['choices']) == kinds
    for kind in kinds:
        by_rate = results['choices'][kind]
        assert results['rates'][kind] == max(map(float, by_rate), key=lambda r: by_rate[str(r)])
    for path in (tmp_path / 'cells').iterdir():
        rates = [
            f'{kind}-' in path.name and path.name.endswith(f'-{results["rates"][kind]:g}')
            for kind in kinds
        ]
        assert json.loads((path / 'config.json').read_text())['seeds'] == [1000, 1001] and any(
            rates
        )
    for path in (tmp_path / 'choice' / 'cells').iterdir():
        assert json.loads((path / 'config.json').read_text())['seeds'] == [0]


@pytest.mark.slow
def test_a_study_reports_every_pair(tmp_path):
    results = multitask.compare_tasks(config(), tmp_path)
    assert json.loads((tmp_path / 'results.json').read_text()) == json.loads(json.dumps(results))
    assert {(p['task'], p['other'], p['how']) for p in results['pairs']} == {
        (*pair, how)
        for pair in (('read', 'print'), ('print', 'read'))
        for how in ('together', 'after')
    }
    alone, together, after, joint = multitask_report.tables(results)
    assert [row[0] for row in alone.rows] == ['read', 'print']
    assert together.columns == ['gain on', 'with read', 'with print'] and together.rows[0][1] == ''
    assert after.columns[1:] == ['after read', 'after print'] and joint.rows[0][0] == 'hard_sharing'
    assert 'Every task alone' in (tmp_path / 'report.html').read_text()
    # a task has as many examples in a step as alone
    folders = {path.name: path for path in (tmp_path / 'cells').iterdir()}
    for name, path in folders.items():
        batch = json.loads((path / 'config.json').read_text())['batch']
        assert batch == (16 if name.startswith(('together', 'hard_sharing')) else 8), name


@pytest.mark.parametrize(
    'changes, said',
    [
        ({'study': {'strategies': {'a': {}}}}, 'study.choosing is missing'),
        ({'seeds': [1000]}, 'needs two seeds or more'),
        ({'study': {**config()['study'], 'choosing': [1001]}}, 'has the seeds 1001 of the report'),
        ({'study': {**config()['study'], 'rates': [1, 2]}}, 'give study.choosing'),
        ({'data': {'name': 'digits', 'size': 8}}, 'this data has a single task'),
    ],
)
def test_what_is_no_study_is_refused(changes, said, tmp_path):
    with pytest.raises(UserError, match=said):
        multitask.compare_tasks({**config(), **changes}, tmp_path)


@pytest.mark.slow
def test_a_pair_that_conflicts_and_a_pair_that_helps_are_told_apart(tmp_path):
    """A network of one unit, which can follow one direction: `across` asks for the first input,
    `along` for the second, which is larger, and `few` for the first as well, from ten examples."""
    rng = np.random.default_rng(0)
    sets = {}
    for name, column, count in (('across', 0, 300), ('along', 1, 300), ('few', 0, 10)):
        parts = {}
        for split, size in (('train', count), ('validation', 100), ('test', 1000)):
            x = rng.normal(size=(size, 20)).astype('f')
            x[:, 1] *= 3
            parts |= {f'{split}_input': x, f'{split}_label': (x[:, column] > 0).astype(int)}
        np.savez(tmp_path / f'{name}.npz', **parts, classes=['no', 'yes'])
        sets[name] = {'name': 'npz', 'path': str(tmp_path / f'{name}.npz')}
    study = config() | {
        'data': {'name': 'joint_tasks', 'of': sets, 'shares': 'equal'},
        'net': {'name': 'mlp', 'widths': [1], 'activation': 'tanh'},
        'steps': 150,
        'batch': 32,
        'optim': {**config()['optim'], 'lr': 0.05},
        'seeds': list(range(1000, 1006)),
    }
    results = multitask.compare_tasks(study, tmp_path / 'study')
    found = {(p['how'], p['task'], p['other']): p['gain']['verdict'] for p in results['pairs']}
    assert found['together', 'across', 'along'] == 'negative'
    assert found['together', 'along', 'across'] != 'positive'
    assert found['together', 'few', 'across'] == found['after', 'few', 'across'] == 'positive'
    text = multitask_report.reading(results)
    assert 'Negative transfer: across with along' in text
    assert 'Tasks that another is hurt by: along' in text
