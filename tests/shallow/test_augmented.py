"""Heterogeneous feature augmentation: the conditions of a minimum, its limits, and a gain."""

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from tljax.core import UserError
from tljax.shallow.augmented import _minimum, _reduced, _start, hfa


@pytest.fixture(scope='module')
def domains():
    """A source with many rows and a target with few. Classes 0 and 1 are alike, and 2 and 3."""
    rng = np.random.default_rng(0)
    means = np.array([[3.0, 0.8], [3.0, -0.8], [-3.0, 0.8], [-3.0, -0.8]])
    ys, yt, y = np.repeat(np.arange(4), 30), np.repeat(np.arange(4), 2), np.repeat(np.arange(4), 99)
    to_s, to_t = rng.normal(size=(2, 7)), rng.normal(size=(2, 12))

    def rows(label, to):
        inner = means[label] + 0.5 * rng.normal(size=(len(label), 2))
        return inner @ to + rng.normal(size=(len(label), to.shape[1]))

    return rows(ys, to_s), ys, rows(yt, to_t), yt, rows(y, to_t), y


def test_the_minimum_satisfies_the_conditions_of_the_convex_problem(domains):
    """At the minimum, common * (singular values of U = [Wc P, Wc Q]) replaces the squares, and the
    loss's gradient G has G = -own W, |G| <= common and <G, U> = -common * sum of those values."""
    xs, ys, xt, yt, *_ = domains
    (zs, _), (zt, _) = _reduced(xs), _reduced(xt)
    ss, st = (np.where(y[:, None] == np.arange(4), 1.0, -1.0) for y in (ys, yt))
    own, common = 0.05, 0.15
    start = _start(4, zs.shape[1], zt.shape[1])
    params, value = _minimum(start, zs, ss, zt, st, own, common, 5000)
    u = [params['wc'] @ params[name] for name in 'pq']
    w = [params['ws'], params['wt']]
    gradient, losses = [], []
    for z, s, common_part, own_part in zip((zs, zt), (ss, st), u, w, strict=True):
        slack = np.maximum(1 - s * (z @ (common_part + own_part).T + params['b']), 0)
        losses.append((slack**2).sum(1).mean())
        gradient.append((-2 * s * slack).T @ z / len(z))
    g, both = np.concatenate(gradient, axis=1), np.concatenate(u, axis=1)
    nuclear = np.linalg.svd(both)[1].sum()
    np.testing.assert_allclose(g, -own * np.concatenate(w, axis=1), atol=1e-4)
    assert np.linalg.norm(g, 2) < common * (1 + 1e-3) and nuclear > 0.1
    assert (g * both).sum() == pytest.approx(-common * nuclear, rel=1e-3)
    squares = sum((x**2).sum() for x in w)
    assert value == pytest.approx(sum(losses) + own / 2 * squares + common * nuclear, rel=1e-6)


def test_with_a_large_penalty_nothing_is_shared(domains):
    xs, ys, xt, yt, x, _ = domains
    found = hfa(xs, ys, xt, yt, own=0.05, common=1e3)
    assert abs(found.source).max() < 1e-4 and abs(found.target).max() < 1e-4
    unit = np.sqrt((xt**2).sum(1).mean())
    alone = LinearSVC(C=1 / 0.05 / len(xt), intercept_scaling=10.0, max_iter=10**5, dual=False)
    assert (alone.fit(xt / unit, yt).predict(x / unit) == found.predict(x)).mean() > 0.9


def test_classes_that_are_alike_in_the_source_help_the_target(domains):
    xs, ys, xt, yt, x, y = domains
    right = [(hfa(xs, ys, xt, yt, 0.05, common).predict(x) == y).mean() for common in (1e3, 0.1)]
    assert right[1] > right[0]


def test_what_may_not_matter(domains):
    xs, ys, xt, yt, x, _ = domains
    found = hfa(xs, ys, xt, yt)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(7, 7)))[0]
    other = hfa(1e3 * xs @ rotation, ys, xt, yt)
    np.testing.assert_allclose(other.weights, found.weights, atol=1e-3 * abs(found.weights).max())
    scaled = hfa(xs, ys, 1e-3 * xt, yt)
    np.testing.assert_allclose(
        scaled.weights * 1e-3, found.weights, atol=1e-3 * abs(found.weights).max()
    )


@pytest.mark.parametrize(
    'change, said',
    [
        ({'ys': [0, 0, 0]}, 'the source has the classes [0]'),
        ({'yt': [0, 5]}, 'and the target [0, 5]'),
        ({'ys': [0]}, 'ys (1,) for the 3 rows of xs'),
        ({'xt': np.full((2, 2), np.nan)}, 'xt (2, 2): give rows of finite features'),
        ({'own': 0}, 'own=0: give a positive number'),
        ({'common': np.inf}, 'common=inf: give a positive number'),
    ],
    ids=['one-class', 'new-class', 'labels', 'values', 'own', 'common'],
)
def test_bad_rows_are_refused(change, said):
    good = dict(xs=np.eye(3), ys=[0, 1, 1], xt=np.eye(2), yt=[0, 1])
    with pytest.raises(UserError) as error:
        hfa(**{**good, **change})
    assert said in str(error.value)
