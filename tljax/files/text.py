"""Text files and tables of cells that are written whole or not at all."""
import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path


def write(path: str | Path, text: str) -> None:
    """Writes a text file whole or not at all.

    >>> import tempfile
    >>> write(path := Path(tempfile.mkdtemp(), 'a', 'b.txt'), 'x')
    >>> path.read_text()
    'x'
    """
    path, content = Path(path), text.encode()   # what cannot be encoded leaves no trace
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}')
    temporary.write_bytes(content)
    os.replace(temporary, path)


def write_csv(path: str | Path, rows: Iterable[Sequence]) -> None:
    """Writes rows of cells as a CSV, whole or not at all.

    Args:
        path: of the file.
        rows: the names of the columns, and then as many cells a row.

    >>> import tempfile
    >>> write_csv(path := Path(tempfile.mkdtemp(), 'a.csv'), [['name', 'share'], ['a,b', .5]])
    >>> path.read_text()
    'name,share\\n"a,b",0.5\\n'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows(rows)
    write(path, text.getvalue())
