"""Shifts of labels against scikit-learn's confusion and by hand."""

import numpy as np
import pytest
from gaussians import refused
from sklearn.metrics import confusion_matrix

from tljax.when.class_shares import label_shift


def test_label_shift_by_hand():
    # Of class 0, 8 of 10 are predicted right, of class 1, 4 of 5; a target of 5 to 1 is predicted
    # (.8 * 5 + .2) / 6 = .7 as class 0.
    predicted, label = [0] * 8 + [1] * 2 + [1] * 4 + [0], [0] * 10 + [1] * 5
    shift = label_shift(predicted, label, [0] * 7 + [1] * 3, 2)
    assert (
        shift.prior == pytest.approx([5 / 6, 1 / 6])
        and shift.weights == pytest.approx([5 / 4, 1 / 2])
        and shift.clipped == 0
    )


def confused(label, share, rng):
    """Predictions of each label by its row of shares."""
    return np.array([rng.choice(len(share), p=share[c]) for c in label])


SHARE = np.array(
    [[0.8, 0.1, 0.1], [0.1, 0.7, 0.2], [0.05, 0.15, 0.8]]
)  # of predictions, by rows of labels


def test_label_shift_solves_scikit_learn_s_confusion():
    rng = np.random.default_rng(0)
    label = rng.choice(3, 600, p=[0.5, 0.3, 0.2])
    predicted, target = confused(label, SHARE, rng), rng.choice(3, 200, p=[0.2, 0.3, 0.5])
    joint = confusion_matrix(label, predicted, normalize='all').T
    expected = np.linalg.solve(joint, np.bincount(target) / 200)
    shift = label_shift(predicted, label, target, 3)
    assert (expected > 0).all() and shift.clipped == 0
    assert shift.weights == pytest.approx(expected) and shift.prior == pytest.approx(
        expected * np.bincount(label) / 600
    )


def test_a_known_label_shift_is_found():
    rng = np.random.default_rng(0)
    source_prior, target_prior = np.array([0.6, 0.3, 0.1]), np.array([0.1, 0.3, 0.6])
    label, target = rng.choice(3, 20000, p=source_prior), rng.choice(3, 20000, p=target_prior)
    shift = label_shift(confused(label, SHARE, rng), label, confused(target, SHARE, rng), 3)
    assert shift.prior == pytest.approx(target_prior, abs=0.02) and shift.weights == pytest.approx(
        target_prior / source_prior, rel=0.1
    )


def test_a_negative_weight_is_cut_and_counted_and_a_class_may_be_missing_from_the_target():
    # Each class is predicted right in 9 of 10: a target all predicted 0 has shares of 9/8 and -1/8.
    predicted, label = [0] * 9 + [1] + [1] * 9 + [0], [0] * 10 + [1] * 10
    shift = label_shift(predicted, label, [0, 0, 0], 2)
    assert (
        shift.clipped == 1
        and shift.prior == pytest.approx([1, 0])
        and shift.weights == pytest.approx([2, 0])
    )
    # of right + 2, one is taken for each other class: a target of class 0 alone is found up to
    # rounding
    for hits in range(7, 13):
        predicted = np.concatenate(
            [np.repeat(np.arange(3), np.where(np.arange(3) == c, hits, 1)) for c in range(3)]
        )
        shift = label_shift(predicted, np.repeat([0, 1, 2], hits + 2), predicted[: hits + 2], 3)
        assert shift.clipped == 0 and shift.prior == pytest.approx([1, 0, 0])


def test_a_predictor_that_guesses_is_refused_and_one_that_knows_little_needs_many_examples():
    rng = np.random.default_rng(0)
    refusals = 0
    for _ in range(100):
        label, guess = rng.integers(0, 3, (2, 300))
        refusals += refused(lambda: label_shift(guess, label, guess, 3))
    assert refusals >= 95
    # 6 of 10 right: .2 from singular, and a column is uncertain by (.48 / 10)^.5 = .22, or by a
    # tenth of that for a hundred times the rows
    predicted, label = np.array([0] * 6 + [1] * 4 + [1] * 6 + [0] * 4), np.repeat([0, 1], 10)
    assert refused(
        lambda: label_shift(predicted, label, predicted, 2),
        'is 0.2 from a singular one',
        'uncertain by 0.22',
    )
    assert label_shift(
        np.tile(predicted, 100), np.tile(label, 100), predicted, 2
    ).prior == pytest.approx([0.5, 0.5])


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize(
    'changes, words',
    [
        ({'source_predictions': [0, 1, 0]}, '3 source_predictions and 4 source_labels'),
        ({'source_labels': [0, 0, 0, 0]}, 'no source example is of class 1 of 2'),
        ({'classes': 3}, 'no source example is of class 2 of 3'),
        ({'source_predictions': [0, 0, 0, 0]}, 'the confusion is 0 from a singular one'),
        ({'target_predictions': []}, 'target_predictions is float64 of shape (0,)'),
        ({'source_labels': [0, 0, 1, 2]}, 'source_labels has a class 2'),
        (
            {'target_predictions': [-1, 0]},
            'target_predictions has a class -1: give classes from 0 to 1',
        ),
        ({'classes': 1}, 'classes=1'),
        ({'source_predictions': np.eye(4)[:, :2]}, 'float64 of shape (4, 2)'),
        ({'source_labels': [0.0, np.nan, 1.0, 1.0]}, 'source_labels is float64'),
    ],
)
def test_label_shift_refuses_what_it_cannot_solve_in_one_line(changes, words):
    arguments = {
        'source_predictions': [0, 0, 1, 1],
        'source_labels': [0, 0, 1, 1],
        'target_predictions': [0, 1, 1, 1],
        'classes': 2,
    }
    assert refused(lambda: label_shift(**arguments | changes), words)
