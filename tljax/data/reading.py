"""Shared parts of the readers of published data sets: pictures kept as bytes, resizing, and errors
about damaged files."""

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
from tljax.data.ranges import BYTES
from tljax.packing import Bytes, Unpacked

DIGITS = tuple('0123456789')
UNREADABLE = (  # errors that damaged files raise in the readers
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
PATCH = 28  # side of MNIST's pictures in pixels
EDGE = 2  # pixels that MNIST-M adds on every side, so that its pictures are 32 wide


def pixels(pictures: np.ndarray, label: ArrayLike, classes: Sequence[str]) -> Dataset:
    """Returns a Dataset of pictures that are stored as bytes and read as float32 in [0, 1].

    Args:
        pictures: uint8 (n, height, width, channels).
        label: (n,) integers.
        classes: names of the classes.

    >>> white = np.full((1, 1, 1, 1), 255, np.uint8)
    >>> pixels(white, [0], ('white',)).take(np.array([0]))['input'].ravel()
    array([1.], dtype=float32)
    """
    label = np.asarray(label, np.int32)
    dataset = arrays(pictures, label, classes)
    return Dataset(
        taking(pictures, label),
        label,
        dataset.task,
        hashlib.sha256(dataset.fingerprint.encode() + b'pixels').hexdigest(),
        range=BYTES,
    )


def taking(pictures: np.ndarray, label: np.ndarray) -> Unpacked:
    """The `Dataset.take` of pictures in memory that are stored as bytes.

    Args:
        pictures: uint8 (n, height, width) or (n, height, width, channels).
        label: (n, ...).

    >>> taking(np.full((1, 1, 1), 255, np.uint8), np.zeros(1))(np.array([0]))['input'].shape
    (1, 1, 1, 1)
    """
    pictures = pictures if pictures.ndim == 4 else pictures[..., None]
    return Unpacked(lambda index: {'input': Bytes(pictures[index]), 'label': label[index]})


def resize(pictures: np.ndarray, size: int, channels: int) -> np.ndarray:
    """Scales square grey pictures bilinearly, and repeats them in every channel.

    Args:
        pictures: uint8 (n, side, side).
        size: side of the result in pixels.
        channels: number of channels, 1 or 3, all equal.

    Returns:
        uint8 (n, size, size, channels).

    Raises:
        UserError: the size is below 1, or there are neither 1 nor 3 channels.

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
                np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))
                for image in pictures
            ]
        )
    return np.repeat(pictures[..., None], channels, -1)


@contextmanager
def reading(path: str | Path, remedy: str) -> Iterator[Path]:
    """Gives the path of a file to a `with` block, and turns errors of the block into UserError.

    Args:
        path: path of the file; `~` is expanded.
        remedy: what the user can do if the file is missing or damaged, for errors.

    Raises:
        UserError: the file is missing, or the block raises one of UNREADABLE.

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
