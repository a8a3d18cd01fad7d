"""Gaussian processes whose mean and kernel are learnt from source tasks.

The labels of a task are y(x) = x'slopes + c + f(x) + noise. The mean x'slopes is the same in all
tasks. Each task has its own constant c, with a Gaussian prior, and its own function f, a Gaussian
process with the covariance amplitude exp(-|(x - x') / lengths|^2 / 2). The lengths say how far each
feature must change before the labels do. All tasks share the hyper-parameters, which have the
largest sum of log marginal likelihoods over the source tasks. A target task with few examples takes
them as they are, or with a noise of its own.

NumPy computes in float64.

Sources: Rasmussen and Williams, Gaussian processes for machine learning, 2006, equations 2.30, 2.38
and 5.9 (https://gaussianprocess.org/gpml); for the sum over tasks: Lawrence and Platt, Learning to
learn with the informative vector machine, 2004
(https://icml.cc/imls/conferences/2004/proceedings/abstracts/178.htm).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

from tljax.core import UserError
from tljax.shallow.many_tasks import check_columns, checked_task, checked_tasks

# Limits of variances, in those of the labels, and of lengths, in deviations of the columns.
LIMITS = (1e-5, 1e5)


class ProcessPrior(NamedTuple):
    """Hyper-parameters of Gaussian processes, for standardised labels.

    Attributes:
        slopes: of the mean, in standard deviations of the labels per unit of the feature, (d,).
        lengths: length-scale of each feature, in the units of the feature, (d,).
        offset: variance of a task's constant.
        amplitude: variance of a task's function.
        noise: variance of the labels around the function.
        unit: mean and standard deviation of all labels; None if each task has a unit of its own.
        log_likelihood: sum over the source tasks, in nats, of standardised labels.

    >>> prior = ProcessPrior(np.zeros(1), np.ones(1), 0.0, 1.0, 0.5, (0.0, 1.0), 0.0)
    >>> mean, deviation = prior.predict([[0.0]], [3.0], [[0.0], [9.0]])
    >>> mean.round(3), deviation.round(3)  # two thirds of 3; far away the prior
    (array([2., 0.]), array([0.913, 1.225]))
    """

    slopes: np.ndarray
    lengths: np.ndarray
    offset: float
    amplitude: float
    noise: float
    unit: tuple[float, float] | None
    log_likelihood: float

    def predict(
        self, x: ArrayLike, y: ArrayLike, new: ArrayLike, noise: float | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Labels of new rows of a task: their means and standard deviations, (m,) each.

        Args:
            x: examples of the task, (n, d).
            y: labels of the examples, (n,).
            new: rows without labels, (m, d).
            noise: variance of the standardised labels, such as `own_noise(x, y)`; None for that of
                the source tasks.

        Raises:
            UserError: for examples that `checked_task` refuses, and for equal labels if each task
                is standardised by itself.
        """
        x, y = checked_task(x, y, len(self.lengths))
        new = np.asarray(new, float)
        check_columns(new, len(self.lengths), 'new')
        y, (centre, scale) = _standardised(y, self.unit, 'y')
        noise = self.noise if noise is None else noise
        across = self.covariance(x, new)
        solved = np.linalg.solve(self.covariance(x, x) + noise * np.eye(len(x)), across)
        mean = new @ self.slopes + (y - x @ self.slopes) @ solved
        variance = self.offset + self.amplitude + noise - (across * solved).sum(0)
        return centre + scale * mean, scale * np.sqrt(variance)

    def own_noise(self, x: ArrayLike, y: ArrayLike) -> float:
        """The noise with the largest marginal likelihood, all else being as in the sources.

        It needs tens of examples. The candidates are 1/100 to 100 times the noise of the sources.

        Args:
            x: examples of the task, (n, d).
            y: labels, (n,).

        Raises:
            UserError: as `predict`.
        """
        x, y = checked_task(x, y, len(self.lengths))
        y, _ = _standardised(y, self.unit, 'y')
        values, vectors = np.linalg.eigh(self.covariance(x, x))
        squares = ((y - x @ self.slopes) @ vectors) ** 2
        candidates = self.noise * np.logspace(-2, 2, 81)
        variances = values + candidates[:, None]
        return float(candidates[(squares / variances + np.log(variances)).sum(1).argmin()])

    def covariance(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Covariance of the labels of rows a and b, without noise, (m, n).

        Args:
            a: rows, (m, d).
            b: rows, (n, d).
        """
        return self.offset + self.amplitude * _correlation(a / self.lengths, b / self.lengths)


def gaussian_process_prior(
    xs: Sequence[ArrayLike],
    ys: Sequence[ArrayLike],
    mean: str = 'zero',
    by_task: bool = True,
    steps: int = 200,
    tolerance: float = 1e-5,
) -> ProcessPrior:
    """Learns the hyper-parameters of Gaussian processes from source tasks.

    Args:
        xs: examples of each task, (n, d) each, with n of its own.
        ys: labels of each task, (n,) each.
        mean: 'zero', or 'linear' if the tasks' functions have a line in common.
        by_task: whether the labels of each task are standardised by themselves, because tasks
            differ in their units. Otherwise all tasks have one unit, and the differences of their
            means are learnt, too.
        steps: largest number of steps of the optimiser, L-BFGS-B.
        tolerance: the optimiser stops after a step that raised the log-likelihood by less, in nats
            per label.

    Returns:
        A `ProcessPrior`.

    Raises:
        UserError: for tasks that `checked_tasks` refuses, labels that are all equal, and settings
            that are unknown or not positive.

    Source: Lawrence and Platt 2004
        (https://icml.cc/imls/conferences/2004/proceedings/abstracts/178.htm).

    >>> rng = np.random.default_rng(0)
    >>> xs = [rng.uniform(-3, 3, (20, 2)) for _ in range(5)]
    >>> ys = [np.sin(2 * x[:, 0] + shift) for x, shift in zip(xs, range(5))]
    >>> prior = gaussian_process_prior(xs, ys)
    >>> bool(prior.lengths[1] > 20 * prior.lengths[0])  # feature 2 does not matter
    True
    """
    xs, ys = checked_tasks(xs, ys, least=1)
    if mean not in ('zero', 'linear'):
        raise UserError(f"mean={mean!r} is unknown: give 'zero' or 'linear'")
    if not (steps >= 1 and tolerance > 0):
        raise UserError(f'steps={steps}, tolerance={tolerance}: give positive numbers')
    everything, rows = np.concatenate(ys), np.concatenate(xs)
    unit = None if by_task else (float(everything.mean()), float(everything.std()))
    ys = [_standardised(y, unit, f'ys[{i}]')[0] for i, y in enumerate(ys)]
    units = np.where(np.ptp(rows, 0) > 0, rows.std(0), 1)
    xs = [x / units for x in xs]

    def negative_sum(parameters):
        terms = [log_marginal_likelihood(x, y, parameters) for x, y in zip(xs, ys, strict=True)]
        values, gradients = zip(*terms, strict=True)
        return -sum(values) / len(rows), -sum(gradients) / len(rows)

    d, slopes = len(units), np.zeros(len(units))
    if mean == 'linear':
        slopes = np.linalg.lstsq(rows / units, np.concatenate(ys), rcond=None)[0]
    found = minimize(
        negative_sum,
        [*np.log([0.1, 0.5, 0.5]), *np.log(np.full(d, d**0.5)), *slopes],
        jac=True,
        method='L-BFGS-B',
        bounds=[tuple(np.log(LIMITS))] * (3 + d)
        + [(None, None) if mean == 'linear' else (0, 0)] * d,
        options={'maxiter': steps, 'ftol': tolerance},
    )
    offset, amplitude, noise = map(float, np.exp(found.x[:3]))
    lengths, slopes = np.exp(found.x[3 : 3 + d]) * units, found.x[3 + d :] / units
    value = -float(found.fun) * len(rows)
    return ProcessPrior(slopes, lengths, offset, amplitude, noise, unit, value)


def log_marginal_likelihood(
    x: np.ndarray, y: np.ndarray, parameters: np.ndarray
) -> tuple[float, np.ndarray]:
    """The log marginal likelihood of a task in nats, and its gradient.

    Args:
        x: examples, (n, d).
        y: labels, (n,).
        parameters: logarithms of offset, amplitude, noise and the lengths, and then the slopes,
            (3 + 2 d,).

    Returns:
        (value, gradient (3 + 2 d,)).

    Source: Rasmussen and Williams 2006, equations 2.30 and 5.9.

    >>> value, gradient = log_marginal_likelihood(np.ones((1, 1)), np.ones(1), np.zeros(5))
    >>> round(value, 3), gradient.round(3) + 0  # the variance is 1 + 1 + 1
    (-1.635, array([-0.111, -0.111, -0.111,  0.   ,  0.333]))
    """
    d = x.shape[1]
    offset, amplitude, noise = np.exp(parameters[:3])
    z = x * np.exp(-parameters[3 : 3 + d])
    correlation = _correlation(z, z)
    factor = cho_factor(offset + amplitude * correlation + noise * np.eye(len(y)), lower=True)
    residual = y - x @ parameters[3 + d :]
    solved = cho_solve(factor, residual)
    logdet = 2 * np.log(np.diag(factor[0])).sum()
    value = -(residual @ solved + logdet + len(y) * np.log(2 * np.pi)) / 2
    # the derivative of the value by the covariance, (n, n)
    slope = (np.outer(solved, solved) - cho_solve(factor, np.eye(len(y)))) / 2
    pairs = amplitude * slope * correlation
    # sums over all pairs of rows of pairs * (z - z')^2
    by_length = 2 * (pairs.sum(1) @ z**2 - (z * (pairs @ z)).sum(0))
    by_variance = offset * slope.sum(), pairs.sum(), noise * np.trace(slope)
    return float(value), np.concatenate([by_variance, by_length, x.T @ solved])


def _correlation(a, b):
    """exp(-|a - b|^2 / 2) of rows in length-scales, (m, n)."""
    return np.exp(-cdist(a, b, 'sqeuclidean') / 2)


def _standardised(
    y: np.ndarray, unit: tuple[float, float] | None, name: str
) -> tuple[np.ndarray, tuple[float, float]]:
    """Labels in a unit, (mean, standard deviation), or in their own; and that unit."""
    if unit is None:
        unit = (float(y.mean()), float(y.std())) if len(np.unique(y)) > 1 else (0.0, 0.0)
    mean, deviation = unit
    if not deviation > 0:
        raise UserError(
            f'{name} has no two different labels, so that they have no unit: add examples, or '
            'learn the prior with by_task=False'
        )
    return (y - mean) / deviation, unit
