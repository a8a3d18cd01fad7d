"""Picture files, decoded: upright, in 8 bits, scaled and cropped; and as data sets of them."""
import hashlib
import io
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tljax.core import Dataset, Refused, Task, short
from tljax.data.archives import LARGEST, File, printable
from tljax.files.console import watched

MODES = {1: 'L', 3: 'RGB', 4: 'RGBA'}
# Pillow opens them, too; EPS is a program, which Ghostscript would run
NO_PICTURES = {'BUFR', 'EPS', 'GRIB', 'HDF5', 'MPEG', 'WMF'}
FORMATS = sorted({*Image.registered_extensions().values()} & {*Image.OPEN} - NO_PICTURES)
PIXELS = 178_956_970   # that a picture may have: where Pillow itself stops
HEAD = 2 ** 16         # bytes that hold most pictures' headers
WORKERS = min(8, os.cpu_count() or 1)
MEMORY = 2 ** 31       # bytes of decoded pictures that a data set may keep
_LIMIT = threading.Lock()


def picture(data: bytes, where: str | Path, channels: int, size: int | None = None,
            resize: int | None = None, pixels: int = PIXELS) -> np.ndarray:
    """One encoded picture, upright, as (height, width, channels) uint8, or (size, size, channels).

    Args:
        data: bytes of a file that Pillow reads. 16-bit grey is scaled by the range of its depth.
        where: name of the file, for errors.
        channels: 1, 3 or 4; transparent pictures are laid over white unless it is 4.
        size: None for the picture as it is; otherwise its short side is scaled to `size` bilinearly
            and its centre kept.
        resize: where given, the short side is scaled to this, and the centre of `size` pixels cut
            out.
        pixels: the most that a picture may have.

    Raises:
        Refused: for what cannot be decoded, is larger, or holds numbers of no stated range.

    >>> file = io.BytesIO()
    >>> Image.new('RGB', (6, 4), 'red').save(file, 'PNG')
    >>> picture(file.getvalue(), 'red.png', channels=3, size=2)[0, 0].tolist()
    [255, 0, 0]
    """
    file = header(data, where, pixels)
    try:
        if file.width * file.height > (Image.MAX_IMAGE_PIXELS or pixels):
            # some formats look at it a second time; one large picture at a time is enough, too
            with _limit(pixels):
                file.load()
        image = ImageOps.exif_transpose(file)
        if image.mode[0] == 'I':
            image = _eight_bits(image, *_range(file))
        if image.has_transparency_data and channels < 4:
            image = image.convert('RGBA')
            image = Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image)
        image = image.convert(MODES[channels])
        if resize is not None:
            image = image.resize((size, size), Image.Resampling.BILINEAR,
                                 _shown(image.size, size, resize))
        elif size is not None:
            image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    except Exception as error:  # each of Pillow's readers raises what it likes
        raise _undecodable(where, error) from error
    return np.asarray(image).reshape(image.height, image.width, channels)


def header(data: bytes, where: str | Path, pixels: int = PIXELS) -> Image.Image:
    """A picture of which no more than the header is read yet.

    Args:
        data: bytes of its file, or its first ones.
        where: name of the file, for errors.
        pixels: the most that it may have.

    Raises:
        Refused: as `picture`, but for damage behind the header.

    >>> header(b'no picture', 'a.png')
    Traceback (most recent call last):
    tljax.core.Refused: a.png cannot be decoded as a picture (of no format that Pillow knows): ...
    """
    try:
        with _limit(2 * pixels):   # Pillow would warn of what is refused below
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        count, size = image.width * image.height, f'{image.width} x {image.height}'
    except Image.DecompressionBombError as error:   # of far more
        size = count = int(re.sub(r'\D*(\d+).*', r'\1', str(error)))
    except Exception as error:  # each of Pillow's readers raises what it likes
        raise _undecodable(where, error) from error
    if count > pixels:
        raise Refused(f'{where} has {size} pixels, and at most {pixels:,} are read: shrink it, or '
                      f'raise the limit by data.pixels={count} '
                      f'or --pixels={count}')
    if image.mode == 'F' or image.mode[0] == 'I' and _range(image) is None:
        raise Refused(f'{where} holds numbers (mode {image.mode}) whose range no file states: save '
                      'it with 8 or 16 bits a channel')
    return image


def refuse_size(size: int, channels: int) -> None:
    """Refuses a shape that no picture can be given.

    >>> refuse_size(0, 3)
    Traceback (most recent call last):
    tljax.core.Refused: data.size=0, data.channels=3: give a side of at least 1 pixel, and 3 channels or 1 (grey)
    """
    if channels not in (1, 3) or size < 1:
        raise Refused(f'data.size={size}, data.channels={channels}: give a side of at least 1 '
                      'pixel, and 3 channels or 1 (grey)')


def refuse_unreadable(files: Sequence[File], names: Sequence[str], where: str | Path,
                      pixels: int = PIXELS) -> None:
    """Refuses pictures whose headers cannot be read, all at once.

    Damage behind a header is found when the picture is asked for.

    Args:
        files: the pictures.
        names: what they are called below `where`.
        where: the folder or archive.
        pixels: the most that one may have.

    Raises:
        Refused: names the first of them, and how many there are.

    >>> refuse_unreadable([File(Path('a.png'), '', 2, lambda most: b'no')], ['a.png'], 'photos')
    Traceback (most recent call last):
    tljax.core.Refused: a.png cannot be decoded as a picture (of no format that Pillow knows): ...
    """
    def fault(file):
        found = None
        for most in (HEAD, LARGEST):   # some formats keep their header elsewhere
            try:
                header(file.read(most), file.path, pixels)
                return None
            except Refused as refused:
                found = refused
        return found

    with ThreadPoolExecutor(WORKERS) as pool:
        found = pool.map(fault, files)
        faults = {name: why for name in watched(names, f'looking at {len(files)} pictures')
                  if (why := next(found))}
    if len(faults) == 1:
        raise next(iter(faults.values()))
    if faults:
        raise Refused(f'{len(faults)} of {len(files)} pictures of {where} cannot be read: '
                      f'{short(faults, 8)}: replace or remove them')


def decoded(decode: Callable, shape: tuple[int, ...], label: np.ndarray, task: Task, held: str,
            names: Sequence[str] = (), keep: bool = True) -> Dataset:
    """A Dataset whose examples are decoded on several threads when they are first asked for, float32 in [0, 1].

    What was decoded is kept as long as all of it would fit MEMORY: an epoch after the first then costs no decoding.

    Args:
        decode: row -> uint8 of `shape`.
        shape: shape of an example.
        label: (n,) or (n, d).
        task: what is asked of a model.
        held: a text that tells what the set holds, for its fingerprint.
        names: of the examples.
        keep: whether what was decoded may be kept at all.

    >>> label, white = np.zeros(3, int), np.full((1, 1, 1), 255, np.uint8)
    >>> decoded(lambda row: white, (1, 1, 1), label, Task.of('a'), 'white').take([2])['input']
    array([[[[1.]]]], dtype=float32)
    """
    keep = keep and len(label) * int(np.prod(shape)) <= MEMORY
    pool = ThreadPoolExecutor(WORKERS)
    store = np.zeros((len(label) if keep else 0, *shape), np.uint8)   # takes no room until written
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
    return Dataset(take, label, task, digest, names=np.array(names, str), range=(0., 255., 'i'))


def pictures(files: Sequence[File], shape: tuple[int, ...], resize: int | None = None,
             label: np.ndarray | None = None, task: Task = Task('classes'),
             names: Sequence[str] | None = None, pixels: int | None = None,
             failed: dict[int, str] | None = None) -> Dataset:
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
        Refused: for a shape that no picture has; by `take`, for a picture that cannot be decoded
            (names it), unless `failed` is given.

    >>> import tempfile
    >>> from tljax.data.finding import find
    >>> Image.new('RGB', (9, 6), 'red').save(path := Path(tempfile.mkdtemp(), 'red.png'))
    >>> pictures(find([path]), (4, 4, 3)).take(np.array([0]))['input'][0, 0, 0].tolist()
    [1.0, 0.0, 0.0]
    """
    if len(shape) != 3 or shape[0] != shape[1] or shape[2] not in (1, 3):
        raise Refused(f'the model takes inputs of shape {tuple(shape)}, which are no square pictures: give it a data set by a config')
    names = [printable(file.path) for file in files] if names is None else names
    label = np.zeros(len(files), np.int32) if label is None else np.asarray(label)

    def decode(row):
        try:
            return picture(files[row].read(), files[row].path, shape[2], shape[0], resize,
                           pixels or PIXELS)
        except Refused as refused:
            if failed is None:
                raise
            failed[row] = str(refused)
            return np.zeros(shape, np.uint8)

    held = repr((tuple(shape), resize, task, label.tolist(),
                 [(name, file.stamp) for name, file in zip(names, files, strict=True)]))
    return decoded(decode, tuple(shape), label, task, held, names, keep=failed is None)


@contextmanager
def _limit(pixels: int) -> Iterator[None]:
    """Pillow's limit of pixels, one for the whole process, is `pixels` while this lasts."""
    with _LIMIT:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _undecodable(where, error):
    reason = ' '.join(str(error).split())[:80]
    if isinstance(error, UnidentifiedImageError):
        reason = 'of no format that Pillow knows'
    return Refused(f'{where} cannot be decoded as a picture ({reason or type(error).__name__}): '
                   'replace or remove it')


def _range(image):
    """The numbers of black and white in grey of more than 8 bits; None where none are stated."""
    # Pillow scales any depth of those to 16 bits
    if image.mode == 'I' and image.format not in ('PNG', 'PPM'):
        return None
    tags = getattr(image, 'tag_v2', {})   # of a TIFF
    white = 2 ** min(tags.get(258, (16,))) - 1
    return (white, 0) if tags.get(262) == 0 else (0, white)


def _eight_bits(image, black, white):
    """A grey picture scaled to 8 bits by the range of its depth; Pillow would clip it at 255."""
    values, top = np.asarray(image).astype(np.int32), max(black, white)
    light = abs(values.clip(0, top) - black)
    grey = Image.fromarray(((light * 255 + top // 2) // top).astype(np.uint8))
    if 'transparency' not in image.info:
        return grey
    alpha = np.where(values == image.info['transparency'], 0, 255).astype(np.uint8)
    return Image.merge('LA', (grey, Image.fromarray(alpha)))


def _shown(sides, size, resize):
    """The box of a picture that shows once its short side is `resize` and it is cropped."""
    scale = resize / min(sides)
    scaled = [max(round(side * scale), resize) for side in sides]
    starts = [(side - size) // 2 for side in scaled]
    return tuple((start + length) * side / full for length in (0, size)
                 for start, side, full in zip(starts, sides, scaled, strict=True))
