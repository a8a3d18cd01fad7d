"""How far two domains lie apart, from features of both, and what each distance can and cannot tell.

Features are xs (n, d) of the source and xt (m, d) of the target. Standardise columns of different
units first; only `proxy_a_distance` does so itself. No distance knows the task: a large one need
not hurt, and a small one promises no transfer. All is computed in float64. Domains of fewer than
two rows, of other columns, or with values that are not finite are `UserError`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.covariance import LedoitWolf, ShrunkCovariance
from sklearn.metrics import euclidean_distances
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from tljax.core import UserError

# means of kernels, which are at most 1, that differ by less are equal but for rounding
ROUNDING = 1e-10
# in largest norms: squared distances are differences of squared norms, whose rounding hides shorter
# ones
SMALLEST_WIDTH = 1e-7
ROWS = {'two': 2, 'ten': 10}


class Discrepancy(NamedTuple):
    """A squared maximum mean discrepancy and the p value of one distribution.

    >>> Discrepancy(squared=0.1, p=0.001).p
    0.001
    """

    squared: float
    p: float


def mmd_test(
    xs: ArrayLike,
    xt: ArrayLike,
    permutations: int = 1000,
    seed: int = 0,
    width: float | None = None,
) -> Discrepancy:
    """The maximum mean discrepancy under a Gaussian kernel, squared, without bias, and its
    permutation test.

    It finds any difference of distributions, given enough rows: a small p is no large distance, and
    `squared`, which chance makes negative, depends on the width. A large p may be too few rows, or
    differences far finer or coarser than the width. The test is exact for rows drawn independently;
    frames of one film are not.

    Args:
        xs: source, (n, d). Memory is quadratic, three arrays of (n + m)^2, and (n + m) x
            permutations: draw rows of large domains.
        xt: target, (m, d).
        permutations: of the rows among the domains.
        seed: draws the permutations.
        width: of the kernel, None for the median distance of all rows.

    Returns:
        A `Discrepancy`; p = (1 + permutations that reach the observed one) / (1 + permutations),
        and so never 0.

    Raises:
        UserError: as the module says, for no permutations, a width not above 0, and rows most of
            which are equal where width is None.

    Source: Gretton et al., A kernel two-sample test, 2012, equation 3 and section 8
    (https://jmlr.org/papers/v13/gretton12a.html); p as Phipson and Smyth 2010
    (https://arxiv.org/abs/1603.05766).

    >>> rng = np.random.default_rng(0)
    >>> test = mmd_test(rng.normal(size=(20, 2)), rng.normal(3, size=(30, 2)), permutations=99)
    >>> f'{test.squared:.2f} p={test.p:.2f}'
    '1.04 p=0.01'
    """
    xs, xt = _checked(xs, xt)
    if permutations < 1 or not (width is None or 0 < width < np.inf):
        raise UserError(
            f'permutations={permutations} and width={width}: give one permutation or more, and a '
            'finite width above 0 or None'
        )
    x = np.concatenate([xs, xt])
    x -= x.mean(0)  # a large common offset would cost digits of the distances
    distances = euclidean_distances(x, squared=True)
    if width is None:
        width = float(np.median(distances[np.triu_indices(len(x), 1)]) ** 0.5)
        if width <= SMALLEST_WIDTH * np.linalg.norm(x, axis=1).max():
            raise UserError(
                'the median distance is 0, as most rows are equal: give mmd_test a width'
            )
    kernel = np.exp(-distances / (2 * width**2))
    np.fill_diagonal(kernel, 0)
    source = np.repeat([1.0, 0.0], [len(xs), len(xt)])[None]
    (squared,) = _discrepancies(kernel, source)
    permuted = _discrepancies(
        kernel, np.random.default_rng(seed).permuted(np.repeat(source, permutations, 0), axis=1)
    )
    return Discrepancy(
        float(squared), float((1 + (permuted >= squared - ROUNDING).sum()) / (1 + permutations))
    )


def _discrepancies(kernel, source):
    """Squared discrepancies (k,), for rows source (k, n + m) that are 1 for the n rows of the
    source, of a kernel without its diagonal."""
    n, m = source[0].sum(), (1 - source[0]).sum()
    within = (source @ kernel * source).sum(1)
    across = source @ kernel.sum(1) - within
    others = kernel.sum() - within - 2 * across
    return within / (n * (n - 1)) + others / (m * (m - 1)) - 2 * across / (n * m)


def coral_distance(xs: ArrayLike, xt: ArrayLike) -> float:
    """|cov(xs) - cov(xt)|_F^2 / (4 d^2): the alignment term of
    `tljax.methods.adaptation.deep_coral`.

    It sees variances and correlations, to the fourth power of the features' unit; domains of other
    means, or other shapes of the same covariance, are 0 apart. Samples of one distribution are not:
    covariances of few rows differ by chance.

    Args:
        xs: source, (n, d).
        xt: target, (m, d).

    Returns a float, at least 0, or raises `UserError` as the module says.

    Source: Sun and Saenko, Deep CORAL, 2016, equation 1 (https://arxiv.org/abs/1607.01719).

    >>> coral_distance([[-1.0], [0.0], [1.0]], [[8.0], [10.0], [12.0]])
    2.25
    """
    xs, xt = _checked(xs, xt)
    return float(
        ((np.cov(xs, rowvar=False) - np.cov(xt, rowvar=False)) ** 2).sum() / (4 * xs.shape[1] ** 2)
    )


def frechet_distance(xs: ArrayLike, xt: ArrayLike) -> float:
    """|mu_s - mu_t|^2 + tr(C_s + C_t - 2 (C_s^1/2 C_t C_s^1/2)^1/2): squared, of the Gaussians of
    the same means and covariances.

    It sees means and covariances and nothing else. Few rows make it too large, the more so the more
    columns: compare it among samples of the same sizes. Covariances of any rank will do.

    Args:
        xs: source, (n, d).
        xt: target, (m, d).

    Returns, Raises: as `coral_distance`, in squared units of the features.

    Source: Dowson and Landau 1982 (https://doi.org/10.1016/0047-259X(82)90077-X); of features,
    Heusel et al. 2017, equation 6 (https://arxiv.org/abs/1706.08500).

    >>> round(
    ...     frechet_distance([[-1.0], [0.0], [1.0]], [[8.0], [10.0], [12.0]]), 6
    ... )  # 10^2 + (2 - 1)^2
    101.0
    """
    xs, xt = _checked(xs, xt)
    # With C = R' R, the root's eigenvalues are the singular values of R_s R_t': no root of what
    # rounding made negative.
    root_s, root_t = (
        np.asarray(np.linalg.qr((x - x.mean(0)) / (len(x) - 1) ** 0.5, mode='r')) for x in (xs, xt)
    )
    traces = (root_s**2).sum() + (root_t**2).sum() - 2 * np.linalg.norm(root_s @ root_t.T, 'nuc')
    return float(((xs.mean(0) - xt.mean(0)) ** 2).sum() + max(0.0, traces))


def gaussian_kl(xs: ArrayLike, xt: ArrayLike, shrinkage: float | None = None) -> float:
    """KL(N(mu_t, C_t) || N(mu_s, C_s)): the nats lost where the target is described by the source's
    Gaussian.

    It sees means and covariances only, and is not symmetric: a target inside a wide source is near,
    a wide target is far. Samples of one Gaussian lie about d (d + 3) / 4 (1 / n + 1 / m) apart
    without shrinkage. With few rows, or a column that only one domain varies, the shrinkage makes
    much of the value. Columns that are one constant in both are left out.

    Args:
        xs: source, (n, d).
        xt: target, (m, d).
        shrinkage: the part of the mean variance times the identity in both covariances, 0 to 1,
            None for each domain's own by Ledoit and Wolf, finite for fewer rows than columns.

    Returns:
        A float, at least 0 but for rounding.

    Raises:
        UserError: as the module says, for a shrinkage outside [0, 1], and for a covariance that is
            singular after it.

    Source: Kullback and Leibler 1951 (https://doi.org/10.1214/aoms/1177729694); Ledoit and Wolf
    2004 (https://doi.org/10.1016/S0047-259X(03)00096-4), whose covariances divide by n.

    >>> round(gaussian_kl([[-2.0], [2.0]], [[0.0], [2.0]]), 4)  # log 2 + (1 + 1) / (2 * 4) - 1 / 2
    0.4431
    """
    xs, xt = _checked(xs, xt)
    if not (shrinkage is None or 0 <= shrinkage <= 1):
        raise UserError(f'shrinkage={shrinkage}: give a number from 0 to 1, or None')
    varying = np.ptp(np.concatenate([xs, xt]), axis=0) > 0
    if not varying.any():
        return 0.0
    xs, xt = xs[:, varying], xt[:, varying]
    estimator = LedoitWolf() if shrinkage is None else ShrunkCovariance(shrinkage=shrinkage)
    source, target = (estimator.fit(x).covariance_ for x in (xs, xt))
    for name, x, covariance in (('xs', xs, source), ('xt', xt, target)):
        if np.linalg.matrix_rank(covariance, hermitian=True) < len(covariance):
            raise UserError(
                f'the covariance of {name} {x.shape} is singular at shrinkage={shrinkage}: give '
                'more rows, rows that vary, or a larger shrinkage'
            )
    difference = xs.mean(0) - xt.mean(0)
    mismatch = (
        np.trace(np.linalg.solve(source, target))
        + difference @ np.linalg.solve(source, difference)
        - len(source)
    )
    return float((mismatch + np.linalg.slogdet(source)[1] - np.linalg.slogdet(target)[1]) / 2)


def proxy_a_distance(
    xs: ArrayLike,
    xt: ArrayLike,
    penalties: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0),
    seed: int = 0,
) -> float:
    """2 (1 - 2 error) of the best linear classifier that tells the domains apart: 0 where none can,
    2 where one always can.

    It tells whether features carry the domain, not whether that hurts: a constant has distance 0.
    Ben-David et al. 2006, section 4
    (https://papers.nips.cc/paper/2983-analysis-of-representations-for-domain-adaptation), as Ganin
    et al. 2016, section 5.1.5.

    Args:
        xs: features of the source, (n, d).
        xt: features of the target, (m, d).
        penalties: C of the linear support vector machines, the best of which counts.
        seed: of the two halves, for fitting and for the error, and of a larger domain's share as
            large as the smaller.

    Returns:
        A float, at least 0.

    Raises:
        UserError: for domains of fewer than ten rows, other columns, or values that are not finite.

    >>> rng = np.random.default_rng(0)
    >>> proxy_a_distance(rng.normal(size=(50, 2)), rng.normal(9, size=(50, 2)))
    2.0
    """
    xs, xt = _checked(xs, xt, least='ten')
    size = min(len(xs), len(xt))
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.permutation(xs)[:size], rng.permutation(xt)[:size]])
    domain = np.repeat([0, 1], size)
    fit_x, test_x, fit_y, test_y = train_test_split(
        x, domain, test_size=0.5, random_state=seed, stratify=domain
    )
    errors = [
        1
        - make_pipeline(StandardScaler(), LinearSVC(C=penalty, dual='auto'))
        .fit(fit_x, fit_y)
        .score(test_x, test_y)
        for penalty in penalties
    ]
    return float(max(0.0, 2 * (1 - 2 * min(errors))))


def domain_distances(xs: ArrayLike, xt: ArrayLike, seed: int = 0) -> dict[str, float]:
    """All distances of features above, for a report: each under its function's name, the
    discrepancy as mmd_squared and mmd_p.

    They are in different units: compare each with itself, among pairs of domains of the same sizes.
    Its function says what it can tell.

    Args:
        xs: source, (n, d), ten rows or more; memory as `mmd_test`.
        xt: target, (m, d), ten rows or more.
        seed: of `mmd_test` and `proxy_a_distance`.

    Returns a dict of name to float, or raises `UserError` as each of the functions does.

    >>> rng = np.random.default_rng(0)
    >>> sorted(domain_distances(rng.normal(size=(20, 2)), rng.normal(9, size=(30, 2))))
    ['coral_distance', 'frechet_distance', 'gaussian_kl', 'mmd_p', 'mmd_squared', ...]
    """
    xs, xt = _checked(xs, xt, least='ten')
    test = mmd_test(xs, xt, seed=seed)
    return {
        'mmd_squared': test.squared,
        'mmd_p': test.p,
        'coral_distance': coral_distance(xs, xt),
        'frechet_distance': frechet_distance(xs, xt),
        'gaussian_kl': gaussian_kl(xs, xt),
        'proxy_a_distance': proxy_a_distance(xs, xt, seed=seed),
    }


def _checked(xs: ArrayLike, xt: ArrayLike, least: str = 'two') -> tuple[np.ndarray, np.ndarray]:
    """xs and xt in float64, or a refusal of what no distance can be computed from."""
    xs, xt = np.asarray(xs, np.float64), np.asarray(xt, np.float64)
    if (
        xs.ndim != 2
        or not xs.shape[1]
        or xs.shape[1:] != xt.shape[1:]
        or min(len(xs), len(xt)) < ROWS[least]
    ):
        raise UserError(
            f'domains {xs.shape} and {xt.shape}: give {least} finite rows or more of each, of the '
            'same columns'
        )
    for name, x in (('xs', xs), ('xt', xt)):
        if not np.isfinite(x).all():
            raise UserError(
                f'{name} has {int((~np.isfinite(x)).sum())} values that are not finite: drop or '
                'impute their rows'
            )
    return xs, xt
