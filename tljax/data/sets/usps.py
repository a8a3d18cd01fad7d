"""USPS, in the HDF5 file of Kaggle."""

from pathlib import Path

import numpy as np
import pyfive

from tljax.core import Dataset
from tljax.data.reading import DIGITS, UNREADABLE, pixels, reading, sized
from tljax.data.splits import complete


def usps(
    path: str | Path, size: int = 16, channels: int = 1, validation: float = 0.05, seed: int = 0
) -> dict[str, Dataset]:
    """Digits of envelopes (Hull 1994): 7,291 to train on, 2,007 for the test; float32 in [0, 1],
    (n, size, size, channels).

    Args:
        path: `usps.h5`: groups `train` and `test` with `data` (n, 256) in [0, 1], which is rounded
            to 256 greys, and `target` (n,). The rest as `mnist`.

    >>> usps('nowhere.h5')
    Traceback (most recent call last):
    tljax.core.Refused: nowhere.h5 does not exist: give data.path usps.h5, with data and ...
    """
    remedy = 'give data.path usps.h5, with data and target in train and test'
    with reading(path, remedy) as path:
        parts = _parts(path)
        if any(grey.min() < 0 or grey.max() > 1 for grey, _ in parts.values()):
            raise ValueError('grey values outside of 0 to 1')
    parts = {
        split: (np.round(255 * grey).astype(np.uint8), label)
        for split, (grey, label) in parts.items()
    }
    return complete(
        {
            split: pixels(sized(pictures, size, channels), label, DIGITS)
            for split, (pictures, label) in parts.items()
        },
        validation,
        0,
        seed,
        path,
    )


def _parts(path):
    """{split: (greys (n, 16, 16), labels (n,))}"""
    try:
        with pyfive.File(path) as file:
            return {
                split: (file[split]['data'][:].reshape(-1, 16, 16), file[split]['target'][:])
                for split in ('train', 'test')
            }
    except Exception as error:  # damage is as many kinds of error as there are places in a file
        raise (
            error
            if isinstance(error, UNREADABLE)
            else ValueError(str(error) or type(error).__name__)
        ) from error
