"""How many labels an accuracy needs, by a learning curve: error(k) = c + a k^-b for k labels per
class, a power law with a floor.

Errors of many networks fall as power laws (Hestness et al. 2017, https://arxiv.org/abs/1712.00409)
down to a floor c (Rosenfeld et al. 2020, https://arxiv.org/abs/1909.12673), but not all: some stay
on a plateau first, some even rise (Viering and Loog 2021, https://arxiv.org/abs/2103.10948). No
interval here allows for that: beyond the measured budgets all rests on the law, and every answer
says whether it lies there. `tljax.when.gain.labels_needed` reads off what was measured, without a
law.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tljax.core import UserError

# of b: below, the law is a straight line in log k; above, it falls after the first budget only
EXPONENTS = (0.01, 10.0)
GRID, ROUNDS = 16, 9  # log b is found to (2 / 15)^8 of its range
RESAMPLES = 500
# times the mean variance: a budget at which the seeds happen to agree is not free of noise
SMALLEST_VARIANCE = 1e-3
SMALLEST_RISE = 1e-9  # what is left of an accuracy's rise below this is rounding


class Curve(NamedTuple):
    """error(k) = c + a k^-b. resamples (r, 3): a, b and c of other draws of the seeds. budgets: the
    smallest and largest measured.

    >>> Curve(a=0.5, b=1.0, c=0.1, resamples=np.array([[0.5, 1.0, 0.1]]), budgets=(1.0, 20.0)).c
    0.1
    """

    a: float
    b: float
    c: float
    resamples: np.ndarray
    budgets: tuple[float, float]


class Estimate(NamedTuple):
    """A value, the ends of its 95 % interval, and whether it was read off the curve outside the
    measured budgets.

    >>> Estimate(value=0.8, low=0.7, high=0.9, extrapolated=False).value
    0.8
    """

    value: float
    low: float
    high: float
    extrapolated: bool


def fit_curve(budgets: ArrayLike, accuracy: ArrayLike, seed: int = 0) -> Curve:
    """The curve nearest to the mean accuracies, by weighted least squares with a, c >= 0.

    Given b, the law is linear in a and c, so that only b is searched for (variable projection,
    Golub and Pereyra 1973, https://doi.org/10.1137/0710036). A budget's weight is one over the
    variance that a straight line in log k has there, fitted to the log variances over seeds, each
    of which is too uncertain to weigh by.

    The resamples are curves through means that differ from those observed by multivariate t draws,
    with the seeds' covariance and degrees of freedom: a bootstrap over few seeds is too narrow, and
    a seed that is lucky at one budget may be so at all of them. Their c may be negative, since the
    intervals of curves that have no floor would be too narrow otherwise; an answer that lies
    outside its own interval says that the accuracies rise faster than the law can. The intervals
    are of what the seeds draw, for the source network and the test examples as they are, if the law
    holds.

    Args:
        budgets: (budgets,) labels per class, four or more: through three, a curve of three
            parameters passes however wrong it is.
        accuracy: (budgets, seeds), in [0, 1], two seeds or more.
        seed: draws the resamples.

    Returns:
        A `Curve`.

    Raises:
        UserError: for rows that are not the budgets', fewer than four different budgets or two
            seeds, budgets or accuracies that are not finite or out of their range, and accuracies
            that no rising curve fits better than their mean does.

    Source: Figueroa et al., Predicting sample size required for classification performance, 2012,
    who fit this law to learning curves with weights of their own
    (https://doi.org/10.1186/1472-6947-12-8).

    >>> curve = fit_curve([1, 4, 16, 64], [[0.39, 0.41], [0.65, 0.65], [0.77, 0.78], [0.84, 0.84]])
    >>> f'{curve.c:.2f} + {curve.a:.2f} k^-{curve.b:.2f}'
    '0.09 + 0.51 k^-0.48'
    """
    budgets, accuracy = _checked(budgets, accuracy)
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
    """The accuracy with k labels per class.

    Args:
        curve: the curve.
        k: labels per class, above 0.

    Returns:
        An `Estimate` of the mean over seeds, not of a single run; `extrapolated` where k is outside
        the measured budgets.

    Raises:
        UserError: for a k that is not above 0 and finite.

    >>> curve = Curve(
    ...     a=0.5,
    ...     b=1.0,
    ...     c=0.1,
    ...     resamples=np.array([[0.4, 1.0, 0.1], [0.6, 1.0, 0.1]]),
    ...     budgets=(1.0, 20.0),
    ... )
    >>> [round(float(each), 3) for each in power_law(curve, 10)]
    [0.85, 0.84, 0.86, 0.0]
    """
    if not 0 < k < np.inf:
        raise UserError(f'k={k}: give a finite number of labels per class above 0')

    def at(a, b, c):
        return 1 - np.clip(c + a * k**-b, 0, 1)

    return Estimate(*_of_fit_and_resamples(at, curve), extrapolated=_outside(k, curve))


def labels_for(curve: Curve, goal: float) -> Estimate:
    """The smallest number of labels per class with which the curve reaches a goal: (a / (1 - goal -
    c))^(1 / b).

    Args:
        curve: the curve.
        goal: an accuracy between 0 and 1.

    Returns:
        An `Estimate` in labels per class, not rounded to whole ones. It is infinity where the goal
        is the ceiling 1 - c or above, and so is `high` where that holds for more than 2.5 % of the
        resamples; `extrapolated` where the value is outside the measured budgets.

    Raises:
        UserError: for a goal that is not between 0 and 1.

    >>> curve = Curve(
    ...     a=0.5,
    ...     b=1.0,
    ...     c=0.1,
    ...     resamples=np.array([[0.4, 1.0, 0.1], [0.6, 1.0, 0.1]]),
    ...     budgets=(1.0, 20.0),
    ... )
    >>> [round(float(each), 3) for each in labels_for(curve, 0.8)]
    [5.0, 4.0, 6.0, 0.0]
    >>> labels_for(curve, 0.9).value
    inf
    """
    if not 0 < goal < 1:
        raise UserError(f'goal={goal}: give an accuracy between 0 and 1')

    def needed(a, b, c):
        with np.errstate(divide='ignore', over='ignore', invalid='ignore'):
            return np.where(c < 1 - goal, (a / (1 - goal - c)) ** (1 / b), np.inf)

    value, low, high = _of_fit_and_resamples(needed, curve)
    return Estimate(value, low, high, extrapolated=_outside(value, curve))


def _of_fit_and_resamples(function, curve):
    """A function of a, b and c at the fit, and the 2.5 % and 97.5 % points of it at the
    resamples."""
    value, *resampled = function(*np.vstack([[curve.a, curve.b, curve.c], curve.resamples]).T)
    # infinities do not interpolate
    low, high = np.quantile(resampled, [0.025, 0.975], method='inverted_cdf')
    return float(value), float(low), float(high)


def _outside(k, curve):
    return not curve.budgets[0] <= k <= curve.budgets[1]


def _weight(budgets, variance):
    """The weights (budgets,): one over the variances, smoothed, or all equal where no seed differs
    from any other."""
    if not variance.any():
        return np.ones(len(budgets))
    log_variance = np.log(np.maximum(variance, SMALLEST_VARIANCE * variance.mean()))
    smooth = np.polynomial.Polynomial.fit(np.log(budgets), log_variance, 1)(np.log(budgets))
    return np.exp(smooth.min() - smooth)


def _nearest(budgets, error, weight, floored):
    """a, b and c (r, 3) of the curves nearest to the errors (r, budgets): ever finer grids of log
    b, each about the best of the last."""
    middle = np.log(budgets).mean()  # powers of k / exp(middle) lie about 1, whatever the budgets
    low, high = (np.full((len(error), 1), np.log(end)) for end in EXPONENTS)
    for _ in range(ROUNDS):
        grid = low + (high - low) * np.linspace(0, 1, GRID)
        a, c, loss = _given_exponent(
            np.exp(np.exp(grid)[..., None] * (middle - np.log(budgets))),
            error[:, None],
            weight,
            floored,
        )
        best = loss.argmin(1)[:, None]
        low, high = (
            np.take_along_axis(grid, np.clip(best + step, 0, GRID - 1), 1) for step in (-1, 1)
        )
    a, b, c = (np.take_along_axis(each, best, 1)[:, 0] for each in (a, np.exp(grid), c))
    return np.stack([a * np.exp(b * middle), b, c], 1)


def _given_exponent(power, error, weight, floored):
    """The best a >= 0 and c, and their loss (r, grid), for power = k^-b (r, grid, budgets); where
    floored, c >= 0."""
    share = weight / weight.sum()
    mean = power @ share
    deviation = power - mean[..., None]
    a = np.maximum((deviation * error) @ share, 0) / (deviation**2 @ share)
    c = error @ share - a * mean
    without = floored & (c < 0)
    a = np.where(without, (power * error) @ share / (power**2 @ share), a)
    c = np.where(without, 0, c)
    return a, c, (error - c[..., None] - a[..., None] * power) ** 2 @ share


def _checked(budgets, accuracy):
    """Both in float64, once they can be fitted."""
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
    if wrong := int((~((accuracy >= 0) & (accuracy <= 1))).sum()):
        raise UserError(
            f'{wrong} of {accuracy.size} accuracies are not in [0, 1]: give shares, and look for '
            'runs that diverged'
        )
    return budgets, accuracy
