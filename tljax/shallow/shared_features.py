"""Features that many tasks share, selected by the l2,1 norm.

The weights of all tasks, the columns of W (d, tasks), minimise

    sum_t |y_t - x_t w_t|^2 / 2 + penalty sum_j |W_j|,

where W_j are the weights of feature j in all tasks, and |W_j| is their Euclidean length. The sum of
lengths makes whole rows zero: a feature is used by several tasks, or by none.

The minimum is found by accelerated proximal gradient descent, and proved by a dual problem. The
residuals r_t, scaled by a factor of at most 1 so that |(x_tj' r_t)_t| <= penalty for every feature
j, have the dual value sum_t y_t'r_t - |r_t|^2 / 2. No weights have a smaller loss. The duality gap
is the loss minus this value.

Sources: Argyriou, Evgeniou and Pontil, Multi-task feature learning, 2007, and Convex
multi-task feature learning, 2008 (https://doi.org/10.1007/s10994-007-5040-8); Obozinski, Taskar and
Jordan, Joint covariate selection and joint subspace selection for multiple classification problems,
2010 (https://doi.org/10.1007/s11222-008-9111-x); the steps: Beck and Teboulle 2009
(https://doi.org/10.1137/080716542), with the restarts of O'Donoghue and Candès 2015
(https://arxiv.org/abs/1204.3982).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tljax.core import UserError
from tljax.shallow.biased import biased_ridge
from tljax.shallow.many_tasks import check_columns, checked_task, checked_tasks


class JointFeatures(NamedTuple):
    """Features that tasks share.

    Attributes:
        weights: of the tasks that were learnt from, (tasks, d).
        strength: length of each feature's weights in these tasks, (d,); 0 if no task uses it.
        penalty: on the sum of these lengths.
        gap: duality gap, in the units of the loss.

    >>> features = JointFeatures(np.array([[2.0, 0.0]]), np.array([2.0, 0.0]), 1.0, 0.0)
    >>> features.weights_of([[1.0, 1.0]], [3.0])  # the second feature is not used
    array([2., 0.])
    """

    weights: np.ndarray
    strength: np.ndarray
    penalty: float
    gap: float

    def weights_of(self, x: ArrayLike, y: ArrayLike) -> np.ndarray:
        """Weights of a new task, (d,): they minimise |y - x w|^2 / 2 + penalty w'D w / 2.

        D is diagonal, and its entries are 1 / strength. For a task that was learnt from, these are
        the weights of the joint problem.

        Args:
            x: examples of the task, (n, d).
            y: labels, (n,).

        Raises:
            UserError: for examples that `checked_task` refuses.

        Source: Argyriou et al. 2008: the joint problem with the matrix D held fixed.
        """
        x, y = checked_task(x, y, len(self.strength))
        root = np.sqrt(self.strength)
        return root * biased_ridge(x * root, y, np.zeros(len(root)), self.penalty)

    def predict(self, x: ArrayLike, y: ArrayLike, new: ArrayLike) -> np.ndarray:
        """Labels of new rows of a task, (m,).

        Args:
            x: examples of the task, (n, d).
            y: labels of the examples, (n,).
            new: rows without labels, (m, d).

        Raises:
            UserError: as `weights_of`.
        """
        new = np.asarray(new, float)
        check_columns(new, len(self.strength), 'new')
        return new @ self.weights_of(x, y)


def joint_features(
    xs: Sequence[ArrayLike],
    ys: Sequence[ArrayLike],
    penalty: float,
    tolerance: float = 1e-6,
    rounds: int = 100_000,
) -> JointFeatures:
    """Linear regressions of many tasks that use the same features.

    The penalty depends on the scales of the columns. A column of ones, if any, is penalised as the
    others are: subtract the mean of the labels first.

    Args:
        xs: examples of each task, (n, d) each, with n of its own.
        ys: labels of each task, (n,) each.
        penalty: a positive number. With `largest_penalty(xs, ys)` and above no feature is used.
        tolerance: largest duality gap, as a share of sum |y_t|^2 / 2.
        rounds: largest number of steps.

    Returns:
        `JointFeatures`.

    Raises:
        UserError: for tasks that `checked_tasks` refuses, settings that are not positive, and a gap
            that is above the tolerance after the last step.

    Sources: Argyriou et al. 2008 (https://doi.org/10.1007/s10994-007-5040-8); Obozinski et al. 2010
        (https://doi.org/10.1007/s11222-008-9111-x).

    >>> x = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> features = joint_features([x, x], [[3.0, 0.1], [4.0, -0.1]], penalty=1.0)
    >>> features.weights.round(2) + 0  # feature 1 is shortened from 5 to 4, feature 2 is not used
    array([[2.4, 0. ],
           [3.2, 0. ]])
    """
    xs, ys = checked_tasks(xs, ys, least=1)
    for name, value in (('penalty', penalty), ('tolerance', tolerance), ('rounds', rounds)):
        if not 0 < value < np.inf:
            raise UserError(f'{name}={value}: give a positive number')
    x, y = _reduced(xs, ys)
    curvature = _curvature(x)
    scale = sum(y @ y for y in ys) / 2
    weights = lookahead = np.zeros((len(xs), x.shape[2]))
    momentum, gap = 1.0, np.inf
    for step in range(int(rounds)):
        if step % 10 == 0:
            gap = _gap(x, y, weights, penalty)
            if gap <= tolerance * scale:
                return JointFeatures(weights, np.linalg.norm(weights, axis=0), penalty, gap)
        gradient = _correlations(x, _residuals(x, y, lookahead))
        new_weights = shrunk(lookahead + gradient / curvature, penalty / curvature)
        if (curvature * (lookahead - new_weights) * (new_weights - weights)).sum() > 0:
            momentum = 1.0  # it points uphill
        new_momentum = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        lookahead = new_weights + (momentum - 1) / new_momentum * (new_weights - weights)
        weights, momentum = new_weights, new_momentum
    raise UserError(
        f'penalty={penalty}: the duality gap is {gap / scale:.1e} of the loss at 0 after {rounds} '
        'steps: give a larger penalty or tolerance, or more rounds'
    )


def largest_penalty(xs: Sequence[ArrayLike], ys: Sequence[ArrayLike]) -> float:
    """The smallest penalty with which no feature is used.

    Args:
        xs: examples of each task, (n, d) each.
        ys: labels of each task, (n,) each.

    Raises:
        UserError: for tasks that `checked_tasks` refuses.

    >>> largest_penalty([[[1.0]], [[1.0]]], [[3.0], [4.0]])
    5.0
    """
    xs, ys = checked_tasks(xs, ys, least=1)
    return float(np.linalg.norm([x.T @ y for x, y in zip(xs, ys, strict=True)], axis=0).max())


def shrunk(weights: np.ndarray, amount: ArrayLike) -> np.ndarray:
    """Shortens the weights of each feature by an amount, or to zero: the proximal map of the norm.

    Args:
        weights: (tasks, d).
        amount: by which the length of each column is reduced, (d,).

    >>> shrunk(np.array([[3.0, 0.1], [4.0, 0.2]]), [1.0, 1.0]).round(2)
    array([[2.4, 0. ],
           [3.2, 0. ]])
    """
    length = np.linalg.norm(weights, axis=0)
    return weights * (1 - amount / np.maximum(length, amount))


def _reduced(xs, ys):
    """Arrays x (tasks, k, d) and y (tasks, k) for which |y - x w|^2 differs from that of the tasks
    by a constant: tasks are filled with rows of zeros, and then rotated to at most d rows."""
    longest = max(map(len, xs))
    x = np.stack([np.pad(x, ((0, longest - len(x)), (0, 0))) for x in xs])
    y = np.stack([np.pad(y, (0, longest - len(y))) for y in ys])
    if longest <= x.shape[2]:
        return x, y
    q, r = np.linalg.qr(x)
    return r, np.einsum('tnk,tn->tk', q, y)


def _curvature(x):
    """A bound (d,) of the curvature along each feature: diag(curvature) - x'x is positive
    semidefinite for all tasks, whatever the scales of the features are."""
    units = np.sqrt((x**2).sum(1).max(0))
    units = np.where(units > 0, units, 1)
    return np.linalg.norm(x / units, 2, (1, 2)).max() ** 2 * units**2


def _residuals(x, y, weights):
    return y - (x @ weights[..., None])[..., 0]


def _correlations(x, residuals):
    """x't r of each task, (tasks, d)."""
    return (residuals[:, None] @ x)[:, 0]


def _gap(x, y, weights, penalty):
    """The duality gap of weights (tasks, d)."""
    residuals = _residuals(x, y, weights)
    primal = (residuals**2).sum() / 2 + penalty * np.linalg.norm(weights, axis=0).sum()
    largest = np.linalg.norm(_correlations(x, residuals), axis=0).max()
    dual = residuals * (penalty / max(largest, penalty))
    return float(primal - ((y * dual).sum() - (dual**2).sum() / 2))
