"""Files from the network: fetched once, resumed where a download broke off, checked before they
take their place in the cache."""

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
    known: str | None = None,
    check: Callable[[Path], object] | None = None,
) -> Path:
    """The path of a file in `folder`, downloaded from `url` unless it is there.

    What a broken download left is kept beside as `.part`, and the next call goes on from it. A file
    whose checksum nobody published is known by the one it had when it was first fetched: that is
    told, kept beside as `.sha256`, and checked from then on. Several processes may ask for one file
    at the same time.

    Args:
        url: of the file; its last part becomes the name.
        folder: where the file is kept.
        known: the checksum as published, 'md5:...'.
        check: function of a path that raises UserError for a file that is not what it should be;
            called before anything is replaced.

    Raises:
        UserError: where the file is neither there nor to be had, with its address and where to put
            it; for a wrong checksum; as `check`.

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
        if known is None and path.exists():
            if not record.exists():
                _remember(path, record)
            known = 'sha256:' + record.read_text().strip()
            if (found := pooch.file_hash(path)) != known[7:]:
                raise UserError(
                    f'{path} is not what was first fetched: its SHA-256 is {found}, was '
                    f'{known[7:]}: remove it, or, if it is right, remove {record.name}'
                )
        try:
            pooch.retrieve(
                url,
                known,
                path.name,
                path.parent,
                downloader=_Resumed(path.with_name(path.name + '.part'), check),
            )
        except UserError:
            raise
        except requests.RequestException as error:
            there = (
                'has another checksum than the one published' if path.exists() else 'is not there'
            )
            raise UserError(
                f'{path} {there} and cannot be fetched ({_reason(error)}): get {url} elsewhere and '
                'put it there'
            ) from error
        except ValueError as error:  # pooch's word for a checksum that differs
            raise UserError(
                f'{url} has another checksum than the one published ({known}): fetch it again later'
            ) from error
        if known is None:
            _remember(path, record)
    return path


class _Resumed:
    """A downloader for pooch that goes on where the last one broke off."""

    def __init__(self, part, check):
        self.part, self.check = part, check

    def __call__(self, fname, action, pooch, *, check_only=None):
        have = self.part.stat().st_size if self.part.exists() else 0
        with requests.get(
            fname,
            headers={'Range': f'bytes={have}-', 'Accept-Encoding': 'identity'},
            stream=True,
            timeout=30,
        ) as answer:
            if answer.status_code != 416:  # 416: there is nothing beyond what we have
                answer.raise_for_status()
                self._write(answer, have if answer.status_code == 206 else 0)
        if self.check is not None:
            try:
                self.check(self.part)
            except UserError as refused:
                self.part.unlink()
                raise UserError(str(refused).replace(str(self.part), fname)) from None
        self.part.replace(action)

    def _write(self, answer, have):
        total = have + int(answer.headers.get('Content-Length', 0)) or None
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
            say(f'fetching {answer.url}' + (f', {total / 1e6:.1f} MB' if total else ''))
        with bar, self.part.open('ab' if have else 'wb') as file:
            task = bar.add_task(answer.url.rsplit('/', 1)[1], total=total, completed=have)
            for chunk in answer.iter_content(1 << 20):
                file.write(chunk)
                bar.advance(task, len(chunk))


def _remember(path, record):
    found = pooch.file_hash(path)
    write(record, found + '\n')
    say(f'{path}: SHA-256 {found}, recorded, since none is published')


def _reason(error):
    return (
        f'{error.response.status_code} {error.response.reason}'
        if error.response is not None
        else type(error).__name__
    )
