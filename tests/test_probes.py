"""Probes against scikit-learn on the same data, and against gradients written out in NumPy."""
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneOut, StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tljax import probes
from tljax.core import Refused
from tljax.probes import choose_penalty, knn_accuracy, knn_score, linear_probe, probe_accuracy, probe_score


def labelled(n=120, d=10, c=4, separation=1., seed=0, dtype=np.float64):
    """Classes named by any integers, with features of a mean and unequal scales, as networks have."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % c
    x = np.maximum(separation * rng.normal(size=(c, d))[y] + rng.normal(size=(n, d)) + 1, 0) * np.geomspace(.3, 3, d)
    return x.astype(dtype), np.array([7, -2, 40, 3, 11])[y]


def gradient(weights, intercept, x, y, penalty):
    """Of the summed log loss and penalty, by its formula."""
    logits = x @ weights + intercept
    p = np.exp(logits - logits.max(1, keepdims=True))
    error = p / p.sum(1, keepdims=True) - (y[:, None] == np.unique(y))
    return x.T @ error + penalty * weights, error.sum(0)


@pytest.mark.parametrize('n, d', [(120, 10), (40, 100), (50, 50)], ids=['tall', 'wide', 'square'])
@pytest.mark.parametrize('c, penalty', [(4, 1.), (4, 100.), (2, 1.)])
def test_the_optimum_is_scikit_learns(n, d, c, penalty):
    x, y = labelled(n, d, c)
    weights, intercept = linear_probe(x, y, penalty, tolerance=1e-9)
    theirs = LogisticRegression(C=(2 if c == 2 else 1) / penalty, tol=1e-10, max_iter=100_000).fit(x, y)
    mine = (weights[:, 1] - weights[:, 0])[:, None] if c == 2 else weights
    np.testing.assert_allclose(mine.T, theirs.coef_, atol=1e-4)
    slopes = gradient(weights, intercept, x, y, penalty)
    assert max(np.abs(slope).max() for slope in slopes) < 1e-4 * n


def test_float32_is_as_good_to_its_own_precision():
    x, y = labelled(300, 30, dtype=np.float32)
    weights, intercept = linear_probe(x, y)
    theirs = LogisticRegression(tol=1e-8, max_iter=10_000).fit(x.astype(np.float64), y)
    assert weights.dtype == np.float32
    loss = [-np.log(p[np.arange(300), np.searchsorted(np.unique(y), y)]).sum() + (w ** 2).sum() / 2 for p, w in (
        (np.exp(z) / np.exp(z).sum(1, keepdims=True), w) for z, w in (
            (x @ weights + intercept, weights), (x @ theirs.coef_.T + theirs.intercept_, theirs.coef_)))]
    assert loss[0] == pytest.approx(loss[1], rel=1e-4)


def test_a_constant_column_has_no_weight_and_a_start_changes_nothing():
    x, y = labelled()
    x = np.column_stack([x, np.full(len(x), 5.)])
    weights, intercept = linear_probe(x, y, tolerance=1e-9)
    np.testing.assert_allclose(weights[-1], 0, atol=1e-6)
    again = linear_probe(x, y, tolerance=1e-9, start=(np.ones_like(weights), np.ones_like(intercept)))
    np.testing.assert_allclose(again[0], weights, atol=1e-5)


def test_classes_that_can_be_parted_and_hardly_a_penalty():
    x, y = labelled(separation=20.)
    weights, intercept = linear_probe(x, y, penalty=1e-6)
    assert np.isfinite(weights).all() and (np.unique(y)[(x @ weights + intercept).argmax(1)] == y).all()


def test_the_probes_accuracy_is_of_a_penalty_that_the_training_part_chose():
    (x, y), (test_x, test_y) = labelled(200, separation=.4), labelled(200, separation=.4)
    x, test_x = x[:100], test_x[100:]
    y, test_y = y[:100], test_y[100:]
    penalty = choose_penalty(x, y)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=1 / penalty, max_iter=1000)).fit(x, y)
    assert probe_accuracy(x, y, test_x, test_y) == pytest.approx(pipeline.score(test_x, test_y), abs=.011)
    train, held = next(StratifiedKFold(5, shuffle=True, random_state=0).split(y, y))
    scores = {each: make_pipeline(StandardScaler(), LogisticRegression(C=1 / each, max_iter=1000)).fit(x[train], y[train]).score(
        x[held], y[held]) for each in probes.PENALTIES}
    assert scores[penalty] >= max(scores.values()) - .051
    unseen = np.where(test_y == test_y[0], 99, test_y)
    assert probe_accuracy(x, y, test_x, unseen) <= (unseen != 99).mean()


def test_the_probes_score_is_cross_validation():
    x, y = labelled(100, separation=.5)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=1 / 100, max_iter=1000))
    theirs = cross_val_score(pipeline, x, y, cv=StratifiedKFold(5, shuffle=True, random_state=3)).mean()
    assert probe_score(x, y, penalty=100., seed=3) == pytest.approx(theirs, abs=.011)
    few = np.r_[0:3, 4:100]   # two folds where a class has two examples
    small, label = x[few], np.where(np.arange(99) < 2, 500, y[few])
    assert 0 <= probe_score(small, label) <= 1


@pytest.mark.parametrize('metric', ['cosine', 'euclidean'])
@pytest.mark.parametrize('k', [1, 3, 8])
def test_neighbours_vote_as_in_scikit_learn(metric, k, monkeypatch):
    monkeypatch.setattr(probes, 'BLOCK', 7)
    (x, y), (test_x, test_y) = labelled(90, seed=1), labelled(60, seed=2)
    theirs = KNeighborsClassifier(k, metric=metric, algorithm='brute').fit(x, y)
    assert knn_accuracy(x, y, test_x, test_y, k, metric) == pytest.approx(theirs.score(test_x, test_y))
    left_out = cross_val_score(KNeighborsClassifier(k, metric=metric, algorithm='brute'), x, y, cv=LeaveOneOut()).mean()
    assert knn_score(x, y, k, metric) == pytest.approx(left_out)


def test_scores_do_not_depend_on_what_classes_are_called():
    x, y = labelled(60)
    for score in (probe_score, knn_score):
        assert score(x, y) == pytest.approx(score(x, np.unique(y, return_inverse=True)[1] * 5 - 3))


X, Y = labelled(12, 3, 2)


@pytest.mark.parametrize('call, said', [
    (lambda: linear_probe(np.where(X > X.max() - 1e-9, np.nan, X), Y), 'x has 1 values that are not finite'),
    (lambda: linear_probe(X, Y[:-1]), 'x has shape (12, 3) and y (11,)'),
    (lambda: linear_probe(X, np.zeros(12, int)), 'y holds the class 0 alone'),
    (lambda: linear_probe(X, Y / 2), 'y is of type float64'),
    (lambda: linear_probe(X, Y, penalty=0), 'penalty=0'),
    (lambda: linear_probe(X, Y, start=(np.zeros((2, 2)), np.zeros(2))), 'start has shapes'),
    (lambda: linear_probe(X[:0], Y[:0]), 'one row or more'),
    (lambda: choose_penalty(X, Y, penalties=()), 'no penalties to choose from'),
    (lambda: choose_penalty(X, np.r_[9, Y[1:]]), 'class 9 has a single example'),
    (lambda: probe_accuracy(X, Y, X[:, :2], Y), 'x has 3 columns and test_x 2'),
    (lambda: probe_score(X, Y, folds=1), 'folds=1'),
    (lambda: knn_score(X, Y, k=12), 'k=12: give a whole number from 1 to the 11'),
    (lambda: knn_accuracy(X, Y, X, Y, k=13), 'k=13: give a whole number from 1 to the 12'),
    (lambda: knn_accuracy(X, Y, X, Y, metric='hamming'), "metric='hamming'")])
def test_what_has_no_answer(call, said):
    import re
    with pytest.raises(Refused, match=re.escape(said)):
        call()
