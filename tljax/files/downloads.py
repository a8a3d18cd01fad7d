"""Downloads: each file is fetched once, resumed after a broken connection, and checked before it
enters the cache."""

from collections.abc import Callable
from pathlib import Path

import pooch
import requests
from filelock import FileLock
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from tljax.core import UserError
from tljax.files.console import console, say
from tljax.files.text import write


def fetch(
    url: str,
    folder: str | Path,
    checksum: str | None = None,
    check: Callable[[Path], object] | None = None,
) -> Path:
    """Returns the path of a file in `folder`, and downloads it from `url` if it is missing.

    If a download breaks off, its bytes stay in `NAME.part`, and the next call resumes it. If no
    checksum is published, the SHA-256 of the first download is printed, stored in `NAME.sha256` and
    checked by every later call. Several processes may fetch one file at once, as a lock guards it.

    Args:
        url: address of the file; its last part becomes the file's name.
        folder: folder of the file.
        checksum: published checksum, 'md5:...'; None if none is published.
        check: function of a path that raises UserError for a wrong file; called on a download
            before it takes the file's place.

    Raises:
        UserError: the file is missing and cannot be downloaded (the error says where to put it),
            its checksum is wrong, or `check` refuses it.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / 'a.txt').write_text('x')
    >>> fetch('https://example.org/a.txt', folder, 'md5:9dd4e461268c8034f5c8564e155c67a6').name
    'a.txt'
    """
    path = Path(folder) / url.rsplit('/', 1)[1]
    record = path.with_name(path.name + '.sha256')
    path.parent.mkdir(parents=True, exist_ok=True)
    pooch.get_logger().setLevel('WARNING')
    with FileLock(path.with_name(path.name + '.lock')):
        if checksum is None and path.exists():
            checksum = _checksum_of_record(path, record)
        try:
            pooch.retrieve(
                url,
                checksum,
                path.name,
                path.parent,
                downloader=_ResumingDownloader(path.with_name(path.name + '.part'), check),
            )
        except UserError:
            raise
        except requests.RequestException as error:
            state = (
                'has another checksum than the one published' if path.exists() else 'is not there'
            )
            raise UserError(
                f'{path} {state} and cannot be fetched ({_reason(error)}): get {url} elsewhere and '
                'put it there'
            ) from error
        except ValueError as error:  # pooch raises it for a wrong checksum
            raise UserError(
                f'{url} has another checksum than the one published ({checksum}): fetch it again '
                'later'
            ) from error
        if checksum is None:
            _write_record(path, record)
    return path


class _ResumingDownloader:
    """A downloader for pooch that continues a broken download.

    `part` is the path of the unfinished file, and `check` is that of `fetch`.
    """

    def __init__(self, part, check):
        self.part, self.check = part, check

    def __call__(self, fname, action, pooch, *, check_only=None):
        start = self.part.stat().st_size if self.part.exists() else 0
        with requests.get(
            fname,
            headers={'Range': f'bytes={start}-', 'Accept-Encoding': 'identity'},
            stream=True,
            timeout=30,
        ) as response:
            if response.status_code != 416:  # 416: the server has no bytes beyond `start`
                response.raise_for_status()
                self._write(response, start if response.status_code == 206 else 0)
        if self.check is not None:
            try:
                self.check(self.part)
            except UserError as error:
                self.part.unlink()
                raise UserError(str(error).replace(str(self.part), fname)) from None
        self.part.replace(action)

    def _write(self, response, start):
        """Appends the body of a response from byte `start` on, with a progress bar."""
        total = start + int(response.headers.get('Content-Length', 0)) or None
        bar = Progress(
            TextColumn('{task.description}'),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        if not console.is_terminal:
            say(f'fetching {response.url}' + (f', {total / 1e6:.1f} MB' if total else ''))
        with bar, self.part.open('ab' if start else 'wb') as file:
            task = bar.add_task(response.url.rsplit('/', 1)[1], total=total, completed=start)
            for chunk in response.iter_content(1 << 20):
                file.write(chunk)
                bar.advance(task, len(chunk))


def _checksum_of_record(path, record):
    """The checksum of a file's first download, which the file must still have."""
    if not record.exists():
        _write_record(path, record)
    sha256, first_sha256 = pooch.file_hash(path), record.read_text().strip()
    if sha256 != first_sha256:
        raise UserError(
            f'{path} is not what was first fetched: its SHA-256 is {sha256}, was {first_sha256}: '
            f'remove it, or, if it is right, remove {record.name}'
        )
    return f'sha256:{first_sha256}'


def _write_record(path, record):
    sha256 = pooch.file_hash(path)
    write(record, sha256 + '\n')
    say(f'{path}: SHA-256 {sha256}, recorded, since none is published')


def _reason(error):
    return (
        f'{error.response.status_code} {error.response.reason}'
        if error.response is not None
        else type(error).__name__
    )
