"""Maps against dense solvers of SciPy, NumPy's SVD, quadrature, plain loops and POT; Office-Caltech10 against the published accuracies."""
import inspect
import os
import resource
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from scipy import linalg
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import KNeighborsClassifier

from tljax.configuration import named
from tljax.core import Refused
from tljax.shallow import mapping
from tljax.shallow.mapping import NAMES, coral, geodesic_flow_kernel, gfk, optimal_transport, structural_correspondence, subspace_alignment

DATA = Path(os.environ.get('TLJAX_DATA', 'data'), 'office_caltech10_surf')


def samples(ns=40, nt=30, d=12, classes=3, seed=0):
    """Classes around common centres; the target is shifted, stretched and noisier."""
    rng = np.random.default_rng(seed)
    centres, stretch = rng.normal(0, 2, (classes, d)), rng.uniform(.5, 1.5, d)
    ys, yt = rng.integers(classes, size=ns), rng.integers(classes, size=nt)
    xs = centres[ys] + rng.normal(size=(ns, d))
    xt = (centres[yt] + rng.normal(size=(nt, d)) * 1.5) * stretch + rng.normal(size=d)
    return xs, xt, ys, yt


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def nearest(zs, ys, zt):
    return ys[pairwise_distances(zt, zs).argmin(1)]


def dense_kernel(x, kernel):
    x = unit(x)
    distances = pairwise_distances(x)
    width = np.median(distances[np.triu_indices(len(x), 1)])
    return x @ x.T if kernel == 'linear' else np.exp(-distances ** 2 / (2 * width ** 2))


def dense_components(k, m, top, penalty, dim, apart=0.):
    """The papers' problem as it is written, with n x n matrices: K top K a = value (K M K + K apart K + penalty I) a."""
    m = m / np.linalg.norm(m)
    a = linalg.eigh(k @ top @ k, k @ (m + apart) @ k + penalty * np.eye(len(k)))[1][:, ::-1][:, :dim]
    return unit(k @ (a / np.linalg.norm(a, axis=0)))


def dense_gap(ns, nt):
    return np.block([[np.full((ns, ns), 1 / ns ** 2), np.full((ns, nt), -1 / ns / nt)],
                     [np.full((nt, ns), -1 / ns / nt), np.full((nt, nt), 1 / nt ** 2)]])


def centring(n):
    return np.eye(n) - 1 / n


def equal_but_for_signs(a, b, tolerance=1e-6):
    """Each column's sign is free."""
    np.testing.assert_allclose(a * np.sign((a * b).sum(0)), b, atol=tolerance)


@pytest.mark.parametrize('kernel', ['linear', 'gaussian'])
@pytest.mark.parametrize('d', [12, 100])
def test_tca_is_the_dense_problem(kernel, d):
    xs, xt, ys, _ = samples(d=d)
    zs, zt = mapping.tca(xs, xt, dim=5, penalty=.3, kernel=kernel)
    z = dense_components(dense_kernel(np.concatenate([xs, xt]), kernel), dense_gap(40, 30), centring(70), .3, 5)
    equal_but_for_signs(np.concatenate([zs, zt]), z)
    assert (nearest(zs, ys, zt) == nearest(z[:40], ys, z[40:])).all()


def test_tca_by_hand():
    # Rows lie at (∓1, ∓1) and (-1, 5), (1, 7): the nearest source row of the first target row has the wrong sign of column 1, since the
    # domains differ in column 2, which TCA drops.
    xs, xt, ys = np.array([[-1., -1.], [1., 1.]]), np.array([[-1., 5.], [1., 7.]]), np.array([0, 1])
    assert nearest(xs, ys, xt).tolist() == [1, 1]
    zs, zt = mapping.tca(xs, xt, dim=1, penalty=1e-3)
    assert nearest(zs, ys, zt).tolist() == [0, 1]
    assert abs(zs).round(9).tolist() == abs(zt).round(9).tolist() == [[1.], [1.]]


@pytest.mark.parametrize('balance', [.2, .5, 1.])
def test_bda_is_a_loop_over_dense_problems(balance):
    xs, xt, ys, yt = samples(seed=1)
    k, ns, n, guess = dense_kernel(np.concatenate([xs, xt]), 'linear'), 40, 70, None
    for _ in range(3):
        m = dense_gap(40, 30)
        if guess is not None:
            m = (1 - balance) * 3 * m
            for c in range(3):
                sign = np.concatenate([(ys == c) / (ys == c).sum(), -1. * (guess == c) / (guess == c).sum()])
                m += balance * np.array([[sign[i] * sign[j] for j in range(n)] for i in range(n)])
        z = dense_components(k, m, centring(n), 1., 4)
        guess = nearest(z[:ns], ys, z[ns:])
    equal_but_for_signs(np.concatenate(mapping.bda(xs, xt, ys, dim=4, rounds=3, balance=balance)), z)
    if balance == .5:
        equal_but_for_signs(np.concatenate(mapping.jda(xs, xt, ys, dim=4, rounds=3)), z)


def test_jda_brings_the_classes_together_where_tca_cannot():
    # The domains' means agree already; within classes they differ, by opposite shifts along column 2.
    rng = np.random.default_rng(0)
    ys = np.arange(60) % 2
    xs, xt = rng.normal(0, .1, (2, 60, 5))
    xs[:, 0] += 2 * ys - 1
    xt[:, 0] += 2 * ys - 1
    xs[:, 1] += .8 * (2 * ys - 1)
    xt[:, 1] -= .8 * (2 * ys - 1)

    def class_gap(zs, zt):
        return sum(((zs[ys == c].mean(0) - zt[ys == c].mean(0)) ** 2).sum() for c in range(2))
    tca, jda = mapping.tca(xs, xt, dim=2, penalty=.1), mapping.jda(xs, xt, ys, dim=2, penalty=.1)
    assert class_gap(*tca) > 1 and class_gap(*jda) < .01
    np.testing.assert_array_equal(mapping.jda(xs, xt, ys, dim=2, penalty=.1, rounds=1)[0], tca[0])
    np.testing.assert_allclose(mapping.bda(xs, xt, ys, dim=2, penalty=.1, balance=0.)[0], tca[0])


def test_a_class_that_no_target_row_resembles_has_no_gap():
    xs, xt, ys, yt = samples(classes=4, seed=2)
    xt = xs[ys < 2][:15]
    zs, zt = mapping.jda(xs, xt, ys, dim=3)
    assert np.isfinite(zs).all() and set(nearest(zs, ys, zt)) == {0, 1}


@pytest.mark.parametrize('kernel', ['linear', 'gaussian'])
def test_semi_supervised_tca_is_the_dense_problem(kernel):
    xs, xt, ys, _ = samples()
    x, n, dependence, locality, neighbours = np.concatenate([xs, xt]), 70, .7, 5., 4
    distances = pairwise_distances(unit(x))
    near = [(i, j) for i in range(n) for j in np.argsort(distances[i])[1:neighbours + 1]]
    width, edges = np.median([distances[pair] for pair in near]), np.zeros((n, n))
    for i, j in near:
        edges[i, j] = edges[j, i] = np.exp(-distances[i, j] ** 2 / (2 * width ** 2))
    same = np.zeros((n, n))
    same[:40, :40] = ys[:, None] == ys
    top = centring(n) @ (dependence * same + (1 - dependence) * np.eye(n)) @ centring(n)
    graph = locality / n ** 2 * (np.diag(edges.sum(0)) - edges)
    z = dense_components(dense_kernel(x, kernel), dense_gap(40, 30), top, 1., 3, graph)
    settings = dict(dim=3, kernel=kernel)
    mapped = mapping.semi_supervised_tca(xs, xt, ys, dependence=dependence, locality=locality, neighbours=neighbours, **settings)
    equal_but_for_signs(np.concatenate(mapped), z)
    plain = mapping.semi_supervised_tca(xs, xt, ys, dependence=0, locality=0, **settings)
    equal_but_for_signs(plain[0], mapping.tca(xs, xt, **settings)[0])


def test_subspace_alignment_is_two_pcas():
    xs, xt, _, _ = samples()
    source, target = PCA(4).fit(xs), PCA(4).fit(xt)
    zs, zt = subspace_alignment(xs, xt, dim=4)
    aligned = source.transform(xs) @ source.components_ @ target.components_.T
    equal_but_for_signs(zs, aligned)
    equal_but_for_signs(zt, target.transform(xt))
    np.testing.assert_allclose(pairwise_distances(zs, zt), pairwise_distances(aligned, target.transform(xt)))   # one sign for both


@pytest.mark.parametrize('dim', [1, 4, 9])   # 9 of 12: the subspaces meet, some angles are 0
def test_gfk_is_the_integral_over_the_geodesic(dim):
    # The geodesic by the logarithm on the Grassmannian (Edelman et al. 1998): (I - aa') b (a'b)^-1 = u tan(v) w'.
    xs, xt, _, _ = samples()
    a, b = PCA(dim).fit(xs).components_.T, PCA(dim).fit(xt).components_.T
    u, tangent, w = np.linalg.svd((b - a @ a.T @ b) @ np.linalg.inv(a.T @ b), full_matrices=False)
    angles, total = np.arctan(tangent), 0
    for node, weight in zip(*np.polynomial.legendre.leggauss(30), strict=True):
        t = (node + 1) / 2
        phi = a @ w.T @ np.diag(np.cos(t * angles)) + u @ np.diag(np.sin(t * angles))
        total = total + weight / 2 * phi @ phi.T
    np.testing.assert_allclose(phi.T @ phi, np.eye(dim), atol=1e-9)
    np.testing.assert_allclose(geodesic_flow_kernel(xs, xt, dim), total, atol=1e-6)
    zs, zt = gfk(xs, xt, dim)
    np.testing.assert_allclose(zs @ zt.T, xs @ total @ xt.T, atol=1e-6)


def test_gfk_of_one_subspace_projects_on_it():
    xs, _, _, _ = samples()
    basis = PCA(3).fit(xs).components_
    np.testing.assert_allclose(geodesic_flow_kernel(xs, 2 * xs + 1, 3), basis.T @ basis, atol=1e-7)


def test_coral_takes_on_the_targets_covariance():
    xs, xt, _, _ = samples()
    zs, zt = coral(xs, xt, penalty=1e-8)
    np.testing.assert_allclose(np.cov(zs.T), np.cov(xt.T), atol=1e-4)
    np.testing.assert_array_equal(zt, xt)
    regular = [np.cov(x.T) + 2 * np.eye(12) for x in (xs, xt)]
    np.testing.assert_allclose(coral(xs, xt, penalty=2.)[0], xs @ linalg.inv(linalg.sqrtm(regular[0])) @ linalg.sqrtm(regular[1]))


def counts(seed=0):
    rng = np.random.default_rng(seed)
    rate = rng.uniform(.2, 1.5, 16)
    ys = rng.integers(2, size=50)
    xs, xt = rng.poisson(rate, (50, 16)).astype(float), rng.poisson(rate * rng.uniform(.5, 1.5, 16), (40, 16)).astype(float)
    xs[:, 5] = ys   # a feature that is present in one class alone
    xs[:, 7] = 0    # one that the source lacks
    return xs, xt, ys


def theta(zs, xs):
    return np.linalg.lstsq(xs, zs[:, xs.shape[1]:])[0].T


def test_structural_correspondence_is_a_loop_of_ridge_regressions():
    xs, xt, _ = counts()
    zs, zt = structural_correspondence(xs, xt, pivots=6, dim=3, penalty=2.)
    x = np.concatenate([xs, xt])
    often = np.minimum((xs > 0).sum(0) / 50, (xt > 0).sum(0) / 40)
    pivots = sorted(range(16), key=lambda feature: -often[feature])[:6]
    others = [feature for feature in range(16) if feature not in pivots]
    weights = np.stack([Ridge(alpha=2.).fit(x[:, others], x[:, pivot] > 0).coef_ for pivot in pivots], axis=1)
    left = np.linalg.svd(weights)[0][:, :3]
    np.testing.assert_array_equal(zs[:, :16], xs)
    equal_but_for_signs(zs[:, 16:], xs[:, others] @ left)
    equal_but_for_signs(zt[:, 16:], xt[:, others] @ left)
    xs[:, 7] = np.arange(50)   # otherwise the map leaves this row of theta open
    found = theta(structural_correspondence(xs, xt, pivots=6, dim=3)[0], xs)
    np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-9)


def test_pivots_by_mutual_information():
    xs, xt, ys = counts()
    by_labels = theta(structural_correspondence(xs, xt, ys, pivots=1, dim=1)[0], xs)
    assert abs(by_labels[0, 5]) < 1e-9 and (abs(np.delete(by_labels[0], [5, 7])) > 1e-9).all()   # a pivot predicts no pivot


@pytest.mark.filterwarnings('ignore:Sinkhorn did not converge')   # POT's 200 inner iterations, here and there alike
def test_optimal_transport_is_pots_plan():
    ot = pytest.importorskip('ot')
    xs, xt, ys, _ = samples()
    cost = pairwise_distances(xs, xt, 'sqeuclidean')
    share = np.full(40, 1 / 40), np.full(30, 1 / 30)
    plan = ot.sinkhorn(*share, cost / cost.max(), .2)
    np.testing.assert_allclose(plan.sum(0), share[1], atol=1e-6)
    zs, zt = optimal_transport(xs, xt, penalty=.2)
    np.testing.assert_allclose(zs, plan @ xt / plan.sum(1, keepdims=True), atol=1e-5)
    np.testing.assert_array_equal(zt, xt)
    plan = ot.da.sinkhorn_lpl1_mm(share[0], ys, share[1], cost / cost.max(), .2, eta=.2)
    classes = optimal_transport(xs, xt, ys, penalty=.2, class_penalty=.2)[0]
    np.testing.assert_allclose(classes, plan @ xt / plan.sum(1, keepdims=True), atol=1e-5)
    assert abs(classes - zs).max() > .1
    np.testing.assert_array_equal(optimal_transport(xs, xt, ys, penalty=.2)[0], zs)


def test_without_pot_transport_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, 'ot', None)
    with pytest.raises(Refused, match='pip install POT'):
        optimal_transport(*samples()[:2])


@pytest.mark.parametrize('name', NAMES)
def test_experiments_call_every_map_by_name(name):
    if name == 'optimal_transport':
        pytest.importorskip('ot')
    xs, xt, ys, _ = samples()
    accepted = inspect.signature(getattr(mapping, name)).parameters
    given = {key: value for key, value in dict(xs=abs(xs), xt=abs(xt), ys=ys).items() if key in accepted}
    small = {key: value for key, value in dict(dim=2, pivots=5).items() if key in accepted}
    zs, zt = named('tljax.shallow.mapping', {'name': name, **small}, 'map', **given)
    assert zs.shape[0] == 40 and zt.shape == (30, zs.shape[1]) and zs.dtype == zt.dtype == np.float64
    narrow = named('tljax.shallow.mapping', {'name': name, **small}, 'map', **given | {'xs': abs(xs).astype(np.float32)})[0]
    assert narrow.dtype == np.float64


def test_rows_cost_no_square_of_memory():
    rng = np.random.default_rng(0)
    xs, xt, ys = abs(rng.normal(size=(20000, 4))), abs(rng.normal(size=(20000, 4))), rng.integers(2, size=20000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mapping.jda(xs, xt, ys, dim=2, rounds=2)
    for name in ('tca', 'subspace_alignment', 'gfk'):
        getattr(mapping, name)(xs, xt, dim=2)
    coral(xs, xt)
    structural_correspondence(xs, xt, pivots=2, dim=1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1e6   # kB; a kernel of all rows would take 13 GB


@pytest.mark.skipif(not DATA.exists(), reason='TLJAX_DATA has no office_caltech10_surf')
def test_office_caltech_reaches_the_published_accuracies():
    # Caltech -> Amazon: 1-NN 23.7 and TCA 45.6 of the MEDA paper's table 2; GFK 41.02 of the JDA paper's table 3.
    def domain(name):
        file = scipy.io.loadmat(DATA / f'{name}_SURF_L10.mat')
        x = file['fts'] / file['fts'].sum(1, keepdims=True)
        return (x - x.mean(0)) / np.where(x.std(0) == 0, 1, x.std(0)), file['labels'].ravel() - 1
    (xs, ys), (xt, yt) = domain('Caltech10'), domain('amazon')

    def accuracy(zs, zt):
        return round(100 * float((KNeighborsClassifier(1).fit(zs, ys).predict(zt) == yt).mean()), 1)
    assert accuracy(xs, xt) == 23.7
    assert accuracy(*mapping.tca(xs, xt)) == 45.6
    assert accuracy(*gfk(xs, xt)) == 41.


XS, XT, YS, _ = samples()
BROKEN = np.where(np.arange(12) == 3, np.nan, XT)


@pytest.mark.parametrize('call, words', [
    (lambda: mapping.tca(XS[:0], XT), 'xs (0, 12)'), (lambda: mapping.jda(XS, XT[:1], YS), 'xt (1, 12)'),
    (lambda: coral(XS[0], XT), 'xs (12,)'), (lambda: gfk(XS[:, :3], XT), '(40, 3) and xt (30, 12)'),
    (lambda: subspace_alignment(XS, BROKEN), '30 of 360 values'), (lambda: optimal_transport(BROKEN, XT), 'xs: 30 of 360'),
    (lambda: mapping.tca(XS, XT, dim=13), 'dim=13: these samples allow 1 to 12'), (lambda: mapping.tca(XS, XT, dim=0), 'dim=0'),
    (lambda: mapping.tca(XS, XT, dim=70, kernel='gaussian'), '1 to 69'), (lambda: gfk(XS[:6], XT, dim=6), '1 to 5'),
    (lambda: geodesic_flow_kernel(XS, XT[:4], dim=5), '1 to 3'), (lambda: subspace_alignment(XS, XT, dim=2.5), 'dim=2.5'),
    (lambda: mapping.tca(XS, XT, dim=2, kernel='cubic'), "kernel='cubic' is unknown"), (lambda: mapping.bda(XS, XT, YS[1:]), 'ys (39,)'),
    (lambda: mapping.jda(XS, XT, YS * 1.), 'float64'), (lambda: mapping.jda(XS, XT, YS - 1), 'from -1: give integers from 0'),
    (lambda: mapping.tca(XS, XT, dim=2, penalty=0), 'penalty=0: give a positive number'), (lambda: coral(XS, XT, penalty=-1.), '-1.0'),
    (lambda: mapping.tca(XS, XT, dim=2, kernel='gaussian', width=0), 'width=0'), (lambda: mapping.jda(XS, XT, YS, rounds=0), 'rounds=0'),
    (lambda: mapping.bda(XS, XT, YS, balance=2.), 'balance=2.0'), (lambda: mapping.bda(XS, XT, YS, balance=np.nan), 'balance=nan'),
    (lambda: mapping.semi_supervised_tca(XS, XT, YS, dependence=-1), 'dependence=-1'),
    (lambda: mapping.semi_supervised_tca(XS, XT, YS, dim=4, dependence=1), '1 to 3'),
    (lambda: mapping.semi_supervised_tca(XS, XT, YS, locality=-1), 'locality=-1'),
    (lambda: mapping.semi_supervised_tca(XS, XT, YS, neighbours=70), 'neighbours=70 of 70 rows'),
    (lambda: structural_correspondence(XS, XT), 'absent'), (lambda: structural_correspondence(abs(XS), abs(XT), pivots=12), 'pivots=12'),
    (lambda: structural_correspondence(abs(XS), abs(XT), pivots=4, dim=5), 'dim=5'),
    (lambda: optimal_transport(XS, XT, class_penalty=1.), 'class_penalty=1.0 without ys'),
    (lambda: optimal_transport(XS, XT, YS, class_penalty=-1.), 'class_penalty=-1.0')])
def test_refusals_are_one_line(call, words):
    with pytest.raises(Refused) as refusal:
        call()
    assert words in str(refusal.value) and '\n' not in str(refusal.value)
