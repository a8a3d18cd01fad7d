"""Learning curves against exact curves, SciPy's curve_fit and numbers by hand; their intervals
against simulated seeds."""

import numpy as np
import pytest
from scipy import optimize

from tljax.core import UserError
from tljax.when.label_efficiency import Curve, fit_curve, labels_for, power_law

BUDGETS = np.array([1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0])


def law(k, a, b, c):
    return c + a * np.asarray(k, float) ** -b


def accuracies(rng, a, b, c, seeds=5, shared=0.3):
    """(budgets, seeds): one minus the law and a noise that shrinks with k, of which a seed shares
    some among all budgets."""
    noise = shared**0.5 * rng.normal(size=(1, seeds)) + (1 - shared) ** 0.5 * rng.normal(
        size=(len(BUDGETS), seeds)
    )
    return np.clip(
        1 - law(BUDGETS, a, b, c)[:, None] + 0.05 * BUDGETS[:, None] ** -0.3 * noise, 0, 1
    )


@pytest.mark.parametrize(
    'a, b, c',
    [(0.5, 0.5, 0.1), (0.3, 0.2, 0.0), (0.6, 1.2, 0.05), (0.9, 0.07, 0.0), (0.4, 3.0, 0.2)],
)
@pytest.mark.parametrize('budgets', [[1, 5, 20, 100], [3, 6, 50, 400, 1600, 10000]])
def test_a_noiseless_law_is_recovered(a, b, c, budgets):
    accuracy = 1 - law(budgets, a, b, c)
    curve = fit_curve(budgets, np.stack([accuracy, accuracy], 1))
    assert curve[:3] == pytest.approx((a, b, c), rel=1e-5, abs=1e-6)
    for k in (2, 40, 10**6):
        estimate = power_law(curve, k)
        assert estimate[:3] == pytest.approx(3 * [1 - law(k, a, b, c)], abs=1e-6)
        assert estimate.extrapolated == (not budgets[0] <= k <= budgets[-1])
    for k in (budgets[0], 30):
        assert labels_for(curve, 1 - law(k, a, b, c))[:3] == pytest.approx(3 * [k], rel=1e-3)


def weighted_fit(budgets, accuracy):
    """SciPy's weighted least squares, with the standard deviation's line in log k by the normal
    equations."""
    design = np.stack([np.ones(len(budgets)), np.log(budgets)], 1)
    line = np.linalg.lstsq(design, np.log(accuracy.std(1, ddof=1)), rcond=None)[0]
    starts = [(0.5, 0.2, 0.05), (0.5, 1.0, 0.1), (1.0, 0.1, 0.0)]
    fits = [
        optimize.curve_fit(
            law,
            budgets,
            1 - accuracy.mean(1),
            p0=start,
            sigma=np.exp(design @ line),
            xtol=1e-12,
            ftol=1e-12,
            bounds=([0, 0.01, 0], [np.inf, 10, np.inf]),
            max_nfev=10000,
            full_output=True,
        )
        for start in starts
    ]
    best, _, info, _, _ = min(fits, key=lambda fit: (fit[2]['fvec'] ** 2).sum())
    return best, (info['fvec'] ** 2).sum(), np.exp(design @ line)


@pytest.mark.parametrize('truth', [(0.5, 0.5, 0.1), (0.6, 0.3, 0.0), (0.6, 1.0, 0.1)])
@pytest.mark.parametrize('seed', range(5))
def test_a_fit_is_that_of_scipy(truth, seed):
    accuracy = accuracies(np.random.default_rng(seed), *truth)
    curve = fit_curve(BUDGETS, accuracy)
    best, smallest, deviation = weighted_fit(BUDGETS, accuracy)
    loss = (((law(BUDGETS, *curve[:3]) - 1 + accuracy.mean(1)) / deviation) ** 2).sum()
    assert loss <= smallest * (1 + 1e-9)
    assert [curve.a, curve.b, curve.c] == pytest.approx(best, abs=1e-3)


def test_a_fit_knows_no_order_and_no_unit_of_its_budgets():
    accuracy = accuracies(np.random.default_rng(0), 0.5, 0.5, 0.1)
    curve = fit_curve(BUDGETS, accuracy)
    reversed_curve = fit_curve(BUDGETS[::-1], accuracy[::-1])
    assert reversed_curve[:3] == pytest.approx(
        curve[:3]
    ) and reversed_curve.budgets == curve.budgets == (1, 100)
    tenfold_curve = fit_curve(10 * BUDGETS, accuracy)
    assert tenfold_curve[:3] == pytest.approx((curve.a * 10**curve.b, curve.b, curve.c))
    assert labels_for(tenfold_curve, 0.8)[:3] == pytest.approx(
        10 * np.array(labels_for(curve, 0.8)[:3])
    )
    same_curve, reseeded_curve = fit_curve(BUDGETS, accuracy), fit_curve(BUDGETS, accuracy, seed=1)
    assert (
        (same_curve.resamples == curve.resamples).all()
        and reseeded_curve[:3] == curve[:3]
        and (reseeded_curve.resamples != curve.resamples).any()
    )


# the second on the border of c >= 0
@pytest.mark.parametrize('truth', [(0.6, 0.5, 0.1), (0.5, 0.3, 0.0)])
def test_intervals_cover_the_curve_and_the_labels_it_needs(truth):
    rng = np.random.default_rng(0)
    a, b, c = truth
    hits = []
    for seed in range(200):
        curve = fit_curve(BUDGETS, accuracies(rng, *truth), seed=seed)
        estimates = [
            power_law(curve, 10),
            power_law(curve, 400),
            labels_for(curve, 0.75),
            labels_for(curve, 0.85),
        ]
        hits.append(
            [
                estimate.low <= value <= estimate.high
                for estimate, value in zip(
                    estimates,
                    (
                        1 - law(10, *truth),
                        1 - law(400, *truth),
                        (a / (0.25 - c)) ** (1 / b),
                        (a / (0.15 - c)) ** (1 / b),
                    ),
                    strict=True,
                )
            ]
        )
    assert (np.abs(np.mean(hits, 0) - 0.95) <= 0.05).all(), np.mean(hits, 0)


def test_more_seeds_narrow_the_intervals_and_extrapolation_widens_them():
    def widths(seeds, k):
        curves = [
            fit_curve(BUDGETS, accuracies(np.random.default_rng(draw), 0.5, 0.5, 0.1, seeds))
            for draw in range(10)
        ]
        return np.median([power_law(curve, k).high - power_law(curve, k).low for curve in curves])

    assert widths(40, 50) < widths(4, 50) / 3
    assert widths(40, 10**4) > 2 * widths(40, 50)


# resamples of forty a; the 2.5 % and 97.5 % points of forty values are the smallest and the second
# largest
BY_HAND = Curve(
    a=0.5,
    b=0.5,
    c=0.1,
    resamples=np.stack([np.arange(40) / 100 + 0.3, np.full(40, 0.5), np.full(40, 0.1)], 1),
    budgets=(1.0, 20.0),
)


def test_what_a_curve_says_by_hand():
    assert power_law(BY_HAND, 4) == pytest.approx(
        (1 - 0.1 - 0.25, 1 - 0.1 - 0.69 / 2, 1 - 0.1 - 0.31 / 2, False)
    )
    assert power_law(BY_HAND, 25) == pytest.approx((0.8, 0.9 - 0.69 / 5, 0.9 - 0.31 / 5, True))
    # an error of 5.1 is one of 1
    assert power_law(BY_HAND, 0.01) == (0, 0, 0, True)
    # (a / .5)^2
    assert labels_for(BY_HAND, 0.4) == pytest.approx((1, 0.36, 1.36**2, False))
    # (a / .1)^2
    assert labels_for(BY_HAND, 0.8) == pytest.approx((25, 9, 6.8**2, True))
    # (5 / 8)^2 is fewer than one
    assert labels_for(BY_HAND, 0.1).extrapolated


def test_goals_at_and_above_the_ceiling_need_infinitely_many_labels():
    assert labels_for(BY_HAND, 0.95) == (np.inf, np.inf, np.inf, True)
    assert labels_for(BY_HAND, 0.9).value == np.inf
    floors = np.where(
        np.arange(40) < 2, 0.3, 0.1
    )  # two of forty resamples have a lower ceiling, .7
    low_ceilings = BY_HAND._replace(
        resamples=np.stack([np.full(40, 0.5), np.full(40, 0.5), floors], 1)
    )
    assert labels_for(low_ceilings, 0.8) == pytest.approx((25, 25, np.inf, True))
    assert (
        labels_for(low_ceilings._replace(resamples=low_ceilings.resamples[1:]), 0.8).high == np.inf
    )
    negative_floors = BY_HAND._replace(
        resamples=np.stack([np.full(40, 0.5), np.full(40, 0.5), np.full(40, -0.1)], 1)
    )
    assert labels_for(negative_floors, 0.9).low == pytest.approx(6.25)


def test_equal_seeds_at_one_budget_do_not_outweigh_all_others():
    accuracy = accuracies(np.random.default_rng(3), 0.5, 0.5, 0.1)
    accuracy[-2] = accuracy[-2].mean()
    curve = fit_curve(BUDGETS, accuracy)
    assert np.abs(1 - law(BUDGETS, *curve[:3]) - accuracy.mean(1)).max() < 0.05


def test_a_curve_that_rises_ever_faster_shows_that_the_law_does_not_hold():
    error = np.array([0.9, 0.88, 0.8, 0.68, 0.5, 0.3, 0.1])
    curve = fit_curve(
        BUDGETS, 1 - error[:, None] + 0.005 * np.random.default_rng(0).normal(size=(7, 5))
    )
    estimate = power_law(curve, 400)
    assert curve.c == 0 and not estimate.low <= estimate.value <= estimate.high


GOOD = [[0.4, 0.5], [0.6, 0.65], [0.7, 0.75], [0.8, 0.8]]


@pytest.mark.parametrize(
    'budgets, accuracy, words',
    [
        ([1, 2, 5], GOOD[:3], '3 different budgets'),
        ([1, 2, 5, 5], GOOD, '3 different budgets'),
        ([1, 2, 5], GOOD, '(3,) and'),
        ([1, 2, 5, 10], np.array(GOOD)[:, :1], '1 seeds'),
        ([1, 2, 5, 10], np.array(GOOD)[:, 0], '(4,)'),
        ([0, 2, 5, 10], GOOD, 'budgets=[0.0'),
        ([1, 2, 5, None], GOOD, 'for all labels their number'),
        ([1, 2, 5, np.inf], GOOD, 'inf'),
        ([1, 2, 5, 10], np.array(GOOD) * 100, '8 of 8'),
        ([1, 2, 5, 10], np.where(np.array(GOOD) == 0.7, np.nan, GOOD), '1 of 8'),
        ([1, 2, 5, 10], GOOD[::-1], 'does not rise from 1 to 10'),
        ([1, 2, 5, 10], np.full((4, 3), 0.7), 'does not rise'),
    ],
)
def test_what_is_no_learning_curve_is_refused_in_one_line(budgets, accuracy, words):
    with pytest.raises(UserError) as refusal:
        fit_curve(budgets, accuracy)
    assert words in str(refusal.value) and '\n' not in str(refusal.value)


@pytest.mark.parametrize(
    'question, value',
    [
        (power_law, 0),
        (power_law, -1),
        (power_law, np.nan),
        (power_law, np.inf),
        (labels_for, 0),
        (labels_for, 1),
        (labels_for, 90),
        (labels_for, np.nan),
    ],
)
def test_what_no_curve_can_answer_is_refused(question, value):
    with pytest.raises(UserError, match=f'={value}: give'):
        question(BY_HAND, value)
