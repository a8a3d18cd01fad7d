"""Text files that are written whole or not at all."""
import os
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
