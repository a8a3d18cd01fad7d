"""Files that are made once: where they are kept, and how they are written so that no half of one is
ever read."""

import os
import tempfile
from pathlib import Path

import numpy as np


def cache_dir() -> Path:
    """Where rendered and downloaded things are kept: `$TLJAX_CACHE`, or `~/.cache/tljax`.

    >>> cache_dir().is_absolute()
    True
    """
    return Path(os.environ.get('TLJAX_CACHE', '~/.cache/tljax')).expanduser().absolute()


def save_npz(path: Path, /, **columns: np.ndarray) -> None:
    """Writes an .npz whole or not at all, whoever else writes it at the same time.

    Args:
        path: of the file.
        **columns: arrays by name.

    >>> save_npz(Path(tempfile.mkdtemp()) / 'a.npz', x=np.zeros(2))
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix='.npz', delete=False) as file:
        np.savez(file, allow_pickle=True, **columns)
    os.replace(file.name, path)
