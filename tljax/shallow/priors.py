"""A prior over the weights of linear models, learnt from many tasks by EM.

The weights of task t are drawn from a Gaussian that all tasks share, w_t ~ N(m, V). Its mean m and
covariance V have the largest marginal likelihood, in which the weights of all tasks are integrated
out. A task with few examples then starts from the prior, and each example moves it away.

EM alternates two steps. The E step computes the posterior of each task's weights, N(w_t, S_t), with
1 / S_t = 1 / V + G_t and w_t = m + S_t (b_t - G_t m), where exp(w'b_t - w'G_t w / 2) is the
likelihood of the task. The M step sets m to the mean of w_t, and V to the mean of
S_t + (w_t - m) (w_t - m)'. Neither step inverts V or G_t. Columns that are linear combinations of
others, and directions without variance, therefore need no special care.

Sources: Laird and Ware, Random-effects models for longitudinal data, 1982
(https://doi.org/10.2307/2529876); Minka and Picard, Learning how to learn is learning with point
sets, 1997; Bakker and Heskes, Task clustering and gating for Bayesian multitask learning, 2003
(https://jmlr.org/papers/v4/bakker03a.html).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tljax.core import UserError
from tljax.shallow.many_tasks import check_columns, checked_task, checked_tasks

FLOOR = 1e-8  # smallest noise, in variances of the labels


class LinearPrior(NamedTuple):
    """A prior over the weights of linear regressions, and the tasks that it was learnt from.

    Attributes:
        mean: of the weights, (d,).
        covariance: of the weights, (d, d).
        noise: variance of the labels around a task's own line, in squared units of the labels.
        weights: posterior means of the tasks that were learnt from, (tasks, d).
        covariances: posterior covariances of those tasks, (tasks, d, d).
        log_likelihood: of all tasks, in nats, after each round of EM, (rounds,).

    >>> prior = LinearPrior(np.ones(1), np.eye(1), 1.0, np.ones((0, 1)), np.ones((0, 1, 1)), [])
    >>> prior.posterior([[1.0]], [3.0])  # halfway between the prior and the example
    (array([2.]), array([[0.5]]))
    """

    mean: np.ndarray
    covariance: np.ndarray
    noise: float
    weights: np.ndarray
    covariances: np.ndarray
    log_likelihood: np.ndarray

    def posterior(self, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Weights of a new task: their posterior mean (d,) and covariance (d, d).

        Args:
            x: examples of the task, (n, d). Without any, the posterior is the prior.
            y: labels, (n,).

        Raises:
            UserError: for examples that `checked_task` refuses.
        """
        x, y = checked_task(x, y, len(self.mean))
        weights, covariances, _ = posteriors(
            (x.T @ x / self.noise)[None], (x.T @ y / self.noise)[None], self.mean, self.covariance
        )
        return weights[0], covariances[0]

    def predict(self, x: ArrayLike, y: ArrayLike, new: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Labels of new rows of a task: their means and standard deviations, (m,) each.

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
        return new @ weights, np.sqrt(variances(new, covariance) + self.noise)


def hierarchical_regression(
    xs: Sequence[ArrayLike],
    ys: Sequence[ArrayLike],
    covariance: str = 'full',
    rounds: int = 2000,
    tolerance: float = 1e-2,
) -> LinearPrior:
    """Learns the prior of linear regressions, y = x'w_t + noise, from many tasks.

    For an intercept, give the tasks a column of ones. A full covariance has d (d + 1) / 2 numbers,
    and needs many more tasks than columns. A diagonal one has d numbers.

    Args:
        xs: examples of each task, (n, d) each, with n of its own.
        ys: labels of each task, (n,) each, all in one unit.
        covariance: 'full' or 'diagonal', the form of the prior's covariance.
        rounds: largest number of rounds of EM.
        tolerance: EM stops after a round that raised the log-likelihood by less, in nats.

    Returns:
        A `LinearPrior`.

    Raises:
        UserError: for tasks that `checked_tasks` refuses, labels that are all equal, a full
            covariance of as many columns as tasks or more, and settings that are unknown or not
            positive.

    Source: Laird and Ware 1982 (https://doi.org/10.2307/2529876).

    >>> slopes = [1.0, 2.0, 3.0]
    >>> xs = [np.array([[-1.0], [1.0], [2.0]])] * 3
    >>> ys = [slope * x[:, 0] + [0.1, -0.1, 0.1] for slope, x in zip(slopes, xs)]
    >>> prior = hierarchical_regression(xs, ys)
    >>> prior.mean.round(2), prior.covariance.round(2)  # of the slopes
    (array([2.]), array([[0.66]]))
    >>> [round(float(number[0]), 2) for number in prior.predict([[1.0]], [5.0], [[2.0]])]
    [9.87, 0.27]
    """
    xs, ys = checked_tasks(xs, ys)
    check_form(covariance, len(xs), xs[0].shape[1])
    check_stopping(rounds, tolerance)
    variance = np.concatenate(ys).var()
    if not variance > 0:
        raise UserError(f'all labels of ys are {ys[0][0]:g}: give labels that differ')
    grams = np.stack([x.T @ x for x in xs])
    moments = np.stack([x.T @ y for x, y in zip(xs, ys, strict=True)])
    squares, sizes = np.array([y @ y for y in ys]), np.array([len(y) for y in ys])

    def squared_errors(weights):
        """Sums of squared errors of each task, (tasks,)."""
        fitted = np.einsum('ti,tij,tj->t', weights, grams, weights)
        return squares - 2 * (weights * moments).sum(1) + fitted

    mean = np.linalg.lstsq(grams.sum(0), moments.sum(0), rcond=None)[0]
    noise = max(squared_errors(mean + 0 * moments).sum() / sizes.sum(), FLOOR * variance)
    spread = first_covariance(xs, variance)
    weights = covariances = np.empty(0)
    log_likelihood = []
    for step in range(rounds):
        if step:
            mean, spread = m_step(weights, covariances, covariance)
            errors = squared_errors(weights) + np.einsum('tij,tij->t', grams, covariances)
            noise = max(errors.sum() / sizes.sum(), FLOOR * variance)
        weights, covariances, evidence = posteriors(grams / noise, moments / noise, mean, spread)
        own = squares / noise + sizes * np.log(2 * np.pi * noise)
        log_likelihood.append((evidence - own / 2).sum())
        if step and log_likelihood[-1] - log_likelihood[-2] < tolerance:
            break
    return LinearPrior(mean, spread, float(noise), weights, covariances, np.array(log_likelihood))


def posteriors(
    grams: np.ndarray, moments: np.ndarray, mean: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The E step: the posterior of each task's weights, and the evidence of the task.

    The likelihood of a task is exp(w'moment - w'gram w / 2), times a factor without w.

    Args:
        grams: (tasks, d, d).
        moments: (tasks, d).
        mean: of the prior, (d,).
        covariance: of the prior, (d, d).

    Returns:
        (means, covariances, evidence): (tasks, d), (tasks, d, d), and (tasks,), the logarithm of
        the likelihood integrated over the prior.

    >>> one = np.ones((1, 1))
    >>> means, covariances, evidence = posteriors(one[None], 3 * one, np.ones(1), one)
    >>> means, covariances
    (array([[2.]]), array([[[0.5]]]))
    """
    inner = np.eye(len(mean)) + covariance @ grams
    covariances = np.linalg.solve(inner, np.broadcast_to(covariance, grams.shape))
    covariances = (covariances + covariances.swapaxes(1, 2)) / 2
    at_mean = grams @ mean
    pull = moments - at_mean
    change = np.einsum('tij,tj->ti', covariances, pull)
    evidence = (moments - at_mean / 2) @ mean + (pull * change).sum(1) / 2
    return mean + change, covariances, evidence - np.linalg.slogdet(inner)[1] / 2


def m_step(
    weights: np.ndarray, covariances: np.ndarray, form: str
) -> tuple[np.ndarray, np.ndarray]:
    """The M step: the mean (d,) and covariance (d, d) of the prior that fit the tasks' posteriors.

    Args:
        weights: posterior means of the tasks, (tasks, d).
        covariances: posterior covariances of the tasks, (tasks, d, d).
        form: 'full', or 'diagonal' for a covariance without other entries.

    >>> m_step(np.array([[1.0], [3.0]]), np.ones((2, 1, 1)), 'full')
    (array([2.]), array([[2.]]))
    """
    mean = weights.mean(0)
    deviations = weights - mean
    covariance = covariances.mean(0) + deviations.T @ deviations / len(weights)
    return mean, covariance if form == 'full' else np.diag(np.diag(covariance))


def variances(x: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Variances (n,) of the outputs x'w of rows x, for weights with some covariance.

    Args:
        x: rows, (n, d).
        covariance: of the weights, (d, d).

    >>> variances(np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[1.0, 0.5], [0.5, 1.0]]))
    array([1., 3.])
    """
    return np.maximum(((x @ covariance) * x).sum(1), 0)  # rounding can make 0 negative


def first_covariance(xs: Sequence[np.ndarray], variance: float) -> np.ndarray:
    """Covariance (d, d) of the prior in the first round: all columns explain the same variance.

    Args:
        xs: examples of each task, (n, d) each.
        variance: of all outputs x'w together.

    >>> first_covariance([np.array([[1.0, 10.0]])], variance=2.0)
    array([[1.  , 0.  ],
           [0.  , 0.01]])
    """
    squares = (np.concatenate(xs) ** 2).mean(0)
    return np.diag(variance / len(squares) / np.where(squares > 0, squares, 1))


def check_form(form: str, tasks: int, d: int) -> None:
    """Raises an error for an unknown form of covariance, or one that the tasks cannot determine.

    Args:
        form: 'full' or 'diagonal'.
        tasks: number of tasks.
        d: number of columns.

    >>> check_form('full', tasks=3, d=8)
    Traceback (most recent call last):
    tljax.core.UserError: 3 tasks are too few for a full covariance of 8 columns: give more than ...
    """
    if form not in ('full', 'diagonal'):
        raise UserError(f"covariance={form!r} is unknown: give 'full' or 'diagonal'")
    if form == 'full' and tasks <= d:
        raise UserError(
            f'{tasks} tasks are too few for a full covariance of {d} columns: give more than {d} '
            "tasks, or covariance='diagonal'"
        )


def check_stopping(rounds: int, tolerance: float) -> None:
    """Raises an error for a number of rounds or a tolerance that is not positive.

    Args:
        rounds: largest number of rounds.
        tolerance: smallest improvement of a round.

    >>> check_stopping(0, 1e-3)
    Traceback (most recent call last):
    tljax.core.UserError: rounds=0: give a whole number, 1 or more
    """
    if rounds != int(rounds) or rounds < 1:
        raise UserError(f'rounds={rounds}: give a whole number, 1 or more')
    if not tolerance > 0:
        raise UserError(f'tolerance={tolerance}: give a positive number')
