"""How well features serve when nothing but a linear model or the nearest neighbours are fitted to them: accuracies, not estimates.

What scores of transferability estimate from features as they are, these measure. They say nothing of what fine-tuning would make of the
network. Features x are (n, d) of any real type, labels y (n,) integers whose values and order do not matter. Float64 features are
computed with in float64, all others in float32. `Refused` are: no rows, rows that do not pair, values that are not finite or so large that
their squares overflow, labels that are no integers, and a single class.

`probe_score` and `knn_score` take the arguments of `tljax.transferability`'s scores, (f, y), and can stand beside them.
"""
import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler, normalize

from tljax.core import Refused

PENALTIES = (1., 10., 100., 1e3, 1e4)
FOLDS = 5   # one of these is held out to choose a penalty
RANK = 64   # directions of the features that the optimiser rescales
ROUNDS = 2   # of finding them: one leaves it five more steps to go
LARGEST = 1e15   # a magnitude that features stay below, as sums of their squares would overflow float32
BLOCK = 1000   # rows whose distances to all others are in memory at once: 80 MB for 20,000 others


def linear_probe(x, y, penalty=1., tolerance=1e-6, steps=1000, start=None):
    """The least summed log loss of softmax(x weights + intercept) plus penalty / 2 times the sum of squared weights.

    The sum, not the mean, over examples: the minimum is that of scikit-learn's LogisticRegression(C=1 / penalty), which for two classes
    has a single column and is the same at C=2 / penalty. The intercept is not penalised. The penalty is in the units of the features.

    L-BFGS (Liu and Nocedal 1989, https://doi.org/10.1007/BF01589116), compiled as one loop, in coordinates where the features' largest
    principal directions are as short as the others: as P^(-1/2) of Frangella, Tropp and Udell, Randomized Nyström preconditioning, 2023,
    section 1.2 (https://arxiv.org/abs/2110.02820). That changes the way and not the minimum.

    Args:
        x: (n, d). y: (n,). penalty: above 0. tolerance: it stops where half the squared gradient, which is what the loss can still lose
            where its curvature is 1, is at most this part of the loss, or where rounding lets it fall no further. With 20,000 rows of
            2,048 columns and 100 classes 1e-6 left it 3e-7 to 2e-4 of itself to fall. steps: at most so many, with a warning where they
            do not suffice. start: (weights, intercept) to start from, such as those of another penalty; None for zeros.

    Returns:
        weights (d, c) and intercept (c,) in NumPy; columns in the order of np.unique(y).

    Raises:
        Refused: as in the module, and for a penalty or tolerance that is not positive, no steps, or a start of another shape.

    >>> weights, intercept = linear_probe(np.array([[0.], [1.], [2.], [3.]]), np.array([3, 3, 8, 8]))
    >>> weights.round(2).tolist(), (-intercept / weights[0]).round(2).tolist()   # the second: where either class is as likely
    ([[-0.68, 0.68]], [1.5, 1.5])
    """
    x, y = _checked(x, y)
    if not (0 < penalty < np.inf and 0 < tolerance < np.inf):
        raise Refused(f'penalty={penalty} and tolerance={tolerance}: give finite numbers above 0')
    if steps < 1:
        raise Refused(f'steps={steps}: give one or more')
    classes, label = np.unique(y, return_inverse=True)
    shapes = (x.shape[1], len(classes)), (len(classes),)
    start = [np.zeros(shape) for shape in shapes] if start is None else [np.asarray(each) for each in start]
    if tuple(each.shape for each in start) != shapes:
        raise Refused(f'start has shapes {[each.shape for each in start]}: give weights {shapes[0]} and intercept {shapes[1]}')
    if x.shape[1] > len(x):   # the best weights are sums of rows, and a rotation leaves their length as it is
        span, rows = np.linalg.qr(x.T)
        weights, intercept = linear_probe(rows.T, y, penalty, tolerance, steps, (span.T @ start[0], start[1]))
        return span @ weights, intercept
    with jax.enable_x64(x.dtype == np.float64):
        start = [jnp.asarray(each, x.dtype) for each in start]
        found = _minimise(jnp.asarray(x), jnp.asarray(label), start, penalty, tolerance, steps)
        weights, intercept, taken = jax.tree.map(np.asarray, found)
    if taken == steps:
        warnings.warn(f'linear_probe stopped after {steps} steps: standardise the features, raise penalty, tolerance or steps',
                      ConvergenceWarning, stacklevel=2)
    return weights, intercept


@jax.jit
def _minimise(x, label, start, penalty, tolerance, steps):
    """weights (d, c), intercept (c,) and the steps taken."""
    (n, _), c = x.shape, len(start[1])
    mean = x.mean(0)
    x = x - mean   # the intercept takes up the mean, which would otherwise be the features' longest direction by far
    variance, directions = _principal(x)
    curvature = (1 - 1 / c) / c   # of the log loss, where every class is as likely
    scale = (curvature * variance + penalty / n) ** -.5

    def model(move):   # weights (c, d), as products with x are fastest, and intercept (c,) of the centred features
        weights, intercept = move
        along = (weights @ directions * (scale - scale[0])) @ directions.T
        return start[0].T + scale[0] * weights + along, start[1] + mean @ start[0] + curvature ** -.5 * intercept

    def loss(move):
        weights, intercept = model(move)
        logits = jnp.matmul(x, weights.T, precision='highest') + intercept
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, label)
        return losses.mean() + penalty / (2 * n) * (weights ** 2).sum()

    tx, value_and_grad = optax.lbfgs(), optax.value_and_grad_from_state(loss)

    def step(state):
        move, memory, _, taken = state
        value, grad = value_and_grad(move, state=memory)
        update, memory = tx.update(grad, memory, move, value=value, grad=grad, value_fn=loss)
        return optax.apply_updates(move, update), memory, value, taken + 1

    def unfinished(state):
        _, memory, before, taken = state
        value, grad = optax.tree.get(memory, 'value'), optax.tree.get(memory, 'grad')
        steep = optax.tree.norm(grad, squared=True) / 2 > tolerance * value
        return (taken == 0) | steep & (value < before) & (taken < steps)

    zeros = jnp.zeros_like(start[0].T), jnp.zeros_like(start[1])
    move, memory, _, taken = jax.lax.while_loop(unfinished, step, (zeros, tx.init(zeros), jnp.inf * mean[0], 0))
    weights, intercept = model(move)
    return weights.T, intercept - weights @ mean, taken


def _principal(x):
    """Variances (r,), ascending, and directions (d, r), nearly the largest principal ones of centred x (n, d), by subspace iteration.

    Variances below rounding are raised to it: nothing is known of directions in which the features do not vary.
    """
    basis = jax.random.normal(jax.random.key(0), (x.shape[1], min(RANK, *x.shape)), x.dtype)
    for _ in range(ROUNDS):
        basis = jnp.linalg.qr(x.T @ (x @ basis))[0]
    projected = x @ basis
    variance, rotation = jnp.linalg.eigh(projected.T @ projected / len(x))
    return jnp.maximum(variance, jnp.finfo(x.dtype).eps * variance[-1]), basis @ rotation


def probe_accuracy(x, y, test_x, test_y, penalties=PENALTIES, seed=0):
    """The test accuracy of a linear probe of features that the training part standardises, with the penalty of `choose_penalty`.

    The test part chooses nothing. Its classes that training has not seen count as wrong.

    Args:
        x: (n, d), y: (n,), test_x: (m, d), test_y: (m,). penalties, seed: as in `choose_penalty`; one penalty needs no choice.

    Returns:
        A float from 0 to 1.

    Raises:
        Refused: as in the module and `choose_penalty`.

    >>> x, y = np.arange(20.)[:, None], np.arange(20) // 10
    >>> probe_accuracy(x, y, test_x=[[-3.], [4.], [30.], [31.]], test_y=[0, 0, 1, 7])
    0.75
    """
    x, y = _checked(x, y)
    test_x, test_y = _test_part(x, test_x, test_y)
    penalty = penalties[0] if len(penalties) == 1 else choose_penalty(x, y, penalties, seed)
    scaler = StandardScaler().fit(x)
    probe = linear_probe(scaler.transform(x), y, penalty)
    return float((_predicted(probe, scaler.transform(test_x), y) == test_y).mean())


def choose_penalty(x, y, penalties=PENALTIES, seed=0):
    """The penalty of the linear probe that is right most often on a held-out part: the largest of equals.

    One of `FOLDS` stratified folds is held out, of fewer where a class has fewer examples: half of two. The rest standardises the
    features. At either end of `penalties` the choice says only that the grid is too narrow, and with few examples it is a noisy one.

    Args:
        x: (n, d), y: (n,). penalties: some numbers above 0, in any order. seed: of the folds.

    Returns:
        One of `penalties`.

    Raises:
        Refused: as in the module, for no penalties, and for a class of a single example, which cannot be both fitted and held out.

    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(100, 80)), np.arange(100) % 2
    >>> x[:, 0] += 3 * y
    >>> choose_penalty(x, y)
    10.0
    """
    x, y = _checked(x, y)
    if not len(penalties):
        raise Refused('no penalties to choose from: give one or more')
    train, held = next(_folds(y, FOLDS, seed))
    x = StandardScaler().fit(x[train]).transform(x)
    probe, accuracy = None, {}
    for penalty in sorted(penalties, reverse=True):
        probe = linear_probe(x[train], y[train], penalty, start=probe)
        accuracy[penalty] = (_predicted(probe, x[held], y) == y[held]).mean()
    return max(accuracy, key=accuracy.get)


def probe_score(f, y, penalty=1., folds=5, seed=0):
    """The share of examples that linear probes fitted to the other folds get right.

    Each training part standardises its own features. The penalty is one for all features: good features may lose to bad ones that it
    suits better, and `choose_penalty` tells.

    Args:
        f: (n, d), y: (n,). penalty: as in `linear_probe`. folds: two or more, stratified; as many as the smallest class has examples
            where that is fewer, so that every fit knows all classes. seed: of the folds.

    Returns:
        A float from 0 to 1.

    Raises:
        Refused: as in the module, for fewer than two folds, and for a class of a single example.

    >>> probe_score(np.arange(20.)[:, None], np.arange(20) // 10)   # one next to the border is wrong
    0.95
    """
    f, y = _checked(f, y)
    right = np.zeros(len(y), bool)
    for train, held in _folds(y, folds, seed):
        scaler = StandardScaler().fit(f[train])
        probe = linear_probe(scaler.transform(f[train]), y[train], penalty)
        right[held] = _predicted(probe, scaler.transform(f[held]), y) == y[held]
    return float(right.mean())


def knn_accuracy(x, y, test_x, test_y, k=1, metric='cosine'):
    """The share of test rows whose k nearest training rows vote for their class; the smallest label wins a tied vote.

    By brute force, `BLOCK` test rows at a time. Of training rows equally far away, the first are the nearest. Classes that training has
    not seen count as wrong. Distances take all directions of the features for equally telling, which a linear probe does not.

    Args:
        x: (n, d), y: (n,), test_x: (m, d), test_y: (m,). k: from 1 to n. metric: 'cosine' or 'euclidean'.

    Returns:
        A float from 0 to 1.

    Raises:
        Refused: as in the module, for another metric, and for a k outside 1..n.

    >>> knn_accuracy([[1., 0.], [0., 1.], [0., 9.]], [4, 5, 4], test_x=[[3., 1.], [0., 2.]], test_y=[4, 4], metric='euclidean')
    0.5
    """
    x, y = _checked(x, y)
    test_x, test_y = _test_part(x, test_x, test_y)
    return float((_votes(x, y, test_x, np.full(len(test_x), len(x)), k, len(x), metric) == test_y).mean())


def knn_score(f, y, k=1, metric='cosine'):
    """The share of rows whose k nearest other rows vote for their class: leave-one-out accuracy, as `knn_accuracy`.

    Needs no training at all, and time of n^2. A class of a single example is always wrong.

    Args:
        f: (n, d), y: (n,). k: from 1 to n - 1. metric: 'cosine' or 'euclidean'.

    Returns:
        A float from 0 to 1.

    Raises:
        Refused: as in the module, for another metric, and for a k outside 1..n - 1.

    >>> knn_score([[0.], [1.], [5.], [6.], [9.]], [0, 0, 1, 1, 0], metric='euclidean')
    0.8
    """
    f, y = _checked(f, y)
    return float((_votes(f, y, f, np.arange(len(f)), k, len(f) - 1, metric) == y).mean())


def _votes(x, y, rows, own, k, most, metric):
    """The label (m,) that the k rows of x nearest to each of `rows` (m, d) vote for, x[own] left out; an own of n leaves out none."""
    if not isinstance(k, (int, np.integer)) or not 1 <= k <= most:
        raise Refused(f'k={k}: give a whole number from 1 to the {most} rows that can be neighbours')
    if metric not in ('cosine', 'euclidean'):
        raise Refused(f'metric={metric!r}: choose cosine or euclidean')
    if metric == 'cosine':
        x, rows = normalize(x), normalize(rows)
        half_square = np.zeros(len(x), x.dtype)
    else:
        mean = x.mean(0)   # without it, what products are compared by could lie below their rounding
        x, rows = x - mean, rows - mean
        half_square = (x ** 2).sum(1) / 2
    classes, label = np.unique(y, return_inverse=True)
    with jax.enable_x64(x.dtype == np.float64):
        return classes[np.asarray(_vote(x, half_square, label, rows, own, int(k), len(classes), BLOCK))]


@functools.partial(jax.jit, static_argnames=('k', 'c', 'block'))
def _vote(x, half_square, label, rows, own, k, c, block):
    """The class (m,) with most of the k largest x . row - half_square, which order rows of x as their distances from the row do."""
    def of_row(pair):
        row, left_out = pair
        nearness = jnp.matmul(x, row, precision='highest') - half_square
        nearest = jax.lax.top_k(nearness.at[left_out].set(-jnp.inf, mode='drop'), k)[1]
        return jnp.zeros(c, int).at[label[nearest]].add(1).argmax()
    return jax.lax.map(of_row, (rows, own), batch_size=block)


def _predicted(probe, x, y):
    """The classes (m,) that a probe fitted to labels y gives the rows of x (m, d)."""
    weights, intercept = probe
    return np.unique(y)[(x @ weights + intercept).argmax(1)]


def _folds(y, folds, seed):
    """Pairs of training and held-out rows in which every class is trained on."""
    if not isinstance(folds, (int, np.integer)) or folds < 2:
        raise Refused(f'folds={folds}: give a whole number of two or more')
    classes, counts = np.unique(y, return_counts=True)
    if counts.min() < 2:
        raise Refused(f'class {classes[counts.argmin()]} has a single example, which cannot be both fitted and held out: '
                      'give two or more of each class, or drop it')
    return StratifiedKFold(min(folds, counts.min()), shuffle=True, random_state=seed).split(y, y)


def _test_part(x, test_x, test_y):
    """The test part in the type of x, once it has the same columns."""
    test_x, test_y = _paired(test_x, test_y, 'test_x', 'test_y')
    if test_x.shape[1] != x.shape[1]:
        raise Refused(f'x has {x.shape[1]} columns and test_x {test_x.shape[1]}: give both the same features')
    return test_x.astype(x.dtype), test_y


def _checked(x, y):
    """Labelled features of two classes or more."""
    x, y = _paired(x, y, 'x', 'y')
    if len(classes := np.unique(y)) < 2:
        raise Refused(f'y holds the class {classes[0]} alone: give examples of two classes or more')
    return x, y


def _paired(x, y, name, label_name):
    """x in float64 if it is, else in float32, and y, once each finite row has its integer label."""
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim != 2 or not x.size or y.shape != x.shape[:1]:
        raise Refused(f'{name} has shape {x.shape} and {label_name} {y.shape}: give features (n, d) of one row or more, and n labels')
    if y.dtype.kind not in 'biu':
        raise Refused(f'{label_name} is of type {y.dtype}: give integers')
    x = x if x.dtype == np.float64 else x.astype(np.float32)
    if (wrong := ~(np.abs(x) < LARGEST)).any():
        raise Refused(f'{name} has {int(wrong.sum())} values that are not finite or beyond {LARGEST:.0e}: look for where they come from')
    return x, y
