"""Distances between two domains, from features of both.

Features are xs (n, d) of the source and xt (m, d) of the target. Standardise columns of different
units first; only `proxy_a_distance` does so itself. No distance uses the labels: transfer can
succeed over a large one and fail over a small one. All is computed in float64. Every function
raises `UserError` for domains of fewer than two rows, domains of different columns, and values that
are not finite.
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

ROUNDING = 1e-10  # smaller differences between means of a kernel are rounding errors
# times the largest norm of a row: a squared distance is a difference of squared norms, and rounding
# makes shorter distances meaningless
SMALLEST_WIDTH = 1e-7


class Discrepancy(NamedTuple):
    """Squared MMD and its p-value.

    The null hypothesis is that both samples share one distribution.

    >>> test = Discrepancy(squared=0.1, p=0.001)
    >>> test.p < 0.05  # do the distributions differ?
    True
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
    """Maximum mean discrepancy (MMD): the unbiased squared estimate, and its permutation test.

    The kernel is Gaussian. With enough rows the test finds any difference of distributions, so that
    a small p does not mean a large distance. `squared` depends on the width and can be negative by
    chance. A large p can come from too few rows, or from differences much finer or coarser than the
    width. The test is exact for rows drawn independently, which frames of one film are not.

    Args:
        xs: source, (n, d). Memory is three arrays of (n + m)^2 and one of (n + m) x permutations:
            subsample large domains.
        xt: target, (m, d).
        permutations: number of random permutations of the rows between the domains.
        seed: seed of the permutations.
        width: standard deviation of the kernel; None for the median distance between rows.

    Returns:
        A `Discrepancy`. p = (1 + permutations whose value reaches the observed one) / (1 +
        permutations), and so never 0.

    Raises:
        UserError: as described in the module; for no permutations, for a width not above 0, and
            with width None for rows of which most are equal.

    Source: Gretton et al., A kernel two-sample test, 2012, equation 3 and section 8
    (https://jmlr.org/papers/v13/gretton12a.html); p as in Phipson and Smyth 2010
    (https://arxiv.org/abs/1603.05766).

    >>> rng = np.random.default_rng(0)
    >>> test = mmd_test(rng.normal(size=(20, 2)), rng.normal(3, size=(30, 2)), permutations=99)
    >>> f'{test.squared:.2f} p={test.p:.2f}'
    '1.04 p=0.01'
    """
    xs, xt = _as_domains(xs, xt)
    if permutations < 1 or not (width is None or 0 < width < np.inf):
        raise UserError(
            f'permutations={permutations} and width={width}: give one permutation or more, and a '
            'finite width above 0 or None'
        )
    x = np.concatenate([xs, xt])
    x -= x.mean(0)  # a large common offset would cost the distances digits
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
    """Squared discrepancies (k,) from a kernel without its diagonal.

    Each row of `source` (k, n + m) is 1 for the n rows of the source and 0 for those of the target.
    """
    n, m = source[0].sum(), (1 - source[0]).sum()
    source_sum = (source @ kernel * source).sum(1)
    cross_sum = source @ kernel.sum(1) - source_sum
    target_sum = kernel.sum() - source_sum - 2 * cross_sum
    return source_sum / (n * (n - 1)) + target_sum / (m * (m - 1)) - 2 * cross_sum / (n * m)


def coral_distance(xs: ArrayLike, xt: ArrayLike) -> float:
    """CORAL distance: |cov(xs) - cov(xt)|_F^2 / (4 d^2).

    `tljax.methods.adaptation.deep_coral` minimises it.

    It measures variances and correlations, in the fourth power of the features' unit. Domains that
    differ only in their means, or only in the shape of their distributions, have distance 0. Two
    samples of one distribution have a distance above 0, because covariances of few rows differ by
    chance.

    Args:
        xs: source, (n, d).
        xt: target, (m, d).

    Returns:
        A float, at least 0.

    Raises:
        UserError: as described in the module.

    Source: Sun and Saenko, Deep CORAL, 2016, equation 1 (https://arxiv.org/abs/1607.01719).

    >>> coral_distance([[-1.0], [0.0], [1.0]], [[8.0], [10.0], [12.0]])
    2.25
    """
    xs, xt = _as_domains(xs, xt)
    return float(
        ((np.cov(xs, rowvar=False) - np.cov(xt, rowvar=False)) ** 2).sum() / (4 * xs.shape[1] ** 2)
    )


def frechet_distance(xs: ArrayLike, xt: ArrayLike) -> float:
    """Squared Fréchet distance between the Gaussians with the means and covariances of the domains.

    It is |mu_s - mu_t|^2 + tr(C_s + C_t - 2 (C_s^1/2 C_t C_s^1/2)^1/2), in squared units of the
    features, and measures means and covariances only. With few rows it is too large, the more so
    with many columns: compare it between samples of the same sizes. The covariances may be
    singular.

    Args:
        xs: source, (n, d).
        xt: target, (m, d).

    Returns:
        A float, at least 0.

    Raises:
        UserError: as described in the module.

    Source: Dowson and Landau 1982 (https://doi.org/10.1016/0047-259X(82)90077-X); for features,
    Heusel et al. 2017, equation 6 (https://arxiv.org/abs/1706.08500).

    >>> xs, xt = [[-1.0], [0.0], [1.0]], [[8.0], [10.0], [12.0]]
    >>> round(frechet_distance(xs, xt), 6)  # 10^2 + (2 - 1)^2
    101.0
    """
    xs, xt = _as_domains(xs, xt)
    # With C = R' R, the eigenvalues of the matrix root are the singular values of R_s R_t'. They
    # avoid the square root of an eigenvalue that rounding made negative.
    root_s, root_t = (
        np.asarray(np.linalg.qr((x - x.mean(0)) / (len(x) - 1) ** 0.5, mode='r')) for x in (xs, xt)
    )
    traces = (root_s**2).sum() + (root_t**2).sum() - 2 * np.linalg.norm(root_s @ root_t.T, 'nuc')
    return float(((xs.mean(0) - xt.mean(0)) ** 2).sum() + max(0.0, traces))


def gaussian_kl(xs: ArrayLike, xt: ArrayLike, shrinkage: float | None = None) -> float:
    """Kullback-Leibler divergence KL(N(mu_t, C_t) || N(mu_s, C_s)) between the domains' Gaussians.

    It is the number of nats lost when the source's Gaussian describes the target. It measures means
    and covariances only and is not symmetric: a narrow target inside a wide source is near, a wide
    target around a narrow source is far. Without shrinkage, two samples of one Gaussian have a
    divergence of about d (d + 3) / 4 (1 / n + 1 / m). With few rows, or a column that varies in one
    domain only, the value depends strongly on the shrinkage. Columns with one constant value in
    both domains are left out.

    Args:
        xs: source, (n, d).
        xt: target, (m, d).
        shrinkage: share of the mean variance times the identity in both covariances, 0 to 1. None
            estimates it for each domain by Ledoit and Wolf, which also works for fewer rows than
            columns.

    Returns:
        A float, at least 0 up to rounding.

    Raises:
        UserError: as described in the module; for a shrinkage outside [0, 1], and for a covariance
            that is still singular after it.

    Source: Kullback and Leibler 1951 (https://doi.org/10.1214/aoms/1177729694); Ledoit and Wolf
    2004 (https://doi.org/10.1016/S0047-259X(03)00096-4), whose covariances divide by n.

    >>> round(gaussian_kl([[-2.0], [2.0]], [[0.0], [2.0]]), 4)  # log 2 + (1 + 1) / (2 * 4) - 1 / 2
    0.4431
    """
    xs, xt = _as_domains(xs, xt)
    if not (shrinkage is None or 0 <= shrinkage <= 1):
        raise UserError(f'shrinkage={shrinkage}: give a number from 0 to 1, or None')
    columns = np.ptp(np.concatenate([xs, xt]), axis=0) > 0
    if not columns.any():
        return 0.0
    xs, xt = xs[:, columns], xt[:, columns]
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
    """Proxy A-distance: 2 (1 - 2 error) of the best linear classifier of source against target.

    It is 0 if the classifiers do no better than chance, and 2 if one makes no error. It measures
    whether features reveal the domain, not whether that hurts: constant features have distance 0.

    Args:
        xs: features of the source, (n, d).
        xt: features of the target, (m, d).
        penalties: C of the linear support vector machines; the one with the smallest error counts.
        seed: seed of the split into halves, one for fitting and one for the error, and of the draw
            that cuts the larger domain to the size of the smaller.

    Returns:
        A float, at least 0.

    Raises:
        UserError: for domains of fewer than ten rows, different columns, or values that are not
            finite.

    Source: Ben-David et al. 2006, section 4
    (https://papers.nips.cc/paper/2983-analysis-of-representations-for-domain-adaptation), as in
    Ganin et al. 2016, section 5.1.5.

    >>> rng = np.random.default_rng(0)
    >>> xs, xt = rng.normal(size=(50, 2)), rng.normal(size=(50, 2))
    >>> proxy_a_distance(xs, xt), proxy_a_distance(xs, xt + 9)
    (0.0, 2.0)
    """
    xs, xt = _as_domains(xs, xt, minimum=10)
    size = min(len(xs), len(xt))
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.permutation(xs)[:size], rng.permutation(xt)[:size]])
    domain = np.repeat([0, 1], size)
    fit_x, test_x, fit_y, test_y = train_test_split(
        x, domain, test_size=0.5, random_state=seed, stratify=domain
    )
    errors = []
    for penalty in penalties:
        classifier = make_pipeline(StandardScaler(), LinearSVC(C=penalty, dual='auto'))
        errors.append(1 - classifier.fit(fit_x, fit_y).score(test_x, test_y))
    return float(max(0.0, 2 * (1 - 2 * min(errors))))


def domain_distances(xs: ArrayLike, xt: ArrayLike, seed: int = 0) -> dict[str, float]:
    """Computes all distances of this module.

    They have different units: compare a distance only with itself, over pairs of domains of the
    same sizes.

    Args:
        xs: source, (n, d), ten rows or more; memory as in `mmd_test`.
        xt: target, (m, d), ten rows or more.
        seed: seed of `mmd_test` and `proxy_a_distance`.

    Returns:
        {name: distance}. A name is that of the function; `mmd_test` gives mmd_squared and mmd_p.

    Raises:
        UserError: as the functions do.

    >>> rng = np.random.default_rng(0)
    >>> xs, xt = rng.normal(size=(30, 2)), rng.normal(size=(30, 2))
    >>> for name, distance in domain_distances(xs, xt + 3).items():
    ...     print(name, round(distance, 2))
    mmd_squared 0.96
    mmd_p 0.0
    coral_distance 0.05
    frechet_distance 18.44
    gaussian_kl 9.09
    proxy_a_distance 2.0
    """
    xs, xt = _as_domains(xs, xt, minimum=10)
    test = mmd_test(xs, xt, seed=seed)
    return {
        'mmd_squared': test.squared,
        'mmd_p': test.p,
        'coral_distance': coral_distance(xs, xt),
        'frechet_distance': frechet_distance(xs, xt),
        'gaussian_kl': gaussian_kl(xs, xt),
        'proxy_a_distance': proxy_a_distance(xs, xt, seed=seed),
    }


def _as_domains(xs: ArrayLike, xt: ArrayLike, minimum: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Returns xs and xt in float64, or refuses domains that have no distance."""
    xs, xt = np.asarray(xs, np.float64), np.asarray(xt, np.float64)
    if (
        xs.ndim != 2
        or not xs.shape[1]
        or xs.shape[1:] != xt.shape[1:]
        or min(len(xs), len(xt)) < minimum
    ):
        raise UserError(
            f'domains {xs.shape} and {xt.shape}: give {minimum} finite rows or more of each, of '
            'the same columns'
        )
    for name, x in (('xs', xs), ('xt', xt)):
        if not np.isfinite(x).all():
            raise UserError(
                f'{name} has {int((~np.isfinite(x)).sum())} values that are not finite: drop or '
                'impute their rows'
            )
    return xs, xt
