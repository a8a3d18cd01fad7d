"""Probes, penalties and folds against scikit-learn's, and invalid arguments."""

import numpy as np
import pytest
from labelled_features import network_like
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tljax.core import UserError
from tljax.when.logistic import linear_probe
from tljax.when.probes import choose_penalty, knn_accuracy, knn_score, probe_accuracy, probe_score


def test_a_probe_s_accuracy_is_that_of_scikit_learn_on_standardised_features():
    x, y = network_like(600, distance=0.5)
    train, test = slice(0, 300), slice(300, 600)
    for penalty in (1.0, 300.0):
        expected = make_pipeline(
            StandardScaler(), LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=10_000)
        ).fit(x[train], y[train])
        accuracy = probe_accuracy(x[train], y[train], x[test], y[test], penalties=[penalty])
        # a row on the border may fall to either side
        assert accuracy == pytest.approx(expected.score(x[test], y[test]), abs=1 / 300)
        assert 0.4 < accuracy < 0.95


def test_the_penalty_is_the_best_on_the_held_out_fold_and_the_test_part_has_no_say():
    x, y = network_like(distance=0.5)
    train, test = next(StratifiedKFold(5, shuffle=True, random_state=3).split(x, y))
    scores = {}
    for penalty in (1000.0, 100.0, 10.0, 1.0):
        model = make_pipeline(
            StandardScaler(), LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=10_000)
        )
        scores[penalty] = model.fit(x[train], y[train]).score(x[test], y[test])
    best = max(scores, key=scores.get)
    assert (
        len(set(scores.values())) > 1
        and choose_penalty(x, y, (1.0, 10.0, 100.0, 1000.0), seed=3) == best
    )
    test_x, test_y = network_like(50, distance=0.5, seed=1)
    for label in (test_y, (test_y + 1) % 4):
        accuracies = [
            probe_accuracy(x, y, test_x, label, penalties, seed=3)
            for penalties in ((1.0, 10.0, 100.0, 1000.0), [best])
        ]
        assert accuracies[0] == accuracies[1]


def test_equal_penalties_go_to_the_largest():
    x, y = network_like(c=2, distance=9.0)
    assert choose_penalty(x, y, (0.1, 1.0, 0.01)) == 1.0


def test_one_example_of_each_class_has_a_probe_once_the_penalty_is_given():
    x, y = np.array([[0.0], [4.0]]), np.array([0, 1])
    assert probe_accuracy(x, y, x + 0.5, y, penalties=[1.0]) == 1.0
    refused(lambda: probe_accuracy(x, y, x, y), 'class 0 has a single example')


def test_cross_validation_is_that_of_scikit_learn():
    x, y = network_like(distance=0.5)
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=1 / 10.0, tol=1e-8, max_iter=10_000)
    )
    for seed in (0, 1):
        predicted = cross_val_predict(
            model, x, y, cv=StratifiedKFold(5, shuffle=True, random_state=seed)
        )
        assert probe_score(x, y, 10.0, seed=seed) == pytest.approx(
            (predicted == y).mean(), abs=1 / 300
        )


def test_a_small_class_leaves_as_many_folds_as_it_has_examples():
    x, y = network_like(40, d=1, c=2)
    rows = np.r_[np.flatnonzero(y == 0)[:6], np.flatnonzero(y == 1)[:2]]
    assert probe_score(x[rows], y[rows], folds=5) == probe_score(x[rows], y[rows], folds=2)
    refused(lambda: probe_score(x[rows][:-1], y[rows][:-1]), 'class 1 has a single example')


def test_a_class_that_training_has_not_seen_counts_as_wrong():
    x, y = network_like(distance=9.0)
    labels = np.where(np.arange(300) < 75, 4, y)
    assert probe_accuracy(x, y, x, y, [1.0]) == knn_accuracy(x, y, x, y) == 1.0
    assert probe_accuracy(x, y, x, labels, [1.0]) == knn_accuracy(x, y, x, labels) == 0.75


@pytest.mark.parametrize('score', [probe_score, knn_score])
def test_scores_do_not_depend_on_what_classes_are_called(score):
    x, y = network_like(distance=0.5)
    assert score(x, np.array([-7, 2, 30, 900])[y]) == score(x, y)


def test_a_label_that_features_know_nothing_of_is_guessed():
    x, y = network_like()
    y = np.random.default_rng(1).permutation(y)
    assert abs(probe_score(x, y) - 0.25) < 0.1 and abs(knn_score(x, y) - 0.25) < 0.1


GOOD, LABELS = np.arange(8.0).reshape(4, 2), np.array([0, 0, 1, 1])

NAN = np.where(GOOD == 3, np.nan, GOOD)


@pytest.mark.parametrize(
    'function',
    [
        linear_probe,
        probe_score,
        knn_score,
        choose_penalty,
        lambda x, y: probe_accuracy(x, y, GOOD, LABELS),
        lambda x, y: knn_accuracy(x, y, GOOD, LABELS),
    ],
)
@pytest.mark.parametrize(
    'x, y, words',
    [
        (NAN, LABELS, 'x has 1 values'),
        (GOOD * 1e15, LABELS, 'beyond 1e+15'),
        (GOOD, LABELS * 0, 'the class 0 alone'),
        (GOOD, LABELS[:3], '(4, 2) and y (3,)'),
        (GOOD[0], LABELS[:2], 'x has shape (2,)'),
        (GOOD[:0], LABELS[:0], '(0, 2)'),
        (GOOD[:, :0], LABELS, '(4, 0)'),
        (GOOD, LABELS + 0.5, 'type float64'),
    ],
)
def test_what_is_no_labelled_set_is_refused_in_one_line(function, x, y, words):
    refused(lambda: function(x, y), words)


@pytest.mark.parametrize('function', [probe_accuracy, knn_accuracy])
@pytest.mark.parametrize(
    'test_x, test_y, words',
    [
        (NAN, LABELS, 'test_x has 1 values'),
        (GOOD[:, :1], LABELS, '2 columns and test_x 1'),
        (GOOD, LABELS[:3], 'test_y (3,)'),
        (GOOD[:0], LABELS[:0], 'test_x has shape (0, 2)'),
        (GOOD, LABELS * 1.0, 'test_y is of type float64'),
    ],
)
def test_what_is_no_test_part_is_refused_in_one_line(function, test_x, test_y, words):
    refused(lambda: function(GOOD, LABELS, test_x, test_y), words)


@pytest.mark.parametrize(
    'call, words',
    [
        (lambda: linear_probe(GOOD, LABELS, 0.0), 'penalty=0.0'),
        (lambda: linear_probe(GOOD, LABELS, np.nan), 'penalty=nan'),
        (lambda: linear_probe(GOOD, LABELS, tolerance=0.0), 'tolerance=0.0'),
        (lambda: linear_probe(GOOD, LABELS, steps=0), 'steps=0'),
        (
            lambda: linear_probe(GOOD, LABELS, start=(np.zeros((2, 3)), np.zeros(2))),
            'weights (2, 2) and intercept (2,)',
        ),
        (lambda: choose_penalty(GOOD, LABELS, ()), 'no penalties'),
        (lambda: probe_accuracy(GOOD, LABELS, GOOD, LABELS, ()), 'no penalties'),
        (lambda: choose_penalty(GOOD[:, :1], LABELS, (1.0, -1.0)), 'penalty=-1.0'),
        (lambda: probe_score(GOOD, LABELS, folds=1), 'folds=1'),
        (lambda: probe_score(GOOD, LABELS, folds=2.5), 'folds=2.5'),
        (lambda: knn_score(GOOD, LABELS, 4), 'k=4: give a whole number from 1 to the 3'),
        (lambda: knn_accuracy(GOOD, LABELS, GOOD, LABELS, 5), 'k=5'),
        (lambda: knn_score(GOOD, LABELS, 0), 'k=0'),
        (lambda: knn_score(GOOD, LABELS, 1.5), 'k=1.5'),
        (lambda: knn_score(GOOD, LABELS, metric='manhattan'), "metric='manhattan'"),
    ],
)
def test_settings_that_mean_nothing_are_refused_in_one_line(call, words):
    refused(call, words)


def refused(call, words):
    with pytest.raises(UserError) as refusal:
        call()
    assert words in str(refusal.value) and '\n' not in str(refusal.value)
