"""A data set of arrays in memory."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from tljax.core import Dataset, Task, UserError, abbreviated
from tljax.data.tasks import infer_task


def arrays(input: ArrayLike, label: ArrayLike, classes: Sequence[str] = ()) -> Dataset:
    """Makes a Dataset of arrays in memory.

    Args:
        input: (n, ...) array.
        label: with `classes`: (n,) integers below `len(classes)`, (n,) names of classes, or (n,
            len(classes)) of 0 and 1. Without `classes`: (n,) or (n, d) numbers for regression.
        classes: names of the classes, in the order of the labels; () for regression.

    Raises:
        UserError: the lengths differ, a label has no class, two classes have one name, or a number
            is not finite.

    >>> arrays(np.zeros((2, 3)), np.array([0, 1]), ('a', 'b')).take(np.array([1]))['label']
    array([1])
    >>> arrays(np.zeros((2, 3)), ['b', 'a'], ('a', 'b')).label
    array([1, 0], dtype=int32)
    """
    input, label = np.asarray(input), np.asarray(label)
    if len(input) != len(label):
        raise UserError(f'{len(input)} inputs but {len(label)} labels: give one label per input')
    task, notes = Task.of(classes), ()
    if classes and (label.dtype.kind not in 'iu' or label.ndim != 1):
        labels, task, notes = infer_task({'train': label}, classes, 'arrays')
        label = labels['train']
    if len(set(classes)) < len(classes):
        raise UserError(
            f'classes has a name twice ({abbreviated(classes)}): give each class one of its own'
        )
    _refuse_labels(label, task)
    if np.issubdtype(input.dtype, np.floating) and not np.isfinite(input).all():
        raise UserError(
            f'{int((~np.isfinite(input)).sum())} input values are not finite: clean them before '
            'they are trained on'
        )
    digest = hashlib.sha256(
        np.ascontiguousarray(input).tobytes() + np.ascontiguousarray(label).tobytes()
    ).hexdigest()
    return Dataset(
        lambda index: {'input': input[index], 'label': label[index]},
        label,
        task,
        digest,
        notes=notes,
    )


def _refuse_labels(label, task):
    """Raises an error if labels are not finite numbers, or have no class."""
    if label.dtype.kind not in 'biuf' or label.dtype.kind == 'f' and not np.isfinite(label).all():
        raise UserError(
            f'the labels are {label.dtype}, and not all of them finite numbers: name the classes '
            '(arrays(input, label, classes)), or clean them'
        )
    count = len(task.names)
    if task.kind == 'classes' and len(label) and not 0 <= label.min() <= label.max() < count:
        raise UserError(
            f'labels run from {label.min()} to {label.max()} but there are {count} classes: '
            'number them from 0'
        )
