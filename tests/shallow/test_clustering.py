"""Clusters against scikit-learn on the same rows, scores worked by hand, and two algorithms that
read a source against their equations."""

import itertools

import numpy as np
import pytest
from scipy import linalg
from sklearn import cluster, metrics, mixture

from tljax.core import UserError
from tljax.shallow import clustering
from tljax.shallow.coclustering import _divergences, self_taught_clustering
from tljax.shallow.discriminative import (
    _directions,
    transferred_discriminative_analysis,
)


@pytest.fixture(scope='module')
def blobs():
    rng = np.random.default_rng(0)
    label = np.repeat(np.arange(3), 20)
    return rng.normal(size=(60, 4)) + 3 * np.eye(3, 4)[label], label


def test_clusters_are_those_of_scikit_learn(blobs):
    x, _ = blobs
    for ours, theirs in (
        (clustering.kmeans(x, 3, seed=5), cluster.KMeans(3, n_init=10, random_state=5)),
        (
            clustering.mixture(x / x.var(0).mean() ** 0.5, 3, seed=5),
            mixture.GaussianMixture(3, reg_covar=1e-3, random_state=5),
        ),
        (
            clustering.spectral(x, 3, seed=5),
            cluster.SpectralClustering(3, affinity='nearest_neighbors', random_state=5),
        ),
    ):
        scaled = x / x.var(0).mean() ** 0.5 if 'Gaussian' in type(theirs).__name__ else x
        assert (ours == theirs.fit_predict(scaled)).all(), theirs


def test_scores_by_hand_and_by_scikit_learn(blobs):
    # 3 of class a in cluster 0; of class b one in cluster 0, two in cluster 1
    found = clustering.agreement(['a', 'a', 'a', 'b', 'b', 'b'], [0, 0, 0, 0, 1, 1])
    entropy_of_clusters = -(4 / 6 * np.log(4 / 6) + 2 / 6 * np.log(2 / 6))
    information = np.log(2) + entropy_of_clusters + 3 / 6 * np.log(3 / 6)
    information += 1 / 6 * np.log(1 / 6) + 2 / 6 * np.log(2 / 6)
    assert found['nmi'] == pytest.approx(2 * information / (np.log(2) + entropy_of_clusters))
    # pairs in one cluster and class: 3 + 1 of 15; in one cluster 7, in one class 6
    assert found['ari'] == pytest.approx((4 - 6 * 7 / 15) / ((6 + 7) / 2 - 6 * 7 / 15))
    assert found['matched'] == pytest.approx(5 / 6)
    label = blobs[1]
    guess = np.random.default_rng(1).integers(0, 3, len(label))
    found = clustering.agreement(label, guess)
    assert found['nmi'] == pytest.approx(metrics.normalized_mutual_info_score(label, guess))
    best = max(
        np.mean(np.array(order)[guess] == label) for order in itertools.permutations(range(3))
    )
    assert found['matched'] == pytest.approx(best)


def test_components_of_a_source(blobs):
    x, _ = blobs
    source = np.random.default_rng(2).normal(size=(30, 4)) * [5, 1, 1, 1]
    ours = clustering.principal_components(x, 2, of=source)
    vectors = np.linalg.svd(source - source.mean(0), full_matrices=False)[2][:2]
    np.testing.assert_allclose(abs(ours), abs((x - source.mean(0)) @ vectors.T), atol=1e-9)


def counts(seed, rows, d=8):
    rng = np.random.default_rng(seed)
    half = np.repeat([[8.0] * (d // 2) + [1.0] * (d // 2)], rows, 0)
    half[rows // 2 :] = half[rows // 2 :, ::-1]
    return rng.poisson(half) + 0.0


def test_divergences_are_those_of_the_paper():
    p = counts(0, 6) + 1
    p /= p.sum()
    cx, cz = np.array([0, 0, 1, 1, 1, 0]), np.array([0, 1, 1, 0, 1, 0, 1, 1])
    joint = np.array([[p[cx == a][:, cz == b].sum() for b in (0, 1)] for a in (0, 1)])
    expected = np.zeros((6, 2))
    for x, a in itertools.product(range(6), range(2)):
        given = p[x] / p[x].sum()
        # p'(z | x') = p(x', z') / p(x') p(z) / p(z')
        smooth = joint[a, cz] / joint[a].sum() * p.sum(0) / joint.sum(0)[cz]
        expected[x, a] = (given * np.log(given / smooth)).sum()
    ours = _divergences(p, cx, cz, 2, 2)
    np.testing.assert_allclose(ours - ours[:, :1], expected - expected[:, :1], atol=1e-12)


def test_the_loss_of_self_taught_clustering_never_rises_and_reads_the_source():
    xt, xs = counts(1, 8), counts(2, 40)
    found = self_taught_clustering(xt, xs, 2, feature_clusters=2, starts=2)
    assert (np.diff(found.losses) <= 1e-12).all() and found.losses[-1] >= -1e-12
    assert clustering.agreement([0] * 4 + [1] * 4, found.label)['matched'] == 1
    for strength, is_read in ((0.0, False), (5.0, True)):
        pair = [
            self_taught_clustering(xt[::2] % 4 + 1, source, 2, strength, feature_clusters=2).feature
            for source in (xs, xs[:, [0, 4, 1, 5, 2, 6, 3, 7]])
        ]
        assert (pair[0] != pair[1]).any() == is_read


def test_directions_are_fishers():
    rng = np.random.default_rng(0)
    x, label = rng.normal(size=(30, 5)), np.arange(30) % 3
    x = x - x.mean(0)
    within = sum(np.cov(x[label == c].T, bias=True) for c in range(3)) / 3
    between = np.cov(x.T, bias=True) - within
    expected = linalg.eig(between, within + 0.2 * np.trace(within) / 5 * np.eye(5))
    order = np.argsort(-expected[0].real)[:2]
    ours = _directions([(x, label)], 2, 0.2)
    for direction, theirs in zip(ours.T, expected[1].real[:, order].T, strict=True):
        cosine = direction @ theirs / np.linalg.norm(direction) / np.linalg.norm(theirs)
        assert abs(cosine) == pytest.approx(1)


def test_a_source_with_other_classes_shows_where_classes_differ():
    rng = np.random.default_rng(0)
    loud = np.array([1.0, 1.0, *[8.0] * 8])  # classes differ in the two quiet columns
    means = 5 * np.eye(3, 10)
    ys, label = np.arange(90) % 3, np.arange(40) % 2
    xs = rng.normal(size=(90, 10)) * loud + np.stack([means[0], means[1], -means[0]])[ys]
    xt = rng.normal(size=(40, 10)) * loud + np.stack([means[0] + means[1], -means[1]])[label]
    alone = transferred_discriminative_analysis(xt, 2)
    helped = transferred_discriminative_analysis(xt, 2, xs, ys, dim=2)
    scores = [clustering.agreement(label, found.label)['matched'] for found in (alone, helped)]
    assert scores[1] > 0.95 > scores[0]


@pytest.mark.parametrize(
    'call, said',
    [
        (lambda x: clustering.kmeans(x, 0), 'clusters=0: give a whole number from 1 to 3'),
        (lambda x: clustering.kmeans(x * np.nan, 2), 'x: 6 of 6 values are not finite'),
        (lambda x: clustering.kmeans(x[0], 2), 'x has shape (2,): give rows of features'),
        (lambda x: clustering.mixture(x, 2, covariance='one'), "covariance='one' is not one of"),
        (lambda x: clustering.spectral(x, 2, neighbours=9), 'neighbours=9: give 2 to 3'),
        (lambda x: clustering.principal_components(x, 3), 'dim=3: rows of shape (3, 2) allow 1'),
        (lambda x: clustering.agreement([0, 1], [0]), 'label (2,) and cluster (1,): give one'),
        (lambda x: self_taught_clustering(-x, x, 2), 'xt has negative numbers: give counts'),
        (lambda x: self_taught_clustering(0 * x, x, 2), 'xt: 3 rows have no feature at all'),
        (lambda x: self_taught_clustering(x, x[:, :1], 2), 'xt has 2 columns and xs has 1'),
        (lambda x: self_taught_clustering(x, x, 2), 'feature_clusters=32: give 1 to 2'),
        (
            lambda x: transferred_discriminative_analysis(x, 2, x, [0, 0, 0]),
            'ys has a single class',
        ),
        (lambda x: transferred_discriminative_analysis(x, 2, x, [0]), 'ys has shape (1,) for the'),
        (lambda x: transferred_discriminative_analysis(x, 2, dim=5), 'dim=5: xt of shape (3, 2)'),
    ],
)
def test_what_does_not_fit_is_one_clear_line(call, said):
    with pytest.raises(UserError) as refused:
        call(np.arange(6.0).reshape(3, 2) + 1)
    assert said in str(refused.value) and '\n' not in str(refused.value)
