"""YOLO's annotations: a text file for each picture, a line for each box (Redmon's Darknet)."""

import math
import posixpath

import yaml

from tljax.core import UserError
from tljax.data.annotations.annotated import (
    Annotated,
    Annotations,
    Pictures,
    split_of,
    text_of,
)
from tljax.data.archives import File

NAMES = ('classes.txt', 'obj.names', 'labels.txt', 'predefined_classes.txt')
SETTINGS = ('data.yaml', 'dataset.yaml')


def yolo(files: dict[str, File]) -> Annotations:
    """Reads text files whose lines are: class, centre x, centre y, width, height in shares.

    The file of images/a.jpg is labels/a.txt, or a.txt beside it. A picture without a file has no
    boxes, as Darknet takes it. Names of classes stand in data.yaml (`names`) or classes.txt;
    without them classes are called by their numbers.

    Args:
        files: the files of a folder or archive by name.

    Splits: folders of the splits' names; '' if there are none.

    Raises:
        UserError: a line is no such box, or its class has no name; or no picture has a file.

    >>> text = b'1 0.5 0.5 0.5 1.0'
    >>> file = File('a.txt', '', len(text), lambda limit: text)
    >>> found = yolo({'labels/a.txt': file, 'images/a.jpg': file})
    >>> found.classes, found.pictures[0].boxes.tolist(), found.pictures[0].label.tolist()
    (('0', '1'), [[0.0, 0.25, 1.0, 0.75]], [1])
    """
    names = _names(files)
    found, bare = [], 0
    for picture in sorted(Pictures(files).names):
        file = next((files[name] for name in labels_of(picture) if name in files), None)
        bare += file is None
        rows = [] if file is None else _rows(file, names)
        found.append(
            Annotated.of(
                picture,
                [box for box, _ in rows],
                [label for _, label in rows],
                split=split_of(posixpath.dirname(picture)),
                shares=True,
            )
        )
    if bare == len(found):
        raise UserError(
            'no picture has a text file of its name, beside it or in labels/: give another path'
        )
    notes = []
    if bare:
        notes.append(f'{bare} pictures have no text file and are taken for pictures without boxes')
    if not names:
        count = 1 + max((int(row.label.max(initial=-1)) for row in found), default=0)
        names = tuple(map(str, range(count)))
        notes.append('no data.yaml or classes.txt names the classes: they are called by number')
    return Annotations(found, names, tuple(range(len(names))), tuple(notes))


def labels_of(picture: str) -> list[str]:
    """Returns the names that the text file of a picture may have.

    Args:
        picture: name of the picture.

    >>> labels_of('images/train/a.jpg')
    ['labels/train/a.txt', 'images/train/a.txt']
    """
    stem = posixpath.splitext(picture)[0] + '.txt'
    parts = stem.split('/')
    if 'images' not in parts[:-1]:
        return [stem]
    last = len(parts) - 1 - parts[::-1].index('images')
    return ['/'.join([*parts[:last], 'labels', *parts[last + 1 :]]), stem]


def _rows(file, names):
    """(box, class) of each line."""
    rows = []
    for i, line in enumerate(text_of(file).splitlines(), 1):
        cells = line.split()
        if not cells:
            continue
        try:
            label, x, y, width, height = map(float, cells)
        except ValueError:
            label = math.nan
        if not (label >= 0 and label % 1 == 0 and all(map(math.isfinite, (x, y, width, height)))):
            raise UserError(
                f'{file.path}, line {i}: {line.strip()[:60]!r} is not class, centre x, centre y, '
                'width and height: mend it'
            )
        if names and label >= len(names):
            raise UserError(
                f'{file.path}, line {i}: class {label:g} has no name, there are {len(names)}: name '
                'it in data.yaml or classes.txt'
            )
        box = [y - height / 2, x - width / 2, y + height / 2, x + width / 2]
        rows.append((box, int(label)))
    return rows


def _names(files):
    """Names of the classes; () if no file has them."""
    for name, file in sorted(files.items()):
        if posixpath.basename(name) in SETTINGS:
            try:
                names = yaml.safe_load(text_of(file))['names']
                if isinstance(names, dict):
                    names = [names[i] for i in range(len(names))]
                return tuple(map(str, names))
            except (yaml.YAMLError, KeyError, TypeError) as error:
                raise UserError(
                    f'{file.path} has no list `names` of all classes ({type(error).__name__}): '
                    'mend it'
                ) from error
        if posixpath.basename(name) in NAMES:
            return tuple(line.strip() for line in text_of(file).splitlines() if line.strip())
    return ()
