"""Results that a study computes once and keeps as JSON, so that a restart continues it."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tljax.files.text import write

Value = TypeVar('Value')  # of JSON


def stored(folder: Path, name: str, key: list, compute: Callable[[], Value]) -> Value:
    """Returns what `compute` returns, stored in a file under its name and key.

    Args:
        folder: folder of the file.
        name: beginning of the file's name.
        key: everything that the value depends on, as JSON.
        compute: called where there is no such file.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> [stored(folder, 'sum', [1, 2], lambda value=value: value) for value in (3, 4)]
    [3, 3]
    """
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:12]
    path = folder / f'{name}-{digest}.json'
    if not path.exists():
        write(path, json.dumps(compute()))
    return json.loads(path.read_text())
