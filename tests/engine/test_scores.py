"""Scores: by hand, for classes and numbers, examples and episodes."""
import numpy as np
import pytest

from tljax.core import Task
from tljax.engine import scores
from tljax.when.gain import mean_interval

CLASSES, NUMBERS = Task.of(('cat', 'dog')), Task.of(())


def scored(task, output, label, **keywords):
    kept = {name: np.asarray(each) for name, each in scores.keeps(task)({'output': np.asarray(output), 'label': np.asarray(label)}).items()}
    return scores.totals(task, kept, **keywords)


def test_accuracy_is_the_share_of_examples_that_are_right():
    found = scored(CLASSES, [[[0., 1.], [2., 1.], [0., 3.]]], [[1, 0, 0]])
    assert list(found) == ['accuracy'] and found['accuracy'].tolist() == [2 / 3]


def test_rmse_is_a_mean_over_examples_and_outputs_under_the_root():
    found = scored(NUMBERS, [[[1., 0.], [2., 2.]]], [[[0., 0.], [2., 0.]]])
    assert list(found) == ['rmse'] and found['rmse'] == pytest.approx([np.sqrt((1 + 0 + 0 + 4) / 4)])


def test_an_episode_counts_once_and_brings_an_interval():
    output = np.zeros((1, 2, 4, 2))
    output[0, 0, :, 1] = 1   # four queries of class 1 by all; one of the second episode
    output[0, 1, 0, 1] = 1
    found = scored(CLASSES, output, np.ones((1, 2, 4), int), episodes=True)
    assert found['accuracy'].tolist() == [(1 + .25) / 2]
    assert found['accuracy_ci95'] == pytest.approx([1.96 * np.std([1, .25], ddof=1) / np.sqrt(2)])


@pytest.mark.parametrize('task, name, more', [(CLASSES, 'accuracy', True), (NUMBERS, 'rmse', False)])
def test_the_first_score_decides_and_says_whether_more_is_better(task, name, more):
    assert scores.first(task) == name and scores.row(name).more_is_better == more


def test_intervals_cover_seeds_or_the_examples_of_one_seed():
    def interval(values):
        return np.mean(values), (.1 if len(values) > 1 else None)

    over = {'test': {'accuracy': [.5, .6, .7]}}
    assert scores.rows(over, {'test': 10}, interval)[0] == pytest.approx(dict(split='test', metric='accuracy', mean=.6, low=.5, high=.7))
    row = scores.rows({'test': {'accuracy': [.9]}}, {'test': 100}, interval)[0]
    assert (row['low'], row['high']) == pytest.approx(scores.proportion(90, 100)[1:])
    row = scores.rows({'test': {'accuracy': [.9], 'accuracy_ci95': [.02]}}, {'test': 100}, interval)[0]
    assert (row['low'], row['high']) == pytest.approx((.88, .92))
    assert scores.rows({'test': {'rmse': [.9]}}, {'test': 100}, interval)[0]['low'] is None


@pytest.mark.parametrize('values, low, high', [
    ([.5, 1.], None, None), ([.5, .5], None, None),
    ([.9, 1., 1.], .9667 - .1434, 1.), ([0., .1, 0.], 0., .0333 + .1434)])
def test_the_interval_of_a_share_is_one_of_shares(values, low, high):
    """Student's t over three: 4.303 times .0577 / sqrt(3). Of .5 and 1: -2.4 to 3.9."""
    more = {'accuracy': values, 'accuracy_ci95': [.02] * len(values)}   # one seed's, over episodes
    for each in ({'accuracy': values}, more):
        row = scores.rows({'test': each}, {'test': 10}, mean_interval)[0]
        assert row['mean'] == np.mean(values)
        assert row['low'] == pytest.approx(low, abs=1e-4)
        assert row['high'] == pytest.approx(high, abs=1e-4)
    numbers = {'test': {'rmse': [1., 2.]}}
    assert scores.rows(numbers, {'test': 10}, mean_interval)[0]['high'] > 2, 'no share'


def test_no_other_file_of_the_engine_and_the_studies_names_a_score():
    import re
    from pathlib import Path
    root = Path(__file__).parents[2]
    for room in ('tljax/engine', 'tljax/studies', 'tljax/report', 'experiments'):
        for path in (root / room).glob('*.py'):
            if path.name == 'scores.py':
                continue
            code = re.sub(r'""".*?"""', '', path.read_text(), flags=re.DOTALL)
            assert not re.search(r"""['"](accuracy|rmse)['"]""", code), path
