"""Studies as functions: of a config and a folder, by the first score, with choices told once."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest
from commands import ROOT
from PIL import Image
from scipy.stats import ttest_rel
from tiny import SMALL

from configs import base
from tljax.configuration import merge, plain
from tljax.core import UserError
from tljax.studies import comparison, comparison_report, episodes, shallow, shallow_report, training
from tljax.studies.choices import choices_by_score
from tljax.studies.comparison import Measured, summarise
from tljax.trained import load

FROZEN = {'partition': {'name': 'freeze', 'until': 'backbone'}}


def config(**changes):
    """A study of two strategies, of two steps each, in two phases."""
    settings = merge(plain(base.get_config()), SMALL)
    study = {
        'baseline': 'scratch',
        'budgets': [1, None],
        'strategies': {'scratch': {'init': {'phase': ''}}, 'frozen': FROZEN},
    }
    return (
        settings
        | {
            'seeds': [0, 1],
            'steps': 2,
            'init': {**settings['init'], 'phase': 'first'},
            'phases': {'first': {'init': {'phase': ''}, 'seeds': [9]}, 'second': {}},
            'study': study,
        }
        | changes
    )


def test_a_baseline_alone_is_measured_without_gains(tmp_path):
    alone = config(seeds=[0, 1], study={**config()['study'], 'budgets': [1]})
    del alone['study']['strategies']['frozen']
    results = comparison.compare(alone, tmp_path)
    assert [row['strategy'] for row in results['rows']] == ['scratch']
    assert 'Gain over' not in (tmp_path / 'report.html').read_text()


def test_a_comparison_is_a_function_of_a_config_and_a_folder(tmp_path, monkeypatch):
    fit = comparison.fit

    def renamed(run, workdir):  # another score stands first
        fitted = fit(run, workdir)
        test = fitted.scores['test']['accuracy']
        return fitted._replace(
            scores={'test': {'balance': [1 - each for each in test], 'accuracy': test}}
        )

    monkeypatch.setattr(comparison, 'fit', renamed)
    results = comparison.compare(config(), tmp_path)
    assert json.loads((tmp_path / 'results.json').read_text()) == results
    assert {row['metric'] for row in results['rows']} == {'balance'}
    first = results['rows'][0]
    assert first['mean'] == pytest.approx(np.mean(first['values'])) and len(first['values']) == 2
    monkeypatch.setattr(comparison, 'fit', fit)
    again = comparison.compare(config(), tmp_path)  # nothing is trained twice
    assert again['rows'][0]['values'] == pytest.approx([1 - each for each in first['values']])
    table = comparison_report.tables(results)[0]
    assert 'balance %' in table.columns and 'balance on the test split' in table.title
    assert 'Balance by number of labels' not in (tmp_path / 'report.html').read_text()
    written = (tmp_path / 'report.html').read_text()
    assert 'Accuracy by number of labels' in written and written.count('<h2>The data</h2>') == 1
    assert ' ± ' not in str(table.rows) and {row['ci95'] for row in results['rows']} == {None}


@pytest.mark.parametrize(
    'changes, said',
    [
        ({'phases': {'first': {}, 'second': {'seeds': [0]}}}, 'a study needs two seeds or more'),
        ({'study': {'baseline': 'none', 'budgets': [1], 'strategies': {'a': {}}}}, 'its baseline'),
        (
            {
                'data': {'name': 'sine'},
                'net': {'name': 'mlp'},
                'method': {'name': 'maml'},
                'init': {'path': '', 'phase': '', 'rules': []},
                'phases': {},
                'study': {'baseline': 'a', 'budgets': [None], 'strategies': {'a': {}}},
            },
            'a study compares scores on a test split: give data with classes',
        ),
    ],
)
def test_what_is_no_study_is_refused(changes, said, tmp_path):
    with pytest.raises(UserError, match=said):
        comparison.compare(config(**changes), tmp_path)


def test_one_seed_becomes_three(tmp_path, capsys, monkeypatch):
    def measure(earlier, last, study, workdir):
        assert [fit['seeds'] for _, fit in earlier] == [[9]] and last['seeds'] == [4, 5, 6]
        cells = [(name, k) for name in study['strategies'] for k in study['budgets']]
        return Measured('accuracy', {cell: np.arange(3) / 10 for cell in cells}, {}, True)

    monkeypatch.setattr(comparison, '_measure', measure)
    results = comparison.compare(config(seeds=[4]), tmp_path)
    assert results['seeds'] == results['config']['seeds'] == [4, 5, 6]
    said = capsys.readouterr().err
    assert 'the study takes the seeds 4, 5, 6, 12 trainings in all' in said


def test_gains_are_paired_by_seed():
    values = {
        (name, k): np.random.default_rng(i).uniform(size=4)
        for i, (name, k) in enumerate([('a', 5), ('b', 5), ('a', None), ('b', None)])
    }
    study = dict(baseline='a', budgets=[5, None], strategies=dict(a={}, b={}))
    found = summarise(Measured('score', values, {}, False), dict(study=study, seeds=[0, 1, 2, 3]))
    rows = {(row['strategy'], row['labels_per_class']): row for row in found['rows']}
    for k in (5, None):
        test = ttest_rel(values['b', k], values['a', k])
        assert rows['b', k]['p'] == pytest.approx(test.pvalue)
        assert rows['b', k]['gain_low'] == pytest.approx(test.confidence_interval().low)
        assert rows['a', k]['verdict'] is None and rows['a', k]['gain_mean'] is None
    assert found['goal'] == pytest.approx(0.9 * values['a', None].mean())
    assert 'one source network per seed' in found['intervals_cover']


def test_label_free_scores_choose_among_their_candidates_and_the_oracle_among_all():
    truth = np.array([[0.5, 0.6, 0.9], [0.8, 0.2, 0.7]])
    rows = {
        row['score']: row
        for row in choices_by_score(
            {'sure': np.array([[1.0, 2.0], [np.nan, -1.0]])}, ['a', 'b'], truth, ['a', 'b', 'c']
        )
    }
    assert rows['sure']['picks'] == ['b', 'b'] and rows['sure']['values'] == [0.6, 0.2]
    assert rows['oracle']['picks'] == ['c', 'a'] and rows['oracle']['values'] == [0.9, 0.8]
    assert list(rows)[-1] == 'oracle'


def test_a_table_of_shallow_methods():
    methods = {'source only, svm': {'classifier': 'svm'}, 'tca': {'classifier': 'svm', 'map': {}}}
    tasks = [('x', 'y'), ('y', 'x')]
    right = {
        (name, task): np.arange(40) < count
        for (name, count) in (('source only, svm', 10), ('tca', 30))
        for task in tasks
    }
    scores = {
        (name, task): dict.fromkeys(shallow.SCORES, float(i))
        for i, name in enumerate(methods)
        for task in tasks
    }
    found = shallow.summarise(right, scores, methods, tasks)
    assert [row['mean'] for row in found['rows']] == [0.25, 0.25, 0.75, 0.75]
    assert found['rows'][2]['gain'] == 0.5 and found['rows'][2]['verdict'] == 'positive'
    assert {row['mean'] for row in found['chosen']} == {0.75}
    table, choices = shallow_report.tables(found | {'config': {}})
    assert table.rows == [
        ['source only, svm', '25.0', '25.0', '25.0'],
        ['tca', '75.0 +', '75.0 +', '75.0'],
    ]
    assert choices.rows[-1] == ['oracle (sees target labels)', '75.0', 'tca']


def test_training_from_python_tells_what_it_found(tmp_path):
    found = training.train(config(), tmp_path, guarded=True)
    assert found['phase'] == 'second' and found['folder'] == str(tmp_path / '01-second')
    assert found['guard']['split'] == 'validation'
    assert 'points over scratch' in found['guard']['text']
    assert {row['split'] for row in found['rows']} == {'train', 'validation', 'test'}
    assert found['kept'] is None and json.dumps(found)
    written = Path(found['page']).read_text()
    assert '<h2>The data</h2>' in written and '10 classes: 0, 1, 2, 3, 4, 5 and 4 more' in written
    assert 'Accuracy over training' not in written, 'nothing was measured twice'
    with pytest.raises(UserError, match='was not trained on episodes but on digits'):
        episodes.measure(tmp_path, episodes.Plan())


def test_a_page_has_the_data_of_each_phase_and_which_step_was_kept(tmp_path):
    changes = {'eval_every': 1, 'keep': 'best', 'epochs': 0.03}  # 2 steps: 899 examples by 16
    letters = {'name': 'glyphs', 'part': 'digits', 'size': 8, 'per_class': 10}
    found = training.train(
        config(phases={'first': {'init': {'phase': ''}, 'data': letters}, 'second': changes}),
        tmp_path,
    )
    written = Path(found['page']).read_text()
    assert '<h2>The data of 00-first</h2>' in written
    assert '<h2>The data of 01-second</h2>' in written
    assert found['kept']['ended'] == 2 and len(found['kept']['best']) == 2
    assert 'Accuracy over training' in written and 'Validation score best at step' in written
    again = training.train(
        config(phases={'first': {'init': {'phase': ''}, 'data': letters}, 'second': changes}),
        tmp_path,
    )
    assert again['kept'] == found['kept'] and again['scores'] == found['scores']


@pytest.fixture
def unlabelled(tmp_path):
    """The config of a study whose target has no labels."""
    rng = np.random.default_rng(0)
    for i in range(30):
        place = tmp_path / ('source/dark', 'source/light', 'target')[i % 3]
        place.mkdir(parents=True, exist_ok=True)
        level = 180 * (i % 2 if i % 3 == 2 else i % 3)
        Image.fromarray(rng.integers(level, level + 60, (8, 8), np.uint8)).save(place / f'{i}.png')
    shape = {'size': 8, 'channels': 1}
    data = {
        'name': 'domains',
        'source': {'name': 'folder', 'path': f'{tmp_path}/source', **shape},
        'target': {'name': 'unlabelled', 'path': f'{tmp_path}/target', **shape},
    }
    study = {
        'baseline': 'source_only',
        'budgets': [None],
        'strategies': {'source_only': {}, 'dann': {'method': {'name': 'dann', 'width': 4}}},
    }
    return config(
        data=data,
        study=study,
        phases={},
        init={'path': '', 'phase': '', 'rules': []},
        net={'name': 'conv4', 'width': 4, 'blocks': 1, 'size': 8},
    )


@pytest.mark.slow
def test_a_target_without_labels_is_compared_without_them(unlabelled, tmp_path):
    results = comparison.compare(unlabelled, tmp_path / 'study')
    assert not results['labelled'] and [row['verdict'] for row in results['rows']] == [None, None]
    table, choice, _ = comparison_report.tables(results)
    assert table.columns[:3] == ['strategy', 'source accuracy %', 'negative entropy']
    assert [row[0] for row in table.rows] == ['source_only, all labels', 'dann, all labels']
    assert 'oracle' not in str(choice.rows) and choice.columns == [
        'chosen by',
        'labels per class',
        'its choices',
    ]
    page = (tmp_path / 'study' / 'report.html').read_text()
    assert 'so nothing here is its accuracy' in page and 'Gain over' not in page


def test_a_training_tells_label_free_scores_of_a_target_without_labels(unlabelled, tmp_path):
    found = training.train(unlabelled | {'method': {'name': 'dann', 'width': 4}}, tmp_path / 'run')
    rows = [(row['split'], row['metric']) for row in found['rows']]
    both = 'accuracy', 'mean_class_accuracy'
    assert rows == [
        *((split, name) for split in ('train', 'validation') for name in both),
        *(
            ('target', name)
            for name in (
                'negative_entropy',
                'information_maximisation',
                'soft_neighbourhood_density',
            )
        ),
    ]
    assert all(np.isfinite(row['mean']) for row in found['rows']) and json.dumps(found)
    answers = load(tmp_path / 'run').predict(tmp_path / 'target')
    assert answers.shape == (10, 2) and np.allclose(answers.sum(1), 1)


def test_studies_know_no_flags_and_commands_are_short():
    for path in (ROOT / 'tljax' / 'studies').glob('*.py'):
        names = {
            name.name.partition('.')[0]
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import)
            for name in node.names
        }
        names |= {
            node.module.partition('.')[0]
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom)
        }
        assert not names & {'absl', 'experiments', 'ml_collections'}, path
    for path in (ROOT / 'experiments').glob('*.py'):
        if 'command.run' in path.read_text():
            assert len(path.read_text().splitlines()) <= 70, path


@pytest.fixture
def unbalanced(tmp_path):
    """Pictures of two classes: 30 and 5 for training, 8 and 2 for the test."""
    for split, counts in (('train', (30, 5)), ('validation', (4, 1)), ('test', (8, 2))):
        for name, level, count in zip(('dark', 'light'), (30, 220), counts, strict=True):
            (tmp_path / 'data' / split / name).mkdir(parents=True)
            for i in range(count):
                Image.new('L', (8, 8), level + i).save(
                    tmp_path / 'data' / split / name / f'{i}.png'
                )
    return {'name': 'folder', 'path': str(tmp_path / 'data'), 'size': 8, 'channels': 1}


@pytest.mark.slow
def test_a_comparison_of_unbalanced_classes_has_the_mean_over_classes(unbalanced, tmp_path):
    study = {
        'baseline': 'short',
        'budgets': [None],
        'strategies': {'short': {}, 'long': {'steps': 3}},
    }
    changes = {
        'data': unbalanced,
        'seeds': [0, 1, 2],
        'phases': {},
        'study': study,
        'init': {'path': '', 'phase': '', 'rules': []},
    }
    results = comparison.compare(config(**changes), tmp_path / 'run')
    for row in results['rows']:
        own = load(tmp_path / 'run' / 'cells' / f'{row["strategy"]}-all').scores['test']
        found = row['mean_class_accuracy']
        assert found['values'] == own['mean_class_accuracy'] and row['values'] == own['accuracy']
        assert found['mean'] == pytest.approx(np.mean(found['values']))
    table = comparison_report.tables(results)[0]
    assert table.columns[2:4] == ['accuracy %', 'mean of classes %']
    assert table.rows[0][3].startswith(
        f'{100 * results["rows"][0]["mean_class_accuracy"]["mean"]:.1f}'
    )
    assert 'The classes are unbalanced' in comparison_report.reading(results)
    written = (tmp_path / 'run' / 'report.html').read_text()
    assert 'mean of classes %' in written and 'the mean of classes counts all alike' in written
    assert json.loads((tmp_path / 'run' / 'results.json').read_text()) == results


def test_the_mean_over_classes_stands_in_its_own_column():
    values = {('a', None): np.array([0.96, 0.96, 0.96])}
    classes = {('a', None): np.array([0.5, 0.6, 0.7])}
    study = dict(study=dict(baseline='a', budgets=[None], strategies=dict(a={})), seeds=[0, 1, 2])
    row = summarise(Measured('accuracy', values, {}, True, mean_class=classes), study)['rows'][0]
    half = 4.302652729911275 * 0.1 / np.sqrt(3)  # Student's t of two degrees of freedom
    assert row['mean_class_accuracy'] == {
        'mean': pytest.approx(0.6),
        'ci95': pytest.approx(half),
        'values': [0.5, 0.6, 0.7],
    }
    row = summarise(Measured('accuracy', values, {}, True), study)['rows'][0]
    assert 'mean_class_accuracy' not in row


@pytest.mark.parametrize('budgets', [['abc'], [1.5], [0], [-1], [1, 1], [True]])
def test_budgets_that_are_none_are_refused(budgets, tmp_path):
    study = config()['study'] | {'budgets': budgets}
    with pytest.raises(UserError, match='give labels per class, each 1 or more or None for all'):
        comparison.compare(config(study=study), tmp_path)
