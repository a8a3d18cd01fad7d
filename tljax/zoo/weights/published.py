"""Published ImageNet weights and class names: addresses, checksums, and their place in the cache."""
import json
import re
from collections.abc import Callable
from pathlib import Path

from tljax.core import Refused
from tljax.files.cache import cache_dir
from tljax.files.downloads import fetch
from tljax.zoo.table import ROWS

CLASSES = ('https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json', 'md5:c2c37ea517e94d9795004a39431a14cb')
LARGEST = 2 ** 24   # bytes of a list of classes
NAME = re.compile(r'imagenet(?::(\d+))?')   # what stands for the published weights, and the size of their pictures where there are several


def published(net: dict, size: int = 0, top: bool = True, check: Callable | None = None,
              source: str | None = None) -> Path:
    """The path of a network's ImageNet weights in the cache (`$TLJAX_CACHE/weights`), fetched if they are not there.

    Args:
        net: config of the network, one of ROWS: its name and keywords.
        size: of the pictures that the weights were trained on, where there are several; 0: the
            row's.
        top: with the 1,000 outputs; a file with top that is there serves for one without.
        check: as in `files.downloads.fetch`.
        source: address to take instead of the published one, up to the file's name.

    Raises:
        Refused: for a width or a size without published weights, and as `files.downloads.fetch`.

    >>> published({'name': 'mobilenet', 'alpha': .3})
    Traceback (most recent call last):
    tljax.core.Refused: no weights are published for mobilenet at alpha=0.3: there are 0.25, 0.5, 0.75, 1.0
    """
    row, alpha = ROWS[net['name']], net.get('alpha', 1.)
    for what, value, there in (('alpha', alpha, tuple(row.widths)), ('size', size or row.size, row.sizes or (row.size,))):
        if there and value not in there:
            raise Refused(f'no weights are published for {net["name"]} at {what}={value}: there are {", ".join(map(str, there))}')
    top = top or 'fc1' in row.top and net.get('fc', True)
    url, full = (row.url(net['name'], each, alpha, size) for each in (top, True))
    folder = cache_dir() / 'weights'
    if not top and (folder / full.rsplit('/', 1)[1]).exists():
        url, top = full, True
    known = f'md5:{row.md5[0 if top else 1]}' if row.md5 else None
    return fetch(url if source is None else f'{source}/{url.rsplit("/", 1)[1]}', folder, known, check)


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


def class_index(path: str | Path) -> list[tuple[str, str]]:
    """The classes in the order of the weights' outputs, [(WordNet id, name)]: of the JSON file that
    Keras publishes for ImageNet, or of a text with a name a line, or '0 name' as Teachable Machine
    writes it, whose names stand in both places.

    Args:
        path: of the file; one whose name does not end in .json and that does not begin with { is a
            text.

    Raises:
        Refused: for a missing file, and one of another form.

    >>> class_index('nowhere.json')
    Traceback (most recent call last):
    tljax.core.Refused: nowhere.json does not exist: name ImageNet's class index (imagenet_class_index.json)
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise Refused(f'{path} does not exist: name ImageNet\'s class index (imagenet_class_index.json)')
    text = _text(path)
    if path.suffix != '.json' and not text.lstrip().startswith('{'):
        return _lines(path, text)
    try:
        index = json.loads(text)
        pairs = [(str(wnid), str(name)) for wnid, name in (index[str(i)] for i in range(len(index)))]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refused(f'{path} is no class index ({type(error).__name__} at {error}): it maps "0", "1", ... to ["n01440764", "tench"], ...'
                      ) from error
    if not pairs:
        raise Refused(f'{path} names no classes: take imagenet_class_index.json')
    return pairs


def _text(path: Path) -> str:
    if path.stat().st_size > LARGEST:
        raise Refused(f'{path} takes more than {LARGEST:,} bytes: name a list of classes, one a '
                      'line')
    try:
        text = path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError:
        text = '\0'
    if '\0' in text:
        raise Refused(f'{path} is no text in UTF-8: name a list of classes, one a line, or '
                      "ImageNet's class index")
    return text


def _lines(path: Path, text: str) -> list[tuple[str, str]]:
    """Names one a line; where the lines begin with the numbers from 0 on, each once, these are
    places and no part of the names."""
    names = [line.strip() for line in re.split(r'[\r\n]+', text) if line.strip()]
    numbered = [re.fullmatch(r'(\d{1,9})[\s:,]+(\S.*)', name) for name in names]
    if all(numbered) and sorted(int(each[1]) for each in numbered) == list(range(len(names))):
        names = [each[2] for each in sorted(numbered, key=lambda each: int(each[1]))]
    if not names:
        raise Refused(f'{path} names no classes: give them one a line')
    return [(name, name) for name in names]
