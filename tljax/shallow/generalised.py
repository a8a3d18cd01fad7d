"""Generalised zero-shot learning: an input may belong to a seen class or to an unseen one.

A model that was trained on seen classes favours them. Calibrated stacking subtracts a constant, the
shift, from their scores. Chao, Changpinyo, Gong and Sha 2016 (https://arxiv.org/abs/1605.04253).
Scores are means over classes, so that large classes do not decide: Xian, Lampert, Schiele and Akata
2019, section 5 (https://arxiv.org/abs/1707.00600).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tljax.core import UserError


class Curve(NamedTuple):
    """Right answers at every shift, from none for unseen classes to none for seen ones.

    Attributes:
        change: shifts at which an answer changes, (k,), increasing.
        seen: mean over seen classes of the share of right answers before, between and after these
            shifts, (k + 1,).
        unseen: the same over unseen classes, (k + 1,).

    >>> curve = Curve(np.array([2.0]), np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    >>> curve.area, curve.at([1.0, 3.0])[0].tolist()
    (0.5, [1.0, 0.0])
    """

    change: np.ndarray
    seen: np.ndarray
    unseen: np.ndarray

    @property
    def shift(self) -> np.ndarray:
        """A shift in the middle of every two changes, one before all of them, and one after."""
        middles = (self.change[1:] + self.change[:-1]) / 2
        return np.concatenate([self.change[:1] - 1, middles, self.change[-1:] + 1])

    @property
    def area(self) -> float:
        """Area under the curve of seen over unseen right answers, in [0, 1] (AUSUC)."""
        return float(-np.trapezoid(self.unseen, self.seen))

    @property
    def best(self) -> float:
        """The shift with the largest harmonic mean; the middle one where several are equal."""
        means = harmonic_mean(self.seen, self.unseen)
        equal = np.flatnonzero(means >= means.max() - 1e-12)
        return float(self.shift[equal[len(equal) // 2]])

    def at(self, shift: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Right answers for seen and unseen classes at some shifts.

        Args:
            shift: (m,).
        """
        place = np.searchsorted(self.change, shift)
        return self.seen[place], self.unseen[place]


def class_mean(predicted: ArrayLike, label: ArrayLike) -> float:
    """Mean over classes of the share of their examples that are predicted right.

    Args:
        predicted: classes, (n,).
        label: classes, (n,).

    Raises:
        UserError: shapes differ, or there are no examples.

    Source: Xian et al. 2019, section 5.1.

    >>> class_mean([0, 0, 0, 1], [0, 0, 0, 2])  # 3 of 3, and 0 of 1
    0.5
    """
    predicted, label = np.asarray(predicted), np.asarray(label)
    if not len(label) or predicted.shape != label.shape:
        raise UserError(
            f'predictions of shape {predicted.shape} and labels of {label.shape}: give one each, '
            'of one example or more'
        )
    return float(np.mean([(predicted[label == c] == c).mean() for c in np.unique(label)]))


def harmonic_mean(seen: ArrayLike, unseen: ArrayLike) -> np.ndarray:
    """2 seen unseen / (seen + unseen), and 0 where both are 0.

    Args:
        seen: shares of right answers for seen classes.
        unseen: the same for unseen classes.

    Source: Xian et al. 2019, equation 12.

    >>> harmonic_mean([0.5, 0.0], [1.0, 0.0]).round(3).tolist()
    [0.667, 0.0]
    """
    seen, unseen = np.asarray(seen, float), np.asarray(unseen, float)
    total = seen + unseen
    return 2 * seen * unseen / np.where(total > 0, total, 1)


def choice(scores: ArrayLike, allowed: ArrayLike) -> np.ndarray:
    """The class with the largest score among those that may be chosen, (n,).

    Args:
        scores: of all classes, (n, c).
        allowed: (c,) booleans, or numbers of classes.

    Raises:
        UserError: no class may be chosen.

    >>> choice([[3.0, 2.0, 1.0]], [1, 2]).tolist()
    [1]
    """
    scores = np.asarray(scores)
    rows = np.arange(scores.shape[1])[np.asarray(allowed)]
    if not len(rows):
        raise UserError('no class may be chosen: allow one or more')
    return rows[scores[:, rows].argmax(1)]


def stacked(scores: ArrayLike, seen: ArrayLike, shift: float) -> np.ndarray:
    """Calibrated stacking: scores of which the shift is subtracted for seen classes, (n, c).

    Args:
        scores: of all classes, (n, c).
        seen: (c,) booleans.
        shift: in units of the scores (gamma in the paper).

    Source: Chao et al. 2016, equation 3.

    >>> stacked([[3.0, 2.0]], [True, False], shift=2.0).tolist()
    [[1.0, 2.0]]
    """
    return np.asarray(scores, float) - shift * np.asarray(seen, bool)


def calibration_curve(scores: ArrayLike, label: ArrayLike, seen: ArrayLike) -> Curve:
    """Right answers for seen and unseen classes at every shift of calibrated stacking.

    The answer for an input changes at one shift alone: its best seen score minus its best unseen
    one. The curve is therefore exact.

    Args:
        scores: of all classes, (n, c).
        label: classes, (n,); some seen and some unseen.
        seen: (c,) booleans.

    Raises:
        UserError: examples of seen or of unseen classes are missing.

    Source: Chao et al. 2016, section 3.3.

    >>> curve = calibration_curve([[3.0, 1.0], [2.0, 1.0]], [0, 1], [True, False])
    >>> curve.seen.tolist(), curve.unseen.tolist(), curve.best
    ([1.0, 1.0, 0.0], [0.0, 1.0, 1.0], 1.5)
    """
    scores, label, seen = np.asarray(scores, float), np.asarray(label), np.asarray(seen, bool)
    is_seen = seen[label]
    if is_seen.all() or not is_seen.any():
        raise UserError('the curve needs examples of seen and of unseen classes: give both')
    best_seen, best_unseen = choice(scores, seen), choice(scores, ~seen)
    rows = np.arange(len(label))
    change = scores[rows, best_seen] - scores[rows, best_unseen]
    points = np.unique(change)
    # each example counts 1 / (examples of its class) / (classes of its kind)
    counts = np.bincount(label, minlength=len(seen))
    kinds = np.where(is_seen, (counts[seen] > 0).sum(), (counts[~seen] > 0).sum())
    weight = 1 / (counts[label] * kinds)
    order = np.searchsorted(points, change)  # after this change its answer is unseen

    def running(mask):
        return np.cumsum(np.bincount(order, weight * mask, len(points)))

    lost = running(is_seen & (best_seen == label))
    won = running(~is_seen & (best_unseen == label))
    right = lost[-1] - np.concatenate([[0], lost])
    return Curve(points, np.maximum(right, 0), np.concatenate([[0], won]))
