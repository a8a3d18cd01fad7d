"""Scores of transferability against textbook loops in float64, SciPy's optimisers and densities, scikit-learn and numbers by hand."""
import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, optimize
from scipy.stats import multivariate_normal, norm, spearmanr
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import mutual_info_score
from sklearn.mixture import GaussianMixture

from tljax.core import Refused
from tljax.when import evidence
from tljax.when.evidence import h_score, h_score_of, logme, logme_of, moments
from tljax.when.transferability import OF_PREDICTIONS, SCORES, gbc, leep, n_leep, nce, parc, regularised_h_score, transrate


def labelled(n=90, d=6, c=3, separation=1., seed=0):
    """Gaussian classes of unequal sizes with features of unequal scales, not centred."""
    rng = np.random.default_rng(seed)
    y = rng.choice(c, n, p=np.arange(1, c + 1) / np.arange(1, c + 1).sum())
    y[:2 * c] = np.arange(2 * c) % c
    f = rng.normal(size=(n, d)) + separation * rng.normal(size=(c, d))[y]
    return f * np.arange(1, d + 1) ** -.5 + .3, y


def predictions(n=60, k=4, c=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, c, n)
    return rng.dirichlet(np.full(k, .4), n) * .5 + np.eye(k)[y % k] * .5, y


def cases():
    """Features of every shape and rank: (n, d), and labels."""
    f, y = labelled()
    low = np.random.default_rng(1).normal(size=(6, 20))
    return {'tall': (f, y), 'wide': labelled(30, 50), 'square': labelled(20, 20), 'one column': (f[:, :1], y), 'two classes': labelled(c=2),
            'low rank': (f @ low, y), 'wide, low rank': (f[:15] @ low, y[:15]), 'constant column': (np.c_[f, np.full(len(f), 2.)], y),
            'zero column': (np.c_[f, np.zeros(len(f))], y), 'duplicated column': (np.c_[f, f[:, 1]], y),
            'spectrum': (labelled(300, 40)[0] * np.arange(1, 41) ** -2. + 1, labelled(300, 40)[1])}


every_case = pytest.mark.parametrize('case', cases())


# LogME

def textbook(f, t):
    """You et al. 2021, algorithm 1 from equation 3: the iteration with an explicit inverse, to its end, and the evidence there."""
    (n, d), alpha, beta, gram = f.shape, 1., 1., f.T @ f
    for _ in range(5000):
        inverse = np.linalg.inv(alpha * np.eye(d) + beta * gram)
        m = beta * inverse @ f.T @ t
        gamma = d - alpha * np.trace(inverse)
        before = alpha / beta
        alpha, beta = gamma / (m @ m), (n - gamma) / ((t - f @ m) @ (t - f @ m))
        if abs(alpha / beta / before - 1) < 1e-9:
            break
    a = alpha * np.eye(d) + beta * gram
    m = beta * np.linalg.solve(a, f.T @ t)
    return (n / 2 * np.log(beta / 2 / np.pi) + d / 2 * np.log(alpha) - np.linalg.slogdet(a)[1] / 2
            - beta / 2 * ((t - f @ m) ** 2).sum() - alpha / 2 * (m @ m)) / n


@every_case
def test_logme_is_the_textbook_iteration_with_an_explicit_inverse(case):
    f, y = cases()[case]
    assert logme(f, y) == pytest.approx(np.mean([textbook(f, (y == label) * 1.) for label in np.unique(y)]), rel=1e-6)


def largest_density(f, t):
    """SciPy's density of t ~ N(0, I / beta + f f^T / alpha), maximised over both from many starts."""
    def loss(logs):
        alpha, beta = np.exp(logs)
        try:
            return -multivariate_normal(np.zeros(len(t)), np.eye(len(t)) / beta + f @ f.T / alpha).logpdf(t) / len(t)
        except np.linalg.LinAlgError:   # singular to double precision
            return np.inf
    found = [optimize.minimize(loss, start, method='Nelder-Mead', bounds=[(-25, 25)] * 2, options={'xatol': 1e-8, 'fatol': 1e-13})
             for start in itertools.product([-8., -2., 4., 10.], [0., 3.])]
    return -min(each.fun for each in found)


@pytest.mark.parametrize('case', ['tall', 'wide', 'low rank', 'constant column'])
def test_logme_is_the_largest_density_that_scipy_finds(case):
    f, y = (each[:25] for each in cases()[case])
    assert logme(f, y) == pytest.approx(np.mean([largest_density(f, (y == label) * 1.) for label in np.unique(y)]), rel=1e-6)


@pytest.mark.parametrize('shape', [(60, 5), (20, 30)])
def test_regression_is_averaged_over_columns(shape):
    rng = np.random.default_rng(0)
    f = rng.normal(size=shape)
    t = f[:, :3] + rng.normal(size=(len(f), 3)) + [0, 1, 2]
    each = [textbook(f, column) for column in t.T]
    assert logme(f, t) == pytest.approx(np.mean(each), rel=1e-6)
    assert logme(f, t[:, 0]) == logme(f, t[:, :1]) == pytest.approx(each[0], rel=1e-6)
    assert logme_of(moments([(f, t)])) == pytest.approx(np.mean(each), rel=1e-6)


def test_of_two_maxima_the_larger_is_found_where_the_published_iteration_stops_at_the_smaller():
    # One strong feature explains 40 % of the labels and one that is 3000 times weaker another 30 %, which takes larger weights.
    q = np.linalg.qr(np.random.default_rng(0).normal(size=(100, 3)))[0]
    f = q[:, :2] * [30., .01]
    t = 10 * q @ np.sqrt([.4, .3, .3])
    published, largest = textbook(f, t), largest_density(f, t)
    assert largest > published + .1
    assert logme(f, t) == pytest.approx(largest, rel=1e-6)


def test_evidence_at_its_limits():
    rng = np.random.default_rng(0)
    f, y = np.eye(3)[rng.integers(0, 3, 50)], rng.integers(0, 2, 50)
    exact, noisy = np.eye(3)[np.arange(60) % 3], np.arange(60) % 3
    assert 5 < logme(exact, noisy) < 15   # infinite but for RESIDUAL
    # Where features say nothing, alpha grows without limit and t ~ N(0, mean of t^2).
    t = np.where(np.arange(50) % 2, 1., -1.)
    nothing = np.c_[np.repeat([1., -1.], 25), np.repeat([1., -1.], 25)]
    nothing = nothing - np.outer(t, t @ nothing) / 50   # no correlation at all
    assert logme(nothing, t) == pytest.approx(-np.log(2 * np.pi * np.e) / 2, abs=1e-9)
    assert logme(f, y) < logme(exact, noisy)


def test_logme_keeps_its_digits_where_products_of_float32_would_not():
    # A mean above all else, and a spectrum that falls to 1e-6 of the first variance.
    rng = np.random.default_rng(0)
    y, scale, rotation = np.arange(1000) % 4, np.arange(1, 33) ** -2., np.linalg.qr(rng.normal(size=(32, 32)))[0]
    f = ((rng.normal(size=(1000, 32)) + .3 * rng.normal(size=(4, 32))[y]) * scale @ rotation + 1).astype(np.float32)
    expected = np.mean([textbook(f.astype(float), (y == label) * 1.) for label in range(4)])
    assert logme(f, y) == pytest.approx(expected, rel=1e-6)
    products = moments([(f, y)])._replace(gram=(f.T @ f).astype(float))
    assert abs(logme_of(products) / expected - 1) > 1e-4


# moments

@pytest.mark.parametrize('rows', [1, 7, 1000])
def test_blocks_are_their_union(monkeypatch, rows):
    monkeypatch.setattr(evidence, 'ROWS', rows)
    f, y = labelled()
    y = np.array([-5, 70, 2])[y]
    order = np.argsort(y, kind='stable')   # so that blocks lack classes
    blocks = [(f[part], y[part]) for part in np.split(order, [10, 11, 60])]
    whole, onehot = moments(iter(blocks)), (y[:, None] == [-5, 2, 70]) * 1.
    assert whole.n == 90 and whole.classes.tolist() == [-5, 2, 70]
    for found, expected in ((whole.gram, f.T @ f), (whole.cross, f.T @ onehot), (whole.square, onehot.sum(0))):
        assert found == pytest.approx(expected, rel=1e-12)
    assert logme_of(whole) == pytest.approx(logme(f, y), rel=1e-9) and h_score_of(whole) == pytest.approx(h_score(f, y), rel=1e-9)
    wide, labels = labelled(30, 50)
    assert logme_of(moments([(wide, labels)])) == pytest.approx(logme(wide, labels), rel=1e-8)   # (d, d) and (n, n) matrices agree


# H-scores

def between(f, y):
    """Covariance of E[f | y], every example standing for itself."""
    return np.cov(np.array([f[y == label].mean(0) for label in y]).T, bias=True).reshape(f.shape[1], -1)


@every_case
def test_h_score_is_the_trace_of_a_pseudo_inverse(case):
    f, y = cases()[case]
    inverse = np.linalg.pinv(np.cov(f.T, bias=True).reshape(f.shape[1], -1), rcond=1e-11, hermitian=True)
    assert h_score(f, y) == pytest.approx(np.trace(inverse @ between(f, y)), rel=1e-6)


def test_h_score_is_a_sum_of_explained_ratios_of_discriminants():
    f, y = labelled()
    z = LinearDiscriminantAnalysis().fit(f, y).transform(f)   # uncorrelated directions, that hold all that classes differ in
    assert h_score(f, y) == pytest.approx((np.diag(between(z, y)) / z.var(0)).sum(), rel=1e-6)
    assert h_score(np.eye(3)[y], y) == pytest.approx(2)


@every_case
def test_regularised_h_score_is_the_formula_with_scikit_learns_shrinkage(case):
    f, y = cases()[case]
    deviation = f.std(0)
    z = (f - f.mean(0)) / np.where(deviation > 1e-12, deviation, 1)
    shrunk = LedoitWolf().fit(z)
    expected = (1 - shrunk.shrinkage_) * np.trace(np.linalg.pinv(shrunk.covariance_, hermitian=True) @ between(z, y))
    assert regularised_h_score(f, y) == pytest.approx(expected, rel=1e-6)


# TransRate

@every_case
@pytest.mark.parametrize('eps', [1e-4, .1])
def test_transrate_is_a_loop_over_classes(case, eps):
    f, y = cases()[case]
    z = f - f.mean(0)
    z = z / np.sqrt(np.trace(z.T @ z) / len(z))

    def rate(z):
        return np.linalg.slogdet(np.eye(z.shape[1]) + sum(np.outer(row, row) for row in z) / len(z) / eps)[1] / 2
    expected = rate(z) - sum(np.mean(y == label) * rate(z[y == label]) for label in np.unique(y))
    assert transrate(f, y, eps) == pytest.approx(expected, rel=1e-6)
    assert transrate(5 * f, y, eps) == pytest.approx(expected, rel=1e-6)


def test_transrate_by_hand():
    # Two classes on two axes, each of variance 1/2 in all and 1 in itself: 2 log(1 + .5 / eps) / 2 - log(1 + 1 / eps) / 2.
    f, y = np.array([[1., 0.], [-1., 0.], [0., 1.], [0., -1.]]), np.array([0, 0, 1, 1])
    assert transrate(f, y, eps=.5) == pytest.approx(np.log(2) - np.log(3) / 2)
    assert transrate(np.array([[1.], [1.], [-1.], [-1.]]), y) == pytest.approx(0, abs=1e-9)   # it cannot tell opposite sides


# GBC

def bhattacharyya(mean1, variance1, mean2, variance2):
    """Exp of minus the distance, a dimension at a time."""
    product = 1.
    for a, v, b, w in zip(mean1, variance1, mean2, variance2, strict=True):
        middle = (v + w) / 2
        product *= np.exp(-(a - b) ** 2 / (8 * middle)) / np.sqrt(middle / np.sqrt(v * w))
    return product


@every_case
@pytest.mark.parametrize('covariance, components', [('spherical', 64), ('diagonal', 64), ('spherical', 2), ('diagonal', 2)])
def test_gbc_is_a_loop_over_pairs(case, covariance, components):
    f, y = cases()[case]
    rank = np.linalg.matrix_rank(f - f.mean(0))
    z = PCA(min(components, rank), svd_solver='full').fit_transform(f)
    total, least = 0., 1e-4 * z.var(0).mean()
    statistics = {}
    for label in np.unique(y):
        variance = z[y == label].var(0)
        variance = np.full_like(variance, variance.mean()) if covariance == 'spherical' else variance
        statistics[label] = z[y == label].mean(0), np.maximum(variance, least)
    for one, other in itertools.permutations(statistics, 2):
        total -= bhattacharyya(*statistics[one], *statistics[other])
    assert gbc(f, y, components, covariance) == pytest.approx(total, rel=1e-6)


def test_gbc_is_the_overlap_of_densities():
    f = np.array([[-1.], [1.], [1.], [5.]])
    y = np.array([0, 0, 1, 1])
    overlap = integrate.quad(lambda x: np.sqrt(norm.pdf(x, 0, 1) * norm.pdf(x, 3, 2)), -20, 30)[0]
    assert gbc(f, y) == pytest.approx(-2 * overlap, rel=1e-6)
    assert gbc(np.array([[0.], [1.], [5.]]), np.array([0, 0, 1])) > -.5   # a class of one example has a variance, too


# PARC

@pytest.mark.parametrize('components', [32, 3])
@pytest.mark.parametrize('case', ['tall', 'wide', 'two classes', 'low rank', 'constant column', 'duplicated column'])
def test_parc_is_a_rank_correlation_of_pairs(case, components):
    f, y = cases()[case]
    rank = np.linalg.matrix_rank(f - f.mean(0))
    z = PCA(min(components, rank), svd_solver='full').fit_transform(f)
    z = (z - z.mean(0)) / z.std(0)
    onehot = (y[:, None] == np.unique(y)) * 1.
    pairs = list(itertools.combinations(range(len(y)), 2))
    apart, differ = ([1 - np.corrcoef(x[i], x[j])[0, 1] for i, j in pairs] for x in (z, onehot))
    assert parc(f, y, components) == pytest.approx(spearmanr(apart, np.round(differ, 9)).statistic, abs=1e-6)


def test_parc_draws_its_examples_by_seed():
    f, y = labelled(200)
    drawn = np.random.default_rng(3).permutation(200)[:40]
    assert parc(f, y, rows=40, seed=3) == pytest.approx(parc(f[drawn], y[drawn])) and parc(f, y, rows=40) != parc(f, y, rows=40, seed=3)


# of predictions

def leep_loop(p, y):
    (n, k), labels = p.shape, list(np.unique(y))
    joint = {(label, z): sum(p[i, z] for i in range(n) if y[i] == label) / n for label in labels for z in range(k)}
    marginal = [sum(joint[label, z] for label in labels) for z in range(k)]
    return np.mean([np.log(sum(joint[y[i], z] / marginal[z] * p[i, z] for z in range(k) if marginal[z])) for i in range(n)])


def test_leep_is_a_loop():
    p, y = predictions()
    unused = np.c_[p, np.zeros(len(p))]   # a source class that nothing is predicted as
    assert leep(p, y) == pytest.approx(leep_loop(p, y), rel=1e-9)
    assert leep(unused, y) == pytest.approx(leep_loop(unused, y), rel=1e-9) and leep(p * 1.0005, y) == pytest.approx(leep(p, y))
    assert leep(jnp.asarray(p, jnp.float32), y) == pytest.approx(leep(p, y), rel=1e-5)


def test_nce_is_a_loop_and_what_scikit_learns_information_leaves():
    rng = np.random.default_rng(0)
    z, y = rng.integers(5, 9, 80), rng.integers(0, 3, 80)
    loop = 0.
    for source in np.unique(z):
        share = np.array([np.mean(y[z == source] == label) for label in range(3)])
        loop += np.mean(z == source) * sum(s * np.log(s) for s in share if s)
    assert nce(z, y) == pytest.approx(loop, rel=1e-9)
    assert nce(z, y) == pytest.approx(mutual_info_score(z, y) - mutual_info_score(y, y), rel=1e-9)
    certain = np.eye(9)[z]
    assert leep(certain, y) == pytest.approx(nce(z, y), rel=1e-9)   # no doubt, no difference
    assert OF_PREDICTIONS['nce'](certain * .6 + .4 / 9, y) == nce(z, y) and OF_PREDICTIONS['leep'] is leep


@pytest.mark.parametrize('components', [None, 4])
def test_n_leep_is_scikit_learns_pipeline_and_the_loop(components):
    f, y = labelled(120, 8)
    z = PCA(.8, svd_solver='full').fit_transform(f)
    assert 1 < z.shape[1] < 8
    z /= z.std()
    p = GaussianMixture(components or 15, random_state=2).fit(z).predict_proba(z)
    assert n_leep(f, y, components, seed=2) == pytest.approx(leep_loop(p, y), rel=1e-6)


# what all have in common

@pytest.mark.parametrize('name', SCORES)
def test_labels_that_features_tell_beat_labels_that_were_shuffled(name):
    f, y = labelled(300, 8, separation=2.)
    shuffled = np.random.default_rng(0).permutation(y)
    assert isinstance(SCORES[name](f, y), float) and SCORES[name](f, y) > SCORES[name](f, shuffled)


@pytest.mark.parametrize('name', SCORES)
@pytest.mark.parametrize('wide', [False, True])
def test_neither_the_names_of_classes_nor_the_order_of_rows_matters(name, wide):
    f, y = labelled(30, 50) if wide else labelled()
    score, expected = SCORES[name], SCORES[name](f, y)
    assert score(f, np.array([7, -3, 40])[y]) == pytest.approx(expected, rel=1e-9)
    assert score(f.astype(np.float32), y.astype(np.uint8)) == pytest.approx(expected, rel=1e-3, abs=1e-3)
    assert score(jnp.asarray(f), jnp.asarray(y)) == score(f.astype(np.float32), y)
    if name != 'n_leep':   # its mixture starts from rows that are drawn
        order = np.random.default_rng(0).permutation(len(f))
        assert score(f[order], y[order]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize('name', OF_PREDICTIONS)
def test_no_order_matters_to_scores_of_predictions(name):
    (p, y), score = predictions(), OF_PREDICTIONS[name]
    order, classes = np.random.default_rng(0).permutation(60), [2, 0, 3, 1]
    assert score(p[order], y[order]) == pytest.approx(score(p, y), rel=1e-12)
    assert score(p[:, classes], np.array([7, -3, 40])[y]) == pytest.approx(score(p, y), rel=1e-12)


@pytest.mark.parametrize('name', ['logme', 'h_score', 'transrate', 'gbc'])
@pytest.mark.parametrize('case', ['tall', 'wide', 'low rank', 'constant column'])
def test_rotation_does_not_matter(name, case):
    f, y = cases()[case]
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(f.shape[1],) * 2))[0]
    assert SCORES[name](f @ rotation, y) == pytest.approx(SCORES[name](f, y), rel=1e-6)


@pytest.mark.parametrize('name', ['h_score', 'regularised_h_score', 'transrate', 'gbc', 'parc', 'n_leep'])
@pytest.mark.parametrize('scale, offset', [(1e3, 50.), (1e-3, 1e3)])
def test_neither_units_nor_an_offset_matter_where_features_are_centred(name, scale, offset):
    f, y = labelled()
    assert SCORES[name](scale * f + offset, y) == pytest.approx(SCORES[name](f, y), rel=1e-5)


def test_an_h_score_takes_any_linear_map_and_logme_a_scale():
    f, y = labelled()
    assert h_score(f @ np.random.default_rng(0).normal(size=(6, 6)) + 3, y) == pytest.approx(h_score(f, y), rel=1e-6)
    assert logme(1e-4 * f, y) == pytest.approx(logme(f, y), rel=1e-6)


# refusals

F, Y = labelled(12, 4)


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('name', SCORES)
@pytest.mark.parametrize('f, y, words', [
    (F, np.full(12, 3), 'labels of 1 class: give'), (np.where(F[2, 1] == F, np.nan, F), Y, 'f has 1 values that are not finite'),
    (F, Y[:-1], 'f has shape (12, 4) and y (11,): give one label per row'), (F[:0], Y[:0], 'f has shape (0, 4)'),
    (F[:, :0], Y, 'f has shape (12, 0)'), (F[0], Y, 'f has shape (4,)'), (np.ones((12, 4)), Y, 'all 12 rows of f are the same'),
    (F, Y[:, None], 'y has shape (12, 1)'), (F, Y.astype(str), 'y has shape (12,) and type <U21')])
def test_what_has_no_score_is_refused_in_one_line(name, f, y, words):
    refused(lambda: SCORES[name](f, y), words)


@pytest.mark.parametrize('name', [name for name in SCORES if name != 'logme'])
def test_float_labels_are_refused_where_classes_are_needed(name):
    refused(lambda: SCORES[name](F, Y.astype(float)), 'type float64: give one integer class per row')


P, LABEL = predictions()


@pytest.mark.parametrize('name', OF_PREDICTIONS)
@pytest.mark.parametrize('p, y, words', [
    (np.log(P), LABEL, 'rows that are no probabilities: give softmax'), (2 * P, LABEL, 'no probabilities'), (P * np.nan, LABEL, 'no prob'),
    (P[0], LABEL, 'p has shape (4,)'), (P[:0], LABEL[:0], 'p has shape (0, 4)'), (P, LABEL[1:], '60 rows and 59 labels'),
    (P, LABEL * 0, 'labels of 1 class'), (P, LABEL * 1., 'type float64: give one integer')])
def test_what_are_no_predictions_is_refused_in_one_line(name, p, y, words):
    refused(lambda: OF_PREDICTIONS[name](p, y), words)


@pytest.mark.parametrize('call, words', [
    (lambda: logme(F, np.zeros(12)), 'column 0 of y is 0 throughout'), (lambda: logme(F, Y * np.nan), 'y has 12 values that are'),
    (lambda: transrate(F, Y, eps=0.), 'eps=0.0'), (lambda: gbc(F, Y, covariance='full'), "covariance='full': choose"),
    (lambda: gbc(F, Y, components=0), 'components=0'), (lambda: n_leep(F, Y, components=13), 'components=13: give a number from 1 to'),
    (lambda: parc(F, np.arange(12)), '66 of 66 pairs of examples differ'), (lambda: parc(F[:, :1], Y), '1 principal components vary'),
    (lambda: nce(Y * 1., Y), 'z has shape (12,) and type float64'), (lambda: nce(Y[1:], Y), '11 rows and 12 labels'),
    (lambda: nce([], []), 'type float64'), (lambda: moments([]), 'moments of no blocks'),
    (lambda: moments([(F, Y), (F[:, 1:], Y)]), 'blocks of 4 features and integer labels, and of 3 and integer'),
    (lambda: moments([(F, Y), (F, Y * 1.)]), 'and of 4 and 1: give one kind'),
    (lambda: moments([(F, F), (F, F[:, 1:])]), '4 labels, and of 4 and 3'), (lambda: logme_of(moments([(F, Y * 0)])), 'labels of 1 class'),
    (lambda: h_score_of(moments([(F, Y * 0)])), 'labels of 1 class'), (lambda: h_score_of(moments([(F, F)])), 'H-score of float labels')])
def test_more_that_is_refused_in_one_line(call, words):
    refused(call, words)


def refused(call, words):
    with pytest.raises(Refused) as refusal:
        call()
    assert words in str(refusal.value) and '\n' not in str(refusal.value)
