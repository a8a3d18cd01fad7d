"""Annotated pictures, and the picture that an annotation means."""

import math
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from tljax.core import UserError
from tljax.data.archives import File
from tljax.data.finding import is_picture
from tljax.data.layout import SPLITS

CONTROL = re.compile(r'[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]')  # all but tabs and ends of lines


class Annotated(NamedTuple):
    """The annotation of one picture.

    Attributes:
        name: name of the picture below the folder or archive.
        boxes: top, left, bottom, right, (g, 4) float64.
        label: class of each box, (g,) integers.
        ignored: which boxes are neither to be found nor to be missed (COCO's crowds, VOC's
            difficult ones), (g,) booleans.
        area: area of each object, (g,), pixels; NaN where only its box is known.
        size: height and width in pixels that the annotation states; () if it states none.
        split: 'train', 'validation' or 'test'; '' if nothing says so.
        shares: whether boxes are shares of the picture's height and width; else they are pixels.

    >>> Annotated.of('a.jpg', [[1, 2, 3, 4]], [0], size=(8, 8)).area
    array([nan])
    """

    name: str
    boxes: np.ndarray
    label: np.ndarray
    ignored: np.ndarray
    area: np.ndarray
    size: tuple[int, int] | tuple[()] = ()
    split: str = ''
    shares: bool = False

    @classmethod
    def of(
        cls,
        name: str,
        boxes: Sequence[Sequence[float]],
        label: Sequence[int],
        ignored: Sequence[bool] | None = None,
        area: Sequence[float] | None = None,
        size: tuple[int, int] | tuple[()] = (),
        split: str = '',
        shares: bool = False,
    ) -> 'Annotated':
        """Returns the annotation of lists. Any number of boxes will do, 0 included.

        Args:
            name: as in the class.
            boxes: as in the class.
            label: as in the class.
            ignored: as in the class; None for none.
            area: as in the class; None for unknown ones.
            size: as in the class.
            split: as in the class.
            shares: as in the class.
        """
        count = len(boxes)
        return cls(
            name,
            np.array(boxes, np.float64).reshape(count, 4),
            np.array(label, np.int64).reshape(count),
            np.array([False] * count if ignored is None else ignored, bool),
            np.array([math.nan] * count if area is None else area, np.float64),
            size,
            split,
            shares,
        )


class Annotations(NamedTuple):
    """What a reader returns.

    Attributes:
        pictures: the annotated pictures.
        classes: names of the classes, in the order of the labels.
        ids: number of each class in the files, such as COCO's category ids, which have gaps.
        notes: choices that the reader made for the user, one line each.
    """

    pictures: list[Annotated]
    classes: tuple[str, ...]
    ids: tuple[int, ...]
    notes: tuple[str, ...] = ()


class Pictures:
    """Finds pictures among files by what an annotation calls them.

    Args:
        names: names of the files below a folder or archive.

    >>> names = Pictures(['train/a.jpg', 'test/a.jpg', 'b.png'])
    >>> names.find('C:\\\\mine\\\\b.png'), names.find('a', folder='test', is_stem=True)
    ('b.png', 'test/a.jpg')
    >>> names.find('a.jpg')
    Traceback (most recent call last):
    tljax.core.UserError: a.jpg stands in several folders (train/a.jpg, test/a.jpg): give the ...
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = [name for name in names if is_picture(name)]
        self._by_key = defaultdict(list)
        for name in self.names:
            base = posixpath.basename(name)
            self._by_key[base].append(name)
            self._by_key[posixpath.splitext(base)[0] + '/'].append(name)  # '/': the key of a stem

    def find(
        self, reference: str, folder: str = '', split: str = '', is_stem: bool = False
    ) -> str | None:
        """Returns the name of a picture, or None if there is none.

        Args:
            reference: the picture's name or path in the annotation; a path may be another
                machine's.
            folder: of several such pictures, that in this folder is meant.
            split: of several such pictures, that below a folder of this split is meant.
            is_stem: whether the name has no ending.

        Raises:
            UserError: several pictures have the name.
        """
        reference = reference.replace('\\', '/')
        found = self._by_key[posixpath.basename(reference) + '/' * is_stem]
        for is_meant in (
            lambda name: name == reference or name.endswith('/' + reference.lstrip('./')),
            lambda name: posixpath.dirname(name) == folder,
            lambda name: split and split_of(name) == split,
        ):
            if len(found) > 1:
                found = [name for name in found if is_meant(name)] or found
        if len(found) > 1:
            raise UserError(
                f'{reference} stands in several folders ({", ".join(found[:3])}): give the '
                'pictures different names'
            )
        return found[0] if found else None


def split_of(name: str) -> str:
    """Returns the split that a part of a path names, '' if none does; the last one counts.

    Args:
        name: a path.

    >>> split_of('data/train2017/a.jpg'), split_of('annotations/instances_val.json'), split_of('a')
    ('train', 'validation', '')
    """
    words = [word for part in name.split('/') for word in re.split('[^a-z]+', part.lower())]
    return next((SPLITS[word] for word in reversed(words) if word in SPLITS), '')


def text_of(file: File) -> str:
    """Returns the text of a file.

    Args:
        file: the file, in UTF-8.

    Raises:
        UserError: it is not UTF-8, or has control characters.
    """
    try:
        text = file.read().decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise UserError(f'{file.path} is no text in UTF-8: save it as such') from error
    if found := CONTROL.search(text):
        raise UserError(
            f'{file.path} has the character {found[0]!r}, so that it is no text: mend it'
        )
    return text
