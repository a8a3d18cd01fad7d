"""Transfer between feature spaces through pairs: maps of two spaces into a common one.

The functions take the halves of unlabelled pairs and return `Views`, as `tljax.shallow.pairs`
says. Each space has its own mean and its own unit: to multiply one space by a number changes
nothing.
"""

import numpy as np
from numpy.typing import ArrayLike

from tljax.core import UserError
from tljax.kernels import gaussian, in_float64, median_width
from tljax.shallow.components import check_dim
from tljax.shallow.pairs import Views, checked_pairs, with_columns


def cca(ps: ArrayLike, pt: ArrayLike, dim: int = 10) -> Views:
    """CCA, canonical correlation analysis: the directions of both spaces that correlate most.

    Each dimension of the common space has variance 1 over the pairs, and dimensions of one space do
    not correlate. Columns may have any scale, and depend on each other.

    Args:
        ps: source halves of the pairs, (n, ds).
        pt: target halves of the pairs, (n, dt).
        dim: number of dimensions of the common space.

    Returns:
        `Views`, whose strength are the canonical correlations.

    Raises:
        UserError: for pairs that `checked_pairs` refuses, for more dimensions than the spaces have,
            and for so few pairs that every sample would have perfect correlations.

    Sources: Hotelling, Relations between two sets of variates, 1936
        (https://doi.org/10.1093/biomet/28.3-4.321); by a singular value decomposition: Björck and
        Golub 1973 (https://doi.org/10.1090/S0025-5718-1973-0348991-3).

    >>> ps = np.array([[1.0, 5.0], [2.0, 3.0], [3.0, 4.0], [4.0, 4.0], [5.0, 3.0]])
    >>> views = cca(ps, 10 - 2 * ps[:, :1], dim=1)  # the target is the source's first column
    >>> views.strength.round(3), np.allclose(views.source(ps), views.target(10 - 2 * ps[:, :1]))
    (array([1.]), True)
    """
    ps, pt = checked_pairs(ps, pt)
    (basis_s, whiten_s), (basis_t, whiten_t) = _whitening(ps), _whitening(pt)
    ranks = basis_s.shape[1], basis_t.shape[1]
    if sum(ranks) >= len(ps):
        raise UserError(
            f'{len(ps)} pairs of {ranks[0]} and {ranks[1]} independent columns correlate perfectly '
            f'by chance: give more than {sum(ranks)} pairs, fewer columns, or take kernel_cca'
        )
    check_dim(dim, min(ranks))
    left, correlation, right = np.linalg.svd(basis_s.T @ basis_t, full_matrices=False)
    return Views(
        _linear(ps.mean(0), whiten_s @ left[:, :dim]),
        _linear(pt.mean(0), whiten_t @ right.T[:, :dim]),
        np.minimum(correlation[:dim], 1),
    )


def kernel_cca(
    ps: ArrayLike,
    pt: ArrayLike,
    dim: int = 100,
    penalty: float = 1.0,
    power: float = 0.0,
    kernel: str = 'linear',
    width: float | None = None,
) -> Views:
    """Kernel CCA with a penalty, for spaces of more columns than there are pairs.

    A direction of a space is a sum over the pairs, sum_i a_i phi(x_i). With the centred kernels K
    and L of the two halves, the first pair of directions maximises a'KLb subject to a'K^2a +
    penalty * k a'Ka = n - 1 and the same for b and L. Here k = trace(K) / n is the mean eigenvalue,
    so that a penalty means the same for kernels of any scale. With a penalty near 0 and a linear
    kernel this is `cca`. Where columns outnumber pairs, the penalty keeps every sample from having
    perfect correlations.

    Args:
        ps: source halves of the pairs, (n, ds).
        pt: target halves of the pairs, (n, dt).
        dim: number of dimensions of the common space.
        penalty: on the squared length of a direction, in mean eigenvalues of its kernel.
        power: dimensions are multiplied by their penalised correlation to this power; 0 for the
            paper's. Where a classifier or a distance compares rows, a larger power weakens
            dimensions in which the two spaces agree little.
        kernel: 'linear', or 'gaussian'.
        width: of the Gaussian kernel in each space; None for the median distance of its pairs.

    Returns:
        `Views`, whose strength are the penalised correlations.

    Raises:
        UserError: for pairs or settings that `checked_pairs` refuses, an unknown kernel, a power
            below 0, and more dimensions than the pairs have.

    Source: Hardoon, Szedmak and Shawe-Taylor, Canonical correlation analysis: an overview with
        application to learning methods, 2004, section 4.1
        (https://doi.org/10.1162/0899766042321814).

    >>> ps = np.array([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0]])
    >>> views = kernel_cca(ps, ps[:, ::-1], dim=2, penalty=0.5)  # eigenvalues 4, 4, 0; mean 8/3
    >>> views.strength.round(3)  # 4 / (4 + 4/3)
    array([0.75, 0.75])
    """
    ps, pt = checked_pairs(ps, pt, penalty=penalty, width=width)
    if not 0 <= power < np.inf:
        raise UserError(f'power={power}: give 0 or a positive number')
    halves = [_half(x, _kernel(x, kernel, width), penalty) for x in (ps, pt)]
    (project_s, shrunk_s), (project_t, shrunk_t) = halves
    check_dim(dim, min(shrunk_s.shape[1], shrunk_t.shape[1]))
    left, correlation, right = np.linalg.svd(shrunk_s.T @ shrunk_t, full_matrices=False)
    scale = correlation[:dim] ** power
    return Views(
        lambda x: project_s(x) @ left[:, :dim] * scale,
        lambda x: project_t(x) @ right.T[:, :dim] * scale,
        correlation[:dim],
    )


def lsi(ps: ArrayLike, pt: ArrayLike, dim: int = 100) -> Views:
    """Cross-lingual latent semantic indexing: both halves of a pair are one document.

    The documents are the rows [ps, pt], whose columns are the features of both spaces. Their
    leading right singular vectors V give each feature `dim` coordinates, and features that occur in
    the same pairs lie close together. A row of one space is the sum of its features' coordinates.

    Args:
        ps: source halves of the pairs, (n, ds), such as TF-IDF. They are not centred.
        pt: target halves of the pairs, (n, dt).
        dim: number of singular vectors.

    Returns:
        `Views`, whose strength are the singular values. Each space is divided by the root mean
        square length of its pairs first, so that both count the same.

    Raises:
        UserError: for pairs that `checked_pairs` refuses, and for more dimensions than they have.

    Sources: Dumais, Letsche, Littman and Landauer, Automatic cross-language retrieval using latent
        semantic indexing, 1997; Deerwester et al. 1990
        (https://doi.org/10.1002/(SICI)1097-4571(199009)41:6%3C391::AID-ASI1%3E3.0.CO;2-9).

    >>> ps = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])  # one, two, two
    >>> views = lsi(ps, ps[:, ::-1], dim=2)  # zwei, eins
    >>> np.allclose(views.source(np.array([[1.0, 0.0]])), views.target(np.array([[0.0, 1.0]])))
    True
    """
    ps, pt = checked_pairs(ps, pt)
    units = [np.sqrt((x**2).sum(1).mean()) for x in (ps, pt)]
    documents = np.concatenate([x / unit for x, unit in zip((ps, pt), units, strict=True)], axis=1)
    _, values, right = np.linalg.svd(documents, full_matrices=False)
    check_dim(dim, _rank(values))
    features = np.split(right[:dim].T, [ps.shape[1]])
    source, target = (_linear(0.0, v / unit) for v, unit in zip(features, units, strict=True))
    return Views(source, target, values[:dim])


def _linear(mean, w):
    """The map (x - mean) w, which refuses rows with other columns."""

    def project(x):
        return (with_columns(x, len(w)) - mean) @ w

    return project


def _rank(values):
    """The number of singular values, falling, that rounding errors do not explain."""
    return int((values > 1e-10 * values[0]).sum())


def _whitening(x):
    """An orthonormal basis (n, r) of the centred columns of x, and W (d, r).

    The columns of (x - mean) W are those of the basis times sqrt(n - 1), so that their variance is
    1. Columns are standardised first, which changes no space, but keeps small ones.
    """
    deviation = x.std(0)
    is_constant = deviation <= 1e-12 * np.abs(x).max(0)
    unit = np.where(is_constant, np.inf, deviation)
    left, values, right = np.linalg.svd((x - x.mean(0)) / unit, full_matrices=False)
    r = _rank(values)
    whiten = right[:r].T / values[:r] / unit[:, None] * (len(x) - 1) ** 0.5
    return left[:, :r], whiten


def _kernel(x, name, width):
    """The kernel of the pairs x with rows: (m, d) -> (m, n)."""
    if name == 'linear':
        return lambda rows: rows @ x.T
    if name != 'gaussian':
        raise UserError(f"kernel={name!r} is unknown: give 'linear' or 'gaussian'")
    width = float(in_float64(median_width)(x)) if width is None else width
    return lambda rows: in_float64(gaussian)(rows, x, width)


def _half(x, kernel, penalty):
    """Directions of one space under the constraint of `kernel_cca`, and how the pairs lie on them.

    With the centred kernel K = U diag(v) U', every a = U diag(v (v + p))^(-1/2) c has a'K^2a + p
    a'Ka = |c|^2, and Ka = U diag(v / (v + p))^(1/2) c.

    Returns:
        A function of rows (m, d) that returns (m, r), whose columns belong to the entries of c, for
        |c|^2 = n - 1; and Ka (n, r) for |c| = 1.
    """
    gram = kernel(x)
    means, mean = gram.mean(0), gram.mean()
    values, vectors = np.linalg.eigh(gram - means - means[:, None] + mean)
    values, vectors = values[::-1], vectors[:, ::-1]
    r = _rank(values)
    values, vectors, p = values[:r], vectors[:, :r], penalty * values[:r].sum() / len(x)
    coefficients = vectors / np.sqrt(values * (values + p) / (len(x) - 1))

    def project(rows):
        k = kernel(with_columns(rows, x.shape[1]))
        return (k - k.mean(1, keepdims=True) - means + mean) @ coefficients

    return project, vectors * np.sqrt(values / (values + p))
