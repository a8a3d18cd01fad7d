"""Clusters of unlabelled rows, such as features that a source taught a network, and how well
clusters agree with labels.

The algorithms are scikit-learn's. What is transferred lies in the rows that they are given, and in
`self_taught_clustering` and `transferred_discriminative_analysis`, which read a source themselves.
Labels score a clustering, and choose nothing.
"""

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix
from sklearn.mixture import GaussianMixture

from tljax.core import UserError


def kmeans(x: ArrayLike, clusters: int, seed: int = 0, starts: int = 10) -> np.ndarray:
    """K-means: the clusters with the smallest sum of squared distances to their means.

    Args:
        x: rows, (n, d).
        clusters: number of clusters.
        seed: of the first means.
        starts: number of first means that are tried.

    Returns:
        The cluster of each row, (n,) integers from 0.

    Raises:
        UserError: for rows or a number of clusters that `checked_rows` refuses.

    Source: Lloyd 1982; the first means: Arthur and Vassilvitskii 2007, k-means++.

    >>> label = kmeans([[0.0], [1.0], [9.0], [8.0]], clusters=2)
    >>> (label == label[0]).tolist()
    [True, True, False, False]
    """
    x = checked_rows(x, clusters)
    settings: dict[str, Any] = dict(n_init=starts, random_state=seed)
    return np.asarray(KMeans(clusters, **settings).fit(x).labels_)


def mixture(
    x: ArrayLike, clusters: int, seed: int = 0, covariance: str = 'full', floor: float = 1e-3
) -> np.ndarray:
    """A mixture of Gaussians, fitted by EM: each row goes to its most probable component.

    Args:
        x: rows, (n, d).
        clusters: number of components.
        seed: of the start, which is a run of k-means.
        covariance: 'full', 'tied' (one for all components), 'diag' or 'spherical'.
        floor: added to all variances, as a share of the mean variance of the columns.

    Returns:
        The component of each row, (n,) integers from 0.

    Raises:
        UserError: as `kmeans`, for another covariance, and for a floor that is not positive.

    Source: Dempster, Laird and Rubin 1977.

    >>> label = mixture([[0.0], [1.0], [9.0], [8.0]], clusters=2)
    >>> (label == label[0]).tolist()
    [True, True, False, False]
    """
    x = checked_rows(x, clusters)
    kinds = ('full', 'tied', 'diag', 'spherical')
    if covariance not in kinds:
        raise UserError(f'covariance={covariance!r} is not one of {", ".join(kinds)}')
    if not 0 < floor < np.inf:
        raise UserError(f'floor={floor}: give a positive number')
    spread = x.var(0).mean() or 1.0
    model = GaussianMixture(
        clusters, covariance_type=covariance, reg_covar=floor, random_state=seed
    )
    return model.fit_predict(x / spread**0.5)


def spectral(x: ArrayLike, clusters: int, seed: int = 0, neighbours: int = 10) -> np.ndarray:
    """Spectral clustering: k-means on the leading eigenvectors of a graph of nearest neighbours.

    Args:
        x: rows, (n, d).
        clusters: number of clusters.
        seed: of k-means and of the eigensolver.
        neighbours: number of neighbours of a row in the graph, the row itself among them.

    Returns:
        The cluster of each row, (n,) integers from 0.

    Raises:
        UserError: as `kmeans`, and for more neighbours than rows.

    Source: Ng, Jordan and Weiss 2001; von Luxburg 2007.

    >>> label = spectral([[0.0], [1.0], [9.0], [8.0]], clusters=2, neighbours=2)
    >>> (label == label[0]).tolist()
    [True, True, False, False]
    """
    x = checked_rows(x, clusters)
    if not 2 <= neighbours <= len(x):
        raise UserError(f'neighbours={neighbours}: give 2 to {len(x)}, the number of rows')
    model = SpectralClustering(
        clusters, affinity='nearest_neighbors', n_neighbors=neighbours, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', UserWarning)  # of a graph of several parts, which are found
        return np.asarray(model.fit(x).labels_)


def principal_components(x: ArrayLike, dim: int, of: ArrayLike | None = None) -> np.ndarray:
    """Scores of rows on the leading principal components: (n, dim).

    Args:
        x: rows, (n, d).
        dim: number of components.
        of: rows (m, d) whose components they are, such as those of a source; None for x itself.

    Raises:
        UserError: for rows that are not finite, and a number of components that they do not have.

    >>> abs(principal_components([[1.0, 1.0], [3.0, 3.0]], dim=1)).round(2).ravel().tolist()
    [1.41, 1.41]
    """
    x = checked_rows(x, 1)
    base = x if of is None else checked_rows(of, 1)
    if base.shape[1] != x.shape[1]:
        raise UserError(f'x has {x.shape[1]} columns and of has {base.shape[1]}: give the same')
    if not 1 <= dim <= min(base.shape):
        raise UserError(f'dim={dim}: rows of shape {base.shape} allow 1 to {min(base.shape)}')
    return PCA(dim, svd_solver='full').fit(base).transform(x)


def agreement(label: ArrayLike, cluster: ArrayLike) -> dict[str, float]:
    """How well clusters agree with labels, whatever the clusters are called.

    Args:
        label: class of each row, (n,).
        cluster: cluster of each row, (n,).

    Returns:
        {'nmi': mutual information over the mean of the two entropies, 0 to 1, 'ari': adjusted Rand
        index, 0 for clusters by chance and 1 for equal ones, 'matched': share of rows whose cluster
        is that of their class, under the best one-to-one assignment of clusters to classes}.

    Raises:
        UserError: the arrays have different lengths, or are empty.

    Sources: Strehl and Ghosh 2002, with the arithmetic mean; Hubert and Arabie 1985; Kuhn 1955.

    >>> agreement([0, 0, 1, 1], [5, 5, 3, 3])
    {'nmi': 1.0, 'ari': 1.0, 'matched': 1.0}
    >>> agreement([0, 0, 1, 1], [0, 0, 0, 0])
    {'nmi': 0.0, 'ari': 0.0, 'matched': 0.5}
    """
    label, cluster = np.asarray(label), np.asarray(cluster)
    if label.ndim != 1 or label.shape != cluster.shape or not len(label):
        raise UserError(
            f'label {label.shape} and cluster {cluster.shape}: give one of each for every row'
        )
    counts = contingency_matrix(label, cluster)
    matched = counts[linear_sum_assignment(counts, maximize=True)].sum() / len(label)
    return {
        'nmi': float(normalized_mutual_info_score(label, cluster)),
        'ari': float(adjusted_rand_score(label, cluster)),
        'matched': float(matched),
    }


def checked_rows(x: ArrayLike, clusters: int, name: str = 'x') -> np.ndarray:
    """Checks rows that are to be clustered, and converts them to float64.

    Args:
        x: rows, (n, d).
        clusters: number of clusters.
        name: of the rows, for errors.

    Raises:
        UserError: for other shapes, values that are not finite, and a number of clusters that is
            not from 1 to n.

    >>> checked_rows(np.ones((3, 2)), clusters=5)
    Traceback (most recent call last):
    tljax.core.UserError: clusters=5: give a whole number from 1 to 3, the number of rows of x
    """
    x = np.asarray(x, float)
    if x.ndim != 2 or not x.size:
        raise UserError(f'{name} has shape {x.shape}: give rows of features, (n, d)')
    if not np.isfinite(x).all():
        raise UserError(
            f'{name}: {int((~np.isfinite(x)).sum())} of {x.size} values are not finite: fill them '
            'or drop their rows'
        )
    if not isinstance(clusters, int | np.integer) or not 1 <= clusters <= len(x):
        raise UserError(
            f'clusters={clusters}: give a whole number from 1 to {len(x)}, the number of rows of '
            f'{name}'
        )
    return x
