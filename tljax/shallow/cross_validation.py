"""Estimates of the error on the target from weighted source examples."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import KFold

from tljax.core import UserError


class Estimator(Protocol):
    """An estimator with scikit-learn's methods."""

    def fit(self, x: np.ndarray, y: np.ndarray, /, *, sample_weight: np.ndarray) -> object:
        """Fits the estimator in place. The returned value is not used.

        Args:
            x: rows, (n, d).
            y: classes, (n,).
            sample_weight: weights of the rows, (n,).
        """
        ...

    def predict(self, x: np.ndarray, /) -> np.ndarray:
        """The class of each row.

        Args:
            x: rows, (n, d).
        """
        ...


def importance_weighted_cross_validation(
    make: Callable[[], Estimator],
    xs: ArrayLike,
    ys: ArrayLike,
    weight: ArrayLike,
    folds: int = 5,
    seed: int = 0,
) -> tuple[float, float]:
    """Estimates the classification error on the target from the source's labels.

    It is the cross-validation error on the source, with every validation example weighted.

    Args:
        make: () -> new estimator with scikit-learn's `fit(x, y, sample_weight)` and `predict(x)`.
        xs: source, (ns, d).
        ys: classes of the source, (ns,).
        weight: importance weights, (ns,), from a function of `tljax.shallow.instance`.
        folds: number of folds.
        seed: of the shuffle before the split into folds.

    Returns:
        (risk, standard error): the mean over folds of mean(weight * error), and its standard error
        over the folds.

    Raises:
        UserError: for unequal lengths, weights that are negative or not finite, or a number of
            folds that is not from 2 to ns.

    Source: Sugiyama, Krauledat and Müller, Covariate shift adaptation by importance weighted cross
    validation, 2007, section 3 (https://jmlr.org/papers/v8/sugiyama07a.html).

    >>> from sklearn.dummy import DummyClassifier
    >>> xs, ys, weight = np.zeros((4, 1)), np.array([0, 0, 0, 1]), np.array([1.0, 1.0, 1.5, 0.5])
    >>> importance_weighted_cross_validation(DummyClassifier, xs, ys, weight, folds=4)
    (0.125, 0.125)
    """
    xs, ys, weight = np.asarray(xs), np.asarray(ys), np.asarray(weight, np.float64)
    if not len(xs) == len(ys) == len(weight):
        raise UserError(
            f'xs, ys and weight have {len(xs)}, {len(ys)} and {len(weight)} rows: give one label '
            'and one weight per example'
        )
    if not (np.isfinite(weight) & (weight >= 0)).all():
        raise UserError(
            f'weight has a value {weight[~(weight >= 0) | np.isinf(weight)][0]}: give finite '
            'weights of at least 0'
        )
    if not 2 <= folds <= len(xs):
        raise UserError(f'folds={folds}: give a number from 2 to the {len(xs)} examples')
    risks = []
    for train, validation in KFold(folds, shuffle=True, random_state=seed).split(xs):
        estimator = make()
        estimator.fit(xs[train], ys[train], sample_weight=weight[train])
        errors = estimator.predict(xs[validation]) != ys[validation]
        risks.append((weight[validation] * errors).mean())
    return float(np.mean(risks)), float(np.std(risks, ddof=1) / folds**0.5)
