"""Transfer components against dense problems and loops."""

import numpy as np
import pytest
from domain_samples import equal_but_for_signs, nearest, samples, unit
from scipy import linalg
from sklearn.metrics import pairwise_distances

from tljax.shallow import mapping


def dense_kernel(x, kernel):
    x = unit(x)
    distances = pairwise_distances(x)
    width = np.median(distances[np.triu_indices(len(x), 1)])
    return x @ x.T if kernel == 'linear' else np.exp(-(distances**2) / (2 * width**2))


def dense_components(k, m, top, penalty, dim, apart=0.0):
    """The papers' problem as it is written, with n x n matrices: K top K a = value (K M K + K apart
    K + penalty I) a."""
    m = m / np.linalg.norm(m)
    a = linalg.eigh(k @ top @ k, k @ (m + apart) @ k + penalty * np.eye(len(k)))[1][:, ::-1][
        :, :dim
    ]
    return unit(k @ (a / np.linalg.norm(a, axis=0)))


def dense_gap(ns, nt):
    return np.block(
        [
            [np.full((ns, ns), 1 / ns**2), np.full((ns, nt), -1 / ns / nt)],
            [np.full((nt, ns), -1 / ns / nt), np.full((nt, nt), 1 / nt**2)],
        ]
    )


def centring(n):
    return np.eye(n) - 1 / n


@pytest.mark.parametrize('kernel', ['linear', 'gaussian'])
@pytest.mark.parametrize('d', [12, 100])
def test_tca_is_the_dense_problem(kernel, d):
    xs, xt, ys, _ = samples(d=d)
    zs, zt = mapping.tca(xs, xt, dim=4, penalty=0.3, kernel=kernel)
    z = dense_components(
        dense_kernel(np.concatenate([xs, xt]), kernel), dense_gap(40, 30), centring(70), 0.3, 4
    )
    equal_but_for_signs(np.concatenate([zs, zt]), z)
    assert (nearest(zs, ys, zt) == nearest(z[:40], ys, z[40:])).all()


def test_tca_by_hand():
    # Rows lie at (∓1, ∓1) and (-1, 5), (1, 7): the nearest source row of the first target row has
    # the wrong sign of column 1, since the
    # domains differ in column 2, which TCA drops.
    xs, xt, ys = (
        np.array([[-1.0, -1.0], [1.0, 1.0]]),
        np.array([[-1.0, 5.0], [1.0, 7.0]]),
        np.array([0, 1]),
    )
    assert nearest(xs, ys, xt).tolist() == [1, 1]
    zs, zt = mapping.tca(xs, xt, dim=1, penalty=1e-3)
    assert nearest(zs, ys, zt).tolist() == [0, 1]
    assert abs(zs).round(9).tolist() == abs(zt).round(9).tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize('balance', [0.2, 0.5, 1.0])
def test_bda_is_a_loop_over_dense_problems(balance):
    xs, xt, ys, yt = samples(seed=1)
    k, ns, n, guess = dense_kernel(np.concatenate([xs, xt]), 'linear'), 40, 70, None
    for _ in range(3):
        m = dense_gap(40, 30)
        if guess is not None:
            m = (1 - balance) * 3 * m
            for c in range(3):
                sign = np.concatenate(
                    [(ys == c) / (ys == c).sum(), -1.0 * (guess == c) / (guess == c).sum()]
                )
                m += balance * np.array([[sign[i] * sign[j] for j in range(n)] for i in range(n)])
        z = dense_components(k, m, centring(n), 1.0, 4)
        guess = nearest(z[:ns], ys, z[ns:])
    equal_but_for_signs(
        np.concatenate(mapping.bda(xs, xt, ys, dim=4, rounds=3, balance=balance)), z
    )
    if balance == 0.5:
        equal_but_for_signs(np.concatenate(mapping.jda(xs, xt, ys, dim=4, rounds=3)), z)


def test_jda_brings_the_classes_together_where_tca_cannot():
    # The domains' means agree already; within classes they differ, by opposite shifts along column
    # 2.
    rng = np.random.default_rng(0)
    ys = np.arange(35) % 2
    xs, xt = np.zeros((2, 35, 12))
    xs[:, :5], xt[:, :5] = rng.normal(0, 0.1, (2, 35, 5))
    xs[:, 0] += 2 * ys - 1
    xt[:, 0] += 2 * ys - 1
    xs[:, 1] += 0.8 * (2 * ys - 1)
    xt[:, 1] -= 0.8 * (2 * ys - 1)

    def class_gap(zs, zt):
        return sum(((zs[ys == c].mean(0) - zt[ys == c].mean(0)) ** 2).sum() for c in range(2))

    tca, jda = mapping.tca(xs, xt, dim=2, penalty=0.1), mapping.jda(xs, xt, ys, dim=2, penalty=0.1)
    assert class_gap(*tca) > 1 and class_gap(*jda) < 0.01
    np.testing.assert_array_equal(mapping.jda(xs, xt, ys, dim=2, penalty=0.1, rounds=1)[0], tca[0])
    np.testing.assert_allclose(mapping.bda(xs, xt, ys, dim=2, penalty=0.1, balance=0.0)[0], tca[0])


def test_a_class_that_no_target_row_resembles_has_no_gap():
    xs, xt, ys, yt = samples(classes=4, seed=2)
    xt = xs[ys < 2][np.arange(30) % 15]
    zs, zt = mapping.jda(xs, xt, ys, dim=4)
    assert np.isfinite(zs).all() and set(nearest(zs, ys, zt)) == {0, 1}


@pytest.mark.parametrize('kernel', ['linear', 'gaussian'])
def test_semi_supervised_tca_is_the_dense_problem(kernel):
    xs, xt, ys, _ = samples()
    x, n, dependence, locality, neighbours = np.concatenate([xs, xt]), 70, 0.7, 5.0, 4
    distances = pairwise_distances(unit(x))
    near = [(i, j) for i in range(n) for j in np.argsort(distances[i])[1 : neighbours + 1]]
    width, edges = np.median([distances[pair] for pair in near]), np.zeros((n, n))
    for i, j in near:
        edges[i, j] = edges[j, i] = np.exp(-(distances[i, j] ** 2) / (2 * width**2))
    same = np.zeros((n, n))
    same[:40, :40] = ys[:, None] == ys
    top = centring(n) @ (dependence * same + (1 - dependence) * np.eye(n)) @ centring(n)
    graph = locality / n**2 * (np.diag(edges.sum(0)) - edges)
    z = dense_components(dense_kernel(x, kernel), dense_gap(40, 30), top, 1.0, 4, graph)
    settings = dict(dim=4, kernel=kernel)
    mapped = mapping.semi_supervised_tca(
        xs, xt, ys, dependence=dependence, locality=locality, neighbours=neighbours, **settings
    )
    equal_but_for_signs(np.concatenate(mapped), z)
    plain = mapping.semi_supervised_tca(xs, xt, ys, dependence=0, locality=0, **settings)
    equal_but_for_signs(plain[0], mapping.tca(xs, xt, **settings)[0])


XS, XT, YS, _ = samples()
