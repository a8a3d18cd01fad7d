"""Priors that EM learns from many tasks, against densities that SciPy and NumPy integrate."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import DotProduct, WhiteKernel
from task_samples import COVARIANCE, MEAN, linear_tasks

from tljax.core import UserError
from tljax.shallow.priors import hierarchical_regression

XS, YS, _ = linear_tasks()


def density(xs, ys, mean, covariance, noise):
    """The marginal log-likelihood as the model states it: y ~ N(x m, x V x' + noise I)."""
    return sum(
        multivariate_normal(x @ mean, x @ covariance @ x.T + noise * np.eye(len(x))).logpdf(y)
        for x, y in zip(xs, ys, strict=True)
    )


def slopes(function, values, step=1e-5):
    """Central differences of a function of a vector."""
    return np.array(
        [
            (function(values + step * unit) - function(values - step * unit)) / (2 * step)
            for unit in np.eye(len(values))
        ]
    )


@pytest.mark.parametrize('form', ['full', 'diagonal'])
def test_em_ends_where_the_marginal_likelihood_has_no_slope(form):
    prior = hierarchical_regression(XS, YS, form, rounds=5000, tolerance=1e-12)
    rows, columns = np.tril_indices(2) if form == 'full' else (np.arange(2), np.arange(2))

    def of(values):
        covariance = np.zeros((2, 2))
        covariance[rows, columns] = covariance[columns, rows] = values[2:-1]
        return density(XS, YS, values[:2], covariance, values[-1])

    end = np.array([*prior.mean, *prior.covariance[rows, columns], prior.noise])
    assert of(end) == pytest.approx(prior.log_likelihood[-1], abs=1e-8)
    # the likelihood of 240 labels changes by less than 1e-3 nats per unit, and away from the end
    assert np.abs(slopes(of, end)).max() < 1e-3
    assert np.abs(slopes(of, end * 1.05)).max() > 1


@pytest.mark.parametrize('form', ['full', 'diagonal'])
def test_the_marginal_likelihood_never_falls(form):
    prior = hierarchical_regression(XS, YS, form, rounds=300, tolerance=1e-12)
    assert (np.diff(prior.log_likelihood) > -1e-9).all() and len(prior.log_likelihood) > 10
    assert prior.log_likelihood[-1] > prior.log_likelihood[0] + 50


def test_many_tasks_reveal_the_prior_that_drew_them():
    xs, ys, weights = linear_tasks(tasks=2000)
    prior = hierarchical_regression(xs, ys)
    np.testing.assert_allclose(prior.mean, MEAN, atol=0.07)
    np.testing.assert_allclose(prior.covariance, COVARIANCE, atol=0.1)
    assert prior.noise == pytest.approx(0.25, rel=0.05)
    own = np.stack([np.linalg.lstsq(x, y)[0] for x, y in zip(xs, ys, strict=True)])
    assert ((prior.weights - weights) ** 2).mean() < 0.5 * ((own - weights) ** 2).mean()


def test_a_posterior_is_a_gaussian_process_with_a_linear_kernel():
    """scikit-learn predicts a task's labels from the same mean, covariance and noise."""
    prior, root = hierarchical_regression(XS, YS), np.linalg.cholesky(COVARIANCE)
    prior = prior._replace(covariance=COVARIANCE)
    kernel = DotProduct(sigma_0=0, sigma_0_bounds='fixed') + WhiteKernel(prior.noise)
    peer = GaussianProcessRegressor(kernel, optimizer=None)
    peer.fit(XS[0] @ root, YS[0] - XS[0] @ prior.mean)
    mean, deviation = peer.predict(XS[1] @ root, return_std=True)
    found = prior.predict(XS[0], YS[0], XS[1])
    np.testing.assert_allclose(found[0], mean + XS[1] @ prior.mean, rtol=1e-6)
    np.testing.assert_allclose(found[1], deviation, rtol=1e-6)


def test_a_task_that_was_learnt_from_gets_the_same_weights_as_a_new_one():
    prior = hierarchical_regression(XS, YS)
    mean, covariance = prior.posterior(XS[3], YS[3])
    np.testing.assert_allclose(mean, prior.weights[3])
    np.testing.assert_allclose(covariance, prior.covariances[3])
    mean, deviation = prior.predict(XS[3], YS[3], XS[4])
    np.testing.assert_allclose(mean, XS[4] @ prior.weights[3])
    expected = np.diag(XS[4] @ prior.covariances[3] @ XS[4].T) + prior.noise
    np.testing.assert_allclose(deviation**2, expected)
    nothing = np.empty((0, 2))
    np.testing.assert_array_equal(prior.posterior(nothing, [])[0], prior.mean)
    np.testing.assert_allclose(prior.posterior(nothing, [])[1], prior.covariance)


def test_columns_that_depend_on_each_other_are_no_harm():
    """One-hot columns beside a column of ones: the scatter is singular."""
    rng = np.random.default_rng(0)
    group = [rng.integers(0, 3, 6) for _ in range(30)]
    xs = [np.column_stack([np.eye(3)[g], np.ones(6), np.zeros(6)]) for g in group]
    ys = [3.0 * (g == 1) + rng.normal() + 0.1 * rng.normal(size=6) for g in group]
    prior = hierarchical_regression(xs, ys)
    assert np.isfinite(prior.covariance).all() and prior.noise == pytest.approx(0.01, rel=0.3)
    assert (np.diff(prior.log_likelihood) > -1e-9).all()
    gain = prior.predict(np.empty((0, 5)), [], [[0, 1, 0, 1, 0], [1, 0, 0, 1, 0]])[0]
    assert gain[0] - gain[1] == pytest.approx(3, abs=0.1)


def test_labels_without_noise_keep_a_small_one():
    xs, _, weights = linear_tasks(tasks=20)
    ys = [x @ w for x, w in zip(xs, weights, strict=True)]
    prior = hierarchical_regression(xs, ys)
    assert 0 < prior.noise < 1e-6 and np.isfinite(prior.log_likelihood).all()
    full = [i for i, x in enumerate(xs) if len(x) > 2]
    np.testing.assert_allclose(prior.weights[full], weights[full], atol=1e-2)


def test_units_of_columns_do_not_matter():
    prior = hierarchical_regression(XS, YS, rounds=20)
    scaled = hierarchical_regression([x * [1e4, 1.0] for x in XS], YS, rounds=20)
    np.testing.assert_allclose(scaled.mean * [1e4, 1.0], prior.mean, rtol=1e-6)
    np.testing.assert_allclose(scaled.log_likelihood, prior.log_likelihood, rtol=1e-6)


BAD = [
    ([], [], '0 tasks are too few to learn from: give 2 or more'),
    (XS[:1], YS[:1], '1 task is too few to learn from: give 2 or more'),
    (XS[:3], YS[:2], 'xs has 3 tasks and ys has 2'),
    ([*XS[:2], XS[2][:, :1]], YS[:3], 'xs[2] has 1 columns and xs[0] has 2'),
    ([*XS[:2], np.empty((0, 2))], [*YS[:2], []], 'xs[2] has no examples'),
    ([*XS[:2], XS[2]], [*YS[:2], []], 'ys[2] has shape (0,) for the'),
    ([*XS[:2], XS[2][0]], YS[:3], 'xs[2] has shape (2,): give rows'),
    ([XS[0], np.where(XS[1] == 1, np.nan, XS[1])], YS[:2], 'xs[1]: '),
    (XS[:2], [YS[0], YS[1] * np.inf], 'ys[1]: '),
]


@pytest.mark.parametrize('xs, ys, words', BAD, ids=range(len(BAD)))
def test_tasks_that_nothing_can_be_learnt_from_are_refused_in_one_line(xs, ys, words):
    with pytest.raises(UserError) as refusal:
        hierarchical_regression(xs, ys)
    assert words in str(refusal.value) and '\n' not in str(refusal.value)


@pytest.mark.parametrize(
    'ys, keywords, words',
    [
        (YS, {'covariance': 'round'}, "covariance='round' is unknown: give 'full' or 'diagonal'"),
        (YS[:2], {}, '2 tasks are too few for a full covariance of 2 columns'),
        (YS, {'rounds': 0}, 'rounds=0'),
        (YS, {'tolerance': 0}, 'tolerance=0'),
        ([y**0 for y in YS], {}, 'all labels of ys are 1'),
    ],
)
def test_settings_that_do_not_fit_are_refused(ys, keywords, words):
    with pytest.raises(UserError) as refusal:
        hierarchical_regression(XS[: len(ys)], ys, **keywords)
    assert words in str(refusal.value)


def test_examples_of_a_new_task_that_do_not_fit_are_refused():
    prior = hierarchical_regression(XS, YS)
    for x, y, words in (
        (XS[0][:, :1], YS[0], 'give the 2 columns that the tasks have'),
        (XS[0], YS[0][:-1], 'give one label per row'),
        (XS[0], YS[0] * np.nan, 'values are not finite'),
    ):
        with pytest.raises(UserError, match=words):
            prior.posterior(x, y)
    with pytest.raises(UserError, match=r'new has shape \(2,\): give the 2 columns'):
        prior.predict(XS[0], YS[0], [1.0, 2.0])
