"""Which pictures paths name: files, folders, archives, and tables that list them."""

from collections.abc import Sequence
from pathlib import Path

from tljax.core import UserError, abbreviated
from tljax.data.archives import File
from tljax.data.finding import find, is_picture
from tljax.data.formats.listed import is_table, locate_pictures
from tljax.data.rows import FILE, cells
from tljax.files.console import say


def pictures(paths: Sequence[str | Path]) -> list[File]:
    """The picture files that paths name, in their order.

    Args:
        paths: as `data.finding.find` takes them, and tables (CSV or TSV) that list pictures, whose
            labels are passed over.

    Raises:
        UserError: as `find`; a table that names no pictures, and pictures that are missing.

    >>> pictures(['nowhere'])
    Traceback (most recent call last):
    tljax.core.UserError: nowhere does not exist: name a picture or a folder of pictures
    """
    found, others = [], []
    for path in (Path(path).expanduser() for path in paths):
        if not (is_table(path) and path.exists()):
            others.append(path)
            continue
        found += find(others) + _listed(path)
        others = []
    return found + find(others)


def _listed(path: Path) -> list[File]:
    """The pictures that a table lists, each once."""
    header, *rows = [row for _, row in cells(path)] or [[]]
    lower = [name.lower() for name in header]
    if any(map(is_picture, header)):  # a bare list
        rows = [header, *rows]
        lower = []
    place = next((lower.index(name) for name in FILE if name in lower), None)
    if place is None:
        width = min(map(len, rows), default=0)
        alike = [i for i in range(width) if all(is_picture(row[i]) for row in rows)]
        place = alike[0] if len(alike) == 1 else 0 if len(header) == 1 and lower else None
    if place is None or not rows:
        raise UserError(
            f'{path} names no pictures (columns {abbreviated(header, 6)}): call the column of '
            'their names file, and write a row for each'
        )
    if any(len(row) <= place or not row[place] for row in rows):
        raise UserError(f'{path}: a row names no picture: mend it')
    names = dict.fromkeys(row[place].replace('\\', '/') for row in rows)
    files, _, notes = locate_pictures(path, list(names))
    for note in notes:
        say(note)
    return files
