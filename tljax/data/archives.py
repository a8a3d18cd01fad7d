"""The files of a folder, a ZIP or a tar archive, read one by one and never unpacked to disk."""

import bz2
import functools
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tljax.core import UserError, abbreviated

FILE_LIMIT = 2**30  # bytes of the largest file that is read
# bytes of the largest compressed tar archive after decompression, because it is kept in memory
TAR_LIMIT = 2**30
# names that file managers and notebooks create in folders
LITTER = {'.DS_Store', '__MACOSX', '.ipynb_checkpoints', '.git', '.thumbnails', '.Trash'}
# first bytes of a compressed file -> function that opens it
DECOMPRESSORS = {b'\x1f\x8b': gzip.open, b'BZh': bz2.open, b'\xfd7zXZ': lzma.open}


class File(NamedTuple):
    """A file of a folder or an archive.

    Attributes:
        path: path of the file in messages.
        stamp: text that changes when the file changes.
        size: number of bytes after decompression.
        start: (limit) -> the first `limit` bytes of the file; may raise any error.

    >>> File(Path('a.txt'), '', 5, lambda limit: b'hello'[:limit]).read()
    b'hello'
    """

    path: Path
    stamp: str
    size: int
    start: Callable[[int], bytes]

    def read(self, limit: int = FILE_LIMIT) -> bytes:
        """Returns the bytes of the file, at most the first `limit`.

        Args:
            limit: largest number of bytes to return.

        Raises:
            UserError: the file is too large, damaged or missing.
        """
        if self.size > FILE_LIMIT:
            raise UserError(
                f'{self.path} has {self.size:,} bytes, more than the {FILE_LIMIT:,} that a picture '
                'may have: remove it'
            )
        try:
            return self.start(limit)
        # a bad checksum, a truncated stream, a password and a broken link raise different errors
        except Exception as error:
            reason = getattr(error, 'strerror', None) or str(error) or type(error).__name__
            raise UserError(
                f'{self.path} cannot be read ({reason}): copy it again or remove it'
            ) from error


def tree(root: Path, subfolder: str = '') -> tuple[dict[str, File | None], tuple[str, ...]]:
    """Lists the files and folders below a folder, without the hidden ones.

    Args:
        root: the folder.
        subfolder: the part of `root` to list, such as 'photos/2024'; '' lists all of it.

    Returns:
        A dict of name below `root` -> File, in which folders have names that end in a slash and the
        value None; and notes for the user about hidden files.

    Raises:
        UserError: a folder cannot be read.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> (root / 'a').mkdir()
    >>> _ = (root / 'a' / 'b.txt').write_bytes(b'hello')
    >>> _ = (root / 'a' / '.c.txt').write_bytes(b'')
    >>> files, notes = tree(root)
    >>> list(files), files['a/b.txt'].read()
    (['a/', 'a/b.txt'], b'hello')
    >>> notes
    ('hidden files passed over: a/.c.txt',)
    """
    files, hidden_names = {}, []

    def walk(folder, parts, parents):
        real_path = os.path.realpath(folder)
        if real_path in parents:  # a link that leads back up
            return
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            name = '/'.join((*parts, printable(entry.name)))
            if hidden(name):
                hidden_names.append(name)
            elif entry.is_dir():
                files[f'{name}/'] = None
                walk(entry.path, (*parts, printable(entry.name)), (*parents, real_path))
            else:
                files[name] = on_disk(Path(entry.path))

    try:
        walk(Path(root, subfolder), tuple(filter(None, subfolder.split('/'))), ())
    except OSError as error:
        raise UserError(
            f'{error.filename} cannot be read ({error.strerror}): mend or remove it'
        ) from error
    return files, _hidden_notes(hidden_names)


def members(
    path: Path, subfolder: str = ''
) -> tuple[dict[str, File | None], tuple[str, ...]] | None:
    """Lists the files and folders of a folder or an archive.

    Args:
        path: the folder or archive.
        subfolder: the part of a folder to list, as in `tree`; archives are always listed whole.

    Returns:
        As `archive`; None for a file that is not an archive.

    Raises:
        UserError: as in `tree` and `archive`.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> _ = (root / 'a.txt').write_text('hello')
    >>> files, notes = members(root)
    >>> files['a.txt'].read()
    b'hello'
    >>> members(root / 'a.txt') is None
    True
    """
    return tree(path, subfolder) if path.is_dir() else archive(path)


def archive(path: Path) -> tuple[dict[str, File | None], tuple[str, ...]] | None:
    """Lists the files of a ZIP or tar archive, which is recognised by its content.

    A tar archive may be compressed by gzip, bzip2 or xz. It is then decompressed into memory, up to
    TAR_LIMIT bytes.

    Args:
        path: the archive.

    Returns:
        As `tree`, with notes about members that are left out (links, devices, paths that lead out
        of the archive); None for a file that is neither a ZIP nor a tar archive.

    Raises:
        UserError: the archive is damaged or too large.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'a.zip')
    >>> with zipfile.ZipFile(path, 'w') as file:
    ...     file.writestr('cat/1.png', b'hello')
    >>> files, notes = archive(path)
    >>> files['cat/1.png'].read()
    b'hello'
    """
    if not path.is_file():  # opening a pipe would block
        return None
    try:
        with open(path, 'rb') as file:
            head = file.read(512)
        for magic, decompressor in DECOMPRESSORS.items():
            if head.startswith(magic):
                return _tar(path, _decompress(path, decompressor))
        if head.startswith(b'PK'):
            return _zip(path)
        return _tar(path) if tarfile.is_tarfile(path) else None
    except UserError:
        raise
    except Exception as error:  # of zipfile, tarfile, gzip, bz2, lzma, zlib
        kind = 'ZIP' if head.startswith(b'PK') else 'tar archive'
        raise UserError(
            f'{path} is no {kind} or a damaged one ({str(error) or type(error).__name__}): copy it '
            'again, or unpack it and give the folder'
        ) from error


def on_disk(path: Path) -> File:
    """Returns the File of a path on disk.

    A path that is not a regular file (a pipe, a broken link) raises an error when it is read.

    Args:
        path: path of the file.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'a.txt')
    >>> _ = path.write_text('hello')
    >>> on_disk(path).size, on_disk(path).read(2)
    (5, b'he')
    """

    def start(limit):
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise OSError('it is no regular file')
        with open(path, 'rb') as file:  # Python makes room for all bytes that are asked for
            return file.read(min(limit, status.st_size))

    try:
        status = os.stat(path)
    except OSError:
        return File(path, '', 0, start)
    return File(path, f'{status.st_size} {status.st_mtime_ns}', status.st_size, start)


def printable(path: str | Path) -> str:
    """Returns a path as valid Unicode text: bytes that are not UTF-8 are escaped.

    Args:
        path: path of a file or folder.

    >>> printable('a.png'), printable(os.fsdecode(b'\\xff.png'))
    ('a.png', '\\\\xff.png')
    """
    return os.fsencode(path).decode(errors='backslashreplace')


def hidden(name: str) -> bool:
    """Whether any part of a path is hidden: it starts with a dot, or is __MACOSX.

    macOS adds a folder __MACOSX to the ZIP files that it makes.

    Args:
        name: path below a folder, with parts separated by /.

    >>> hidden('cat/.1.png'), hidden('__MACOSX/cat/1.png'), hidden('cat/1.png')
    (True, True, False)
    """
    return any(part.startswith('.') or part == '__MACOSX' for part in name.split('/'))


def _zip(path):
    """The files of a ZIP, and notes about members that are left out."""
    zip_file = zipfile.ZipFile(path)
    files, hidden_names, outside_count, duplicate_count = {}, [], 0, 0

    def start(info, limit):
        with zip_file.open(info) as file:
            return file.read(limit)

    for info in zip_file.infolist():
        name = _safe_name(info.filename.replace('\\', '/'))  # some Windows programs write \
        if name is None:
            outside_count += 1
        elif hidden(name):
            hidden_names.append(name)
        elif name.endswith('/'):
            files[name] = None
        else:
            duplicate_count += name in files
            files[name] = File(
                path / name,
                f'{info.file_size} {info.CRC}',
                info.file_size,
                functools.partial(start, info),
            )
    return files, _notes(outside_count, hidden_names, duplicate_count)


def _tar(path, data=None):
    """The files of a tar archive on disk, or of its decompressed bytes `data`, and notes."""
    files, hidden_names, outside_count, duplicate_count = {}, [], 0, 0
    status = path.stat()
    # part of every member's stamp, because a member's time may be anything and has no checksum
    archive_stamp = f'{status.st_size} {status.st_mtime_ns}'

    def start(offset, size, limit):
        if data is not None:
            return bytes(data[offset : offset + min(size, limit)])
        with open(path, 'rb') as file:  # every call opens the archive, so threads share no position
            file.seek(offset)
            return file.read(min(size, limit))

    with open(path, 'rb') if data is None else io.BytesIO(data) as file:
        for info in _tar_members(file):
            name = _safe_name(info.name + '/' * info.isdir())
            if name is None or not (info.isdir() or info.isreg() and not info.issparse()):
                outside_count += 1
            elif hidden(name):
                hidden_names.append(name)
            elif info.isdir():
                if name != '/':
                    files[name] = None
            else:
                duplicate_count += name in files
                files[name] = File(
                    path / name,
                    f'{info.size} {info.mtime} {archive_stamp}',
                    info.size,
                    functools.partial(start, info.offset_data, info.size),
                )
    return files, _notes(outside_count, hidden_names, duplicate_count)


def _tar_members(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Yields the members of a tar archive, and raises ReadError if no block of zeros follows them.

    The module tarfile takes a damaged header for the end of the archive. A real end is a block of
    zeros.
    """
    with tarfile.open(fileobj=file, mode='r:') as tar_file:
        yield from tar_file
        file.seek(tar_file.offset)
        end = file.read(tarfile.BLOCKSIZE)
    if len(end) < tarfile.BLOCKSIZE or any(end):
        raise tarfile.ReadError(f'it is cut off or damaged at byte {tar_file.offset}')


def _decompress(path, decompressor):
    with decompressor(path) as file:
        data = file.read(TAR_LIMIT + 1)
    if len(data) > TAR_LIMIT:
        raise UserError(
            f'{path} unpacks to more than {TAR_LIMIT:,} bytes: unpack it (tar -xf) and give the '
            'folder'
        )
    return data


def _safe_name(name):
    """A member's normalised name below the archive's root; None if it leads out of the archive."""
    parts = [part for part in name.split('/') if part != '.'] or ['']
    if name.startswith('/') or '..' in parts or parts[0].endswith(':'):
        return None
    return '/'.join(part for i, part in enumerate(parts) if part or i == len(parts) - 1)


def _notes(outside_count, hidden_names, duplicate_count):
    """Notes about the members of an archive that are left out."""
    notes = []
    if outside_count:
        notes.append(
            f'{outside_count} member{"s" * (outside_count > 1)} of the archive left out: links, '
            'devices or paths that lead out of it'
        )
    notes += _hidden_notes(hidden_names)
    if duplicate_count:
        notes.append(
            f'{duplicate_count} files of the archive have the name of another: the last is read'
        )
    return tuple(notes)


def _hidden_notes(names):
    """One note about hidden files; none if file managers and notebooks made all of them."""
    names = [
        name
        for name in names
        if not any(part.startswith('._') or part in LITTER for part in name.split('/'))
    ]
    return (f'hidden files passed over: {abbreviated(names, 3)}',) if names else ()
