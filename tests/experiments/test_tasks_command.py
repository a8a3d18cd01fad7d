"""The command for many tasks, as a user runs it."""

import json

import numpy as np
import pytest
from commands import call, error
from scipy.stats import ttest_1samp, ttest_rel
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from tljax.studies import many_tasks

CONFIG = 'configs/school.py:smoke'


@pytest.fixture(scope='module')
def study(tmp_path_factory):
    """Folder and results.json of the smallest study."""
    folder = tmp_path_factory.mktemp('tasks')
    done = call('tasks', f'--config={CONFIG}', f'--workdir={folder}')
    assert done.code == 0, done.err[-2000:]
    return folder, json.loads((folder / 'results.json').read_text()), done.out


def cuts(results):
    """The splits of the study, again."""
    config = results['config']
    tasks = many_tasks.load_tasks(config['sets'])
    for seed in config['seeds']:
        rng = np.random.default_rng([seed, 0])
        yield many_tasks.make_cut(tasks, config['share'], config['new'], rng)


def test_the_baselines_are_scikit_learns(study):
    _, results, _ = study
    rows = {row['method']: row for row in results['rows']}
    for i, cut in enumerate(cuts(results)):
        xs, ys = zip(*cut.source, strict=True)
        truth = np.concatenate([test[1] for _, test in cut.targets.values()])
        pooled = Ridge(rows['pooled']['penalties'][i], fit_intercept=False)
        pooled.fit(np.concatenate(xs), np.concatenate(ys))
        found = np.concatenate([pooled.predict(test[0]) for _, test in cut.targets.values()])
        assert rows['pooled']['values'][i] == pytest.approx(r2_score(truth, found))
        own = Ridge(rows['independent']['penalties'][i], fit_intercept=False)
        found = np.concatenate(
            [own.fit(*train).predict(test[0]) for train, test in cut.targets.values()]
        )
        assert rows['independent']['values'][i] == pytest.approx(r2_score(truth, found))


def test_gains_are_paired_over_splits_and_over_tasks(study):
    folder, results, out = study
    rows = {row['method']: row for row in results['rows']}
    gain = next(
        gain
        for gain in results['gains']
        if (gain['method'], gain['baseline']) == ('hierarchical', 'independent')
    )
    paired = ttest_rel(rows['hierarchical']['values'], rows['independent']['values'])
    assert gain['low'] == pytest.approx(paired.confidence_interval().low)
    parts = np.zeros((len(results['config']['seeds']), results['tasks']))
    for split, cut in enumerate(cuts(results)):
        errors = [
            many_tasks.squared_errors(learner, 'learner', cut)
            for learner in (
                dict(name='independent_ridge', penalty=rows['independent']['penalties'][split]),
                results['config']['methods']['hierarchical']['learner'],
            )
        ]
        truth = np.concatenate([test[1] for _, test in cut.targets.values()])
        for task in range(results['tasks']):
            parts[split, task] = (errors[0][task] - errors[1][task]) / (len(truth) * truth.var())
    over_tasks = ttest_1samp(parts.mean(0) * results['tasks'], 0).confidence_interval()
    assert gain['task_low'] == pytest.approx(over_tasks.low)
    assert gain['mean'] == pytest.approx(parts.sum() / len(parts))
    page = (folder / 'report.html').read_text()
    assert 'Gains over the baselines' in page and '8 tasks, 160 examples' in page
    assert f'{100 * gain["mean"]:+.1f}' in out and 'process_linear_mean' in out


def test_new_tasks_are_predicted_from_the_others(tmp_path):
    done = call('tasks', f'--config={CONFIG},new=0.25,share=0.2', f'--workdir={tmp_path}', '--json')
    assert done.code == 0, done.err[-2000:]
    results = json.loads(done.out)
    for cut in cuts(results):
        assert len(cut.source) == 6 and all(len(y) == 20 for _, y in cut.source)
        assert [len(y) for (_, y), _ in cut.targets.values()] == [4, 4]
    means = {row['method']: row['mean'] for row in results['rows']}
    assert means['hierarchical'] > means['independent']


@pytest.mark.parametrize(
    'flags, said',
    [
        (['--config.share=1'], 'share=1.0: give a number between 0 and 1'),
        (['--config.new=1'], 'new=1.0: give a number from 0 to below 1'),
        (['--config.seeds=(3,)'], 'an interval needs two splits or more'),
        (['--config.choices=0'], 'choices=0: give 1 or more'),
        (['--config.methods.pooled.penalty=3'], 'config.methods.pooled.penalty is no setting'),
        (['--config.methods.pooled.penalties=(-1,)'], 'penalty=-1: give a positive number'),
        (["--config.baselines=('poled',)"], "baselines='poled' is no method: did you mean pooled?"),
        (
            ['--config.methods.pooled.learner.name=pooled_rigde'],
            "name='pooled_rigde' is unknown: did you mean pooled_ridge?",
        ),
        (
            ['--config.methods.hierarchical.learner.covariance=round'],
            "covariance='round' is unknown",
        ),
        (
            ['--config.methods.hierarchical.learner.covarianc=full'],
            'did you mean covariance?',
        ),
        (['--config.sets.line0.columns=4'], 'xs[1] has 3 columns and xs[0] has 4'),
        (['--config.sets.line0.name=digits'], 'sets.line0 has no single numbers as labels'),
        (['--config.sets.line0.number=-1'], 'data.number=-1: give 0 or more'),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(tmp_path, flags, said):
    assert said in error(call('tasks', f'--config={CONFIG}', f'--workdir={tmp_path}', *flags))


def test_a_column_of_ones_is_added_to_tasks_without_one():
    sets = {str(i): dict(name='lines', number=i, columns=2) for i in range(3)}
    assert [x.shape[1] for x, _ in many_tasks.load_tasks(sets)] == [2, 2, 2]


def test_too_few_tasks_are_refused():
    with pytest.raises(ValueError, match='sets names 2 tasks: give three or more'):
        many_tasks.load_tasks({str(i): dict(name='lines', number=i) for i in range(2)})
