"""Multinomial logistic regression by compiled L-BFGS, the linear probe of `tljax.when.probes`."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning

from tljax.core import UserError

RANK = 64  # number of directions of the features that the optimiser rescales
ROUNDS = 2  # iterations that find them; with one, the optimiser needs five more steps
LARGEST = 1e15  # limit of a feature's magnitude: sums of larger squares would overflow float32


def linear_probe(
    x: ArrayLike,
    y: ArrayLike,
    penalty: float = 1.0,
    tolerance: float = 1e-6,
    steps: int = 1000,
    start: tuple[ArrayLike, ArrayLike] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Fits a linear probe: softmax regression with a penalty on the squared weights.

    It minimises the summed log loss of softmax(x weights + intercept) plus penalty / 2 times the
    sum of squared weights. The loss is a sum, not a mean, over examples, so that the minimum is
    that of scikit-learn's LogisticRegression(C=1 / penalty). For two classes scikit-learn has a
    single column, with the same minimum at C=2 / penalty. The intercept is not penalised. The
    penalty depends on the units of the features.

    The optimiser is L-BFGS (Liu and Nocedal 1989, https://doi.org/10.1007/BF01589116), compiled as
    one loop. It runs in coordinates in which the features' largest principal directions are as
    short as the others: P^(-1/2) of Frangella, Tropp and Udell, Randomized Nyström preconditioning,
    2023, section 1.2 (https://arxiv.org/abs/2110.02820). They change the number of steps, not the
    minimum.

    Args:
        x: features, (n, d).
        y: labels, (n,).
        penalty: weight of the penalty, above 0.
        tolerance: the optimiser stops if half the squared gradient is at most this share of the
            loss, or if rounding lets the loss fall no further. Half the squared gradient is the
            possible decrease of the loss where its curvature is 1. With 20,000 rows of 2,048
            columns and 100 classes, a tolerance of 1e-6 stopped 3e-7 to 2e-4 of the loss above the
            minimum.
        steps: largest number of steps; a warning is given if they do not suffice.
        start: (weights, intercept) to start from, such as those of another penalty; None for zeros.

    Returns:
        weights (d, c) and intercept (c,) in NumPy; columns are in the order of np.unique(y).

    Raises:
        UserError: as in `tljax.when.probes`; for a penalty or tolerance that is not positive, no
            steps, or a start of another shape.

    >>> x, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([3, 3, 8, 8])
    >>> weights, intercept = linear_probe(x, y)
    >>> weights.round(2).tolist()
    [[-0.68, 0.68]]
    >>> (-intercept / weights[0]).round(2).tolist()  # at x = 1.5 both classes are equally likely
    [1.5, 1.5]
    """
    x, y = _as_training_set(x, y)
    if not (0 < penalty < np.inf and 0 < tolerance < np.inf):
        raise UserError(f'penalty={penalty} and tolerance={tolerance}: give finite numbers above 0')
    if steps < 1:
        raise UserError(f'steps={steps}: give one or more')
    classes, label = np.unique(y, return_inverse=True)
    shapes = (x.shape[1], len(classes)), (len(classes),)
    if start is None:
        start = np.zeros(shapes[0]), np.zeros(shapes[1])
    weights, intercept = (np.asarray(values) for values in start)
    if (weights.shape, intercept.shape) != shapes:
        raise UserError(
            f'start has shapes {[weights.shape, intercept.shape]}: give weights {shapes[0]} and '
            f'intercept {shapes[1]}'
        )
    # the best weights are sums of rows, and a rotation does not change their length
    if x.shape[1] > len(x):
        span, rows = np.linalg.qr(x.T)
        weights, intercept = linear_probe(
            rows.T, y, penalty, tolerance, steps, (span.T @ weights, intercept)
        )
        return span @ weights, intercept
    with jax.enable_x64(x.dtype == np.float64):
        start = jnp.asarray(weights, x.dtype), jnp.asarray(intercept, x.dtype)
        fit = _minimise(jnp.asarray(x), jnp.asarray(label), start, penalty, tolerance, steps)
        weights, intercept, count = jax.tree.map(np.asarray, fit)
    if count == steps:
        warnings.warn(
            f'linear_probe stopped after {steps} steps: standardise the features, raise penalty, '
            'tolerance or steps',
            ConvergenceWarning,
            stacklevel=2,
        )
    return weights, intercept


@jax.jit
def _minimise(x, label, start, penalty, tolerance, steps):
    """Returns weights (d, c), intercept (c,) and the number of steps."""
    (n, _), c = x.shape, len(start[1])
    mean = x.mean(0)
    # the intercept absorbs the mean, which would otherwise be by far the longest direction
    x = x - mean
    variance, directions = _principal(x)
    curvature = (1 - 1 / c) / c  # of the log loss, where all classes are equally likely
    scale = (curvature * variance + penalty / n) ** -0.5

    # weights (c, d), which make the fastest products with x, and intercept (c,), both for centred
    # features; `update` is their difference from the start, in rescaled coordinates
    def model(update):
        weights, intercept = update
        correction = (weights @ directions * (scale - scale[0])) @ directions.T
        weights = start[0].T + scale[0] * weights + correction
        return weights, start[1] + mean @ start[0] + curvature**-0.5 * intercept

    def loss(update):
        weights, intercept = model(update)
        logits = jnp.matmul(x, weights.T, precision='highest') + intercept
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, label)
        return losses.mean() + penalty / (2 * n) * (weights**2).sum()

    tx, value_and_grad = optax.lbfgs(), optax.value_and_grad_from_state(loss)

    def step(loop):
        update, opt_state, _, count = loop
        value, grad = value_and_grad(update, state=opt_state)
        change, opt_state = tx.update(
            grad, opt_state, update, value=value, grad=grad, value_fn=loss
        )
        return optax.apply_updates(update, change), opt_state, value, count + 1

    def unfinished(loop):
        _, opt_state, previous_value, count = loop
        value, grad = optax.tree.get(opt_state, 'value'), optax.tree.get(opt_state, 'grad')
        steep = optax.tree.norm(grad, squared=True) / 2 > tolerance * value
        return (count == 0) | steep & (value < previous_value) & (count < steps)

    zeros = jnp.zeros_like(start[0].T), jnp.zeros_like(start[1])
    update, _, _, count = jax.lax.while_loop(
        unfinished, step, (zeros, tx.init(zeros), jnp.inf * mean[0], 0)
    )
    weights, intercept = model(update)
    return weights.T, intercept - weights @ mean, count


def _principal(x):
    """Approximates the largest principal directions of centred x (n, d), by subspace iteration.

    Returns variances (r,), ascending, and directions (d, r). Variances below rounding error are
    raised to it, because nothing is known about directions without variance.
    """
    basis = jax.random.normal(jax.random.key(0), (x.shape[1], min(RANK, *x.shape)), x.dtype)
    for _ in range(ROUNDS):
        basis = jnp.linalg.qr(x.T @ (x @ basis))[0]
    projected = x @ basis
    variance, rotation = jnp.linalg.eigh(projected.T @ projected / len(x))
    return jnp.maximum(variance, jnp.finfo(x.dtype).eps * variance[-1]), basis @ rotation


def _as_training_set(x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Returns labelled features of two classes or more, or refuses others."""
    x, y = _as_labelled_features(x, y, 'x', 'y')
    classes = np.unique(y)
    if len(classes) < 2:
        raise UserError(
            f'y holds the class {classes[0]} alone: give examples of two classes or more'
        )
    return x, y


def _as_labelled_features(
    x: ArrayLike, y: ArrayLike, name: str, label_name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Returns features and labels, or refuses those that do not pair or are not finite.

    Float64 features stay as they are, and others become float32.
    """
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim != 2 or not x.size or y.shape != x.shape[:1]:
        raise UserError(
            f'{name} has shape {x.shape} and {label_name} {y.shape}: give features (n, d) of one '
            'row or more, and n labels'
        )
    if y.dtype.kind not in 'biu':
        raise UserError(f'{label_name} is of type {y.dtype}: give integers')
    x = x if x.dtype == np.float64 else x.astype(np.float32)
    invalid = ~(np.abs(x) < LARGEST)  # NaN is invalid, too
    if invalid.any():
        raise UserError(
            f'{name} has {int(invalid.sum())} values that are not finite or beyond {LARGEST:.0e}: '
            'look for where they come from'
        )
    return x, y
