"""Biased regularisation: linear models that stay close to the weights of a source.

The weights w minimise the loss on the target's examples plus a penalty on |w - w0|^2, where w0 are
weights that were learnt elsewhere. Without examples w is w0, and with many of them w0 no longer
matters. With w0 = 0 it is the usual ridge or logistic regression.

Sources: Kienzle and Chellapilla, Personalized handwriting recognition via biased regularization,
2006 (https://doi.org/10.1145/1143844.1143902); Evgeniou and Pontil, Regularized multi-task
learning, 2004 (https://doi.org/10.1145/1014052.1014067).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import expit

from tljax.core import UserError
from tljax.shallow.many_tasks import check_columns, checked_task, checked_tasks


class SharedStart(NamedTuple):
    """Ridge regressions of many tasks, which are all drawn to the same weights.

    Attributes:
        start: those weights, w0, (d,).
        penalty: on |w - w0|^2; infinite if all tasks keep w0.

    >>> SharedStart(np.array([1.0]), penalty=1.0).predict([[1.0]], [3.0], [[2.0]])
    array([4.])
    """

    start: np.ndarray
    penalty: float

    def weights(self, x: ArrayLike, y: ArrayLike) -> np.ndarray:
        """Weights of a task, (d,).

        Args:
            x: examples of the task, (n, d).
            y: labels, (n,).

        Raises:
            UserError: for examples that `checked_task` refuses.
        """
        if np.isinf(self.penalty):
            return self.start
        return biased_ridge(x, y, self.start, self.penalty)

    def predict(self, x: ArrayLike, y: ArrayLike, new: ArrayLike) -> np.ndarray:
        """Labels of new rows of a task, (m,).

        Args:
            x: examples of the task, (n, d).
            y: labels of the examples, (n,).
            new: rows without labels, (m, d).

        Raises:
            UserError: as `weights`.
        """
        new = np.asarray(new, float)
        check_columns(new, len(self.start), 'new')
        return new @ self.weights(x, y)


def biased_ridge(x: ArrayLike, y: ArrayLike, start: ArrayLike, penalty: float) -> np.ndarray:
    """Ridge regression towards given weights: minimises |y - x w|^2 + penalty |w - start|^2.

    Args:
        x: examples, (n, d).
        y: labels, (n,).
        start: weights w0 of the source, (d,).
        penalty: a positive number.

    Returns:
        The weights, (d,).

    Raises:
        UserError: for examples that `checked_task` refuses, weights that are not finite, and a
            penalty that is not positive.

    Source: the closed form is w0 + (x'x + penalty I)^-1 x'(y - x w0).

    >>> biased_ridge([[1.0]], [3.0], start=[1.0], penalty=1.0)  # halfway from 1 to 3
    array([2.])
    """
    x, y, start = _checked_start(x, y, start, penalty)
    gram = x.T @ x + penalty * np.eye(len(start))
    return start + np.linalg.solve(gram, x.T @ (y - x @ start))


def biased_logistic(x: ArrayLike, y: ArrayLike, start: ArrayLike, penalty: float) -> np.ndarray:
    """Logistic regression towards given weights.

    It minimises the sum of the log losses plus penalty |w - start|^2 / 2. With start 0 it is
    scikit-learn's `LogisticRegression(C=1 / penalty, fit_intercept=False)`.

    Args:
        x: examples, (n, d).
        y: labels, (n,), 0 or 1, both of which occur.
        start: weights w0 of the source, (d,).
        penalty: a positive number.

    Returns:
        The weights, (d,).

    Raises:
        UserError: as `biased_ridge`, and for labels that are not 0 and 1 or a single class.

    >>> x, y = [[-1.0], [1.0]], [0, 1]
    >>> biased_logistic(x, y, start=[0.0], penalty=1.0).round(2)
    array([0.67])
    >>> biased_logistic(x, y, start=[3.0], penalty=1.0).round(2)
    array([3.09])
    """
    x, y, start = _checked_start(x, y, start, penalty, classes=True)
    if len(np.unique(y)) < 2:
        raise UserError('y does not have both classes: give examples of 0 and of 1')

    def loss_and_gradient(w):
        logits = x @ w
        loss = np.logaddexp(0, logits) - y * logits
        value = loss.sum() + penalty * ((w - start) ** 2).sum() / 2
        return value, x.T @ (expit(logits) - y) + penalty * (w - start)

    tolerances = {'gtol': 1e-8 * len(x), 'ftol': 0.0, 'maxiter': 10_000, 'maxfun': 100_000}
    return minimize(loss_and_gradient, start, jac=True, method='L-BFGS-B', options=tolerances).x


def independent_ridge(
    xs: Sequence[ArrayLike], ys: Sequence[ArrayLike], penalty: float
) -> SharedStart:
    """Ridge regression of each task by itself: the baseline that shares nothing.

    Args:
        xs: examples of each task, (n, d) each.
        ys: labels of each task, (n,) each.
        penalty: on |w|^2, a positive number.

    Returns:
        A `SharedStart` at 0.

    Raises:
        UserError: for tasks that `checked_tasks` refuses.

    >>> independent_ridge([[[1.0]]], [[4.0]], penalty=1.0).weights([[1.0]], [4.0])
    array([2.])
    """
    xs, _ = checked_tasks(xs, ys, least=1)
    return SharedStart(np.zeros(xs[0].shape[1]), penalty)


def pooled_ridge(xs: Sequence[ArrayLike], ys: Sequence[ArrayLike], penalty: float) -> SharedStart:
    """Ridge regression of all tasks together: the baseline that shares everything.

    Args:
        xs: examples of each task, (n, d) each.
        ys: labels of each task, (n,) each.
        penalty: on |w|^2, a positive number.

    Returns:
        A `SharedStart` that keeps its weights whatever the examples of a task are.

    Raises:
        UserError: for tasks that `checked_tasks` refuses.

    >>> pooled_ridge([[[1.0]], [[1.0]]], [[2.0], [4.0]], penalty=1.0).start
    array([2.])
    """
    xs, ys = checked_tasks(xs, ys, least=1)
    zeros = np.zeros(xs[0].shape[1])
    return SharedStart(biased_ridge(np.concatenate(xs), np.concatenate(ys), zeros, penalty), np.inf)


def pooled_start(
    xs: Sequence[ArrayLike], ys: Sequence[ArrayLike], penalty: float, pooled_penalty: float = 1.0
) -> SharedStart:
    """Biased ridge regression from the weights that fit all tasks together.

    Args:
        xs: examples of each task, (n, d) each.
        ys: labels of each task, (n,) each.
        penalty: on |w - w0|^2, a positive number.
        pooled_penalty: on |w0|^2 in the regression of all tasks, a positive number.

    Returns:
        A `SharedStart` at the weights of `pooled_ridge`.

    Raises:
        UserError: for tasks that `checked_tasks` refuses.

    Source: Evgeniou and Pontil 2004 (https://doi.org/10.1145/1014052.1014067), who learn w0 and all
    tasks together.

    >>> prior = pooled_start([[[1.0]], [[1.0]]], [[2.0], [4.0]], penalty=1.0)
    >>> prior.weights([[1.0]], [4.0])
    array([3.])
    """
    return SharedStart(pooled_ridge(xs, ys, pooled_penalty).start, penalty)


def _checked_start(x, y, start, penalty, classes=False):
    """Examples and weights of the source as float64, and a penalty that is a positive number."""
    start = np.asarray(start, float)
    if start.ndim != 1 or not np.isfinite(start).all():
        raise UserError(
            f'start has shape {start.shape}: give a finite weight for each column, (d,)'
        )
    if not 0 < penalty < np.inf:
        raise UserError(f'penalty={penalty}: give a positive number')
    return *checked_task(x, y, len(start), classes), start
