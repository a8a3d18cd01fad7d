"""Distances of domains against closed forms, SciPy, scikit-learn, plain loops; what each is blind to; and the test's false alarms."""
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg, stats
from sklearn.covariance import ledoit_wolf
from sklearn.metrics import confusion_matrix

from tljax.core import Refused, Tick
from tljax.methods.adaptation.deep_coral import deep_coral
from tljax.when.distances import coral_distance, domain_distances, frechet_distance, gaussian_kl, label_shift, mmd_test, proxy_a_distance
from tljax.zoo.families.identity import identity

DISTANCES = [mmd_test, coral_distance, frechet_distance, gaussian_kl, proxy_a_distance, domain_distances]


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def moved(x, mean, covariance):
    """Rows moved to have exactly this mean and covariance, whose divisor is n - 1."""
    white = np.linalg.solve(np.linalg.cholesky(np.atleast_2d(np.cov(x, rowvar=False))), (x - x.mean(0)).T).T
    return mean + white @ np.linalg.cholesky(covariance).T


def sample(mean, covariance, n, seed=0):
    return moved(normal(n, len(mean), seed=seed), mean, covariance)


def covariance(d, seed):
    x = normal(2 * d, d, seed=seed)
    return x.T @ x / d


def refused(call, *words):
    """Whether a call is refused, in one line with these words."""
    try:
        call()
    except Refused as refusal:
        assert '\n' not in str(refusal) and all(word in str(refusal) for word in words), str(refusal)
        return True
    return False


# the maximum mean discrepancy and its test

def mmd_by_loops(xs, xt, width):
    """Gretton et al. 2012, equation 3."""
    def kernel(a, b):
        return np.exp(-sum((a - b) ** 2) / (2 * width ** 2))

    n, m = len(xs), len(xt)
    within = sum(kernel(xs[i], xs[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    others = sum(kernel(xt[i], xt[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within + others - 2 * sum(kernel(a, b) for a in xs for b in xt) / (n * m)


@pytest.mark.parametrize('n, m', [(7, 7), (5, 11), (2, 3)])
def test_the_discrepancy_is_a_double_loop_at_a_given_and_at_the_median_width(n, m):
    xs, xt = normal(n, 3), normal(m, 3, seed=1) + .5
    assert mmd_test(xs, xt, 1, width=.7).squared == pytest.approx(mmd_by_loops(xs, xt, .7), abs=1e-12)
    x = np.concatenate([xs, xt])
    median = np.median([sum((a - b) ** 2) for a, b in itertools.combinations(x, 2)]) ** .5
    assert mmd_test(xs, xt, 1).squared == pytest.approx(mmd_by_loops(xs, xt, median), abs=1e-12)


@pytest.mark.parametrize('n, m, shift', [(3, 4, 1.), (3, 3, 0.), (2, 5, -1.)])
def test_p_is_that_of_all_permutations(n, m, shift):
    # The observed split is always among those that reach it, and with n = m so is its mirror image, in spite of rounding.
    x = normal(n + m, 2, seed=3) + shift * (np.arange(n + m) < n)[:, None]
    splits = [list(split) for split in itertools.combinations(range(n + m), n)]
    values = np.array([mmd_by_loops(x[split], np.delete(x, split, 0), 1.) for split in splits])
    exact = (values >= values[0] - 1e-12).mean()
    draws = 20000
    found = mmd_test(x[:n], x[n:], draws, width=1.)
    assert found.squared == pytest.approx(values[0], abs=1e-12)
    assert abs(found.p - exact) < 4 * (exact * (1 - exact) / draws) ** .5 + 1 / draws


def test_p_is_a_loop_over_the_same_permutations():
    xs, xt = normal(6, 2), normal(9, 2, seed=1) + .7
    x, observed = np.concatenate([xs, xt]), mmd_by_loops(xs, xt, 1.)
    members = np.random.default_rng(5).permuted(np.tile(np.arange(15) < 6, (50, 1)), axis=1)
    reached = sum(mmd_by_loops(x[member], x[~member], 1.) >= observed for member in members)
    assert 0 < reached < 50
    assert mmd_test(xs, xt, 50, seed=5, width=1.).p == pytest.approx((1 + reached) / 51)


def test_p_is_uniform_where_the_domains_agree():
    rng = np.random.default_rng(0)
    p = np.array([mmd_test(rng.normal(size=(8, 2)), rng.normal(size=(12, 2)), 99, seed=seed).p for seed in range(200)])
    assert stats.kstest(p - rng.uniform(0, .01, 200), 'uniform').pvalue > .01   # spread over the steps of .01
    assert stats.binomtest(int((p <= .05).sum()), 200, .05).pvalue > .01


def test_the_test_finds_other_means_and_other_variances():
    xs = normal(60, 3)
    for xt in (normal(40, 3, seed=1) + 1.5, 3 * normal(40, 3, seed=1)):
        assert mmd_test(xs, xt, 199).p == 1 / 200
    assert mmd_test(xs, xs[::-1], 99).p == 1   # no permutation lies nearer than equal samples


def test_equal_rows_are_no_evidence():
    assert mmd_test(np.ones((5, 2)), np.ones((8, 2)), 99, width=1.) == (pytest.approx(0, abs=1e-12), 1)
    mostly = np.tile(normal(1, 50), (30, 1)) * 1e3   # their computed distances are rounding, not 0
    mostly[0] += 1
    with pytest.raises(Refused, match='most rows are equal: give mmd_test a width'):
        mmd_test(mostly, mostly + 0., 9)


# Gaussians

def test_coral_is_the_term_of_deep_coral():
    xs, xt = normal(20, 3), 2 * normal(20, 3, seed=1)
    method = deep_coral(identity(3), 2, layer='features')
    batch = {'input': jnp.array(xs), 'label': jnp.zeros(20, int), 'target': {'input': jnp.array(xt)}}
    _, (_, metrics) = method.loss(*method.init(jax.random.key(0), batch), batch, Tick(0, jax.random.key(0)))
    assert coral_distance(xs, xt) == pytest.approx(float(metrics['gap']), rel=1e-5)


@pytest.mark.parametrize('d', [1, 2, 6])
def test_exact_moments_give_the_closed_forms(d):
    cs, ct, mean = covariance(d, 1), covariance(d, 2), normal(d, seed=3)
    xs, xt = sample(np.zeros(d), cs, 40), sample(mean, ct, 30, seed=1)
    assert coral_distance(xs, xt) == pytest.approx(linalg.norm(cs - ct) ** 2 / (4 * d ** 2))
    root = np.real(linalg.sqrtm(cs))
    assert frechet_distance(xs, xt) == pytest.approx(mean @ mean + np.trace(cs + ct - 2 * np.real(linalg.sqrtm(root @ ct @ root))))
    # rows whose covariances are exact when divided by their number, as the paper of Ledoit and Wolf has it
    xs, xt = sample(np.zeros(d), cs * 40 / 39, 40), sample(mean, ct * 30 / 29, 30, seed=1)
    kl = np.trace(linalg.inv(cs) @ ct) + mean @ linalg.inv(cs) @ mean - d + np.log(linalg.det(cs) / linalg.det(ct))
    assert gaussian_kl(xs, xt, shrinkage=0) == pytest.approx(kl / 2)


def test_frechet_of_independent_columns_is_the_difference_of_their_deviations():
    xs, xt = sample(np.zeros(3), np.diag([1., 4., 9.]), 20), sample(np.array([1., 0., 2.]), np.diag([4., 4., 1.]), 50, seed=1)
    assert frechet_distance(xs, xt) == pytest.approx(1 + 4 + (1 - 2) ** 2 + 0 + (3 - 1) ** 2)


def test_frechet_of_fewer_rows_than_columns():
    xs, xt = normal(5, 40), normal(8, 40, seed=1) + 1
    source, target = xs - xs.mean(0), xt - xt.mean(0)
    # the root's eigenvalues are those of (Cs Ct)^1/2, and Cs Ct has the nonzero ones of this small matrix
    root = linalg.sqrtm(source @ target.T @ target @ source.T / (4 * 7))
    traces = (source ** 2).sum() / 4 + (target ** 2).sum() / 7 - 2 * np.trace(root).real
    assert frechet_distance(xs, xt) == pytest.approx(((xs.mean(0) - xt.mean(0)) ** 2).sum() + traces, rel=1e-6)
    assert frechet_distance(xs, xs) == pytest.approx(0, abs=1e-12)
    assert frechet_distance(xs, xs + 1) == pytest.approx(40)


def test_kl_by_hand_in_one_column_and_its_direction():
    # Variances 4 and 1 of means 0 and 1: log 2 + (1 + 1) / 8 - 1/2, and the other way -log 2 + (4 + 1) / 2 - 1/2.
    xs, xt = [[-2.], [2.]], [[0.], [2.]]
    assert gaussian_kl(xs, xt) == pytest.approx(np.log(2) - 1 / 4)
    assert gaussian_kl(xt, xs) == pytest.approx(2 - np.log(2))


def test_kl_is_the_mean_log_ratio_of_scipy_s_densities():
    xs, xt = sample(np.zeros(2), covariance(2, 1), 50), sample(np.ones(2), covariance(2, 2), 50, seed=1)
    source, target = (stats.multivariate_normal(x.mean(0), np.cov(x.T, bias=True)) for x in (xs, xt))
    # over rows with the target's moments, the mean of a quadratic is its expectation
    assert gaussian_kl(xs, xt, shrinkage=0) == pytest.approx((target.logpdf(xt) - source.logpdf(xt)).mean())


def test_kl_shrinks_as_ledoit_and_wolf_and_is_finite_for_fewer_rows_than_columns():
    xs, xt = normal(10, 30), 2 * normal(12, 30, seed=1)
    cs, ct = ledoit_wolf(xs)[0], ledoit_wolf(xt)[0]
    mean = xs.mean(0) - xt.mean(0)
    kl = np.trace(linalg.inv(cs) @ ct) + mean @ linalg.inv(cs) @ mean - 30 + np.linalg.slogdet(cs)[1] - np.linalg.slogdet(ct)[1]
    assert gaussian_kl(xs, xt) == pytest.approx(kl / 2)
    assert gaussian_kl(xs, xs) == pytest.approx(0, abs=1e-9)
    cs, ct = (.7 * np.cov(x.T, bias=True) + .3 * x.var(0).mean() * np.eye(30) for x in (xs, xt))
    kl = np.trace(linalg.inv(cs) @ ct) + mean @ linalg.inv(cs) @ mean - 30 + np.linalg.slogdet(cs)[1] - np.linalg.slogdet(ct)[1]
    assert gaussian_kl(xs, xt, shrinkage=.3) == pytest.approx(kl / 2)


def test_samples_of_one_gaussian_lie_as_far_apart_as_the_docstring_says():
    rng = np.random.default_rng(0)
    values = [gaussian_kl(rng.normal(size=(200, 4)), rng.normal(size=(300, 4)), shrinkage=0) for _ in range(100)]
    assert np.mean(values) == pytest.approx(4 * 7 / 4 * (1 / 200 + 1 / 300), rel=.2)   # standard error: 4 %


# what each can and cannot tell, and what none should notice

def test_what_the_distances_are_blind_to():
    rng = np.random.default_rng(0)
    xs = rng.normal(size=(200, 2))
    shifted, coin = xs + 3, moved(np.sign(rng.normal(size=(200, 2))), xs.mean(0), np.cov(xs.T))
    assert coral_distance(xs, shifted) == pytest.approx(0, abs=1e-12) and frechet_distance(xs, shifted) == pytest.approx(18)
    for blind in (coral_distance, frechet_distance, gaussian_kl):
        assert blind(xs, coin) == pytest.approx(0, abs=1e-2)
    assert mmd_test(xs, coin, 199, width=.3).p == 1 / 200 and mmd_test(xs, coin, 199).p > .05   # the median is too coarse


def test_domain_distances_are_all_of_them():
    xs, xt = normal(30, 3), normal(20, 3, seed=1) + 1
    found = domain_distances(xs, xt, seed=4)
    assert found == {'mmd_squared': mmd_test(xs, xt, seed=4).squared, 'mmd_p': mmd_test(xs, xt, seed=4).p,
                     'proxy_a_distance': proxy_a_distance(xs, xt, seed=4)} | {
        each.__name__: each(xs, xt) for each in (coral_distance, frechet_distance, gaussian_kl)}
    assert all(type(value) is float for value in found.values())


def test_neither_constant_columns_nor_a_common_offset_nor_order_nor_float32_matter():
    xs, xt = normal(30, 3).astype(np.float32), (normal(20, 3, seed=1) + 1).astype(np.float32)
    found, rng = domain_distances(xs, xt), np.random.default_rng(0)
    with_constants = [np.column_stack([x.astype(float), np.zeros(len(x)), np.full(len(x), 1e6)]) for x in (xs, xt)]
    found_with = domain_distances(*with_constants)
    assert found_with.pop('coral_distance') == pytest.approx(found['coral_distance'] * (3 / 5) ** 2)
    assert found_with == pytest.approx({name: found[name] for name in found_with}, rel=1e-6)
    far = domain_distances(xs.astype(float) + 1e5, xt.astype(float) + 1e5)
    assert far == pytest.approx(found, rel=1e-6)
    assert domain_distances(jnp.array(xs), jnp.array(xt)) == found
    for each in (coral_distance, frechet_distance, gaussian_kl, lambda *x: mmd_test(*x).squared):
        assert each(rng.permutation(xs), rng.permutation(xt)) == pytest.approx(each(xs, xt))


def test_domains_that_are_one_and_the_same_constant_lie_at_0():
    xs, xt = np.full((12, 2), 7.), np.full((15, 2), 7.)
    assert [each(xs, xt) for each in (coral_distance, frechet_distance, gaussian_kl, proxy_a_distance)] == [0, 0, 0, 0]
    assert frechet_distance(xs, xt + 2) == 8


# label shift

def test_label_shift_by_hand():
    # Of class 0, 8 of 10 are predicted right, of class 1, 4 of 5; a target of 5 to 1 is predicted (.8 * 5 + .2) / 6 = .7 as class 0.
    predicted, label = [0] * 8 + [1] * 2 + [1] * 4 + [0], [0] * 10 + [1] * 5
    shift = label_shift(predicted, label, [0] * 7 + [1] * 3, 2)
    assert shift.prior == pytest.approx([5 / 6, 1 / 6]) and shift.weights == pytest.approx([5 / 4, 1 / 2]) and shift.clipped == 0


def confused(label, share, rng):
    """Predictions of each label by its row of shares."""
    return np.array([rng.choice(len(share), p=share[each]) for each in label])


SHARE = np.array([[.8, .1, .1], [.1, .7, .2], [.05, .15, .8]])   # of predictions, by rows of labels


def test_label_shift_solves_scikit_learn_s_confusion():
    rng = np.random.default_rng(0)
    label = rng.choice(3, 600, p=[.5, .3, .2])
    predicted, target = confused(label, SHARE, rng), rng.choice(3, 200, p=[.2, .3, .5])
    joint = confusion_matrix(label, predicted, normalize='all').T
    expected = np.linalg.solve(joint, np.bincount(target) / 200)
    shift = label_shift(predicted, label, target, 3)
    assert (expected > 0).all() and shift.clipped == 0
    assert shift.weights == pytest.approx(expected) and shift.prior == pytest.approx(expected * np.bincount(label) / 600)


def test_a_known_label_shift_is_found():
    rng = np.random.default_rng(0)
    before, after = np.array([.6, .3, .1]), np.array([.1, .3, .6])
    label, target = rng.choice(3, 20000, p=before), rng.choice(3, 20000, p=after)
    shift = label_shift(confused(label, SHARE, rng), label, confused(target, SHARE, rng), 3)
    assert shift.prior == pytest.approx(after, abs=.02) and shift.weights == pytest.approx(after / before, rel=.1)


def test_a_negative_weight_is_cut_and_counted_and_a_class_may_be_missing_from_the_target():
    # Each class is predicted right in 9 of 10: a target all predicted 0 has shares of 9/8 and -1/8.
    predicted, label = [0] * 9 + [1] + [1] * 9 + [0], [0] * 10 + [1] * 10
    shift = label_shift(predicted, label, [0, 0, 0], 2)
    assert shift.clipped == 1 and shift.prior == pytest.approx([1, 0]) and shift.weights == pytest.approx([2, 0])
    for right in range(7, 13):   # of right + 2, one is taken for each other class: a target of class 0 alone is found up to rounding
        predicted = np.concatenate([np.repeat(np.arange(3), np.where(np.arange(3) == each, right, 1)) for each in range(3)])
        shift = label_shift(predicted, np.repeat([0, 1, 2], right + 2), predicted[:right + 2], 3)
        assert shift.clipped == 0 and shift.prior == pytest.approx([1, 0, 0])


def test_a_predictor_that_guesses_is_refused_and_one_that_knows_little_needs_many_examples():
    rng = np.random.default_rng(0)
    refusals = 0
    for _ in range(100):
        label, guess = rng.integers(0, 3, (2, 300))
        refusals += refused(lambda: label_shift(guess, label, guess, 3))
    assert refusals >= 95
    # 6 of 10 right: .2 from singular, and a column is uncertain by (.48 / 10)^.5 = .22, or by a tenth of that for a hundred times the rows
    predicted, label = np.array([0] * 6 + [1] * 4 + [1] * 6 + [0] * 4), np.repeat([0, 1], 10)
    assert refused(lambda: label_shift(predicted, label, predicted, 2), 'is 0.2 from a singular one', 'uncertain by 0.22')
    assert label_shift(np.tile(predicted, 100), np.tile(label, 100), predicted, 2).prior == pytest.approx([.5, .5])


# refusals

GOOD = normal(12, 2)


@pytest.mark.parametrize('distance', DISTANCES)
@pytest.mark.parametrize('xs, xt, words', [
    (GOOD[:1], GOOD, 'domains (1, 2) and (12, 2): give'), (GOOD, GOOD[:0], '(0, 2)'), (GOOD, GOOD[:, :1], 'of the same columns'),
    (GOOD[:, 0], GOOD[:, 0], '(12,)'), (GOOD[:, :0], GOOD[:, :0], '(12, 0)'), (GOOD[None], GOOD[None], '(1, 12, 2)'),
    (np.where(GOOD > 1, np.nan, GOOD), GOOD, 'xs has'), (GOOD, np.where(GOOD.max() > GOOD, GOOD, -np.inf), 'xt has 1 values')])
def test_what_has_no_distance_is_refused_in_one_line(distance, xs, xt, words):
    assert refused(lambda: distance(xs, xt), words)


def test_how_many_rows_each_needs():
    assert refused(lambda: proxy_a_distance(GOOD[:9], GOOD), 'give ten finite rows')
    assert refused(lambda: domain_distances(GOOD[:9], GOOD), 'give ten finite rows')
    assert refused(lambda: coral_distance(GOOD[:1], GOOD), 'give two finite rows')


@pytest.mark.parametrize('call, words', [
    (lambda: mmd_test(GOOD, GOOD, 0), 'permutations=0'), (lambda: mmd_test(GOOD, GOOD, width=0.), 'width=0.0'),
    (lambda: mmd_test(GOOD, GOOD, width=np.nan), 'width=nan'), (lambda: gaussian_kl(GOOD, GOOD, -.1), 'shrinkage=-0.1'),
    (lambda: gaussian_kl(GOOD, GOOD, np.nan), 'shrinkage=nan'),
    (lambda: gaussian_kl(normal(5, 9), normal(20, 9), 0.), 'the covariance of xs (5, 9) is singular at shrinkage=0.0'),
    (lambda: gaussian_kl(GOOD, 0 * GOOD), 'the covariance of xt (12, 2) is singular at shrinkage=None')])
def test_settings_without_a_meaning_are_refused_in_one_line(call, words):
    assert refused(call, words)


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('changes, words', [
    ({'source_predictions': [0, 1, 0]}, '3 source_predictions and 4 source_labels'),
    ({'source_labels': [0, 0, 0, 0]}, 'no source example is of class 1 of 2'), ({'classes': 3}, 'no source example is of class 2 of 3'),
    ({'source_predictions': [0, 0, 0, 0]}, 'the confusion is 0 from a singular one'),
    ({'target_predictions': []}, 'target_predictions is float64 of shape (0,)'),
    ({'source_labels': [0, 0, 1, 2]}, 'source_labels has a class 2'),
    ({'target_predictions': [-1, 0]}, 'target_predictions has a class -1: give classes from 0 to 1'), ({'classes': 1}, 'classes=1'),
    ({'source_predictions': np.eye(4)[:, :2]}, 'float64 of shape (4, 2)'),
    ({'source_labels': [0., np.nan, 1., 1.]}, 'source_labels is float64')])
def test_label_shift_refuses_what_it_cannot_solve_in_one_line(changes, words):
    good = {'source_predictions': [0, 0, 1, 1], 'source_labels': [0, 0, 1, 1], 'target_predictions': [0, 1, 1, 1], 'classes': 2}
    assert refused(lambda: label_shift(**good | changes), words)
