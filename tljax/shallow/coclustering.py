"""Self-taught clustering: unlabelled examples of a source help to cluster few examples of a target,
because both are described by the same features: Dai, Yang, Xue and Yu, Self-taught clustering, 2008
(https://doi.org/10.1145/1390156.1390182).

Let p(x, z) be the joint distribution of the target's examples and the features, and q(y, z) that of
the source's. Examples x and y and features z are each assigned to clusters. The clusters minimise
the mutual information that is lost,

    J = I(X; Z) - I(X'; Z') + strength (I(Y; Z) - I(Y'; Z')),          equation 5

where primes denote clusters. The clusters of the features are common to both sets, and through them
the source helps. Each step of algorithm 1 reassigns one of the three, and J never rises.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tljax.core import UserError
from tljax.shallow.clustering import checked_rows, kmeans

TINY = 1e-300  # in place of a probability of 0, whose logarithm is not finite


class Coclusters(NamedTuple):
    """Clusters of target examples, source examples and features.

    Attributes:
        label: cluster of each target example, (n,).
        source: cluster of each source example, (m,).
        feature: cluster of each feature, (d,).
        losses: J at the start and after each round, in nats.

    >>> Coclusters(np.array([0, 1]), np.zeros(0, int), np.array([1, 0]), (0.5, 0.2)).losses[-1]
    0.2
    """

    label: np.ndarray
    source: np.ndarray
    feature: np.ndarray
    losses: tuple[float, ...]


def self_taught_clustering(
    xt: ArrayLike,
    xs: ArrayLike,
    clusters: int,
    strength: float = 1.0,
    source_clusters: int | None = None,
    feature_clusters: int = 32,
    rounds: int = 20,
    starts: int = 5,
    seed: int = 0,
) -> Coclusters:
    """Clusters the examples of a target, with the help of a source's.

    Args:
        xt: target, (n, d), no number negative: how strongly each example has each feature, such as
            counts of words or grey levels.
        xs: source, (m, d), of the same features. It may have other classes than the target.
        clusters: number of clusters of the target.
        strength: the paper's lambda; 0 clusters the target alone.
        source_clusters: number of clusters of the source; None for as many as the target has.
        feature_clusters: number of clusters of the features, at most d.
        rounds: largest number of rounds; a round that reassigns nothing is the last one.
        starts: number of first assignments, of which the one with the smallest J at the end counts.
            They are k-means clusters of the conditional distributions.
        seed: of the starts.

    Returns:
        `Coclusters`.

    Raises:
        UserError: for rows and numbers of clusters that `checked_rows` refuses, negative numbers,
            rows without any feature, other columns in xs, and other settings out of range.

    Source: Dai et al. 2008, algorithm 1.

    >>> xt = np.array([[4, 1, 0, 0], [3, 1, 0, 0], [0, 0, 2, 1], [0, 0, 1, 4]])
    >>> xs = np.array([[2, 2, 0, 0], [0, 0, 5, 5]])
    >>> label = self_taught_clustering(xt, xs, clusters=2, feature_clusters=2).label
    >>> (label == label[0]).tolist()
    [True, True, False, False]
    """
    xt, xs = _checked(xt, clusters, 'xt'), _checked(xs, source_clusters or clusters, 'xs')
    if xs.shape[1] != xt.shape[1]:
        raise UserError(f'xt has {xt.shape[1]} columns and xs has {xs.shape[1]}: give the same')
    if not 1 <= feature_clusters <= xt.shape[1]:
        raise UserError(
            f'feature_clusters={feature_clusters}: give 1 to {xt.shape[1]}, the number of columns'
        )
    if not 0 <= strength < np.inf or rounds < 1 or starts < 1:
        raise UserError(
            f'strength={strength}, rounds={rounds}, starts={starts}: give 0 or more, and 1 or more '
            'for the others'
        )
    p, q = xt / xt.sum(), xs / xs.sum()
    counts = clusters, source_clusters or clusters, feature_clusters
    found = [_from_start(p, q, counts, strength, rounds, seed + 1000 * i) for i in range(starts)]
    return min(found, key=lambda each: each.losses[-1])


def _from_start(p, q, counts, strength, rounds, seed):
    """The clusters that alternating assignments find from one start."""
    kx, ky, kz = counts
    cx, cy = _first(_conditional(p), kx, seed), _first(_conditional(q), ky, seed)
    features = np.concatenate([p, strength * q]).T if strength else p.T
    cz = _first(_conditional(features), kz, seed)

    def loss():
        return _lost(p, cx, cz, kx, kz) + strength * _lost(q, cy, cz, ky, kz)

    losses = [loss()]
    for _ in range(rounds):
        before = cx, cy, cz
        cx = _divergences(p, cx, cz, kx, kz).argmin(1)
        if strength:
            cy = _divergences(q, cy, cz, ky, kz).argmin(1)
        # of equation 16: p(z) and q(z) weigh the divergences of the two sets
        cost = p.sum(0)[:, None] * _divergences(p.T, cz, cx, kz, kx)
        if strength:
            cost += strength * q.sum(0)[:, None] * _divergences(q.T, cz, cy, kz, ky)
        cz = cost.argmin(1)
        losses.append(loss())
        if all((old == new).all() for old, new in zip(before, (cx, cy, cz), strict=True)):
            break
    return Coclusters(cx, cy, cz, tuple(map(float, losses)))


def _first(x, clusters, seed):
    return kmeans(x, clusters, seed, starts=1)


def _divergences(p, rows, columns, row_clusters, column_clusters):
    """KL(p(Z | x) || p'(Z | x')) of each row x and each cluster x' of rows, but for a term that
    depends on x alone: (n, row_clusters).

    p'(z | x') is p(z' | x') p(z) / p(z'), where z' is the cluster of z.
    """
    joint = _joint(p, rows, columns, row_clusters, column_clusters)
    given = joint / np.maximum(joint.sum(1, keepdims=True), TINY)  # p(z' | x')
    by_cluster = _conditional(p) @ np.eye(column_clusters)[columns]  # p(z' | x)
    return -by_cluster @ np.log(np.maximum(given, TINY)).T


def _joint(p, rows, columns, row_clusters, column_clusters):
    """The joint distribution of the clusters of rows and of columns."""
    return np.eye(row_clusters)[rows].T @ p @ np.eye(column_clusters)[columns]


def _lost(p, rows, columns, row_clusters, column_clusters):
    """I(X; Z) - I(X'; Z') of a joint distribution and its clusters."""
    return _information(p) - _information(_joint(p, rows, columns, row_clusters, column_clusters))


def _information(p):
    """The mutual information of a joint distribution, in nats."""
    independent = p.sum(1, keepdims=True) * p.sum(0)
    return float((p * np.log(np.maximum(p, TINY) / np.maximum(independent, TINY))).sum())


def _conditional(p):
    """p(column | row); a row without mass is 0."""
    return p / np.maximum(p.sum(1, keepdims=True), TINY)


def _checked(x, clusters, name):
    """Rows that can be distributions over features."""
    x = checked_rows(x, clusters, name)
    if x.min() < 0:
        raise UserError(f'{name} has negative numbers: give counts or grey levels')
    if not x.any(1).all():
        empty = int((~x.any(1)).sum())
        raise UserError(f'{name}: {empty} rows have no feature at all: drop them')
    return x
