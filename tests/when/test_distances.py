"""Distances of domains against closed forms, SciPy and scikit-learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gaussians import covariance, normal, refused, sample, with_moments
from scipy import linalg, stats
from sklearn.covariance import ledoit_wolf

from tljax.core import Tick
from tljax.methods.adaptation.deep_coral import deep_coral
from tljax.when.distances import (
    coral_distance,
    domain_distances,
    frechet_distance,
    gaussian_kl,
    mmd_test,
    proxy_a_distance,
)
from tljax.zoo.families.identity import identity

DISTANCES = [
    mmd_test,
    coral_distance,
    frechet_distance,
    gaussian_kl,
    proxy_a_distance,
    domain_distances,
]


def test_coral_is_the_term_of_deep_coral():
    xs, xt = normal(20, 3), 2 * normal(20, 3, seed=1)
    method = deep_coral(identity(3), 2, layer='features')
    batch = {
        'input': jnp.array(xs),
        'label': jnp.zeros(20, int),
        'target': {'input': jnp.array(xt)},
    }
    _, (_, metrics) = jax.jit(method.loss)(
        *jax.jit(method.init)(jax.random.key(0), batch), batch, Tick(0, jax.random.key(0))
    )
    assert coral_distance(xs, xt) == pytest.approx(float(metrics['gap']), rel=1e-5)


@pytest.mark.parametrize('d', [1, 2, 6])
def test_exact_moments_give_the_closed_forms(d):
    cs, ct, mean = covariance(d, 1), covariance(d, 2), normal(d, seed=3)
    xs, xt = sample(np.zeros(d), cs, 40), sample(mean, ct, 30, seed=1)
    assert coral_distance(xs, xt) == pytest.approx(linalg.norm(cs - ct) ** 2 / (4 * d**2))
    root = np.real(linalg.sqrtm(cs))
    assert frechet_distance(xs, xt) == pytest.approx(
        mean @ mean + np.trace(cs + ct - 2 * np.real(linalg.sqrtm(root @ ct @ root)))
    )
    # rows whose covariances are exact when divided by their number, as the paper of Ledoit and Wolf
    # has it
    xs, xt = sample(np.zeros(d), cs * 40 / 39, 40), sample(mean, ct * 30 / 29, 30, seed=1)
    kl = (
        np.trace(linalg.inv(cs) @ ct)
        + mean @ linalg.inv(cs) @ mean
        - d
        + np.log(linalg.det(cs) / linalg.det(ct))
    )
    assert gaussian_kl(xs, xt, shrinkage=0) == pytest.approx(kl / 2)


def test_frechet_of_independent_columns_is_the_difference_of_their_deviations():
    xs, xt = (
        sample(np.zeros(3), np.diag([1.0, 4.0, 9.0]), 20),
        sample(np.array([1.0, 0.0, 2.0]), np.diag([4.0, 4.0, 1.0]), 50, seed=1),
    )
    assert frechet_distance(xs, xt) == pytest.approx(1 + 4 + (1 - 2) ** 2 + 0 + (3 - 1) ** 2)


def test_frechet_of_fewer_rows_than_columns():
    xs, xt = normal(5, 40), normal(8, 40, seed=1) + 1
    source, target = xs - xs.mean(0), xt - xt.mean(0)
    # the root's eigenvalues are those of (Cs Ct)^1/2, and Cs Ct has the nonzero ones of this small
    # matrix
    root = linalg.sqrtm(source @ target.T @ target @ source.T / (4 * 7))
    traces = (source**2).sum() / 4 + (target**2).sum() / 7 - 2 * np.trace(root).real
    assert frechet_distance(xs, xt) == pytest.approx(
        ((xs.mean(0) - xt.mean(0)) ** 2).sum() + traces, rel=1e-6
    )
    assert frechet_distance(xs, xs) == pytest.approx(0, abs=1e-12)
    assert frechet_distance(xs, xs + 1) == pytest.approx(40)


def test_kl_by_hand_in_one_column_and_its_direction():
    # Variances 4 and 1 of means 0 and 1: log 2 + (1 + 1) / 8 - 1/2, and the other way -log 2 + (4 +
    # 1) / 2 - 1/2.
    xs, xt = [[-2.0], [2.0]], [[0.0], [2.0]]
    assert gaussian_kl(xs, xt) == pytest.approx(np.log(2) - 1 / 4)
    assert gaussian_kl(xt, xs) == pytest.approx(2 - np.log(2))


def test_kl_is_the_mean_log_ratio_of_scipy_s_densities():
    xs, xt = (
        sample(np.zeros(2), covariance(2, 1), 50),
        sample(np.ones(2), covariance(2, 2), 50, seed=1),
    )
    source, target = (
        stats.multivariate_normal(x.mean(0), np.cov(x.T, bias=True)) for x in (xs, xt)
    )
    # over rows with the target's moments, the mean of a quadratic is its expectation
    assert gaussian_kl(xs, xt, shrinkage=0) == pytest.approx(
        (target.logpdf(xt) - source.logpdf(xt)).mean()
    )


def test_kl_shrinks_as_ledoit_and_wolf_and_is_finite_for_fewer_rows_than_columns():
    xs, xt = normal(10, 30), 2 * normal(12, 30, seed=1)
    cs, ct = ledoit_wolf(xs)[0], ledoit_wolf(xt)[0]
    mean = xs.mean(0) - xt.mean(0)
    kl = (
        np.trace(linalg.inv(cs) @ ct)
        + mean @ linalg.inv(cs) @ mean
        - 30
        + np.linalg.slogdet(cs)[1]
        - np.linalg.slogdet(ct)[1]
    )
    assert gaussian_kl(xs, xt) == pytest.approx(kl / 2)
    assert gaussian_kl(xs, xs) == pytest.approx(0, abs=1e-9)
    cs, ct = (0.7 * np.cov(x.T, bias=True) + 0.3 * x.var(0).mean() * np.eye(30) for x in (xs, xt))
    kl = (
        np.trace(linalg.inv(cs) @ ct)
        + mean @ linalg.inv(cs) @ mean
        - 30
        + np.linalg.slogdet(cs)[1]
        - np.linalg.slogdet(ct)[1]
    )
    assert gaussian_kl(xs, xt, shrinkage=0.3) == pytest.approx(kl / 2)


def test_samples_of_one_gaussian_lie_as_far_apart_as_the_docstring_says():
    rng = np.random.default_rng(0)
    values = [
        gaussian_kl(rng.normal(size=(200, 4)), rng.normal(size=(300, 4)), shrinkage=0)
        for _ in range(100)
    ]
    # standard error: 4 %
    assert np.mean(values) == pytest.approx(4 * 7 / 4 * (1 / 200 + 1 / 300), rel=0.2)


def test_what_the_distances_are_blind_to():
    rng = np.random.default_rng(0)
    xs = rng.normal(size=(200, 2))
    shifted, coin = (
        xs + 3,
        with_moments(np.sign(rng.normal(size=(200, 2))), xs.mean(0), np.cov(xs.T)),
    )
    assert coral_distance(xs, shifted) == pytest.approx(0, abs=1e-12) and frechet_distance(
        xs, shifted
    ) == pytest.approx(18)
    for distance in (coral_distance, frechet_distance, gaussian_kl):
        assert distance(xs, coin) == pytest.approx(0, abs=1e-2)
    # the median is too coarse
    assert mmd_test(xs, coin, 199, width=0.3).p == 1 / 200 and mmd_test(xs, coin, 199).p > 0.05


def test_domain_distances_are_all_of_them():
    xs, xt = normal(30, 3), normal(20, 3, seed=1) + 1
    distances = domain_distances(xs, xt, seed=4)
    assert distances == {
        'mmd_squared': mmd_test(xs, xt, seed=4).squared,
        'mmd_p': mmd_test(xs, xt, seed=4).p,
        'proxy_a_distance': proxy_a_distance(xs, xt, seed=4),
    } | {
        distance.__name__: distance(xs, xt)
        for distance in (coral_distance, frechet_distance, gaussian_kl)
    }
    assert all(type(value) is float for value in distances.values())


def test_neither_constant_columns_nor_a_common_offset_nor_order_nor_float32_matter():
    xs, xt = normal(30, 3).astype(np.float32), (normal(20, 3, seed=1) + 1).astype(np.float32)
    distances, rng = domain_distances(xs, xt), np.random.default_rng(0)
    padded = [
        np.column_stack([x.astype(float), np.zeros(len(x)), np.full(len(x), 1e6)]) for x in (xs, xt)
    ]
    padded_distances = domain_distances(*padded)
    assert padded_distances.pop('coral_distance') == pytest.approx(
        distances['coral_distance'] * (3 / 5) ** 2
    )
    assert padded_distances == pytest.approx(
        {name: distances[name] for name in padded_distances}, rel=1e-6
    )
    shifted_distances = domain_distances(xs.astype(float) + 1e5, xt.astype(float) + 1e5)
    assert shifted_distances == pytest.approx(distances, rel=1e-6)
    assert domain_distances(jnp.array(xs), jnp.array(xt)) == distances
    for distance in (
        coral_distance,
        frechet_distance,
        gaussian_kl,
        lambda *x: mmd_test(*x).squared,
    ):
        assert distance(rng.permutation(xs), rng.permutation(xt)) == pytest.approx(distance(xs, xt))


def test_domains_that_are_one_and_the_same_constant_lie_at_0():
    xs, xt = np.full((12, 2), 7.0), np.full((15, 2), 7.0)
    assert [
        distance(xs, xt)
        for distance in (coral_distance, frechet_distance, gaussian_kl, proxy_a_distance)
    ] == [0, 0, 0, 0]
    assert frechet_distance(xs, xt + 2) == 8


GOOD = normal(12, 2)


@pytest.mark.parametrize('distance', DISTANCES)
@pytest.mark.parametrize(
    'xs, xt, words',
    [
        (GOOD[:1], GOOD, 'domains (1, 2) and (12, 2): give'),
        (GOOD, GOOD[:0], '(0, 2)'),
        (GOOD, GOOD[:, :1], 'of the same columns'),
        (GOOD[:, 0], GOOD[:, 0], '(12,)'),
        (GOOD[:, :0], GOOD[:, :0], '(12, 0)'),
        (GOOD[None], GOOD[None], '(1, 12, 2)'),
        (np.where(GOOD > 1, np.nan, GOOD), GOOD, 'xs has'),
        (GOOD, np.where(GOOD.max() > GOOD, GOOD, -np.inf), 'xt has 1 values'),
    ],
)
def test_what_has_no_distance_is_refused_in_one_line(distance, xs, xt, words):
    assert refused(lambda: distance(xs, xt), words)


def test_how_many_rows_each_needs():
    assert refused(lambda: proxy_a_distance(GOOD[:9], GOOD), 'give 10 finite rows')
    assert refused(lambda: domain_distances(GOOD[:9], GOOD), 'give 10 finite rows')
    assert refused(lambda: coral_distance(GOOD[:1], GOOD), 'give 2 finite rows')


@pytest.mark.parametrize(
    'call, words',
    [
        (lambda: mmd_test(GOOD, GOOD, 0), 'permutations=0'),
        (lambda: mmd_test(GOOD, GOOD, width=0.0), 'width=0.0'),
        (lambda: mmd_test(GOOD, GOOD, width=np.nan), 'width=nan'),
        (lambda: gaussian_kl(GOOD, GOOD, -0.1), 'shrinkage=-0.1'),
        (lambda: gaussian_kl(GOOD, GOOD, np.nan), 'shrinkage=nan'),
        (
            lambda: gaussian_kl(normal(5, 9), normal(20, 9), 0.0),
            'the covariance of xs (5, 9) is singular at shrinkage=0.0',
        ),
        (
            lambda: gaussian_kl(GOOD, 0 * GOOD),
            'the covariance of xt (12, 2) is singular at shrinkage=None',
        ),
    ],
)
def test_settings_without_a_meaning_are_refused_in_one_line(call, words):
    assert refused(call, words)


def test_proxy_a_distance_of_domains_that_agree_and_that_do_not():
    from tljax.when.distances import proxy_a_distance

    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 400, 3))
    assert proxy_a_distance(x[0], x[1]) < 0.3 < 1.9 < proxy_a_distance(x[0], x[1] + 5)
    # the best threshold errs with probability Phi(-1) = 0.159
    shifted = proxy_a_distance(x[0], x[1] + np.array([2.0, 0, 0]))
    assert shifted == pytest.approx(2 * (1 - 2 * 0.1587), abs=0.15)
    with pytest.raises(ValueError, match='10 finite rows'):
        proxy_a_distance(x[0][:5], x[1])
