"""Data sets of picture files, which are decoded when their examples are read."""

import hashlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tljax.core import Dataset, Task, UserError, abbreviated, nearest_name
from tljax.data.archives import File, printable
from tljax.data.decoding import FILTERS, PIXELS, header, picture
from tljax.data.ranges import BYTES
from tljax.files.console import watched
from tljax.packing import Bytes, Unpacked

HEAD = 2**16  # bytes that contain the header of most pictures
ORIENTATION = 0x0112  # EXIF tag
# one thread for each core that this process may use
WORKERS = len(os.sched_getaffinity(0)) if sys.platform == 'linux' else os.cpu_count() or 1
MEMORY = 2**31  # bytes of decoded pictures that a data set keeps at most


def refuse_size(size: int, channels: int) -> None:
    """Refuses a shape that pictures cannot be converted to.

    Args:
        size: side in pixels.
        channels: number of channels.

    Raises:
        UserError: the side is below 1, or there are neither 1 nor 3 channels.

    >>> refuse_size(0, 3)
    Traceback (most recent call last):
    tljax.core.UserError: data.size=0, data.channels=3: give a side of at least 1 pixel, and 3 ...
    """
    if channels not in (1, 3) or size < 1:
        raise UserError(
            f'data.size={size}, data.channels={channels}: give a side of at least 1 pixel, and 3 '
            'channels or 1 (grey)'
        )


def refuse_decoding(draft: int, interpolation: str) -> None:
    """Refuses settings that no picture can be decoded by.

    Args:
        draft: as in `data.folder`.
        interpolation: as in `data.folder`.

    Raises:
        UserError: `draft` is below 0, or no filter has the name.

    >>> refuse_decoding(-1, 'bilinear')
    Traceback (most recent call last):
    tljax.core.UserError: data.draft=-1: give 0 to decode at full size, or 2 or 3 to decode faster
    """
    if draft < 0:
        raise UserError(
            f'data.draft={draft}: give 0 to decode at full size, or 2 or 3 to decode faster'
        )
    if interpolation not in FILTERS:
        raise UserError(
            f'data.interpolation={interpolation!r} is unknown: '
            f'{nearest_name(interpolation, FILTERS)}'
        )


class Sides(NamedTuple):
    """Height and width of a picture, as stored and after its EXIF orientation has turned it.

    >>> Sides((4, 6), (6, 4)).upright
    (6, 4)
    """

    stored: tuple[int, int]
    upright: tuple[int, int]


def refuse_unreadable(
    files: Sequence[File], names: Sequence[str], where: str | Path, pixels: int = PIXELS
) -> list[Sides]:
    """Reads the headers of all pictures, and reports the unreadable ones in one error.

    Damage after the header is noticed only when the picture is decoded.

    Args:
        files: the pictures.
        names: names of the pictures below `where`.
        where: the folder or archive, for errors.
        pixels: most pixels that a picture may have.

    Returns:
        The sides of each picture.

    Raises:
        UserError: some headers cannot be read; the message has their number and the first names.

    >>> refuse_unreadable([File(Path('a.png'), '', 2, lambda limit: b'no')], ['a.png'], 'photos')
    Traceback (most recent call last):
    tljax.core.UserError: a.png cannot be decoded as a picture (of no format that Pillow knows): ...
    """

    sides = [Sides((0, 0), (0, 0))] * len(files)

    def read(row):
        try:
            image = header(files[row].read(HEAD), files[row].path, pixels)
        except UserError:  # in some formats the header is not at the start of the file
            image = header(files[row].read(), files[row].path, pixels)
        sides[row] = _sides(image)

    faults = dict(unreadable_pictures(read, names, f'looking at {len(files)} pictures'))
    if len(faults) == 1:
        raise next(iter(faults.values()))
    if faults:
        raise UserError(
            f'{len(faults)} of {len(files)} pictures of {where} cannot be read: '
            f'{abbreviated(faults, 8)}: replace or remove them'
        )
    return sides


def _sides(image):
    stored = image.height, image.width
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged EXIF raises errors of many types
        orientation = 1
    # the values 5 to 8 exchange rows and columns
    return Sides(stored, stored[::-1] if orientation in (5, 6, 7, 8) else stored)


def picture_dataset(
    decode: Callable[[int], np.ndarray],
    shape: tuple[int, ...],
    label: np.ndarray,
    task: Task,
    content: str,
    names: Sequence[str] = (),
    keep: bool = True,
    workers: int = WORKERS,
) -> Dataset:
    """Returns a Dataset whose pictures are decoded by several threads when they are read.

    The first pictures of the set, as many as fit into MEMORY bytes, are kept in memory once they
    are decoded. The others are decoded whenever they are read, so a set may be larger than memory.
    Inputs are float32 in [0, 1], and bytes on their way to a device.

    Args:
        decode: row -> uint8 of `shape`.
        shape: shape of an example.
        label: (n,) or (n, d).
        task: task of the labels.
        content: text that identifies the contents of the set; the fingerprint is its hash.
        names: names of the examples.
        keep: False if decoded pictures must not be kept.
        workers: number of threads that decode.

    >>> def decode(row):
    ...     return np.full((1, 1, 1), 51 * row, np.uint8)
    >>> dataset = picture_dataset(decode, (1, 1, 1), np.array([0, 0, 1]), Task.of('ab'), 'greys')
    >>> dataset.take(np.array([0, 2]))['input'].ravel().tolist()
    [0.0, 0.4000000059604645]
    """
    kept = min(len(label), MEMORY // max(1, int(np.prod(shape)))) if keep else 0
    pool = ThreadPoolExecutor(workers)
    # memory of zeros is allocated page by page, when it is written
    store = np.zeros((kept, *shape), np.uint8)
    is_decoded = np.zeros(kept, bool)

    def read(row, place):
        """Writes a picture to its place in a batch."""
        if row >= kept:
            place[...] = decode(row)
            return
        if not is_decoded[row]:
            store[row] = decode(row)
            is_decoded[row] = True
        place[...] = store[row]

    def take(index):
        index = np.arange(len(label))[index]  # negative rows count from the end
        rows, inputs = index.ravel().tolist(), np.empty((index.size, *shape), np.uint8)
        places = iter(range(len(rows)))  # shared: each thread takes the next place that is free

        def work(_):
            for i in places:
                read(rows[i], inputs[i])

        list(pool.map(work, range(min(workers, len(rows)))))  # raises the error of a picture
        return {'input': Bytes(inputs.reshape(*index.shape, *shape)), 'label': label[index]}

    digest = hashlib.sha256(content.encode(errors='surrogatepass')).hexdigest()
    return Dataset(Unpacked(take), label, task, digest, names=np.array(names, str), range=BYTES)


def pictures(
    files: Sequence[File],
    shape: tuple[int, ...],
    resize: int | None = None,
    label: np.ndarray | None = None,
    task: Task = Task('classes'),
    names: Sequence[str] | None = None,
    pixels: int | None = None,
    errors: dict[int, str] | None = None,
    draft: int = 0,
    interpolation: str = 'bilinear',
    keep: bool = True,
    workers: int = WORKERS,
    read: Callable[[int], np.ndarray] | None = None,
) -> Dataset:
    """Returns a Dataset of picture files, float32 in [0, 1], decoded as in `data.folder`.

    Args:
        files: the pictures.
        shape: (size, size, channels) of an example.
        resize: as in `data.folder`.
        label: (n,) or (n, d); None for zeros.
        task: task of the labels.
        names: names of the pictures; None for their paths.
        pixels: most pixels that a picture may have; None for PIXELS.
        errors: a dict for sets that are read once only. If given, a picture that cannot be decoded
            becomes black, and its row and the reason are added to the dict.
        draft: as in `data.folder`.
        interpolation: as in `data.folder`.
        keep: False if decoded pictures must not be kept, as for sets that are read once only.
        workers: number of threads that decode.
        read: row -> uint8 of `shape`, in place of this function's own decoding.

    Raises:
        UserError: pictures cannot have this shape. Without `errors`, `take` raises it if a picture
            cannot be decoded, and the message names all such pictures of the set.

    >>> import tempfile
    >>> from PIL import Image
    >>> from tljax.data.finding import find
    >>> path = Path(tempfile.mkdtemp(), 'red.png')
    >>> Image.new('RGB', (9, 6), 'red').save(path)
    >>> red = pictures(find([path]), (4, 4, 3)).take(np.array([0]))['input']
    >>> red.shape, red[0, 0, 0].tolist()
    ((1, 4, 4, 3), [1.0, 0.0, 0.0])
    """
    if len(shape) != 3 or shape[0] != shape[1] or shape[2] not in (1, 3):
        raise UserError(
            f'the model takes inputs of shape {tuple(shape)}, which are no square pictures: give '
            'it a data set by a config'
        )
    names = [printable(file.path) for file in files] if names is None else names
    label = np.zeros(len(files), np.int32) if label is None else np.asarray(label)
    lock, decoding_errors = threading.Lock(), []

    def cropped(row):
        file, limit = files[row], pixels or PIXELS
        data = file.read()
        return picture(data, file.path, shape[2], shape[0], resize, limit, draft, interpolation)

    read = read or cropped

    def decode(row):
        try:
            return read(row)
        except UserError as error:
            if errors is None:
                with lock:  # only one of the threads reads all pictures
                    if not decoding_errors:
                        decoding_errors.append(_decoding_error(read, names, error))
                raise decoding_errors[0] from error
            errors[row] = str(error)
            return np.zeros(shape, np.uint8)

    stamps = [(name, file.stamp) for name, file in zip(names, files, strict=True)]
    content = repr((tuple(shape), resize, task, label.tolist(), stamps))
    content += f', draft {draft}' if draft else ''
    content += f', {interpolation}' if interpolation != 'bilinear' else ''
    keep = keep and errors is None
    return picture_dataset(decode, tuple(shape), label, task, content, names, keep, workers)


def _decoding_error(read, names, first):
    """The error about all pictures of a set that cannot be decoded; `first` if there is one."""
    faults = dict(unreadable_pictures(read, names, f'looking for damage in {len(names)} pictures'))
    if len(faults) < 2:
        return first
    return UserError(
        f'{len(faults)} of {len(names)} pictures cannot be decoded: {abbreviated(faults, 8)}: '
        'replace or remove them'
    )


def unreadable_pictures(
    read: Callable[[int], object], names: Sequence[str], text: str
) -> Iterator[tuple[str, UserError]]:
    """Yields the name of each picture that cannot be read, and the error.

    Args:
        read: row -> anything; raises UserError if the picture cannot be read.
        names: names of the pictures, row by row.
        text: text of the progress line, which is printed if reading takes long.

    >>> def read(row):
    ...     if row == 1:
    ...         raise UserError('cut off')
    >>> for name, error in unreadable_pictures(read, ['a.png', 'b.png'], 'looking'):
    ...     print(name, error)
    b.png cut off
    """

    def fault(row):
        try:
            read(row)
        except UserError as error:
            return error

    with ThreadPoolExecutor(WORKERS) as pool:
        faults = pool.map(fault, range(len(names)))
        for name in watched(names, text):
            if error := next(faults):
                yield name, error
