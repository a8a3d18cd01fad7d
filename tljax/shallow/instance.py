"""Transfer by weighting: source examples count by how likely the target is where they lie, p_t(x) /
p_s(x).

Covariate shift: p(y | x) is common to both domains, p(x) is not, and the weighted source risk is
then the target risk (Shimodaira 2000, https://doi.org/10.1016/S0378-3758(00)00115-4). Every weight
function takes the source features xs (ns, d), the target features xt (nt, d) and its own settings,
and returns weights (ns,) that are at least 0 and average 1. Labels are never looked at. A sample of
fewer than two rows, samples of different columns, values that are not finite and settings that are
not positive are `UserError`.

A Gaussian kernel's width is in the units of the features: standardise them. Where it is None it
comes from the median distance among at most `MEDIAN_ROWS` seeded rows of each sample, since that
median takes memory quadratic in its rows.
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
# the widths that are compared, in median distances
WIDTHS = (
    0.1,
    0.2,
    0.3,
    0.5,
    0.7,
    1.0,
    1.5,
    2.0,
    3.0,
)
PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0)
FOLDS = 5
MEDIAN_ROWS = 1000
LARGEST_LOGIT = 50.0  # odds beyond exp(50) say no more than exp(50) does


def kmm(
    xs: ArrayLike,
    xt: ArrayLike,
    width: float | None = None,
    bound: float = 1000.0,
    slack: float | None = None,
) -> np.ndarray:
    """Kernel mean matching: the weights that bring the source's kernel mean nearest to the
    target's.

    The one function here that takes quadratic memory: kernels of ns x ns and ns x nt.

    Args:
        xs: source, (ns, d).
        xt: target, (nt, d).
        width: of the kernel, None for the median distance.
        bound: no weight exceeds it before all are scaled to average 1.
        slack: how far from 1 the weights' average may lie before that, None for the paper's
            (sqrt(ns) - 1) / sqrt(ns).

    Returns (ns,) weights, or raises `UserError` as the module says, and for a slack outside [0, 1)
    and a bound below 1 - slack.

    Source: Huang et al., Correcting sample selection bias by unlabeled data, 2006, equation 12
    (https://papers.nips.cc/paper/2006/hash/a2186aa7c086b46ad4e8bf81e2a3a19b-Abstract.html).

    >>> kmm(np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [2.0]]), width=0.5).round(2).tolist()
    [0.0, 1.5, 1.5]
    """
    xs, xt = _checked(xs, xt, width=width, bound=bound)
    slack = 1 - float(len(xs) ** -0.5) if slack is None else slack
    if not 0 <= slack < 1:
        raise UserError(f'slack={slack}: give a number from 0 to below 1')
    if bound < 1 - slack:
        raise UserError(
            f'bound={bound} is below 1 - slack = {1 - slack}, so no weights exist: raise bound or '
            'slack'
        )
    width = _median(xs, xt) if width is None else width
    return _scaled(_matched(xs, xt, width, bound, slack))


@in_float64
@jax.jit
def _matched(xs, xt, width, bound, slack):
    """The weights (ns,) with which the source's kernel mean is the nearest."""
    return least_discrepancy(gaussian(xs, xs, width), gaussian(xs, xt, width).mean(1), bound, slack)


def kliep(
    xs: ArrayLike, xt: ArrayLike, width: float | None = None, centres: int = 100, seed: int = 0
) -> np.ndarray:
    """The Kullback-Leibler importance estimation procedure: a mixture of kernels, as likely as
    possible on the target.

    Args:
        xs: source, (ns, d).
        xt: target, (nt, d).
        width: of the kernels, None for the one of `WIDTHS` with the largest likelihood by
            cross-validation over the target.
        centres: on how many target points kernels stand, at most.
        seed: draws the centres and the folds.

    Returns (ns,) weights, or raises `UserError` as the module says.

    Source: Sugiyama et al., Direct importance estimation for covariate shift adaptation, 2008,
    sections 2.2 and 2.3 (https://doi.org/10.1007/s10463-008-0197-x).

    >>> kliep(np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [2.0]]), width=0.5).round(
    ...     2
    ... ).tolist()
    [0.15, 1.32, 1.53]
    """
    xs, xt = _checked(xs, xt, width=width, centres=centres)
    xt = np.random.default_rng(seed).permutation(xt)
    middle = xt[:centres]
    if width is None:
        width = max(_widths(xs, xt), key=lambda each: _held_out_likelihood(xs, xt, middle, each))
    return _scaled(_most_likely(xs, xt, middle, width))


@in_float64
@jax.jit
def _most_likely(xs, xt, middle, width):
    """The mixture that is most likely on the target, at the source: (ns,)."""
    source, log_target = _components(xs, xt, middle, width)
    return source @ largest_likelihood(log_target, jnp.full(len(xt), 1 / len(xt)))


@in_float64
@jax.jit
def _held_out_likelihood(xs, xt, middle, width):
    """The mean log weight, a scalar, of each fold of the target by a fit to the others; middle: the
    first rows of xt."""
    _, log_target = _components(xs, xt, middle, width)

    def held_out(fold):
        held = jnp.arange(len(xt)) % min(FOLDS, len(xt)) == fold
        # no kernel may stand on a point that is held out
        others = jnp.where(held[: len(middle)], -jnp.inf, log_target)
        b = largest_likelihood(others, ~held / (~held).sum())
        return jnp.where(held, logsumexp(others, axis=1, b=b), 0).sum() / held.sum()

    return jax.lax.map(held_out, jnp.arange(min(FOLDS, len(xt)))).mean()


def _components(xs, xt, middle, width):
    """The mixture's kernels, scaled to average 1 over the source: their values there (ns, c), their
    logarithms at the target (nt, c).

    In logarithms, since a centre far from all of the source leaves it values too small for floating
    point.
    """
    log_source, log_target = (-squared_distances(x, middle) / (2 * width**2) for x in (xs, xt))
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
    """Unconstrained least-squares importance fitting: `rulsif` with alpha 0, whose arguments and
    refusals it shares.

    Args:
        xs: as in `rulsif`.
        xt: as in `rulsif`.
        width: as in `rulsif`.
        penalty: as in `rulsif`.
        centres: as in `rulsif`.
        seed: as in `rulsif`.

    Source: Kanamori, Hido and Sugiyama, A least-squares approach to direct importance estimation,
    2009, section 3 (https://jmlr.org/papers/v10/kanamori09a.html).

    >>> ulsif(
    ...     np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [2.0]]), width=0.5, penalty=0.1
    ... ).round(2).tolist()
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
    """Relative importance by least squares: p_t / (alpha p_t + (1 - alpha) p_s), which nowhere
    exceeds 1 / alpha.

    Args:
        xs: source, (ns, d).
        xt: target, (nt, d).
        alpha: the target's part of the denominator.
        width: of the kernels; None for that of `WIDTHS` with the least `leave_one_out` score.
        penalty: of the ridge; None for that of `PENALTIES` with the least `leave_one_out` score.
        centres: on how many target points kernels stand, at most.
        seed: draws the centres and who is left out with whom.

    Returns (ns,) weights, or raises `UserError` as the module says, and for an alpha outside [0,
    1).

    Source: Yamada et al., Relative density-ratio estimation for robust distribution comparison,
    2011, section 2.2 (https://arxiv.org/abs/1106.4729). The coefficients are cut at 0 as in uLSIF
    (Kanamori et al. 2009).

    >>> rulsif(
    ...     np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [2.0]]), width=0.5, penalty=0.1
    ... ).round(2).tolist()
    [0.17, 1.41, 1.42]
    """
    xs, xt = _checked(xs, xt, width=width, penalty=penalty, centres=centres)
    if not 0 <= alpha < 1:
        raise UserError(f'alpha={alpha}: give a number from 0 to below 1')
    rng = np.random.default_rng(seed)
    source, target = rng.permutation(xs), rng.permutation(xt)
    middle = target[:centres]
    if width is None or penalty is None:
        widths = _widths(xs, xt) if width is None else [width]
        pairs = itertools.product(widths, PENALTIES if penalty is None else [penalty])
        width, penalty = min(
            pairs, key=lambda pair: _left_out_score(source, target, middle, alpha, *pair)
        )
    return _scaled(_least_squares(xs, xt, middle, alpha, width, penalty))


@in_float64
@jax.jit
def _left_out_score(xs, xt, middle, alpha, width, penalty):
    """`leave_one_out` of the kernels at middle: a scalar."""
    return leave_one_out(gaussian(xs, middle, width), gaussian(xt, middle, width), alpha, penalty)


@in_float64
@jax.jit
def _least_squares(xs, xt, middle, alpha, width, penalty):
    """The relative importance of the source points: (ns,)."""
    source, target = gaussian(xs, middle, width), gaussian(xt, middle, width)
    system = alpha / len(xt) * target.T @ target + (1 - alpha) / len(xs) * source.T @ source
    return source @ jnp.maximum(
        jnp.linalg.solve(system + penalty * jnp.eye(len(middle)), target.mean(0)), 0
    )


def discriminator(xs: ArrayLike, xt: ArrayLike, penalty: float = 1.0) -> np.ndarray:
    """Odds p(t | x) / p(s | x) ns / nt by a logistic regression that tells the domains apart.

    Args:
        xs: source, (ns, d).
        xt: target, (nt, d).
        penalty: half of it times the squared coefficients is added to the summed log loss.

    Returns (ns,) weights, or raises `UserError` as the module says.

    Source: Bickel, Brückner and Scheffer, Discriminative learning for differing training and test
    distributions, 2007 (https://doi.org/10.1145/1273496.1273507).

    >>> discriminator(np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [2.0]])).round(2).tolist()
    [0.67, 0.96, 1.38]
    """
    logit = _logit(xs, xt, xs, penalty)
    return _scaled(np.exp(logit - logit.max()))  # without the largest none overflows


def density_ratio(xs: ArrayLike, xt: ArrayLike, x: ArrayLike, penalty: float = 1.0) -> np.ndarray:
    """p_t(x) / p_s(x) at other rows, unscaled, by the classifier of `discriminator`: what deep
    embedded validation weighs by.

    Args:
        xs: as `discriminator`.
        xt: as `discriminator`.
        x: (n, d), such as source examples that were not trained on.
        penalty: as `discriminator`.

    Returns (n,) ratios, or raises `UserError` as the module says.

    Source: as `discriminator`; You et al. 2019, section 3.3
        (https://proceedings.mlr.press/v97/you19a.html).

    >>> density_ratio(np.array([[0.0], [1.0]]), np.array([[0.0], [1.0]]), np.array([[7.0]])).round(
    ...     6
    ... ).tolist()
    [1.0]
    """
    xs, xt = np.asarray(xs), np.asarray(xt)
    return np.exp(np.minimum(_logit(xs, xt, x, penalty), LARGEST_LOGIT)) * len(xs) / len(xt)


def _logit(xs: ArrayLike, xt: ArrayLike, x: ArrayLike, penalty: float) -> np.ndarray:
    xs, xt = _checked(xs, xt, penalty=penalty)
    domain = np.repeat([0, 1], [len(xs), len(xt)])
    classifier = LogisticRegression(C=1 / penalty, max_iter=1000).fit(
        np.concatenate([xs, xt]), domain
    )
    return classifier.decision_function(np.asarray(x, float))


def nearest_neighbours(xs: ArrayLike, xt: ArrayLike) -> np.ndarray:
    """One more than how many target points have this source point as their nearest, scaled to
    average 1.

    Args:
        xs: source, (ns, d).
        xt: target, (nt, d).

    Returns (ns,) weights, or raises `UserError` as the module says.

    Source: Loog, Nearest neighbor-based importance weighting, 2012
        (https://arxiv.org/abs/2102.02291), whose 1 is Laplace's
    smoothing: no source example is lost.

    >>> nearest_neighbours(
    ...     np.array([[0.0], [1.0], [2.0]]), np.array([[0.9], [1.1], [3.0]])
    ... ).tolist()
    [0.5, 1.5, 1.0]
    """
    xs, xt = _checked(xs, xt)
    return _scaled(1.0 + np.bincount(pairwise_distances_argmin(xt, xs), minlength=len(xs)))


def _checked(
    xs: ArrayLike, xt: ArrayLike, centres: int = 2, **positive: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """xs and xt in float64, or a refusal of what no weights can be computed from."""
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
    """The median width of at most MEDIAN_ROWS rows of each sample, drawn with seed 0."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.permutation(x)[:MEDIAN_ROWS] for x in (xs, xt)])
    median = float(
        np.median(euclidean_distances(x, squared=True)[np.triu_indices(len(x), 1)]) ** 0.5
    )
    if not median:
        raise UserError('the median distance is 0, as most rows are equal: give width')
    return median


def _widths(xs: np.ndarray, xt: np.ndarray) -> list[float]:
    """The widths that are compared, as floats: what is compiled for them then also serves a width
    that the caller gives."""
    return (_median(xs, xt) * np.array(WIDTHS)).tolist()


def _scaled(weights: np.ndarray) -> np.ndarray:
    """Weights of average 1, as NumPy."""
    weights = np.asarray(weights)
    if not weights.sum() > 0:
        raise UserError(
            'all weights are 0, as no kernel reaches from the target to the source: give a larger '
            'width'
        )
    return weights / weights.mean()
