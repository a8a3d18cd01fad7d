"""Pictures that a CSV lists with their labels, one picture a row."""

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
from tljax.data.pictures import pictures, refuse_decoding, refuse_unreadable
from tljax.data.splits import cut_missing

SAMPLE = 50  # rows whose pictures decide which folder holds all of them
DEPTH = 2  # levels of folders below the table that are searched


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
    draft: int = 0,
    interpolation: str = 'bilinear',
) -> dict[str, Dataset]:
    """Reads the pictures that a CSV or TSV lists, one a row, with their labels.

    A name is a path with or without its ending. Names are looked up in the CSV's folder first, then
    in the folders below it; all pictures must lie in one of them (for train.csv, in train/ if
    several folders fit). Labels that are names or whole numbers are classes; numbers with fractions
    are for regression. A picture has several labels if one cell joins their names by | or ;, or if
    several columns hold 0 and 1. Columns with a single 1 in each row are classes.

    Args:
        path: the CSV, whose first line names the columns; `~` is expanded.
        size: side of the pictures, in pixels.
        channels: 3 for RGB, 1 for grey.
        validation: share of each class that is cut from train if there is no such split.
        test: share of each class that is cut from train if there is no such split.
        seed: seed of that cut.
        resize: length of the short side before the centre crop, as for `folder`; None means `size`.
        pixels: largest number of pixels of a picture, as for `folder`.
        file: column of the pictures' names; '' takes the only column whose cells are such names, or
            one called file, filename, path, image, image_id, id or similar.
        label: column of the labels; '' takes one called label, class, category, target, species or
            tags, or the only other column.
        task: 'classes', 'labels' or 'numbers'; needed if the cells leave it open.
        draft: as for `folder`.
        interpolation: as for `folder`.

    Splits: a column `split` holds train, validation or test. A missing validation or test split is
        cut from train, class by class, by the seeded permutation of `cut`.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    Raises:
        UserError: the file is no such table (the error lists its columns), a picture stands in two
            rows that differ, a class has no training picture, or pictures are missing or have
            headers that cannot be read (one error for all of them).

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
    refuse_decoding(draft, interpolation)
    path = Path(path).expanduser()
    table = rows.read(path, file, label, task)
    files, names, notes = locate_pictures(path, table.files)
    refuse_unreadable(files, names, path.parent, pixels)
    split = np.array(table.split or ['train'] * len(files))
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
            table.label[members],
            table.task,
            [names[i] for i in members],
            pixels,
            draft=draft,
            interpolation=interpolation,
        )
    if table.task.kind == 'classes':
        _refuse_untrained_classes(splits['train'], path)
    splits['train'] = splits['train']._replace(notes=(*notes, *table.notes))
    return cut_missing(splits, validation, test, seed, path)


def _refuse_untrained_classes(train, path):
    """Raises an error if a class of a table has no training picture."""
    labels = set(train.label.tolist())
    absent_classes = [name for i, name in enumerate(train.classes) if i not in labels]
    if absent_classes:
        raise UserError(
            f'{path}: no training picture is of {abbreviated(absent_classes, 6)}: add some or '
            'remove the class'
        )


def is_table(path: Path) -> bool:
    """Returns whether a path is a table of labels, by its ending (.csv, .tsv).

    Args:
        path: path of a file or folder.

    >>> is_table(Path('labels.CSV')), is_table(Path('labels.png'))
    (True, False)
    """
    return path.suffix.lower() in TABLES and not path.is_dir()


def locate_pictures(
    path: Path, names: Sequence[str]
) -> tuple[list[File], list[str], tuple[str, ...]]:
    """Finds the files of the pictures that a table lists.

    Args:
        path: path of the table.
        names: the pictures' names, as the table writes them.

    Returns:
        The files, their paths from the table's folder, and a note if they lie in another folder.

    Raises:
        UserError: several folders hold such pictures, or pictures are missing (one error for all of
            them).

    >>> locate_pictures(Path('nowhere/labels.csv'), ['a.png'])
    Traceback (most recent call last):
    tljax.core.UserError: nowhere/labels.csv: 1 of 1 pictures are missing below nowhere: a.png: ...
    """
    folder = _picture_folder(path, names)
    paths, absent_names = [], []
    for name in names:
        picture = _picture(folder, name)
        if picture is None:
            absent_names.append(name)
        else:
            paths.append(picture)
    if absent_names:
        raise UserError(
            f'{path}: {len(absent_names)} of {len(names)} pictures are missing below {folder}: '
            f'{abbreviated(absent_names, 8)}: mend the names, or add the pictures'
        )
    notes = ()
    if folder != path.parent:
        notes = (f'pictures are read from {folder.relative_to(path.parent)}/',)
    relative_paths = [printable(os.path.relpath(picture, path.parent)) for picture in paths]
    return [on_disk(picture) for picture in paths], relative_paths, notes


def _picture_folder(path, names):
    """The folder with most of a table's first pictures.

    The table's own folder is preferred, then a folder of its name (train/ beside train.csv).
    """
    folders = [path.parent, *_folders(path.parent)]
    hits = {
        folder: sum(_picture(folder, name) is not None for name in names[:SAMPLE])
        for folder in folders
    }
    if hits[path.parent]:
        return path.parent
    most_hits = max(hits.values())
    best_folders = [folder for folder in folders if hits[folder] == most_hits]
    best_folders = [folder for folder in best_folders if folder.name == path.stem] or best_folders
    if len(best_folders) > 1 and most_hits:
        names = abbreviated((folder.name for folder in best_folders), 4)
        raise UserError(
            f'{path}: the pictures are in several folders ({names}): write their paths from the '
            "table's folder"
        )
    return best_folders[0]


def _folders(root, level=1):
    """Yields the folders below `root`, DEPTH levels deep."""
    try:
        children = sorted(
            entry.path
            for entry in os.scandir(root)
            if entry.is_dir() and not entry.name.startswith('.')
        )
    except OSError:
        return
    for folder in map(Path, children):
        yield folder
        if level < DEPTH:
            yield from _folders(folder, level + 1)


def _picture(folder, name):
    """Path of a picture whose name may lack its ending or have it in the other case; or None."""
    stem, dot, suffix = name.rpartition('.')
    if is_picture(name):
        paths = [f'{stem}{dot}{suffix}' for suffix in (suffix, suffix.lower(), suffix.upper())]
    else:
        paths = [name, *(name + ending for ending in sorted(READABLE))]
    try:
        return next((Path(folder, path) for path in paths if Path(folder, path).is_file()), None)
    except (OSError, ValueError):  # the system allows no such name
        return None
