"""The shares of a target's classes, from predictions alone."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import confusion_matrix

from tljax.core import UserError

ROUNDING = 1e-10  # shares that differ by less are equal but for rounding


class LabelShift(NamedTuple):
    """A target's classes: weights p_t(y) / p_s(y) (c,), prior p_t(y) (c,), and how many weights
    were negative and clipped at 0.

    >>> LabelShift(
    ...     weights=np.array([0.5, 1.5]), prior=np.array([0.25, 0.75]), clipped=0
    ... ).prior.tolist()
    [0.25, 0.75]
    """

    weights: np.ndarray
    prior: np.ndarray
    clipped: int


def label_shift(
    source_predictions: ArrayLike,
    source_labels: ArrayLike,
    target_predictions: ArrayLike,
    classes: int,
) -> LabelShift:
    """The target's class shares without its labels: w with C w = mu_t, by black box shift
    estimation.

    C_ij is the share of source examples predicted i and labelled j, mu_t that of the target's
    predicted i. It is right where p(x | y) is common to both domains, only classes the source has
    occur, and C comes from examples the model was not trained on. It can see none of the three:
    under any other shift it returns shares that look as good, and are wrong. A class of a handful
    of source examples looks surer than it is.

    Args:
        source_predictions: (n,) classes 0 to c - 1.
        source_labels: (n,) classes 0 to c - 1.
        target_predictions: (m,) classes 0 to c - 1.
        classes: number of classes, c.

    Returns:
        A `LabelShift`. Negative weights are clipped at 0 and counted, and the rest scaled so that
        the prior sums to 1.

    Raises:
        UserError: for no rows, rows that do not pair, what are no classes, a class the source
            lacks, and a C no farther from a singular one, its columns scaled to sum to 1, than
            twice the largest standard error of a column: mere noise can be as far.

    Source: Lipton, Wang and Smola, Detecting and correcting for label shift with black box
    predictors, 2018, algorithm 1 (https://arxiv.org/abs/1802.03916).

    >>> shift = label_shift([0, 0, 1, 1], [0, 0, 1, 1], [0, 1, 1, 1], classes=2)
    >>> shift.weights.tolist(), shift.prior.tolist(), shift.clipped
    ([0.5, 1.5], [0.25, 0.75], 0)
    """
    predicted, label, target = _as_classes(
        classes,
        source_predictions=source_predictions,
        source_labels=source_labels,
        target_predictions=target_predictions,
    )
    if len(predicted) != len(label):
        raise UserError(
            f'{len(predicted)} source_predictions and {len(label)} source_labels: give both of the '
            'same examples'
        )
    joint = confusion_matrix(predicted, label, labels=np.arange(classes)) / len(label)
    prior = joint.sum(0)
    if not prior.all():
        raise UserError(
            f'no source example is of class {int(prior.argmin())} of {classes}: leave it out of '
            'the classes, or find some'
        )
    share = joint / prior
    smallest = np.linalg.svd(share, compute_uv=False)[-1]
    error = np.sqrt(((1 - (share**2).sum(0)) / (prior * len(label))).max())
    if smallest <= 2 * error + ROUNDING:
        raise UserError(
            f'the confusion is {smallest:.2g} from a singular one, and its columns are uncertain '
            f'by {error:.2g}: give more source examples, a better predictor, or merge classes it '
            'confuses'
        )
    solution = np.linalg.solve(joint, np.bincount(target, minlength=classes) / len(target))
    weights = np.maximum(solution, 0)
    weights /= prior @ weights
    return LabelShift(weights, prior * weights, int((solution < -ROUNDING).sum()))


def _as_classes(classes, **columns):
    """The columns as arrays of integers from 0 to classes - 1, or a refusal."""
    if not isinstance(classes, (int, np.integer)) or classes < 2:
        raise UserError(f'classes={classes}: give a whole number of two or more')
    columns = {name: np.asarray(column) for name, column in columns.items()}
    for name, column in columns.items():
        if column.ndim != 1 or not column.size or not np.issubdtype(column.dtype, np.integer):
            raise UserError(
                f'{name} is {column.dtype} of shape {column.shape}: give (n,) integers, the class '
                'of each example'
            )
        if wrong := column[(column < 0) | (column >= classes)].tolist():
            raise UserError(f'{name} has a class {wrong[0]}: give classes from 0 to {classes - 1}')
    return columns.values()
