"""Pascal VOC's annotations: an XML file for each picture (Everingham et al. 2010)."""

import math
import posixpath
from xml.etree import ElementTree

from tljax.core import UserError, abbreviated
from tljax.data.annotations.annotated import (
    Annotated,
    Annotations,
    Pictures,
    split_of,
    text_of,
)
from tljax.data.archives import File
from tljax.data.layout import SPLITS

LISTS = 'ImageSets/Main/'  # the folder of the lists train.txt, val.txt and test.txt
EDGES = ('ymin', 'xmin', 'ymax', 'xmax')


def voc(files: dict[str, File], difficult: bool = False) -> Annotations:
    """Reads XML files, each of which describes the picture of its own name.

    Where no picture has the XML's name, the picture that its `filename` says is taken. Coordinates
    are taken for the edges of boxes in pixels, as the TensorFlow Object Detection API does. Classes
    are sorted by name.

    Args:
        files: the files of a folder or archive by name.
        difficult: whether boxes marked difficult are boxes like others; else they are ignored.

    Splits: lists in ImageSets/Main, or folders of the splits' names; '' if there are neither.

    Raises:
        UserError: an XML file is damaged or has a box without edges, or its picture is missing; a
            list names a picture that has no XML, or that another list names.

    >>> text = b'<annotation><object><name>cat</name><bndbox><xmin>1</xmin><ymin>2</ymin>'
    >>> text += b'<xmax>3</xmax><ymax>5</ymax></bndbox></object></annotation>'
    >>> file = File('a.xml', '', len(text), lambda limit: text)
    >>> found = voc({'a.xml': file, 'a.jpg': file})
    >>> found.classes, found.pictures[0].boxes.tolist()
    (('cat',), [[2.0, 1.0, 5.0, 3.0]])
    """
    pictures, rows, missing = Pictures(files), [], []
    split_by_stem = _lists(files)
    for name in sorted(name for name in files if name.lower().endswith('.xml')):
        root = _parsed(files[name])
        stem, folder = posixpath.splitext(posixpath.basename(name))[0], posixpath.dirname(name)
        picture = pictures.find(stem, folder, is_stem=True)
        picture = picture or pictures.find(root.findtext('filename', '').strip() or stem, folder)
        if picture is None:
            missing.append(name)
            continue
        split = split_by_stem.get(stem, '') if split_by_stem else split_of(picture)
        rows.append((picture, _objects(root, files[name]), _size(root), split, stem))
    if missing:
        raise UserError(
            f'{len(missing)} XML files have no picture ({abbreviated(missing, 3)}): add the '
            'pictures or remove them'
        )
    absent = set(split_by_stem) - {stem for *_, stem in rows}
    if absent:
        raise UserError(
            f'{LISTS} names {len(absent)} pictures that have no XML '
            f'({abbreviated(sorted(absent), 3)}): add it or remove them from the lists'
        )
    notes = ()
    if split_by_stem:
        unlisted = [stem for *_, split, stem in rows if not split]
        rows = [row for row in rows if row[3]]
        if unlisted:
            notes = (f'{len(unlisted)} pictures in no list of {LISTS} left out',)
    classes = tuple(sorted({name for _, objects, *_ in rows for name, *_ in objects}))
    number = {name: i for i, name in enumerate(classes)}
    return Annotations(
        [
            Annotated.of(
                picture,
                [box for _, box, _ in objects],
                [number[name] for name, *_ in objects],
                [is_difficult and not difficult for *_, is_difficult in objects],
                size=size,
                split=split,
            )
            for picture, objects, size, split, _ in rows
        ],
        classes,
        tuple(range(len(classes))),
        notes,
    )


def _parsed(file):
    """The root of an XML file. A file that declares entities, which can unfold without end, is
    refused; annotations have none."""
    data = file.read()
    if b'<!DOCTYPE' in data or b'<!ENTITY' in data:
        raise UserError(f'{file.path} declares entities, which annotations have not: remove it')
    try:
        return ElementTree.fromstring(data)
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise UserError(f'{file.path} is no XML ({error}): mend or remove it') from error


def _objects(root, file):
    """(class, [top, left, bottom, right], whether it is difficult) of each object."""
    objects = []
    for item in root.findall('object'):
        name = item.findtext('name', '').strip()
        texts = [item.findtext(f'bndbox/{edge}', '') for edge in EDGES]
        try:
            box = [float(text) for text in texts]
        except ValueError:
            box = [math.nan]
        if not name or not all(map(math.isfinite, box)):
            raise UserError(
                f'{file.path}: object {len(objects) + 1} needs a name and the numbers xmin, ymin, '
                f'xmax and ymax, and has {name!r} and {", ".join(map(repr, texts))}: mend it'
            )
        objects.append((name, box, item.findtext('difficult', '0').strip() == '1'))
    return objects


def _size(root):
    """Height and width; () where they are missing or 0, as some programs write."""
    texts = [root.findtext(f'size/{side}', '').strip() for side in ('height', 'width')]
    if all(text.isdecimal() and int(text) for text in texts):
        return int(texts[0]), int(texts[1])
    return ()


def _lists(files):
    """{stem of a picture: split} of the lists in ImageSets/Main; {} if there are none."""
    lists = {
        posixpath.basename(name)[:-4]: file
        for name, file in files.items()
        if posixpath.dirname(name).endswith(LISTS[:-1]) and name.endswith('.txt')
    }
    if 'train' not in lists and 'trainval' in lists:
        lists['train'] = lists['trainval']
    split_by_stem = {}
    for name in ('train', 'val', 'test'):
        for line in text_of(lists[name]).split('\n') if name in lists else ():
            stem = line.split()[0] if line.strip() else ''
            if stem and split_by_stem.setdefault(stem, SPLITS[name]) != SPLITS[name]:
                raise UserError(
                    f'{lists[name].path}: {stem} is also in the list of '
                    f'{split_by_stem[stem]}: keep one'
                )
    return split_by_stem
