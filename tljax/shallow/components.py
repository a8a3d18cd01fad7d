"""Transfer by components: directions of feature space in which two domains' means agree and their
rows still differ.

TCA, JDA and BDA are one eigenproblem. With K the kernel of all n rows, the components are the
leading unit vectors a of K H K a = value (K M K + penalty I) a, where H centres and M holds the
means that should agree. Conventions that the papers leave open are those that reproduce the
published accuracies on Office-Caltech10 SURF (https://github.com/jindongwang/transferlearning,
data/benchmark.md), all 12 cells of TCA and JDA: rows of unit length before and after, M of
Frobenius norm 1, a of unit length. Without unit rows after, TCA's mean accuracy falls from 46.2 to
43.3; with the paper's scale of a, Ka of unit variance, to 42.8.
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
    """Transfer component analysis: the directions of much variance along which the two domains'
    means agree.

    Args:
        xs: source, (ns, d).
        xt: target, (nt, d).
        dim: number of components.
        penalty: on the squared length of the components.
        kernel: 'linear', whose memory is (ns + nt) x d, or 'gaussian', whose memory is (ns + nt)^2.
        width: of the Gaussian, None for the median distance.

    Returns:
        (zs, zt): (ns, dim), (nt, dim), rows of unit length.

    Raises:
        UserError: for samples that do not fit each other or the settings, see `checked_samples`,
            and for an unknown kernel.

    Source: Pan et al., Domain adaptation via transfer component analysis, 2011, section III
        (https://doi.org/10.1109/TNN.2010.2091281).

    >>> zs, zt = tca(
    ...     np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([[1.0, 5.0], [-1.0, 5.0]]), dim=1
    ... )  # the domains differ in column 2
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
    """Semi-supervised TCA: its components also depend on the source labels, and keep neighbours of
    either domain together.

    Args:
        xs: as in `tca`.
        xt: as in `tca`.
        ys: (ns,).
        dim: as in `tca`.
        penalty: as in `tca`.
        dependence: the paper's gamma, from 0 (variance alone) to 1 (the labels alone).
        neighbours: of each row in the graph, whose edges weigh exp(-|x - y|^2 / (2 s^2)), s the
            median of all edges' lengths.
        locality: the paper's lambda, the weight of that graph.
        kernel: as in `tca`.
        width: as in `tca`.

    Returns:
        (zs, zt): (ns, dim), (nt, dim), rows of unit length.

    Raises:
        UserError: as `tca`, for a dependence outside [0, 1], a locality below 0, or as many
            neighbours as rows.

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
    apart = locality / len(x) ** 2 * (phi.T @ (laplacian(graph.maximum(graph.T)) @ phi))
    return _split(_components(phi, top, _gaps(len(xs), len(xt)), penalty, dim, apart), len(xs))


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
    """Joint distribution adaptation: as `tca`, with the means of each class agreeing too, the
    target's classes being guessed.

    Each round's guess is the nearest mapped source row's label; the first round, which has none, is
    `tca`.

    Args:
        xs: as in `tca`.
        xt: as in `tca`.
        ys: (ns,).
        dim: as in `tca`.
        penalty: as in `tca`.
        rounds: how often to map and guess.
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
    >>> (np.sign(zs) == np.sign(zt)).all()
    np.True_
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
    """Balanced distribution adaptation: `jda` with a balance between the domains' means and those
    of their classes.

    Args:
        xs: as in `jda`.
        xt: as in `jda`.
        ys: as in `jda`.
        dim: as in `jda`.
        penalty: as in `jda`.
        rounds: as in `jda`.
        balance: the paper's mu; 0 is `tca`, .5 `jda`, 1 classes alone.
        kernel: as in `jda`.
        width: as in `jda`.

    Returns:
        (zs, zt): (ns, dim), (nt, dim), rows of unit length.

    Raises:
        UserError: as `jda`, and for a balance outside [0, 1].

    Source: Wang et al., Balanced distribution adaptation for transfer learning, 2017, equation 8
        (https://arxiv.org/abs/1807.00516).
    The marginal term counts once per class, as in the authors' code: the terms of all classes
    together then weigh as much.

    >>> xs, xt, ys = (
    ...     np.array([[2.0, 0.0], [-2.0, 1.0]]),
    ...     np.array([[2.0, 5.0], [-2.0, 6.0]]),
    ...     np.array([0, 1]),
    ... )
    >>> np.allclose(bda(xs, xt, ys, dim=1, balance=0.0)[0], tca(xs, xt, dim=1)[0])
    True
    """
    xs, xt, _ = checked_samples(xs, xt, ys, penalty=penalty, rounds=rounds, width=width)
    ys = np.asarray(ys)
    if not 0 <= balance <= 1:
        raise UserError(f'balance={balance}: give a number from 0 to 1')
    phi = _features(np.concatenate([xs, xt]), kernel, width)
    marginal, classes = _gaps(len(xs), len(xt)), len(np.unique(ys))

    def mapped(gaps):
        return _split(_components(phi, phi - phi.mean(0), gaps, penalty, dim), len(xs))

    zs, zt = mapped(marginal)
    for _ in range(rounds - 1):
        guess = KNeighborsClassifier(1).fit(zs, ys).predict(zt)
        zs, zt = mapped(
            np.concatenate(
                [
                    ((1 - balance) * classes) ** 0.5 * marginal,
                    balance**0.5 * _class_gaps(ys, guess),
                ],
                axis=1,
            )
        )
    return zs, zt


def _gaps(ns, nt):
    """The vector e (ns + nt, 1) for which x'e is the difference of the domains' means; the papers'
    M is gaps gaps'."""
    return np.concatenate([np.full((ns, 1), 1 / ns), np.full((nt, 1), -1 / nt)])


def _class_gaps(ys, yt):
    """As `_gaps`, of the means of each class that both have: (ns + nt, classes). A class that the
    target lacks has no mean to agree."""
    shared = np.intersect1d(ys, yt)
    source, target = ys[:, None] == shared, yt[:, None] == shared
    return np.concatenate([source / source.sum(0), -(target / target.sum(0))])


def _features(x, kernel, width):
    """(n, r) with the same combinations as the columns of the kernel K (n, n) of unit rows, by
    vectors of the same length."""
    if kernel not in ('linear', 'gaussian'):
        raise UserError(f"kernel={kernel!r} is unknown: give 'linear' or 'gaussian'")
    return _linear_features(x) if kernel == 'linear' else _gaussian_features(x, width)


@in_float64
def _linear_features(x):
    """U S^2 (n, r) of x = U S V', for K = U S^2 U': where a = U w, Ka = U S^2 w and |a| = |w|, so K
    (n, n) itself is not needed."""
    vectors, values, _ = jnp.linalg.svd(unit(x), full_matrices=False)
    return vectors * values**2


@in_float64
def _gaussian_features(x, width):
    x = unit(x)
    return gaussian(x, x, median_width(x) if width is None else width)


def _components(phi, top, gaps, penalty, dim, apart=0.0):
    """Unit rows (n, dim) of phi w, with w the leading ones of `_eigenvectors`; its other arguments
    go there."""
    check_dim(dim, min(len(phi) - 1, phi.shape[1]))
    return in_float64(unit)(phi @ _eigenvectors(phi, top, gaps, penalty, apart)[:, :dim])


@in_float64
def _eigenvectors(phi, top, gaps, penalty, apart):
    """Unit columns w (r, r), by falling value, of T'T w = value (phi' M phi + apart + penalty I) w,
    where T is `top`, M gaps gaps'.

    The Cholesky factor of the right side turns it into a symmetric problem; `eig` would be slower
    and return complex vectors.
    """
    gap = phi.T @ gaps
    below = gap @ gap.T / jnp.linalg.norm(gaps.T @ gaps) + apart + penalty * jnp.eye(len(gap))
    factor = jnp.linalg.cholesky(below)
    reduced = solve_triangular(factor, top.T, lower=True)
    w = solve_triangular(factor.T, jnp.linalg.eigh(reduced @ reduced.T)[1][:, ::-1])
    return w / jnp.linalg.norm(w, axis=0)


def _split(z: np.ndarray, ns: int) -> tuple[np.ndarray, np.ndarray]:
    return z[:ns], z[ns:]


def checked_samples(
    xs: ArrayLike, xt: ArrayLike, ys: ArrayLike | None = None, **positive: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Two samples in float64 and the labels, or one line about what is wrong with them. All maps
    share it.

    Args:
        xs: source, (ns, d).
        xt: target, (nt, d).
        ys: (ns,) or None.
        positive: settings that must be positive numbers, or None.

    Returns:
        (xs, xt, ys).

    Raises:
        UserError: for fewer than two rows, different columns, values that are not finite, ys of
            another length or not integers from 0, a setting that is not positive.

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


def check_dim(dim: int, most: int) -> None:
    """Refuses a number of directions that these samples do not have.

    Args:
        dim: how many directions are asked for.
        most: how many there are.

    >>> check_dim(30, 20)
    Traceback (most recent call last):
    tljax.core.UserError: dim=30: these samples allow 1 to 20
    """
    if dim not in range(1, most + 1):
        raise UserError(f'dim={dim}: these samples allow 1 to {most}')
