"""A data set of arrays in memory."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from tljax.core import Dataset, Task, UserError, abbreviated
from tljax.data.tasks import infer_task


def arrays(input: ArrayLike, label: ArrayLike, classes: Sequence[str] = ()) -> Dataset:
    """A dataset of arrays in memory.

    Args:
        input: (n, ...) array.
        label: with `classes`: (n,) integers below `len(classes)`, or some of these names, or (n,
            len(classes)) of 0 and 1. Without: (n,) or (n, d) numbers for regression.
        classes: names, in the order of the labels.

    Raises:
        UserError: where lengths differ, a label has no class, a class two names, or a number is not
            finite.

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
        held, task, notes = infer_task({'train': label}, classes, 'arrays')
        label = held['train']
    if len(set(classes)) < len(classes):
        raise UserError(
            f'classes has a name twice ({abbreviated(classes)}): give each class one of its own'
        )
    if label.dtype.kind not in 'biuf' or label.dtype.kind == 'f' and not np.isfinite(label).all():
        raise UserError(
            f'the labels are {label.dtype}, and not all of them finite numbers: name the classes '
            '(arrays(input, label, classes)), or clean them'
        )
    if task.kind == 'classes' and len(label) and not 0 <= label.min() <= label.max() < len(classes):
        raise UserError(
            f'labels run from {label.min()} to {label.max()} but there are {len(classes)} classes: '
            'number them from 0'
        )
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
