"""Text files and tables of cells that are written whole or not at all."""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from tljax.core import UserError
from tljax.protocols import Cell


def refuse_unwritable(path: str | Path, flag: str) -> None:
    """Refuses a file that cannot be written, before there is anything to write.

    Args:
        path: of the file; folders on the way that are missing are made when it is written.
        flag: what names it, for errors.

    Raises:
        UserError: for a folder, a path through a file, and where nothing may be written.

    >>> refuse_unwritable('/', '--csv')
    Traceback (most recent call last):
    tljax.core.UserError: --csv=/ is a folder: name a file in it
    """
    file = Path(path)
    if not str(path):
        raise UserError(f'{flag}= names no file: name one, or leave it out')
    if file.is_dir() or str(path).endswith(('/', os.sep)):
        raise UserError(f'{flag}={path} is a folder: name a file in it')
    above = next(each for each in file.absolute().parents if os.path.lexists(each))
    if not above.is_dir():
        raise UserError(f'{flag}={path}: {above} is no folder: name another')
    if not os.access(above, os.W_OK) or file.exists() and not os.access(file, os.W_OK):
        raise UserError(
            f'{flag}={path} may not be written: name another place, or change the rights'
        )
    if len(os.fsencode(file.name)) > 200:
        raise UserError(f'{flag}={str(path)[:60]}...: the name is too long: name a shorter one')


def write(path: str | Path, text: str) -> None:
    """Writes a text file whole or not at all.

    Args:
        path: of the file; folders on the way are made.
        text: what it holds.

    >>> import tempfile
    >>> write(path := Path(tempfile.mkdtemp(), 'a', 'b.txt'), 'x')
    >>> path.read_text()
    'x'
    """
    path, content = Path(path), text.encode()  # what cannot be encoded leaves no trace
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}')
    temporary.write_bytes(content)
    os.replace(temporary, path)


def write_csv(path: str | Path, rows: Iterable[Sequence[Cell]]) -> None:
    """Writes rows of cells as a CSV, whole or not at all.

    Args:
        path: of the file.
        rows: the names of the columns, and then as many cells a row.

    >>> import tempfile
    >>> write_csv(path := Path(tempfile.mkdtemp(), 'a.csv'), [['name', 'share'], ['a,b', 0.5]])
    >>> path.read_text()
    'name,share\\n"a,b",0.5\\n'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows(rows)
    write(path, text.getvalue())
