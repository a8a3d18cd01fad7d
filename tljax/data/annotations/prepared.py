"""Annotated pictures made ready: files found, boxes clipped, splits cut."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tljax.core import FIRST_IGNORED, PADDING, UserError, abbreviated, nearest_name
from tljax.data.annotations.annotated import Annotated, Annotations, Pictures
from tljax.data.annotations.coco import coco
from tljax.data.annotations.table import table
from tljax.data.annotations.voc import voc
from tljax.data.annotations.yolo import labels_of, yolo
from tljax.data.archives import File, members, on_disk
from tljax.data.decoding import PIXELS
from tljax.data.pictures import refuse_unreadable
from tljax.data.purposes import Purpose

SPLITS = ('train', 'validation', 'test')
FORMS: dict[str, Callable[[dict[str, File]], Annotations]] = {
    'coco': coco,
    'voc': voc,
    'yolo': yolo,
    'table': table,
}


class Truth(NamedTuple):
    """What detections of a split are compared with (`tljax.engine.average_precision`).

    Attributes:
        names: names of the pictures.
        label: as in `tljax.data.boxes`, (n, g, 5).
        size: height and width of the pictures in pixels, (n, 2).
        area: area of the objects in pixels, (n, g); that of the box where the annotation has none.

    >>> Truth([], np.zeros((0, 1, 5)), np.zeros((0, 2)), np.zeros((0, 1))).label.shape
    (0, 1, 5)
    """

    names: list[str]
    label: np.ndarray
    size: np.ndarray
    area: np.ndarray


class Prepared(NamedTuple):
    """Annotated pictures of known sizes, whose boxes are shares and have an area.

    Attributes:
        pictures: the annotated pictures.
        files: their files.
        upright: whether each is turned by its EXIF orientation.
        splits: {split: numbers of its pictures}.
        classes: names of the classes.
        ids: as in `annotated.Annotations`.
        notes: as in `annotated.Annotations`.

    >>> Prepared([], [], [], {'train': []}, ('cat',), (0,), ()).truth('train').size.shape
    (0, 2)
    """

    pictures: list[Annotated]
    files: list[File]
    upright: list[bool]
    splits: dict[str, list[int]]
    classes: tuple[str, ...]
    ids: tuple[int, ...]
    notes: tuple[str, ...]

    def joined(self) -> 'Prepared':
        """Returns the same with the pictures of validation among those of train."""
        train = sorted(self.splits['train'] + self.splits['validation'])
        return self._replace(splits={'train': train, 'test': self.splits['test']})

    def truth(self, split: str) -> Truth:
        """Returns what detections of a split are compared with.

        Args:
            split: name of the split.
        """
        rows = [self.pictures[i] for i in self.splits[split]]
        width = max([1, *(len(row.label) for row in self.pictures)])
        area = np.zeros((len(rows), width))
        for place, row in zip(area, rows, strict=True):
            place[: len(row.area)] = row.area
        size = np.array([row.size for row in rows], int).reshape(-1, 2)
        return Truth([row.name for row in rows], padded(rows, width), size, area)


def whole(
    path: str | Path,
    form: str = '',
    where: str = '',
    difficult: bool = False,
    pixels: int = PIXELS,
) -> tuple[Prepared, list[str]]:
    """Reads annotations as `tljax.data.boxes` does, and the headers of the pictures.

    Args:
        path: as in `tljax.data.boxes`, and so are the others.
        form: of the annotations.
        where: folder or archive of the pictures.
        difficult: whether difficult boxes are like others.
        pixels: most pixels of a picture.

    Returns:
        All pictures as the split 'all', and the split that each of them is said to be of: 'train'
        where nothing is said.

    Raises:
        UserError: as in `tljax.data.boxes`.
    """
    path = Path(path).expanduser()
    annotations, files_by_name = annotated(path, form, where, difficult)
    rows = annotations.pictures
    files = [files_by_name[row.name] for row in rows]
    sides = refuse_unreadable(files, [row.name for row in rows], path, pixels)
    rows, upright = _in_shares(rows, sides, path)
    rows, notes = _with_area(rows)
    splits, notes = {'all': [*range(len(rows))]}, (*annotations.notes, *notes)
    ready = Prepared(rows, files, upright, splits, annotations.classes, annotations.ids, notes)
    return ready, [row.split or 'train' for row in rows]


def prepared(
    path: str | Path,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    form: str = '',
    where: str = '',
    difficult: bool = False,
    pixels: int = PIXELS,
) -> Prepared:
    """Reads annotations as `whole` does, and divides the pictures into splits.

    Args:
        path: as in `tljax.data.boxes`, and so are the others.
        validation: share of train.
        test: share of train.
        seed: of the cut.
        form: of the annotations.
        where: folder or archive of the pictures.
        difficult: whether difficult boxes are like others.
        pixels: most pixels of a picture.

    Raises:
        UserError: as in `tljax.data.boxes`.
    """
    ready, split = whole(path, form, where, difficult, pixels)
    rows, notes = ready.pictures, ready.notes
    if len({*split}) == 1 and split[0] != 'train':
        notes += (f'all pictures are of {split[0]}: train, validation and test are cut from them',)
        split = ['train'] * len(split)
    splits = _cut(split, validation, test, seed, Path(path).expanduser())
    trained = {label for i in splits['train'] for label in rows[i].label[~rows[i].ignored]}
    bare = [name for i, name in enumerate(ready.classes) if i not in trained]
    if bare:
        notes += (f'no box of train is of the class {abbreviated(bare, 6)}',)
    return ready._replace(splits=splits, notes=notes)


def annotated(
    path: Path, form: str = '', where: str = '', difficult: bool = False
) -> tuple[Annotations, dict[str, File]]:
    """Reads annotations.

    Args:
        path: as in `tljax.data.boxes`.
        form: as in `tljax.data.boxes`.
        where: as in `tljax.data.boxes`.
        difficult: as in `tljax.data.boxes`.

    Returns:
        The annotations, and the files by the names that their pictures have.

    Raises:
        UserError: as in `tljax.data.boxes`.
    """
    if form and form not in FORMS:
        raise UserError(f'data.form={form!r} is unknown: {nearest_name(form, FORMS)}')
    if not path.exists():
        raise UserError(
            f'{path} does not exist: give data.path a folder or archive of pictures and '
            'annotations, or a JSON of COCO'
        )
    is_file = path.suffix.lower() in ('.json', '.csv') and path.is_file()
    source = path
    if is_file:
        archives = [path.with_suffix(ending) for ending in ('.zip', '.tar')]
        source = next((file for file in archives if file.exists()), path.parent)
    files, notes = _files(Path(where).expanduser() if where else source)
    if is_file:
        files = {name: file for name, file in files.items() if Pictures([name]).names}
        files[path.name] = on_disk(path)
    elif where:
        files, others, notes = _files(path)[0], files, (*_files(path)[1], *notes)
        files = {**others, **files}
    form = form or _form(files, path)
    found = voc(files, difficult) if form == 'voc' else FORMS[form](files)
    if not found.pictures:
        raise UserError(f'{path} has no annotated pictures: give data.path another folder')
    return found._replace(notes=(*notes, *found.notes)), files


def _files(path):
    """The files of a folder or archive, and notes."""
    found = members(path) if path.exists() else None
    if found is None:
        raise UserError(f'{path} is no folder, ZIP or tar archive: give one of pictures')
    return {name: file for name, file in found[0].items() if file is not None}, found[1]


def _form(files, path):
    """The form of the annotations among files."""
    endings = {Path(name).suffix.lower() for name in files}
    texts = {name for picture in Pictures(files).names for name in labels_of(picture)}
    forms = [
        form
        for form, is_there in {
            'coco': '.json' in endings,
            'voc': '.xml' in endings,
            'yolo': bool(texts & set(files)),
            'table': '.csv' in endings,
        }.items()
        if is_there
    ]
    if len(forms) != 1:
        held = f'annotations of several forms ({", ".join(forms)})' if forms else 'no annotations'
        raise UserError(
            f'{path} holds {held}: say which by data.form: {", ".join(FORMS)}'
            if forms
            else f'{path} holds {held}: add XML, JSON or text files, or a CSV of boxes'
        )
    return forms[0]


def _in_shares(rows, sides, path):
    """Annotations whose boxes are shares of the picture and whose sizes are known, and whether each
    picture is turned upright."""
    found, upright, wrong = [], [], []
    for row, (stored, turned) in zip(rows, sides, strict=True):
        size = row.size or turned
        upright.append(size == turned)
        if size not in (stored, turned):
            wrong.append(f'{row.name} {turned[1]}x{turned[0]} where {size[1]}x{size[0]} is stated')
        height, width = size
        boxes = row.boxes if row.shares else row.boxes / [height, width, height, width]
        found.append(row._replace(boxes=boxes, size=size, shares=True))
    if wrong:
        raise UserError(
            f'{path}: {len(wrong)} pictures have another size than their annotation states '
            f'({abbreviated(wrong, 3)}): mend the annotations or give the original pictures'
        )
    return found, upright


def _with_area(rows):
    """Annotations whose boxes are clipped and have an area, which is known, and notes."""
    found, names = [], []
    for row in rows:
        boxes = row.boxes.clip(0, 1)
        sides = boxes[:, 2:] - boxes[:, :2]
        kept = (sides > 0).all(1)
        area = np.where(np.isnan(row.area), sides.prod(1) * np.prod(row.size), row.area)
        names += [row.name] * int((~kept).sum())
        found.append(
            row._replace(
                boxes=boxes[kept],
                label=row.label[kept],
                ignored=row.ignored[kept],
                area=area[kept],
            )
        )
    notes = []
    if names:
        notes.append(
            f'{len(names)} boxes without area in their picture left out, of '
            f'{abbreviated(dict.fromkeys(names), 3)}'
        )
    empty = sum(not len(row.label) for row in found)
    if empty:
        notes.append(f'{empty} pictures have no boxes')
    return found, notes


def _cut(split, validation, test, seed, path):
    """{split: numbers of its pictures}; missing splits are cut from train at random."""
    rows = {name: [i for i, other in enumerate(split) if other == name] for name in SPLITS}
    if not rows['train']:
        raise UserError(f'{path}: no picture is of train, but of {", ".join(sorted({*split}))}')
    shares = {'validation': validation, 'test': test}
    shares = {name: share for name, share in shares.items() if not rows[name]}
    if any(share <= 0 for share in shares.values()) or sum(shares.values()) >= 1:
        raise UserError(
            f'{path}: {", ".join(f"data.{name}={share}" for name, share in shares.items())} of '
            'train is to be cut off: give shares above 0 whose sum is below 1'
        )
    order = np.random.default_rng([Purpose.CUT, seed]).permutation(rows['train']).tolist()
    size = len(order)
    if size <= len(shares):
        raise UserError(
            f'{path}: {size} pictures of train are too few to cut {" and ".join(shares)} from: add '
            'pictures'
        )
    for name, share in shares.items():
        count = min(max(round(share * size), 1), len(order) - 1)
        rows[name], order = sorted(order[:count]), order[count:]
    return {**rows, 'train': sorted(order)}


def padded(rows: Sequence[Annotated], width: int) -> np.ndarray:
    """Returns the labels of pictures as `tljax.data.boxes` has them, (n, width, 5) float32.

    Args:
        rows: the pictures; their boxes are shares.
        width: number of rows for boxes, at least the most boxes of a picture.

    >>> rows = [Annotated.of('a', [[0, 0, 1, 1]], [2]), Annotated.of('b', [], [])]
    >>> padded(rows, 1).tolist()
    [[[0.0, 0.0, 1.0, 1.0, 2.0]], [[0.0, 0.0, 0.0, 0.0, -1.0]]]
    >>> padded([Annotated.of('a', [[0, 0, 1, 1]], [2], ignored=[True])], 1)[0, 0, 4].item()
    -4.0
    """
    label = np.zeros((len(rows), width, 5), np.float32)
    label[..., 4] = PADDING
    for place, row in zip(label, rows, strict=True):
        count = len(row.label)
        place[:count, :4] = row.boxes
        place[:count, 4] = np.where(row.ignored, FIRST_IGNORED - row.label, row.label)
    return label
