"""Does transfer help: how much a source helped, and how sure of it a handful of seeds allow one to be.

Runs are paired by seed: the transferred and the baseline run of a seed share their subset of labels and their batch order, so
that the luck of the draw cancels in the difference. Every interval here is over what the seeds draw. It holds for the one source
network that was trained: another could move all gains together, unless each seed draws a source of its own.
"""
from typing import NamedTuple

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

from tljax.core import Refused

DECIMALS = 9   # accuracies over fewer than a billion examples differ by more than this, or not at all: what is left is rounding


class Gain(NamedTuple):
    """A paired gain: its mean, the ends of its 95 % interval, and the two-sided p value of no gain.

    >>> Gain(mean=.05, low=.03, high=.07, p=.001).mean
    0.05
    """
    mean: float
    low: float
    high: float
    p: float


def transfer_gain(transfer, baseline):
    """What transfer gains over the baseline, by the paired t test (Student 1908).

    The interval covers the seeds' draws, not the source network's: it holds for the one source trained, unless a source was drawn
    per seed. It assumes nearly normal differences and stands for one comparison: `verdicts` corrects for a table of them.

    Args:
        transfer, baseline: (seeds,) accuracies, paired by seed.

    Returns:
        A `Gain` of transfer - baseline. Where all differences are equal the interval is the point, and p is 1 if they are 0,
        else 0.

    Raises:
        Refused: for unpaired lengths, fewer than two seeds, or accuracies that are not finite.

    >>> gain = transfer_gain([.7, .8, .9], [.6, .6, .6])
    >>> f'{gain.mean:.2f} [{gain.low:.2f}, {gain.high:.2f}] p={gain.p:.3f}'
    '0.20 [-0.05, 0.45] p=0.074'
    """
    transfer, baseline = np.asarray(transfer, float), np.asarray(baseline, float)
    if transfer.shape != baseline.shape or transfer.ndim != 1:
        raise Refused(f'transfer {transfer.shape} and baseline {baseline.shape} do not pair: give one accuracy per seed to each')
    if len(transfer) < 2:
        raise Refused(f'a paired gain over {len(transfer)} seed{"s" * (len(transfer) != 1)}: run two or more')
    difference = np.round(transfer - baseline, DECIMALS)
    if not np.isfinite(difference).all():
        raise Refused(f'{int((~np.isfinite(difference)).sum())} of {len(difference)} paired accuracies are not finite: '
                      'look for the run that diverged')
    if np.ptp(difference) == 0:
        point = float(difference[0])
        return Gain(point, point, point, float(point == 0))
    test = stats.ttest_rel(transfer, baseline)
    interval = test.confidence_interval(.95)
    return Gain(float(difference.mean()), float(interval.low), float(interval.high), float(test.pvalue))


def verdicts(gains, level=.05):
    """What a table of gains lets one say, with at most `level` chance of one false alarm or more in the whole table.

    Holm's step-down correction (Holm 1979, https://www.jstor.org/stable/4615733), which needs no independence of the cells. It is
    stricter than the cells' own intervals: one that just excludes 0 may still read 'none detected'.

    Args:
        gains: a sequence of `Gain`: every cell that was looked at. level: the family-wise error rate.

    Returns:
        A list of 'positive', 'none detected' or 'negative' (negative transfer), in the order of `gains`.

    >>> verdicts([Gain(.1, .05, .15, .001), Gain(-.1, -.19, -.01, .04), Gain(-.2, -.3, -.1, .002)])
    ['positive', 'negative', 'negative']
    >>> verdicts([Gain(-.1, -.19, -.01, .04), Gain(.01, -.1, .12, .8)])
    ['none detected', 'none detected']
    """
    if not gains:
        return []
    detected = multipletests([gain.p for gain in gains], alpha=level, method='holm')[0]
    return [('positive' if gain.mean > 0 else 'negative') if found else 'none detected'
            for gain, found in zip(gains, detected, strict=True)]


def mean_interval(values, level=.95):
    """The mean over seeds and the half width of its interval by Student's t.

    As with `transfer_gain`, the interval is of the seeds' draws, given the one source network.

    Args:
        values: (seeds,). level: the coverage.

    Returns:
        (mean, half width); the half width of a single value is None.

    Raises:
        Refused: for no value at all.

    >>> mean, half = mean_interval([1., 2., 3.])
    >>> f'{mean:.2f} ± {half:.2f}'
    '2.00 ± 2.48'
    >>> mean_interval([.5])
    (0.5, None)
    """
    values = np.asarray(values, float)
    if not values.size:
        raise Refused('a mean over no seeds: give at least one value')
    if len(values) == 1:
        return float(values[0]), None
    return float(values.mean()), float(stats.t.ppf((1 + level) / 2, len(values) - 1) * stats.sem(values))


def labels_needed(budgets, means, goal):
    """How many labels per class a strategy needs: the smallest budget whose mean reaches the goal.

    Args:
        budgets: labels per class, None for all of them, in any order. means: their mean accuracies. goal: an accuracy, such as
            what training from scratch reaches with all labels.

    Returns:
        The budget, 'all' for the budget None, or None where no budget reaches the goal.

    >>> labels_needed([1, 5, None], [.4, .7, .9], goal=.6)
    5
    >>> labels_needed([1, 5, None], [.4, .7, .9], goal=.8), labels_needed([1, 5, None], [.4, .7, .9], goal=.95)
    ('all', None)
    """
    reached = [budget for budget, mean in zip(budgets, means, strict=True) if mean >= goal]
    smallest = min(reached, key=lambda budget: np.inf if budget is None else budget, default=None)
    return 'all' if reached and smallest is None else smallest
