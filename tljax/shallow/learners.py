"""Learners that take weights, and labelled rows of a source and a target.

A learner is an estimator with scikit-learn's `fit(x, y, sample_weight)` and `predict(x)`, or a
function (x, y, weight) -> predictor, where a predictor is a function x -> (n,) or has a method
`predict`. Features may be SciPy's sparse matrices, such as those of texts.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sparse
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from tljax.core import UserError

Rows = Any  # features (n, d): an array, or a sparse matrix of SciPy
Predictor = Callable[[Rows], np.ndarray]
Learner = Any  # an estimator of scikit-learn, or a function (x, y, weight) -> predictor
Fit = Callable[[Rows, np.ndarray, np.ndarray], Predictor]


class Pooled(NamedTuple):
    """Labelled rows of all sources, and then those of the target.

    Attributes:
        x: features, (n, d).
        y: labels, (n,).
        domain: number of each row's source from 0, and -1 for the target, (n,).
    """

    x: Rows
    y: np.ndarray
    domain: np.ndarray


def weighted_fit(learner: Learner) -> Fit:
    """Returns a learner as a function (x, y, weight) -> (x -> predictions).

    The weights that the learner gets are scaled to average 1, as the penalty of many learners,
    such as `C` of a support vector machine, counts relative to their sum.

    Args:
        learner: as the module says.

    Raises:
        UserError: the learner takes no weights, or a predictor does not return one value per row.

    >>> from sklearn.dummy import DummyRegressor
    >>> predict = weighted_fit(DummyRegressor())(
    ...     np.zeros((2, 1)), np.array([0, 8]), np.array([3, 1])
    ... )
    >>> predict(np.zeros((1, 1)))
    array([2.])
    """
    fit = _estimator_fit(learner) if hasattr(learner, 'fit') else _function(learner)

    def fit_scaled(x: Rows, y: np.ndarray, weight: np.ndarray) -> Predictor:
        predictor = fit(x, y, weight / weight.mean())
        predict: Any = getattr(predictor, 'predict', predictor)
        if not callable(predict):
            raise UserError(
                f'the learner returned {type(predictor).__name__}: return a function of x, or an '
                'object with a method predict'
            )
        return lambda x: _one_per_row(predict(x), x.shape[0])

    return fit_scaled


def _estimator_fit(learner: Any) -> Callable[..., Any]:
    """An estimator's `fit` as a function (x, y, weight) -> fitted estimator."""
    if not has_fit_parameter(learner, 'sample_weight'):
        raise UserError(
            f'{type(learner).__name__} takes no sample_weight: take a learner that does, or give a '
            'function (x, y, weight) -> predictor'
        )

    def fit(x, y, weight):
        fitted: Any = clone(learner, safe=False)
        fitted.fit(x, y, sample_weight=weight)
        return fitted

    return fit


def _function(learner: Any) -> Callable[..., Any]:
    """A learner that is a function, if it can be called with (x, y, weight)."""
    try:
        inspect.signature(learner).bind(None, None, None)
    except (TypeError, ValueError):
        name = getattr(learner, '__name__', type(learner).__name__)
        raise UserError(
            f'{name} takes no weights: give a function (x, y, weight) -> predictor, or an '
            'estimator with fit(x, y, sample_weight)'
        ) from None
    return learner


def _one_per_row(values: Any, count: int) -> np.ndarray:
    values = np.asarray(values)
    if values.shape != (count,):
        raise UserError(
            f'the predictor returned shape {values.shape} for {count} rows: return one label or '
            'number per row'
        )
    return values


def pool(sources: Sequence[tuple[Rows, ArrayLike]], xt: Rows, yt: ArrayLike) -> Pooled:
    """Stacks the labelled rows of sources and of the target.

    Args:
        sources: pairs of features (n, d) and labels (n,).
        xt: labelled rows of the target, (nt, d).
        yt: labels of the target, (nt,).

    Raises:
        UserError: a part without rows, features that are not finite, labels that are missing or
            of other kinds (names, numbers) or counts than the rows, and different columns.

    >>> pool([(np.zeros((2, 1)), [0, 1])], np.ones((1, 1)), [1]).domain
    array([ 0,  0, -1])
    """
    if not sources:
        raise UserError('there is no source: give pairs (xs, ys)')
    names = [''] if len(sources) == 1 else [f' {i}' for i in range(len(sources))]
    parts = [
        *(_rows(f'source{name}', *part) for name, part in zip(names, sources, strict=True)),
        _rows('target', xt, yt),
    ]
    target, label = parts[-1]
    for name, (x, y) in zip(names, parts[:-1], strict=True):
        if x.shape[1] != target.shape[1]:
            raise UserError(
                f'the source{name} has {x.shape[1]} columns and the target {target.shape[1]}: give '
                'both the same features'
            )
        if (y.dtype.kind in 'biuf') != (label.dtype.kind in 'biuf'):
            raise UserError(
                f'labels of the source{name} are {y.dtype} and of the target {label.dtype}: give '
                'both names, or both numbers'
            )
    x = [x for x, _ in parts]
    is_sparse = any(map(sparse.issparse, x))
    sizes = [len(y) for _, y in parts]
    return Pooled(
        sparse.vstack(x, format='csr') if is_sparse else np.concatenate(x),
        np.concatenate([y for _, y in parts]),
        np.repeat([*range(len(sources)), -1], sizes),
    )


def _rows(name: str, x: Rows, y: ArrayLike) -> tuple[Rows, np.ndarray]:
    """Features and labels of a domain, or a refusal as `pool` says."""
    x, y = x if sparse.issparse(x) else np.asarray(x), np.asarray(y)
    if x.ndim != 2 or not x.shape[0] or not x.shape[1]:
        raise UserError(f'the {name} has shape {x.shape}: give features (n, d) of one row or more')
    if y.shape != (x.shape[0],):
        raise UserError(
            f'the {name} has {x.shape[0]} rows and labels of shape {y.shape}: give one label per '
            'row; rows without labels are of no use here'
        )
    values: Any = x.data if sparse.issparse(x) else x
    if values.dtype.kind not in 'biuf' or not np.isfinite(values).all():
        raise UserError(
            f'features of the {name} are not all finite numbers: drop or impute their rows'
        )
    missing = sum(
        value is None or isinstance(value, float) and not math.isfinite(value)
        for value in y.tolist()
    )
    if missing:
        raise UserError(f'{missing} labels of the {name} are missing: give labelled rows alone')
    return x, np.asarray(y.tolist())
