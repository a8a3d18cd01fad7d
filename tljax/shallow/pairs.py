"""Pairs of two feature spaces, in which no column of the source means what a column of the target
means: the words of two languages, or words and pictures.

Pairs tell what corresponds: a sentence and its translation, a picture and its caption. They need no
labels. Functions take both halves of them, ps (n, ds) and pt (n, dt), where row i of both is the
same example. `tljax.shallow.crossview` makes `Views` of them: a map of each space into a common
one. There, a classifier of the mapped source predicts the target.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sparse
from numpy.typing import ArrayLike

from tljax.core import UserError
from tljax.shallow.learners import Learner, Predictor, weighted_fit

Map = Callable[[Any], np.ndarray]  # rows of one space (m, d) -> rows of the common space (m, dim)


class Views(NamedTuple):
    """Maps of two feature spaces into a common one.

    Attributes:
        source: rows of the source's space (m, ds) -> (m, dim).
        target: rows of the target's space (m, dt) -> (m, dim).
        strength: of each dimension, in falling order, (dim,): the canonical correlation, or the
            singular value.

    >>> views = Views(lambda x: x[:, :1], lambda x: x[:, 1:], np.ones(1))
    >>> views.source(np.array([[1, 2]])), views.target(np.array([[2, 1]]))
    (array([[1]]), array([[1]]))
    """

    source: Map
    target: Map
    strength: np.ndarray


def copied_labels(
    learner: Learner, xs: ArrayLike, ys: ArrayLike, ps: ArrayLike, pt: ArrayLike
) -> Predictor:
    """Copies labels over pairs: the rival that needs no common space.

    A learner that is trained on the source predicts the labels of the pairs' source halves. The
    same learner is then trained on their target halves with these labels.

    Args:
        learner: as `tljax.shallow.learners` takes it.
        xs: labelled rows of the source, (ns, ds).
        ys: their labels, (ns,).
        ps: source halves of the pairs, (n, ds).
        pt: target halves of the pairs, (n, dt).

    Returns:
        A function of rows of the target (m, dt), which returns their labels (m,).

    Raises:
        UserError: for pairs that `checked_pairs` refuses, and as `weighted_fit`.

    Source: the projection of labels through parallel text: Yarowsky, Ngai and Wicentowski, Inducing
        multilingual text analysis tools via robust projection across aligned corpora, 2001
        (https://aclanthology.org/H01-1035).

    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> nearest = lambda x, y, weight: KNeighborsClassifier(1).fit(x, y)
    >>> xs, ys = np.array([[0.0], [1.0]]), np.array([3, 7])
    >>> predict = copied_labels(nearest, xs, ys, [[0.1], [0.9]], [[5.0, 0.0], [0.0, 5.0]])
    >>> predict(np.array([[1.0, 4.0]]))
    array([7])
    """
    ps, pt = checked_pairs(ps, pt)
    fit, xs, ys = weighted_fit(learner), np.asarray(xs, float), np.asarray(ys)
    copied = fit(xs, ys, np.ones(len(xs)))(ps)
    if (copied == copied[0]).all():  # nothing to learn
        return lambda x: np.full(len(x), copied[0])
    return fit(pt, copied, np.ones(len(pt)))


def found_pairs(zs: ArrayLike, zt: ArrayLike) -> float:
    """Precision at 1: the share of target rows whose nearest source row, by cosine, is their pair.

    Args:
        zs: source halves of pairs in the common space, (n, dim).
        zt: target halves of the same pairs, (n, dim).

    Raises:
        UserError: for halves of different shapes.

    >>> zs = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> found_pairs(zs, 5 * zs), found_pairs(zs, np.array([[1.0, 0.5], [1.0, 0.5]]))
    (1.0, 0.5)
    """
    zs, zt = np.asarray(zs, float), np.asarray(zt, float)
    if zs.ndim != 2 or zs.shape != zt.shape or not len(zs):
        raise UserError(f'zs {zs.shape} and zt {zt.shape}: map both halves into one space first')
    nearest = (zt @ unit_rows(zs).T).argmax(1)
    return float((nearest == np.arange(len(zs))).mean())


def unit_rows(z: ArrayLike) -> np.ndarray:
    """Divides rows by their lengths, in float64; rows of zeros stay.

    Args:
        z: rows, (n, d).

    >>> unit_rows([[3.0, 4.0], [0.0, 0.0]]).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    z = np.asarray(z, float)
    length = np.linalg.norm(z, axis=1, keepdims=True)
    return z / np.where(length > 0, length, 1)


def checked_pairs(
    ps: ArrayLike, pt: ArrayLike, **positive: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Checks both halves of pairs, and converts them to float64.

    Args:
        ps: source halves of the pairs, (n, ds).
        pt: target halves of the pairs, (n, dt).
        positive: settings by name, each a positive number or None.

    Returns:
        (ps, pt).

    Raises:
        UserError: for sparse matrices, fewer than two pairs, halves of different lengths, values
            that are not finite, halves that are all the same, and a setting that is not positive.

    >>> checked_pairs(np.eye(3), np.eye(2))
    Traceback (most recent call last):
    tljax.core.UserError: ps has 3 rows and pt has 2: row i of both must be the same example
    """
    halves = []
    for name, x in (('ps', ps), ('pt', pt)):
        if sparse.issparse(x):
            raise UserError(f'{name} is a sparse matrix: give {name}.toarray()')
        x = np.asarray(x, float)
        if x.ndim != 2 or len(x) < 2 or not x.size:
            raise UserError(f'{name} {x.shape}: give two or more rows of features, (n, d)')
        if not np.isfinite(x).all():
            raise UserError(
                f'{name}: {int((~np.isfinite(x)).sum())} of {x.size} values are not finite: fill '
                'them or drop their pairs'
            )
        if not np.ptp(x, axis=0).any():
            raise UserError(f'{name}: all {len(x)} rows are equal: give pairs that differ')
        halves.append(x)
    if len(halves[0]) != len(halves[1]):
        raise UserError(
            f'ps has {len(halves[0])} rows and pt has {len(halves[1])}: row i of both must be the '
            'same example'
        )
    for name, value in positive.items():
        if value is not None and not 0 < value < np.inf:
            raise UserError(f'{name}={value}: give a positive number')
    return halves[0], halves[1]


def with_columns(x: ArrayLike, d: int) -> np.ndarray:
    """Returns rows in float64, if they have the columns of the pairs.

    Args:
        x: rows, (m, d).
        d: number of columns.

    Raises:
        UserError: for a sparse matrix, or another number of columns.

    >>> with_columns(np.ones((2, 3)), 4)
    Traceback (most recent call last):
    tljax.core.UserError: rows of shape (2, 3) are to be mapped: give (m, 4), the columns of the ...
    """
    if sparse.issparse(x):
        raise UserError('the rows are a sparse matrix: give x.toarray()')
    x = np.asarray(x, float)
    if x.ndim != 2 or x.shape[1] != d:
        raise UserError(
            f'rows of shape {x.shape} are to be mapped: give (m, {d}), the columns of the pairs'
        )
    return x
