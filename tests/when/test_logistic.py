"""Logistic regression against scikit-learn's, and cases without a minimum."""

import numpy as np
import pytest
from labelled_features import network_like
from scipy.optimize import brentq
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from tljax.when.logistic import linear_probe

TIGHT = 1e-16


def objective(x, y, weights, intercept, penalty):
    """The summed log loss with its penalty, and its gradient, example by example in float64."""
    loss, to_weights, to_intercept = (
        penalty / 2 * (weights**2).sum(),
        penalty * weights,
        np.zeros(len(intercept)),
    )
    for row, label in zip(x.astype(float), np.unique(y, return_inverse=True)[1], strict=True):
        logits = row @ weights + intercept
        probability = np.exp(logits - logits.max())
        probability /= probability.sum()
        loss -= np.log(probability[label])
        residual = probability - np.eye(len(intercept))[label]
        to_weights, to_intercept = to_weights + np.outer(row, residual), to_intercept + residual
    return loss, to_weights, to_intercept


@pytest.mark.parametrize(
    'shape, penalty',
    [((300, 20), 1.0), ((300, 20), 50.0), ((300, 20), 0.01), ((90, 200), 1.0), ((90, 90), 0.1)],
)
def test_the_minimum_is_that_of_scikit_learn(shape, penalty):
    x, y = network_like(*shape)
    expected = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=1000, solver='newton-cg').fit(
        x, y
    )
    weights, intercept = linear_probe(x, y, penalty, TIGHT)
    assert weights.dtype == intercept.dtype == np.float64 and weights.shape == (shape[1], 4)
    assert weights == pytest.approx(
        expected.coef_.T, rel=1e-4, abs=1e-4
    ) and intercept == pytest.approx(expected.intercept_, abs=1e-4)
    expected_loss = objective(x, y, expected.coef_.T, expected.intercept_, penalty)[0]
    assert objective(x, y, weights, intercept, penalty)[0] == pytest.approx(expected_loss, rel=1e-9)


def test_two_classes_are_scikit_learn_s_single_column_at_half_the_penalty():
    x, y = network_like(240, c=2)
    expected = LogisticRegression(C=2 / 3.0, tol=1e-10, max_iter=10_000).fit(x, y)
    weights, intercept = linear_probe(x, y, 3.0, TIGHT)
    assert weights[:, 1] - weights[:, 0] == pytest.approx(expected.coef_[0], abs=1e-5)
    assert intercept[1] - intercept[0] == pytest.approx(expected.intercept_[0], abs=1e-4)


def test_two_points_by_hand():
    # At -1 and 1 the columns are -w and w: 2 log(1 + exp(-2w)) + penalty w^2 is least where 2 / (1
    # + exp(2w)) = penalty w.
    w = brentq(lambda w: 2 / (1 + np.exp(2 * w)) - 0.5 * w, 0, 9)
    weights, intercept = linear_probe(np.array([[-1.0], [1.0]]), [0, 1], 0.5, TIGHT)
    assert weights[0] == pytest.approx([-w, w], abs=1e-7) and intercept == pytest.approx(
        [0, 0], abs=1e-7
    )


@pytest.mark.parametrize(
    'kind, tolerance, bound', [(np.float64, TIGHT, 1e-6), (np.float32, 1e-6, 1e-3)]
)
def test_the_gradient_is_zero_at_the_minimum(kind, tolerance, bound):
    x, y = network_like()
    weights, intercept = linear_probe(x.astype(kind), y, 1.0, tolerance)
    assert weights.dtype == intercept.dtype == kind
    loss, to_weights, to_intercept = objective(x, y, weights, intercept, 1.0)
    assert max(np.abs(to_weights).max(), np.abs(to_intercept).max()) / len(x) < bound
    assert loss == pytest.approx(objective(x, y, *linear_probe(x, y, 1.0, TIGHT), 1.0)[0], rel=1e-4)


def test_neither_a_constant_column_nor_a_far_away_origin_matters():
    x, y = network_like()
    x[:, 3] = 7.0
    weights, intercept = linear_probe(x, y, tolerance=TIGHT)
    expected = LogisticRegression(tol=1e-10, max_iter=10_000).fit(np.delete(x, 3, 1), y)
    assert (
        np.delete(weights, 3, 0) == pytest.approx(expected.coef_.T, rel=1e-4, abs=1e-4)
        and np.abs(weights[3]).max() < 1e-7
    )
    assert intercept == pytest.approx(expected.intercept_, abs=1e-4)
    shifted_weights, shifted_intercept = linear_probe(x + 100.0, y, tolerance=TIGHT)
    assert shifted_weights == pytest.approx(weights, abs=1e-5)
    assert shifted_intercept == pytest.approx(intercept - 100 * weights.sum(0), abs=1e-3)
    float32 = linear_probe((x + 100.0).astype(np.float32), y, tolerance=1e-10)[0]
    assert float32 == pytest.approx(weights, abs=1e-2)


def test_all_rows_equal_leave_the_frequencies():
    weights, intercept = linear_probe(
        np.ones((300, 20)), np.repeat([0, 1, 2, 3], [150, 75, 45, 30]), tolerance=TIGHT
    )
    assert np.exp(intercept) / np.exp(intercept).sum() == pytest.approx(
        [0.5, 0.25, 0.15, 0.1], abs=1e-6
    )
    assert np.abs(weights).max() < 1e-7


@pytest.mark.parametrize('kind', [np.float64, np.float32])
def test_separable_classes_with_hardly_a_penalty_come_to_an_end(kind):
    x, y = network_like(distance=9.0)
    x = x.astype(kind)
    weights, intercept = linear_probe(x, y, penalty=1e-8)
    assert ((x @ weights + intercept).argmax(1) == y).all() and np.isfinite(weights).all()


@pytest.mark.parametrize('scale', [1e-6, 1e6, 1e13])
def test_features_of_any_scale_have_their_minimum(scale):
    x, y = network_like()
    weights, intercept = linear_probe(x, y, 1.0, TIGHT)
    scaled_weights, scaled_intercept = linear_probe(x * scale, y, scale**2, TIGHT)
    assert scaled_weights * scale == pytest.approx(
        weights, abs=1e-5
    ) and scaled_intercept == pytest.approx(intercept, abs=1e-4)


def test_a_start_changes_nothing_but_the_way():
    x, y = network_like()
    expected, start = linear_probe(x, y, 1.0, TIGHT), linear_probe(x, y, 100.0)
    weights, intercept = linear_probe(x, y, 1.0, TIGHT, start=start)
    assert weights == pytest.approx(expected[0], abs=1e-5) and intercept == pytest.approx(
        expected[1], abs=1e-4
    )
    with pytest.warns(ConvergenceWarning, match='after 1 steps'):
        linear_probe(x, y, 1.0, TIGHT, steps=1)


def test_labels_are_any_integers_and_columns_in_their_order():
    x, y = network_like()
    weights = linear_probe(x, y, tolerance=TIGHT)[0]
    assert (
        linear_probe(x, np.array([-7, 2, 30, 900])[y], tolerance=TIGHT)[0].tolist()
        == weights.tolist()
    )
    permuted_weights = linear_probe(x, np.array([2, 30, 900, -7])[y], tolerance=TIGHT)[0]
    assert permuted_weights == pytest.approx(weights[:, [3, 0, 1, 2]], abs=1e-4)
