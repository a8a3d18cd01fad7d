"""How well features serve when nothing but a linear model or the nearest neighbours are fitted to
them: accuracies, not estimates.

What scores of transferability estimate from features as they are, these measure. They say nothing
of what fine-tuning would make of the network. Features x are (n, d) of any real type, labels y (n,)
integers whose values and order do not matter. Float64 features are computed with in float64, all
others in float32. `UserError` are: no rows, rows that do not pair, values that are not finite or so
large that their squares overflow, labels that are no integers, and a single class.

`probe_score` and `knn_score` take the arguments of `tljax.when.transferability`'s scores, (f, y),
and can stand beside them.
"""

import functools
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler, normalize

from tljax.core import UserError
from tljax.when.logistic import _checked, _paired, linear_probe

PENALTIES = (1.0, 10.0, 100.0, 1e3, 1e4)
FOLDS = 5  # one of these is held out to choose a penalty
BLOCK = 1000  # rows whose distances to all others are in memory at once: 80 MB for 20,000 others


def probe_accuracy(
    x: ArrayLike,
    y: ArrayLike,
    test_x: ArrayLike,
    test_y: ArrayLike,
    penalties: Sequence[float] = PENALTIES,
    seed: int = 0,
) -> float:
    """The test accuracy of a linear probe of features that the training part standardises, with the
    penalty of `choose_penalty`.

    The test part chooses nothing. Its classes that training has not seen count as wrong.

    Args:
        x: features to train on, (n, d).
        y: labels to train on, (n,).
        test_x: features of the test, (m, d).
        test_y: labels of the test, (m,).
        penalties: as in `choose_penalty`; one penalty needs no choice.
        seed: as in `choose_penalty`.

    Returns:
        A float from 0 to 1.

    Raises:
        UserError: as in the module and `choose_penalty`.

    >>> x, y = [[0.0], [1.0], [8.0], [9.0]], [0, 0, 1, 1]
    >>> probe_accuracy(x, y, test_x=[[-3.0], [4.0], [7.0], [9.0]], test_y=[0, 0, 1, 7])
    0.75
    """
    x, y = _checked(x, y)
    test_x, test_y = _test_part(x, test_x, test_y)
    penalty = penalties[0] if len(penalties) == 1 else choose_penalty(x, y, penalties, seed)
    scaler = StandardScaler().fit(x)
    probe = linear_probe(scaler.transform(x), y, penalty)
    return float((_predicted(probe, scaler.transform(test_x), y) == test_y).mean())


def choose_penalty(
    x: ArrayLike, y: ArrayLike, penalties: Sequence[float] = PENALTIES, seed: int = 0
) -> float:
    """The penalty of the linear probe that is right most often on a held-out part: the largest of
    equals.

    One of `FOLDS` stratified folds is held out, of fewer where a class has fewer examples: half of
    two. The rest standardises the features. At either end of `penalties` the choice says only that
    the grid is too narrow, and with few examples it is a noisy one.

    Args:
        x: features, (n, d).
        y: labels, (n,).
        penalties: some numbers above 0, in any order.
        seed: of the folds.

    Returns:
        One of `penalties`.

    Raises:
        UserError: as in the module, for no penalties, and for a class of a single example, which
            cannot be both fitted and held out.

    >>> rng = np.random.default_rng(5)
    >>> x, y = rng.normal(size=(300, 20)), np.arange(300) % 2
    >>> x[:, 0] += y
    >>> choose_penalty(x, y)
    100.0
    """
    x, y = _checked(x, y)
    if not len(penalties):
        raise UserError('no penalties to choose from: give one or more')
    train, held = next(_folds(y, FOLDS, seed))
    x = np.asarray(StandardScaler().fit(x[train]).transform(x))
    probe, accuracy = None, {}
    for penalty in sorted(penalties, reverse=True):
        probe = linear_probe(x[train], y[train], penalty, start=probe)
        accuracy[penalty] = (_predicted(probe, x[held], y) == y[held]).mean()
    return max(accuracy, key=lambda penalty: accuracy[penalty])


def probe_score(
    f: ArrayLike, y: ArrayLike, penalty: float = 1.0, folds: int = 5, seed: int = 0
) -> float:
    """The share of examples that linear probes fitted to the other folds get right.

    Each training part standardises its own features. The penalty is one for all features: good
    features may lose to bad ones that it suits better, and `choose_penalty` tells.

    Args:
        f: features, (n, d).
        y: labels, (n,).
        penalty: as in `linear_probe`.
        folds: two or more, stratified; as many as the smallest class has examples where that is
            fewer, so that every fit knows all classes.
        seed: of the folds.

    Returns:
        A float from 0 to 1.

    Raises:
        UserError: as in the module, for fewer than two folds, and for a class of a single example.

    >>> probe_score([[0.0], [1.0], [4.0], [9.0]], [0, 0, 1, 1])  # one next to the border is wrong
    0.75
    """
    f, y = _checked(f, y)
    right = np.zeros(len(y), bool)
    for train, held in _folds(y, folds, seed):
        scaler = StandardScaler().fit(f[train])
        probe = linear_probe(scaler.transform(f[train]), y[train], penalty)
        right[held] = _predicted(probe, scaler.transform(f[held]), y) == y[held]
    return float(right.mean())


def knn_accuracy(
    x: ArrayLike,
    y: ArrayLike,
    test_x: ArrayLike,
    test_y: ArrayLike,
    k: int = 1,
    metric: str = 'cosine',
) -> float:
    """The share of test rows whose k nearest training rows vote for their class; the smallest label
    wins a tied vote.

    By brute force, `BLOCK` test rows at a time. Of training rows equally far away, the first are
    the nearest. Classes that training has not seen count as wrong. Distances take all directions of
    the features for equally telling, which a linear probe does not.

    Args:
        x: features of the neighbours, (n, d).
        y: labels of the neighbours, (n,).
        test_x: features of the test, (m, d).
        test_y: labels of the test, (m,).
        k: from 1 to n.
        metric: 'cosine' or 'euclidean'.

    Returns:
        A float from 0 to 1.

    Raises:
        UserError: as in the module, for another metric, and for a k outside 1..n.

    >>> knn_accuracy(
    ...     [[1.0, 0.0], [0.0, 1.0], [0.0, 9.0]],
    ...     [4, 5, 4],
    ...     test_x=[[3.0, 1.0], [0.0, 2.0]],
    ...     test_y=[4, 4],
    ...     metric='euclidean',
    ... )
    0.5
    """
    x, y = _checked(x, y)
    test_x, test_y = _test_part(x, test_x, test_y)
    return float(
        (_votes(x, y, test_x, np.full(len(test_x), len(x)), k, len(x), metric) == test_y).mean()
    )


def knn_score(f: ArrayLike, y: ArrayLike, k: int = 1, metric: str = 'cosine') -> float:
    """The share of rows whose k nearest other rows vote for their class: leave-one-out accuracy, as
    `knn_accuracy`.

    Needs no training at all, and time of n^2. A class of a single example is always wrong.

    Args:
        f: features, (n, d).
        y: labels, (n,).
        k: from 1 to n - 1.
        metric: 'cosine' or 'euclidean'.

    Returns:
        A float from 0 to 1.

    Raises:
        UserError: as in the module, for another metric, and for a k outside 1..n - 1.

    >>> knn_score([[0.0], [1.0], [5.0], [6.0], [9.0]], [0, 0, 1, 1, 0], metric='euclidean')
    0.8
    """
    f, y = _checked(f, y)
    return float((_votes(f, y, f, np.arange(len(f)), k, len(f) - 1, metric) == y).mean())


def _votes(x, y, rows, own, k, most, metric):
    """The label (m,) that the k rows of x nearest to each of `rows` (m, d) vote for, x[own]
    left out; an own of n leaves out none."""
    if not isinstance(k, (int, np.integer)) or not 1 <= k <= most:
        raise UserError(
            f'k={k}: give a whole number from 1 to the {most} rows that can be neighbours'
        )
    if metric not in ('cosine', 'euclidean'):
        raise UserError(f'metric={metric!r}: choose cosine or euclidean')
    if metric == 'cosine':
        x, rows = np.asarray(normalize(x)), np.asarray(normalize(rows))
        half_square = np.zeros(len(x), x.dtype)
    else:
        # without it, what products are compared by could lie below their rounding
        mean = x.mean(0)
        x, rows = x - mean, rows - mean
        half_square = (x**2).sum(1) / 2
    classes, label = np.unique(y, return_inverse=True)
    with jax.enable_x64(x.dtype == np.float64):
        return classes[
            np.asarray(_vote(x, half_square, label, rows, own, int(k), len(classes), BLOCK))
        ]


@functools.partial(jax.jit, static_argnames=('k', 'c', 'block'))
def _vote(x, half_square, label, rows, own, k, c, block):
    """The class (m,) with most of the k largest x . row - half_square, which order rows of x as
    their distances from the row do."""

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


def _folds(y: np.ndarray, folds: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of training and held-out rows in which every class is trained on."""
    if not isinstance(folds, (int, np.integer)) or folds < 2:
        raise UserError(f'folds={folds}: give a whole number of two or more')
    classes, counts = np.unique(y, return_counts=True)
    if counts.min() < 2:
        raise UserError(
            f'class {classes[counts.argmin()]} has a single example, which cannot be both fitted '
            'and held out: give two or more of each class, or drop it'
        )
    return StratifiedKFold(min(folds, counts.min()), shuffle=True, random_state=seed).split(y, y)


def _test_part(
    x: np.ndarray, test_x: ArrayLike, test_y: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """The test part in the type of x, once it has the same columns."""
    test_x, test_y = _paired(test_x, test_y, 'test_x', 'test_y')
    if test_x.shape[1] != x.shape[1]:
        raise UserError(
            f'x has {x.shape[1]} columns and test_x {test_x.shape[1]}: give both the same features'
        )
    return test_x.astype(x.dtype), test_y
