"""The class shares of an unlabelled target, from the predictions of a source model."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import confusion_matrix

from tljax.core import UserError

ROUNDING = 1e-10  # smaller differences of shares are rounding errors


class LabelShift(NamedTuple):
    """A target's estimated classes.

    Attributes:
        weights: p_t(y) / p_s(y), (c,).
        prior: p_t(y), (c,).
        clipped: how many weights were negative and set to 0.

    >>> shift = LabelShift(weights=np.array([0.5, 1.5]), prior=np.array([0.25, 0.75]), clipped=0)
    >>> (shift.prior / shift.weights).tolist()  # the source's prior
    [0.5, 0.5]
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
    """Black box shift estimation: a target's class weights w, without its labels, from C w = mu_t.

    C_ij is the share of source examples with prediction i and label j. mu_t holds the shares of the
    target's predictions. The estimate is right if three things hold: p(x | y) is the same in both
    domains, the target has no class that the source lacks, and C comes from examples that the model
    was not trained on. It cannot check any of the three: under another kind of shift its shares
    look equally good and are wrong. The weight of a class with only a few source examples is less
    certain than it looks.

    Args:
        source_predictions: (n,) classes 0 to c - 1.
        source_labels: (n,) classes 0 to c - 1.
        target_predictions: (m,) classes 0 to c - 1.
        classes: number of classes, c.

    Returns:
        A `LabelShift`. Negative weights are set to 0 and counted, and the others are scaled so that
        the prior sums to 1.

    Raises:
        UserError: for no rows, different numbers of predictions and labels, values that are not
            classes, and a class without source examples.
        UserError: for a C that noise could have made singular. With columns scaled to sum to 1, the
            distance of C from a singular matrix must exceed twice the largest standard error of a
            column.

    Source: Lipton, Wang and Smola, Detecting and correcting for label shift with black box
    predictors, 2018, algorithm 1 (https://arxiv.org/abs/1802.03916).

    >>> shift = label_shift([0, 0, 1, 1], [0, 0, 1, 1], [0, 1, 1, 1], classes=2)
    >>> shift.weights.tolist(), shift.prior.tolist(), shift.clipped
    ([0.5, 1.5], [0.25, 0.75], 0)
    """
    prediction, label, target = _as_classes(
        classes,
        source_predictions=source_predictions,
        source_labels=source_labels,
        target_predictions=target_predictions,
    )
    if len(prediction) != len(label):
        raise UserError(
            f'{len(prediction)} source_predictions and {len(label)} source_labels: give both of '
            'the same examples'
        )
    joint = confusion_matrix(prediction, label, labels=np.arange(classes)) / len(label)
    prior = joint.sum(0)
    if not prior.all():
        raise UserError(
            f'no source example is of class {int(prior.argmin())} of {classes}: leave it out of '
            'the classes, or find some'
        )
    share = joint / prior
    distance = np.linalg.svd(share, compute_uv=False)[-1]  # from the nearest singular matrix
    error = np.sqrt(((1 - (share**2).sum(0)) / (prior * len(label))).max())
    if distance <= 2 * error + ROUNDING:
        raise UserError(
            f'the confusion is {distance:.2g} from a singular one, and its columns are uncertain '
            f'by {error:.2g}: give more source examples, a better predictor, or merge classes it '
            'confuses'
        )
    solution = np.linalg.solve(joint, np.bincount(target, minlength=classes) / len(target))
    weights = np.maximum(solution, 0)
    weights /= prior @ weights
    return LabelShift(weights, prior * weights, int((solution < -ROUNDING).sum()))


def _as_classes(classes, **columns):
    """Returns the columns as arrays of integers from 0 to classes - 1."""
    if not isinstance(classes, (int, np.integer)) or classes < 2:
        raise UserError(f'classes={classes}: give a whole number of two or more')
    columns = {name: np.asarray(column) for name, column in columns.items()}
    for name, column in columns.items():
        if column.ndim != 1 or not column.size or not np.issubdtype(column.dtype, np.integer):
            raise UserError(
                f'{name} is {column.dtype} of shape {column.shape}: give (n,) integers, the class '
                'of each example'
            )
        invalid_classes = column[(column < 0) | (column >= classes)]
        if invalid_classes.size:
            raise UserError(
                f'{name} has a class {invalid_classes[0]}: give classes from 0 to {classes - 1}'
            )
    return columns.values()
