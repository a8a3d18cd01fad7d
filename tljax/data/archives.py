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

LARGEST = 2**30  # bytes of one file that are read
# bytes of a compressed tar archive, which is kept in memory once it is unpacked
UNPACKED = 2**30
# what file managers and notebooks leave in folders
LITTER = {'.DS_Store', '__MACOSX', '.ipynb_checkpoints', '.git', '.thumbnails', '.Trash'}
# first bytes -> what unpacks them
PACKED = {b'\x1f\x8b': gzip.open, b'BZh': bz2.open, b'\xfd7zXZ': lzma.open}


class File(NamedTuple):
    """A file of a folder or an archive.

    Attributes:
        path: what it is called in front of a user.
        stamp: a text that changes when the file does.
        size: its bytes, unpacked.
        start: (bytes at most) -> its first bytes; raises whatever the file's format raises.

    >>> File(Path('a.txt'), '', 5, lambda most: b'hello'[:most]).read()
    b'hello'
    """

    path: Path
    stamp: str
    size: int
    start: Callable[[int], bytes]

    def read(self, most: int = LARGEST) -> bytes:
        """The first bytes of the file, all of them unless `most` says less.

        Args:
            most: bytes at most.

        Raises:
            UserError: names a file that is too large, damaged or gone.
        """
        if self.size > LARGEST:
            raise UserError(
                f'{self.path} has {self.size:,} bytes, more than the {LARGEST:,} of a picture that '
                'is read: remove it'
            )
        try:
            return self.start(most)
        # a bad checksum, a cut stream, a password, a link to nothing are all different errors
        except Exception as error:
            reason = getattr(error, 'strerror', None) or str(error) or type(error).__name__
            raise UserError(
                f'{self.path} cannot be read ({reason}): copy it again or remove it'
            ) from error


def tree(root: Path, below: str = '') -> tuple[dict[str, File | None], tuple[str, ...]]:
    """The files and folders below a folder, but for hidden ones.

    Args:
        root: the folder.
        below: the part of it that is walked, 'photos/2024'.

    Returns:
        {name below `root`: File}, and {name with a slash at its end: None} of folders; and what is
        said of hidden files.

    Raises:
        UserError: for a folder that cannot be read.

    >>> import tempfile
    >>> (root := Path(tempfile.mkdtemp(), 'a')).mkdir()
    >>> _ = (root / 'b.txt').write_bytes(b'hello')
    >>> _ = (root / '.c.txt').write_bytes(b'')
    >>> (
    ...     {name: file and file.read() for name, file in tree(root.parent)[0].items()},
    ...     tree(root.parent)[1],
    ... )
    ({'a/': None, 'a/b.txt': b'hello'}, ('hidden files passed over: a/.c.txt',))
    """
    found, left = {}, []

    def walk(place, parts, above):
        real = os.path.realpath(place)
        if real in above:  # a link that leads back up
            return
        for entry in sorted(os.scandir(place), key=lambda entry: entry.name):
            name = '/'.join((*parts, printable(entry.name)))
            if hidden(name):
                left.append(name)
                continue
            if not entry.is_dir():
                found[name] = on_disk(Path(entry.path))
                continue
            found[f'{name}/'] = None
            walk(entry.path, (*parts, printable(entry.name)), (*above, real))

    try:
        walk(Path(root, below), tuple(filter(None, below.split('/'))), ())
    except OSError as error:
        raise UserError(
            f'{error.filename} cannot be read ({error.strerror}): mend or remove it'
        ) from error
    return found, _hidden(left)


def members(path: Path, below: str = '') -> tuple[dict[str, File | None], tuple[str, ...]] | None:
    """The files and folders of a folder or an archive; None for a file that is no archive.

    Args:
        path: the folder or archive.
        below: as `tree` takes it; archives are read whole.

    Returns:
        As `archive`.

    Raises:
        UserError: as `tree` and `archive`.

    >>> import tempfile
    >>> (place := Path(tempfile.mkdtemp(), 'a.txt')).write_text('hello')
    5
    >>> members(place) is None, list(members(place.parent)[0])
    (True, ['a.txt'])
    """
    return tree(path, below) if path.is_dir() else archive(path)


def archive(path: Path) -> tuple[dict[str, File | None], tuple[str, ...]] | None:
    """The files of a ZIP or tar archive, whatever it is called; None for a file that is neither.

    A tar archive may be compressed by gzip, bzip2 or xz: it is then unpacked into memory, up to
    UNPACKED bytes.

    Args:
        path: the archive.

    Returns:
        As `tree`, and what is said of members that are left out: links, devices, paths that lead
        out of the archive.

    Raises:
        UserError: for an archive that is damaged or larger.

    >>> import tempfile
    >>> with zipfile.ZipFile(path := Path(tempfile.mkdtemp(), 'a.zip'), 'w') as written:
    ...     written.writestr('cat/1.png', b'hello')
    >>> archive(path)[0]['cat/1.png'].read(), archive(path)[1]
    (b'hello', ())
    """
    if not path.is_file():  # a pipe would hang
        return None
    try:
        with open(path, 'rb') as file:
            head = file.read(512)
        unpack = next((unpack for first, unpack in PACKED.items() if head.startswith(first)), None)
        if unpack:
            return _tar(path, _in_memory(path, unpack))
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
    """A File of the disk.

    What is no regular file (a pipe would hang, a link may lead nowhere) fails when it is read.

    Args:
        path: of the file.

    >>> on_disk(Path('nowhere.png')).size
    0
    """

    def start(most):
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError('it is no regular file')
        with open(path, 'rb') as file:
            return file.read(most)

    try:
        held = os.stat(path)
    except OSError:
        return File(path, '', 0, start)
    return File(path, f'{held.st_size} {held.st_mtime_ns}', held.st_size, start)


def printable(path: str | Path) -> str:
    """A path as text that can be printed and written, whatever the bytes of its name.

    Args:
        path: of a file or folder.

    >>> printable('a.png'), printable(os.fsdecode(b'\\xff.png'))
    ('a.png', '\\\\xff.png')
    """
    return os.fsencode(path).decode(errors='backslashreplace')


def hidden(name: str) -> bool:
    """Whether a name, or a folder in it, is hidden, or one of macOS's own in a ZIP.

    Args:
        name: path below a folder, parts by /.

    >>> hidden('cat/.1.png'), hidden('__MACOSX/cat/1.png'), hidden('cat/1.png')
    (True, True, False)
    """
    return any(part.startswith('.') or part == '__MACOSX' for part in name.split('/'))


def _zip(path):
    opened, found, led_out, out, again = zipfile.ZipFile(path), {}, 0, [], 0

    def start(info, most):
        with opened.open(info) as file:
            return file.read(most)

    for info in opened.infolist():
        name = _inside(info.filename.replace('\\', '/'))  # some Windows programs write those
        if name is None:
            led_out += 1
        elif hidden(name):
            out.append(name)
        elif name.endswith('/'):
            found[name] = None
        else:
            again += name in found
            found[name] = File(
                path / name,
                f'{info.file_size} {info.CRC}',
                info.file_size,
                functools.partial(start, info),
            )
    return found, (*_left_out(led_out), *_hidden(out), *_again(again))


def _tar(path, data=None):
    """Members of a tar archive on disk, or of one that was unpacked into memory."""
    found, left, held, out, again = {}, 0, path.stat(), [], 0
    # a member's time may be anything, and it has no checksum
    whole = f'{held.st_size} {held.st_mtime_ns}'

    def start(offset, size, most):
        if data is not None:
            return bytes(data[offset : offset + min(size, most)])
        with open(path, 'rb') as file:  # each read by a file of its own: threads share nothing
            file.seek(offset)
            return file.read(min(size, most))

    with open(path, 'rb') if data is None else io.BytesIO(data) as file:
        for info in _members(file):
            name = _inside(info.name + '/' * info.isdir())
            if name is None or not (info.isdir() or info.isreg() and not info.issparse()):
                left += 1
            elif hidden(name):
                out.append(name)
            elif info.isdir():
                found |= {name: None} if name != '/' else {}
            else:
                again += name in found
                read = functools.partial(start, info.offset_data, info.size)
                found[name] = File(
                    path / name, f'{info.size} {info.mtime} {whole}', info.size, read
                )
    return found, (*_left_out(left), *_hidden(out), *_again(again))


def _members(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """The members of a tar archive, which blocks of zeros end: tarfile takes damage for those."""
    with tarfile.open(fileobj=file, mode='r:') as opened:
        yield from opened
        file.seek(opened.offset)
        end = file.read(tarfile.BLOCKSIZE)
    if len(end) < tarfile.BLOCKSIZE or any(end):
        raise tarfile.ReadError(f'it is cut off or damaged at byte {opened.offset}')


def _in_memory(path, unpack):
    with unpack(path) as file:
        data = file.read(UNPACKED + 1)
    if len(data) > UNPACKED:
        raise UserError(
            f'{path} unpacks to more than {UNPACKED:,} bytes: unpack it (tar -xf) and give the '
            'folder'
        )
    return data


def _inside(name):
    """A member's name below the root of its archive; None where it leads out of it."""
    parts = [part for part in name.split('/') if part != '.'] or ['']
    if name.startswith('/') or '..' in parts or parts[0].endswith(':'):
        return None
    return '/'.join(part for i, part in enumerate(parts) if part or i == len(parts) - 1)


def _left_out(count):
    return (
        (
            f'{count} member{"s" * (count > 1)} of the archive left out: links, devices or paths '
            'that lead out of it',
        )
        if count
        else ()
    )


def _hidden(names):
    """What is said of hidden files, but for those that file managers leave everywhere."""
    names = [
        name
        for name in names
        if not any(part.startswith('._') or part in LITTER for part in name.split('/'))
    ]
    return (f'hidden files passed over: {abbreviated(names, 3)}',) if names else ()


def _again(count):
    return (
        (f'{count} files of the archive have the name of another: the last is read',)
        if count
        else ()
    )
