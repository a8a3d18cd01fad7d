"""Priors of logistic regressions, against integrals on a grid and a maximum that SciPy finds."""

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.optimize import minimize
from scipy.special import expit, log_expit
from scipy.stats import norm
from task_samples import COVARIANCE, MEAN, class_tasks

from tljax.core import UserError
from tljax.shallow.logistic_priors import LogisticPrior, hierarchical_logistic_regression

XS, YS, _ = class_tasks(tasks=15)
NOTHING = np.empty((0, 2))
GRID = np.linspace(-9, 9, 1001)


def prior_of(mean, covariance):
    return LogisticPrior(mean, covariance, NOTHING, np.empty((0, 2, 2)), np.empty(0))


def bound_of(x, y, mean, covariance, prior):
    """The lower bound of a task as it is defined, its expectations by the trapezoidal rule."""
    deviations = np.sqrt(((x @ covariance) * x).sum(1))
    logits = (2 * y - 1) * ((x @ mean)[:, None] + deviations[:, None] * GRID).T
    total = trapezoid(norm.pdf(GRID) * log_expit(logits).sum(1), GRID)
    inverse, gap = np.linalg.inv(prior.covariance), mean - prior.mean
    divergence = np.trace(inverse @ covariance) + gap @ inverse @ gap - len(mean)
    divergence += np.linalg.slogdet(prior.covariance)[1] - np.linalg.slogdet(covariance)[1]
    return total - divergence / 2


def exact(xs, ys, prior):
    """The log-likelihood of tasks of two columns, integrated on a grid."""
    grid = np.stack(np.meshgrid(*[np.linspace(-6, 6, 121)] * 2), -1).reshape(-1, 2)
    weights = prior.mean + grid @ np.linalg.cholesky(prior.covariance + 1e-12 * np.eye(2)).T
    shares = np.exp(-(grid**2).sum(1) / 2)
    shares /= shares.sum()
    total = 0.0
    for x, y in zip(xs, ys, strict=True):
        total += np.log(shares @ expit((2 * y - 1) * (weights @ x.T)).prod(1))
    return total


def test_the_e_step_finds_the_best_gaussian():
    """SciPy maximises the bound over means and Cholesky factors of covariances."""
    prior, x, y = prior_of(MEAN, COVARIANCE), XS[0], YS[0]

    def split(values):
        factor = np.array([[np.exp(values[2]), 0.0], [values[3], np.exp(values[4])]])
        return values[:2], factor @ factor.T

    found = minimize(lambda values: -bound_of(x, y, *split(values), prior), np.zeros(5), tol=1e-9)
    mean, covariance = prior.posterior(x, y)
    np.testing.assert_allclose(mean, split(found.x)[0], atol=1e-4)
    np.testing.assert_allclose(covariance, split(found.x)[1], atol=1e-4)
    assert bound_of(x, y, mean, covariance, prior) == pytest.approx(-found.fun, abs=1e-8)


@pytest.mark.parametrize('form', ['full', 'diagonal'])
def test_the_bound_never_falls_and_is_just_below_the_likelihood(form):
    learnt = hierarchical_logistic_regression(XS, YS, form, tolerance=1e-4)
    assert (np.diff(learnt.bound) > -1e-9).all() and len(learnt.bound) > 20
    likelihood = exact(XS, YS, learnt)
    assert likelihood - 0.03 * len(XS) < learnt.bound[-1] < likelihood
    # it is the sum over the tasks of the bound that is defined
    parts = zip(XS, YS, learnt.weights, learnt.covariances, strict=True)
    if form == 'full':
        total = sum(bound_of(*part, learnt) for part in parts)
        assert learnt.bound[-1] == pytest.approx(total, abs=1e-3)


def test_the_bound_has_no_slope_where_em_ends():
    xs, ys, _ = class_tasks(tasks=12, sizes=(30, 40), seed=5)
    learnt = hierarchical_logistic_regression(xs, ys, rounds=3000, tolerance=1e-10)

    def of(values):
        """The bound at other hyper-parameters."""
        prior = prior_of(values[:2], np.array([[values[2], values[3]], [values[3], values[4]]]))
        pairs = zip(xs, ys, strict=True)
        return sum(bound_of(x, y, *prior.posterior(x, y), prior) for x, y in pairs)

    end = np.array([*learnt.mean, *learnt.covariance[[0, 1, 1], [0, 0, 1]]])
    assert of(end) == pytest.approx(learnt.bound[-1], abs=1e-5)
    for unit in 1e-3 * np.eye(5):
        assert of(end + unit) - of(end - unit) == pytest.approx(0, abs=2e-5)  # slope 0.01
    assert of(end) > max(of(end * 1.1), of(end * 0.9)) + 0.02


def test_many_tasks_reveal_the_prior_that_drew_them():
    xs, ys, weights = class_tasks(tasks=120, sizes=(30, 40), seed=3)
    learnt = hierarchical_logistic_regression(xs, ys)
    np.testing.assert_allclose(learnt.mean, weights.mean(0), atol=0.15)
    np.testing.assert_allclose(learnt.covariance, np.cov(weights.T), atol=0.25)


def test_probabilities_average_over_the_posterior():
    learnt = prior_of(MEAN, COVARIANCE)
    mean, covariance = learnt.posterior(XS[0], YS[0])
    new = np.array([[0.3, 1.0], [4.0, 1.0]])
    draws = np.random.default_rng(0).multivariate_normal(mean, covariance, 200_000)
    np.testing.assert_allclose(
        learnt.predict(XS[0], YS[0], new), expit(draws @ new.T).mean(0), atol=3e-3
    )
    np.testing.assert_array_equal(learnt.posterior(NOTHING, [])[0], MEAN)
    np.testing.assert_allclose(learnt.posterior(NOTHING, [])[1], COVARIANCE)


def test_a_task_that_was_learnt_from_gets_the_same_weights_as_a_new_one():
    learnt = hierarchical_logistic_regression(XS, YS)
    mean, covariance = learnt.posterior(XS[3], YS[3])
    np.testing.assert_allclose(mean, learnt.weights[3], atol=1e-4)
    np.testing.assert_allclose(covariance, learnt.covariances[3], atol=1e-4)


def test_a_new_task_profits_from_each_of_its_few_examples():
    learnt = hierarchical_logistic_regression(*class_tasks(tasks=100, seed=3)[:2])
    xs, ys, _ = class_tasks(tasks=100, sizes=(40, 41), seed=4)
    losses = np.zeros(3)
    for x, y in zip(xs, ys, strict=True):
        for i, seen in enumerate((0, 4, 12)):
            probability = learnt.predict(x[:seen], y[:seen], x[12:])
            losses[i] -= np.log(np.where(y[12:], probability, 1 - probability)).mean()
    assert losses[2] < losses[1] < losses[0] < np.log(2) * len(xs)


def test_separable_tasks_and_columns_of_zeros_do_no_harm():
    x = np.array([[-2.0, 1.0, 0.0], [-1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [2.0, 1.0, 0.0]])
    learnt = hierarchical_logistic_regression([100 * x] * 5, [[0, 0, 1, 1]] * 5, tolerance=1e-3)
    assert np.isfinite(learnt.covariance).all() and (np.diff(learnt.bound) > -1e-9).all()
    probability = learnt.predict(NOTHING[:, [0, 0, 0]], [], 100 * x)
    assert (probability[:2] < 0.1).all() and (probability[2:] > 0.9).all()


def test_classes_that_are_none_are_refused():
    with pytest.raises(UserError, match=r'ys\[0\] has a single class, 0: leave the task out'):
        hierarchical_logistic_regression(XS, [0 * YS[0], *YS[1:]])
    with pytest.raises(UserError, match=r'ys\[0\] has the labels 0, 2: give 0 and 1'):
        hierarchical_logistic_regression(XS, [2 * y for y in YS])
    with pytest.raises(UserError, match='1 task is too few to learn from'):
        hierarchical_logistic_regression(XS[:1], YS[:1])
    with pytest.raises(UserError, match='2 tasks are too few for a full covariance'):
        hierarchical_logistic_regression(XS[:2], YS[:2])
    learnt = prior_of(MEAN, COVARIANCE)
    for x, y, words in (
        (XS[0], YS[0] * 2, 'y has the labels 0, 2'),
        (XS[0][:, :1], YS[0], 'give the 2 columns that the tasks have'),
        (XS[0], YS[0][:-1], 'give one label per row'),
    ):
        with pytest.raises(UserError, match=words):
            learnt.posterior(x, y)
    with pytest.raises(UserError, match='new has shape'):
        learnt.predict(XS[0], YS[0], [1.0, 2.0])
