"""A data set of arrays in memory."""
import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from tljax.core import Dataset, Refused, Task


def arrays(input: ArrayLike, label: ArrayLike, classes: Sequence[str] = ()) -> Dataset:
    """A dataset of arrays in memory.

    Args:
        input: (n, ...) array.
        label: (n,) integers below `len(classes)`, or (n,) or (n, d) numbers for regression.
        classes: names, in the order of the labels.

    Raises:
        Refused: where lengths differ, a label has no class, or an input is not finite.

    >>> arrays(np.zeros((2, 3)), np.array([0, 1]), ('a', 'b')).take(np.array([1]))['label']
    array([1])
    """
    input, label = np.asarray(input), np.asarray(label)
    if len(input) != len(label):
        raise Refused(f'{len(input)} inputs but {len(label)} labels: give one label per input')
    if classes and len(label) and not (label.min() >= 0 and label.max() < len(classes)):
        raise Refused(f'labels run from {label.min()} to {label.max()} but there are {len(classes)} classes: number them from 0')
    if np.issubdtype(input.dtype, np.floating) and not np.isfinite(input).all():
        raise Refused(f'{int((~np.isfinite(input)).sum())} input values are not finite: clean them before they are trained on')
    digest = hashlib.sha256(np.ascontiguousarray(input).tobytes() + np.ascontiguousarray(label).tobytes()).hexdigest()
    return Dataset(lambda index: {'input': input[index], 'label': label[index]}, label, Task.of(classes), digest)
