"""The cache folder, and an atomic writer for .npz files: a reader never sees half a file."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
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


def cached_arrays(
    key: list, compute: Callable[[], dict[str, np.ndarray]], anew: bool = False
) -> dict[str, np.ndarray]:
    """Returns what `compute` returns, from a file of the cache if it was computed before.

    Args:
        key: everything that the arrays depend on, as JSON.
        compute: function that makes the arrays by name.
        anew: whether they are computed even if there is a file.

    >>> key = [tempfile.mkdtemp()]  # like no other
    >>> arrays = [cached_arrays(key, lambda n=n: {'x': np.array(n)}) for n in (3, 4)]
    >>> [int(each['x']) for each in arrays]
    [3, 3]
    """
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()
    path = cache_dir() / 'features' / f'{name}.npz'
    if anew or not path.exists():
        save_npz(path, **compute())
    with np.load(path, allow_pickle=False) as file:
        return dict(file)
