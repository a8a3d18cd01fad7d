"""Accuracies of a linear model or of the nearest neighbours on fixed features.

Scores of transferability estimate what these functions measure. The accuracies say nothing about
the network after fine-tuning. Features x are (n, d) of any real type, and labels y are (n,)
integers whose values and order do not matter. Float64 features are computed in float64, all others
in float32. Every function raises `UserError` for no rows, different numbers of rows and labels,
values that are not finite or whose squares overflow, labels that are not integers, and a single
class.

`probe_score` and `knn_score` take (f, y) as the scores of `tljax.when.transferability` do, so that
all can be compared.
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
from tljax.when.logistic import _as_labelled_features, _as_training_set, linear_probe

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
    """Test accuracy of a linear probe, with the penalty of `choose_penalty`.

    The training part standardises the features, and the test part is not used to choose anything.
    Test examples of classes without training examples count as wrong.

    Args:
        x: training features, (n, d).
        y: training labels, (n,).
        test_x: test features, (m, d).
        test_y: test labels, (m,).
        penalties: as in `choose_penalty`; a single penalty is used as it is.
        seed: as in `choose_penalty`.

    Returns:
        A float from 0 to 1.

    Raises:
        UserError: as described in the module and in `choose_penalty`.

    >>> x, y = [[0.0], [1.0], [8.0], [9.0]], [0, 0, 1, 1]
    >>> probe_accuracy(x, y, test_x=[[-3.0], [4.0], [7.0], [9.0]], test_y=[0, 0, 1, 7])
    0.75
    """
    return probe_accuracies(x, y, [(test_x, test_y)], penalties, seed)[0]


def probe_accuracies(
    x: ArrayLike,
    y: ArrayLike,
    tests: Sequence[tuple[ArrayLike, ArrayLike]],
    penalties: Sequence[float] = PENALTIES,
    seed: int = 0,
) -> list[float]:
    """Accuracies of one linear probe on several test sets, as in `probe_accuracy`.

    Args:
        x: training features, (n, d).
        y: training labels, (n,).
        tests: test features (m, d) and test labels (m,) of each test set.
        penalties: as in `probe_accuracy`.
        seed: as in `choose_penalty`.

    Returns:
        A float from 0 to 1 for each test set.

    Raises:
        UserError: as described in the module and in `choose_penalty`.

    >>> x, y = [[0.0], [1.0], [8.0], [9.0]], [0, 0, 1, 1]
    >>> probe_accuracies(x, y, [([[2.0]], [0]), ([[2.0], [7.0]], [1, 1])])
    [1.0, 0.5]
    """
    x, y = _as_training_set(x, y)
    pairs = [_as_test_set(x, *test) for test in tests]
    penalty = penalties[0] if len(penalties) == 1 else choose_penalty(x, y, penalties, seed)
    scaler = StandardScaler().fit(x)
    probe = linear_probe(scaler.transform(x), y, penalty)
    return [
        float((_predict(probe, scaler.transform(test_x), y) == test_y).mean())
        for test_x, test_y in pairs
    ]


def choose_penalty(
    x: ArrayLike, y: ArrayLike, penalties: Sequence[float] = PENALTIES, seed: int = 0
) -> float:
    """Chooses the penalty of a linear probe by its accuracy on a held-out part.

    Of penalties with equal accuracy the largest is chosen. The held-out part is one of `FOLDS`
    stratified folds, of fewer folds if a class has fewer examples: half of the set, if one has two.
    The rest of the set standardises the features. A choice at either end of `penalties` shows only
    that the grid is too narrow, and a choice from few examples is noisy.

    Args:
        x: features, (n, d).
        y: labels, (n,).
        penalties: numbers above 0, in any order.
        seed: seed of the folds.

    Returns:
        One of `penalties`.

    Raises:
        UserError: as described in the module; for no penalties, and for a class of a single
            example, which cannot be both fitted and held out.

    >>> rng = np.random.default_rng(5)
    >>> x, y = rng.normal(size=(300, 20)), np.arange(300) % 2
    >>> x[:, 0] += y
    >>> choose_penalty(x, y)
    100.0
    """
    x, y = _as_training_set(x, y)
    if not len(penalties):
        raise UserError('no penalties to choose from: give one or more')
    train, test = next(_folds(y, FOLDS, seed))
    x = np.asarray(StandardScaler().fit(x[train]).transform(x))
    probe, accuracy = None, {}
    for penalty in sorted(penalties, reverse=True):
        probe = linear_probe(x[train], y[train], penalty, start=probe)
        accuracy[penalty] = (_predict(probe, x[test], y) == y[test]).mean()
    return max(accuracy, key=lambda penalty: accuracy[penalty])


def probe_score(
    f: ArrayLike, y: ArrayLike, penalty: float = 1.0, folds: int = 5, seed: int = 0
) -> float:
    """Cross-validated accuracy of linear probes.

    Each training part standardises its own features. All features get the same penalty, which may
    suit bad features better than good ones; `choose_penalty` finds a fair one for each.

    Args:
        f: features, (n, d).
        y: labels, (n,).
        penalty: as in `linear_probe`.
        folds: number of stratified folds, two or more. It is reduced to the size of the smallest
            class, so that every fit sees all classes.
        seed: seed of the folds.

    Returns:
        A float from 0 to 1.

    Raises:
        UserError: as described in the module; for fewer than two folds, and for a class of a single
            example.

    >>> x, y = [[0.0], [1.0], [4.0], [9.0]], [0, 0, 1, 1]
    >>> probe_score(x, y)  # one of the two examples near the border is wrong
    0.75
    """
    f, y = _as_training_set(f, y)
    hits = np.zeros(len(y), bool)
    for train, test in _folds(y, folds, seed):
        scaler = StandardScaler().fit(f[train])
        probe = linear_probe(scaler.transform(f[train]), y[train], penalty)
        hits[test] = _predict(probe, scaler.transform(f[test]), y) == y[test]
    return float(hits.mean())


def knn_accuracy(
    x: ArrayLike,
    y: ArrayLike,
    test_x: ArrayLike,
    test_y: ArrayLike,
    k: int = 1,
    metric: str = 'cosine',
) -> float:
    """Test accuracy of a vote of the k nearest training rows.

    The smallest label wins a tie. Of training rows at equal distances, the first are the nearest.
    Test examples of classes without training examples count as wrong. The search is exact, over
    `BLOCK` test rows at a time. A distance weighs all directions of the features equally, which a
    linear probe does not.

    Args:
        x: features of the neighbours, (n, d).
        y: labels of the neighbours, (n,).
        test_x: test features, (m, d).
        test_y: test labels, (m,).
        k: number of neighbours, from 1 to n.
        metric: 'cosine' or 'euclidean'.

    Returns:
        A float from 0 to 1.

    Raises:
        UserError: as described in the module; for another metric, and for a k outside 1..n.

    >>> x, y = [[1.0, 0.0], [0.0, 1.0], [0.0, 9.0]], [4, 5, 4]
    >>> knn_accuracy(x, y, test_x=[[3.0, 1.0], [0.0, 2.0]], test_y=[4, 4], metric='euclidean')
    0.5
    """
    x, y = _as_training_set(x, y)
    test_x, test_y = _as_test_set(x, test_x, test_y)
    no_self = np.full(len(test_x), len(x))
    return float((_votes(x, y, test_x, no_self, k, len(x), metric) == test_y).mean())


def knn_score(f: ArrayLike, y: ArrayLike, k: int = 1, metric: str = 'cosine') -> float:
    """Leave-one-out accuracy of a vote of the k nearest other rows, as in `knn_accuracy`.

    It needs no training, and time proportional to n^2. An example that is the only one of its class
    is always wrong.

    Args:
        f: features, (n, d).
        y: labels, (n,).
        k: number of neighbours, from 1 to n - 1.
        metric: 'cosine' or 'euclidean'.

    Returns:
        A float from 0 to 1.

    Raises:
        UserError: as described in the module; for another metric, and for a k outside 1..n - 1.

    >>> knn_score([[0.0], [1.0], [5.0], [6.0], [9.0]], [0, 0, 1, 1, 0], metric='euclidean')
    0.8
    """
    f, y = _as_training_set(f, y)
    return float((_votes(f, y, f, np.arange(len(f)), k, len(f) - 1, metric) == y).mean())


def _votes(x, y, rows, self_index, k, limit, metric):
    """Returns the label (m,) that the k nearest rows of x vote for, for each of `rows` (m, d).

    Row self_index[i] of x is not a neighbour of rows[i]; an index of n excludes no row. `limit` is
    the number of possible neighbours.
    """
    if not isinstance(k, (int, np.integer)) or not 1 <= k <= limit:
        raise UserError(
            f'k={k}: give a whole number from 1 to the {limit} rows that can be neighbours'
        )
    if metric not in ('cosine', 'euclidean'):
        raise UserError(f'metric={metric!r}: choose cosine or euclidean')
    if metric == 'cosine':
        x, rows = np.asarray(normalize(x)), np.asarray(normalize(rows))
        half_square = np.zeros(len(x), x.dtype)
    else:
        # without centring, the differences between products could be smaller than their rounding
        mean = x.mean(0)
        x, rows = x - mean, rows - mean
        half_square = (x**2).sum(1) / 2
    classes, label = np.unique(y, return_inverse=True)
    with jax.enable_x64(x.dtype == np.float64):
        vote = _vote(x, half_square, label, rows, self_index, int(k), len(classes), BLOCK)
        return classes[np.asarray(vote)]


@functools.partial(jax.jit, static_argnames=('k', 'c', 'block'))
def _vote(x, half_square, label, rows, self_index, k, c, block):
    """Returns the most frequent class (m,) among the k nearest rows of x.

    These are the rows with the largest x . row - half_square.

    This value orders the rows of x as their distances from the row do.
    """

    def row_vote(pair):
        row, self_place = pair
        nearness = jnp.matmul(x, row, precision='highest') - half_square
        neighbours = jax.lax.top_k(nearness.at[self_place].set(-jnp.inf, mode='drop'), k)[1]
        return jnp.zeros(c, int).at[label[neighbours]].add(1).argmax()

    return jax.lax.map(row_vote, (rows, self_index), batch_size=block)


def _predict(probe, x, y):
    """Returns the classes (m,) that a probe predicts for the rows of x (m, d).

    y holds the labels that the probe was fitted to.
    """
    weights, intercept = probe
    return np.unique(y)[(x @ weights + intercept).argmax(1)]


def _folds(y: np.ndarray, folds: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields pairs of training and held-out rows; every training part has all classes."""
    if not isinstance(folds, (int, np.integer)) or folds < 2:
        raise UserError(f'folds={folds}: give a whole number of two or more')
    classes, counts = np.unique(y, return_counts=True)
    if counts.min() < 2:
        raise UserError(
            f'class {classes[counts.argmin()]} has a single example, which cannot be both fitted '
            'and held out: give two or more of each class, or drop it'
        )
    return StratifiedKFold(min(folds, counts.min()), shuffle=True, random_state=seed).split(y, y)


def _as_test_set(
    x: np.ndarray, test_x: ArrayLike, test_y: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the test part in the type of x, if it has the same columns."""
    test_x, test_y = _as_labelled_features(test_x, test_y, 'test_x', 'test_y')
    if test_x.shape[1] != x.shape[1]:
        raise UserError(
            f'x has {x.shape[1]} columns and test_x {test_x.shape[1]}: give both the same features'
        )
    return test_x.astype(x.dtype), test_y
