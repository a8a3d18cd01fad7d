"""USPS, in the HDF5 file of Kaggle."""

from pathlib import Path
from typing import Any

import numpy as np
import pyfive

from tljax.core import Dataset
from tljax.data.reading import DIGITS, UNREADABLE, pixels, reading, resize
from tljax.data.splits import cut_missing


def usps(
    path: str | Path, size: int = 16, channels: int = 1, validation: float = 0.05, seed: int = 0
) -> dict[str, Dataset]:
    """Digits of envelopes (Hull 1994): 7,291 to train on, 2,007 for the test; float32 in [0, 1],
    (n, size, size, channels).

    Args:
        path: `usps.h5`: groups `train` and `test` with `data` (n, 256) in [0, 1], which is rounded
            to 256 greys, and `target` (n,).
        size: as `mnist`.
        channels: as `mnist`.
        validation: as `mnist`.
        seed: as `mnist`.

    >>> usps('nowhere.h5')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere.h5 does not exist: give data.path usps.h5, with data and ...
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
    return cut_missing(
        {
            split: pixels(resize(pictures, size, channels), label, DIGITS)
            for split, (pictures, label) in parts.items()
        },
        validation,
        0,
        seed,
        path,
    )


def _parts(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """{split: (greys (n, 16, 16), labels (n,))}"""
    try:
        with pyfive.File(str(path)) as file:
            return {
                split: (
                    _array(file, split, 'data').reshape(-1, 16, 16),
                    _array(file, split, 'target'),
                )
                for split in ('train', 'test')
            }
    except Exception as error:  # damage is as many kinds of error as there are places in a file
        raise (
            error
            if isinstance(error, UNREADABLE)
            else ValueError(str(error) or type(error).__name__)
        ) from error


def _array(file: Any, group: str, name: str) -> np.ndarray:
    """An array of a file, which by its annotations may hold a group or nothing in its place."""
    return file[group][name][:]
