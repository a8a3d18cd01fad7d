"""Atomic writers for files and CSV tables: a reader never sees half a file."""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from tljax.core import UserError
from tljax.protocols import Cell


def refuse_unwritable(path: str | Path, flag: str) -> None:
    """Raises an error if a file cannot be written, so that a command fails before its work.

    Args:
        path: path of the file; its folders may be missing, `write` makes them.
        flag: the flag that sets the path, for errors.

    Raises:
        UserError: the path is empty, a folder, below a file, without write permission, or its
            name is too long.

    >>> refuse_unwritable('/', '--csv')
    Traceback (most recent call last):
    tljax.core.UserError: --csv=/ is a folder: name a file in it
    """
    file = Path(path)
    if not str(path):
        raise UserError(f'{flag}= names no file: name one, or leave it out')
    if file.is_dir() or str(path).endswith(('/', os.sep)):
        raise UserError(f'{flag}={path} is a folder: name a file in it')
    parent = next(path for path in file.absolute().parents if os.path.lexists(path))
    if not parent.is_dir():
        raise UserError(f'{flag}={path}: {parent} is no folder: name another')
    if not os.access(parent, os.W_OK) or file.exists() and not os.access(file, os.W_OK):
        raise UserError(
            f'{flag}={path} may not be written: name another place, or change the rights'
        )
    if len(os.fsencode(file.name)) > 200:
        raise UserError(f'{flag}={str(path)[:60]}...: the name is too long: name a shorter one')


def write(path: str | Path, content: str | bytes) -> None:
    """Writes a file atomically.

    Args:
        path: path of the file; missing folders are made.
        content: of the file; a text is written in UTF-8.

    >>> import tempfile
    >>> write(path := Path(tempfile.mkdtemp(), 'a', 'b.txt'), 'x')
    >>> path.read_text()
    'x'
    """
    path = Path(path)
    if isinstance(content, str):
        content = content.encode()  # before anything is made: an error must leave no file
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}')
    temporary.write_bytes(content)
    os.replace(temporary, path)


def write_csv(path: str | Path, rows: Iterable[Sequence[Cell]]) -> None:
    """Writes a CSV file atomically.

    Args:
        path: path of the file; missing folders are made.
        rows: the row of column names, then rows of as many cells.

    >>> import tempfile
    >>> write_csv(path := Path(tempfile.mkdtemp(), 'a.csv'), [['name', 'share'], ['a,b', 0.5]])
    >>> path.read_text()
    'name,share\\n"a,b",0.5\\n'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows(rows)
    write(path, text.getvalue())
