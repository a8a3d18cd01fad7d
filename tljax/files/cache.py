"""The cache folder, and an atomic writer for .npz files: a reader never sees half a file."""

import os
import tempfile
from pathlib import Path

import numpy as np


def cache_dir() -> Path:
    """Returns the folder of rendered and downloaded files: `$TLJAX_CACHE`, or `~/.cache/tljax`.

    >>> cache_dir().is_absolute()
    True
    """
    return Path(os.environ.get('TLJAX_CACHE', '~/.cache/tljax')).expanduser().absolute()


def save_npz(path: Path, /, **columns: np.ndarray) -> None:
    """Writes an .npz atomically, also if several processes write the same file at once.

    Args:
        path: path of the file; missing folders are made.
        **columns: arrays by name.

    >>> path = Path(tempfile.mkdtemp(), 'cache', 'a.npz')
    >>> save_npz(path, x=np.arange(3))
    >>> np.load(path)['x'].tolist()
    [0, 1, 2]
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix='.npz', delete=False) as file:
        np.savez(file, allow_pickle=True, **columns)
    os.replace(file.name, path)
