"""A prior over the weights of logistic regressions, learnt from many tasks by variational EM.

The model is that of `tljax.shallow.priors` for labels 0 and 1: w_t ~ N(m, V), and label 1 has the
probability s(x'w_t), where s(a) = 1 / (1 + exp(-a)). The posterior of w_t has no closed form. The E
step replaces it by the Gaussian q with the largest lower bound of the task's log-likelihood,

    sum_i E_q[log p(y_i | x_i'w)] - KL(q | N(m, V)).

Each expectation is an integral over one number, x_i'w, and is computed by quadrature. The best q is
the posterior for the likelihood exp(w'b - w'G w / 2) with G = sum_i E_q[s'] x_i x_i' and
b = sum_i E_q[y_i - s] x_i + G E_q[w]. These depend on q, so that an E step moves towards it. EM
raises the sum of the bounds, which therefore never falls. A Laplace approximation has no such
bound.

Sources: Opper and Archambeau, The variational Gaussian approximation revisited, 2009
(https://doi.org/10.1162/neco.2008.08-07-592); Nickisch and Rasmussen, Approximations for binary
Gaussian process classification, 2008, section 4 (https://jmlr.org/papers/v9/nickisch08a.html).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, log_expit

from tljax.shallow.many_tasks import check_columns, checked_task, checked_tasks
from tljax.shallow.priors import (
    check_form,
    check_stopping,
    first_covariance,
    m_step,
    posteriors,
)

FIRST_VARIANCE = 1.0  # of the logits in the first round
NODES, SHARES = np.polynomial.hermite_e.hermegauss(32)  # of the quadrature
SHARES = SHARES / SHARES.sum()
STEPS, TOLERANCE, HALVINGS = 1000, 1e-10, 20  # of the posterior of one task; nats


class LogisticPrior(NamedTuple):
    """A prior over the weights of logistic regressions, and the tasks that it was learnt from.

    Attributes:
        mean: of the weights, (d,).
        covariance: of the weights, (d, d).
        weights: posterior means of the tasks that were learnt from, (tasks, d).
        covariances: posterior covariances of those tasks, (tasks, d, d).
        bound: lower bound of the log-likelihood of all tasks, in nats, after each round, (rounds,).

    >>> prior = LogisticPrior(np.ones(1), np.eye(1), np.ones((0, 1)), np.ones((0, 1, 1)), [])
    >>> prior.predict(np.empty((0, 1)), [], [[0.0], [1.0]]).round(3)  # no examples: the prior
    array([0.5  , 0.697])
    """

    mean: np.ndarray
    covariance: np.ndarray
    weights: np.ndarray
    covariances: np.ndarray
    bound: np.ndarray

    def posterior(self, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Weights of a new task: the mean (d,) and covariance (d, d) of their Gaussian posterior.

        Args:
            x: examples of the task, (n, d). Without any, the posterior is the prior.
            y: labels, (n,), of one class or both.

        Raises:
            UserError: for examples that `checked_task` refuses.
        """
        x, y = checked_task(x, y, len(self.mean), classes=True)
        examples, prior = _stacked([x], [y]), (self.mean, self.covariance)
        sites = _first_sites(examples, *prior)
        bound, means, covariances = -np.inf, self.mean[None], self.covariance[None]
        for _ in range(STEPS):
            sites, means, covariances, bounds = _e_step(examples, *prior, sites)
            if bounds[0] - bound < TOLERANCE:
                break
            bound = bounds[0]
        return means[0], covariances[0]

    def predict(self, x: ArrayLike, y: ArrayLike, new: ArrayLike) -> np.ndarray:
        """Probabilities of label 1 for new rows of a task, (m,), averaged over the posterior.

        Args:
            x: examples of the task, (n, d).
            y: labels of the examples, (n,).
            new: rows without labels, (m, d).

        Raises:
            UserError: as `posterior`.
        """
        new = np.asarray(new, float)
        check_columns(new, len(self.mean), 'new')
        weights, covariance = self.posterior(x, y)
        return (expit(_logits(new[None], weights[None], covariance[None])) @ SHARES)[0]


def hierarchical_logistic_regression(
    xs: Sequence[ArrayLike],
    ys: Sequence[ArrayLike],
    covariance: str = 'full',
    rounds: int = 2000,
    tolerance: float = 1e-2,
) -> LogisticPrior:
    """Learns the prior of logistic regressions from many tasks with labels 0 and 1.

    For an intercept, give the tasks a column of ones. With few examples in each task the bound is
    loose, and the covariance comes out too small.

    Args:
        xs: examples of each task, (n, d) each, with n of its own.
        ys: labels of each task, (n,) each, 0 or 1.
        covariance: 'full' or 'diagonal', as in `hierarchical_regression`.
        rounds: largest number of rounds of EM.
        tolerance: EM stops after a round that raised the bound by less, in nats.

    Returns:
        A `LogisticPrior`.

    Raises:
        UserError: for tasks that `checked_tasks` refuses, among them one with a single class, and
            for settings that `hierarchical_regression` refuses.

    Source: Opper and Archambeau 2009 (https://doi.org/10.1162/neco.2008.08-07-592).

    >>> x = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    >>> prior = hierarchical_logistic_regression([x, x], [[0, 0, 1, 1], [0, 1, 0, 1]])
    >>> prior.predict([[1.0]], [1], [[2.0]]).round(2)  # one example of a new task
    array([0.86])
    """
    xs, ys = checked_tasks(xs, ys, classes=True)
    check_form(covariance, len(xs), xs[0].shape[1])
    check_stopping(rounds, tolerance)
    mean, spread = np.zeros(xs[0].shape[1]), first_covariance(xs, FIRST_VARIANCE)
    examples = _stacked(xs, ys)
    sites = _first_sites(examples, mean, spread)
    weights = covariances = np.empty(0)
    bound = []
    for step in range(rounds):
        if step:
            mean, spread = m_step(weights, covariances, covariance)
        sites, weights, covariances, bounds = _e_step(examples, mean, spread, sites)
        bound.append(bounds.sum())
        if step and bound[-1] - bound[-2] < tolerance:
            break
    return LogisticPrior(mean, spread, weights, covariances, np.array(bound))


def _stacked(xs, ys):
    """Examples (tasks, n, d) and signs of their labels (tasks, n, 1). Shorter tasks are filled with
    rows of zeros, whose sign is 0."""
    longest = max(map(len, xs))
    x = np.stack([np.pad(x, ((0, longest - len(x)), (0, 0))) for x in xs])
    return x, np.stack([np.pad(2 * y - 1, (0, longest - len(y))) for y in ys])[..., None]


def _first_sites(examples, mean, covariance):
    """The sites of tasks whose Gaussians are the prior."""
    tasks = len(examples[0])
    return _sites(examples, np.tile(mean, (tasks, 1)), np.tile(covariance, (tasks, 1, 1)))


def _e_step(examples, mean, covariance, sites):
    """Better sites of all tasks, their Gaussians (tasks, d) and (tasks, d, d), and bounds (tasks,).

    The sites G (tasks, d, d) and b (tasks, d) stand for the likelihood. They move to those of the
    Gaussians that they lead to. For a task whose bound would fall, the step is halved.
    """
    weights, covariances, bounds = _gaussians(examples, mean, covariance, sites)
    goals = _sites(examples, weights, covariances)
    length = np.ones(len(weights))
    for _ in range(HALVINGS):
        new_sites = [
            site + (length * (goal - site).T).T for site, goal in zip(sites, goals, strict=True)
        ]
        new_weights, new_covariances, new_bounds = _gaussians(examples, mean, covariance, new_sites)
        falls = new_bounds < bounds
        if not falls.any():
            return new_sites, new_weights, new_covariances, new_bounds
        length = np.where(falls, length / 2, length)
    return sites, weights, covariances, bounds


def _gaussians(examples, mean, covariance, sites):
    """The Gaussian of each task that its site leads to, and its bound of the log-likelihood."""
    (x, signs), (grams, moments) = examples, sites
    weights, covariances, evidence = posteriors(grams, moments, mean, covariance)
    squares = np.einsum('ti,tij,tj->t', weights, grams, weights)
    squares += np.einsum('tij,tij->t', grams, covariances)
    log_likelihood = log_expit(signs * _logits(x, weights, covariances)) @ SHARES
    log_likelihood = np.where(signs[..., 0] != 0, log_likelihood, 0).sum(1)
    bounds = evidence - (weights * moments).sum(1) + squares / 2 + log_likelihood
    return weights, covariances, bounds


def _sites(examples, weights, covariances):
    """G and b of the module's docstring, for the Gaussian of each task."""
    x, signs = examples
    probability = expit(signs * _logits(x, weights, covariances))  # of the label that is seen
    slopes = signs[..., 0] * ((1 - probability) @ SHARES)
    curvatures = (probability * (1 - probability)) @ SHARES
    grams = x.swapaxes(1, 2) @ (curvatures[..., None] * x)
    moments = (slopes[:, None] @ x)[:, 0] + (grams @ weights[..., None])[..., 0]
    return grams, moments


def _logits(x, weights, covariances):
    """Values x'w (tasks, n, nodes) at which Gaussians are integrated."""
    means = x @ weights[..., None]
    deviations = np.sqrt(np.maximum(((x @ covariances) * x).sum(-1, keepdims=True), 0))
    return means + deviations * NODES
