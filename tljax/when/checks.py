"""Checks of labelled features. Each returns clean arrays or raises an error of one line."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from tljax.core import UserError


def checked_pair(f: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Returns features and labels as arrays, if they pair.

    Args:
        f: features, (n, d).
        y: labels, integers (n,) or floats (n,) or (n, c).

    Raises:
        UserError: for no rows, different numbers of rows and labels, labels of another type, and
            values that are not finite.

    >>> checked_pair([[1.0]], [float('nan')])
    Traceback (most recent call last):
    tljax.core.UserError: y has 1 values that are not finite: look for where they come from
    """
    f, y = np.asarray(f), np.asarray(y)
    if f.ndim != 2 or not f.size:
        raise UserError(f'f has shape {f.shape}: give features (n, d) of one row or more')
    if y.ndim not in (1, 2) or len(y) != len(f) or not y.size:
        raise UserError(f'f has shape {f.shape} and y {y.shape}: give one label per row')
    if y.dtype.kind not in 'iuf' or y.dtype.kind != 'f' and y.ndim > 1:
        raise UserError(
            f'y has shape {y.shape} and type {y.dtype}: give one integer class per row, or floats '
            'for regression'
        )
    for name, values in (('f', f), ('y', y)):
        if not np.isfinite(values).all():
            raise UserError(
                f'{name} has {int((~np.isfinite(values)).sum())} values that are not finite: look '
                'for where they come from'
            )
    return f, y


def checked_classes(f: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns features in float64 (n, d), classes numbered from 0 (n,), and class sizes (c,).

    Args:
        f: features, (n, d).
        y: labels, integers (n,) of any values.

    Raises:
        UserError: as `checked_pair` and `numbered_classes`, and for features that are the same in
            all rows.

    >>> f, label, size = checked_classes([[1.0], [2.0], [3.0]], [7, 9, 7])
    >>> label.tolist(), size.tolist()
    ([0, 1, 0], [2, 1])
    """
    f, y = checked_pair(f, y)
    refuse_constant(f)
    return f.astype(np.float64), *numbered_classes(f, y)


def numbered_classes(rows: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Returns classes numbered from 0 (n,) and class sizes (c,).

    Args:
        rows: the labelled rows, (n, ...); only their number matters.
        y: labels, integers (n,) of any values.

    Raises:
        UserError: for labels that are not integers, different numbers of rows and labels, and a
            single class.

    >>> label, size = numbered_classes([[1.0], [2.0], [3.0]], [5, 8, 8])
    >>> label.tolist(), size.tolist()
    ([0, 1, 1], [1, 2])
    """
    y, n = np.asarray(y), len(np.asarray(rows))
    if y.ndim != 1 or y.dtype.kind not in 'iu':
        raise UserError(f'y has shape {y.shape} and type {y.dtype}: give one integer class per row')
    if len(y) != n:
        raise UserError(f'{n} rows and {len(y)} labels: give one label per row')
    classes, y, count = np.unique(y, return_inverse=True, return_counts=True)
    refuse_single_class(classes)
    return y, count


def one_hot_targets(y: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | sparse.csr_array]:
    """Returns classes (c,) and sparse one-hot targets (n, c) of integer labels.

    Float labels are their own targets, (n, c), and have no classes: None.

    Args:
        y: labels, integers (n,), or floats (n,) or (n, c).

    >>> classes, targets = one_hot_targets(np.array([9, 7, 9]))
    >>> classes.tolist(), targets.toarray().tolist()
    ([7, 9], [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    """
    if y.dtype.kind == 'f':
        return None, y.reshape(len(y), -1).astype(np.float64)
    classes, index = np.unique(y, return_inverse=True)
    return classes, sparse.csr_array(
        (np.ones(len(y)), index, np.arange(len(y) + 1)), shape=(len(y), len(classes))
    )


def refuse_single_class(classes: np.ndarray | None) -> None:
    """Refuses fewer than two classes.

    Args:
        classes: (c,), or None for regression, which passes.

    >>> refuse_single_class(np.array([7]))
    Traceback (most recent call last):
    tljax.core.UserError: labels of 1 class: give examples of two or more
    """
    if classes is not None and len(classes) < 2:
        noun = 'class' if len(classes) == 1 else 'classes'
        raise UserError(f'labels of {len(classes)} {noun}: give examples of two or more')


def refuse_constant(f: np.ndarray) -> None:
    """Refuses features that are the same in all rows.

    Args:
        f: features, (n, d).

    >>> refuse_constant(np.array([[1.0], [1.0]]))
    Traceback (most recent call last):
    tljax.core.UserError: all 2 rows of f are the same: ...
    """
    if (f == f[0]).all():
        raise UserError(
            f'all {len(f)} rows of f are the same: a source that tells no examples apart has no '
            'score'
        )
