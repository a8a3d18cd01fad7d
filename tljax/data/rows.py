"""Reads a table of labels (CSV): finds the columns of pictures, labels and splits."""

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

TABLE_LIMIT = 2**28  # bytes of the largest table that is read
# usual names of the columns of pictures, labels and splits
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
    """The rows of a table of labels.

    Attributes:
        files: names of the pictures, as the table writes them.
        label: (n,) int32 classes, (n,) float32 numbers, or (n, c) float32 of 0 and 1, where 1 means
            that a label holds.
        task: task of the labels.
        split: 'train', 'validation' or 'test' for each row; empty if the table has no column of
            splits.
        notes: notes that say what was inferred, a line each.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'labels.csv')
    >>> _ = path.write_text('file,label\\na.jpg,cat\\nb.jpg,dog\\n')
    >>> rows = read(path)
    >>> rows.files, rows.label.tolist(), rows.task.names
    (['a.jpg', 'b.jpg'], [0, 1], ('cat', 'dog'))
    """

    files: list[str]
    label: np.ndarray
    task: Task
    split: list[str]
    notes: tuple[str, ...]


def read(path: Path, file: str = '', label: str = '', task: str = '') -> Rows:
    """Reads a table of labels.

    Cells are separated by commas, semicolons or tabs. The text is in UTF-8, or in UTF-16 with a
    byte order mark.

    Args:
        path: path of the table; its first line names the columns.
        file: name of the column of pictures. '' takes the only column in which every cell is the
            name of a picture, or else the first of FILE that the table has.
        label: name of the column of labels. '' takes the first of LABEL that the table has, or else
            the only remaining column, or else all remaining columns if all their cells are 0 or 1.
        task: 'classes', 'labels' or 'numbers'; '' infers it from the cells.

    Raises:
        UserError: the file is no table, a column does not exist, rows differ in length, a name or
            label is empty, a cell contradicts the task, or a picture has several rows with
            different labels or splits.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'ages.csv')
    >>> _ = path.write_text('file,age\\na.jpg,20\\nb.jpg,30\\n')
    >>> read(path).task.names
    ('20', '30')
    >>> read(path, task='numbers').label.tolist()
    [20.0, 30.0]
    """
    header, rows = _header_and_rows(path)
    picture_column = _picture_column(header, rows, file, path)
    split_column = _split_column(header, rows, picture_column)
    label_columns = _label_columns(header, rows, picture_column, split_column, label, path)
    content = [*label_columns]
    if split_column is not None:
        content.append(split_column)
    rows, duplicate_notes = _without_duplicates(rows, picture_column, content, path)
    files = [row[picture_column] for row in rows]
    names = [header[i] for i in label_columns]
    cells_of_labels = [[row[i] for i in label_columns] for row in rows]
    labels, label_task, label_notes = read_labels(cells_of_labels, names, files, path, task)
    refuse_similar_names(label_task.names, path)
    note = f'pictures by the column {header[picture_column]}, labels by {abbreviated(names, 4)}'
    if split_column is not None:
        note += f', splits by {header[split_column]}'
    unread_columns = set(range(len(header))) - {picture_column, *content}
    if unread_columns:
        note += f'; not read: {abbreviated([header[i] for i in sorted(unread_columns)], 4)}'
    return Rows(
        files,
        labels,
        label_task,
        _splits(rows, split_column, path),
        (note, *duplicate_notes, *label_notes),
    )


def cells(path: Path) -> list[tuple[int, list[str]]]:
    """Returns the rows of a table that are not empty, each with its number, counted from 1.

    Args:
        path: path of the table, as in `read`.

    Raises:
        UserError: the file is no text, no table, or too large.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'a.csv')
    >>> _ = path.write_text('file;age\\n\\na.png;3\\n')
    >>> cells(path)
    [(1, ['file', 'age']), (3, ['a.png', '3'])]
    """
    text = _text(path)
    first_line = text.partition('\n')[0]
    separator = max(',;\t', key=first_line.count)
    rows = []
    try:
        reader = csv.reader(
            io.StringIO(text, newline=''), delimiter=separator, strict=True, skipinitialspace=True
        )
        for number, row in enumerate(reader, 1):
            row = [cell.strip() for cell in row]
            if any(row):
                rows.append((number, row))
    except csv.Error as error:
        raise UserError(f'{path} is no table of text ({error}): save it as CSV again') from error
    return rows


def _header_and_rows(path):
    """The names of the columns, and the rows, which have as many cells."""
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
    """The text of a file in UTF-8, or in UTF-16 with a byte order mark."""
    with open(path, 'rb') as file:
        data = file.read(TABLE_LIMIT + 1)
    if len(data) > TABLE_LIMIT:
        raise UserError(f'{path} has more than {TABLE_LIMIT:,} bytes: split the table')
    encoding = 'utf-16' if data[:2] in (b'\xff\xfe', b'\xfe\xff') else 'utf-8-sig'
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UserError(
            f'{path} is not in UTF-8 (byte {error.start}): save it as "CSV UTF-8"'
        ) from error


def _picture_column(header, rows, name, path):
    """Index of the column of pictures: the only one of picture names, or else one named like it."""
    if any(map(is_picture, header)):
        raise UserError(
            f'{path} begins with a picture ({abbreviated(header, 3)}): write a line above that '
            'names the columns, such as file,label'
        )
    columns = [i for i in range(len(header)) if all(is_picture(row[i]) for row in rows)]
    if len(columns) == 1 and not name:
        return columns[0]
    return _column(header, name, FILE, 'file', path)


def _column(header, name, usual_names, key, path):
    """Index of the column called `name`, or if that is empty, of the first of `usual_names`.

    Args:
        header: names of the columns.
        name: name of the column, from the user; ''.
        usual_names: names to try otherwise, in lower case.
        key: 'file' or 'label', the setting that names the column, for errors.
        path: path of the table, for errors.
    """
    lower = [column.lower() for column in header]
    if name:
        if name.lower() not in lower:
            raise UserError(
                f'{path} has no column {name!r}: data.{key}: {nearest_name(name, header)}'
            )
        return lower.index(name.lower())
    for usual_name in usual_names:
        if usual_name in lower:
            return lower.index(usual_name)
    content = 'pictures' if key == 'file' else 'labels'
    raise UserError(
        f'{path} has the columns {abbreviated(header, 8)}: name the one of the {content} by '
        f'data.{key}=COLUMN, or call it {key}'
    )


def _split_column(header, rows, picture_column):
    """Index of the column called split, or else of the first with only names of splits; or None."""
    columns = [i for i in range(len(header)) if i != picture_column]
    for i in columns:
        if header[i].lower() == SPLIT:
            return i
    for i in columns:
        if {row[i].lower() for row in rows} <= set(SPLITS):
            return i
    return None


def _label_columns(header, rows, picture_column, split_column, name, path):
    """Indices of the columns of labels."""
    columns = [i for i in range(len(header)) if i not in (picture_column, split_column)]
    if name or any(header[i].lower() in LABEL for i in columns):
        usual_names = [label for label in LABEL if label != header[picture_column].lower()]
        column = _column(header, name, usual_names, 'label', path)
        if column in (picture_column, split_column):
            raise UserError(
                f'{path}: the column {header[column]} is not that of the labels, too: name another '
                'by data.label'
            )
        return [column]
    values = {row[i] for row in rows for i in columns}
    if len(columns) > 1 and '' in values and _are_marks(values - {''}):
        column, row = next((i, row) for row in rows for i in columns if not row[i])
        raise UserError(
            f'{path}: {row[picture_column]} has nothing in the column {header[column]}, and the '
            'others have 0 or 1: fill it in'
        )
    if len(columns) == 1 or columns and _are_marks(values):
        return columns
    return [_column(header, '', LABEL, 'label', path)]


def _are_marks(cells):
    """Whether all cells are 0 or 1, or words for them."""
    return all(as_number(cell) in (0, 1) for cell in cells)


def _without_duplicates(rows, picture_column, content, path):
    """The rows without repeated ones, and a note about these, in a list.

    Names of pictures are normalised. Two rows of one picture must agree in the columns `content`.
    """
    seen, count = {}, 0
    for row in rows:
        if not row[picture_column]:
            raise UserError(f'{path}: a row names no picture ({", ".join(row)[:60]}): mend it')
        name = posixpath.normpath(row[picture_column].replace('\\', '/'))
        row[picture_column] = name
        first = seen.setdefault(name, row)
        if any(first[i] != row[i] for i in content):
            first_text = ', '.join(first[i] for i in content)[:40]
            text = ', '.join(row[i] for i in content)[:40]
            raise UserError(
                f'{path}: {name} stands in two rows, as {first_text} and as {text}: keep one; '
                f'several labels of a picture are joined by {SEPARATORS[0]}'
            )
        count += first is not row
    notes = [f'{count} row{"s" * (count > 1)} left out: the same again'] if count else []
    return list(seen.values()), notes


def _splits(rows: Sequence[Sequence[str]], column: int | None, path: Path) -> list[str]:
    """The split of each row."""
    if column is None:
        return []
    unknown = sorted({row[column] for row in rows if row[column].lower() not in SPLITS})
    if unknown:
        raise UserError(
            f'{path}: the column {SPLIT} holds {abbreviated(map(repr, unknown), 4)}: write train, '
            'validation or test'
        )
    return [SPLITS[row[column].lower()] for row in rows]
