"""Transfer by mapping: both domains are mapped to a space where they agree, and a classifier of the
mapped source predicts the target.

Every map takes xs (ns, d), xt (nt, d) and settings, and some maps take labels ys of the source,
(ns,) integers from 0. It returns the mapped rows (zs, zt), and uses no labels of the target.
`NAMES` lists the maps that experiments call by name. `tljax.shallow.components` holds those of the
transfer component analysis family. Only a Gaussian kernel and optimal transport need memory
quadratic in the rows.

Standardise the columns of each domain separately first: the geodesic flow kernel and CORAL do not
remove a difference of the domains' means. Structural correspondence is the exception, since its
features are counts.
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
    """Subspace alignment: rotates the source's principal directions onto the target's.

    Args:
        xs: source, (ns, d).
        xt: target, (nt, d).
        dim: number of principal directions of each domain.

    Returns:
        (zs, zt): (ns, dim), (nt, dim). Each domain is centred separately.

    Raises:
        UserError: for samples that `checked_samples` refuses, or for more directions than they
            have.

    Source: Fernando et al., Unsupervised visual domain adaptation using subspace alignment, 2013,
    equation 2 and algorithm 1 (https://doi.org/10.1109/ICCV.2013.368).

    >>> xs, xt = np.array([[2.0, 0.0], [-2.0, 0.0]]), np.array([[3.0, 3.0], [-3.0, -3.0]])
    >>> zs, zt = subspace_alignment(xs, xt, dim=1)  # 2 cos(45 degrees), and the length of (3, 3)
    >>> abs(zs).round(3).tolist(), abs(zt).round(3).tolist()
    ([[1.414], [1.414]], [[4.243], [4.243]])
    """
    xs, xt, _ = checked_samples(xs, xt)
    source, target = _directions(xs, dim), _directions(xt, dim)
    return (xs - xs.mean(0)) @ source @ (source.T @ target), (xt - xt.mean(0)) @ target


def _directions(x, dim):
    """Returns the leading principal directions of x (n, d) as columns (d, dim)."""
    check_dim(dim, min(len(x) - 1, x.shape[1]))
    return np.linalg.svd(x - x.mean(0), full_matrices=False)[2][:dim].T


def gfk(xs: ArrayLike, xt: ArrayLike, dim: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """GFK: the geodesic flow kernel as a map.

    The inner products of mapped rows x and y are x G y', with G from `geodesic_flow_kernel`.

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
    """Geodesic flow kernel: the integral of Phi(t) Phi(t)' over t from 0 to 1.

    Phi(t) is a basis of the subspace at t on the shortest path from the source's principal subspace
    (t = 0) to the target's (t = 1).

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
    """Returns R (d, 2 dim) with G = R R', from orthonormal columns (d, dim) of each domain.

    Each pair of principal vectors a, b at an angle v spans a plane. Let m = (a + b) / |a + b| be
    its middle direction and s = (b - a) / |b - a|. The flow in this plane is m cos(u) + s sin(u)
    with u uniform from -v/2 to v/2, so the mixed terms cancel: G = sum of mm' (1 + sin(v)/v) / 2 +
    ss' (1 - sin(v)/v) / 2. This form needs no basis of the orthogonal complement.
    """
    left, cosine, right = np.linalg.svd(source.T @ target)
    a, b = source @ left, target @ right.T
    angle = np.arccos(np.minimum(cosine, 1))
    ratio = np.sinc(angle / np.pi)
    middle = (a + b) / (2 * np.cos(angle / 2))
    # if a equals b, the side direction is 0 and so is its weight
    side = (b - a) / np.maximum(2 * np.sin(angle / 2), 1e-12)
    return np.concatenate(
        [middle * np.sqrt((1 + ratio) / 2), side * np.sqrt((1 - ratio) / 2)], axis=1
    )


def coral(xs: ArrayLike, xt: ArrayLike, penalty: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """CORAL, correlation alignment: whitens the source, then gives it the target's covariance.

    Args:
        xs: source, (ns, d).
        xt: target, (nt, d).
        penalty: penalty * identity is added to both covariances (d, d).

    Returns:
        (zs, zt): xs Cs^(-1/2) Ct^(1/2), (ns, d), and xt unchanged.

    Raises:
        UserError: for samples or a penalty that `checked_samples` refuses.

    Source: Sun et al., Return of frustratingly easy domain adaptation, 2016, algorithm 1
        (https://arxiv.org/abs/1511.05547).

    >>> xs = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> zs, zt = coral(xs, 3 * xs, penalty=1e-6)
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
    """Structural correspondence learning: adds features that predict pivots in both domains.

    Pivots are features that occur in both domains. Features of different domains correspond if they
    predict the same pivots. Ridge regressions predict from all other features whether a row has a
    pivot, and theta holds the leading left singular vectors of their weights. The paper fits a
    modified Huber loss; squared error needs one factorisation for all pivots.

    Args:
        xs: source, (ns, d): counts or frequencies, where 0 means that a feature is absent. The
            penalty depends on their units.
        xt: target, (nt, d), in the same units.
        ys: classes of the source, (ns,) integers from 0, or None.
        pivots: number of pivots. Without ys they are the features with the largest share of rows
            that have them, in the domain where that share is smaller. With ys they are the features
            of both domains with the largest mutual information with ys.
        dim: number of rows of theta.
        penalty: on the squared weights.

    Returns:
        (zs, zt): [x, x theta'], (ns, d + dim), (nt, d + dim).

    Raises:
        UserError: for samples or labels that `checked_samples` refuses, negative features, more
            pivots than features of both domains, or a dim beyond the rank of the regressions.

    Source: Blitzer et al., Domain adaptation with structural correspondence learning, 2006,
        figure 2 (https://aclanthology.org/W06-1615); pivots by mutual information: Blitzer et al.
        2007 (https://aclanthology.org/P07-1056).

    >>> xs = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])  # columns 1 and 2 each occur in one
    >>> xt = np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])  # domain, together with column 0
    >>> zs, zt = structural_correspondence(xs, xt, pivots=1, dim=1)
    >>> np.allclose(zs[0, 3], zt[0, 3])  # theta gives them one common feature
    True
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
        information = mutual_info_classif(
            xs > 0,
            ys,
            discrete_features=True,  # pyright: ignore[reportArgumentType]
        )
        score = np.where(common > 0, information, -1)
    pivot_columns = np.argsort(-score, kind='stable')[:pivots]
    columns = np.setdiff1d(np.arange(x.shape[1]), pivot_columns)
    occurs = (x[:, pivot_columns] > 0).astype(float)
    theta = np.zeros((dim, x.shape[1]))
    theta[:, columns] = _predictors(x[:, columns], occurs, penalty)[:, :dim].T
    return np.concatenate([xs, xs @ theta.T], axis=1), np.concatenate([xt, xt @ theta.T], axis=1)


def _predictors(x, occurs, penalty):
    """Returns the left singular vectors, by falling value, of ridge regression weights (d, pivots).

    The regressions predict from x (n, d) whether a pivot occurs, `occurs` (n, pivots).
    """
    left, values, right = np.linalg.svd(x - x.mean(0), full_matrices=False)
    weights = right.T * (values / (values**2 + penalty)) @ (left.T @ (occurs - occurs.mean(0)))
    return np.linalg.svd(weights, full_matrices=False)[0]


def optimal_transport(
    xs: ArrayLike,
    xt: ArrayLike,
    ys: ArrayLike | None = None,
    penalty: float = 0.01,
    class_penalty: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Optimal transport: maps each source row to a weighted mean of target rows.

    The weights are the shares of the row that the transport plan moves to each target row.

    Args:
        xs: source, (ns, d). The squared distances need memory for ns x nt numbers.
        xt: target, (nt, d).
        ys: classes of the source, (ns,) integers from 0; used only with a class_penalty.
        penalty: on the plan's negative entropy, in units of the largest squared distance. In many
            dimensions distances lie close together, and a penalty of 1 would map all rows to nearly
            the same mean.
        class_penalty: on plans that move rows of different classes to one target row; 0 for none.

    Returns:
        (zs, zt): (ns, d), and xt unchanged.

    Raises:
        UserError: for samples or labels that `checked_samples` refuses, a class_penalty below 0 or
            without ys, or if POT is not installed.

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
