"""Learning curves: how many labels an accuracy needs, by error(k) = c + a k^-b.

k is the number of labels per class, and the law is a power law with a floor c. The errors of many
networks follow power laws (Hestness et al. 2017, https://arxiv.org/abs/1712.00409) with a floor
(Rosenfeld et al. 2020, https://arxiv.org/abs/1909.12673), but not all do: some curves start with a
plateau, and some even rise (Viering and Loog 2021, https://arxiv.org/abs/2103.10948). No interval
here accounts for that. Beyond the measured budgets an answer depends on the law alone, and every
answer says whether it is such an extrapolation. `tljax.when.gain.labels_needed` uses the measured
budgets only, without a law.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tljax.core import UserError

# range of b: below, the law is a straight line in log k; above, only the first budget has an error
# above the floor
EXPONENTS = (0.01, 10.0)
GRID = 16  # values of log b
ROUNDS = 9  # of refining the grid, which finds log b to (2 / 15)^8 of its range
RESAMPLES = 500
# times the mean variance: seeds that happen to agree at a budget are not free of noise
SMALLEST_VARIANCE = 1e-3
SMALLEST_RISE = 1e-9  # a smaller rise of the accuracy is rounding error


class Curve(NamedTuple):
    """A fitted curve error(k) = c + a k^-b.

    Attributes:
        a: scale of the error, at least 0.
        b: exponent, above 0.
        c: floor of the error, at least 0.
        resamples: (r, 3): a, b and c of curves for other draws of the seeds.
        budgets: the smallest and the largest measured budget.

    >>> curve = Curve(
    ...     a=0.5, b=1.0, c=0.1, resamples=np.array([[0.5, 1.0, 0.1]]), budgets=(1.0, 20.0)
    ... )
    >>> power_law(curve, 10).value  # 1 - (0.1 + 0.5 / 10)
    0.85
    """

    a: float
    b: float
    c: float
    resamples: np.ndarray
    budgets: tuple[float, float]


class Estimate(NamedTuple):
    """A value, its 95 % interval, and whether it lies outside the measured budgets.

    >>> estimate = Estimate(value=0.8, low=0.7, high=0.9, extrapolated=False)
    >>> estimate.low <= 0.75 <= estimate.high
    True
    """

    value: float
    low: float
    high: float
    extrapolated: bool


def fit_curve(budgets: ArrayLike, accuracy: ArrayLike, seed: int = 0) -> Curve:
    """Fits the curve to mean accuracies, by weighted least squares with a, c >= 0.

    For a given b the law is linear in a and c, so that only b is searched (variable projection,
    Golub and Pereyra 1973, https://doi.org/10.1137/0710036). A budget's weight is one over its
    variance over seeds. The variances are smoothed by a straight line, fitted to their logarithms
    against log k, because each alone is too uncertain.

    The resamples are curves through means that differ from the observed ones by multivariate t
    draws, with the covariance and the degrees of freedom of the seeds. A bootstrap over few seeds
    would be too narrow, and a seed that is lucky at one budget may be so at all. The c of a
    resample may be negative; otherwise the intervals of curves without a floor would be too narrow.
    If an estimate lies outside its interval, accuracy rises faster than a power law allows. If the
    law holds, the intervals cover the draws of the seeds, for the given source network and test
    examples.

    Args:
        budgets: (budgets,) labels per class, four or more. A curve of three parameters passes
            through any three points.
        accuracy: (budgets, seeds), in [0, 1], two seeds or more.
        seed: seed of the resamples.

    Returns:
        A `Curve`.

    Raises:
        UserError: for accuracies and budgets that do not pair, fewer than four different budgets or
            two seeds, values that are not finite or out of range, and accuracies that no rising
            curve fits better than their mean does.

    Source: Figueroa et al., Predicting sample size required for classification performance, 2012
    (https://doi.org/10.1186/1472-6947-12-8). They fit this law to learning curves with other
    weights.

    >>> curve = fit_curve([1, 4, 16, 64], [[0.39, 0.41], [0.65, 0.65], [0.77, 0.78], [0.84, 0.84]])
    >>> f'{curve.c:.2f} + {curve.a:.2f} k^-{curve.b:.2f}'
    '0.09 + 0.51 k^-0.48'
    """
    budgets, accuracy = _as_curve_points(budgets, accuracy)
    seeds = accuracy.shape[1]
    error, deviation = 1 - accuracy.mean(1), accuracy - accuracy.mean(1, keepdims=True)
    weight = _weight(budgets, accuracy.var(1, ddof=1))
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=(RESAMPLES, seeds)) @ deviation.T / (seeds * (seeds - 1)) ** 0.5
    draws = error + normal * ((seeds - 1) / rng.chisquare(seeds - 1, (RESAMPLES, 1))) ** 0.5
    ((a, b, c),) = _nearest(budgets, error[None], weight, floored=True).tolist()
    resamples = _nearest(budgets, draws, weight, floored=False)
    smallest, largest = float(budgets.min()), float(budgets.max())
    if a * (smallest**-b - largest**-b) < SMALLEST_RISE:
        raise UserError(
            f'accuracy does not rise from {smallest:g} to {largest:g} labels per class: look for '
            'what keeps them from being used'
        )
    return Curve(a, b, c, resamples, (smallest, largest))


def power_law(curve: Curve, k: float) -> Estimate:
    """Accuracy with k labels per class.

    Args:
        curve: the curve.
        k: labels per class, above 0.

    Returns:
        An `Estimate` of the mean over seeds, not of a single run. `extrapolated` is True if k lies
        outside the measured budgets.

    Raises:
        UserError: for a k that is not above 0 and finite.

    >>> resamples = np.array([[0.4, 1.0, 0.1], [0.6, 1.0, 0.1]])
    >>> curve = Curve(a=0.5, b=1.0, c=0.1, resamples=resamples, budgets=(1.0, 20.0))
    >>> value, low, high, extrapolated = power_law(curve, 100)
    >>> f'{value:.3f} [{low:.3f}, {high:.3f}]', extrapolated
    ('0.895 [0.894, 0.896]', True)
    """
    if not 0 < k < np.inf:
        raise UserError(f'k={k}: give a finite number of labels per class above 0')

    def accuracy(a, b, c):
        return 1 - np.clip(c + a * k**-b, 0, 1)

    value, low, high = _of_fit_and_resamples(accuracy, curve)
    return Estimate(value, low, high, extrapolated=_outside(k, curve))


def labels_for(curve: Curve, goal: float) -> Estimate:
    """Labels per class with which the curve reaches a goal: (a / (1 - goal - c))^(1 / b).

    Args:
        curve: the curve.
        goal: an accuracy between 0 and 1.

    Returns:
        An `Estimate` in labels per class, not rounded. The value is infinite if the goal is at or
        above the ceiling 1 - c, and `high` is infinite if that holds for more than 2.5 % of the
        resamples. `extrapolated` is True if the value lies outside the measured budgets.

    Raises:
        UserError: for a goal that is not between 0 and 1.

    >>> resamples = np.array([[0.4, 1.0, 0.1], [0.6, 1.0, 0.1]])
    >>> curve = Curve(a=0.5, b=1.0, c=0.1, resamples=resamples, budgets=(1.0, 20.0))
    >>> value, low, high, extrapolated = labels_for(curve, goal=0.8)
    >>> f'{value:.1f} [{low:.1f}, {high:.1f}]', extrapolated
    ('5.0 [4.0, 6.0]', False)
    >>> labels_for(curve, goal=0.9).value
    inf
    """
    if not 0 < goal < 1:
        raise UserError(f'goal={goal}: give an accuracy between 0 and 1')

    def labels(a, b, c):
        with np.errstate(divide='ignore', over='ignore', invalid='ignore'):
            return np.where(c < 1 - goal, (a / (1 - goal - c)) ** (1 / b), np.inf)

    value, low, high = _of_fit_and_resamples(labels, curve)
    return Estimate(value, low, high, extrapolated=_outside(value, curve))


def _of_fit_and_resamples(function, curve):
    """Returns a function's value at the fit, and its 2.5 % and 97.5 % quantiles over resamples.

    The function is of a, b and c.
    """
    a, b, c = np.vstack([[curve.a, curve.b, curve.c], curve.resamples]).T
    value, *resamples = function(a, b, c)
    # a quantile of the values themselves, because infinities do not interpolate
    low, high = np.quantile(resamples, [0.025, 0.975], method='inverted_cdf')
    return float(value), float(low), float(high)


def _outside(k, curve):
    return not curve.budgets[0] <= k <= curve.budgets[1]


def _weight(budgets, variance):
    """Returns the weights (budgets,): one over the smoothed variances.

    If no seeds differ, all weights are equal.
    """
    if not variance.any():
        return np.ones(len(budgets))
    log_variance = np.log(np.maximum(variance, SMALLEST_VARIANCE * variance.mean()))
    smooth = np.polynomial.Polynomial.fit(np.log(budgets), log_variance, 1)(np.log(budgets))
    return np.exp(smooth.min() - smooth)


def _nearest(budgets, error, weight, floored):
    """Returns a, b and c (r, 3) of the curves nearest to the errors (r, budgets).

    The grid of log b is refined `ROUNDS` times, each time around the best point of the last grid.
    """
    centre = np.log(budgets).mean()  # powers of k / exp(centre) are near 1 for any budgets
    low, high = (np.full((len(error), 1), np.log(end)) for end in EXPONENTS)
    for _ in range(ROUNDS):
        grid = low + (high - low) * np.linspace(0, 1, GRID)
        a, c, loss = _given_exponent(
            np.exp(np.exp(grid)[..., None] * (centre - np.log(budgets))),
            error[:, None],
            weight,
            floored,
        )
        best = loss.argmin(1)[:, None]
        low, high = (
            np.take_along_axis(grid, np.clip(best + step, 0, GRID - 1), 1) for step in (-1, 1)
        )
    a, b, c = (np.take_along_axis(values, best, 1)[:, 0] for values in (a, np.exp(grid), c))
    return np.stack([a * np.exp(b * centre), b, c], 1)


def _given_exponent(power, error, weight, floored):
    """Returns the best a >= 0 and c, and their loss (r, grid), for power = k^-b (r, grid, budgets).

    With `floored`, c is at least 0.
    """
    share = weight / weight.sum()
    mean = power @ share
    deviation = power - mean[..., None]
    a = np.maximum((deviation * error) @ share, 0) / (deviation**2 @ share)
    c = error @ share - a * mean
    at_floor = floored & (c < 0)
    a = np.where(at_floor, (power * error) @ share / (power**2 @ share), a)
    c = np.where(at_floor, 0, c)
    return a, c, (error - c[..., None] - a[..., None] * power) ** 2 @ share


def _as_curve_points(budgets, accuracy):
    """Returns both in float64, or refuses values that no curve can be fitted to."""
    budgets, accuracy = np.asarray(budgets, float), np.asarray(accuracy, float)
    if budgets.ndim != 1 or accuracy.ndim != 2 or len(accuracy) != len(budgets):
        raise UserError(
            f'budgets {budgets.shape} and accuracy {accuracy.shape} do not pair: give (budgets,) '
            'and (budgets, seeds)'
        )
    if not (np.isfinite(budgets) & (budgets > 0)).all():
        raise UserError(
            f'budgets={budgets.tolist()}: give finite labels per class above 0, and for all labels '
            'their number'
        )
    if len(np.unique(budgets)) < 4 or accuracy.shape[1] < 2:
        raise UserError(
            f'{len(np.unique(budgets))} different budgets and {accuracy.shape[1]} seeds: a curve '
            'of three parameters and its interval need four budgets and two seeds or more'
        )
    valid = (accuracy >= 0) & (accuracy <= 1)
    if not valid.all():
        raise UserError(
            f'{(~valid).sum()} of {accuracy.size} accuracies are not in [0, 1]: give shares, and '
            'look for runs that diverged'
        )
    return budgets, accuracy
