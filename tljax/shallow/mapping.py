"""Transfer by mapping: rows of both domains go where the domains agree, and a classifier of the
mapped source serves the target.

Every map takes xs (ns, d), xt (nt, d), where it uses labels ys (ns,) of integers from 0, and its
own settings, and returns the mapped rows (zs, zt). Target labels are never seen. `NAMES` are the
maps that experiments call by name; those of the transfer component analysis family are in
`tljax.shallow.components`. Memory is quadratic in rows for a Gaussian kernel and optimal transport
alone.

Standardise each domain's columns by themselves first, except for structural correspondence, whose
features are counts: the geodesic flow kernel and CORAL leave a difference of the domains' means
where it is.
"""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.feature_selection import mutual_info_classif

from tljax.core import UserError
from tljax.shallow.components import bda, check_dim, checked_samples, jda, semi_supervised_tca, tca

NAMES = {
    function.__name__: function.__name__ for function in (tca, semi_supervised_tca, jda, bda)
} | {
    name: name
    for name in (
        'subspace_alignment',
        'gfk',
        'coral',
        'structural_correspondence',
        'optimal_transport',
    )
}


def subspace_alignment(
    xs: ArrayLike, xt: ArrayLike, dim: int = 30
) -> tuple[np.ndarray, np.ndarray]:
    """Subspace alignment: the source's principal directions are turned onto the target's.

    Args:
        xs: source, (ns, d).
        xt: target, (nt, d).
        dim: how many principal directions of each.

    Returns:
        (zs, zt): (ns, dim), (nt, dim); each domain is centred by itself.

    Raises:
        UserError: for samples that do not fit each other, see `checked_samples`, or a dim that they
            do not have.

    Source: Fernando et al., Unsupervised visual domain adaptation using subspace alignment, 2013,
    equation 2 and algorithm 1 (https://doi.org/10.1109/ICCV.2013.368).

    >>> zs, zt = subspace_alignment(
    ...     np.array([[2.0, 0.0], [-2.0, 0.0]]), np.array([[3.0, 3.0], [-3.0, -3.0]]), dim=1
    ... )
    >>> abs(zs).round(3).tolist(), abs(zt).round(3).tolist()
    ([[1.414], [1.414]], [[4.243], [4.243]])
    """
    xs, xt, _ = checked_samples(xs, xt)
    source, target = _directions(xs, dim), _directions(xt, dim)
    return (xs - xs.mean(0)) @ source @ (source.T @ target), (xt - xt.mean(0)) @ target


def _directions(x, dim):
    """The leading principal directions of x (n, d) as columns (d, dim)."""
    check_dim(dim, min(len(x) - 1, x.shape[1]))
    return np.linalg.svd(x - x.mean(0), full_matrices=False)[2][:dim].T


def gfk(xs: ArrayLike, xt: ArrayLike, dim: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """The geodesic flow kernel as a map: inner products of mapped rows are x G y', with G from
    `geodesic_flow_kernel`.

    Args:
        xs: source, (ns, d).
        xt: target, (nt, d).
        dim: of the subspaces. The paper's rule chose 10 or 20 on Office-Caltech10 SURF.

    Returns:
        (zs, zt): (ns, 2 dim), (nt, 2 dim).

    Raises:
        UserError: as `subspace_alignment`.

    Source: Gong et al., Geodesic flow kernel for unsupervised domain adaptation, 2012, equations 5
    and 6 (https://doi.org/10.1109/CVPR.2012.6247911).

    >>> xs, xt = np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([[0.0, 1.0], [0.0, -1.0]])
    >>> zs, zt = gfk(xs, xt, dim=1)
    >>> np.allclose(zs @ zt.T, xs @ geodesic_flow_kernel(xs, xt, dim=1) @ xt.T)
    True
    """
    xs, xt, _ = checked_samples(xs, xt)
    root = _flow(_directions(xs, dim), _directions(xt, dim))
    return xs @ root, xt @ root


def geodesic_flow_kernel(xs: ArrayLike, xt: ArrayLike, dim: int = 20) -> np.ndarray:
    """The integral of Phi(t) Phi(t)' over t from 0 to 1, where Phi goes from the source's subspace
    to the target's the shortest way.

    Args:
        xs: as in `gfk`.
        xt: as in `gfk`.
        dim: as in `gfk`.

    Returns:
        G, (d, d), symmetric, of rank 2 dim at most.

    Raises:
        UserError: as `subspace_alignment`.

    Source: as `gfk`.

    >>> xs, xt = np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([[0.0, 1.0], [0.0, -1.0]])
    >>> abs(geodesic_flow_kernel(xs, xt, dim=1)).round(3).tolist()  # a quarter turn: 1/2 and 1/pi
    [[0.5, 0.318], [0.318, 0.5]]
    """
    xs, xt, _ = checked_samples(xs, xt)
    root = _flow(_directions(xs, dim), _directions(xt, dim))
    return root @ root.T


def _flow(source, target):
    """R (d, 2 dim) with G = R R', from orthonormal columns (d, dim) of each domain.

    Each pair of principal vectors a, b at angle v spans a plane of its own. Seen from its middle m
    = (a + b) / |a + b|, the flow is m cos(u) + s sin(u) with s = (b - a) / |b - a| and u uniform
    from -v/2 to v/2, so the mixed terms cancel: G = sum of mm' (1 + sin(v)/v) / 2 + ss' (1 -
    sin(v)/v) / 2. No basis of the complement is needed.
    """
    left, cosine, right = np.linalg.svd(source.T @ target)
    a, b = source @ left, target @ right.T
    angle = np.arccos(np.minimum(cosine, 1))
    ratio = np.sinc(angle / np.pi)
    middle = (a + b) / (2 * np.cos(angle / 2))
    # equal vectors have no across, and its weight is 0
    across = (b - a) / np.maximum(2 * np.sin(angle / 2), 1e-12)
    return np.concatenate(
        [middle * np.sqrt((1 + ratio) / 2), across * np.sqrt((1 - ratio) / 2)], axis=1
    )


def coral(xs: ArrayLike, xt: ArrayLike, penalty: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Correlation alignment: the source is whitened and takes on the target's covariance.

    Args:
        xs: source, (ns, d).
        xt: target, (nt, d).
        penalty: times the identity, added to both covariances (d, d).

    Returns:
        (zs, zt): xs Cs^(-1/2) Ct^(1/2), (ns, d), and xt itself.

    Raises:
        UserError: for samples that do not fit each other, see `checked_samples`, or a penalty that
            is not positive.

    Source: Sun et al., Return of frustratingly easy domain adaptation, 2016, algorithm 1
        (https://arxiv.org/abs/1511.05547).

    >>> zs, zt = coral(
    ...     np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]),
    ...     np.array([[3.0, 0.0], [-3.0, 0.0], [0.0, 3.0], [0.0, -3.0]]),
    ...     1e-6,
    ... )
    >>> zs.round(3).tolist()
    [[3.0, 0.0], [-3.0, 0.0], [0.0, 3.0], [0.0, -3.0]]
    """
    xs, xt, _ = checked_samples(xs, xt, penalty=penalty)

    def power(x, exponent):
        values, vectors = np.linalg.eigh(
            np.cov(x.T).reshape(x.shape[1], -1) + penalty * np.eye(x.shape[1])
        )
        return vectors * values**exponent @ vectors.T

    return xs @ power(xs, -0.5) @ power(xt, 0.5), xt


def structural_correspondence(
    xs: ArrayLike,
    xt: ArrayLike,
    ys: ArrayLike | None = None,
    pivots: int = 100,
    dim: int = 25,
    penalty: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Structural correspondence learning: features correspond where they predict the same pivots,
    features that occur in both domains.

    Ridge regressions from all other features tell whether a row has a pivot; theta holds the
    leading left singular vectors of their weights. (The paper fits a modified Huber loss; squared
    error needs one factorisation for all pivots together.)

    Args:
        xs: source, (ns, d), counts or frequencies, 0 where a feature is absent; their units are
            those of the penalty.
        xt: target, (nt, d), likewise.
        ys: (ns,), or None for no labels.
        pivots: how many features serve as pivots: those that the most rows of the domain that has
            them less often have, or with ys those of the largest mutual information with it that
            both domains have.
        dim: rows of theta.
        penalty: on the squared weights.

    Returns:
        (zs, zt): [x, x theta'], (ns, d + dim), (nt, d + dim).

    Raises:
        UserError: for samples or labels that do not fit, see `checked_samples`, negative features,
            too few features that both domains have for the pivots, or a dim beyond the predictors'
            rank.

    Source: Blitzer et al., Domain adaptation with structural correspondence learning, 2006, figure
        2
    (https://aclanthology.org/W06-1615); pivots by mutual information: Blitzer et al. 2007
    (https://aclanthology.org/P07-1056).

    >>> xs, xt = (
    ...     np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]),
    ...     np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]),
    ... )  # columns 1 and 2 go with column 0
    >>> zs, zt = structural_correspondence(xs, xt, pivots=1, dim=1)
    >>> np.allclose(zs[0, 3], zt[0, 3]), zs.shape
    (True, (2, 4))
    """
    xs, xt, ys = checked_samples(xs, xt, ys, penalty=penalty)
    x = np.concatenate([xs, xt])
    if x.min() < 0:
        raise UserError(
            f'a feature of {x.min()}: 0 means that a feature is absent, so give counts or '
            'frequencies'
        )
    common = np.minimum((xs > 0).mean(0), (xt > 0).mean(0))
    if not 1 <= pivots <= min((common > 0).sum(), x.shape[1] - 1):
        raise UserError(
            f'pivots={pivots} of the {(common > 0).sum()} features that both domains have, '
            f'{x.shape[1]} in all: give fewer'
        )
    check_dim(dim, min(pivots, x.shape[1] - pivots, len(x) - 1))
    score = common
    if ys is not None:
        told = mutual_info_classif(
            xs > 0,
            ys,
            discrete_features=True,  # pyright: ignore[reportArgumentType]
        )
        score = np.where(common > 0, told, -1)
    chosen = np.argsort(-score, kind='stable')[:pivots]
    others = np.setdiff1d(np.arange(x.shape[1]), chosen)
    theta = np.zeros((dim, x.shape[1]))
    theta[:, others] = _predictors(x[:, others], (x[:, chosen] > 0).astype(float), penalty)[
        :, :dim
    ].T
    return np.concatenate([xs, xs @ theta.T], axis=1), np.concatenate([xt, xt @ theta.T], axis=1)


def _predictors(x, has, penalty):
    """The left singular vectors, by falling value, of the weights (d, pivots) of the ridge
    regressions of `has` on x."""
    left, values, right = np.linalg.svd(x - x.mean(0), full_matrices=False)
    weights = right.T * (values / (values**2 + penalty)) @ (left.T @ (has - has.mean(0)))
    return np.linalg.svd(weights, full_matrices=False)[0]


def optimal_transport(
    xs: ArrayLike,
    xt: ArrayLike,
    ys: ArrayLike | None = None,
    penalty: float = 0.01,
    class_penalty: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Optimal transport: each source row goes to the mean of the target rows that it is transported
    to, weighted by their shares.

    Args:
        xs: source, (ns, d); memory for the squared distances, ns x nt.
        xt: target, (nt, d).
        ys: (ns,), which only a class_penalty uses.
        penalty: the plan's negative entropy, in units of the largest squared distance: where
            distances lie close together, as in many dimensions, 1 would send every row to nearly
            the same mean.
        class_penalty: above 0, source classes rather do not share a target row.

    Returns:
        (zs, zt): (ns, d), and xt itself.

    Raises:
        UserError: for samples or labels that do not fit, see `checked_samples`, a class_penalty
            below 0 or without ys, or where POT is missing.

    Source: Courty et al., Optimal transport for domain adaptation, 2017, equations 11, 13 and 14
    (https://arxiv.org/abs/1507.00504), as POT solves them (https://pythonot.github.io).

    >>> optimal_transport(np.array([[0.0], [1.0]]), np.array([[5.0], [8.0]]))[0].round(1).tolist()
    [[5.0], [8.0]]
    """
    xs, xt, ys = checked_samples(xs, xt, ys, penalty=penalty, class_penalty=class_penalty or None)
    if class_penalty and ys is None:
        raise UserError(
            f'class_penalty={class_penalty} without ys: give the labels of xs, or class_penalty=0'
        )
    try:
        import ot
    except ImportError:
        raise UserError(
            'optimal_transport needs POT, which is not installed: pip install POT'
        ) from None
    plan = ot.da.SinkhornTransport(penalty, norm='max')
    if class_penalty:
        plan = ot.da.SinkhornLpl1Transport(penalty, class_penalty, norm='max')
    return np.asarray(plan.fit(Xs=xs, ys=ys, Xt=xt).transform(Xs=xs)), xt
