"""Scores of every kind of task, worked out by hand and by scikit-learn."""

import jax
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score

from tljax.core import Task
from tljax.engine import scores
from tljax.when.gain import mean_interval

CLASSES, NUMBERS, SEVERAL = Task.of(('cat', 'dog')), Task.of(()), Task('labels', ('a', 'b', 'c'))


def scored(task, output, label, **keywords):
    kept = jax.device_get(
        scores.collector(task)({'output': np.asarray(output), 'label': np.asarray(label)})
    )
    return scores.total_scores(task, kept, **keywords)


def test_accuracy_is_the_share_of_examples_that_are_right():
    values = scored(CLASSES, [[[0.0, 1.0], [2.0, 1.0], [0.0, 3.0]]], [[1, 0, 0]])
    assert next(iter(values)) == 'accuracy' and values['accuracy'].tolist() == [2 / 3]


def test_the_mean_over_classes_does_not_hide_a_rare_one():
    """All 124 ants are right and all 5 bees are wrong: 96 % of the examples, half of the classes. A
    class without examples does not count."""
    label = np.repeat([0, 1], [124, 5])[None]
    values = scored(CLASSES, np.stack([np.ones(129), np.zeros(129)], -1)[None], label)
    assert values['accuracy'] == pytest.approx([124 / 129])
    assert values['mean_class_accuracy'].tolist() == [0.5]
    random = np.random.default_rng(0)
    # the fourth class has no examples
    output, label = random.normal(size=(2, 60, 4)), np.tile(random.integers(0, 3, 60), (2, 1))
    accuracy = scored(Task.of(tuple('abcd')), output, label)['mean_class_accuracy']
    answers = output.argmax(-1)
    expected = [
        np.mean([(answers[seed] == label[seed])[label[seed] == c].mean() for c in range(3)])
        for seed in (0, 1)
    ]
    assert accuracy == pytest.approx(expected)
    answer = np.minimum(answers[0], 2)
    values = scored(Task.of(tuple('abc')), np.eye(3)[answer][None], label[:1])
    expected = balanced_accuracy_score(label[0], answer)
    assert values['mean_class_accuracy'] == pytest.approx([expected])


def test_several_labels_are_scored_as_scikit_learn_does():
    random = np.random.default_rng(1)
    label = (random.random((2, 50, 3)) < 0.3).astype(np.float32)
    # rounded: some are equal
    output = (random.normal(size=(2, 50, 3)) + label).round(1).astype(np.float32)
    values = scored(SEVERAL, output, label)
    expected = [
        average_precision_score(label[seed], output[seed], average='macro') for seed in (0, 1)
    ]
    assert next(iter(values)) == 'mean_average_precision'
    assert values['mean_average_precision'] == pytest.approx(expected, rel=1e-6)
    assert values['label_accuracy'] == pytest.approx(((output > 0) == (label > 0)).mean((1, 2)))
    label[..., 2] = 0  # a label that no example has is left out
    expected = [
        average_precision_score(label[seed, :, :2], output[seed, :, :2], average='macro')
        for seed in (0, 1)
    ]
    assert scored(SEVERAL, output, label)['mean_average_precision'] == pytest.approx(
        expected, rel=1e-6
    )


def test_precision_by_hand():
    """Right, wrong, right: the precision is 1 at the first and 2/3 at the third example; each is
    half of the recall."""
    values = scored(Task('labels', ('a',)), [[[3.0], [2.0], [1.0]]], [[[1.0], [0.0], [1.0]]])
    assert values['mean_average_precision'] == pytest.approx([(1 + 2 / 3) / 2])


def test_rmse_is_a_mean_over_examples_and_outputs_under_the_root():
    values = scored(NUMBERS, [[[1.0, 0.0], [2.0, 2.0]]], [[[0.0, 0.0], [2.0, 0.0]]])
    assert list(values) == ['rmse']
    assert values['rmse'] == pytest.approx([np.sqrt((1 + 0 + 0 + 4) / 4)])


def test_an_episode_counts_once_and_brings_an_interval():
    output = np.zeros((1, 2, 4, 2))
    output[0, 0, :, 1] = 1  # four queries of class 1 by all; one of the second episode
    output[0, 1, 0, 1] = 1
    values = scored(CLASSES, output, np.ones((1, 2, 4), int), episodes=True)
    assert values['accuracy'].tolist() == [(1 + 0.25) / 2]
    assert values['accuracy_ci95'] == pytest.approx([1.96 * np.std([1, 0.25], ddof=1) / np.sqrt(2)])


@pytest.mark.parametrize(
    'task, name, more_is_better',
    [
        (CLASSES, 'accuracy', True),
        (NUMBERS, 'rmse', False),
        (SEVERAL, 'mean_average_precision', True),
    ],
)
def test_the_first_score_decides_and_says_whether_more_is_better(task, name, more_is_better):
    assert scores.first_score(task) == name
    assert scores.score_named(name).more_is_better == more_is_better


def test_intervals_cover_seeds_or_the_examples_of_one_seed():
    def interval(values):
        return np.mean(values), (0.1 if len(values) > 1 else None)

    three_seeds = {'test': {'accuracy': [0.5, 0.6, 0.7]}}
    assert scores.score_rows(three_seeds, {'test': 10}, interval)[0] == pytest.approx(
        dict(split='test', metric='accuracy', mean=0.6, low=0.5, high=0.7)
    )
    row = scores.score_rows({'test': {'accuracy': [0.9]}}, {'test': 100}, interval)[0]
    assert (row['low'], row['high']) == pytest.approx(scores.proportion(90, 100)[1:])
    row = scores.score_rows(
        {'test': {'accuracy': [0.9], 'accuracy_ci95': [0.02]}}, {'test': 100}, interval
    )[0]
    assert (row['low'], row['high']) == pytest.approx((0.88, 0.92))
    assert scores.score_rows({'test': {'rmse': [0.9]}}, {'test': 100}, interval)[0]['low'] is None


@pytest.mark.parametrize(
    'values, low, high',
    [
        ([0.5, 1.0], None, None),
        ([0.5, 0.5], None, None),
        ([0.9, 1.0, 1.0], 0.9667 - 0.1434, 1.0),
        ([0.0, 0.1, 0.0], 0.0, 0.0333 + 0.1434),
    ],
)
def test_the_interval_of_a_share_is_one_of_shares(values, low, high):
    """Student's t over three seeds: 4.303 times .0577 / sqrt(3). Over the seeds .5 and 1 it would
    give -2.4 to 3.9."""
    # the interval over episodes counts for a single seed only
    episodes = {'accuracy': values, 'accuracy_ci95': [0.02] * len(values)}
    for split_scores in ({'accuracy': values}, episodes):
        row = scores.score_rows({'test': split_scores}, {'test': 10}, mean_interval)[0]
        assert row['mean'] == np.mean(values)
        assert row['low'] == pytest.approx(low, abs=1e-4)
        assert row['high'] == pytest.approx(high, abs=1e-4)
    numbers = {'test': {'rmse': [1.0, 2.0]}}
    assert scores.score_rows(numbers, {'test': 10}, mean_interval)[0]['high'] > 2, (
        'an error has no bounds'
    )


def test_no_other_file_of_the_engine_and_the_studies_names_a_score():
    import re
    from pathlib import Path

    root = Path(__file__).parents[2]
    for room in ('tljax/engine', 'tljax/studies', 'tljax/report', 'experiments'):
        for path in (root / room).glob('*.py'):
            # the second module scores pictures of one class each
            if path.name in ('scores.py', 'picture_scores.py'):
                continue
            code = re.sub(r'""".*?"""', '', path.read_text(), flags=re.DOTALL)
            assert not re.search(r"""['"](accuracy|rmse)['"]""", code), path


@pytest.mark.parametrize(
    'name', ['accuracy', 'mean_class_accuracy', 'mean_average_precision', 'label_accuracy']
)
def test_no_interval_leaves_nought_and_one(name):
    """Over two seeds there is no interval, over three it is cut; an error of a regression has no
    such bounds."""

    def row(name, values):
        return scores.score_rows({'test': {name: values}}, {'test': 4}, mean_interval)[0]

    assert row(name, [0.5, 1.0])['low'] is None
    three = row(name, [0.5, 1.0, 1.0])
    assert 0 <= three['low'] < three['mean'] < three['high'] == 1
    assert row('rmse', [0.5, 1.0, 1.0])['high'] > 1
