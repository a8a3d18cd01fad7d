"""USPS, read from the HDF5 file of Kaggle."""

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
    """Loads digits from envelopes, float32 in [0, 1], (n, size, size, channels).

    There are 7,291 training digits, from which the validation split is cut, and 2,007 test digits.

    Args:
        path: `usps.h5`; its groups `train` and `test` hold `data`, (n, 256) in [0, 1], which is
            rounded to 256 grey levels, and `target`, (n,).
        size: side of the pictures, in pixels; they are scaled bilinearly.
        channels: 1, or 3 equal ones.
        validation: share of each class that is cut from train.
        seed: seed of that cut.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    Raises:
        UserError: the file is missing or damaged, or its numbers are not in [0, 1].

    Source: Hull 1994, A database for handwritten text recognition research.

    >>> usps('nowhere.h5')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere.h5 does not exist: give data.path usps.h5, with data and ...
    """
    remedy = 'give data.path usps.h5, with data and target in train and test'
    with reading(path, remedy) as path:
        parts = _parts(path)
        if any(grey.min() < 0 or grey.max() > 1 for grey, _ in parts.values()):
            raise ValueError('grey values outside of 0 to 1')
    splits = {}
    for split, (grey, label) in parts.items():
        pictures = resize(np.round(255 * grey).astype(np.uint8), size, channels)
        splits[split] = pixels(pictures, label, DIGITS)
    return cut_missing(splits, validation, 0, seed, path)


def _parts(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """{split: (grey levels (n, 16, 16), labels (n,))} of the file."""
    try:
        with pyfive.File(str(path)) as file:
            return {
                split: (
                    _array(file, split, 'data').reshape(-1, 16, 16),
                    _array(file, split, 'target'),
                )
                for split in ('train', 'test')
            }
    except UNREADABLE:
        raise
    except Exception as error:  # damage may raise any error, by its place in the file
        raise ValueError(str(error) or type(error).__name__) from error


def _array(file: Any, group: str, name: str) -> np.ndarray:
    """An array of a file, which is Any as pyfive's annotations allow a group or None there too."""
    return file[group][name][:]
