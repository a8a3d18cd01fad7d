"""Transfer by components: directions of feature space along which the means of two domains agree
and the rows still vary.

TCA, JDA and BDA solve one eigenproblem. With K the kernel of all n rows, the components are the
leading unit vectors a of K H K a = value (K M K + penalty I) a, where H centres the rows and M
holds the differences of means that should vanish.

The papers leave some conventions open. The ones here reproduce the published accuracies on
Office-Caltech10 SURF (https://github.com/jindongwang/transferlearning, data/benchmark.md), all 12
cells of TCA and JDA: rows of unit length before and after the map, M of Frobenius norm 1, a of unit
length. Without unit rows after the map TCA's mean accuracy falls from 46.2 to 43.3. With the
paper's scale of a, Ka of unit variance, it falls to 42.8.
"""

import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from numpy.typing import ArrayLike
from scipy.sparse.csgraph import laplacian
from sklearn.neighbors import KNeighborsClassifier, kneighbors_graph

from tljax.core import UserError
from tljax.kernels import gaussian, in_float64, median_width, unit


def tca(
    xs: ArrayLike,
    xt: ArrayLike,
    dim: int = 30,
    penalty: float = 1.0,
    kernel: str = 'linear',
    width: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """TCA: directions of high variance along which the two domains' means agree.

    Args:
        xs: source, (ns, d).
        xt: target, (nt, d).
        dim: number of components.
        penalty: on the squared length of the components.
        kernel: 'linear', which needs memory for (ns + nt) x d numbers, or 'gaussian', which needs
            memory for (ns + nt)^2.
        width: of the Gaussian kernel; None for the median distance.

    Returns:
        (zs, zt): (ns, dim), (nt, dim), rows of unit length.

    Raises:
        UserError: for samples or settings that `checked_samples` refuses, and for an unknown
            kernel.

    Source: Pan et al., Domain adaptation via transfer component analysis, 2011, section III
        (https://doi.org/10.1109/TNN.2010.2091281).

    >>> xs, xt = np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([[1.0, 5.0], [-1.0, 5.0]])
    >>> zs, zt = tca(xs, xt, dim=1)  # drops column 2, in which the domains differ
    >>> abs(zs).tolist(), abs(zt).tolist()
    ([[1.0], [1.0]], [[1.0], [1.0]])
    """
    xs, xt, _ = checked_samples(xs, xt, penalty=penalty, width=width)
    phi = _features(np.concatenate([xs, xt]), kernel, width)
    return _split(
        _components(phi, phi - phi.mean(0), _gaps(len(xs), len(xt)), penalty, dim), len(xs)
    )


def semi_supervised_tca(
    xs: ArrayLike,
    xt: ArrayLike,
    ys: ArrayLike,
    dim: int = 30,
    penalty: float = 1.0,
    dependence: float = 0.5,
    neighbours: int = 10,
    locality: float = 1.0,
    kernel: str = 'linear',
    width: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Semi-supervised TCA: components that also depend on the source's labels and keep neighbouring
    rows together.

    Args:
        xs: as in `tca`.
        xt: as in `tca`.
        ys: classes of the source, (ns,) integers from 0.
        dim: as in `tca`.
        penalty: as in `tca`.
        dependence: the paper's gamma, from 0 (only variance counts) to 1 (only the labels count).
        neighbours: number of neighbours of each row in a graph of all rows. An edge has the weight
            exp(-|x - y|^2 / (2 s^2)), where s is the median length of all edges.
        locality: the paper's lambda, the weight of that graph.
        kernel: as in `tca`.
        width: as in `tca`.

    Returns:
        (zs, zt): (ns, dim), (nt, dim), rows of unit length.

    Raises:
        UserError: as `tca`, and for a dependence outside [0, 1], a locality below 0, or a number of
            neighbours that is not below the number of rows.

    Source: Pan et al. 2011, section IV, equations 9 to 13
        (https://doi.org/10.1109/TNN.2010.2091281).

    >>> xs, xt = np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([[1.0, 5.0], [-1.0, 5.0]])
    >>> zs, zt = semi_supervised_tca(xs, xt, np.array([0, 1]), dim=1, neighbours=1)
    >>> abs(zs).tolist(), abs(zt).tolist()
    ([[1.0], [1.0]], [[1.0], [1.0]])
    """
    xs, xt, _ = checked_samples(xs, xt, ys, penalty=penalty, width=width)
    ys = np.asarray(ys)
    x = np.concatenate([xs, xt])
    if not 0 <= dependence <= 1:
        raise UserError(f'dependence={dependence}: give a number from 0 to 1')
    if not locality >= 0:
        raise UserError(f'locality={locality}: give 0 or a positive number')
    if not 1 <= neighbours < len(x):
        raise UserError(
            f'neighbours={neighbours} of {len(x)} rows: give a number from 1 to {len(x) - 1}'
        )
    labels = ys[:, None] == np.unique(ys)
    check_dim(dim, labels.shape[1] if dependence == 1 else len(x))
    phi = _features(x, kernel, width)
    centred = phi - phi.mean(0)
    top = np.concatenate(
        [dependence**0.5 * labels.T @ centred[: len(xs)], (1 - dependence) ** 0.5 * centred]
    )
    graph = kneighbors_graph(in_float64(unit)(x), neighbours, mode='distance')
    graph.data = np.exp(-(graph.data**2) / (2 * max(np.median(graph.data), 1e-12) ** 2))
    roughness = locality / len(x) ** 2 * (phi.T @ (laplacian(graph.maximum(graph.T)) @ phi))
    return _split(_components(phi, top, _gaps(len(xs), len(xt)), penalty, dim, roughness), len(xs))


def jda(
    xs: ArrayLike,
    xt: ArrayLike,
    ys: ArrayLike,
    dim: int = 30,
    penalty: float = 1.0,
    rounds: int = 10,
    kernel: str = 'linear',
    width: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """JDA, joint distribution adaptation: TCA in which the means of each class agree, too.

    The classes of the target are predicted: a target row takes the label of the nearest mapped
    source row of the round before. The first round has no predictions and equals `tca`.

    Args:
        xs: as in `tca`.
        xt: as in `tca`.
        ys: classes of the source, (ns,) integers from 0.
        dim: as in `tca`.
        penalty: as in `tca`.
        rounds: number of maps, with predictions between them.
        kernel: as in `tca`.
        width: as in `tca`.

    Returns:
        (zs, zt): (ns, dim), (nt, dim), rows of unit length.

    Raises:
        UserError: as `tca`, and for ys of another length or other than integers from 0.

    Source: Long et al., Transfer feature learning with joint distribution adaptation, 2013,
    algorithm 1 (https://doi.org/10.1109/ICCV.2013.274).

    >>> xs, xt = np.array([[2.0, 0.0], [-2.0, 1.0]]), np.array([[2.0, 5.0], [-2.0, 6.0]])
    >>> zs, zt = jda(xs, xt, np.array([0, 1]), dim=1)
    >>> (np.sign(zs) == np.sign(zt)).tolist()  # rows of one class lie on one side
    [[True], [True]]
    """
    return bda(xs, xt, ys, dim, penalty, rounds, 0.5, kernel, width)


def bda(
    xs: ArrayLike,
    xt: ArrayLike,
    ys: ArrayLike,
    dim: int = 30,
    penalty: float = 1.0,
    rounds: int = 10,
    balance: float = 0.5,
    kernel: str = 'linear',
    width: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """BDA, balanced distribution adaptation: JDA with a weight between the means of the domains and
    the means of their classes.

    The term of the domains' means counts once per class, as in the authors' code: it then weighs as
    much as the terms of all classes together.

    Args:
        xs: as in `jda`.
        xt: as in `jda`.
        ys: as in `jda`.
        dim: as in `jda`.
        penalty: as in `jda`.
        rounds: as in `jda`.
        balance: the paper's mu. 0 gives `tca`, 0.5 gives `jda`, and with 1 only the means of the
            classes count.
        kernel: as in `jda`.
        width: as in `jda`.

    Returns:
        (zs, zt): (ns, dim), (nt, dim), rows of unit length.

    Raises:
        UserError: as `jda`, and for a balance outside [0, 1].

    Source: Wang et al., Balanced distribution adaptation for transfer learning, 2017, equation 8
        (https://arxiv.org/abs/1807.00516).

    >>> xs, xt = np.array([[2.0, 0.0], [-2.0, 1.0]]), np.array([[2.0, 5.0], [-2.0, 6.0]])
    >>> zs, zt = bda(xs, xt, np.array([0, 1]), dim=1, balance=0.0)
    >>> np.allclose(zs, tca(xs, xt, dim=1)[0])
    True
    """
    xs, xt, _ = checked_samples(xs, xt, ys, penalty=penalty, rounds=rounds, width=width)
    ys = np.asarray(ys)
    if not 0 <= balance <= 1:
        raise UserError(f'balance={balance}: give a number from 0 to 1')
    phi = _features(np.concatenate([xs, xt]), kernel, width)
    marginal = _gaps(len(xs), len(xt))
    weighted_marginal = ((1 - balance) * len(np.unique(ys))) ** 0.5 * marginal

    def map_samples(gaps):
        return _split(_components(phi, phi - phi.mean(0), gaps, penalty, dim), len(xs))

    zs, zt = map_samples(marginal)
    for _ in range(rounds - 1):
        predictions = KNeighborsClassifier(1).fit(zs, ys).predict(zt)
        class_gaps = balance**0.5 * _class_gaps(ys, predictions)
        zs, zt = map_samples(np.concatenate([weighted_marginal, class_gaps], axis=1))
    return zs, zt


def _gaps(ns, nt):
    """The column e (ns + nt, 1) for which x'e is the difference of the domains' means.

    The papers' M is ee'.
    """
    return np.concatenate([np.full((ns, 1), 1 / ns), np.full((nt, 1), -1 / nt)])


def _class_gaps(ys, yt):
    """Columns like `_gaps` for the means of each class in both domains: (ns + nt, classes)."""
    shared = np.intersect1d(ys, yt)
    source, target = ys[:, None] == shared, yt[:, None] == shared
    return np.concatenate([source / source.sum(0), -(target / target.sum(0))])


def _features(x, kernel, width):
    """Features phi (n, r) that replace the kernel K (n, n) of unit rows: every Ka is a phi w with
    |w| = |a|."""
    if kernel not in ('linear', 'gaussian'):
        raise UserError(f"kernel={kernel!r} is unknown: give 'linear' or 'gaussian'")
    return _linear_features(x) if kernel == 'linear' else _gaussian_features(x, width)


@in_float64
def _linear_features(x):
    """U S^2 (n, r) of the decomposition x = U S V'.

    The kernel is K = U S^2 U'. With a = U w, Ka = U S^2 w and |a| = |w|, so that K (n, n) is never
    computed.
    """
    vectors, values, _ = jnp.linalg.svd(unit(x), full_matrices=False)
    return vectors * values**2


@in_float64
def _gaussian_features(x, width):
    x = unit(x)
    return gaussian(x, x, median_width(x) if width is None else width)


def _components(phi, top, gaps, penalty, dim, roughness=0.0):
    """Unit rows (n, dim) of phi w, where w are the `dim` leading columns of `_eigenvectors`."""
    check_dim(dim, min(len(phi) - 1, phi.shape[1]))
    return in_float64(unit)(phi @ _eigenvectors(phi, top, gaps, penalty, roughness)[:, :dim])


@in_float64
def _eigenvectors(phi, top, gaps, penalty, roughness):
    """Unit columns w (r, r) of T'T w = value (phi' M phi + roughness + penalty I) w, in falling
    order of their values, where T is `top` and M is gaps gaps'.

    The Cholesky factor of the right side makes the problem symmetric. `eig` would be slower and
    return complex vectors.
    """
    gap = phi.T @ gaps
    right = gap @ gap.T / jnp.linalg.norm(gaps.T @ gaps) + roughness + penalty * jnp.eye(len(gap))
    factor = jnp.linalg.cholesky(right)
    reduced = solve_triangular(factor, top.T, lower=True)
    w = solve_triangular(factor.T, jnp.linalg.eigh(reduced @ reduced.T)[1][:, ::-1])
    return w / jnp.linalg.norm(w, axis=0)


def _split(z: np.ndarray, ns: int) -> tuple[np.ndarray, np.ndarray]:
    return z[:ns], z[ns:]


def checked_samples(
    xs: ArrayLike, xt: ArrayLike, ys: ArrayLike | None = None, **positive: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Checks the arguments that all maps share, and converts the samples to float64.

    Args:
        xs: source, (ns, d).
        xt: target, (nt, d).
        ys: classes of the source, (ns,), or None.
        positive: settings by name, each a positive number or None.

    Returns:
        (xs, xt, ys).

    Raises:
        UserError: for fewer than two rows, different numbers of columns, values that are not
            finite, ys of another length than xs or not integers from 0, and a setting that is not
            positive.

    >>> checked_samples(np.ones((2, 3)), np.ones((2, 2)))
    Traceback (most recent call last):
    tljax.core.UserError: xs (2, 3) and xt (2, 2) differ in columns: give both the same features
    """
    xs, xt = np.asarray(xs, float), np.asarray(xt, float)
    for name, x in (('xs', xs), ('xt', xt)):
        if x.ndim != 2 or len(x) < 2 or not x.size:
            raise UserError(f'{name} {x.shape}: give two or more rows of features, (n, d)')
        if not np.isfinite(x).all():
            raise UserError(
                f'{name}: {int((~np.isfinite(x)).sum())} of {x.size} values are not finite: fill '
                'them or drop their rows'
            )
    if xs.shape[1] != xt.shape[1]:
        raise UserError(
            f'xs {xs.shape} and xt {xt.shape} differ in columns: give both the same features'
        )
    if ys is not None:
        ys = np.asarray(ys)
        if ys.shape != (len(xs),):
            raise UserError(f'ys {ys.shape} for the {len(xs)} rows of xs: give one label per row')
        if not np.issubdtype(ys.dtype, np.integer) or ys.min() < 0:
            raise UserError(f'ys of {ys.dtype} from {ys.min()}: give integers from 0')
    for name, value in positive.items():
        if value is not None and not 0 < value < np.inf:
            raise UserError(f'{name}={value}: give a positive number')
    return xs, xt, ys


def check_dim(dim: int, limit: int) -> None:
    """Raises an error for a number of directions that the samples do not have.

    Args:
        dim: number of directions that the user wants.
        limit: number of directions that the samples have.

    >>> check_dim(30, 20)
    Traceback (most recent call last):
    tljax.core.UserError: dim=30: these samples allow 1 to 20
    """
    if dim not in range(1, limit + 1):
        raise UserError(f'dim={dim}: these samples allow 1 to {limit}')
