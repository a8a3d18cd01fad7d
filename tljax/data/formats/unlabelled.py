"""Pictures without labels, in a folder: the target of an adaptation."""
from pathlib import Path

import numpy as np

from tljax.core import Dataset, Refused, Task
from tljax.data.pictures import find, pictures


def unlabelled(path: str | Path, size: int, channels: int = 3, resize: int | None = None
               ) -> dict[str, Dataset]:
    """All pictures in a folder and in the folders inside it, whose names mean nothing here.

    Pictures are read as `folder` reads them. Labels are -1, and no score is measured on them.

    Args:
        path: the folder; `~` is expanded.
        size: side in pixels.
        channels: 3 for RGB, 1 for grey.
        resize: as `folder` takes it.

    Returns:
        {'train': Dataset}; the examples are named by their paths.

    Raises:
        Refused: the path is no folder, or holds no pictures.

    >>> import tempfile
    >>> from PIL import Image
    >>> root = Path(tempfile.mkdtemp())
    >>> for number in range(3):
    ...     Image.new('L', (12, 9), 80 * number).save(root / f'{number}.png')
    >>> found = unlabelled(root, size=8)['train']
    >>> found.size, found.task, found.label.tolist()
    (3, Task(kind='unlabelled', names=()), [-1, -1, -1])
    """
    path = Path(path).expanduser()
    if not path.is_dir():
        raise Refused(f'{path} is no folder: give pictures without labels in a folder, unpacked')
    if channels not in (1, 3) or size < 1:
        raise Refused(f'data.size={size}, data.channels={channels}: give a side of at least 1 '
                      'pixel, and 3 channels or 1 (grey)')
    files = find([path])
    found = pictures(files, (size, size, channels), resize, np.full(len(files), -1))
    names = np.array([str(file) for file in files])
    return {'train': found._replace(task=Task('unlabelled'), names=names)}
