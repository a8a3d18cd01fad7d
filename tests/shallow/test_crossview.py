"""Maps through pairs: scikit-learn, generalised eigenproblems, and what may not matter."""

import numpy as np
import pytest
from scipy.linalg import eigh
from sklearn.cross_decomposition import CCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel

from tljax.core import UserError
from tljax.shallow.crossview import cca, kernel_cca, lsi
from tljax.shallow.pairs import copied_labels, found_pairs, unit_rows


@pytest.fixture(scope='module')
def pairs():
    """Pairs of two spaces, of 6 and 4 columns, that share three directions; and new ones."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(500, 3)) * [2.0, 1.0, 0.7]
    ps = shared @ rng.normal(size=(3, 6)) + rng.normal(size=(500, 6)) + 5
    pt = shared @ rng.normal(size=(3, 4)) + rng.normal(size=(500, 4)) - 3
    return ps[:300], pt[:300], ps[300:], pt[300:]


def similarities(z, other):
    """Absolute correlations of the columns of two arrays, one by one."""
    return [abs(np.corrcoef(a, b)[0, 1]) for a, b in zip(z.T, other.T, strict=True)]


def same_up_to_sign(z, other):
    np.testing.assert_allclose(z * np.sign((z * other).sum(0)), other, atol=1e-6)


def test_cca_is_that_of_scikit_learn(pairs):
    ps, pt, xs, xt = pairs
    views, peer = cca(ps, pt, dim=3), CCA(3, max_iter=100_000, tol=1e-14).fit(ps, pt)
    peer_s, peer_t = peer.transform(xs, xt)
    assert min(similarities(views.source(xs), peer_s)) > 1 - 1e-9
    assert min(similarities(views.target(xt), peer_t)) > 1 - 1e-9
    of_pairs = similarities(*peer.transform(ps, pt))
    np.testing.assert_allclose(views.strength, of_pairs, atol=1e-9)
    zs = views.source(ps)
    np.testing.assert_allclose(np.cov(zs.T), np.eye(3), atol=1e-9)
    assert abs(zs.mean(0)).max() < 1e-9


def test_kernel_cca_solves_the_penalised_eigenproblem(pairs):
    ps, pt, xs, xt = pairs
    views = kernel_cca(ps, pt, dim=4, penalty=0.3)
    a, b = ps - ps.mean(0), pt - pt.mean(0)

    def penalised(x):  # a'K^2a + p a'Ka of a direction w = x'a
        c = x.T @ x
        return (c + 0.3 * np.trace(c) / len(x) * np.eye(len(c))) / (len(x) - 1)

    cross = a.T @ b
    values, w = eigh(cross @ np.linalg.solve(penalised(b), cross.T), penalised(a))
    np.testing.assert_allclose(views.strength, values[::-1][:4] ** 0.5 / 299, atol=1e-9)
    same_up_to_sign(views.source(xs), (xs - ps.mean(0)) @ w[:, ::-1][:, :4])
    wt = np.linalg.solve(penalised(b), cross.T @ w[:, ::-1][:, :4]) / views.strength / 299
    same_up_to_sign(views.target(xt), (xt - pt.mean(0)) @ wt)


def test_a_gaussian_kernel_and_powers_of_the_correlations(pairs):
    ps, pt, xs, _ = pairs
    ps, pt = ps[:40], pt[:40]
    views = kernel_cca(ps, pt, dim=5, penalty=0.5, kernel='gaussian', width=3.0)
    centre = np.eye(40) - 1 / 40
    ks, kt = (centre @ rbf_kernel(x, gamma=1 / 18) @ centre for x in (ps, pt))
    right_s, right_t = (k @ k + 0.5 * np.trace(k) / 40 * k + 1e-12 * np.eye(40) for k in (ks, kt))
    values, a = eigh(ks @ kt @ np.linalg.solve(right_t, kt @ ks), right_s)
    np.testing.assert_allclose(views.strength, values[::-1][:5] ** 0.5, atol=1e-5)
    new = rbf_kernel(xs, ps, gamma=1 / 18) - rbf_kernel(ps, gamma=1 / 18).mean(0)
    expected = new @ centre @ a[:, ::-1][:, :5]
    assert min(similarities(views.source(xs), expected)) > 1 - 1e-6
    scaled = kernel_cca(ps, pt, 5, 0.5, power=2.0, kernel='gaussian', width=3.0)
    np.testing.assert_allclose(scaled.source(xs), views.source(xs) * views.strength**2)


def test_a_small_penalty_gives_cca(pairs):
    ps, pt, xs, xt = pairs
    views, limit = kernel_cca(ps, pt, dim=3, penalty=1e-9), cca(ps, pt, dim=3)
    same_up_to_sign(views.source(xs), limit.source(xs))
    same_up_to_sign(views.target(xt), limit.target(xt))


def test_lsi_is_the_truncated_decomposition_of_both_halves():
    rng = np.random.default_rng(1)
    ps, pt = unit_rows(rng.poisson(1.0, (30, 12))), unit_rows(rng.poisson(1.0, (30, 9)))
    views = lsi(ps, pt, dim=5)
    both = np.concatenate([ps, pt], axis=1)
    values, vectors = np.linalg.eigh(both.T @ both)
    np.testing.assert_allclose(views.strength, values[::-1][:5] ** 0.5)
    same_up_to_sign(views.source(ps) + views.target(pt), both @ vectors[:, ::-1][:, :5])
    same_up_to_sign(views.source(ps), ps @ vectors[:12, ::-1][:, :5])


@pytest.mark.parametrize(
    'method', [cca, kernel_cca, lambda *x, dim: kernel_cca(*x, dim, kernel='gaussian'), lsi]
)
def test_the_unit_of_a_space_does_not_matter(pairs, method):
    ps, pt, xs, xt = pairs
    views, other = method(ps, pt, dim=3), method(1e-4 * ps, 1e5 * pt, dim=3)
    np.testing.assert_allclose(views.strength, other.strength, rtol=1e-6)
    for z, expected in (
        (other.source(1e-4 * xs), views.source(xs)),
        (other.target(1e5 * xt), views.target(xt)),
    ):
        same_up_to_sign(unit_rows(z), unit_rows(expected))


@pytest.mark.parametrize('method', [cca, kernel_cca])
def test_each_space_has_its_own_mean(pairs, method):
    ps, pt, xs, xt = pairs
    views, moved = method(ps, pt, dim=3), method(ps + 50, pt - 7, dim=3)
    same_up_to_sign(moved.source(xs + 50), views.source(xs))
    same_up_to_sign(moved.target(xt - 7), views.target(xt))


def test_cca_takes_columns_of_any_scale_and_columns_that_depend_on_each_other(pairs):
    ps, pt, xs, xt = pairs
    views = cca(ps, pt, dim=3)
    scale = np.array([1e-6, 1.0, 1e6, 1.0, 1.0, 1e3])

    def wide(x):
        return np.concatenate([x * scale, x[:, :1] + x[:, 1:2], 0 * x[:, :1] + 4], axis=1)

    other = cca(wide(ps), pt, dim=3)
    np.testing.assert_allclose(other.strength, views.strength, rtol=1e-6)
    same_up_to_sign(other.source(wide(xs)), views.source(xs))


def test_pairs_are_found_and_labels_copied():
    rng = np.random.default_rng(2)
    label = rng.integers(0, 3, 400)
    topics = np.eye(3)[label] * 3 + rng.normal(size=(400, 3))
    xs = topics @ rng.normal(size=(3, 30)) + 0.1 * rng.normal(size=(400, 30))
    xt = topics @ rng.normal(size=(3, 20)) + 0.1 * rng.normal(size=(400, 20))
    labelled, paired, new = np.split(np.arange(400), [100, 250])
    views = kernel_cca(xs[paired], xt[paired], dim=3, penalty=0.01)
    assert found_pairs(views.source(xs[new]), views.target(xt[new])) > 0.5
    classifier = LogisticRegression().fit(views.source(xs[labelled]), label[labelled])
    assert classifier.score(views.target(xt[new]), label[new]) > 0.9
    learner = LogisticRegression()
    predict = copied_labels(learner, xs[labelled], label[labelled], xs[paired], xt[paired])
    copied = LogisticRegression().fit(xs[labelled], label[labelled]).predict(xs[paired])
    expected = LogisticRegression().fit(xt[paired], copied).predict(xt[new])
    assert (predict(xt[new]) == expected).all()
    alike = paired[copied == 1]  # the source has one answer for all pairs
    predict = copied_labels(learner, xs[labelled], label[labelled], xs[alike], xt[alike])
    assert (predict(xt[new]) == 1).all()


def refused(call, *words):
    with pytest.raises(UserError) as error:
        call()
    assert all(word in str(error.value) for word in words) and '\n' not in str(error.value)


def test_bad_pairs_are_refused(pairs):
    ps, pt, xs, _ = pairs
    gap = ps.copy()
    gap[3, 2] = np.nan
    refused(lambda: lsi(gap, pt), 'ps: 1 of 1800 values are not finite')
    refused(lambda: cca(ps[:-1], pt), 'ps has 299 rows and pt has 300')
    refused(lambda: cca(ps[:10], pt[:10]), '10 pairs of 6 and 4 independent columns', 'kernel_cca')
    refused(lambda: cca(ps, pt, dim=5), 'dim=5: these samples allow 1 to 4')
    refused(lambda: lsi(ps, 0 * pt), 'pt: all 300 rows are equal')
    refused(lambda: lsi(ps[0], pt[0]), 'ps (6,): give two or more rows')
    for penalty in (0, -1, np.nan):
        refused(lambda penalty=penalty: kernel_cca(ps, pt, 2, penalty), f'penalty={penalty}')
    refused(lambda: kernel_cca(ps, pt, 2, power=-1), 'power=-1')
    refused(lambda: kernel_cca(ps, pt, 2, kernel='cubic'), "kernel='cubic' is unknown")
    for method in (cca, kernel_cca, lsi):
        views = method(ps, pt, dim=2)
        refused(lambda views=views: views.target(xs), 'rows of shape (200, 6)', '(m, 4)')
    refused(lambda: found_pairs(ps, pt), 'map both halves into one space')
