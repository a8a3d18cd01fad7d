"""Biased regularisation, by hand and against scikit-learn."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression, Ridge
from task_samples import class_tasks, linear_tasks

from tljax.core import UserError
from tljax.shallow.biased import (
    biased_logistic,
    biased_ridge,
    independent_ridge,
    pooled_ridge,
    pooled_start,
)

XS, YS, _ = linear_tasks(tasks=10, sizes=(20, 30))
X, Y = XS[0], YS[0]
CLASS_X, CLASS_Y = (arrays[0] for arrays in class_tasks(sizes=(20, 30))[:2])


def test_ridge_by_hand():
    """x'x + 2 I = diag(3, 6) and x'(y - x w0) = (4, 2), so that w = w0 + (4/3, 1/3)."""
    x, y = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([5.0, 3.0])
    np.testing.assert_allclose(biased_ridge(x, y, [1.0, 1.0], 2.0), [1 + 4 / 3, 1 + 1 / 3])


def test_without_a_start_it_is_scikit_learns_ridge():
    peer = Ridge(alpha=3.0, fit_intercept=False).fit(X, Y)
    np.testing.assert_allclose(biased_ridge(X, Y, [0.0, 0.0], 3.0), peer.coef_)


def test_without_a_start_it_is_scikit_learns_logistic_regression():
    for penalty in (0.01, 1.0, 100.0):
        peer = LogisticRegression(C=1 / penalty, fit_intercept=False, tol=1e-10, max_iter=10_000)
        found = biased_logistic(CLASS_X, CLASS_Y, [0.0, 0.0], penalty)
        np.testing.assert_allclose(found, peer.fit(CLASS_X, CLASS_Y).coef_[0], rtol=1e-5)


def test_the_logistic_weights_have_no_slope():
    start = np.array([3.0, -1.0])
    w = biased_logistic(CLASS_X, CLASS_Y, start, 2.0)
    slope = CLASS_X.T @ (expit(CLASS_X @ w) - CLASS_Y) + 2 * (w - start)
    np.testing.assert_allclose(slope, 0, atol=1e-5)


def test_a_penalty_leads_from_the_targets_own_weights_to_the_start():
    start = np.array([3.0, -1.0])
    np.testing.assert_allclose(biased_ridge(X, Y, start, 1e9), start, atol=1e-6)
    np.testing.assert_allclose(biased_ridge(X, Y, start, 1e-9), np.linalg.lstsq(X, Y)[0], atol=1e-6)
    np.testing.assert_allclose(biased_logistic(CLASS_X, CLASS_Y, start, 1e9), start, atol=1e-6)
    np.testing.assert_allclose(biased_ridge(np.empty((0, 2)), [], start, 1.0), start)


def test_learners_of_many_tasks():
    own = independent_ridge(XS, YS, 2.0)
    np.testing.assert_allclose(own.weights(X, Y), biased_ridge(X, Y, [0.0, 0.0], 2.0))
    pooled = pooled_ridge(XS, YS, 2.0)
    peer = Ridge(alpha=2.0, fit_intercept=False).fit(np.concatenate(XS), np.concatenate(YS))
    np.testing.assert_allclose(pooled.predict(X, Y, XS[1]), XS[1] @ peer.coef_)
    biased = pooled_start(XS, YS, 5.0, pooled_penalty=2.0)
    np.testing.assert_allclose(biased.weights(X, Y), biased_ridge(X, Y, peer.coef_, 5.0))


@pytest.mark.parametrize(
    'x, y, start, penalty, words',
    [
        (X, Y, [0.0], 1.0, 'give the 1 columns that the tasks have'),
        (X, Y[:-1], [0.0, 0.0], 1.0, 'give one label per row'),
        (X, Y, [0.0, np.nan], 1.0, 'give a finite weight for each column'),
        (X, Y, 0.0, 1.0, 'start has shape ()'),
        (X, Y, [0.0, 0.0], 0.0, 'penalty=0.0: give a positive number'),
        (X, Y * np.nan, [0.0, 0.0], 1.0, 'values are not finite'),
    ],
    ids=range(6),
)
def test_what_does_not_fit_is_refused_in_one_line(x, y, start, penalty, words):
    with pytest.raises(UserError) as refusal:
        biased_ridge(x, y, start, penalty)
    assert words in str(refusal.value) and '\n' not in str(refusal.value)


def test_a_single_class_is_refused():
    with pytest.raises(UserError, match='y does not have both classes'):
        biased_logistic(X, np.ones(len(X)), [0.0, 0.0], 1.0)
    with pytest.raises(UserError, match='give 0 and 1'):
        biased_logistic(X, Y, [0.0, 0.0], 1.0)
    with pytest.raises(UserError, match='penalty=-1.0: give a positive number'):
        biased_logistic(CLASS_X, CLASS_Y, [0.0, 0.0], -1.0)
