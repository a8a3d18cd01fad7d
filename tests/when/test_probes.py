"""Linear probes and nearest neighbours against scikit-learn's estimators, gradients in plain NumPy, and numbers by hand."""
import numpy as np
import pytest
from scipy.optimize import brentq
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneOut, StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tljax.core import Refused
from tljax.when import probes
from tljax.when.logistic import linear_probe
from tljax.when.probes import choose_penalty, knn_accuracy, knn_score, probe_accuracy, probe_score

TIGHT = 1e-16


def network_like(n=300, d=20, c=4, distance=1., seed=0):
    """Features as after a ReLU: nonnegative, correlated, of unlike lengths, with classes that overlap."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, c, n)
    hidden = rng.normal(size=(c, 8))[y] * distance + rng.normal(size=(n, 8))
    x = np.maximum(hidden @ rng.normal(size=(8, d)) + rng.normal(size=(n, d)), 0)
    return x * np.linspace(.2, 3, d), y


def objective(x, y, weights, intercept, penalty):
    """The summed log loss with its penalty, and its gradient, example by example in float64."""
    loss, to_weights, to_intercept = penalty / 2 * (weights ** 2).sum(), penalty * weights, np.zeros(len(intercept))
    for row, label in zip(x.astype(float), np.unique(y, return_inverse=True)[1], strict=True):
        logits = row @ weights + intercept
        probability = np.exp(logits - logits.max())
        probability /= probability.sum()
        loss -= np.log(probability[label])
        residual = probability - np.eye(len(intercept))[label]
        to_weights, to_intercept = to_weights + np.outer(row, residual), to_intercept + residual
    return loss, to_weights, to_intercept


# the minimum

@pytest.mark.parametrize('shape, penalty', [((300, 20), 1.), ((300, 20), 50.), ((300, 20), .01), ((40, 200), 1.), ((300, 90), .1)])
def test_the_minimum_is_that_of_scikit_learn(shape, penalty):
    x, y = network_like(*shape)
    expected = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=1000, solver='newton-cg').fit(x, y)
    weights, intercept = linear_probe(x, y, penalty, TIGHT)
    assert weights.dtype == intercept.dtype == np.float64 and weights.shape == (shape[1], 4)
    assert weights == pytest.approx(expected.coef_.T, abs=1e-4) and intercept == pytest.approx(expected.intercept_, abs=1e-4)
    theirs = objective(x, y, expected.coef_.T, expected.intercept_, penalty)[0]
    assert objective(x, y, weights, intercept, penalty)[0] == pytest.approx(theirs, rel=1e-9)


def test_two_classes_are_scikit_learn_s_single_column_at_half_the_penalty():
    x, y = network_like(c=2)
    expected = LogisticRegression(C=2 / 3., tol=1e-10, max_iter=10_000).fit(x, y)
    weights, intercept = linear_probe(x, y, 3., TIGHT)
    assert weights[:, 1] - weights[:, 0] == pytest.approx(expected.coef_[0], abs=1e-5)
    assert intercept[1] - intercept[0] == pytest.approx(expected.intercept_[0], abs=1e-4)


def test_two_points_by_hand():
    # At -1 and 1 the columns are -w and w: 2 log(1 + exp(-2w)) + penalty w^2 is least where 2 / (1 + exp(2w)) = penalty w.
    w = brentq(lambda w: 2 / (1 + np.exp(2 * w)) - .5 * w, 0, 9)
    weights, intercept = linear_probe(np.array([[-1.], [1.]]), [0, 1], .5, TIGHT)
    assert weights[0] == pytest.approx([-w, w], abs=1e-7) and intercept == pytest.approx([0, 0], abs=1e-7)


@pytest.mark.parametrize('kind, tolerance, bound', [(np.float64, TIGHT, 1e-6), (np.float32, 1e-6, 1e-3)])
def test_the_gradient_is_zero_at_the_minimum(kind, tolerance, bound):
    x, y = network_like()
    weights, intercept = linear_probe(x.astype(kind), y, 1., tolerance)
    assert weights.dtype == intercept.dtype == kind
    loss, to_weights, to_intercept = objective(x, y, weights, intercept, 1.)
    assert max(np.abs(to_weights).max(), np.abs(to_intercept).max()) / len(x) < bound
    assert loss == pytest.approx(objective(x, y, *linear_probe(x, y, 1., TIGHT), 1.)[0], rel=1e-4)


def test_neither_a_constant_column_nor_a_far_away_origin_matters():
    x, y = network_like()
    x[:, 3] = 7.
    weights, intercept = linear_probe(x, y, tolerance=TIGHT)
    expected = LogisticRegression(tol=1e-10, max_iter=10_000).fit(np.delete(x, 3, 1), y)
    assert np.delete(weights, 3, 0) == pytest.approx(expected.coef_.T, abs=1e-4) and np.abs(weights[3]).max() < 1e-7
    assert intercept == pytest.approx(expected.intercept_, abs=1e-4)
    far, moved = linear_probe(x + 100., y, tolerance=TIGHT)
    assert far == pytest.approx(weights, abs=1e-5)
    assert moved == pytest.approx(intercept - 100 * weights.sum(0), abs=1e-3)
    float32 = linear_probe((x + 100.).astype(np.float32), y, tolerance=1e-10)[0]
    assert float32 == pytest.approx(weights, abs=1e-2)


def test_all_rows_equal_leave_the_frequencies():
    weights, intercept = linear_probe(np.ones((6, 3)), [0, 0, 0, 1, 1, 2], tolerance=TIGHT)
    assert np.exp(intercept) / np.exp(intercept).sum() == pytest.approx([1 / 2, 1 / 3, 1 / 6], abs=1e-6)
    assert np.abs(weights).max() < 1e-7


@pytest.mark.parametrize('kind', [np.float64, np.float32])
def test_separable_classes_with_hardly_a_penalty_come_to_an_end(kind):
    x, y = network_like(distance=9.)
    x = x.astype(kind)
    weights, intercept = linear_probe(x, y, penalty=1e-8)
    assert ((x @ weights + intercept).argmax(1) == y).all() and np.isfinite(weights).all()


@pytest.mark.parametrize('scale', [1e-6, 1e6, 1e13])
def test_features_of_any_scale_have_their_minimum(scale):
    x, y = network_like()
    weights, intercept = linear_probe(x, y, 1., TIGHT)
    scaled, same = linear_probe(x * scale, y, scale ** 2, TIGHT)
    assert scaled * scale == pytest.approx(weights, abs=1e-5) and same == pytest.approx(intercept, abs=1e-4)


def test_a_start_changes_nothing_but_the_way():
    x, y = network_like()
    expected, other = linear_probe(x, y, 1., TIGHT), linear_probe(x, y, 100.)
    weights, intercept = linear_probe(x, y, 1., TIGHT, start=other)
    assert weights == pytest.approx(expected[0], abs=1e-5) and intercept == pytest.approx(expected[1], abs=1e-4)
    with pytest.warns(ConvergenceWarning, match='after 1 steps'):
        linear_probe(x, y, 1., TIGHT, steps=1)


def test_labels_are_any_integers_and_columns_in_their_order():
    x, y = network_like()
    weights = linear_probe(x, y, tolerance=TIGHT)[0]
    assert linear_probe(x, np.array([-7, 2, 30, 900])[y], tolerance=TIGHT)[0].tolist() == weights.tolist()
    turned = linear_probe(x, np.array([2, 30, 900, -7])[y], tolerance=TIGHT)[0]
    assert turned == pytest.approx(weights[:, [3, 0, 1, 2]], abs=1e-4)


# accuracies

def test_a_probe_s_accuracy_is_that_of_scikit_learn_on_standardised_features():
    x, y = network_like(600, distance=.5)
    train, test = slice(0, 300), slice(300, 600)
    for penalty in (1., 300.):
        expected = make_pipeline(StandardScaler(), LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=10_000)).fit(x[train], y[train])
        found = probe_accuracy(x[train], y[train], x[test], y[test], penalties=[penalty])
        assert found == pytest.approx(expected.score(x[test], y[test]), abs=1 / 300)   # a row on the border may fall to either side
        assert .4 < found < .95


def test_the_penalty_is_the_best_on_the_held_out_fold_and_the_test_part_has_no_say():
    x, y = network_like(distance=.5)
    train, held = next(StratifiedKFold(5, shuffle=True, random_state=3).split(x, y))
    scores = {}
    for penalty in (1000., 100., 10., 1.):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=10_000))
        scores[penalty] = model.fit(x[train], y[train]).score(x[held], y[held])
    best = max(scores, key=scores.get)
    assert len(set(scores.values())) > 1 and choose_penalty(x, y, (1., 10., 100., 1000.), seed=3) == best
    test_x, test_y = network_like(50, distance=.5, seed=1)
    for label in (test_y, (test_y + 1) % 4):
        both = [probe_accuracy(x, y, test_x, label, penalties, seed=3) for penalties in ((1., 10., 100., 1000.), [best])]
        assert both[0] == both[1]


def test_equal_penalties_go_to_the_largest():
    x, y = network_like(c=2, distance=9.)
    assert choose_penalty(x, y, (.1, 1., .01)) == 1.


def test_one_example_of_each_class_has_a_probe_once_the_penalty_is_given():
    x, y = np.array([[0., 0.], [4., 0.], [0., 4.]]), np.array([0, 1, 2])
    assert probe_accuracy(x, y, x + .5, y, penalties=[1.]) == 1.
    refused(lambda: probe_accuracy(x, y, x, y), 'class 0 has a single example')


def test_cross_validation_is_that_of_scikit_learn():
    x, y = network_like(distance=.5)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1 / 10., tol=1e-8, max_iter=10_000))
    for seed in (0, 1):
        predicted = cross_val_predict(model, x, y, cv=StratifiedKFold(5, shuffle=True, random_state=seed))
        assert probe_score(x, y, 10., seed=seed) == pytest.approx((predicted == y).mean(), abs=1 / 300)


def test_a_small_class_leaves_as_many_folds_as_it_has_examples():
    x, y = network_like(40, c=2)
    kept = np.r_[np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:2]]
    assert probe_score(x[kept], y[kept], folds=5) == probe_score(x[kept], y[kept], folds=2)
    refused(lambda: probe_score(x[kept][:-1], y[kept][:-1]), 'class 1 has a single example')


def test_a_class_that_training_has_not_seen_counts_as_wrong():
    x, y = network_like(distance=9.)
    other = np.where(np.arange(300) < 75, 4, y)
    assert probe_accuracy(x, y, x, y, [1.]) == knn_accuracy(x, y, x, y) == 1.
    assert probe_accuracy(x, y, x, other, [1.]) == knn_accuracy(x, y, x, other) == .75


@pytest.mark.parametrize('score', [probe_score, knn_score])
def test_scores_do_not_depend_on_what_classes_are_called(score):
    x, y = network_like(distance=.5)
    assert score(x, np.array([-7, 2, 30, 900])[y]) == score(x, y)


def test_a_label_that_features_know_nothing_of_is_guessed():
    x, y = network_like()
    y = np.random.default_rng(1).permutation(y)
    assert abs(probe_score(x, y) - .25) < .1 and abs(knn_score(x, y) - .25) < .1


# neighbours

@pytest.mark.parametrize('metric', ['cosine', 'euclidean'])
@pytest.mark.parametrize('k', [1, 2, 3, 10, 300])
@pytest.mark.parametrize('kind', [np.float64, np.float32])
def test_votes_are_those_of_scikit_learn(metric, k, kind, monkeypatch):
    x, y = network_like(500, distance=.5)
    x, y = x.astype(kind), np.array([7, -2, 30, 4])[y]
    model = KNeighborsClassifier(k, metric=metric, algorithm='brute').fit(x[:300], y[:300])
    expected = model.predict(x[300:])
    for block in (1000, 64, 1):   # 200 rows at once, with some left over, one by one
        monkeypatch.setattr(probes, 'BLOCK', block)
        assert knn_accuracy(x[:300], y[:300], x[300:], expected, k, metric) == 1.
    assert knn_accuracy(x[:300], y[:300], x[300:], y[300:], k, metric) == pytest.approx((expected == y[300:]).mean())


@pytest.mark.parametrize('metric', ['cosine', 'euclidean'])
@pytest.mark.parametrize('k', [1, 4, 59])
def test_leaving_one_out_is_that_of_scikit_learn(metric, k, monkeypatch):
    x, y = network_like(60, distance=.5)
    model = KNeighborsClassifier(k, metric=metric, algorithm='brute')
    expected = (cross_val_predict(model, x, y, cv=LeaveOneOut()) == y).mean()
    for block in (1000, 7):
        monkeypatch.setattr(probes, 'BLOCK', block)
        assert knn_score(x, y, k, metric) == pytest.approx(expected)


def test_votes_by_hand():
    x, y = [[0.], [1.], [3.]], [5, 3, 9]
    near = [[.1], [2.9], [1.9]]
    assert knn_accuracy(x, y, near, [5, 9, 3], metric='euclidean') == 1.
    assert knn_accuracy(x, y, near, [3, 3, 3], k=2, metric='euclidean') == 1.   # 5 or 9 and 3, which is smaller
    assert knn_accuracy(x, y, near, [3, 3, 3], k=3, metric='euclidean') == 1.
    assert knn_accuracy([[0., 0.], [1., 0.]], [0, 1], [[.5, .1], [-1., 0.]], [1, 0]) == 1.   # a row of zeros is at cosine 0 to all


def test_copies_and_neighbours_far_from_the_origin_are_told_apart():
    x, y = network_like(100, distance=.5)
    assert knn_score(np.r_[x, x], np.r_[y, y], metric='euclidean') == knn_score(np.r_[x, x], np.r_[y, y]) == 1.
    far = (x + 1e4).astype(np.float32)
    assert knn_score(far, y, metric='euclidean') == pytest.approx(knn_score(far.astype(float), y, metric='euclidean'), abs=.02)


# refusals

GOOD, LABELS = np.arange(8.).reshape(4, 2), np.array([0, 0, 1, 1])
NAN = np.where(GOOD == 3, np.nan, GOOD)


@pytest.mark.parametrize('function', [
    linear_probe, probe_score, knn_score, choose_penalty, lambda x, y: probe_accuracy(x, y, GOOD, LABELS),
    lambda x, y: knn_accuracy(x, y, GOOD, LABELS)])
@pytest.mark.parametrize('x, y, words', [
    (NAN, LABELS, 'x has 1 values'), (GOOD * 1e15, LABELS, 'beyond 1e+15'), (GOOD, LABELS * 0, 'the class 0 alone'),
    (GOOD, LABELS[:3], '(4, 2) and y (3,)'), (GOOD[0], LABELS[:2], 'x has shape (2,)'), (GOOD[:0], LABELS[:0], '(0, 2)'),
    (GOOD[:, :0], LABELS, '(4, 0)'), (GOOD, LABELS + .5, 'type float64')])
def test_what_is_no_labelled_set_is_refused_in_one_line(function, x, y, words):
    refused(lambda: function(x, y), words)


@pytest.mark.parametrize('function', [probe_accuracy, knn_accuracy])
@pytest.mark.parametrize('test_x, test_y, words', [
    (NAN, LABELS, 'test_x has 1 values'), (GOOD[:, :1], LABELS, '2 columns and test_x 1'), (GOOD, LABELS[:3], 'test_y (3,)'),
    (GOOD[:0], LABELS[:0], 'test_x has shape (0, 2)'), (GOOD, LABELS * 1., 'test_y is of type float64')])
def test_what_is_no_test_part_is_refused_in_one_line(function, test_x, test_y, words):
    refused(lambda: function(GOOD, LABELS, test_x, test_y), words)


@pytest.mark.parametrize('call, words', [
    (lambda: linear_probe(GOOD, LABELS, 0.), 'penalty=0.0'), (lambda: linear_probe(GOOD, LABELS, np.nan), 'penalty=nan'),
    (lambda: linear_probe(GOOD, LABELS, tolerance=0.), 'tolerance=0.0'), (lambda: linear_probe(GOOD, LABELS, steps=0), 'steps=0'),
    (lambda: linear_probe(GOOD, LABELS, start=(np.zeros((2, 3)), np.zeros(2))), 'weights (2, 2) and intercept (2,)'),
    (lambda: choose_penalty(GOOD, LABELS, ()), 'no penalties'), (lambda: probe_accuracy(GOOD, LABELS, GOOD, LABELS, ()), 'no penalties'),
    (lambda: choose_penalty(GOOD, LABELS, (1., -1.)), 'penalty=-1.0'), (lambda: probe_score(GOOD, LABELS, folds=1), 'folds=1'),
    (lambda: probe_score(GOOD, LABELS, folds=2.5), 'folds=2.5'),
    (lambda: knn_score(GOOD, LABELS, 4), 'k=4: give a whole number from 1 to the 3'),
    (lambda: knn_accuracy(GOOD, LABELS, GOOD, LABELS, 5), 'k=5'), (lambda: knn_score(GOOD, LABELS, 0), 'k=0'),
    (lambda: knn_score(GOOD, LABELS, 1.5), 'k=1.5'), (lambda: knn_score(GOOD, LABELS, metric='manhattan'), "metric='manhattan'")])
def test_settings_that_mean_nothing_are_refused_in_one_line(call, words):
    refused(call, words)


def refused(call, words):
    with pytest.raises(Refused) as refusal:
        call()
    assert words in str(refusal.value) and '\n' not in str(refusal.value)
