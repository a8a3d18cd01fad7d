"""Translated learning: labelled words teach a classifier of pictures.

Examples of both spaces are counts: of words, and of visual words (`tljax.data.handmade_bag`). The
distribution of words tells a class. Pairs, such as pictures with captions, tell how often each
visual word goes with each word, and this translates the distribution of a class into one over
visual words. A picture belongs to the class whose distribution is nearest to its own.

Source: Dai, Chen, Xue, Yang and Yu, Translated learning: transfer learning across different feature
spaces, 2008 (https://papers.nips.cc/paper/2008/hash/0060ef47b12160b9198302ebdb144dcf-Abstract.html).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tljax.core import UserError
from tljax.shallow.pairs import checked_pairs, with_columns


class Translated(NamedTuple):
    """Classes as distributions over the features of the target.

    Attributes:
        classes: the labels, (c,), in increasing order.
        distribution: p(target feature | class), (c, dt), rows of sum 1.

    >>> classes = Translated(np.array([3, 7]), np.array([[0.9, 0.1], [0.5, 0.5]]))
    >>> classes.predict([[2, 2], [9, 1]])
    array([7, 3])
    """

    classes: np.ndarray
    distribution: np.ndarray

    def divergence(self, x: ArrayLike) -> np.ndarray:
        """Kullback-Leibler divergence KL(row || class) of rows from classes, (m, c), in nats.

        Args:
            x: counts of the target's features, (m, dt). A row without any has the divergence 0.

        Raises:
            UserError: for rows with other columns than the pairs, or with negative counts.
        """
        p = _shares(with_columns(x, self.distribution.shape[1]), 'x')
        entropy = -(p * np.log(np.where(p > 0, p, 1))).sum(1)
        return -p @ np.log(self.distribution).T - entropy[:, None]

    def predict(self, x: ArrayLike) -> np.ndarray:
        """Labels of the nearest classes, (m,).

        Args:
            x: as `divergence` takes it.

        Raises:
            UserError: as `divergence`.
        """
        return self.classes[self.divergence(x).argmin(1)]


def translated_learning(
    xs: ArrayLike, ys: ArrayLike, ps: ArrayLike, pt: ArrayLike, smoothing: float = 0.1
) -> Translated:
    """Translates the classes of the source into the target's features.

    p(target feature | class) is the sum over source features of p(target feature | source feature)
    p(source feature | class). The translator p(target feature | source feature) is estimated from
    the pairs, each of which counts the same: the joint probability of two features is the mean over
    pairs of the product of their shares in the pair's halves. A picture's distance from a class is
    their Kullback-Leibler divergence, so that a class without smoothing needs all features of the
    picture.

    Args:
        xs: counts of the source's features in labelled examples, (ns, ds).
        ys: their labels, (ns,).
        ps: counts of the source halves of the pairs, (n, ds).
        pt: counts of the target halves of the pairs, (n, dt).
        smoothing: what is added to the number of times that a feature occurs in a class, and, in
            pairs, to the number of pairs in which a target feature goes with a source feature.

    Returns:
        `Translated`.

    Raises:
        UserError: for pairs that `checked_pairs` refuses, a smoothing that is not positive,
            negative counts, labels that do not fit xs, and xs with other columns than ps.

    Source: Dai et al. 2008, section 2: the translator of pairs of instances, and algorithm 1.

    >>> xs, ys = np.array([[5, 0], [0, 5]]), np.array([0, 1])  # sea, forest
    >>> ps, pt = np.array([[1, 0], [0, 1]]), np.array([[0, 1], [1, 0]])  # green, blue
    >>> translated_learning(xs, ys, ps, pt, smoothing=1e-6).distribution.round(3).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    ps, pt = checked_pairs(ps, pt, smoothing=smoothing)
    xs, ys = with_columns(xs, ps.shape[1]), np.asarray(ys)
    if ys.shape != (len(xs),) or not len(xs):
        raise UserError(f'ys {ys.shape} for the {len(xs)} rows of xs: give one label per row')
    _refuse_negative(xs, 'xs')
    classes, which = np.unique(ys, return_inverse=True)
    counts = np.stack([xs[which == c].sum(0) for c in range(len(classes))])
    of_class = _normalised(counts + smoothing)
    translator = _normalised(_shares(ps, 'ps').T @ _shares(pt, 'pt') + smoothing / pt.shape[1])
    return Translated(classes, of_class @ translator)


def _shares(x, name):
    """Counts as shares of their row's sum; rows of zeros stay."""
    _refuse_negative(x, name)
    total = x.sum(1, keepdims=True)
    return x / np.where(total > 0, total, 1)


def _normalised(x):
    return x / x.sum(1, keepdims=True)


def _refuse_negative(x, name):
    """Refuses numbers that are no counts."""
    if not np.isfinite(x).all() or x.min() < 0:
        raise UserError(f'{name} has {x.min()}: give counts or frequencies, 0 and above')
