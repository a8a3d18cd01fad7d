"""Does transfer help: how much a source helped, and how sure of it a handful of seeds allow one to
be.

Runs are paired by seed: the transferred and the baseline run of a seed share their subset of labels
and their batch order, so that the luck of the draw cancels in the difference. An interval over
seeds holds for the one source network that was trained, and for the test examples that were seen:
others could move all gains together. `hierarchical_gain` is over all three.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from statsmodels.stats.multitest import multipletests

from tljax.core import UserError

# accuracies over fewer than a billion examples differ by more than this, or not at all: what is
# left is rounding
DECIMALS = 9


class Gain(NamedTuple):
    """A paired gain: its mean, the ends of its 95 % interval, and the two-sided p value of no gain.

    >>> Gain(mean=0.05, low=0.03, high=0.07, p=0.001).mean
    0.05
    """

    mean: float
    low: float
    high: float
    p: float


def transfer_gain(transfer: ArrayLike, baseline: ArrayLike) -> Gain:
    """What transfer gains over the baseline, by the paired t test (Student 1908).

    The interval covers the seeds' draws, not the source network's: it holds for the one source
    trained, unless a source was drawn per seed. It assumes nearly normal differences and stands for
    one comparison: `verdicts` corrects for a table of them.

    Args:
        transfer: (seeds,) accuracies, paired by seed.
        baseline: (seeds,) accuracies, paired by seed.

    Returns:
        A `Gain` of transfer - baseline. Where all differences are equal the interval is the point,
        and p is 1 if they are 0, else 0.

    Raises:
        UserError: for unpaired lengths, fewer than two seeds, or accuracies that are not finite.

    >>> gain = transfer_gain([0.7, 0.8, 0.9], [0.6, 0.6, 0.6])
    >>> f'{gain.mean:.2f} [{gain.low:.2f}, {gain.high:.2f}] p={gain.p:.3f}'
    '0.20 [-0.05, 0.45] p=0.074'
    """
    transfer, baseline = np.asarray(transfer, float), np.asarray(baseline, float)
    if transfer.shape != baseline.shape or transfer.ndim != 1:
        raise UserError(
            f'transfer {transfer.shape} and baseline {baseline.shape} do not pair: give one '
            'accuracy per seed to each'
        )
    if len(transfer) < 2:
        raise UserError(
            f'a paired gain over {len(transfer)} seed{"s" * (len(transfer) != 1)}: run two or more'
        )
    difference = _difference(transfer, baseline)
    if np.ptp(difference) == 0:
        return _point(difference)
    test = stats.ttest_rel(transfer, baseline)
    interval = test.confidence_interval(0.95)
    return Gain(
        float(difference.mean()), float(interval.low), float(interval.high), float(test.pvalue)
    )


def hierarchical_gain(transfer: ArrayLike, baseline: ArrayLike) -> Gain:
    """What transfer gains over the baseline with sources, seeds and test examples other than those
    that were drawn.

    A difference is mu + source + seed + example + the interactions of these, all random and
    crossed: a seed means the same labels and initialisation with every source, an example is the
    same to every network. What an effect adds to the variance of the mean is the alternating sum of
    the mean squares of its own and of its interactions. Sums that come out negative count as 0,
    which errs towards a wider interval; the degrees of freedom are Satterthwaite's.

    An axis of one is not generalised over. Where there is no gain, p is below .05 in 6 % of normal
    draws at most if what varies most is drawn five times or more, in up to 8 % if three times and
    13 % if twice, and in fewer than 5 % where much of the variance is the interactions'. Of one
    source and averages over examples it is the paired t test over seeds.

    Args:
        transfer: (sources, seeds, examples), 0 or 1 for wrong and right answers, or any score.
        baseline: the same shape, or (1, seeds, examples) where there is no source, as with training
            from scratch.

    Returns:
        A `Gain` of transfer - baseline, as `transfer_gain`.

    Raises:
        UserError: for shapes that do not pair, nothing replicated, or numbers that are not finite.

    Sources: expected mean squares, Cornfield and Tukey 1956
    (https://doi.org/10.1214/aoms/1177728067) and Searle, Casella and McCulloch, Variance
    components, 1992, chapter 4; degrees of freedom, Satterthwaite 1946
    (https://doi.org/10.2307/3002019); what varies in a benchmark, Bouthillier et al. 2021
    (https://arxiv.org/abs/2103.03098). No bootstrap is exact for crossed effects (Owen 2007,
    https://arxiv.org/abs/0712.1111), and the percentiles of the plain one over five seeds find a
    gain where there is none one time in six.

    >>> transfer = [
    ...     [[1, 1, 1, 1], [1, 1, 0, 1]],
    ...     [[1, 1, 1, 0], [1, 1, 1, 1]],
    ... ]  # two sources, two seeds, four examples
    >>> gain = hierarchical_gain(transfer, [[[0, 0, 0, 1], [0, 0, 0, 0]]])
    >>> f'{gain.mean:.2f} [{gain.low:.2f}, {gain.high:.2f}] p={gain.p:.3f}'
    '0.75 [-0.16, 1.66] p=0.074'
    """
    transfer, baseline = np.asarray(transfer, float), np.asarray(baseline, float)
    if transfer.ndim != 3 or baseline.shape not in (transfer.shape, (1, *transfer.shape[1:])):
        raise UserError(
            f'transfer {transfer.shape} and baseline {baseline.shape} do not pair: give (sources, '
            'seeds, examples) to each, or one source to the baseline'
        )
    if transfer.size < 2:
        raise UserError(
            f'nothing is replicated in {transfer.shape}: give two sources, seeds or examples, or '
            'more'
        )
    difference = _difference(transfer, baseline)
    if np.ptp(difference) == 0:
        return _point(difference)
    mean, (variance, freedom) = float(difference.mean()), _variance_of_mean(difference)
    low, high = stats.t.interval(0.95, freedom, mean, variance**0.5)
    return Gain(
        mean, float(low), float(high), float(2 * stats.t.sf(abs(mean) / variance**0.5, freedom))
    )


def _difference(transfer, baseline):
    """transfer - baseline, once all of it is finite, without what rounding adds."""
    difference = np.round(transfer - baseline, DECIMALS)
    if not np.isfinite(difference).all():
        raise UserError(
            f'{int((~np.isfinite(difference)).sum())} of {difference.size} paired accuracies are '
            'not finite: look for the run that diverged'
        )
    return difference


def _point(difference):
    """The gain where all differences are equal."""
    point = float(difference.flat[0])
    return Gain(point, point, point, float(point == 0))


def _variance_of_mean(difference):
    """The variance of the mean of crossed random effects, and its degrees of freedom; some of the
    differences must differ."""
    axes = range(difference.ndim)
    replicated = [axis for axis in axes if difference.shape[axis] > 1]
    effects = [
        set(effect) for order in axes for effect in itertools.combinations(replicated, order + 1)
    ]
    freedom = np.array(
        [math.prod(difference.shape[axis] - 1 for axis in effect) for effect in effects]
    )
    # divided by the number of differences, and so a variance of their mean
    mean_square = np.empty(len(effects))
    for i, effect in enumerate(effects):
        part = difference.mean(tuple(set(axes) - effect), keepdims=True)
        for axis in effect:
            part = part - part.mean(axis, keepdims=True)
        mean_square[i] = (part**2).mean() / freedom[i]
    alone = [
        sum(
            (-1) ** len(other - effect) * mean_square[i]
            for i, other in enumerate(effects)
            if effect <= other
        )
        for effect in effects
    ]
    variance = np.maximum(alone, 0).sum()
    return variance, variance**2 / (mean_square**2 / freedom).sum()


def verdicts(gains: Sequence[Gain], level: float = 0.05) -> list[str]:
    """What a table of gains lets one say, with at most `level` chance of one false alarm or more in
    the whole table.

    Holm's step-down correction (Holm 1979, https://www.jstor.org/stable/4615733), which needs no
    independence of the cells. It is stricter than the cells' own intervals: one that just excludes
    0 may still read 'none detected'.

    Args:
        gains: every cell that was looked at.
        level: the family-wise error rate.

    Returns:
        A list of 'positive', 'none detected' or 'negative' (negative transfer), in the order of
        `gains`.

    Raises:
        UserError: for a mean or a p value that is no number; the correction would call it detected.

    >>> verdicts(
    ...     [
    ...         Gain(0.1, 0.05, 0.15, 0.001),
    ...         Gain(-0.1, -0.19, -0.01, 0.04),
    ...         Gain(-0.2, -0.3, -0.1, 0.002),
    ...     ]
    ... )
    ['positive', 'negative', 'negative']
    >>> verdicts([Gain(-0.1, -0.19, -0.01, 0.04), Gain(0.01, -0.1, 0.12, 0.8)])
    ['none detected', 'none detected']
    """
    if not gains:
        return []
    for i, gain in enumerate(gains, 1):
        if not (math.isfinite(gain.mean) and 0 <= gain.p <= 1):
            raise UserError(
                f'gain {i} of {len(gains)} has the mean {gain.mean} and the p value {gain.p}, so '
                'nothing can be said of the table: look for what made it, or leave it out'
            )
    detected = multipletests([gain.p for gain in gains], alpha=level, method='holm')[0]
    return [
        ('positive' if gain.mean > 0 else 'negative') if found else 'none detected'
        for gain, found in zip(gains, detected, strict=True)
    ]


def mean_interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float | None]:
    """The mean over seeds and the half width of its interval by Student's t.

    As with `transfer_gain`, the interval is of the seeds' draws, given the one source network.

    Args:
        values: (seeds,).
        level: the coverage.

    Returns:
        (mean, half width); the half width of a single value is None.

    Raises:
        UserError: for no value at all.

    >>> mean, half = mean_interval([1.0, 2.0, 3.0])
    >>> f'{mean:.2f} ± {half:.2f}'
    '2.00 ± 2.48'
    >>> mean_interval([0.5])
    (0.5, None)
    """
    values = np.asarray(values, float)
    if not values.size:
        raise UserError('a mean over no seeds: give at least one value')
    if len(values) == 1:
        return float(values[0]), None
    return float(values.mean()), float(
        stats.t.ppf((1 + level) / 2, len(values) - 1) * stats.sem(values)
    )


def share_interval(values: ArrayLike) -> tuple[float, float | None]:
    """The same for shares of examples, which have no interval over two seeds.

    Student's t over two values, 12.7 standard errors, tells nothing of a number between 0 and 1.

    Args:
        values: (seeds,) between 0 and 1.

    Returns:
        (mean, half width of the 95 % interval); the half width of one or two values is None.

    Raises:
        UserError: as `mean_interval`.

    >>> share_interval([0.5, 0.75]), round(mean_interval([0.5, 0.75])[1], 2)
    ((0.625, None), 1.59)
    """
    mean, half = mean_interval(values)
    return mean, half if len(np.asarray(values)) > 2 else None


def labels_needed(
    budgets: Sequence[int | None], means: Sequence[float], goal: float
) -> int | str | None:
    """How many labels per class a strategy needs: the smallest budget whose mean reaches the goal.

    Args:
        budgets: labels per class, None for all of them, in any order.
        means: mean accuracies with these budgets.
        goal: an accuracy, such as what training from scratch reaches with all labels.

    Returns:
        The budget, 'all' for the budget None, or None where no budget reaches the goal.

    >>> labels_needed([1, 5, None], [0.4, 0.7, 0.9], goal=0.6)
    5
    >>> (
    ...     labels_needed([1, 5, None], [0.4, 0.7, 0.9], goal=0.8),
    ...     labels_needed([1, 5, None], [0.4, 0.7, 0.9], goal=0.95),
    ... )
    ('all', None)
    """
    reached = [budget for budget, mean in zip(budgets, means, strict=True) if mean >= goal]
    smallest = min(reached, key=lambda budget: np.inf if budget is None else budget, default=None)
    return 'all' if reached and smallest is None else smallest
