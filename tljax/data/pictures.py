"""Data sets of picture files, which are decoded when they are asked for."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tljax.core import Dataset, Task, UserError, abbreviated
from tljax.data.archives import File, printable
from tljax.data.decoding import PIXELS, header, picture
from tljax.files.console import watched

HEAD = 2**16  # bytes that hold most pictures' headers
WORKERS = min(8, os.cpu_count() or 1)
MEMORY = 2**31  # bytes of decoded pictures that a data set may keep


def refuse_size(size: int, channels: int) -> None:
    """Refuses a shape that no picture can be given.

    Args:
        size: side, pixels.
        channels: 1 or 3.

    >>> refuse_size(0, 3)
    Traceback (most recent call last):
    tljax.core.UserError: data.size=0, data.channels=3: give a side of at least 1 pixel, and 3 ...
    """
    if channels not in (1, 3) or size < 1:
        raise UserError(
            f'data.size={size}, data.channels={channels}: give a side of at least 1 pixel, and 3 '
            'channels or 1 (grey)'
        )


def refuse_unreadable(
    files: Sequence[File], names: Sequence[str], where: str | Path, pixels: int = PIXELS
) -> None:
    """Refuses pictures whose headers cannot be read, all at once.

    Damage behind a header is found when the picture is asked for.

    Args:
        files: the pictures.
        names: what they are called below `where`.
        where: the folder or archive.
        pixels: the most that one may have.

    Raises:
        UserError: names the first of them, and how many there are.

    >>> refuse_unreadable([File(Path('a.png'), '', 2, lambda most: b'no')], ['a.png'], 'photos')
    Traceback (most recent call last):
    tljax.core.UserError: a.png cannot be decoded as a picture (of no format that Pillow knows): ...
    """

    def read(row):
        try:
            header(files[row].read(HEAD), files[row].path, pixels)
        except UserError:  # some formats keep their header elsewhere
            header(files[row].read(), files[row].path, pixels)

    faults = dict(unreadable_pictures(read, names, f'looking at {len(files)} pictures'))
    if len(faults) == 1:
        raise next(iter(faults.values()))
    if faults:
        raise UserError(
            f'{len(faults)} of {len(files)} pictures of {where} cannot be read: '
            f'{abbreviated(faults, 8)}: replace or remove them'
        )


def picture_dataset(
    decode: Callable[[int], np.ndarray],
    shape: tuple[int, ...],
    label: np.ndarray,
    task: Task,
    held: str,
    names: Sequence[str] = (),
    keep: bool = True,
) -> Dataset:
    """A Dataset whose examples are decoded on several threads when they are first asked for,
    float32 in [0, 1].

    What was decoded is kept as long as all of it would fit MEMORY: an epoch after the first then
    costs no decoding.

    Args:
        decode: row -> uint8 of `shape`.
        shape: shape of an example.
        label: (n,) or (n, d).
        task: what is asked of a model.
        held: a text that tells what the set holds, for its fingerprint.
        names: of the examples.
        keep: whether what was decoded may be kept at all.

    >>> label, white = np.zeros(3, int), np.full((1, 1, 1), 255, np.uint8)
    >>> picture_dataset(lambda row: white, (1, 1, 1), label, Task.of('a'), 'white').take([2])[
    ...     'input'
    ... ]
    array([[[[1.]]]], dtype=float32)
    """
    keep = keep and len(label) * int(np.prod(shape)) <= MEMORY
    pool = ThreadPoolExecutor(WORKERS)
    store = np.zeros((len(label) if keep else 0, *shape), np.uint8)  # takes no room until written
    ready = np.zeros(len(label), bool)

    def one(row):
        if not keep:
            return decode(row)
        if not ready[row]:
            store[row] = decode(row)
            ready[row] = True
        return store[row]

    def take(index):
        index = np.asarray(index)
        inputs = np.empty((index.size, *shape), np.float32)
        for place, each in enumerate(pool.map(one, index.ravel().tolist())):
            inputs[place] = each
        inputs /= 255
        return {'input': inputs.reshape(*index.shape, *shape), 'label': label[index]}

    digest = hashlib.sha256(held.encode(errors='surrogatepass')).hexdigest()
    return Dataset(take, label, task, digest, names=np.array(names, str), range=(0.0, 255.0, 'i'))


def pictures(
    files: Sequence[File],
    shape: tuple[int, ...],
    resize: int | None = None,
    label: np.ndarray | None = None,
    task: Task = Task('classes'),
    names: Sequence[str] | None = None,
    pixels: int | None = None,
    failed: dict[int, str] | None = None,
) -> Dataset:
    """A Dataset of picture files, float32 in [0, 1], decoded as `data.folder` does.

    Args:
        files: the pictures.
        shape: (size, size, channels) of an example.
        resize: as `data.folder` takes it.
        label: (n,) or (n, d), or None: zeros.
        task: what is asked of a model.
        names: of the pictures; None: their paths.
        pixels: the most that a picture may have; None: PIXELS.
        failed: where given, the set is read once: a picture that cannot be decoded is black, and
            {row: why} is put there.

    Raises:
        UserError: for a shape that no picture has; by `take`, for pictures that cannot be decoded
            (names them all), unless `failed` is given.

    >>> import tempfile
    >>> from PIL import Image
    >>> from tljax.data.finding import find
    >>> Image.new('RGB', (9, 6), 'red').save(path := Path(tempfile.mkdtemp(), 'red.png'))
    >>> pictures(find([path]), (4, 4, 3)).take(np.array([0]))['input'][0, 0, 0].tolist()
    [1.0, 0.0, 0.0]
    """
    if len(shape) != 3 or shape[0] != shape[1] or shape[2] not in (1, 3):
        raise UserError(
            f'the model takes inputs of shape {tuple(shape)}, which are no square pictures: give '
            'it a data set by a config'
        )
    names = [printable(file.path) for file in files] if names is None else names
    label = np.zeros(len(files), np.int32) if label is None else np.asarray(label)

    lock, every = threading.Lock(), []

    def read(row):
        return picture(
            files[row].read(), files[row].path, shape[2], shape[0], resize, pixels or PIXELS
        )

    def decode(row):
        try:
            return read(row)
        except UserError as refused:
            if failed is None:
                with lock:  # one thread looks at them all
                    if not every:
                        every.append(_every(read, names, refused))
                raise every[0] from refused
            failed[row] = str(refused)
            return np.zeros(shape, np.uint8)

    held = repr(
        (
            tuple(shape),
            resize,
            task,
            label.tolist(),
            [(name, file.stamp) for name, file in zip(names, files, strict=True)],
        )
    )
    return picture_dataset(decode, tuple(shape), label, task, held, names, keep=failed is None)


def _every(read, names, first):
    """What is wrong with all pictures of a set, once one of them turns out to be damaged."""
    faults = dict(unreadable_pictures(read, names, f'looking for damage in {len(names)} pictures'))
    return (
        first
        if len(faults) < 2
        else UserError(
            f'{len(faults)} of {len(names)} pictures cannot be decoded: {abbreviated(faults, 8)}: '
            'replace or remove them'
        )
    )


def unreadable_pictures(
    read: Callable[[int], object], names: Sequence[str], said: str
) -> Iterator[tuple[str, UserError]]:
    """The pictures that cannot be read, with the reason.

    Args:
        read: row -> anything; raises UserError for a picture that cannot be read.
        names: of the pictures, row by row.
        said: what progress is called, where it takes long.

    >>> def read(row):
    ...     if row == 1:
    ...         raise UserError('cut off')
    >>> [
    ...     (name, str(reason))
    ...     for name, reason in unreadable_pictures(read, ['a.png', 'b.png'], 'looking')
    ... ]
    [('b.png', 'cut off')]
    """

    def fault(row):
        try:
            read(row)
        except UserError as refused:
            return refused

    with ThreadPoolExecutor(WORKERS) as pool:
        found = pool.map(fault, range(len(names)))
        for name in watched(names, said):
            if reason := next(found):
                yield name, reason
