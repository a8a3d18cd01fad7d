"""LogME and the H-score, from sums over labelled features.

The sums can be collected block by block, so that sets need not fit in memory.

Features f are (n, d) of any real type. Labels y are (n,) integers, whose values and order do not
matter. All is computed in float64.
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

ROWS = 4096  # rows in memory as float64 at once
# directions with a smaller share of the features' power count as rounding error, which is near
# 1e-16 n
RANK = 1e-12
# a smaller unexplained share of the labels counts as rounding error; with a share of 0 the evidence
# would be infinite
RESIDUAL = 1e-10
# ln(alpha / beta), relative to the features' power; beyond these limits the features explain
# everything or nothing
LOG_RATIOS = np.linspace(-60, 25, 400)


class Moments(NamedTuple):
    """Sums over labelled features, which `logme_of` and `h_score_of` take and `moments` computes.

    The targets t are one-hot classes, or float labels.

    Attributes:
        n: number of rows.
        gram: (d, d), f^T f.
        cross: (d, c), f^T t.
        square: (c,), column sums of t^2.
        classes: (c,), the integer class of each column of t; None for float labels.

    >>> sums = moments([(np.array([[1.0, 2.0]]), np.array([7]))])
    >>> sums.n, sums.gram.tolist(), sums.cross.tolist(), sums.classes.tolist()
    (1, [[1.0, 2.0], [2.0, 4.0]], [[1.0], [2.0]], [7])
    """

    n: int
    gram: np.ndarray
    cross: np.ndarray
    square: np.ndarray
    classes: np.ndarray | None


def moments(blocks: Iterable[tuple[ArrayLike, ArrayLike]]) -> Moments:
    """Computes the `Moments` of all blocks together, in the memory of one block and d^2.

    Products are computed in float64. Those in float32 would change LogME in its second digit for
    features with a mean and a decaying spectrum.

    Args:
        blocks: an iterable of pairs (f, y): features (n, d), and labels (n,) integers or (n,) or
            (n, c) floats. A block need not have all classes.

    Raises:
        UserError: as `tljax.when.checks.checked_pair`; for no blocks, and for blocks of different
            columns.

    >>> f, y = np.arange(8.0).reshape(4, 2), np.array([0, 1, 1, 2])
    >>> full, sums = moments([(f, y)]), moments([(f[:1], y[:1]), (f[1:], y[1:])])
    >>> sums.classes.tolist(), bool((sums.cross == full.cross).all())
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
    """LogME: the largest log evidence per example of a Bayesian linear model.

    It is averaged over classes. The targets of a class against the rest are t = f w + noise, with w
    ~ N(0, 1 / alpha) and noise of variance 1 / beta. Thus t ~ N(0, (I + f f^T beta / alpha) /
    beta). The evidence is its density at the alpha and beta that maximise it. The model has no
    offset: append a column of ones to f for one. If fewer than n features explain the labels fully,
    the evidence is unbounded; the share `RESIDUAL` of the labels then counts as noise.

    Args:
        f: as described in the module.
        y: as described in the module; or float labels, (n,) or (n, k), for regression. Columns are
            averaged, and none may be 0 throughout.

    Source: You et al. 2021 (https://arxiv.org/abs/2102.11005) and 2022
    (https://arxiv.org/abs/2110.10545). Their fixed point iteration from alpha = beta = 1 is not
    used. The evidence can have several maxima, and the iteration stops near one of them, not always
    the largest. Here the best beta is computed in closed form for each alpha / beta, and this ratio
    is searched over its whole range.

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
    """Computes `logme` from `Moments`.

    Args:
        moments: sums over features with integer or float labels.

    >>> f, y = np.array([[0.0, 1.0], [0.0, 2.0], [1.0, 0.0], [2.0, 0.0]]), np.array([0, 0, 1, 1])
    >>> logme_of(moments([(f[:1], y[:1]), (f[1:], y[1:])])) == logme(f, y)
    True
    """
    refuse_single_class(moments.classes)
    return _log_evidence(moments.n, *_spectrum(moments.gram, moments.cross), moments.square)


def _log_evidence(n, values, energy, square):
    """Returns the largest log evidence per row, averaged over the columns t of the targets.

    Args:
        n: number of rows.
        values: (r,), eigenvalues of f^T f or f f^T.
        energy: (r, c), (v^T f^T t)^2 for the eigenvectors v of f^T f.
        square: (c,), t^T t.
    """
    if not square.all():
        raise UserError(f'column {int(square.argmin())} of y is 0 throughout: leave it out')
    mask = values > RANK * values.sum()
    values = values[mask, None]
    share = energy[mask] / (values * square)  # of t^T t along each direction of f
    rest = np.maximum(1 - share.sum(0), RESIDUAL)  # of t^T t outside of all directions
    if len(values) >= n:
        rest = np.zeros_like(rest)

    # minus the evidence over n at the best beta, without terms that are the same for all ratios
    def cost(ratio, residual):
        return (np.log1p(values / ratio).sum(0) / n + np.log(residual)) / 2

    def column_cost(log_ratio, column):
        ratio = np.exp(log_ratio)
        return cost(ratio, rest[column] + (share[:, column] * (ratio / (values + ratio))).sum(0))

    grid = LOG_RATIOS + np.log(values.sum() or 1.0)
    costs = cost(np.exp(grid), rest[:, None] + share.T @ (1 / (1 + values / np.exp(grid))))
    place = costs.argmin(1).clip(1, len(grid) - 2)
    minimum = elementwise.find_minimum(
        column_cost, (grid[place - 1], grid[place], grid[place + 1]), args=(np.arange(len(square)),)
    )
    # a column whose best ratio is an end of the grid has no minimum between two points
    smallest_cost = np.where(minimum.success, minimum.f_x, costs.min(1))
    return -float((smallest_cost + np.log(2 * np.pi * np.e * square / n) / 2).mean())


def h_score(f: ArrayLike, y: ArrayLike) -> float:
    """H-score: tr(cov(f)^+ cov(E[f | y])), 0 to min(d, classes - 1).

    It is the amount of the features' whitened variance that lies between classes. With d near n it
    reaches its maximum for any labels; use `regularised_h_score` then. Directions without variance
    are left out.

    Args:
        f: as described in the module.
        y: as described in the module.

    Source: Bao et al. 2019 (https://doi.org/10.1109/ICIP.2019.8803726).

    >>> f = np.array([[0.0, 1.0], [0.0, 2.0], [1.0, 1.0], [1.0, 2.0]])
    >>> round(h_score(f, np.array([0, 0, 1, 1])), 6)  # the first column equals the class
    1.0
    """
    f, y, _ = checked_classes(f, y)
    return h_score_of(moments([(f - f.mean(0), y)]))


def h_score_of(moments: Moments) -> float:
    """Computes `h_score` from `Moments` of integer labels.

    Features with a mean far above their spread lose digits: subtract an approximate mean from all
    blocks first.

    Args:
        moments: sums over features with integer labels.

    >>> f, y = np.array([[0.0, 1.0], [0.0, 2.0], [1.0, 0.0], [2.0, 0.0]]), np.array([0, 0, 1, 1])
    >>> abs(h_score_of(moments([(f[:1], y[:1]), (f[1:], y[1:])])) - h_score(f, y)) < 1e-9
    True
    """
    if moments.classes is None:
        raise UserError('an H-score of float labels: give integer classes')
    refuse_single_class(moments.classes)
    n, count, mean = moments.n, moments.square, moments.cross.sum(1, keepdims=True) / moments.n
    class_means = (moments.cross / count - mean) * np.sqrt(count / n)
    return explained_trace(
        moments.gram / n - mean @ mean.T, class_means, RANK * np.trace(moments.gram) / n
    )


def _dense(targets: np.ndarray | sparse.csr_array) -> np.ndarray:
    return targets if isinstance(targets, np.ndarray) else targets.toarray()


def _moments(f: np.ndarray, y: np.ndarray) -> Moments:
    classes, targets = one_hot_targets(y)
    return Moments(len(f), f.T @ f, (targets.T @ f).T, (targets * targets).sum(0), classes)


def _sum(a: Moments, b: Moments) -> Moments:
    """Adds moments, whose classes may differ."""
    kind_a, kind_b = (
        (len(block.gram), len(block.square) if block.classes is None else 'integer')
        for block in (a, b)
    )
    if kind_a != kind_b:
        raise UserError(
            f'blocks of {kind_a[0]} features and {kind_a[1]} labels, and of {kind_b[0]} and '
            f'{kind_b[1]}: give one kind'
        )
    if a.classes is None or b.classes is None:
        return Moments(a.n + b.n, a.gram + b.gram, a.cross + b.cross, a.square + b.square, None)
    classes = np.union1d(a.classes, b.classes)
    cross, square = np.zeros((len(a.gram), len(classes))), np.zeros(len(classes))
    for block, block_classes in ((a, a.classes), (b, b.classes)):
        place = np.searchsorted(classes, block_classes)
        cross[:, place] += block.cross
        square[place] += block.square
    return Moments(a.n + b.n, a.gram + b.gram, cross, square, classes)


def explained_trace(covariance: np.ndarray, cross: np.ndarray, cutoff: float) -> float:
    """Returns tr(covariance^+ cross cross^T), the trace of the covariance that `cross` explains.

    Args:
        covariance: (d, d), symmetric.
        cross: (d, c).
        cutoff: eigenvalues of the covariance up to this one are left out.

    >>> explained_trace(np.diag([2.0, 0.0]), np.array([[2.0], [1.0]]), cutoff=1e-9)
    2.0
    """
    values, energy = _spectrum(covariance, cross)
    mask = values > cutoff
    return float((energy[mask] / values[mask, None]).sum())


def _spectrum(matrix: np.ndarray, cross: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the spectrum of a symmetric matrix (d, d), and the energy of `cross` (d, c) in it.

    These are the eigenvalues (d,), and (v^T cross)^2 (d, c) for the eigenvectors v.

    LAPACK reduces the matrix to a tridiagonal one with the same eigenvalues. Only the eigenvectors
    of the tridiagonal matrix are computed, since those of the matrix itself would double the cost.
    """
    if len(matrix) == 1:
        return matrix[0], cross**2
    work = 64 * len(matrix)  # LAPACK's blocks have at most 64 columns
    sytrd, ormqr = get_lapack_funcs(('sytrd', 'ormqr'), dtype=np.float64)
    reflectors, diagonal, off_diagonal, tau, _ = sytrd(matrix, lower=1, lwork=work)
    rotated = np.concatenate(
        [cross[:1], ormqr('L', 'T', reflectors[1:, :-1], tau, cross[1:], work)[0]]
    )
    values, vectors = eigh_tridiagonal(diagonal, off_diagonal)
    return values, (vectors.T @ rotated) ** 2
