"""A table of labels: the rows of a CSV, which columns are meant, and what its labels are."""

import csv
import io
import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tljax.core import Task, UserError, abbreviated, nearest_name
from tljax.data.cells import SEPARATORS, as_number, read_labels
from tljax.data.finding import is_picture
from tljax.data.layout import SPLITS, refuse_similar_names

LARGEST = 2**28  # bytes of a table
FILE = (
    'path',
    'filepath',
    'file_path',
    'image_path',
    'file',
    'filename',
    'file_name',
    'image',
    'image_name',
    'image_id',
    'id',
)
LABEL = ('label', 'labels', 'class', 'category', 'target', 'species', 'tags')
SPLIT = 'split'


class Rows(NamedTuple):
    """What a table says.

    Attributes:
        files: names of the pictures, as the table writes them.
        label: (n,) int32 classes, (n,) float32 numbers, or (n, c) float32, 1 where a label holds.
        task: what the labels are.
        split: 'train', 'validation' or 'test' of each row; empty where the table has no such
            column.
        notes: what was decided, a line each.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'labels.csv')
    >>> _ = path.write_text('file,label\\na.jpg,cat\\nb.jpg,dog\\n')
    >>> read(path).files, read(path).label.tolist(), read(path).task.names
    (['a.jpg', 'b.jpg'], [0, 1], ('cat', 'dog'))
    """

    files: list[str]
    label: np.ndarray
    task: Task
    split: list[str]
    notes: tuple[str, ...]


def read(path: Path, file: str = '', label: str = '', task: str = '') -> Rows:
    """Reads a table: separated by commas, semicolons or tabs, in UTF-8 or UTF-16 with its mark.

    Args:
        path: of the table; its first line names the columns.
        file: the column of the pictures' names; '': the only one whose cells all are names of
            pictures, or the first of FILE that there is.
        label: the column of their labels; '': the first of LABEL, or the only one that is left, or
            all that are left where each of their cells is 0 or 1.
        task: 'classes', 'labels' or 'numbers', where the cells alone do not say it.

    Raises:
        UserError: for what is no table, no such column, rows of another length, empty names and
            labels, cells that are not what the task says, and a picture in several rows of
            different labels or splits.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'ages.csv')
    >>> _ = path.write_text('file,age\\na.jpg,20\\nb.jpg,30\\n')
    >>> read(path).task.names, read(path, task='numbers').label.tolist()
    (('20', '30'), [20.0, 30.0])
    """
    header, rows = _columns(path)
    place = _pictures_place(header, rows, file, path)
    split = _split_column(header, rows, place)
    chosen = _labels(header, rows, place, split, label, path)
    rows, notes = _once(rows, place, [*chosen, *([] if split is None else [split])], path)
    files, names = [row[place] for row in rows], [header[i] for i in chosen]
    labels, found, more = read_labels(
        [[row[i] for i in chosen] for row in rows], names, files, path, task
    )
    refuse_similar_names(found.names, path)
    told = f'pictures by the column {header[place]}, labels by {abbreviated(names, 4)}'
    unread = [name for i, name in enumerate(header) if i not in (place, split, *chosen)]
    if split is not None:
        told += f', splits by {header[split]}'
    if unread:
        told += f'; not read: {abbreviated(unread, 4)}'
    return Rows(files, labels, found, _splits(rows, split, path), (told, *notes, *more))


def cells(path: Path) -> list[tuple[int, list[str]]]:
    """The rows of a table that are not empty, with their numbers from 1.

    Args:
        path: of the table, as `read` takes it.

    Raises:
        UserError: for what is no text, no table, or too large.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'a.csv')
    >>> _ = path.write_text('file;age\\n\\na.png;3\\n')
    >>> cells(path)
    [(1, ['file', 'age']), (3, ['a.png', '3'])]
    """
    text = _text(path)
    first = text.partition('\n')[0]
    separator = max(',;\t', key=first.count)
    try:
        told = csv.reader(
            io.StringIO(text, newline=''), delimiter=separator, strict=True, skipinitialspace=True
        )
        found = [(number, [cell.strip() for cell in row]) for number, row in enumerate(told, 1)]
    except csv.Error as error:
        raise UserError(f'{path} is no table of text ({error}): save it as CSV again') from error
    return [(number, row) for number, row in found if any(row)]


def _columns(path):
    """The names of the columns and the rows, with as many cells each."""
    lines = cells(path)
    if len(lines) < 2 or len(lines[0][1]) < 2:
        raise UserError(
            f'{path} is no table of two columns and a row or more: write a line such as '
            'file,label, and a line a picture below'
        )
    header = lines[0][1]
    for number, row in lines[1:]:
        if len(row) < len(header) or any(row[len(header) :]):
            raise UserError(
                f'{path}, row {number}: {len(row)} cells where the first row names {len(header)} '
                'columns: mend the row'
            )
    if len(set(header)) < len(header):
        raise UserError(
            f'{path} names a column twice ({abbreviated(header)}): give each a name of its own'
        )
    return header, [row[: len(header)] for _, row in lines[1:]]


def _text(path):
    with open(path, 'rb') as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise UserError(f'{path} has more than {LARGEST:,} bytes: split the table')
    coding = 'utf-16' if data[:2] in (b'\xff\xfe', b'\xfe\xff') else 'utf-8-sig'
    try:
        return data.decode(coding)
    except UnicodeDecodeError as error:
        raise UserError(
            f'{path} is not in UTF-8 (byte {error.start}): save it as "CSV UTF-8"'
        ) from error


def _pictures_place(header, rows, asked, path):
    """The place of the column of the pictures' names: the only one of such names, or one that is
    called so."""
    if any(map(is_picture, header)):
        raise UserError(
            f'{path} begins with a picture ({abbreviated(header, 3)}): write a line above that '
            'names the columns, such as file,label'
        )
    shown = [i for i in range(len(header)) if all(is_picture(row[i]) for row in rows)]
    return shown[0] if len(shown) == 1 and not asked else _place(header, asked, FILE, 'file', path)


def _place(header, asked, known, what, path):
    """The place of a column by its name, or by what such columns are called."""
    lower = [name.lower() for name in header]
    if asked:
        if asked.lower() not in lower:
            raise UserError(
                f'{path} has no column {asked!r}: data.{what}: {nearest_name(asked, header)}'
            )
        return lower.index(asked.lower())
    found = next((name for name in known if name in lower), None)
    if found is None:
        raise UserError(
            f'{path} has the columns {abbreviated(header, 8)}: name the one of the '
            f'{"pictures" if what == "file" else "labels"} by data.{what}=COLUMN, or call it {what}'
        )
    return lower.index(found)


def _split_column(header, rows, place):
    """The column called split, or the only one whose cells are names of splits alone."""
    called = [i for i, name in enumerate(header) if name.lower() == SPLIT and i != place]
    alone = [
        i
        for i in range(len(header))
        if i != place and {row[i].lower() for row in rows} <= set(SPLITS)
    ]
    return next(iter(called or alone), None)


def _labels(header, rows, place, split, asked, path):
    """Places of the columns of labels."""
    rest = [i for i in range(len(header)) if i not in (place, split)]
    if asked or any(header[i].lower() in LABEL for i in rest):
        found = _place(
            header, asked, [name for name in LABEL if name != header[place].lower()], 'label', path
        )
        if found in (place, split):
            raise UserError(
                f'{path}: the column {header[found]} is not that of the labels, too: name another '
                'by data.label'
            )
        return [found]
    distinct = {row[i] for row in rows for i in rest}
    if len(rest) > 1 and '' in distinct and {as_number(cell) for cell in distinct - {''}} <= {0, 1}:
        column, row = next((header[i], row[place]) for row in rows for i in rest if not row[i])
        raise UserError(
            f'{path}: {row} has nothing in the column {column}, and the others have 0 or 1: fill '
            'it in'
        )
    if len(rest) == 1 or rest and {as_number(cell) for cell in distinct} <= {0, 1}:
        return rest
    return [_place(header, '', LABEL, 'label', path)]


def _once(rows, place, rest, path):
    """The rows, their pictures' names in one spelling, without those that say the same again."""
    seen, said = {}, 0
    for row in rows:
        if not row[place]:
            raise UserError(f'{path}: a row names no picture ({", ".join(row)[:60]}): mend it')
        row[place] = posixpath.normpath(row[place].replace('\\', '/'))
        before = seen.setdefault(row[place], row)
        if any(before[i] != row[i] for i in rest):
            was, now = (', '.join(each[i] for i in rest)[:40] for each in (before, row))
            raise UserError(
                f'{path}: {row[place]} stands in two rows, as {was} and as {now}: keep one; '
                f'several labels of a picture are joined by {SEPARATORS[0]}'
            )
        said += before is not row
    notes = [f'{said} row{"s" * (said > 1)} left out: the same again'] if said else []
    return list(seen.values()), notes


def _splits(rows: Sequence[Sequence[str]], split: int | None, path: Path) -> list[str]:
    if split is None:
        return []
    unknown = sorted({row[split] for row in rows if row[split].lower() not in SPLITS})
    if unknown:
        raise UserError(
            f'{path}: the column {SPLIT} holds {abbreviated(map(repr, unknown), 4)}: write train, '
            'validation or test'
        )
    return [SPLITS[row[split].lower()] for row in rows]
