"""Importance weights against the true density ratio, SciPy's optimisers, closed forms in plain
NumPy and numbers by hand."""

import numpy as np
import pytest
from scipy import optimize
from scipy.stats import norm
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from tljax.configuration import call_named
from tljax.core import UserError
from tljax.kernels import in_float64
from tljax.shallow import instance, solvers
from tljax.shallow.cross_validation import importance_weighted_cross_validation


def gaussians(ns=600, nt=600, mean=0.5, deviation=0.5, seed=0):
    """Source N(0, 1), target N(mean, deviation^2), and the ratio of their densities at the source
    points."""
    rng = np.random.default_rng(seed)
    xs, xt = rng.normal(size=(ns, 1)), rng.normal(mean, deviation, (nt, 1))
    return xs, xt, (norm.pdf(xs, mean, deviation) / norm.pdf(xs))[:, 0]


def kernel(a, b, width):
    return np.exp(-((a[:, None] - b[None]) ** 2).sum(-1) / (2 * width**2))


@pytest.mark.parametrize('name, alpha', [('kmm', 0), ('kliep', 0), ('ulsif', 0), ('rulsif', 0.1)])
def test_weights_follow_the_true_ratio(name, alpha):
    xs, xt, ratio = gaussians()
    weight = call_named('tljax.shallow.instance', {'name': name}, 'weights', xs=xs, xt=xt)
    assert weight.shape == (600,) and weight.dtype == np.float64
    assert weight.min() >= 0 and weight.mean() == pytest.approx(1, abs=1e-12)
    # seeds 0 to 3: .974 to .999
    assert np.corrcoef(weight, ratio / (alpha * ratio + 1 - alpha))[0, 1] > 0.97


def test_a_discriminator_finds_the_log_ratio_of_gaussians_of_the_same_covariance():
    rng = np.random.default_rng(0)
    covariance, mean = np.array([[1.0, 0.5], [0.5, 1.0]]), np.array([0.5, -0.5])
    xs, xt = (
        rng.multivariate_normal([0, 0], covariance, 20000),
        rng.multivariate_normal(mean, covariance, 10000),
    )
    direction = np.linalg.solve(covariance, mean)
    log_ratio = xs @ direction - mean @ direction / 2
    weight = instance.discriminator(xs, xt)
    assert weight.mean() == pytest.approx(1, abs=1e-12)
    # at the largest of 20000 draws; standard errors of the slopes are .02
    assert np.abs(np.log(weight) - log_ratio).max() < 0.25
    assert np.corrcoef(weight, np.exp(log_ratio))[0, 1] > 0.99
    assert instance.discriminator(xs, xt, penalty=1e9).std() < 1e-3


def test_nearest_neighbours_by_hand():
    xs, xt = (
        np.array([[0.0, 0.0], [2.0, 0.0], [9.0, 9.0]]),
        np.array([[0.1, 0.5], [1.9, 0.0], [1.2, 0.1], [3.0, -1.0]]),
    )
    assert instance.nearest_neighbours(xs, xt) == pytest.approx([2 * 3 / 7, 4 * 3 / 7, 1 * 3 / 7])


def test_nearest_neighbours_are_noisy_point_by_point_and_right_on_average():
    # A point's share of the target is that of its Voronoi cell, whose size is as random as the gap
    # between two draws, so that
    # more target points do not help: the correlation stays near .7. Over groups of 50 neighbouring
    # points that luck cancels.
    xs, xt, ratio = gaussians(1000, 20000)
    weight = instance.nearest_neighbours(xs, xt)
    assert 0.6 < np.corrcoef(weight, ratio)[0, 1] < 0.8
    groups = np.argsort(xs[:, 0]).reshape(20, 50)
    assert np.corrcoef(weight[groups].mean(1), ratio[groups].mean(1))[0, 1] > 0.97


@pytest.mark.parametrize(
    'factor, bound, slack, edge',
    [(1.0, 2.0, 0.5, None), (0.8, 2.0, 0.01, 0.99), (1.2, 2.0, 0.01, 1.01)],
)
def test_kernel_mean_matching_satisfies_its_optimality_conditions(factor, bound, slack, edge):
    # The factor makes the target's embedding too small or too large for weights of average 1: the
    # average then stops at its bound.
    xs, xt, _ = gaussians(200, 100)
    matrix, embedding = kernel(xs, xs, 0.3), factor * kernel(xs, xt, 0.3).mean(1)
    weight = in_float64(solvers.least_discrepancy)(matrix, embedding, bound, slack)
    free, low, high = (weight > 0) & (weight < bound), weight == 0, weight == bound
    assert free.any() and low.any() and high.any() and weight.min() >= 0 and weight.max() <= bound
    gradient, tolerance = matrix @ weight / len(xs) - embedding, 2e-5
    multiplier = np.median(gradient[free])
    assert np.abs(gradient - multiplier)[free].max() < tolerance
    assert (gradient - multiplier)[low].min() > -tolerance and (gradient - multiplier)[
        high
    ].max() < tolerance
    if edge is None:
        assert abs(weight.mean() - 1) < slack and abs(multiplier) < tolerance
    else:
        assert weight.mean() == pytest.approx(edge, abs=1e-9) and multiplier * (
            1 - edge
        ) > 10 * tolerance * abs(1 - edge)


@pytest.mark.parametrize('bound, slack', [(1000.0, None), (1.5, 0.2), (1.5, 0.01)])
def test_kernel_mean_matching_is_scipy_s_quadratic_program(bound, slack):
    # spread evenly, so that the best weights are well determined
    xs, xt = np.linspace(-2, 2, 15)[:, None], gaussians(15, 30)[1]
    matrix, embedding = kernel(xs, xs, 0.2), kernel(xs, xt, 0.2).mean(1)
    part = (15**0.5 - 1) / 15**0.5 if slack is None else slack
    limits = optimize.LinearConstraint(np.ones(15) / 15, 1 - part, 1 + part)
    best = optimize.minimize(
        lambda w: w @ matrix @ w / 30 - w @ embedding,
        np.ones(15),
        jac=lambda w: matrix @ w / 15 - embedding,
        bounds=[(0, bound)] * 15,
        constraints=limits,
        method='SLSQP',
        options={'ftol': 1e-14, 'maxiter': 1000},
    )
    weight = in_float64(solvers.least_discrepancy)(matrix, embedding, bound, part)
    assert weight == pytest.approx(best.x, abs=1e-3)
    assert weight @ matrix @ weight / 30 - weight @ embedding == pytest.approx(best.fun, abs=1e-7)
    assert instance.kmm(xs, xt, 0.2, bound, slack) == pytest.approx(
        best.x / best.x.mean(), abs=1e-3
    )


def test_kliep_is_the_paper_s_problem_solved_by_scipy():
    xs, xt, _ = gaussians(80, 12, seed=1)
    source, target = kernel(xs, xt, 0.4), kernel(xt, xt, 0.4)
    best = optimize.minimize(
        lambda a: -np.log(target @ a).mean(),
        np.full(12, 1 / source.mean(0).sum()),
        jac=lambda a: -(target / (target @ a)[:, None]).mean(0),
        bounds=[(0, None)] * 12,
        method='SLSQP',
        options={'ftol': 1e-14, 'maxiter': 1000},
        constraints=optimize.LinearConstraint(source.mean(0), 1, 1),
    )
    proportions = in_float64(solvers.largest_likelihood)(
        np.log(target / source.mean(0)), np.full(12, 1 / 12)
    )
    assert proportions.min() >= 0 and proportions.sum() == pytest.approx(1, abs=1e-12)
    coefficients = proportions / source.mean(0)
    assert (source @ coefficients).mean() == pytest.approx(1, abs=1e-12)
    assert np.log(target @ coefficients).mean() == pytest.approx(-best.fun, abs=1e-6)
    assert np.log(target @ coefficients).mean() > -best.fun - 1e-8
    assert instance.kliep(xs, xt, width=0.4) == pytest.approx(source @ best.x, abs=2e-3)


def test_a_kernel_at_either_end_of_the_grid_would_not_pass_as_kliep_s_choice():
    xs, xt, ratio = gaussians()
    for width in (0.1, 2.0):
        # the chosen one passes .97 above
        assert np.corrcoef(instance.kliep(xs, xt, width), ratio)[0, 1] < 0.965


def least_squares(source, target, alpha, penalty):
    """The coefficients of Yamada et al. 2011, row by row, cut at 0 as those of Kanamori et al.
    2009."""
    system = sum(alpha / len(target) * np.outer(row, row) for row in target)
    system = system + sum((1 - alpha) / len(source) * np.outer(row, row) for row in source)
    return np.maximum(np.linalg.solve(system + penalty * np.eye(len(system)), target.mean(0)), 0)


@pytest.mark.parametrize('alpha', [0.0, 0.1, 0.5])
def test_least_squares_weights_are_their_closed_form(alpha):
    xs, xt, _ = gaussians(60, 40)
    source, target = kernel(xs, xt, 0.4), kernel(xt, xt, 0.4)
    expected = source @ least_squares(source, target, alpha, 0.1)
    found = (
        instance.rulsif(xs, xt, alpha, width=0.4, penalty=0.1)
        if alpha
        else instance.ulsif(xs, xt, width=0.4, penalty=0.1)
    )
    assert np.abs(found - expected / expected.mean()).max() < 1e-8


@pytest.mark.parametrize('alpha', [0.0, 0.1])
@pytest.mark.parametrize('ns, nt', [(60, 40), (40, 60)])
def test_the_leave_one_out_score_is_a_loop_that_leaves_out(ns, nt, alpha):
    xs, xt, _ = gaussians(ns, nt)
    source, target = kernel(xs, xt[:30], 0.4), kernel(xt, xt[:30], 0.4)
    scores = []
    for i in range(40):
        coefficients = least_squares(np.delete(source, i, 0), np.delete(target, i, 0), alpha, 0.01)
        at_source, at_target = source[i] @ coefficients, target[i] @ coefficients
        scores.append(alpha / 2 * at_target**2 + (1 - alpha) / 2 * at_source**2 - at_target)
    assert in_float64(solvers.leave_one_out)(source, target, alpha, 0.01) == pytest.approx(
        np.mean(scores), abs=1e-10
    )


def test_least_squares_take_the_width_and_penalty_of_the_least_score():
    xs, xt, _ = gaussians(40, 40)
    rng = np.random.default_rng(3)  # leaves out the pairs that seed=3 leaves out
    source, target = rng.permutation(xs), rng.permutation(xt)
    both = np.concatenate([xs, xt])[:, 0]
    median = np.median(((both[:, None] - both) ** 2)[np.triu_indices(80, 1)]) ** 0.5
    score = in_float64(solvers.leave_one_out)
    scores = {
        (width, penalty): float(
            score(
                kernel(source, target[:20], width), kernel(target, target[:20], width), 0.1, penalty
            )
        )
        for width in median * np.array(instance.WIDTHS)
        for penalty in instance.PENALTIES
    }
    width, penalty = min(scores, key=scores.get)
    chosen = instance.rulsif(xs, xt, centres=20, seed=3)
    assert chosen == pytest.approx(
        instance.rulsif(xs, xt, width=width, penalty=penalty, centres=20, seed=3), abs=1e-9
    )


class Recorder:
    """Says 1 where x > 0, and keeps what it was fitted to."""

    fits = []

    def fit(self, x, y, sample_weight):
        self.fits.append((x, y, sample_weight))

    def predict(self, x):
        return (x[:, 0] > 0).astype(int)


def test_importance_weighted_cross_validation_by_hand():
    # Held out one by one, whatever the shuffle: weighted errors 0, 1.5, 0, 2 of mean 7/8, and a
    # standard error of s / 2 with
    # s^2 = (2 * .875^2 + .625^2 + 1.125^2) / 3.
    xs, ys, weight = (
        np.array([[-1.0], [1.0], [2.0], [-3.0]]),
        np.array([0, 0, 1, 1]),
        np.array([0.5, 1.5, 0.0, 2.0]),
    )
    Recorder.fits.clear()
    risk, error = importance_weighted_cross_validation(Recorder, xs, ys, weight, folds=4)
    assert (risk, error) == pytest.approx(
        (0.875, ((2 * 0.875**2 + 0.625**2 + 1.125**2) / 3) ** 0.5 / 2)
    )
    # each fit lacks its held-out weight
    assert sorted(sum(w) for _, _, w in Recorder.fits) == [2, 2.5, 3.5, 4]
    rows = set(zip(xs[:, 0], ys, weight, strict=True))
    assert all(
        len(y) == 3 and set(zip(x[:, 0], y, w, strict=True)) < rows for x, y, w in Recorder.fits
    )


class Unweighted(LogisticRegression):
    """Fitted to the source as it is, so that both estimates are of one classifier."""

    def fit(self, x, y, sample_weight):
        return super().fit(x, y)


def test_weighted_cross_validation_estimates_the_target_s_risk_under_covariate_shift():
    # Classes alternate beyond x = 1, where a line that fits the source goes wrong and the target
    # lies.
    def label(x, rng):
        return (
            (np.where(x[:, 0] < 1, x[:, 0], 1.5 - x[:, 0]) + 0.2 * rng.normal(size=len(x))) > 0
        ).astype(int)

    weighted, unweighted = [], []
    for seed in range(20):
        rng = np.random.default_rng(100 + seed)
        xs, xt, ratio = gaussians(400, 5000, mean=1.2, deviation=0.5, seed=seed)
        ys, yt = label(xs, rng), label(xt, rng)
        truth = (Unweighted().fit(xs, ys, None).predict(xt) != yt).mean()
        for errors, weight in ((weighted, ratio), (unweighted, np.ones(400))):
            risk, _ = importance_weighted_cross_validation(Unweighted, xs, ys, weight, seed=seed)
            errors.append(risk - truth)
    assert abs(np.mean(weighted)) < 0.03 and np.mean(unweighted) < -0.1
    assert np.abs(weighted).mean() < np.abs(unweighted).mean() / 2


GOOD = np.arange(6.0).reshape(3, 2)


@pytest.mark.parametrize(
    'name, arguments, words',
    [
        (name, arguments, words)
        for name in instance.NAMES
        for arguments, words in [
            ({'xs': np.zeros((0, 2))}, 'xs has shape (0, 2)'),
            ({'xt': GOOD[0]}, 'xt has shape (2,)'),
            ({'xt': GOOD[:1]}, 'two or more rows'),
            ({'xt': np.zeros((3, 1))}, 'xs has 2 columns and xt 1'),
            ({'xs': np.where(GOOD == 1, np.nan, GOOD)}, 'xs has 1 values'),
        ]
    ]
    + [
        ('kmm', {'width': 0.0}, 'width=0.0'),
        ('kmm', {'bound': -1.0}, 'bound=-1.0'),
        ('kmm', {'bound': 0.5, 'slack': 0.1}, 'raise bound'),
        ('kmm', {'slack': 1.0}, 'slack=1.0'),
        ('kliep', {'width': -1.0}, 'width=-1.0'),
        ('kliep', {'centres': 0}, 'centres=0'),
        ('kliep', {'centres': 2.5}, 'centres=2.5'),
        ('ulsif', {'penalty': 0.0}, 'penalty=0.0'),
        ('rulsif', {'alpha': 1.0}, 'alpha=1.0'),
        ('rulsif', {'width': np.inf}, 'width=inf'),
        ('discriminator', {'penalty': np.nan}, 'penalty=nan'),
        ('ulsif', {'xt': GOOD + 1e3, 'width': 1.0, 'penalty': 1.0}, 'larger width'),
        ('kmm', {'xs': GOOD * 0, 'xt': GOOD * 0}, 'give width'),
    ],
)
def test_what_has_no_weights_is_refused_in_one_line(name, arguments, words):
    with pytest.raises(UserError) as refusal:
        call_named(
            'tljax.shallow.instance',
            {'name': name}
            | {key: value for key, value in arguments.items() if key not in ('xs', 'xt')},
            'weights',
            xs=arguments.get('xs', GOOD),
            xt=arguments.get('xt', GOOD),
        )
    assert words in str(refusal.value) and '\n' not in str(refusal.value)


@pytest.mark.parametrize(
    'changes, words',
    [
        ({'ys': np.zeros(2)}, '3, 2 and 3 rows'),
        ({'weight': np.array([1.0, -1.0, 3.0])}, 'value -1.0'),
        ({'weight': np.array([1.0, np.nan, 1.0])}, 'value nan'),
        ({'folds': 1}, 'folds=1'),
        ({'folds': 4}, 'the 3 examples'),
    ],
)
def test_a_risk_that_cannot_be_estimated_is_refused(changes, words):
    with pytest.raises(UserError) as refusal:
        importance_weighted_cross_validation(
            **{
                'make': DummyClassifier,
                'xs': GOOD,
                'ys': np.zeros(3),
                'weight': np.ones(3),
                'folds': 2,
            }
            | changes
        )
    assert words in str(refusal.value) and '\n' not in str(refusal.value)
