"""MNIST, read from the four .gz files of its authors."""

import gzip
from pathlib import Path

import numpy as np

from tljax.core import Dataset
from tljax.data.reading import DIGITS, pixels, reading, resize
from tljax.data.splits import cut_missing


def mnist(
    path: str | Path, size: int = 28, channels: int = 1, validation: float = 0.05, seed: int = 0
) -> dict[str, Dataset]:
    """Loads handwritten digits, float32 in [0, 1], (n, size, size, channels).

    There are 60,000 training digits, from which the validation split is cut, and 10,000 test
    digits.

    Args:
        path: folder of `train-images-idx3-ubyte.gz` and the other three files; `~` is expanded.
        size: side of the pictures, in pixels; they are scaled bilinearly.
        channels: 1, or 3 equal ones.
        validation: share of each class that is cut from train.
        seed: seed of that cut.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    Raises:
        UserError: a file is missing or damaged.

    Source: LeCun et al. 1998, Gradient-based learning applied to document recognition.

    >>> mnist('nowhere')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere/train-images-idx3-ubyte.gz does not exist: give data.path the ...
    """
    splits = {}
    for split, name in (('train', 'train'), ('test', 't10k')):
        pictures, label = read_idx(Path(path).expanduser(), name)
        splits[split] = pixels(resize(pictures, size, channels), label, DIGITS)
    return cut_missing(splits, validation, 0, seed, path)


def read_idx(folder: str | Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Reads the pictures and labels of two idx files.

    Args:
        folder: folder of `NAME-images-idx3-ubyte.gz` and `NAME-labels-idx1-ubyte.gz`.
        name: 'train' or 't10k'.

    Returns:
        (pictures (n, 28, 28) uint8, labels (n,) uint8).

    Raises:
        UserError: a file is missing or damaged.

    Source: http://yann.lecun.com/exdb/mnist, 'file formats'.

    >>> import struct, tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for kind, magic, shape in (('images-idx3', 2051, (2, 28, 28)), ('labels-idx1', 2049, (2,))):
    ...     content = struct.pack(f'>{1 + len(shape)}i', magic, *shape) + bytes(np.prod(shape))
    ...     _ = (folder / f'train-{kind}-ubyte.gz').write_bytes(gzip.compress(content))
    >>> pictures, labels = read_idx(folder, 'train')
    >>> pictures.shape, labels
    ((2, 28, 28), array([0, 0], dtype=uint8))
    """
    arrays = []
    for kind, start in (('images-idx3', 16), ('labels-idx1', 8)):
        with reading(
            Path(folder, f'{name}-{kind}-ubyte.gz'),
            "give data.path the folder of MNIST's four .gz files",
        ) as path:
            content = gzip.decompress(path.read_bytes())
            shape = np.frombuffer(content, '>i4', start // 4 - 1, 4)
            arrays.append(np.frombuffer(content, np.uint8, offset=start).reshape(shape))
    return tuple(arrays)
