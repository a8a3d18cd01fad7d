"""Pictures that a CSV lists with their labels, a row each."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tljax.core import Dataset, UserError, abbreviated
from tljax.data import rows
from tljax.data.archives import File, on_disk, printable
from tljax.data.decoding import PIXELS
from tljax.data.finding import READABLE, is_picture
from tljax.data.layout import TABLES
from tljax.data.pictures import pictures, refuse_unreadable
from tljax.data.splits import cut_missing

LOOKED_AT = 50  # rows that tell in which folder the pictures are
DEEPEST = 2  # folders below the table that are looked into


def listed(
    path: str | Path,
    size: int,
    channels: int = 3,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    resize: int | None = None,
    pixels: int = PIXELS,
    file: str = '',
    label: str = '',
    task: str = '',
) -> dict[str, Dataset]:
    """Pictures that a CSV (or TSV) lists: a row each, with the picture's name and its labels.

    Names are paths from the CSV's folder, or else from the one folder below it that holds them
    (from train/ for train.csv, if several do), with the picture's ending or without. Labels that
    are names or whole numbers are classes; numbers with fractions are regression. Several names in
    one cell, joined by | or ;, or several columns of 0 and 1 are any number of labels for each
    picture (classes, where each row has a single 1).

    Args:
        path: the CSV, whose first line names the columns; `~` is expanded.
        size: side in pixels.
        channels: 3 for RGB, 1 for grey.
        validation: share of each class that is cut from train where there is no such split.
        test: share of each class that is cut from train where there is no such split.
        seed: of that cut.
        resize: as `data.folder` takes it.
        pixels: the most that a picture may have.
        file: the column of the pictures' names; '' for the only one whose cells are such names, or
            one that is called file, filename, path, image, image_id, id or alike.
        label: the column of their labels; '' for one that is called label, class, category, target,
            species or tags, or the only other one.
        task: 'classes', 'labels' or 'numbers', where the cells alone do not say it.

    Splits: a column `split` says train, validation or test. A missing validation or test split is
        cut from train by the seeded permutation of `cut`, class by class.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    Raises:
        UserError: for what is no such table (lists its columns), a picture in two rows that differ,
            a class without training pictures; for all pictures that are missing, or whose headers
            cannot be read, at once.

    >>> import tempfile
    >>> from PIL import Image
    >>> root = Path(tempfile.mkdtemp())
    >>> for number in range(10):
    ...     Image.new('L', (12, 9), 20 * number).save(root / f'{number}.png')
    >>> lines = [f'{number}.png,{("dark", "light")[number // 5]}' for number in range(10)]
    >>> _ = (root / 'labels.csv').write_text('\\n'.join(['file,label', *lines]))
    >>> splits = listed(root / 'labels.csv', size=8)
    >>> splits['train'].classes, splits['train'].names.tolist()[:2]
    (('dark', 'light'), ['1.png', '2.png'])
    """
    path = Path(path).expanduser()
    found = rows.read(path, file, label, task)
    files, names, notes = locate_pictures(path, found.files)
    refuse_unreadable(files, names, path.parent, pixels)
    split = np.array(found.split or ['train'] * len(files))
    if 'train' not in split:
        raise UserError(
            f'{path}: no row of the column split says train: say it of the training pictures'
        )
    splits = {}
    for name in dict.fromkeys(split.tolist()):
        members = np.flatnonzero(split == name).tolist()
        splits[name] = pictures(
            [files[i] for i in members],
            (size, size, channels),
            resize,
            found.label[members],
            found.task,
            [names[i] for i in members],
            pixels,
        )
    known = set(splits['train'].label.tolist()) if found.task.kind == 'classes' else set()
    lacking = [each for i, each in enumerate(found.task.names) if known and i not in known]
    if lacking:
        raise UserError(
            f'{path}: no training picture is of {abbreviated(lacking, 6)}: add some or remove the '
            'class'
        )
    splits['train'] = splits['train']._replace(notes=(*notes, *found.notes))
    return cut_missing(splits, validation, test, seed, path)


def is_table(path: Path) -> bool:
    """Whether a path is that of a table of labels, by its ending.

    Args:
        path: of a file or folder.

    >>> is_table(Path('labels.CSV'))
    True
    """
    return path.suffix.lower() in TABLES and not path.is_dir()


def locate_pictures(
    path: Path, names: Sequence[str]
) -> tuple[list[File], list[str], tuple[str, ...]]:
    """The pictures that a table names.

    Args:
        path: the table.
        names: as it writes them.

    Returns:
        The files, their names below the table's folder, and what is said of where they are.

    Raises:
        UserError: for pictures that are missing, all at once.

    >>> locate_pictures(Path('nowhere/labels.csv'), ['a.png'])
    Traceback (most recent call last):
    tljax.core.UserError: nowhere/labels.csv: 1 of 1 pictures are missing below nowhere: a.png: ...
    """
    places = [path.parent, *_folders(path.parent)]
    hits = {
        place: sum(_picture(place, name) is not None for name in names[:LOOKED_AT])
        for place in places
    }
    best = [place for place in places if hits[place] == max(hits.values())]
    best = [place for place in best if place.name == path.stem] or best  # train/ beside train.csv
    best = [path.parent] if hits[path.parent] else best
    if len(best) > 1 and hits[best[0]]:
        folders = abbreviated((place.name for place in best), 4)
        raise UserError(
            f'{path}: the pictures are in several folders ({folders}): write their paths '
            "from the table's folder"
        )
    found = {name: _picture(best[0], name) for name in names}
    missing = [name for name, place in found.items() if place is None]
    if missing:
        raise UserError(
            f'{path}: {len(missing)} of {len(names)} pictures are missing below {best[0]}: '
            f'{abbreviated(missing, 8)}: mend the names, or add the pictures'
        )
    said = f'pictures are read from {best[0].relative_to(path.parent)}/'
    there = [place for place in found.values() if place is not None]
    below = [printable(os.path.relpath(place, path.parent)) for place in there]
    return [on_disk(place) for place in there], below, (said,) * (best[0] != path.parent)


def _folders(root, depth=1):
    """Folders below `root`, a few levels deep."""
    try:
        below = sorted(
            entry.path
            for entry in os.scandir(root)
            if entry.is_dir() and not entry.name.startswith('.')
        )
    except OSError:
        return
    for place in map(Path, below):
        yield place
        if depth < DEEPEST:
            yield from _folders(place, depth + 1)


def _picture(folder, name):
    """The picture of a name that may lack its ending, or have it in the other case; or None."""
    stem, dot, ending = name.rpartition('.')
    endings = ['', *sorted(READABLE)]
    if is_picture(name):
        name, endings = stem, [f'{dot}{each}' for each in (ending, ending.lower(), ending.upper())]
    try:
        return next(
            (place for ending in endings if (place := Path(folder, name + ending)).is_file()), None
        )
    except (OSError, ValueError):  # no such name can be
        return None
