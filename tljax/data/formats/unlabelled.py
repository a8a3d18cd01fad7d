"""Pictures without labels, in a folder or an archive: the target of an adaptation."""

from pathlib import Path

import numpy as np

from tljax.core import Dataset, Task
from tljax.data.archives import printable
from tljax.data.finding import find
from tljax.data.pictures import pictures, refuse_size


def unlabelled(
    path: str | Path,
    size: int,
    channels: int = 3,
    resize: int | None = None,
    pixels: int | None = None,
) -> dict[str, Dataset]:
    """All pictures below a folder or in an archive; folders' names mean nothing here.

    Pictures are read as `folder` reads them. Labels are -1, and no score is measured on them.

    Args:
        path: the folder, ZIP or tar; `~` is expanded.
        size: side in pixels.
        channels: 3 for RGB, 1 for grey.
        resize: as `folder` takes it.
        pixels: as `folder` takes it.

    Returns:
        {'train': Dataset}; the examples are named by their paths.

    Raises:
        UserError: the path does not exist, or holds no pictures.

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
    refuse_size(size, channels)
    files = find([path])
    return {
        'train': pictures(
            files,
            (size, size, channels),
            resize,
            np.full(len(files), -1),
            Task('unlabelled'),
            [printable(file.path) for file in files],
            pixels,
        )
    }
