"""A data set of texts in memory, which `tljax.data.tfidf` turns into numbers."""

import hashlib
import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from tljax.core import Dataset, UserError
from tljax.data.formats.arrays import arrays


def texts(input: Sequence[str], label: ArrayLike, classes: Sequence[str] = ()) -> Dataset:
    """Makes a Dataset of texts in memory. A batch's inputs are an array of str, (n,).

    Args:
        input: the texts.
        label: as `arrays` takes it.
        classes: as `arrays` takes it.

    Raises:
        UserError: an input is no text, and as `arrays`.

    >>> texts(['win a prize', 'see you'], [1, 0], ('ham', 'spam')).take(np.array([0]))['input']
    array(['win a prize'], dtype=object)
    """
    for i, text in enumerate(input):
        if not isinstance(text, str):
            raise UserError(f'input {i} is of type {type(text).__name__}: give texts')
    content = np.array([*input, None], object)[:-1]  # None keeps NumPy from padding all texts
    dataset = arrays(np.arange(len(content)), label, classes)
    digest = hashlib.sha256(json.dumps([dataset.fingerprint, *input]).encode()).hexdigest()
    return dataset._replace(
        take=lambda index: {'input': content[index], 'label': dataset.label[index]},
        fingerprint=digest,
    )
