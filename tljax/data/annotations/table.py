"""Boxes in a table (CSV), a box a row, for a user's own folder."""

import csv
import io
import math

from tljax.core import UserError, abbreviated
from tljax.data.annotations.annotated import Annotated, Annotations, Pictures, text_of
from tljax.data.archives import File
from tljax.data.layout import SPLITS
from tljax.data.rows import FILE, LABEL, SPLIT

EDGES = ('ymin', 'xmin', 'ymax', 'xmax')


def table(files: dict[str, File]) -> Annotations:
    """Reads a CSV whose columns are file, xmin, ymin, xmax, ymax (pixels) and class.

    A picture without boxes has one row, whose other cells are empty. The columns height, width and
    split may be there too. Classes are sorted by name.

    Args:
        files: the files of a folder or archive by name; one of them is a CSV.

    Raises:
        UserError: there are several CSV files, a column is missing, a cell is no number, or
            pictures are missing.

    >>> text = b'file,xmin,ymin,xmax,ymax,class\\na.jpg,1,2,3,5,cat\\nb.jpg,,,,,\\n'
    >>> file = File('boxes.csv', '', len(text), lambda limit: text)
    >>> found = table({'boxes.csv': file, 'a.jpg': file, 'b.jpg': file})
    >>> [row.boxes.tolist() for row in found.pictures], found.classes
    ([[[2.0, 1.0, 5.0, 3.0]], []], ('cat',))
    """
    tables = [file for name, file in sorted(files.items()) if name.lower().endswith('.csv')]
    if len(tables) != 1:
        raise UserError(
            f'there are {len(tables)} CSV files '
            f'({abbreviated((file.path for file in tables), 3)}): keep one, with a column split if '
            'there are splits'
        )
    where, reader = tables[0].path, csv.DictReader(io.StringIO(text_of(tables[0])))
    columns = {str(name).strip().lower(): name for name in reader.fieldnames or ()}
    file = next((name for name in FILE if name in columns), '')
    label = next((name for name in LABEL if name in columns), '')
    absent = [edge for edge in EDGES if edge not in columns]
    absent += ['file'] * (not file) + ['class'] * (not label)
    if absent:
        raise UserError(
            f'{where} has no column {", ".join(absent)}, but {abbreviated(columns)}: name the '
            'columns file, xmin, ymin, xmax, ymax and class'
        )
    pictures, rows, missing = Pictures(files), {}, []
    for i, cells in enumerate(_lines(reader, where), 2):
        cells = {key: (cells.get(name) or '').strip() for key, name in columns.items()}
        name = pictures.find(cells[file])
        if name is None:
            missing.append(cells[file])
            continue
        split = _split(cells.get(SPLIT, ''), where, i)
        sides = [cells.get(side, '') for side in ('height', 'width')]
        size = (int(sides[0]), int(sides[1])) if all(side.isdecimal() for side in sides) else ()
        row = rows.setdefault(name, ([], size, split))
        if row[1:] != (size, split):
            raise UserError(f'{where}, line {i}: {name} has another size or split above: mend it')
        if any(cells[edge] for edge in EDGES) or cells[label]:
            row[0].append((_box(cells, where, i), cells[label]))
            if not row[0][-1][1]:
                raise UserError(f'{where}, line {i}: the box has no class: give it one')
    if missing:
        raise UserError(
            f'{where}: {len(missing)} rows are of pictures that are missing '
            f'({abbreviated(map(repr, missing), 3)}): add them or remove the rows'
        )
    classes = tuple(sorted({name for boxes, *_ in rows.values() for _, name in boxes}))
    number = {name: i for i, name in enumerate(classes)}
    found = [
        Annotated.of(
            name,
            [box for box, _ in boxes],
            [number[label] for _, label in boxes],
            size=size,
            split=split,
        )
        for name, (boxes, size, split) in rows.items()
    ]
    return Annotations(found, classes, tuple(range(len(classes))))


def _lines(reader, where):
    """The lines of a table after the first."""
    try:
        yield from reader
    except csv.Error as error:
        raise UserError(f'{where} is no table ({error}): save it as CSV') from error


def _split(text, where, line):
    if text and text.lower() not in SPLITS:
        raise UserError(
            f'{where}, line {line}: the split {text!r} is none of train, validation and test: mend '
            'it'
        )
    return SPLITS[text.lower()] if text else ''


def _box(cells, where, line):
    try:
        box = [float(cells[edge]) for edge in EDGES]
    except ValueError:
        box = [math.nan]
    if not all(map(math.isfinite, box)):
        texts = ', '.join(f'{edge}={cells[edge]!r}' for edge in EDGES)
        raise UserError(f'{where}, line {line}: {texts} are no four numbers: mend it')
    return box
