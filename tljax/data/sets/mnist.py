"""MNIST, in the four .gz files of its authors."""

import gzip
from pathlib import Path

import numpy as np

from tljax.core import Dataset
from tljax.data.reading import DIGITS, pixels, reading, resize
from tljax.data.splits import cut_missing


def mnist(
    path: str | Path, size: int = 28, channels: int = 1, validation: float = 0.05, seed: int = 0
) -> dict[str, Dataset]:
    """Handwritten digits (LeCun et al. 1998): 60,000 to train on, 10,000 for the test; float32 in
    [0, 1], (n, size, size, channels).

    Args:
        path: the folder of `train-images-idx3-ubyte.gz` and the other three.
        size: pixels, scaled bilinearly.
        channels: 1, or 3 alike.
        validation: the share of train's classes that is cut off by `seed`.
        seed: of that cut.

    Raises:
        UserError: for a file that is missing or damaged, as all readers here.

    >>> mnist('nowhere')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere/train-images-idx3-ubyte.gz does not exist: give data.path the ...
    """
    parts = {
        split: read_idx(Path(path).expanduser(), name)
        for split, name in (('train', 'train'), ('test', 't10k'))
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


def read_idx(folder: str | Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and labels of two idx files: http://yann.lecun.com/exdb/mnist, 'file formats'.

    Args:
        folder: holds `NAME-images-idx3-ubyte.gz` and `NAME-labels-idx1-ubyte.gz`.
        name: 'train' or 't10k'.

    Returns:
        (pictures (n, 28, 28) uint8, labels (n,) uint8).

    Raises:
        UserError: a file is missing or damaged.

    >>> read_idx(Path('nowhere'), 'train')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere/train-images-idx3-ubyte.gz does not exist: give data.path ...
    """
    found = []
    for kind, start in (('images-idx3', 16), ('labels-idx1', 8)):
        with reading(
            Path(folder, f'{name}-{kind}-ubyte.gz'),
            "give data.path the folder of MNIST's four .gz files",
        ) as path:
            raw = gzip.decompress(path.read_bytes())
            shape = np.frombuffer(raw, '>i4', start // 4 - 1, 4)
            found.append(np.frombuffer(raw, np.uint8, offset=start).reshape(shape))
    return tuple(found)
