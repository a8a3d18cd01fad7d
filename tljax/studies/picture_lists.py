"""Finds the pictures that paths name: files, folders, archives, and tables that list pictures."""

from collections.abc import Sequence
from pathlib import Path

from tljax.core import UserError, abbreviated
from tljax.data.archives import File
from tljax.data.finding import find, is_picture
from tljax.data.formats.listed import is_table, locate_pictures
from tljax.data.rows import FILE, cells
from tljax.files.console import say


def pictures(paths: Sequence[str | Path]) -> list[File]:
    """Returns the picture files that paths name, in the order of the paths.

    Args:
        paths: pictures, folders and archives, as `data.finding.find` takes them, and tables (CSV or
            TSV) that list pictures; the labels in a table are ignored.

    Raises:
        UserError: as `find`; a table names no pictures, or pictures of a table are missing.

    >>> pictures(['nowhere'])
    Traceback (most recent call last):
    tljax.core.UserError: nowhere does not exist: name a picture or a folder of pictures
    """
    files, others = [], []
    for path in (Path(path).expanduser() for path in paths):
        if not (is_table(path) and path.exists()):
            others.append(path)
            continue
        files += find(others) + _pictures_of_table(path)
        others = []
    return files + find(others)


def _pictures_of_table(path: Path) -> list[File]:
    """Returns the pictures that a table lists, each once."""
    header, *rows = [row for _, row in cells(path)] or [[]]
    if any(map(is_picture, header)):  # a list of pictures without a header
        rows, header_names = [header, *rows], []
    else:
        header_names = [name.lower() for name in header]
    column = _file_column(header_names, rows)
    if column is None or not rows:
        raise UserError(
            f'{path} names no pictures (columns {abbreviated(header, 6)}): call the column of '
            'their names file, and write a row for each'
        )
    if any(len(row) <= column or not row[column] for row in rows):
        raise UserError(f'{path}: a row names no picture: write its name')
    names = dict.fromkeys(row[column].replace('\\', '/') for row in rows)
    files, _, notes = locate_pictures(path, list(names))
    for note in notes:
        say(note)
    return files


def _file_column(header_names: list[str], rows: list[list[str]]) -> int | None:
    """Returns the column of the pictures' names; None where no column or several can be it.

    It is the column that has a name for it in the header, or else the only column whose cells are
    all pictures, or else the only column of a table with a header.

    Args:
        header_names: names of the columns in lower case; empty for a table without a header.
        rows: the other rows of the table.
    """
    for name in FILE:
        if name in header_names:
            return header_names.index(name)
    width = min(map(len, rows), default=0)
    columns = [i for i in range(width) if all(is_picture(row[i]) for row in rows)]
    if len(columns) == 1:
        return columns[0]
    return 0 if len(header_names) == 1 else None
