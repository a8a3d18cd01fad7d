"""Pictures without labels, in a folder or an archive: the target of an adaptation."""

from pathlib import Path

import numpy as np

from tljax.core import Dataset, Task
from tljax.data.archives import printable
from tljax.data.finding import find
from tljax.data.pictures import pictures, refuse_decoding, refuse_size


def unlabelled(
    path: str | Path,
    size: int,
    channels: int = 3,
    resize: int | None = None,
    pixels: int | None = None,
    interpolation: str = 'bilinear',
) -> dict[str, Dataset]:
    """Reads all pictures below a folder or in an archive, without regard to the folders' names.

    Pictures are decoded as by `folder`. All labels are -1, so no score is measured on them.

    Args:
        path: the folder, ZIP or tar archive; `~` is expanded.
        size: side of the pictures, in pixels.
        channels: 3 for RGB, 1 for grey.
        resize: length of the short side before the centre crop, as for `folder`; None means `size`.
        pixels: largest number of pixels of a picture, as for `folder`.
        interpolation: as for `folder`.

    Returns:
        {'train': Dataset}; the examples are named by their paths.

    Raises:
        UserError: the path does not exist, or holds no pictures.

    >>> import tempfile
    >>> from PIL import Image
    >>> root = Path(tempfile.mkdtemp())
    >>> for number in range(3):
    ...     Image.new('L', (12, 9), 80 * number).save(root / f'{number}.png')
    >>> train = unlabelled(root, size=8)['train']
    >>> train.size, train.task, train.label.tolist()
    (3, Task(kind='unlabelled', names=()), [-1, -1, -1])
    """
    path = Path(path).expanduser()
    refuse_size(size, channels)
    refuse_decoding(0, interpolation)
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
            interpolation=interpolation,
        )
    }
