"""Pivots, transport, and what all maps have in common: names, memory, published accuracies,
refusals."""

import inspect
import os
import resource
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from domain_samples import equal_but_for_signs, samples
from sklearn.linear_model import Ridge
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import KNeighborsClassifier

from tljax.configuration import call_named
from tljax.core import UserError
from tljax.shallow import mapping
from tljax.shallow.mapping import (
    NAMES,
    coral,
    geodesic_flow_kernel,
    gfk,
    optimal_transport,
    structural_correspondence,
    subspace_alignment,
)

DATA = Path(os.environ.get('TLJAX_DATA', 'data'), 'office_caltech10_surf')


def counts(seed=0):
    rng = np.random.default_rng(seed)
    rate = rng.uniform(0.2, 1.5, 16)
    ys = rng.integers(2, size=50)
    xs, xt = (
        rng.poisson(rate, (50, 16)).astype(float),
        rng.poisson(rate * rng.uniform(0.5, 1.5, 16), (40, 16)).astype(float),
    )
    xs[:, 5] = ys  # a feature that is present in one class alone
    xs[:, 7] = 0  # one that the source lacks
    return xs, xt, ys


def theta(zs, xs):
    return np.linalg.lstsq(xs, zs[:, xs.shape[1] :])[0].T


def test_structural_correspondence_is_a_loop_of_ridge_regressions():
    xs, xt, _ = counts()
    zs, zt = structural_correspondence(xs, xt, pivots=6, dim=3, penalty=2.0)
    x = np.concatenate([xs, xt])
    often = np.minimum((xs > 0).sum(0) / 50, (xt > 0).sum(0) / 40)
    pivots = sorted(range(16), key=lambda feature: -often[feature])[:6]
    others = [feature for feature in range(16) if feature not in pivots]
    weights = np.stack(
        [Ridge(alpha=2.0).fit(x[:, others], x[:, pivot] > 0).coef_ for pivot in pivots], axis=1
    )
    left = np.linalg.svd(weights)[0][:, :3]
    np.testing.assert_array_equal(zs[:, :16], xs)
    equal_but_for_signs(zs[:, 16:], xs[:, others] @ left)
    equal_but_for_signs(zt[:, 16:], xt[:, others] @ left)
    xs[:, 7] = np.arange(50)  # otherwise the map leaves this row of theta open
    found = theta(structural_correspondence(xs, xt, pivots=6, dim=3)[0], xs)
    np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-9)


def test_pivots_by_mutual_information():
    xs, xt, ys = counts()
    by_labels = theta(structural_correspondence(xs, xt, ys, pivots=1, dim=1)[0], xs)
    # a pivot predicts no pivot
    assert abs(by_labels[0, 5]) < 1e-9 and (abs(np.delete(by_labels[0], [5, 7])) > 1e-9).all()


# POT's 200 inner iterations, here and there alike
@pytest.mark.filterwarnings('ignore:Sinkhorn did not converge')
def test_optimal_transport_is_pots_plan():
    ot = pytest.importorskip('ot')
    xs, xt, ys, _ = samples()
    cost = pairwise_distances(xs, xt, 'sqeuclidean')
    share = np.full(40, 1 / 40), np.full(30, 1 / 30)
    plan = ot.sinkhorn(*share, cost / cost.max(), 0.2)
    np.testing.assert_allclose(plan.sum(0), share[1], atol=1e-6)
    zs, zt = optimal_transport(xs, xt, penalty=0.2)
    np.testing.assert_allclose(zs, plan @ xt / plan.sum(1, keepdims=True), atol=1e-5)
    np.testing.assert_array_equal(zt, xt)
    plan = ot.da.sinkhorn_lpl1_mm(share[0], ys, share[1], cost / cost.max(), 0.2, eta=0.2)
    classes = optimal_transport(xs, xt, ys, penalty=0.2, class_penalty=0.2)[0]
    np.testing.assert_allclose(classes, plan @ xt / plan.sum(1, keepdims=True), atol=1e-5)
    assert abs(classes - zs).max() > 0.1
    np.testing.assert_array_equal(optimal_transport(xs, xt, ys, penalty=0.2)[0], zs)


def test_without_pot_transport_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, 'ot', None)
    with pytest.raises(UserError, match='pip install POT'):
        optimal_transport(*samples()[:2])


@pytest.mark.parametrize('name', NAMES)
def test_experiments_call_every_map_by_name(name):
    if name == 'optimal_transport':
        pytest.importorskip('ot')
    xs, xt, ys, _ = samples()
    accepted = inspect.signature(getattr(mapping, name)).parameters
    given = {
        key: value for key, value in dict(xs=abs(xs), xt=abs(xt), ys=ys).items() if key in accepted
    }
    small = {key: value for key, value in dict(dim=4, pivots=5).items() if key in accepted}
    zs, zt = call_named('tljax.shallow.mapping', {'name': name, **small}, 'map', **given)
    assert (
        zs.shape[0] == 40 and zt.shape == (30, zs.shape[1]) and zs.dtype == zt.dtype == np.float64
    )
    narrow = call_named(
        'tljax.shallow.mapping',
        {'name': name, **small},
        'map',
        **given | {'xs': abs(xs).astype(np.float32)},
    )[0]
    assert narrow.dtype == np.float64


def test_rows_cost_no_square_of_memory():
    rng = np.random.default_rng(0)
    xs, xt, ys = (
        abs(rng.normal(size=(20000, 4))),
        abs(rng.normal(size=(20000, 4))),
        rng.integers(2, size=20000),
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mapping.jda(xs, xt, ys, dim=2, rounds=2)
    for name in ('tca', 'subspace_alignment', 'gfk'):
        getattr(mapping, name)(xs, xt, dim=2)
    coral(xs, xt)
    structural_correspondence(xs, xt, pivots=2, dim=1)
    # kB; a kernel of all rows would take 13 GB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1e6


@pytest.mark.skipif(not DATA.exists(), reason='TLJAX_DATA has no office_caltech10_surf')
def test_office_caltech_reaches_the_published_accuracies():
    # Caltech -> Amazon: 1-NN 23.7 and TCA 45.6 of the MEDA paper's table 2; GFK 41.02 of the JDA
    # paper's table 3.
    def domain(name):
        file = scipy.io.loadmat(DATA / f'{name}_SURF_L10.mat')
        x = file['fts'] / file['fts'].sum(1, keepdims=True)
        return (x - x.mean(0)) / np.where(x.std(0) == 0, 1, x.std(0)), file['labels'].ravel() - 1

    (xs, ys), (xt, yt) = domain('Caltech10'), domain('amazon')

    def accuracy(zs, zt):
        return round(100 * float((KNeighborsClassifier(1).fit(zs, ys).predict(zt) == yt).mean()), 1)

    assert accuracy(xs, xt) == 23.7
    assert accuracy(*mapping.tca(xs, xt)) == 45.6
    assert accuracy(*gfk(xs, xt)) == 41.0


XS, XT, YS, _ = samples()

BROKEN = np.where(np.arange(12) == 3, np.nan, XT)


@pytest.mark.parametrize(
    'call, words',
    [
        (lambda: mapping.tca(XS[:0], XT), 'xs (0, 12)'),
        (lambda: mapping.jda(XS, XT[:1], YS), 'xt (1, 12)'),
        (lambda: coral(XS[0], XT), 'xs (12,)'),
        (lambda: gfk(XS[:, :3], XT), '(40, 3) and xt (30, 12)'),
        (lambda: subspace_alignment(XS, BROKEN), '30 of 360 values'),
        (lambda: optimal_transport(BROKEN, XT), 'xs: 30 of 360'),
        (lambda: mapping.tca(XS, XT, dim=13), 'dim=13: these samples allow 1 to 12'),
        (lambda: mapping.tca(XS, XT, dim=0), 'dim=0'),
        (lambda: mapping.tca(XS, XT, dim=70, kernel='gaussian'), '1 to 69'),
        (lambda: gfk(XS[:6], XT, dim=6), '1 to 5'),
        (lambda: geodesic_flow_kernel(XS, XT[:4], dim=5), '1 to 3'),
        (lambda: subspace_alignment(XS, XT, dim=2.5), 'dim=2.5'),
        (lambda: mapping.tca(XS, XT, dim=2, kernel='cubic'), "kernel='cubic' is unknown"),
        (lambda: mapping.bda(XS, XT, YS[1:]), 'ys (39,)'),
        (lambda: mapping.jda(XS, XT, YS * 1.0), 'float64'),
        (lambda: mapping.jda(XS, XT, YS - 1), 'from -1: give integers from 0'),
        (lambda: mapping.tca(XS, XT, dim=2, penalty=0), 'penalty=0: give a positive number'),
        (lambda: coral(XS, XT, penalty=-1.0), '-1.0'),
        (lambda: mapping.tca(XS, XT, dim=2, kernel='gaussian', width=0), 'width=0'),
        (lambda: mapping.jda(XS, XT, YS, rounds=0), 'rounds=0'),
        (lambda: mapping.bda(XS, XT, YS, balance=2.0), 'balance=2.0'),
        (lambda: mapping.bda(XS, XT, YS, balance=np.nan), 'balance=nan'),
        (lambda: mapping.semi_supervised_tca(XS, XT, YS, dependence=-1), 'dependence=-1'),
        (lambda: mapping.semi_supervised_tca(XS, XT, YS, dim=4, dependence=1), '1 to 3'),
        (lambda: mapping.semi_supervised_tca(XS, XT, YS, locality=-1), 'locality=-1'),
        (
            lambda: mapping.semi_supervised_tca(XS, XT, YS, neighbours=70),
            'neighbours=70 of 70 rows',
        ),
        (lambda: structural_correspondence(XS, XT), 'absent'),
        (lambda: structural_correspondence(abs(XS), abs(XT), pivots=12), 'pivots=12'),
        (lambda: structural_correspondence(abs(XS), abs(XT), pivots=4, dim=5), 'dim=5'),
        (lambda: optimal_transport(XS, XT, class_penalty=1.0), 'class_penalty=1.0 without ys'),
        (lambda: optimal_transport(XS, XT, YS, class_penalty=-1.0), 'class_penalty=-1.0'),
    ],
)
def test_refusals_are_one_line(call, words):
    with pytest.raises(UserError) as refusal:
        call()
    assert words in str(refusal.value) and '\n' not in str(refusal.value)
