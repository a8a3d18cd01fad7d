"""Gains and verdicts against SciPy and statsmodels computed another way, numbers by hand, simulated tables without any gain."""
import gc

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from tljax.core import Refused
from tljax.gain import Gain, labels_needed, mean_interval, transfer_gain, verdicts


@pytest.fixture
def quick_gc():
    """multipletests collects garbage at every call; what exists already is kept out of that."""
    gc.freeze()
    yield
    gc.unfreeze()


def test_a_gain_by_hand():
    # Differences 1, 2, 3: mean 2, standard error 1/sqrt(3), t = 2 sqrt(3), two degrees of freedom, for which the t distribution
    # has a closed form: the tail beyond t is (1 - t / sqrt(t^2 + 2)) / 2, and the 97.5 % point is 4.302653.
    gain = transfer_gain([1.5, 3., 4.], [.5, 1., 1.])
    t = 2 * 3 ** .5
    assert gain.mean == 2
    assert gain.p == pytest.approx(1 - t / (t ** 2 + 2) ** .5)
    assert (gain.low, gain.high) == pytest.approx((2 - 4.302653 / 3 ** .5, 2 + 4.302653 / 3 ** .5), abs=1e-6)


@pytest.mark.parametrize('seeds', [2, 5, 30])
def test_a_gain_is_a_one_sample_test_of_the_differences(seeds):
    rng = np.random.default_rng(seeds)
    baseline = rng.uniform(.5, .9, seeds)
    transfer = baseline + rng.normal(.03, .05, seeds)
    gain, other = transfer_gain(transfer, baseline), DescrStatsW(transfer - baseline)
    assert gain.mean == pytest.approx(other.mean, abs=1e-9)
    assert (gain.low, gain.high) == pytest.approx(other.tconfint_mean(.05))
    assert gain.p == pytest.approx(other.ttest_mean(0)[1])
    mirrored = transfer_gain(baseline, transfer)
    assert mirrored == pytest.approx((-gain.mean, -gain.high, -gain.low, gain.p))


@pytest.mark.filterwarnings('error')
def test_equal_differences_are_a_point():
    baseline = np.array([.5, .61, .72, .83])
    assert transfer_gain(baseline, baseline) == (0, 0, 0, 1)
    assert transfer_gain(baseline + .1, baseline) == (.1, .1, .1, 0)      # equal but for rounding
    assert transfer_gain([.1 + .2, .5], [.3, .5]) == (0, 0, 0, 1)         # 0.30000000000000004 is no gain
    assert verdicts([transfer_gain(baseline, baseline + .1)]) == ['negative']


@pytest.mark.parametrize('transfer, baseline, words', [
    ([.9], [.8], '1 seed:'), ([], [], '0 seeds:'), ([.9, .8], [.7, .8, .9], '(2,) and baseline (3,)'),
    ([[.9, .8]], [[.7, .8]], '(1, 2)'), ([.9, np.nan, .8], [.7, .8, .9], '1 of 3')])
def test_what_cannot_be_paired_is_refused_in_one_line(transfer, baseline, words):
    with pytest.raises(Refused) as refusal:
        transfer_gain(transfer, baseline)
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
    # Sorted p .01 .015 .03 .04 against .05/4, .05/3, .05/2, .05: .03 > .025 stops it, though .04 < .05.
    p, sign = [.04, .01, .03, .015], [1, 1, -1, -1]
    gains = [Gain(.1 * s, 0, 0, q) for s, q in zip(sign, p, strict=True)]
    assert verdicts(gains) == ['none detected', 'positive', 'none detected', 'negative']
    assert verdicts(gains, level=.001) == ['none detected'] * 4
    assert verdicts([]) == []


def test_verdicts_are_holms_loop(quick_gc):
    rng = np.random.default_rng(0)
    for _ in range(50):
        p, mean, level = rng.beta(.3, 3, 12), rng.normal(size=12), rng.uniform(.01, .2)
        expected = np.where(holm(p, level), np.where(mean > 0, 'positive', 'negative'), 'none detected')
        assert verdicts([Gain(m, m, m, q) for m, q in zip(mean, p, strict=True)], level) == expected.tolist()


def test_false_alarms_over_whole_tables_stay_at_five_percent(quick_gc):
    tables, cells, seeds = 2000, 24, 5
    rng = np.random.default_rng(1)
    luck = rng.normal(.7, .1, (tables, 1, seeds))   # what both runs of a seed share
    transfer, baseline = luck + rng.normal(0, .03, (2, tables, cells, seeds))
    p = stats.ttest_rel(transfer, baseline, axis=-1).pvalue
    mean = (transfer - baseline).mean(-1)
    for table, cell in np.ndindex(20, cells):   # the same numbers as one call per cell, which is slow
        gain = transfer_gain(transfer[table, cell], baseline[table, cell])
        assert (gain.mean, gain.p) == pytest.approx((mean[table, cell], p[table, cell]), abs=1e-8)
    alarms = [verdicts([Gain(m, m, m, q) for m, q in table.T]) != ['none detected'] * cells for table in np.stack([mean, p], 1)]
    assert .03 < np.mean(alarms) < .07


def test_intervals_cover_the_mean_as_often_as_they_say():
    draws = np.random.default_rng(2).normal(.8, .05, (2000, 5))
    centre, half = np.array([mean_interval(values, level=.9) for values in draws]).T
    assert abs((np.abs(centre - .8) < half).mean() - .9) < .02


def test_a_mean_interval_by_another_way():
    values = [.81, .84, .79, .9]
    mean, half = mean_interval(values)
    assert (mean - half, mean + half) == pytest.approx(DescrStatsW(values).tconfint_mean(.05))
    assert mean_interval([.25]) == (.25, None)
    assert mean_interval([.25, .25]) == (.25, 0)
    with pytest.raises(Refused, match='no seeds'):
        mean_interval([])


def test_labels_needed_by_hand():
    budgets, means = [None, 20, 5, 1, 10], [.95, .90, .70, .40, .69]
    assert [labels_needed(budgets, means, goal) for goal in (.3, .4, .7, .71, .92, .99)] == [1, 1, 5, 20, 'all', None]
    assert labels_needed([], [], .5) is None
