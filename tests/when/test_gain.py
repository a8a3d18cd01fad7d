"""Gains and verdicts against SciPy, statsmodels, numbers by hand, and simulated tables without any
gain."""

import gc
import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.weightstats import DescrStatsW

from tljax.core import UserError
from tljax.when.gain import (
    Gain,
    hierarchical_gain,
    labels_needed,
    mean_interval,
    share_interval,
    transfer_gain,
    verdicts,
)


@pytest.fixture
def quick_gc():
    """multipletests collects garbage at every call; what exists already is kept out of that."""
    gc.freeze()
    yield
    gc.unfreeze()


def test_a_gain_by_hand():
    # Differences 1, 2, 3: mean 2, standard error 1/sqrt(3), t = 2 sqrt(3), two degrees of freedom,
    # for which the t distribution
    # has a closed form: the tail beyond t is (1 - t / sqrt(t^2 + 2)) / 2, and the 97.5 % point is
    # 4.302653.
    gain = transfer_gain([1.5, 3.0, 4.0], [0.5, 1.0, 1.0])
    t = 2 * 3**0.5
    assert gain.mean == 2
    assert gain.p == pytest.approx(1 - t / (t**2 + 2) ** 0.5)
    assert (gain.low, gain.high) == pytest.approx(
        (2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5), abs=1e-6
    )


@pytest.mark.parametrize('seeds', [2, 5, 30])
def test_a_gain_is_a_one_sample_test_of_the_differences(seeds):
    rng = np.random.default_rng(seeds)
    baseline = rng.uniform(0.5, 0.9, seeds)
    transfer = baseline + rng.normal(0.03, 0.05, seeds)
    gain, test = transfer_gain(transfer, baseline), DescrStatsW(transfer - baseline)
    assert gain.mean == pytest.approx(test.mean, abs=1e-9)
    assert (gain.low, gain.high) == pytest.approx(test.tconfint_mean(0.05))
    assert gain.p == pytest.approx(test.ttest_mean(0)[1])
    reverse_gain = transfer_gain(baseline, transfer)
    assert reverse_gain == pytest.approx((-gain.mean, -gain.high, -gain.low, gain.p))


@pytest.mark.filterwarnings('error')
def test_equal_differences_are_a_point():
    baseline = np.array([0.5, 0.61, 0.72, 0.83])
    assert transfer_gain(baseline, baseline) == (0, 0, 0, 1)
    assert transfer_gain(baseline + 0.1, baseline) == (0.1, 0.1, 0.1, 0)  # equal but for rounding
    # 0.30000000000000004 is no gain
    assert transfer_gain([0.1 + 0.2, 0.5], [0.3, 0.5]) == (0, 0, 0, 1)
    assert verdicts([transfer_gain(baseline, baseline + 0.1)]) == ['negative']


@pytest.mark.parametrize(
    'transfer, baseline, words',
    [
        ([0.9], [0.8], '1 seed:'),
        ([], [], '0 seeds:'),
        ([0.9, 0.8], [0.7, 0.8, 0.9], '(2,) and baseline (3,)'),
        ([[0.9, 0.8]], [[0.7, 0.8]], '(1, 2)'),
        ([0.9, np.nan, 0.8], [0.7, 0.8, 0.9], '1 of 3'),
    ],
)
def test_what_cannot_be_paired_is_refused_in_one_line(transfer, baseline, words):
    with pytest.raises(UserError) as refusal:
        transfer_gain(transfer, baseline)
    assert words in str(refusal.value) and '\n' not in str(refusal.value)


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_where_one_axis_is_replicated_the_hierarchical_gain_is_the_paired_t_test(axis):
    rng = np.random.default_rng(axis)
    shape = np.ones(3, int)
    shape[axis] = 5
    transfer, baseline = rng.uniform(0.5, 0.9, (2, *shape))
    test = stats.ttest_rel(transfer.ravel(), baseline.ravel())
    assert hierarchical_gain(transfer, baseline) == pytest.approx(
        (np.mean(transfer - baseline), *test.confidence_interval(), test.pvalue), rel=1e-7
    )


def test_a_hierarchical_gain_by_hand():
    # Differences of two sources (rows) and three seeds: mean 4; sources' means 3 and 5, SS = 3 (1 +
    # 1) = 6 on 1; seeds' means 1, 5 and
    # 6, SS = 2 (9 + 1 + 4) = 28 on 2; left are 1, 0, -1 and their opposites, SS = 4 on 2. The mean
    # squares are 6, 14 and 2: the
    # effects add 6 - 2, 14 - 2 and 2, together 18; variance 18 / 6 = 3 with 18^2 / (6^2 + 14^2 / 2
    # + 2^2 / 2) degrees of freedom.
    difference = np.array([[1.0, 4.0, 4.0], [1.0, 6.0, 8.0]])
    gain = hierarchical_gain(difference[..., None], np.zeros((1, 3, 1)))
    distribution = stats.t(18**2 / (36 + 98 + 2), loc=4, scale=3**0.5)
    assert gain == pytest.approx(
        (4, distribution.ppf(0.025), distribution.ppf(0.975), 2 * distribution.cdf(0))
    )


@pytest.mark.parametrize('seed', range(6))  # two to four of the seven components come out negative
def test_a_hierarchical_gain_solves_the_expected_mean_squares_of_an_analysis_of_variance(seed):
    rng = np.random.default_rng(seed)
    sizes = dict(zip('ske', (3, 4, 5), strict=True))
    transfer, baseline = (
        rng.normal(size=(3, 4, 5)) + rng.normal(size=(3, 1, 1)) * seed,
        rng.normal(size=(1, 4, 5)),
    )
    cells = pd.DataFrame(np.argwhere(np.ones((3, 4, 5))), columns=list('ske')).assign(
        d=(transfer - baseline).ravel()
    )
    table = anova_lm(ols('d ~ (C(s) + C(k) + C(e)) ** 2', cells).fit())
    names = [
        name.replace('C(', '').replace(')', '').replace(':', '').replace('Residual', 'ske')
        for name in table.index
    ]
    # Cornfield and Tukey: a component enters the mean squares of all its factors' subsets, times
    # the sizes of the other factors.
    times = [
        np.prod([size for factor, size in sizes.items() if factor not in name]) for name in names
    ]
    expected = [
        [time if set(row) <= set(name) else 0 for name, time in zip(names, times, strict=True)]
        for row in names
    ]
    component = np.maximum(np.linalg.solve(expected, table.mean_sq), 0)
    variance = sum(
        part / np.prod([sizes[factor] for factor in name])
        for part, name in zip(component, names, strict=True)
    )
    freedom = variance**2 / ((table.mean_sq / 60) ** 2 / table.df).sum()
    distribution = stats.t(freedom, loc=cells.d.mean(), scale=variance**0.5)
    assert hierarchical_gain(transfer, baseline) == pytest.approx(
        (
            cells.d.mean(),
            distribution.ppf(0.025),
            distribution.ppf(0.975),
            2 * min(distribution.cdf(0), distribution.sf(0)),
        ),
        abs=1e-6,
    )


def test_a_hierarchical_gain_knows_no_order_and_no_names_of_its_axes():
    transfer, baseline = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    gain = hierarchical_gain(transfer, baseline)
    for order in itertools.permutations(range(3)):
        assert hierarchical_gain(
            transfer.transpose(order), baseline.transpose(order)
        ) == pytest.approx(gain)
    assert hierarchical_gain(baseline, transfer) == pytest.approx(
        (-gain.mean, -gain.high, -gain.low, gain.p)
    )
    assert hierarchical_gain(transfer + 7, baseline[:1]) == hierarchical_gain(
        transfer + 7, np.repeat(baseline[:1], 3, 0)
    )


def answers(rng, sources, seeds, examples, source, seed, example, accuracy=0.8):
    """Right and wrong answers of transfer and of a baseline that is right in 80 %: thresholds of
    normal skills of variance 1.

    Of these .6 are how hard an example is, the same in both, and `seed` the luck of the seed's
    labels, also the same; `source`, as much again of `seed`, and `example` are effects on either
    alone, and the rest is noise. Both are exactly as accurate as they are said to be.
    """
    difficulty, luck = 0.6**0.5 * rng.normal(size=examples), seed**0.5 * rng.normal(size=(seeds, 1))

    def right(sources, source, accuracy):
        effects = (
            source**0.5 * rng.normal(size=(sources, 1, 1))
            + seed**0.5 * rng.normal(size=(seeds, 1))
            + example**0.5 * rng.normal(size=examples)
        )
        noise = (0.4 - 2 * seed - source - example) ** 0.5 * rng.normal(
            size=(sources, seeds, examples)
        )
        return difficulty + luck + effects + noise < special.ndtri(accuracy)

    return right(sources, source, accuracy), right(1, 0.0, 0.8)


# a variance of .01 is a standard deviation of .028 of the accuracy
@pytest.mark.parametrize(
    'lower, upper, setting',
    [
        (0.03, 0.07, (4, 5, 300, 0.01, 0.01, 0.1)),
        (0.03, 0.07, (5, 5, 500, 0.005, 0.005, 0.05)),
        (0, 0.07, (3, 5, 300, 0.02, 0.01, 0.1)),
        (0, 0.07, (4, 5, 300, 0.0, 0.01, 0.0)),
        (0, 0.07, (4, 5, 300, 0.02, 0.0, 0.0)),
        (0, 0.07, (3, 5, 200, 0.0, 0.0, 0.2)),
        (0, 0.07, (4, 5, 300, 0.0, 0.0, 0.0)),
    ],
)
def test_gains_where_there_is_none_are_found_as_rarely_as_said(lower, upper, setting):
    rng = np.random.default_rng(0)
    p = [hierarchical_gain(*answers(rng, *setting)).p for _ in range(500)]
    # of 2000: .045, .044, .045, .052, .046, .032 and .018
    assert lower <= np.mean(np.array(p) < 0.05) <= upper


def test_a_bootstrap_over_five_seeds_finds_far_more():
    rng = np.random.default_rng(0)
    differences = rng.normal(size=(1000, 5))
    resamples = differences[:, rng.integers(0, 5, (2000, 5))].mean(-1)
    low, high = np.quantile(resamples, [0.025, 0.975], axis=1)
    assert 0.13 < np.mean((low > 0) | (high < 0)) < 0.19
    p = [
        hierarchical_gain(difference[None, :, None], np.zeros((1, 5, 1))).p
        for difference in differences
    ]
    assert 0.03 < np.mean(np.array(p) < 0.05) < 0.07


def test_what_one_source_gains_is_no_gain_of_sources():
    # One source's gain is real for that source, and is found; it is nothing that another source
    # would show again.
    rng = np.random.default_rng(0)
    pairs = [answers(rng, 4, 5, 300, 0.02, 0.001, 0.0) for _ in range(100)]
    one_source = [
        transfer_gain(transfer[0].mean(-1), baseline[0].mean(-1)).p for transfer, baseline in pairs
    ]
    all_sources = [hierarchical_gain(transfer, baseline).p for transfer, baseline in pairs]
    assert (
        np.mean(np.array(one_source) < 0.05) > 0.3 and np.mean(np.array(all_sources) < 0.05) < 0.1
    )


def test_a_real_gain_is_found_and_its_interval_covers_it():
    rng = np.random.default_rng(0)
    gains = [
        hierarchical_gain(*answers(rng, 4, 5, 300, 0.01, 0.01, 0.1, accuracy=0.88))
        for _ in range(300)
    ]
    assert np.mean([gain.p < 0.05 for gain in gains]) > 0.8
    assert 0.92 < np.mean([gain.low < 0.08 < gain.high for gain in gains]) < 0.98
    assert np.mean([gain.mean for gain in gains]) == pytest.approx(0.08, abs=0.005)
    assert all((gain.p < 0.05) == (gain.low > 0 or gain.high < 0) for gain in gains)


@pytest.mark.filterwarnings('error')
def test_equal_hierarchical_differences_are_a_point():
    baseline = np.random.default_rng(0).uniform(size=(1, 3, 4))
    assert hierarchical_gain(np.repeat(baseline, 2, 0), baseline) == (0, 0, 0, 1)
    assert hierarchical_gain(np.repeat(baseline, 2, 0) + 0.1, baseline) == (0.1, 0.1, 0.1, 0)
    interaction = np.array([[1.0, -1.0], [-1.0, 1.0]])[
        ..., None
    ]  # nothing but the interaction varies
    assert hierarchical_gain(interaction, np.zeros((1, 2, 1))).p == 1


@pytest.mark.parametrize(
    'transfer, baseline, words',
    [
        (np.ones((2, 3, 4)), np.ones((3, 4)), '(3, 4)'),
        (np.ones((2, 3, 4)), np.ones((2, 1, 4)), 'do not pair'),
        (np.ones((1, 3, 4)), np.ones((2, 3, 4)), 'do not pair'),
        (np.ones(5), np.ones(5), '(sources, seeds, examples)'),
        (np.ones((1, 1, 1)), np.ones((1, 1, 1)), 'nothing is replicated'),
        (np.ones((0, 5, 4)), np.ones((1, 5, 4)), '(0, 5, 4)'),
        (np.ones((2, 3, 4)), np.where(np.arange(4) == 2, np.nan, np.ones((1, 3, 4))), '6 of 24'),
    ],
)
def test_what_has_no_hierarchical_gain_is_refused_in_one_line(transfer, baseline, words):
    with pytest.raises(UserError) as refusal:
        hierarchical_gain(transfer, baseline)
    assert words in str(refusal.value) and '\n' not in str(refusal.value)


def holm(p, level):
    """Holm 1979, as a loop: walk up the sorted p values while p <= level / (number left)."""
    rejected = np.zeros(len(p), bool)
    for rank, i in enumerate(np.argsort(p)):
        if p[i] > level / (len(p) - rank):
            break
        rejected[i] = True
    return rejected


def test_verdicts_by_hand():
    # Sorted p .01 .015 .03 .04 against .05/4, .05/3, .05/2, .05: .03 > .025 stops it, though .04 <
    # .05.
    p, sign = [0.04, 0.01, 0.03, 0.015], [1, 1, -1, -1]
    gains = [Gain(0.1 * s, 0, 0, q) for s, q in zip(sign, p, strict=True)]
    assert verdicts(gains) == ['none detected', 'positive', 'none detected', 'negative']
    assert verdicts(gains, level=0.001) == ['none detected'] * 4
    assert verdicts([]) == []


@pytest.mark.parametrize(
    'mean, p', [(0.1, np.nan), (np.nan, 0.01), (np.inf, 0.01), (0.1, -0.1), (0.1, 1.5)]
)
@pytest.mark.parametrize(
    'others', [[], [Gain(0.1, 0.05, 0.15, 0.001), Gain(-0.1, -0.2, 0.0, 0.04)]]
)
def test_a_gain_that_is_no_number_is_never_detected(mean, p, others):
    """Holm's correction of statsmodels calls NaN significant, and what stands beside it with it."""
    with pytest.raises(
        UserError, match=f'gain {len(others) + 1} of {len(others) + 1} has the mean'
    ):
        verdicts([*others, Gain(mean, mean, mean, p)])


@pytest.mark.parametrize(
    'values, expected',
    [([0.4], None), ([0.0, 1.0], None), ([0.1, 0.2, 0.3], 4.302653 * 0.1 / 3**0.5)],
)
def test_shares_of_two_seeds_have_no_interval(values, expected):
    mean, half_width = share_interval(values)
    assert mean == pytest.approx(np.mean(values))
    assert half_width == (expected and pytest.approx(expected, rel=1e-6))


def test_verdicts_are_holms_loop(quick_gc):
    rng = np.random.default_rng(0)
    for _ in range(50):
        p, mean, level = rng.beta(0.3, 3, 12), rng.normal(size=12), rng.uniform(0.01, 0.2)
        expected = np.where(
            holm(p, level), np.where(mean > 0, 'positive', 'negative'), 'none detected'
        )
        assert (
            verdicts([Gain(m, m, m, q) for m, q in zip(mean, p, strict=True)], level)
            == expected.tolist()
        )


def test_false_alarms_over_whole_tables_stay_at_five_percent(quick_gc):
    tables, cells, seeds = 2000, 24, 5
    rng = np.random.default_rng(1)
    luck = rng.normal(0.7, 0.1, (tables, 1, seeds))  # what both runs of a seed share
    transfer, baseline = luck + rng.normal(0, 0.03, (2, tables, cells, seeds))
    p = stats.ttest_rel(transfer, baseline, axis=-1).pvalue
    mean = (transfer - baseline).mean(-1)
    # the same numbers as one call per cell, which is slow
    for table, cell in np.ndindex(20, cells):
        gain = transfer_gain(transfer[table, cell], baseline[table, cell])
        assert (gain.mean, gain.p) == pytest.approx((mean[table, cell], p[table, cell]), abs=1e-8)
    alarms = [
        verdicts([Gain(m, m, m, q) for m, q in table.T]) != ['none detected'] * cells
        for table in np.stack([mean, p], 1)
    ]
    assert 0.03 < np.mean(alarms) < 0.07


def test_intervals_cover_the_mean_as_often_as_they_say():
    draws = np.random.default_rng(2).normal(0.8, 0.05, (2000, 5))
    centre, half = np.array([mean_interval(values, level=0.9) for values in draws]).T
    assert abs((np.abs(centre - 0.8) < half).mean() - 0.9) < 0.02


def test_a_mean_interval_by_another_way():
    values = [0.81, 0.84, 0.79, 0.9]
    mean, half = mean_interval(values)
    assert (mean - half, mean + half) == pytest.approx(DescrStatsW(values).tconfint_mean(0.05))
    assert mean_interval([0.25]) == (0.25, None)
    assert mean_interval([0.25, 0.25]) == (0.25, 0)
    with pytest.raises(UserError, match='no seeds'):
        mean_interval([])


def test_labels_needed_by_hand():
    budgets, means = [None, 20, 5, 1, 10], [0.95, 0.90, 0.70, 0.40, 0.69]
    assert [labels_needed(budgets, means, goal) for goal in (0.3, 0.4, 0.7, 0.71, 0.92, 0.99)] == [
        1,
        1,
        5,
        20,
        'all',
        None,
    ]
    assert labels_needed([], [], 0.5) is None
