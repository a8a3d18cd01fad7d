"""LogME and the H-score, which need no more of labelled features than sums over them, and so also
score sets too large for memory.

Features f are (n, d) of any real type, labels y (n,) integers whose values and order do not matter.
All is computed in float64.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.linalg import eigh_tridiagonal, get_lapack_funcs
from scipy.optimize import elementwise

from tljax.core import UserError
from tljax.when.checks import (
    checked_classes,
    checked_pair,
    one_hot_targets,
    refuse_constant,
    refuse_single_class,
)

ROWS = 4096  # rows that are held in float64 at once
# directions with less of the features' power than this are taken for rounding, which is near 1e-16
# n
RANK = 1e-12
# a smaller unexplained share of the labels is taken for rounding; at 0 their evidence would be
# infinite
RESIDUAL = 1e-10
# ln(alpha / beta) over the features' power: beyond, nothing or everything is explained
LOG_RATIOS = np.linspace(-60, 25, 400)


class Moments(NamedTuple):
    """What `logme_of` and `h_score_of` need to know of labelled features; `moments` makes it, also
    of sets too large for memory.

    The targets t are classes one-hot, or float labels.

    Attributes:
        n: number of rows.
        gram: (d, d), f^T f.
        cross: (d, c), f^T t.
        square: (c,), column sums of t^2.
        classes: (c,), which integers the columns stand for; None for float labels.

    >>> moments([(np.array([[1.0, 2.0]]), np.array([7]))])._replace(gram=None)
    Moments(n=1, gram=None, cross=array([[1.],
           [2.]]), square=array([1.]), classes=array([7]))
    """

    n: int
    gram: np.ndarray
    cross: np.ndarray
    square: np.ndarray
    classes: np.ndarray | None


def moments(blocks: Iterable[tuple[ArrayLike, ArrayLike]]) -> Moments:
    """The `Moments` of all rows together, in memory of d^2 and one block.

    Products are of float64: those of float32 move LogME in its second digit where features have a
    mean and a decaying spectrum.

    Args:
        blocks: an iterable of pairs (f, y), (n, d) and (n,) integers or (n,) or (n, c) floats. A
            class may be missing from a block.

    Raises:
        UserError: as in the module, and for no blocks, or blocks of other columns.

    >>> x, y = np.arange(8.0).reshape(4, 2), np.array([0, 1, 1, 2])
    >>> whole, parts = moments([(x, y)]), moments((x[i : i + 1], y[i : i + 1]) for i in range(4))
    >>> parts.classes.tolist(), parts.cross.tolist() == whole.cross.tolist()
    ([0, 1, 2], True)
    """
    total = None
    for f, y in blocks:
        f, y = checked_pair(f, y)
        for start in range(0, len(f), ROWS):
            part = _moments(f[start : start + ROWS].astype(np.float64), y[start : start + ROWS])
            total = part if total is None else _sum(total, part)
    if total is None:
        raise UserError('moments of no blocks: give one pair of features and labels or more')
    return total


def logme(f: ArrayLike, y: ArrayLike) -> float:
    """The largest log evidence of a Bayesian linear model per example, averaged over classes:
    LogME.

    Targets, one class against the rest, are t = f w + noise with w ~ N(0, 1 / alpha) and noise of
    variance 1 / beta, thus t ~ N(0, (I + f f^T beta / alpha) / beta), for the alpha and beta that
    make t most likely. It knows no offset: append a column of ones for one. Where fewer than n
    features explain labels in full the evidence has no upper limit; their noise is then taken for
    `RESIDUAL` of them.

    Source: You et al. 2021 (https://arxiv.org/abs/2102.11005) and 2022
        (https://arxiv.org/abs/2110.10545). Their fixed point iteration from
    alpha = beta = 1 is not used: evidence can have several maxima, and it stops at one that need
    not be the largest, near it rather than at it. Given alpha / beta the best beta is known in
    closed form, and that one ratio is looked for everywhere.

    Args:
        f: as in the module.
        y: as in the module; or float labels, (n,) or (n, k), for regression, averaged over columns:
            none of them 0 throughout.

    >>> f = np.array([[0.0, 1.0], [0.0, 2.0], [1.0, 0.0], [2.0, 0.0]])
    >>> logme(f, np.array([0, 0, 1, 1])) > logme(f, np.array([0, 1, 0, 1]))
    True
    """
    f, y = checked_pair(f, y)
    refuse_constant(f)
    if len(f) >= f.shape[1]:
        return logme_of(moments([(f, y)]))
    classes, targets = one_hot_targets(y)
    refuse_single_class(classes)
    f, targets = f.astype(np.float64), _dense(targets)
    values, energy = _spectrum(f @ f.T, targets)
    return _log_evidence(len(f), values, values[:, None] * energy, (targets**2).sum(0))


def logme_of(moments: Moments) -> float:
    """`logme` of what `moments` has summed.

    Args:
        moments: of labelled features, with integer or float labels.

    >>> f, y = np.array([[0.0, 1.0], [0.0, 2.0], [1.0, 0.0], [2.0, 0.0]]), np.array([0, 0, 1, 1])
    >>> logme_of(moments([(f[:1], y[:1]), (f[1:], y[1:])])) == logme(f, y)
    True
    """
    refuse_single_class(moments.classes)
    return _log_evidence(moments.n, *_spectrum(moments.gram, moments.cross), moments.square)


def _log_evidence(n, values, energy, square):
    """The largest log evidence per row, averaged over columns t of targets.

    values: (r,) eigenvalues of f^T f or f f^T. energy: (r, c), (v^T f^T t)^2 for the eigenvectors v
        of f^T f. square: (c,), t^T t.
    """
    if not square.all():
        raise UserError(f'column {int(square.argmin())} of y is 0 throughout: leave it out')
    kept = values > RANK * values.sum()
    values = values[kept, None]
    # shares of t^T t along the directions of f, which n directions exhaust
    inside = energy[kept] / (values * square)
    outside = np.maximum(1 - inside.sum(0), RESIDUAL) * (len(values) < n)

    # minus the evidence over n at the best beta, but for what depends on neither
    def cost(ratio, unexplained):
        return (np.log1p(values / ratio).sum(0) / n + np.log(unexplained)) / 2

    def of_column(log_ratio, column):
        ratio = np.exp(log_ratio)
        return cost(
            ratio, outside[column] + (inside[:, column] * (ratio / (values + ratio))).sum(0)
        )

    grid = LOG_RATIOS + np.log(values.sum() or 1.0)
    costs = cost(np.exp(grid), outside[:, None] + inside.T @ (1 / (1 + values / np.exp(grid))))
    place = costs.argmin(1).clip(1, len(grid) - 2)
    found = elementwise.find_minimum(
        of_column, (grid[place - 1], grid[place], grid[place + 1]), args=(np.arange(len(square)),)
    )
    # at an end of the grid there is no minimum between two points
    least = np.where(found.success, found.f_x, costs.min(1))
    return -float((least + np.log(2 * np.pi * np.e * square / n) / 2).mean())


def h_score(f: ArrayLike, y: ArrayLike) -> float:
    """tr(cov(f)^+ cov(E[f | y])), 0 to min(d, classes - 1): how much of the features' whitened
    variance lies between classes: the H-score.

    With d near n it reaches its maximum whatever the labels are; `regularised_h_score` is made for
    that.

    Args:
        f: as in the module.
        y: as in the module.

    Source: Bao et al. 2019 (https://doi.org/10.1109/ICIP.2019.8803726). Directions that do not vary
        are left out.

    >>> round(
    ...     h_score(
    ...         np.array([[0.0, 1.0], [0.0, 2.0], [1.0, 1.0], [1.0, 2.0]]), np.array([0, 0, 1, 1])
    ...     ),
    ...     6,
    ... )
    1.0
    """
    f, y, _ = checked_classes(f, y)
    return h_score_of(moments([(f - f.mean(0), y)]))


def h_score_of(moments: Moments) -> float:
    """`h_score` of what `moments` has summed of integer labels.

    Features whose mean is far above their spread lose digits here: subtract about that mean from
    all blocks.

    Args:
        moments: of features with integer labels.

    >>> f, y = np.array([[0.0, 1.0], [0.0, 2.0], [1.0, 0.0], [2.0, 0.0]]), np.array([0, 0, 1, 1])
    >>> abs(h_score_of(moments([(f[:1], y[:1]), (f[1:], y[1:])])) - h_score(f, y)) < 1e-9
    True
    """
    if moments.classes is None:
        raise UserError('an H-score of float labels: give integer classes')
    refuse_single_class(moments.classes)
    n, count, mean = moments.n, moments.square, moments.cross.sum(1, keepdims=True) / moments.n
    between = (moments.cross / count - mean) * np.sqrt(count / n)
    return explained_trace(
        moments.gram / n - mean @ mean.T, between, RANK * np.trace(moments.gram) / n
    )


def _dense(targets: np.ndarray | sparse.csr_array) -> np.ndarray:
    return targets if isinstance(targets, np.ndarray) else targets.toarray()


def _moments(f: np.ndarray, y: np.ndarray) -> Moments:
    classes, targets = one_hot_targets(y)
    return Moments(len(f), f.T @ f, (targets.T @ f).T, (targets * targets).sum(0), classes)


def _sum(a: Moments, b: Moments) -> Moments:
    """The moments of both, whose classes need not be the same."""
    kinds = [
        (len(each.gram), len(each.square) if each.classes is None else 'integer') for each in (a, b)
    ]
    if kinds[0] != kinds[1]:
        raise UserError(
            f'blocks of {kinds[0][0]} features and {kinds[0][1]} labels, and of {kinds[1][0]} and '
            f'{kinds[1][1]}: give one kind'
        )
    if a.classes is None or b.classes is None:
        return Moments(a.n + b.n, a.gram + b.gram, a.cross + b.cross, a.square + b.square, None)
    classes = np.union1d(a.classes, b.classes)
    cross, square = np.zeros((len(a.gram), len(classes))), np.zeros(len(classes))
    for each, own in ((a, a.classes), (b, b.classes)):
        place = np.searchsorted(classes, own)
        cross[:, place] += each.cross
        square[place] += each.square
    return Moments(a.n + b.n, a.gram + b.gram, cross, square, classes)


def explained_trace(covariance: np.ndarray, between: np.ndarray, smallest: float) -> float:
    """tr(covariance^+ between between^T) for covariance (d, d) and between (d, c), without
    eigenvalues up to the smallest.

    Args:
        covariance: (d, d), symmetric.
        between: (d, c).
        smallest: eigenvalues of the covariance up to this one are left out.

    >>> explained_trace(np.diag([2.0, 0.0]), np.array([[2.0], [1.0]]), smallest=1e-9)
    2.0
    """
    values, energy = _spectrum(covariance, between)
    kept = values > smallest
    return float((energy[kept] / values[kept, None]).sum())


def _spectrum(matrix: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (d,) of a symmetric matrix (d, d), and (v^T right)^2 (d, c) for its eigenvectors
    v, right (d, c).

    LAPACK reduces the matrix to a tridiagonal one of the same eigenvalues; only that one's
    eigenvectors are formed, as those of the matrix would cost as much again.
    """
    if len(matrix) == 1:
        return matrix[0], right**2
    work = 64 * len(matrix)  # LAPACK's blocks are of 64 columns at most
    sytrd, ormqr = get_lapack_funcs(('sytrd', 'ormqr'), dtype=np.float64)
    reflectors, diagonal, beside, tau, _ = sytrd(matrix, lower=1, lwork=work)
    rotated = np.concatenate(
        [right[:1], ormqr('L', 'T', reflectors[1:, :-1], tau, right[1:], work)[0]]
    )
    values, vectors = eigh_tridiagonal(diagonal, beside)
    return values, (vectors.T @ rotated) ** 2
