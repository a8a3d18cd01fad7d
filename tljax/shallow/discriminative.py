"""Transferred discriminative analysis: labelled classes of a source show along which directions
classes of this kind differ, and these directions help to cluster a target with other classes: Wang,
Song and Zhang, Transferred dimensionality reduction, 2008
(https://doi.org/10.1007/978-3-540-87481-2_36).

Two steps alternate. K-means finds clusters of the target in the present subspace. Fisher's
discriminant analysis of the classes of the source and the clusters of the target together finds the
next subspace. Without a source this is the clustering of Ding and Li 2007, Adaptive dimension
reduction using discriminant analysis and k-means clustering.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg

from tljax.core import UserError
from tljax.shallow.clustering import checked_rows, kmeans, principal_components


class DiscriminativeClusters(NamedTuple):
    """Clusters, and the subspace in which they lie.

    Attributes:
        label: cluster of each row of the target, (n,).
        directions: columns that span the subspace, (d, dim).

    >>> DiscriminativeClusters(np.array([0, 1]), np.eye(3)[:, :1]).directions.shape
    (3, 1)
    """

    label: np.ndarray
    directions: np.ndarray


def transferred_discriminative_analysis(
    xt: ArrayLike,
    clusters: int,
    xs: ArrayLike | None = None,
    ys: ArrayLike | None = None,
    dim: int | None = None,
    penalty: float = 0.1,
    rounds: int = 20,
    starts: int = 10,
    seed: int = 0,
) -> DiscriminativeClusters:
    """Clusters a target in a subspace that a source's classes and its own clusters agree on.

    The subspace maximises tr((W'(S_w + penalty s I) W)^-1 W' S_b W), where S_b and S_w are the
    scatter between and within the classes of the source and the clusters of the target, and s is
    the mean diagonal entry of S_w. Both domains are centred first, so that their distance is no
    scatter between classes, and the rows of a domain weigh as much as those of the other.

    Args:
        xt: target, (n, d).
        clusters: number of clusters of the target.
        xs: source, (m, d), of the same features; None for no source.
        ys: classes of the source, (m,); they need not be those of the target.
        dim: of the subspace; None for `clusters` - 1.
        penalty: a positive number; the scatter of few rows in many columns has no inverse.
        rounds: largest number of subspaces; clusters that stay as they are end the alternation.
        starts: number of first means that k-means tries.
        seed: of these means.

    Returns:
        `DiscriminativeClusters`.

    Raises:
        UserError: for rows and a number of clusters that `checked_rows` refuses, a source without
            classes or with one alone, other columns in xs, and settings out of range.

    Source: Wang et al. 2008, with the scatter of both domains balanced, which is our choice.

    The source's classes differ in the first column. The target's rows vary more in the second:

    >>> xt = np.array([[0.0, 9.0], [0.0, -9.0], [3.0, 9.0], [3.0, -9.0]])
    >>> xs, ys = np.array([[0.0, 8.0], [0.0, -8.0], [4.0, 8.0], [4.0, -8.0]]), [0, 0, 1, 1]
    >>> for source in ((), (xs, ys)):
    ...     label = transferred_discriminative_analysis(xt, 2, *source).label
    ...     print((label == label[0]).tolist())
    [True, False, True, False]
    [True, True, False, False]
    """
    xt = checked_rows(xt, clusters, 'xt')
    dim = dim or max(clusters - 1, 1)
    if not 1 <= dim <= min(xt.shape):
        raise UserError(f'dim={dim}: xt of shape {xt.shape} allows 1 to {min(xt.shape)}')
    if not 0 < penalty < np.inf or rounds < 1:
        raise UserError(f'penalty={penalty}, rounds={rounds}: give positive numbers')
    source = None
    if xs is not None:
        source = _checked_source(xs, ys, xt.shape[1])
    xt = xt - xt.mean(0)

    def clustered(z):
        return kmeans(z, clusters, seed, starts)

    if source is None:
        label = clustered(principal_components(xt, dim))
    else:
        label = clustered(xt @ _directions([source], dim, penalty))
    for _ in range(rounds):
        domains = [(xt, label)] if source is None else [source, (xt, label)]
        directions = _directions(domains, dim, penalty)
        new_label = clustered(xt @ directions)
        is_same = (new_label == label).all()
        label = new_label
        if is_same:
            break
    return DiscriminativeClusters(label, directions)


def _directions(domains, dim, penalty):
    """Fisher's discriminant directions (d, dim) of the classes of all domains."""
    scatters = np.array([_scatter(*each) for each in domains])
    within, between = scatters.sum(0)
    d = len(within)
    right = within + penalty * np.trace(within) / d * np.eye(d)
    if not np.trace(within):
        right = np.eye(d)
    return linalg.eigh(between, right, subset_by_index=[d - dim, d - 1])[1][:, ::-1]


def _scatter(x, label):
    """Scatter within and between classes of centred rows, per row: (d, d) each."""
    _, classes = np.unique(label, return_inverse=True)
    counts = np.bincount(classes)
    means = (np.eye(len(counts))[classes].T @ x) / counts[:, None]
    rest = x - means[classes]
    return rest.T @ rest / len(x), (means.T * counts) @ means / len(x)


def _checked_source(xs, ys, d):
    """Centred rows and classes of a source."""
    xs = checked_rows(xs, 1, 'xs')
    if xs.shape[1] != d:
        raise UserError(f'xs has {xs.shape[1]} columns and xt has {d}: give the same features')
    ys = np.asarray(ys)
    if ys.shape != (len(xs),):
        raise UserError(
            f'ys has shape {ys.shape} for the {len(xs)} rows of xs: give one class each'
        )
    if len(np.unique(ys)) < 2:
        raise UserError('ys has a single class, from which nothing can be told apart: give two')
    return xs - xs.mean(0), ys
