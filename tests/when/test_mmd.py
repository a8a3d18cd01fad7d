"""The test of the maximum mean discrepancy against loops and all permutations."""

import itertools

import numpy as np
import pytest
from gaussians import normal
from scipy import stats

from tljax.core import UserError
from tljax.when.distances import mmd_test


def mmd_by_loops(xs, xt, width):
    """Gretton et al. 2012, equation 3."""

    def kernel(a, b):
        return np.exp(-sum((a - b) ** 2) / (2 * width**2))

    n, m = len(xs), len(xt)
    source_mean = sum(kernel(xs[i], xs[j]) for i in range(n) for j in range(n) if i != j) / (
        n * (n - 1)
    )
    target_mean = sum(kernel(xt[i], xt[j]) for i in range(m) for j in range(m) if i != j) / (
        m * (m - 1)
    )
    return source_mean + target_mean - 2 * sum(kernel(a, b) for a in xs for b in xt) / (n * m)


@pytest.mark.parametrize('n, m', [(7, 7), (5, 11), (2, 3)])
def test_the_discrepancy_is_a_double_loop_at_a_given_and_at_the_median_width(n, m):
    xs, xt = normal(n, 3), normal(m, 3, seed=1) + 0.5
    assert mmd_test(xs, xt, 1, width=0.7).squared == pytest.approx(
        mmd_by_loops(xs, xt, 0.7), abs=1e-12
    )
    x = np.concatenate([xs, xt])
    median = np.median([sum((a - b) ** 2) for a, b in itertools.combinations(x, 2)]) ** 0.5
    assert mmd_test(xs, xt, 1).squared == pytest.approx(mmd_by_loops(xs, xt, median), abs=1e-12)


@pytest.mark.parametrize('n, m, shift', [(3, 4, 1.0), (3, 3, 0.0), (2, 5, -1.0)])
def test_p_is_that_of_all_permutations(n, m, shift):
    # The observed split is always among those that reach it, and with n = m so is its mirror image,
    # in spite of rounding.
    x = normal(n + m, 2, seed=3) + shift * (np.arange(n + m) < n)[:, None]
    splits = [list(split) for split in itertools.combinations(range(n + m), n)]
    values = np.array([mmd_by_loops(x[split], np.delete(x, split, 0), 1.0) for split in splits])
    expected = (values >= values[0] - 1e-12).mean()
    draws = 20000
    test = mmd_test(x[:n], x[n:], draws, width=1.0)
    assert test.squared == pytest.approx(values[0], abs=1e-12)
    assert abs(test.p - expected) < 4 * (expected * (1 - expected) / draws) ** 0.5 + 1 / draws


def test_p_is_a_loop_over_the_same_permutations():
    xs, xt = normal(6, 2), normal(9, 2, seed=1) + 0.7
    x, observed = np.concatenate([xs, xt]), mmd_by_loops(xs, xt, 1.0)
    members = np.random.default_rng(5).permuted(np.tile(np.arange(15) < 6, (50, 1)), axis=1)
    count = sum(mmd_by_loops(x[member], x[~member], 1.0) >= observed for member in members)
    assert 0 < count < 50
    assert mmd_test(xs, xt, 50, seed=5, width=1.0).p == pytest.approx((1 + count) / 51)


def test_p_is_uniform_where_the_domains_agree():
    rng = np.random.default_rng(0)
    p = np.array(
        [
            mmd_test(rng.normal(size=(8, 2)), rng.normal(size=(12, 2)), 99, seed=seed).p
            for seed in range(200)
        ]
    )
    # spread over the steps of .01
    assert stats.kstest(p - rng.uniform(0, 0.01, 200), 'uniform').pvalue > 0.01
    assert stats.binomtest(int((p <= 0.05).sum()), 200, 0.05).pvalue > 0.01


def test_the_test_finds_other_means_and_other_variances():
    xs = normal(60, 3)
    for xt in (normal(40, 3, seed=1) + 1.5, 3 * normal(40, 3, seed=1)):
        assert mmd_test(xs, xt, 199).p == 1 / 200
    assert mmd_test(xs, xs[::-1], 99).p == 1  # no permutation lies nearer than equal samples


def test_equal_rows_are_no_evidence():
    assert mmd_test(np.ones((5, 2)), np.ones((8, 2)), 99, width=1.0) == (
        pytest.approx(0, abs=1e-12),
        1,
    )
    rows = np.tile(normal(1, 50), (30, 1)) * 1e3  # their computed distances are rounding, not 0
    rows[0] += 1
    with pytest.raises(UserError, match='most rows are equal: give mmd_test a width'):
        mmd_test(rows, rows + 0.0, 9)
