"""A table of labels: the rows of a CSV, which columns are meant, and what its labels are."""
import csv
import io
import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tljax.core import Refused, Task, near, short
from tljax.data.finding import is_picture
from tljax.data.layout import SPLITS, refuse_alike
from tljax.data.tasks import KINDS

LARGEST = 2 ** 28   # bytes of a table
FILE = ('path', 'filepath', 'file_path', 'image_path', 'file', 'filename', 'file_name', 'image',
        'image_name', 'image_id', 'id')
LABEL = ('label', 'labels', 'class', 'category', 'target', 'species', 'tags')
SPLIT = 'split'
JOINED = '|;'       # between several labels in one cell


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
        file: the column of the pictures' names; '': the first of FILE that there is.
        label: the column of their labels; '': the first of LABEL, or the only one that is left, or
            all that are left where each of their cells is 0 or 1.
        task: 'classes', 'labels' or 'numbers', where the cells alone do not say it.

    Raises:
        Refused: for what is no table, no such column, rows of another length, empty names and
            labels, cells that are not what the task says, and a picture in several rows of different labels or splits.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'ages.csv')
    >>> _ = path.write_text('file,age\\na.jpg,20\\nb.jpg,30\\n')
    >>> read(path).task.names, read(path, task='numbers').label.tolist()
    (('20', '30'), [20.0, 30.0])
    """
    header, rows = _cells(path)
    place = _place(header, file, FILE, 'file', path)
    split = _split_column(header, rows, place)
    chosen = _labels(header, rows, place, split, label, path)
    rows, notes = _once(rows, place, [*chosen, *([] if split is None else [split])], path)
    files, names = [row[place] for row in rows], [header[i] for i in chosen]
    cells = [[row[i] for i in chosen] for row in rows]
    label, found, more = _values(cells, names, files, path, task)
    refuse_alike(found.names, path)
    told = f'pictures by the column {header[place]}, labels by {short(names, 4)}'
    unread = [name for i, name in enumerate(header) if i not in (place, split, *chosen)]
    if split is not None:
        told += f', splits by {header[split]}'
    if unread:
        told += f'; not read: {short(unread, 4)}'
    return Rows(files, label, found, _splits(rows, split, path), (told, *notes, *more))


def _cells(path):
    """The names of the columns and the rows, with as many cells each."""
    text = _text(path)
    first = text.partition('\n')[0]
    separator = max(',;\t', key=first.count)
    try:
        told = csv.reader(io.StringIO(text, newline=''), delimiter=separator, strict=True)
        lines = [(number, [cell.strip() for cell in row]) for number, row in enumerate(told, 1)]
    except csv.Error as error:
        raise Refused(f'{path} is no table of text ({error}): save it as CSV again') from error
    lines = [(number, row) for number, row in lines if any(row)]
    if len(lines) < 2 or len(lines[0][1]) < 2:
        raise Refused(f'{path} is no table of two columns and a row or more: write a line such as '
                      'file,label, and a line a picture below')
    header = lines[0][1]
    for number, row in lines[1:]:
        if len(row) < len(header) or any(row[len(header):]):
            raise Refused(f'{path}, row {number}: {len(row)} cells where the first row names '
                          f'{len(header)} columns: mend the row')
    if len(set(header)) < len(header):
        raise Refused(f'{path} names a column twice ({short(header)}): give each a name of its own')
    return header, [row[:len(header)] for _, row in lines[1:]]


def _text(path):
    with open(path, 'rb') as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise Refused(f'{path} has more than {LARGEST:,} bytes: split the table')
    coding = 'utf-16' if data[:2] in (b'\xff\xfe', b'\xfe\xff') else 'utf-8-sig'
    try:
        return data.decode(coding)
    except UnicodeDecodeError as error:
        raise Refused(f'{path} is not in UTF-8 (byte {error.start}): save it as "CSV '
                      'UTF-8"') from error


def _place(header, asked, known, what, path):
    """The place of a column by its name, or by what such columns are called."""
    lower = [name.lower() for name in header]
    if asked:
        if asked.lower() not in lower:
            raise Refused(f'{path} has no column {asked!r}: data.{what}: {near(asked, header)}')
        return lower.index(asked.lower())
    found = next((name for name in known if name in lower), None)
    if found is None and any(map(is_picture, header)):
        raise Refused(f'{path} begins with a picture ({short(header, 3)}): write a line above that '
                      'names the columns, such as file,label')
    if found is None:
        raise Refused(f'{path} has the columns {short(header, 8)}: name the one of the '
                      f'{"pictures" if what == "file" else "labels"} '
                      f'by data.{what}=COLUMN, or call it {what}')
    return lower.index(found)


def _split_column(header, rows, place):
    """The column called split, or the only one whose cells are names of splits alone."""
    called = [i for i, name in enumerate(header) if name.lower() == SPLIT and i != place]
    meant = [i for i in range(len(header)) if i != place and {row[i].lower() for row in rows} <= set(SPLITS)]
    return next(iter(called or meant), None)


def _labels(header, rows, place, split, asked, path):
    """Places of the columns of labels."""
    rest = [i for i in range(len(header)) if i not in (place, split)]
    if asked or any(header[i].lower() in LABEL for i in rest):
        found = _place(header, asked, [name for name in LABEL if name != header[place].lower()],
                       'label', path)
        if found in (place, split):
            raise Refused(f'{path}: the column {header[found]} is not that of the labels, too: '
                          'name another by data.label')
        return [found]
    marks = {row[i] for row in rows for i in rest}
    if len(rest) > 1 and '' in marks and {_number(mark) for mark in marks - {''}} <= {0, 1}:
        column, row = next((header[i], row[place]) for row in rows for i in rest if not row[i])
        raise Refused(f'{path}: {row} has nothing in the column {column}, and the others have 0 or '
                      '1: fill it in')
    if len(rest) == 1 or rest and {_number(mark) for mark in marks} <= {0, 1}:
        return rest
    return [_place(header, '', LABEL, 'label', path)]


def _once(rows, place, rest, path):
    """The rows, their pictures' names in one spelling, without those that say the same again."""
    seen, said = {}, 0
    for row in rows:
        if not row[place]:
            raise Refused(f'{path}: a row names no picture ({", ".join(row)[:60]}): mend it')
        row[place] = posixpath.normpath(row[place].replace('\\', '/'))
        before = seen.setdefault(row[place], row)
        if any(before[i] != row[i] for i in rest):
            was, now = (', '.join(each[i] for i in rest)[:40] for each in (before, row))
            raise Refused(f'{path}: {row[place]} stands in two rows, as {was} and as {now}: keep '
                          f'one; several labels of a picture are joined by {JOINED[0]}')
        said += before is not row
    notes = [f'{said} row{"s" * (said > 1)} left out: the same again'] if said else []
    return list(seen.values()), notes


def _values(cells, names, files, path, task):
    """(labels, task, notes) of the cells of the columns of labels."""
    if task not in ('', *KINDS):
        raise Refused(f'data.task={task!r} is not classes, labels or numbers')
    if len(names) > 1:
        return _columns(np.array([[_number(cell) for cell in row] for row in cells], np.float32), names, path, task)
    texts = [row[0] for row in cells]
    if task == 'labels' or not task and any(mark in text for text in texts for mark in JOINED):
        parts = [text.replace(JOINED[1], JOINED[0]).split(JOINED[0]) for text in texts]
        held = [{part.strip() for part in each} - {''} for each in parts]
        found = sorted(set().union(*held))
        marks = np.array([[name in each for name in found] for each in held], np.float32)
        told = [] if task else [f'{names[0]} holds names joined by {JOINED[0]} or {JOINED[1]}: several '
                                'labels; data.task=classes takes each cell for a class']
        return marks, Task('labels', tuple(found)), told
    if '' in texts:
        raise Refused(f'{path}: {texts.count("")} rows have no {names[0]}, '
                      f'{files[texts.index("")]} is the first: fill them in or remove them')
    return _words_or_numbers(texts, names[0], files, path, task)


def _words_or_numbers(texts, name, files, path, task):
    """The same of one column whose cells are a class or a number each."""
    numbers = [_number(text) for text in texts]
    if task == 'numbers' and None in numbers:
        raise Refused(f'{path}: {name} holds {texts[numbers.index(None)]!r}, which is no number: mend it '
                      '(such as 0.5), or leave data.task=numbers out')
    fractions = None not in numbers and any(number != round(number) for number in filter(np.isfinite, numbers))
    if None in numbers or task == 'classes' and fractions:
        found, label = np.unique(np.array(texts), return_inverse=True)
        return label.astype(np.int32), Task.of(tuple(found.tolist())), []
    numbers = np.array(numbers)
    if not np.isfinite(numbers).all():
        raise Refused(f'{path}: the {name} of {files[int(np.argmin(np.isfinite(numbers)))]} is '
                      'not finite: mend or remove the row')
    if task == 'numbers' or fractions:
        told = [] if task else [f'{name} is numbers with fractions: regression; data.task=classes takes each for a class']
        return numbers.astype(np.float32), Task('numbers'), told
    values, first, label = np.unique(numbers, return_index=True, return_inverse=True)
    if len(values) < len(set(texts)):   # 1 and 01: names
        found, label = np.unique(np.array(texts), return_inverse=True)
        return label.astype(np.int32), Task.of(tuple(found.tolist())), []
    found = tuple(texts[i] if texts[i].isdigit() else f'{value:.0f}'
                  for i, value in zip(first, values, strict=True))
    told = [] if task else [f'{name} is whole numbers: {len(found)} classes; data.task=numbers takes them for regression']
    return label.astype(np.int32), Task.of(found), told


def _columns(marks, names, path, task):
    """Columns of numbers: 0 and 1 are classes where each row has a single 1, and several labels elsewhere."""
    single = (marks.sum(1) == 1).all()
    if task == 'classes' and not single:
        raise Refused(f'{path}: some rows have not a single 1: say data.task=labels')
    if task == 'numbers':
        return marks, Task('numbers'), []
    if single and task != 'labels':
        told = [] if task else [f'each row has a single 1: {len(names)} classes; data.task=labels takes them for several labels']
        return marks.argmax(1).astype(np.int32), Task.of(tuple(names)), told
    return marks, Task('labels', tuple(names)), []


def _splits(rows: Sequence[Sequence[str]], split: int | None, path: Path) -> list[str]:
    if split is None:
        return []
    unknown = sorted({row[split] for row in rows if row[split].lower() not in SPLITS})
    if unknown:
        raise Refused(f'{path}: the column {SPLIT} holds {short(map(repr, unknown), 4)}: write '
                      'train, validation or test')
    return [SPLITS[row[split].lower()] for row in rows]


def _number(text):
    try:
        return None if '_' in text else float(text)   # Python takes 1_2 for 12
    except ValueError:
        return None
