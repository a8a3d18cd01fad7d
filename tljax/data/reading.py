"""What readers of published data sets share: pictures kept as bytes, sizes, and damage told in one
line."""

import hashlib
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image
from scipy.io.matlab import MatReadError

from tljax.core import Dataset, UserError
from tljax.data.formats.arrays import arrays

DIGITS = tuple('0123456789')
UNREADABLE = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    StopIteration,
    NotImplementedError,
    zlib.error,
    zipfile.BadZipFile,
    MatReadError,
)
PATCH, EDGE = 28, 2  # side of MNIST's pictures; what MNIST-M's 32 pixels have around them


def pixels(pictures: np.ndarray, label: ArrayLike, classes: Sequence[str]) -> Dataset:
    """A Dataset of pictures that are kept as bytes and given as float32 in [0, 1].

    Args:
        pictures: uint8 (n, h, w, c).
        label: (n,) integers.
        classes: names of the classes.

    >>> pixels(np.full((1, 1, 1, 1), 255, np.uint8), [0], ('white',)).take(np.array([0]))[
    ...     'input'
    ... ].ravel()
    array([1.], dtype=float32)
    """
    label = np.asarray(label, np.int32)
    whole = arrays(pictures, label, classes)
    return Dataset(
        lambda index: {'input': pictures[index] / np.float32(255), 'label': label[index]},
        label,
        whole.task,
        hashlib.sha256(whole.fingerprint.encode() + b'pixels').hexdigest(),
        range=(0.0, 255.0, 'i'),
    )


def resize(pictures: np.ndarray, size: int, channels: int) -> np.ndarray:
    """Grey pictures scaled bilinearly to a size, with as many equal channels.

    Args:
        pictures: uint8 (n, side, side).
        size: side in pixels.
        channels: 1 or 3.

    Returns:
        uint8 (n, size, size, channels).

    Raises:
        UserError: no such size or number of channels.

    >>> resize(np.zeros((2, 8, 8), np.uint8), 4, 3).shape
    (2, 4, 4, 3)
    """
    if channels not in (1, 3) or size < 1:
        raise UserError(
            f'data.size={size}, data.channels={channels}: give one pixel or more, and 1 or 3 '
            'channels'
        )
    if size != pictures.shape[1]:
        pictures = np.stack(
            [
                np.asarray(Image.fromarray(each).resize((size, size), Image.Resampling.BILINEAR))
                for each in pictures
            ]
        )
    return np.repeat(pictures[..., None], channels, -1)


@contextmanager
def reading(path: str | Path, remedy: str) -> Iterator[Path]:
    """The path of a file that is there; whatever goes wrong in reading it is told in one line.

    Args:
        path: of the file; `~` is expanded.
        remedy: what to do where it is missing or damaged.

    Raises:
        UserError: the file is missing, or what reads it fails.

    >>> with reading('nowhere.gz', 'give data.path the folder of the files'):
    ...     pass
    Traceback (most recent call last):
    tljax.core.UserError: nowhere.gz does not exist: give data.path the folder of the files
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise UserError(f'{path} does not exist: {remedy}')
    try:
        yield path
    except UNREADABLE as error:
        raise UserError(
            f'{path} cannot be read ({type(error).__name__}: {str(error)[:80]}): copy it again; '
            f'{remedy}'
        ) from error
