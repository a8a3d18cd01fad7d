"""Published ImageNet weights and class names: addresses, checksums, and their place in the
cache."""

import re
from collections.abc import Callable
from pathlib import Path

from tljax.core import UserError
from tljax.files.cache import cache_dir
from tljax.files.downloads import fetch
from tljax.protocols import Config
from tljax.zoo.table import ROWS

CLASSES = (
    'https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json',
    'md5:c2c37ea517e94d9795004a39431a14cb',
)
# what stands for the published weights, and the size of their pictures where there are several
NAME = re.compile(r'imagenet(?::(\d+))?')


def published(
    net: Config,
    size: int = 0,
    top: bool = True,
    check: Callable[[Path], object] | None = None,
    source: str | None = None,
) -> Path:
    """The path of a network's ImageNet weights in the cache (`$TLJAX_CACHE/weights`), fetched if
    they are not there.

    Args:
        net: config of the network, one of ROWS: its name and keywords.
        size: of the pictures that the weights were trained on, where there are several; 0: the
            row's.
        top: with the 1,000 outputs; a file with top that is there serves for one without.
        check: as in `files.downloads.fetch`.
        source: address to take instead of the published one, up to the file's name.

    Raises:
        UserError: for a width or a size without published weights, and as `files.downloads.fetch`.

    >>> published({'name': 'mobilenet', 'alpha': 0.3})
    Traceback (most recent call last):
    tljax.core.UserError: no weights are published for mobilenet at alpha=0.3: there are 0.25, ...
    """
    row, alpha = ROWS[net['name']], net.get('alpha', 1.0)
    for what, value, there in (
        ('alpha', alpha, tuple(row.widths)),
        ('size', size or row.size, row.sizes or (row.size,)),
    ):
        if there and value not in there:
            raise UserError(
                f'no weights are published for {net["name"]} at {what}={value}: there are '
                f'{", ".join(map(str, there))}'
            )
    top = top or 'fc1' in row.top and net.get('fc', True)
    url, full = (row.url(net['name'], each, alpha, size) for each in (top, True))
    folder = cache_dir() / 'weights'
    if not top and (folder / full.rsplit('/', 1)[1]).exists():
        url, top = full, True
    known = f'md5:{row.md5[0 if top else 1]}' if row.md5 else None
    return fetch(
        url if source is None else f'{source}/{url.rsplit("/", 1)[1]}', folder, known, check
    )


def published_classes() -> Path:
    """The path of ImageNet's class index in the cache, fetched if it is not there.

    >>> import os, tempfile
    >>> from unittest import mock
    >>> there = Path(tempfile.mkdtemp(), 'weights', 'imagenet_class_index.json')
    >>> there.parent.mkdir()
    >>> there.touch()
    >>> with mock.patch.dict(os.environ, TLJAX_CACHE=str(there.parents[1])):
    ...     published_classes() == there
    True
    """
    path = cache_dir() / 'weights' / CLASSES[0].rsplit('/', 1)[1]
    return path if path.exists() else fetch(CLASSES[0], path.parent, CLASSES[1])
