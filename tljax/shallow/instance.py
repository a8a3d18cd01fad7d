"""Transfer by weighting: a source example x counts by the density ratio p_t(x) / p_s(x).

The assumption is covariate shift: the domains share p(y | x) and differ in p(x). The weighted risk
on the source is then the risk on the target (Shimodaira 2000,
https://doi.org/10.1016/S0378-3758(00)00115-4).

Every weight function takes the source's features xs (ns, d), the target's features xt (nt, d) and
settings. It returns weights (ns,) that are at least 0 and average 1, and uses no labels. It raises
`UserError` for a sample of fewer than two rows, samples of different numbers of columns, values
that are not finite, and settings that are not positive.

The width of a Gaussian kernel is in the units of the features, so standardise the features. The
default width, None, is based on the median distance of the rows. That needs memory quadratic in the
rows, so at most `MEDIAN_ROWS` random rows of each sample are used, drawn with a fixed seed.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from numpy.typing import ArrayLike
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import euclidean_distances, pairwise_distances_argmin

from tljax.core import UserError
from tljax.kernels import gaussian, in_float64, squared_distances
from tljax.shallow.solvers import largest_likelihood, least_discrepancy, leave_one_out

NAMES = {
    name: name
    for name in ('kmm', 'kliep', 'ulsif', 'rulsif', 'discriminator', 'nearest_neighbours')
}
WIDTHS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)  # candidates, in median distances
PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0)
FOLDS = 5
MEDIAN_ROWS = 1000
LARGEST_LOGIT = 50.0  # keeps odds finite; larger ones carry no more information


def kmm(
    xs: ArrayLike,
    xt: ArrayLike,
    width: float | None = None,
    bound: float = 1000.0,
    slack: float | None = None,
) -> np.ndarray:
    """Kernel mean matching: weights that bring the source's kernel mean closest to the target's.

    It needs memory for kernels of ns x ns and ns x nt. The other functions need no quadratic
    memory.

    Args:
        xs: source, (ns, d).
        xt: target, (nt, d).
        width: of the kernel; None for the median distance.
        bound: largest weight, before the weights are scaled to average 1.
        slack: largest distance of the weights' average from 1, before they are scaled; None for the
            paper's (sqrt(ns) - 1) / sqrt(ns).

    Returns:
        The weights, (ns,).

    Raises:
        UserError: as the module says, and for a slack outside [0, 1) or a bound below 1 - slack.

    Source: Huang et al., Correcting sample selection bias by unlabeled data, 2006, equation 12
    (https://papers.nips.cc/paper/2006/hash/a2186aa7c086b46ad4e8bf81e2a3a19b-Abstract.html).

    >>> kmm(np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [2.0]]), width=0.5).round(2).tolist()
    [0.0, 1.5, 1.5]
    """
    xs, xt = _check(xs, xt, width=width, bound=bound)
    slack = 1 - float(len(xs) ** -0.5) if slack is None else slack
    if not 0 <= slack < 1:
        raise UserError(f'slack={slack}: give a number from 0 to below 1')
    if bound < 1 - slack:
        raise UserError(
            f'bound={bound} is below 1 - slack = {1 - slack}, so no weights exist: raise bound or '
            'slack'
        )
    width = _median(xs, xt) if width is None else width
    return _scale(_match_means(xs, xt, width, bound, slack))


@in_float64
@jax.jit
def _match_means(xs, xt, width, bound, slack):
    """Weights (ns,) that bring the source's kernel mean closest to the target's."""
    return least_discrepancy(gaussian(xs, xs, width), gaussian(xs, xt, width).mean(1), bound, slack)


def kliep(
    xs: ArrayLike, xt: ArrayLike, width: float | None = None, centres: int = 100, seed: int = 0
) -> np.ndarray:
    """KLIEP: fits the density ratio by a mixture of kernels with maximum likelihood on the target.

    The name means Kullback-Leibler importance estimation procedure.

    Args:
        xs: source, (ns, d).
        xt: target, (nt, d).
        width: of the kernels; None for the one of `WIDTHS` with the largest likelihood in
            cross-validation over the target.
        centres: largest number of kernels, which are centred on target points.
        seed: of the draw of the centres and the folds.

    Returns:
        The weights, (ns,).

    Source: Sugiyama et al., Direct importance estimation for covariate shift adaptation, 2008,
    sections 2.2 and 2.3 (https://doi.org/10.1007/s10463-008-0197-x).

    >>> xs, xt = np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [2.0]])
    >>> kliep(xs, xt, width=0.5).round(2).tolist()
    [0.15, 1.32, 1.53]
    """
    xs, xt = _check(xs, xt, width=width, centres=centres)
    xt = np.random.default_rng(seed).permutation(xt)
    points = xt[:centres]
    if width is None:
        width = max(
            _widths(xs, xt), key=lambda width: _validation_likelihood(xs, xt, points, width)
        )
    return _scale(_fit_mixture(xs, xt, points, width))


@in_float64
@jax.jit
def _fit_mixture(xs, xt, points, width):
    """Values (ns,) at the source of the mixture that is most likely on the target."""
    source, log_target = _mixture_kernels(xs, xt, points, width)
    return source @ largest_likelihood(log_target, jnp.full(len(xt), 1 / len(xt)))


@in_float64
@jax.jit
def _validation_likelihood(xs, xt, points, width):
    """Mean log weight of the target in cross-validation, a scalar.

    The kernels' centres, `points`, are the first rows of xt.
    """
    _, log_target = _mixture_kernels(xs, xt, points, width)

    def likelihood(fold):
        validation = jnp.arange(len(xt)) % min(FOLDS, len(xt)) == fold
        # no kernel may be centred on a validation point
        log_kernels = jnp.where(validation[: len(points)], -jnp.inf, log_target)
        b = largest_likelihood(log_kernels, ~validation / (~validation).sum())
        log_weights = logsumexp(log_kernels, axis=1, b=b)
        return jnp.where(validation, log_weights, 0).sum() / validation.sum()

    return jax.lax.map(likelihood, jnp.arange(min(FOLDS, len(xt)))).mean()


def _mixture_kernels(xs, xt, points, width):
    """Kernels of average 1 over the source: values at the source (ns, c), logarithms at the target
    (nt, c).

    They are computed in logarithms. If a centre lies far from the whole source, its values there
    are too small for floating point.
    """
    log_source, log_target = (-squared_distances(x, points) / (2 * width**2) for x in (xs, xt))
    log_mean = logsumexp(log_source, axis=0) - jnp.log(len(xs))
    return jnp.exp(log_source - log_mean), log_target - log_mean


def ulsif(
    xs: ArrayLike,
    xt: ArrayLike,
    width: float | None = None,
    penalty: float | None = None,
    centres: int = 100,
    seed: int = 0,
) -> np.ndarray:
    """uLSIF, unconstrained least-squares importance fitting: RuLSIF with alpha 0.

    Args:
        xs: as in `rulsif`.
        xt: as in `rulsif`.
        width: as in `rulsif`.
        penalty: as in `rulsif`.
        centres: as in `rulsif`.
        seed: as in `rulsif`.

    Returns:
        The weights, (ns,).

    Source: Kanamori, Hido and Sugiyama, A least-squares approach to direct importance estimation,
    2009, section 3 (https://jmlr.org/papers/v10/kanamori09a.html).

    >>> xs, xt = np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [2.0]])
    >>> ulsif(xs, xt, width=0.5, penalty=0.1).round(2).tolist()
    [0.17, 1.41, 1.43]
    """
    return rulsif(xs, xt, 0.0, width, penalty, centres, seed)


def rulsif(
    xs: ArrayLike,
    xt: ArrayLike,
    alpha: float = 0.1,
    width: float | None = None,
    penalty: float | None = None,
    centres: int = 100,
    seed: int = 0,
) -> np.ndarray:
    """RuLSIF: fits the relative density ratio by regularised least squares.

    The relative ratio p_t / (alpha p_t + (1 - alpha) p_s) never exceeds 1 / alpha. Negative
    coefficients are set to 0 as in uLSIF (Kanamori et al. 2009).

    Args:
        xs: source, (ns, d).
        xt: target, (nt, d).
        alpha: weight of the target in the denominator.
        width: of the kernels; None for the one of `WIDTHS` with the smallest `leave_one_out` score.
        penalty: on the squared coefficients; None for the one of `PENALTIES` with the smallest
            `leave_one_out` score.
        centres: largest number of kernels, which are centred on target points.
        seed: of the draw of the centres, and of the pairs that are left out together.

    Returns:
        The weights, (ns,).

    Raises:
        UserError: as the module says, and for an alpha outside [0, 1).

    Source: Yamada et al., Relative density-ratio estimation for robust distribution comparison,
    2011, section 2.2 (https://arxiv.org/abs/1106.4729).

    >>> xs, xt = np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [2.0]])
    >>> rulsif(xs, xt, width=0.5, penalty=0.1).round(2).tolist()
    [0.17, 1.41, 1.42]
    """
    xs, xt = _check(xs, xt, width=width, penalty=penalty, centres=centres)
    if not 0 <= alpha < 1:
        raise UserError(f'alpha={alpha}: give a number from 0 to below 1')
    rng = np.random.default_rng(seed)
    source, target = rng.permutation(xs), rng.permutation(xt)
    points = target[:centres]
    if width is None or penalty is None:
        widths = _widths(xs, xt) if width is None else [width]
        penalties = PENALTIES if penalty is None else [penalty]
        width, penalty = min(
            itertools.product(widths, penalties),
            key=lambda pair: _leave_one_out_score(source, target, points, alpha, *pair),
        )
    return _scale(_least_squares(xs, xt, points, alpha, width, penalty))


@in_float64
@jax.jit
def _leave_one_out_score(xs, xt, points, alpha, width, penalty):
    """`leave_one_out` of kernels that are centred on points: a scalar."""
    return leave_one_out(gaussian(xs, points, width), gaussian(xt, points, width), alpha, penalty)


@in_float64
@jax.jit
def _least_squares(xs, xt, points, alpha, width, penalty):
    """The relative importance of the source points: (ns,)."""
    source, target = gaussian(xs, points, width), gaussian(xt, points, width)
    system = alpha / len(xt) * target.T @ target + (1 - alpha) / len(xs) * source.T @ source
    coefficients = jnp.linalg.solve(system + penalty * jnp.eye(len(points)), target.mean(0))
    return source @ jnp.maximum(coefficients, 0)


def discriminator(xs: ArrayLike, xt: ArrayLike, penalty: float = 1.0) -> np.ndarray:
    """Weights by a classifier of domains: the odds p(t | x) / p(s | x) times ns / nt.

    The classifier is a logistic regression.

    Args:
        xs: source, (ns, d).
        xt: target, (nt, d).
        penalty: penalty / 2 times the squared coefficients is added to the summed log loss.

    Returns:
        The weights, (ns,).

    Source: Bickel, Brückner and Scheffer, Discriminative learning for differing training and test
    distributions, 2007 (https://doi.org/10.1145/1273496.1273507).

    >>> discriminator(np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [2.0]])).round(2).tolist()
    [0.67, 0.96, 1.38]
    """
    logit = _logit(xs, xt, xs, penalty)
    return _scale(np.exp(logit - logit.max()))  # the subtraction prevents overflow


def density_ratio(xs: ArrayLike, xt: ArrayLike, x: ArrayLike, penalty: float = 1.0) -> np.ndarray:
    """Estimates p_t(x) / p_s(x) at the rows of x, by the classifier of `discriminator`.

    The ratios are not scaled. Deep embedded validation uses them as weights.

    Args:
        xs: source, (ns, d).
        xt: target, (nt, d).
        x: (n, d), such as source examples that were not trained on.
        penalty: as in `discriminator`.

    Returns:
        The ratios, (n,).

    Source: as `discriminator`; You et al. 2019, section 3.3
        (https://proceedings.mlr.press/v97/you19a.html).

    >>> xs, xt = np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [2.0]])
    >>> density_ratio(xs, xt, np.array([[0.0], [1.0], [2.0]])).round(2).tolist()
    [0.64, 0.92, 1.33]
    """
    xs, xt = np.asarray(xs), np.asarray(xt)
    return np.exp(np.minimum(_logit(xs, xt, x, penalty), LARGEST_LOGIT)) * len(xs) / len(xt)


def _logit(xs: ArrayLike, xt: ArrayLike, x: ArrayLike, penalty: float) -> np.ndarray:
    """Logits (n,) of the class 'target' at the rows x, by a logistic regression on xs and xt."""
    xs, xt = _check(xs, xt, penalty=penalty)
    domain = np.repeat([0, 1], [len(xs), len(xt)])
    classifier = LogisticRegression(C=1 / penalty, max_iter=1000).fit(
        np.concatenate([xs, xt]), domain
    )
    return classifier.decision_function(np.asarray(x, float))


def nearest_neighbours(xs: ArrayLike, xt: ArrayLike) -> np.ndarray:
    """Weights by nearest neighbours: 1 + the number of target points nearest to a source point.

    The weights are then scaled to average 1. The 1 is Laplace's smoothing: no source example is
    lost.

    Args:
        xs: source, (ns, d).
        xt: target, (nt, d).

    Returns:
        The weights, (ns,).

    Source: Loog, Nearest neighbor-based importance weighting, 2012
        (https://arxiv.org/abs/2102.02291).

    >>> xs, xt = np.array([[0.0], [1.0], [2.0]]), np.array([[0.9], [1.1], [3.0]])
    >>> nearest_neighbours(xs, xt).tolist()
    [0.5, 1.5, 1.0]
    """
    xs, xt = _check(xs, xt)
    return _scale(1.0 + np.bincount(pairwise_distances_argmin(xt, xs), minlength=len(xs)))


def _check(
    xs: ArrayLike, xt: ArrayLike, centres: int = 2, **positive: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns xs and xt in float64, or raises `UserError` as the module says."""
    xs, xt = np.asarray(xs, np.float64), np.asarray(xt, np.float64)
    for name, x in (('xs', xs), ('xt', xt)):
        if x.ndim != 2 or len(x) < 2 or not x.shape[1]:
            raise UserError(f'{name} has shape {x.shape}: give an array (n, d) of two or more rows')
        if not np.isfinite(x).all():
            raise UserError(
                f'{name} has {int((~np.isfinite(x)).sum())} values that are not finite: drop or '
                'impute their rows'
            )
    if xs.shape[1] != xt.shape[1]:
        raise UserError(
            f'xs has {xs.shape[1]} columns and xt {xt.shape[1]}: give both the same features'
        )
    if not isinstance(centres, (int, np.integer)) or centres < 2:
        raise UserError(f'centres={centres}: give a whole number of two or more')
    for name, value in positive.items():
        if value is not None and not 0 < value < np.inf:
            raise UserError(f'{name}={value}: give a finite number above 0')
    return xs, xt


def _median(xs: np.ndarray, xt: np.ndarray) -> float:
    """The median distance of at most MEDIAN_ROWS rows of each sample, drawn with seed 0."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.permutation(x)[:MEDIAN_ROWS] for x in (xs, xt)])
    median = float(
        np.median(euclidean_distances(x, squared=True)[np.triu_indices(len(x), 1)]) ** 0.5
    )
    if not median:
        raise UserError('the median distance is 0, as most rows are equal: give width')
    return median


def _widths(xs: np.ndarray, xt: np.ndarray) -> list[float]:
    """The candidate widths, as floats. A width from the caller is a float, too, and then needs no
    new compilation."""
    return (_median(xs, xt) * np.array(WIDTHS)).tolist()


def _scale(weights: np.ndarray) -> np.ndarray:
    """Scales weights to average 1."""
    weights = np.asarray(weights)
    if not weights.sum() > 0:
        raise UserError(
            'all weights are 0, as no kernel reaches from the target to the source: give a larger '
            'width'
        )
    return weights / weights.mean()
