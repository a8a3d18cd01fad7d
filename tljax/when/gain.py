"""Does transfer help? Gains over a baseline, with intervals from a few seeds.

Runs are paired by seed: the transferred run and the baseline run of a seed use the same labelled
subset and batch order, so that their luck cancels in the difference. An interval over seeds holds
for the one source network that was trained and for the test examples that were used; with others
all gains could change together. `hierarchical_gain` covers all three.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit  # scipy.stats would take half a second to import

from tljax.core import UserError

DECIMALS = 9  # accuracies over fewer than a billion examples differ by more, or are equal


class Gain(NamedTuple):
    """A paired gain: its mean, its 95 % interval, and the two-sided p-value of no gain.

    >>> gain = Gain(mean=0.05, low=0.03, high=0.07, p=0.001)
    >>> gain.low > 0
    True
    """

    mean: float
    low: float
    high: float
    p: float


def transfer_gain(transfer: ArrayLike, baseline: ArrayLike) -> Gain:
    """Gain of transfer over the baseline, by the paired t test over seeds.

    The interval covers the draws of the seeds, not of the source: it holds for the one source
    network, unless each seed trained its own. It assumes nearly normal differences, and it is for a
    single comparison: `verdicts` corrects for a table of them.

    Args:
        transfer: (seeds,) accuracies, paired by seed.
        baseline: (seeds,) accuracies, paired by seed.

    Returns:
        A `Gain` of transfer - baseline. If all differences are equal, the interval is a point, and
        p is 1 for differences of 0 and 0 for others.

    Raises:
        UserError: for different lengths, fewer than two seeds, or accuracies that are not finite.

    Source: Student, The probable error of a mean, 1908.

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
        noun = 'seed' if len(transfer) == 1 else 'seeds'
        raise UserError(f'a paired gain over {len(transfer)} {noun}: run two or more')
    difference = _difference(transfer, baseline)
    if np.ptp(difference) == 0:
        return _point(difference)
    paired = transfer - baseline
    return _student(paired.mean(), _standard_error(paired), len(paired) - 1)


def hierarchical_gain(transfer: ArrayLike, baseline: ArrayLike) -> Gain:
    """Gain of transfer over the baseline, generalised to other sources, seeds and test examples.

    The model of a difference is mu + source + seed + example + the interactions of these. All
    effects are random and crossed: a seed has the same labels and initialisation with every source,
    and an example is the same for every network. An effect's contribution to the variance of the
    mean is the alternating sum of the mean squares of the effect and its interactions. A negative
    sum counts as 0, which errs towards a wider interval. The degrees of freedom are
    Satterthwaite's.

    An axis of length one is treated as fixed. The false-positive rate at the 5 % level depends on
    how often the effect with the largest variance was sampled, here for normal effects: five times
    or more, at most 6 %; three times, 8 %; twice, 13 %. It is below 5 % if much of the variance
    belongs to interactions. For one source and accuracies averaged over examples, the result is the
    paired t test over seeds.

    Args:
        transfer: (sources, seeds, examples), 1 for right answers and 0 for wrong ones, or any
            score.
        baseline: the same shape, or (1, seeds, examples) for a baseline without a source, such as
            training from scratch.

    Returns:
        A `Gain` of transfer - baseline, as for `transfer_gain`.

    Raises:
        UserError: for shapes that do not pair, a single value, or numbers that are not finite.

    Sources:
        expected mean squares: Cornfield and Tukey 1956 (https://doi.org/10.1214/aoms/1177728067),
        and Searle, Casella and McCulloch, Variance components, 1992, chapter 4.
        degrees of freedom: Satterthwaite 1946 (https://doi.org/10.2307/3002019).
        what varies in a benchmark: Bouthillier et al. 2021 (https://arxiv.org/abs/2103.03098).
        why no bootstrap: none is exact for crossed effects (Owen 2007,
        https://arxiv.org/abs/0712.1111), and with five seeds the percentile bootstrap reports a
        gain where there is none in one case of six.

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
    variance, freedom = _variance_of_mean(difference)
    return _student(difference.mean(), variance**0.5, freedom)


def _student(mean, error, freedom):
    """Returns the gain of a mean with its standard error, by Student's t."""
    half_width = stdtrit(freedom, 0.975) * error
    p = 2 * stdtr(freedom, -abs(mean) / error)
    return Gain(float(mean), float(mean - half_width), float(mean + half_width), float(p))


def _standard_error(values):
    """Returns the standard error of a mean."""
    return values.std(ddof=1) / math.sqrt(len(values))


def _difference(transfer, baseline):
    """Returns transfer - baseline without rounding errors, or refuses infinite and NaN values."""
    difference = np.round(transfer - baseline, DECIMALS)
    if not np.isfinite(difference).all():
        raise UserError(
            f'{int((~np.isfinite(difference)).sum())} of {difference.size} paired accuracies are '
            'not finite: look for the run that diverged'
        )
    return difference


def _point(difference):
    """Returns the gain when all differences are equal."""
    point = float(difference.flat[0])
    return Gain(point, point, point, float(point == 0))


def _variance_of_mean(difference):
    """Returns the variance of the mean of crossed random effects, and its degrees of freedom.

    At least two of the differences must differ.
    """
    axes = range(difference.ndim)
    random_axes = [axis for axis in axes if difference.shape[axis] > 1]
    effects = [
        set(effect) for order in axes for effect in itertools.combinations(random_axes, order + 1)
    ]
    freedom = np.array(
        [math.prod(difference.shape[axis] - 1 for axis in effect) for effect in effects]
    )
    # divided by the number of differences, and so a variance of their mean
    mean_square = np.empty(len(effects))
    for i, effect in enumerate(effects):
        residual = difference.mean(tuple(set(axes) - effect), keepdims=True)
        for axis in effect:
            residual = residual - residual.mean(axis, keepdims=True)
        mean_square[i] = (residual**2).mean() / freedom[i]
    component = np.zeros(len(effects))
    for i, effect in enumerate(effects):
        for j, interaction in enumerate(effects):
            if effect <= interaction:
                component[i] += (-1) ** len(interaction - effect) * mean_square[j]
    variance = np.maximum(component, 0).sum()
    return variance, variance**2 / (mean_square**2 / freedom).sum()


def verdicts(gains: Sequence[Gain], level: float = 0.05) -> list[str]:
    """Classifies the gains of a table, with a chance of at most `level` for any false alarm in it.

    Holm's step-down correction needs no independence of the cells. It is stricter than the cells'
    own intervals: a cell whose interval just excludes 0 can still be 'none detected'.

    Args:
        gains: all cells that were examined, including those that are not reported.
        level: the family-wise error rate.

    Returns:
        A list of 'positive', 'none detected' or 'negative' (negative transfer), in the order of
        `gains`.

    Raises:
        UserError: for a mean or a p-value that is not a number; the correction would call it
            significant.

    Source: Holm 1979 (https://www.jstor.org/stable/4615733).

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
    answers = ['none detected'] * len(gains)
    for rank, i in enumerate(sorted(range(len(gains)), key=lambda i: gains[i].p)):
        if gains[i].p > level / (len(gains) - rank):  # neither this gain nor any with a larger p
            break
        answers[i] = 'positive' if gains[i].mean > 0 else 'negative'
    return answers


def mean_interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float | None]:
    """Mean over seeds, and the half width of its interval by Student's t.

    As for `transfer_gain`, the interval covers the draws of the seeds for the one source network.

    Args:
        values: (seeds,).
        level: coverage of the interval.

    Returns:
        (mean, half width); the half width of a single value is None.

    Raises:
        UserError: for no values.

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
    half_width = stdtrit(len(values) - 1, (1 + level) / 2) * _standard_error(values)
    return float(values.mean()), float(half_width)


def share_interval(values: ArrayLike) -> tuple[float, float | None]:
    """Mean over seeds and its 95 % half width, for shares of examples.

    It differs from `mean_interval` for two seeds, which have no interval here: Student's t over two
    values is 12.7 standard errors wide, and says nothing about a number between 0 and 1.

    Args:
        values: (seeds,) between 0 and 1.

    Returns:
        (mean, half width of the 95 % interval); the half width of one or two values is None.

    Raises:
        UserError: as `mean_interval`.

    >>> share_interval([0.5, 0.75]), round(mean_interval([0.5, 0.75])[1], 2)
    ((0.625, None), 1.59)
    """
    mean, half_width = mean_interval(values)
    return mean, half_width if len(np.asarray(values)) > 2 else None


def labels_needed(
    budgets: Sequence[int | None], means: Sequence[float], goal: float
) -> int | str | None:
    """Labels per class that a strategy needs: the smallest budget whose mean reaches a goal.

    Args:
        budgets: labels per class, in any order; None for all labels.
        means: mean accuracy at each budget.
        goal: an accuracy, such as that of training from scratch with all labels.

    Returns:
        The budget, 'all' for the budget None, or None if no budget reaches the goal.

    >>> labels_needed([1, 5, None], means=[0.4, 0.7, 0.9], goal=0.6)
    5
    >>> labels_needed([1, 5, None], means=[0.4, 0.7, 0.9], goal=0.8)
    'all'
    """
    sufficient = [budget for budget, mean in zip(budgets, means, strict=True) if mean >= goal]
    if not sufficient:
        return None
    smallest = min(sufficient, key=lambda budget: np.inf if budget is None else budget)
    return 'all' if smallest is None else smallest
