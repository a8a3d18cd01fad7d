"""Zero-shot learning in closed form: classes are recognised by their descriptions, without one
example of them.

All functions here work in two steps. Examples of seen classes teach a map between the features x
(d,) of an input and the description s (a,) of its class. The map then scores every class that has a
description, seen or not. `vectors` describes all classes, a row each, and labels number its rows.

ESZSL: Romera-Paredes and Torr 2015 (https://proceedings.mlr.press/v37/romera-paredes15.html).
SAE: Kodirov, Xiang and Gong 2017 (https://arxiv.org/abs/1704.08345).
"""

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike

from tljax.core import UserError
from tljax.knowledge import filled, unit_rows


def eszsl(
    x: ArrayLike, y: ArrayLike, vectors: ArrayLike, gamma: float = 1.0, penalty: float = 1.0
) -> np.ndarray:
    """ESZSL: the bilinear map V (d, a) whose scores x'V s fit the classes in least squares.

    It minimises |X'V S - Y|^2 + gamma |V S|^2 + penalty |X'V|^2 + gamma penalty |V|^2 over V, for
    features X (d, n), descriptions S (a, seen classes), and Y of 1 for an example's class and -1
    for the others. The solution is (X X' + gamma I)^-1 X Y S' (S S' + penalty I)^-1.

    Args:
        x: features, (n, d).
        y: rows of `vectors`, (n,) integers.
        vectors: descriptions of all classes, (c, a).
        gamma: weight of the penalty on the map seen from the features, above 0.
        penalty: weight of the penalty seen from the descriptions, above 0 (lambda in the paper).

    Returns:
        V, (d, a), for `compatibility`.

    Raises:
        UserError: as `checked_examples`, and for a weight that is not positive.

    Source: Romera-Paredes and Torr 2015, equations 4 to 6.

    >>> x, y = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 1])
    >>> vectors = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 2.0]])  # nothing shows the last class
    >>> eszsl(x, y, vectors).round(2).tolist()
    [[0.25, -0.25], [-0.25, 0.25]]
    >>> compatibility(np.array([[-1.0, 1.0]]), eszsl(x, y, vectors), vectors).argmax(1)
    array([2])
    """
    x, y, vectors = checked_examples(x, y, vectors)
    refuse_not_positive(gamma=gamma, penalty=penalty)
    seen, place = np.unique(y, return_inverse=True)
    s = vectors[seen].T
    signs = 2.0 * np.eye(len(seen))[place] - 1
    left = scipy.linalg.solve(x.T @ x + gamma * np.eye(x.shape[1]), x.T @ signs, assume_a='pos')
    right = s @ s.T + penalty * np.eye(len(s))
    return scipy.linalg.solve(right, s @ left.T, assume_a='pos').T


def compatibility(x: ArrayLike, weights: ArrayLike, vectors: ArrayLike) -> np.ndarray:
    """Scores x'V s of all classes, (n, c).

    Args:
        x: features, (n, d).
        weights: V, (d, a).
        vectors: descriptions of all classes, (c, a).

    >>> compatibility([[1.0, 2.0]], np.eye(2), [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]).tolist()
    [[1.0, 2.0, 3.0]]
    """
    return np.asarray(x) @ np.asarray(weights) @ filled(vectors).T


def sae(x: ArrayLike, y: ArrayLike, vectors: ArrayLike, weight: float = 1.0) -> np.ndarray:
    """SAE, the semantic autoencoder: the map W (a, d) that encodes features as descriptions, and
    whose transpose decodes them.

    It minimises |X - W'S|^2 + weight |W X - S|^2 for features X (d, n) and the descriptions S (a,
    n) of their classes. The solution satisfies S S' W + weight W X X' = (1 + weight) S X', a
    Sylvester equation.

    Args:
        x: features, (n, d).
        y: rows of `vectors`, (n,) integers.
        vectors: descriptions of all classes, (c, a).
        weight: of the encoder's error, above 0 (lambda in the paper).

    Returns:
        W, (a, d), for `encoded` and `decoded`.

    Raises:
        UserError: as `checked_examples`, for a weight that is not positive, and for features and
            descriptions that determine no map: neither spans its space.

    Source: Kodirov et al. 2017, equations 3 to 5.

    >>> x, y = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), np.array([0, 1, 0])
    >>> vectors = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> w = sae(x, y, vectors)
    >>> encoded(np.array([[3.0, 3.0]]), w, vectors).argmax(1)
    array([2])
    """
    x, y, vectors = checked_examples(x, y, vectors)
    refuse_not_positive(weight=weight)
    s = vectors[y]
    # Both sides are symmetric: in their eigenvectors the equation is a division.
    left, u = np.linalg.eigh(s.T @ s)
    right, q = np.linalg.eigh(weight * x.T @ x)
    sums = left[:, None] + right
    if sums.min() <= 1e-10 * sums.max():
        raise UserError(
            f'features of {x.shape[1]} and descriptions of {s.shape[1]} numbers both depend '
            'linearly on each other: project the features by PCA to fewer numbers'
        )
    return u @ (u.T @ ((1 + weight) * s.T @ x) @ q / sums) @ q.T


def encoded(x: ArrayLike, weights: ArrayLike, vectors: ArrayLike) -> np.ndarray:
    """Scores of all classes, (n, c): cosines of encoded features and descriptions.

    Args:
        x: features, (n, d).
        weights: W of `sae`, (a, d).
        vectors: descriptions of all classes, (c, a).

    Source: Kodirov et al. 2017, section 3.3, equation 8.

    >>> encoded([[2.0, 0.0]], np.eye(2), [[0.0, 5.0], [5.0, 0.0]]).tolist()
    [[0.0, 1.0]]
    """
    return unit_rows(np.asarray(x) @ np.asarray(weights).T) @ unit_rows(vectors).T


def decoded(x: ArrayLike, weights: ArrayLike, vectors: ArrayLike) -> np.ndarray:
    """Scores of all classes, (n, c): cosines of features and decoded descriptions.

    Args:
        x: features, (n, d).
        weights: W of `sae`, (a, d).
        vectors: descriptions of all classes, (c, a).

    Source: Kodirov et al. 2017, section 3.3, equation 9.

    >>> decoded([[2.0, 0.0]], np.eye(2), [[0.0, 5.0], [5.0, 0.0]]).tolist()
    [[0.0, 1.0]]
    """
    return unit_rows(x) @ unit_rows(filled(vectors) @ np.asarray(weights)).T


def checked_examples(
    x: ArrayLike, y: ArrayLike, vectors: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns examples and descriptions as arrays, with unknown numbers filled by `filled`.

    Args:
        x: features, (n, d).
        y: rows of `vectors`, (n,) integers.
        vectors: descriptions of all classes, (c, a).

    Raises:
        UserError: shapes that do not fit, features that are not finite, a label that is no row of
            the descriptions, and examples of a single class.

    >>> checked_examples(np.eye(2), [0, 3], np.eye(3))
    Traceback (most recent call last):
    tljax.core.UserError: labels run from 0 to 3, and 3 classes are described: labels number ...
    """
    x, y, vectors = np.asarray(x, float), np.asarray(y), np.asarray(vectors, float)
    if x.ndim != 2 or vectors.ndim != 2 or y.shape != x.shape[:1] or not len(x):
        raise UserError(
            f'x has shape {x.shape}, y {y.shape} and vectors {vectors.shape}: give (n, d), (n,) '
            'and (c, a)'
        )
    if not np.isfinite(x).all():
        raise UserError(
            f'x has {int((~np.isfinite(x)).sum())} values that are not finite: drop their rows'
        )
    if y.dtype.kind not in 'iu' or y.min() < 0 or y.max() >= len(vectors):
        raise UserError(
            f'labels run from {y.min()} to {y.max()}, and {len(vectors)} classes are described: '
            'labels number the rows of vectors'
        )
    if len(np.unique(y)) < 2:
        raise UserError('all examples have one class: give two seen classes or more')
    return x, y, filled(vectors)


def refuse_not_positive(**numbers: float) -> None:
    """Raises an error for a number that is not finite and positive.

    Args:
        **numbers: the numbers by name.

    >>> refuse_not_positive(gamma=0.0)
    Traceback (most recent call last):
    tljax.core.UserError: gamma=0.0: give a finite number above 0
    """
    for name, value in numbers.items():
        if not 0 < value < np.inf:
            raise UserError(f'{name}={value}: give a finite number above 0')
