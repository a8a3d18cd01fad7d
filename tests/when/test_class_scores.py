"""H-score, TransRate, GBC and PARC against loops, scikit-learn and numbers by hand."""

import itertools

import numpy as np
import pytest
from labelled_features import cases, every_case, labelled
from scipy import integrate
from scipy.stats import norm, spearmanr
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from tljax.when.evidence import h_score
from tljax.when.transferability import gbc, parc, regularised_h_score, transrate


def between(f, y):
    """Covariance of E[f | y], every example standing for itself."""
    return np.cov(np.array([f[y == label].mean(0) for label in y]).T, bias=True).reshape(
        f.shape[1], -1
    )


@every_case
def test_h_score_is_the_trace_of_a_pseudo_inverse(case):
    f, y = cases()[case]
    inverse = np.linalg.pinv(
        np.cov(f.T, bias=True).reshape(f.shape[1], -1), rcond=1e-11, hermitian=True
    )
    assert h_score(f, y) == pytest.approx(np.trace(inverse @ between(f, y)), rel=1e-6)


def test_h_score_is_a_sum_of_explained_ratios_of_discriminants():
    f, y = labelled()
    # uncorrelated directions, that hold all that classes differ in
    z = LinearDiscriminantAnalysis().fit(f, y).transform(f)
    assert h_score(f, y) == pytest.approx((np.diag(between(z, y)) / z.var(0)).sum(), rel=1e-6)
    assert h_score(np.eye(3)[y], y) == pytest.approx(2)


@every_case
def test_regularised_h_score_is_the_formula_with_scikit_learns_shrinkage(case):
    f, y = cases()[case]
    deviation = f.std(0)
    z = (f - f.mean(0)) / np.where(deviation > 1e-12, deviation, 1)
    estimate = LedoitWolf().fit(z)
    expected = (1 - estimate.shrinkage_) * np.trace(
        np.linalg.pinv(estimate.covariance_, hermitian=True) @ between(z, y)
    )
    assert regularised_h_score(f, y) == pytest.approx(expected, rel=1e-6)


@every_case
@pytest.mark.parametrize('eps', [1e-4, 0.1])
def test_transrate_is_a_loop_over_classes(case, eps):
    f, y = cases()[case]
    z = f - f.mean(0)
    z = z / np.sqrt(np.trace(z.T @ z) / len(z))

    def rate(z):
        return (
            np.linalg.slogdet(
                np.eye(z.shape[1]) + sum(np.outer(row, row) for row in z) / len(z) / eps
            )[1]
            / 2
        )

    expected = rate(z) - sum(np.mean(y == label) * rate(z[y == label]) for label in np.unique(y))
    assert transrate(f, y, eps) == pytest.approx(expected, rel=1e-6)
    assert transrate(5 * f, y, eps) == pytest.approx(expected, rel=1e-6)


def test_transrate_by_hand():
    # Two classes on two axes, each of variance 1/2 in all and 1 in itself: 2 log(1 + .5 / eps) / 2
    # - log(1 + 1 / eps) / 2.
    f, y = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]), np.array([0, 0, 1, 1])
    assert transrate(f, y, eps=0.5) == pytest.approx(np.log(2) - np.log(3) / 2)
    # it cannot tell opposite sides
    assert transrate(np.array([[1.0], [1.0], [-1.0], [-1.0]]), y) == pytest.approx(0, abs=1e-9)


def bhattacharyya(mean1, variance1, mean2, variance2):
    """Exp of minus the distance, a dimension at a time."""
    product = 1.0
    for a, v, b, w in zip(mean1, variance1, mean2, variance2, strict=True):
        middle = (v + w) / 2
        product *= np.exp(-((a - b) ** 2) / (8 * middle)) / np.sqrt(middle / np.sqrt(v * w))
    return product


@every_case
@pytest.mark.parametrize(
    'covariance, components',
    [('spherical', 64), ('diagonal', 64), ('spherical', 2), ('diagonal', 2)],
)
def test_gbc_is_a_loop_over_pairs(case, covariance, components):
    f, y = cases()[case]
    rank = np.linalg.matrix_rank(f - f.mean(0))
    z = PCA(min(components, rank), svd_solver='full').fit_transform(f)
    total, smallest_variance = 0.0, 1e-4 * z.var(0).mean()
    statistics = {}
    for label in np.unique(y):
        variance = z[y == label].var(0)
        variance = (
            np.full_like(variance, variance.mean()) if covariance == 'spherical' else variance
        )
        statistics[label] = z[y == label].mean(0), np.maximum(variance, smallest_variance)
    for label, other_label in itertools.permutations(statistics, 2):
        total -= bhattacharyya(*statistics[label], *statistics[other_label])
    assert gbc(f, y, components, covariance) == pytest.approx(total, rel=1e-6)


def test_gbc_is_the_overlap_of_densities():
    f = np.array([[-1.0], [1.0], [1.0], [5.0]])
    y = np.array([0, 0, 1, 1])
    overlap = integrate.quad(lambda x: np.sqrt(norm.pdf(x, 0, 1) * norm.pdf(x, 3, 2)), -20, 30)[0]
    assert gbc(f, y) == pytest.approx(-2 * overlap, rel=1e-6)
    # a class of one example has a variance, too
    assert gbc(np.array([[0.0], [1.0], [5.0]]), np.array([0, 0, 1])) > -0.5


@pytest.mark.parametrize('components', [32, 3])
@pytest.mark.parametrize(
    'case', ['tall', 'wide', 'two classes', 'low rank', 'constant column', 'duplicated column']
)
def test_parc_is_a_rank_correlation_of_pairs(case, components):
    f, y = cases()[case]
    rank = np.linalg.matrix_rank(f - f.mean(0))
    z = PCA(min(components, rank), svd_solver='full').fit_transform(f)
    z = (z - z.mean(0)) / z.std(0)
    onehot = (y[:, None] == np.unique(y)) * 1.0
    pairs = list(itertools.combinations(range(len(y)), 2))
    feature_distance, label_distance = (
        [1 - correlation[pair] for pair in pairs]
        for correlation in (np.corrcoef(z), np.corrcoef(onehot))
    )
    assert parc(f, y, components) == pytest.approx(
        spearmanr(feature_distance, np.round(label_distance, 9)).statistic, abs=1e-6
    )


def test_parc_draws_its_examples_by_seed():
    f, y = labelled(200)
    sample = np.random.default_rng(3).permutation(200)[:40]
    assert parc(f, y, rows=40, seed=3) == pytest.approx(parc(f[sample], y[sample])) and parc(
        f, y, rows=40
    ) != parc(f, y, rows=40, seed=3)
