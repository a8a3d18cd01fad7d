"""Published ImageNet weights and class names: addresses, checksums and paths in the cache."""

import re
from collections.abc import Callable
from pathlib import Path

from tljax.core import UserError
from tljax.files.cache import cache_dir
from tljax.protocols import Config
from tljax.zoo.table import ROWS

CLASSES = (
    'https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json',
    'md5:c2c37ea517e94d9795004a39431a14cb',
)
# a value of init.path for the published weights, with the size of their pictures: 'imagenet:128'
NAME = re.compile(r'imagenet(?::(\d+))?')


def is_name(place: str) -> bool:
    """Tells whether a text names published weights, and no file or folder.

    Args:
        place: 'imagenet', 'imagenet:160', or a name on the Hugging Face hub.

    >>> is_name('imagenet'), is_name('hub:timm/vit_small_patch16_224.dino'), is_name('runs/mine')
    (True, True, False)
    """
    return bool(NAME.fullmatch(place)) or place.startswith('hub:')


def has_imagenet_classes(place: str) -> bool:
    """Tells whether a name of published weights says that they have ImageNet's 1,000 classes.

    Args:
        place: as `is_name` takes it.

    >>> has_imagenet_classes('hub:timm/tf_efficientnet_b0.in1k')
    True
    >>> has_imagenet_classes('hub:timm/vit_small_patch16_224.dino')
    False
    """
    return bool(NAME.fullmatch(place) or re.fullmatch(r'hub:timm/.*in1k(_\d+)?(@.*)?', place))


def published(
    net: Config,
    size: int = 0,
    top: bool = True,
    check: Callable[[Path], object] | None = None,
    source: str | None = None,
) -> Path:
    """Returns the path of a network's ImageNet weights in the cache, and downloads absent ones.

    The cache is `$TLJAX_CACHE/weights`.

    Args:
        net: config of the network: the name of a row of ROWS, and keywords.
        size: side of the pictures that the weights were trained on, pixels; 0: the row's size.
        top: whether the weights need the 1,000 outputs. Without, a file with the outputs serves if
            it is in the cache.
        check: as in `files.downloads.fetch`.
        source: address of the folder to download from; None: the published one.

    Returns:
        Path of the file.

    Raises:
        UserError: for a width or a size without published weights, and as `files.downloads.fetch`.

    >>> published({'name': 'mobilenet', 'alpha': 0.3})
    Traceback (most recent call last):
    tljax.core.UserError: no weights are published for mobilenet at alpha=0.3: there are 0.25, ...
    """
    name, alpha = net['name'], net.get('alpha', 1.0)
    row = ROWS[name]
    if not row.file:
        raise UserError(f'{name} has no weights of this size: take imagenet, or name a file')
    if row.widths:
        _refuse_unpublished(name, 'alpha', alpha, tuple(row.widths))
    _refuse_unpublished(name, 'size', size or row.size, row.sizes or (row.size,))
    folder = cache_dir() / 'weights'
    # VGG's fc1 and fc2 are only in the file with the outputs
    top = top or ('fc1' in row.top and net.get('fc', True))
    top = top or (folder / _file_name(row.url(name, True, alpha, size))).exists()
    url = row.url(name, top, alpha, size)
    if source is not None:
        url = f'{source}/{_file_name(url)}'
    checksum = f'md5:{row.md5[0 if top else 1]}' if row.md5 else None
    from tljax.files.downloads import fetch  # imported late, for a quick start

    return fetch(url, folder, checksum, check)


def _refuse_unpublished(name, keyword, value, choices):
    if value not in choices:
        raise UserError(
            f'no weights are published for {name} at {keyword}={value}: there are '
            f'{", ".join(map(str, choices))}'
        )


def _file_name(url):
    return url.rsplit('/', 1)[1]


def published_classes() -> Path:
    """Returns the path of ImageNet's class index in the cache, and downloads an absent one.

    >>> import os, tempfile
    >>> from unittest import mock
    >>> cache = Path(tempfile.mkdtemp())
    >>> index = cache / 'weights' / 'imagenet_class_index.json'
    >>> index.parent.mkdir()
    >>> index.touch()
    >>> with mock.patch.dict(os.environ, TLJAX_CACHE=str(cache)):
    ...     published_classes() == index
    True
    """
    url, checksum = CLASSES
    path = cache_dir() / 'weights' / _file_name(url)
    if path.exists():
        return path
    from tljax.files.downloads import fetch  # imported late, for a quick start

    return fetch(url, path.parent, checksum)
