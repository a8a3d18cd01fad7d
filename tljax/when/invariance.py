"""What a source network ignores, whether a target needs it, and which layers to fine-tune.

A network that was trained with an augmentation T learns to ignore what T changes.
`feature_invariance` measures how far each layer does so. `probe_change` measures whether the
target's classes need it. The two give `advised_cut`: how many layers stay frozen.

Augmentations that suit one task and harm another: Xiao et al. 2021
(https://arxiv.org/abs/2008.05659). The measure of invariance is ours.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tljax.core import UserError
from tljax.when.checks import refuse_constant
from tljax.when.probes import PENALTIES, choose_penalty, probe_accuracies

IGNORED = 0.3  # a layer of this invariance or more ignores a transformation
LOSS = 0.03  # a smaller change of a probe's accuracy is noise


class Invariance(NamedTuple):
    """How far features ignore a transformation.

    Attributes:
        value: 1 if a picture and its transformation have the same features; 0 if these are as
            different as those of two unrelated pictures; negative if they are more different.
        low: lower end of the 95 % interval over pictures.
        high: upper end of that interval.

    >>> Invariance(value=0.8, low=0.7, high=0.9).value
    0.8
    """

    value: float
    low: float
    high: float


class Change(NamedTuple):
    """Accuracies of two linear probes, one of them trained with a transformation.

    Attributes:
        plain: accuracy of the plain probe on pictures as they are.
        plain_on_changed: its accuracy on transformed pictures.
        trained: accuracy, on pictures as they are, of the probe trained with the transformation.
        trained_on_changed: its accuracy on transformed pictures.

    >>> round(Change(plain=0.9, plain_on_changed=0.2, trained=0.6, trained_on_changed=0.6).need, 2)
    0.3
    """

    plain: float
    plain_on_changed: float
    trained: float
    trained_on_changed: float

    @property
    def need(self) -> float:
        """Accuracy on pictures as they are that is lost if a probe has to ignore T.

        It is positive if the target needs what T changes, and negative if the target gains from
        ignoring it.
        """
        return self.plain - self.trained


class Cut(NamedTuple):
    """Which layers to freeze and which to train.

    Attributes:
        frozen: number of layers that stay frozen, from the input; 0 trains the whole network.
        harmful: numbers of the transformations that a layer ignores and the target needs.
        helpful: numbers of those that the last layer ignores and the target gains from ignoring.

    >>> Cut(frozen=1, harmful=(0,), helpful=()).frozen
    1
    """

    frozen: int
    harmful: tuple[int, ...]
    helpful: tuple[int, ...]


def feature_invariance(
    features: ArrayLike, transformed: ArrayLike, draws: int = 1000, seed: int = 0
) -> Invariance:
    """How far features ignore a transformation T, compared with unrelated pictures.

    invariance = (mean cos(f(x), f(T x)) - mean cos(f(x), f(x'))) / (1 - mean cos(f(x), f(x'))),

    over pictures x and pairs of different pictures x, x'. Both features are centred by the mean of
    f(x). Features after a ReLU are not negative, so the raw cosine of unrelated pictures is high,
    and that of every layer close to 1. With centred features unrelated pictures have a cosine near
    0. The features of T x are centred by the same mean and not by their own: a shift that all
    features share, such as that of darker pictures, is a change that a classifier notices.

    Args:
        features: f(x), (n, d), three pictures or more.
        transformed: f(T x), (n, d), in the same order.
        draws: number of bootstrap samples of the pictures.
        seed: seed of the bootstrap.

    Raises:
        UserError: for arrays that do not pair, fewer than three pictures, values that are not
            finite, and features that are the same for all pictures.

    >>> f = np.random.default_rng(0).normal(size=(50, 200))
    >>> noise = np.random.default_rng(1).normal(size=(50, 200))
    >>> [round(feature_invariance(f, f + scale * noise).value, 1) for scale in (0, 1, 100)]
    [1.0, 0.7, 0.0]
    """
    f, g = np.asarray(features, np.float64), np.asarray(transformed, np.float64)
    if f.ndim != 2 or f.shape != g.shape or len(f) < 3:
        raise UserError(
            f'features {f.shape} and transformed {g.shape}: give (n, d) twice, of three pictures '
            'or more'
        )
    if not (np.isfinite(f).all() and np.isfinite(g).all()):
        raise UserError('features have values that are not finite: look for the run that diverged')
    refuse_constant(f)
    mean = f.mean(0)
    f, g = _unit(f - mean), _unit(g - mean)
    same = (f * g).sum(1)
    same[~f.any(1) & ~g.any(1)] = 1.0  # both lie at the mean
    counts = np.ones((1, len(f)))
    value = _scaled(f, same, counts)[0]
    sample = np.random.default_rng(seed).multinomial(len(f), np.full(len(f), 1 / len(f)), draws)
    values = _scaled(f, same, sample[sample.max(1) < len(f)])  # one picture alone has no pairs
    low, high = np.quantile(values[np.isfinite(values)], (0.025, 0.975))
    return Invariance(float(value), float(low), float(high))


def _unit(rows):
    """Rows of length 1; rows of zeros stay."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1)


def _scaled(f, same, counts):
    """The invariance (draws,) of samples in which picture i occurs counts[:, i] times.

    A picture that occurs twice is no pair of different pictures.
    """
    n, squares = counts.sum(1), (counts**2).sum(1)
    length = (f**2).sum(1)  # 1, or 0 at the mean
    unrelated = (((counts @ f) ** 2).sum(1) - counts**2 @ length) / (n**2 - squares)
    with np.errstate(divide='ignore', invalid='ignore'):  # samples of parallel features
        return (counts @ same / n - unrelated) / (1 - unrelated)


def probe_change(
    x: ArrayLike,
    y: ArrayLike,
    changed: Sequence[ArrayLike],
    test_x: ArrayLike,
    test_y: ArrayLike,
    test_changed: Sequence[ArrayLike],
    penalties: Sequence[float] = PENALTIES,
    seed: int = 0,
) -> Change:
    """Accuracies of linear probes on frozen features, trained with and without a transformation.

    The probe with the transformation is trained on the pictures as they are and on all their
    transformations, with the same labels. It has to ignore what the transformation changes. The
    penalty is chosen on the plain part (`probes.choose_penalty`). The loss is a sum over examples,
    so the penalty is multiplied by the number of copies: with a T that changes nothing both probes
    are the same.

    Args:
        x: features of the training pictures, (n, d).
        y: their classes, (n,).
        changed: features of the transformed training pictures, (n, d) for each transformation.
        test_x: features of the validation pictures, (m, d).
        test_y: their classes, (m,).
        test_changed: features of the transformed validation pictures, (m, d) for each
            transformation.
        penalties: as in `probes.probe_accuracy`.
        seed: as in `probes.choose_penalty`.

    Raises:
        UserError: as `probes.probe_accuracy`, and for no transformations.

    The sign of x is the class, and T turns it:

    >>> x, y = np.array([[-2.0], [-1.0], [1.0], [2.0]]), np.array([0, 0, 1, 1])
    >>> change = probe_change(x, y, [-x], x, y, [-x], penalties=[1.0])
    >>> change.plain, change.plain_on_changed, change.need > 0
    (1.0, 0.0, True)
    """
    if not len(changed) or len(changed) != len(test_changed):
        raise UserError(
            f'{len(changed)} transformations in training and {len(test_changed)} in the test: give '
            'one or more, the same ones'
        )
    copies = 1 + len(changed)
    test_y = np.asarray(test_y)
    tests = [
        (test_x, test_y),
        (np.concatenate([np.asarray(part) for part in test_changed]), np.tile(test_y, copies - 1)),
    ]
    penalty = penalties[0] if len(penalties) == 1 else choose_penalty(x, y, penalties, seed)
    plain = probe_accuracies(x, y, tests, [penalty])
    trained = probe_accuracies(
        np.concatenate([np.asarray(part) for part in (x, *changed)]),
        np.tile(np.asarray(y), copies),
        tests,
        [copies * penalty],
    )
    return Change(*plain, *trained)


def advised_cut(
    invariance: ArrayLike, need: ArrayLike, ignored: float = IGNORED, loss: float = LOSS
) -> Cut:
    """Advises how many layers of a source network to freeze for a target.

    Layers k = 1 ... K go from shallow to deep. I_k(T) is the invariance of layer k to T, and
    need_k(T) the accuracy that a probe on layer k loses if it has to ignore T.

        harmful = {T : max_k need_k(T) > loss and max_k I_k(T) >= ignored}
        helpful = {T : min_k need_k(T) < -loss and I_K(T) >= ignored}

        first = min {k : I_k(T) >= ignored for a T in harmful}

        frozen = floor((first - 1) / 2)   if there is a harmful T
               = K                        if there are helpful ones only
               = 0                        otherwise

    In words: what the target needs and the layers from `first` on have discarded is learnt again,
    by training from before that layer. The lower half of the layers before it stays frozen: the
    upper half has been trained for what comes next. An invariance that the target gains from is
    kept, by freezing all layers. Where neither matters, the whole network is trained. The rule and
    its constants were chosen on validation pictures (`results/invariance.md`).

    Args:
        invariance: I, (layers, transformations).
        need: (layers, transformations).
        ignored: invariance from which a layer ignores a transformation.
        loss: change of accuracy from which a transformation matters to the target.

    Raises:
        UserError: for shapes that do not pair, and numbers that are not finite.

    The target loses 40 points by ignoring T, and the third layer ignores T:

    >>> advised_cut([[0.0], [0.2], [0.8]], [[0.4], [0.4], [0.1]]).frozen
    1

    It gains by ignoring T:

    >>> advised_cut([[0.0], [0.2], [0.8]], [[-0.2], [-0.1], [0.0]]).frozen
    3
    """
    invariance, need = np.asarray(invariance, float), np.asarray(need, float)
    if invariance.ndim != 2 or need.shape != invariance.shape or not invariance.size:
        raise UserError(
            f'invariance {invariance.shape} and need {need.shape}: give (layers, transformations) '
            'twice'
        )
    if not (np.isfinite(invariance).all() and np.isfinite(need).all()):
        raise UserError('invariance or need has values that are not finite: leave such layers out')
    ignores = invariance >= ignored  # (layers, transformations)
    harmful = (need.max(0) > loss) & ignores.any(0)
    helpful = (need.min(0) < -loss) & ignores[-1] & ~harmful
    frozen = 0
    if harmful.any():
        frozen = int(ignores[:, harmful].any(1).argmax()) // 2
    elif helpful.any():
        frozen = len(invariance)
    harmful, helpful = (tuple(np.flatnonzero(which).tolist()) for which in (harmful, helpful))
    return Cut(frozen, harmful, helpful)
