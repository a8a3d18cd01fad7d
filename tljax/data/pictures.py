"""Picture files: found, decoded, and read as a data set when they are asked for."""
import hashlib
import io
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tljax.core import Dataset, Refused, Task

MODES = {1: 'L', 3: 'RGB', 4: 'RGBA'}
ENDINGS = {'.apng', '.avif', '.bmp', '.dib', '.gif', '.j2k', '.jfif', '.jp2', '.jpe', '.jpeg', '.jpg', '.pbm', '.pgm', '.png', '.pnm',
           '.ppm', '.tga', '.tif', '.tiff', '.webp'}   # of pictures: Pillow registers .h5 and .pdf, too
READABLE = {ending for ending, name in Image.registered_extensions().items() if name in Image.OPEN} & ENDINGS   # by this Pillow
READERS = {'.heic': 'pillow-heif', '.heif': 'pillow-heif', '.dcm': 'pydicom', '.nii': 'nibabel', '.cr2': 'rawpy', '.nef': 'rawpy',
           '.dng': 'rawpy', '.arw': 'rawpy', '.svg': 'cairosvg'}   # of other endings: packages that make a PNG of them
WORKERS = min(8, os.cpu_count() or 1)
MEMORY = 2 ** 31   # bytes of decoded pictures that a data set may keep


def picture(data: bytes, where: str | Path, channels: int, size: int | None = None,
            resize: int | None = None) -> np.ndarray:
    """One encoded picture, upright, as (height, width, channels) uint8, or (size, size, channels).

    Args:
        data: bytes of a file that Pillow reads.
        where: name of the file, for errors.
        channels: 1, 3 or 4; transparent pictures are laid over white unless it is 4.
        size: None for the picture as it is; otherwise its short side is scaled to `size` bilinearly
            and its centre kept.
        resize: where given, the short side is scaled to this, and the centre of `size` pixels cut
            out.

    Raises:
        Refused: for what cannot be decoded, or has more than 8 bits a channel.

    >>> file = io.BytesIO()
    >>> Image.new('RGB', (6, 4), 'red').save(file, 'PNG')
    >>> picture(file.getvalue(), 'red.png', channels=3, size=2)[0, 0].tolist()
    [255, 0, 0]
    """
    try:
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        if image.mode[0] in 'IF':  # Pillow would clip it to 255
            raise ValueError(f'mode {image.mode} has more than 8 bits a channel')
        if image.has_transparency_data and channels < 4:
            image = image.convert('RGBA')
            image = Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image)
        image = image.convert(MODES[channels])
    except Exception as error:  # each of Pillow's readers raises what it likes
        reason = 'of no format that Pillow knows' if isinstance(error, UnidentifiedImageError) else error
        raise Refused(f'{where} cannot be decoded as a picture ({reason}): replace or remove it') from error
    if resize is not None:
        scale = resize / min(image.size)
        image = image.resize([max(round(side * scale), resize) for side in image.size], Image.Resampling.BILINEAR)
        left, top = ((side - size) // 2 for side in image.size)
        image = image.crop((left, top, left + size, top + size))
    elif size is not None:
        image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(image.height, image.width, channels)


def decoded(decode: Callable, shape: tuple[int, ...], label: np.ndarray, classes: Sequence[str],
            held: str) -> Dataset:
    """A Dataset whose examples are decoded on several threads when they are first asked for, float32 in [0, 1].

    What was decoded is kept as long as all of it would fit MEMORY: an epoch after the first then costs no decoding.

    Args:
        decode: row -> uint8 of `shape`.
        shape: shape of an example.
        label: (n,).
        classes: names of the classes.
        held: a text that tells what the set holds, for its fingerprint.

    >>> decoded(lambda row: np.full((1, 1, 1), 255, np.uint8), (1, 1, 1), np.zeros(3, int), ('a',), 'white').take(np.array([2]))['input']
    array([[[[1.]]]], dtype=float32)
    """
    pool, kept = ThreadPoolExecutor(WORKERS), len(label) * int(np.prod(shape)) <= MEMORY
    store, ready = np.zeros((len(label) if kept else 0, *shape), np.uint8), np.zeros(len(label), bool)   # zeros take no room until written

    def one(row):
        if not kept:
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

    return Dataset(take, label, Task.of(classes), hashlib.sha256(held.encode()).hexdigest())


def passed_over(names: Iterable[str | Path]) -> tuple[str, ...]:
    """What is said of files that are no pictures that Pillow reads: number, endings, and what would read them.

    Args:
        names: of the files.

    Returns:
        No line or one.

    >>> passed_over(['a.heic', 'b.HEIC', 'notes.txt'])
    ('3 files passed over (.heic 2, .txt 1): pillow-heif makes PNG of .heic',)
    """
    endings = Counter(Path(name).suffix.lower() or 'no ending' for name in names)
    if not endings:
        return ()
    told = ', '.join(f'{ending} {count}' for ending, count in endings.most_common(6))
    help = ', '.join(f'{READERS[ending]} makes PNG of {ending}' for ending in endings if ending in READERS)
    count = endings.total()
    return (f'{count} file{"s" * (count > 1)} passed over ({told})' + (f': {help}' if help else ''),)


def find(paths: Iterable[str | Path]) -> list[Path]:
    """The picture files that paths name: a file as it is, a folder with all pictures below it, in the order of their names.

    Raises:
        Refused: for a path that does not exist, and a folder without pictures.

    >>> find(['nowhere'])
    Traceback (most recent call last):
    tljax.core.Refused: nowhere does not exist: name a picture or a folder of pictures
    """
    files = []
    for path in map(Path, paths):
        path = path.expanduser()
        if not path.exists():
            raise Refused(f'{path} does not exist: name a picture or a folder of pictures')
        below = [path] if path.is_file() else sorted(
            each for each in path.rglob('*') if each.suffix.lower() in READABLE and each.is_file()
            and not any(part.startswith('.') for part in each.relative_to(path).parts))
        if not below:
            raise Refused(f'{path} holds no pictures ({", ".join(sorted(READABLE)[:6])}, ...): name another folder')
        files += below
    return files


def pictures(files: Sequence[Path], shape: tuple[int, ...], resize: int | None = None,
             label: np.ndarray | None = None, classes: Sequence[str] = ()) -> Dataset:
    """A Dataset of picture files, float32 in [0, 1], decoded as `data.folder` does.

    Args:
        files: paths of the files.
        shape: (size, size, channels) of an example.
        resize: as `data.folder` takes it.
        label: (n,) integers, or None: zeros.
        classes: names of the classes.

    Raises:
        Refused: for a shape that no picture has; by `take`, for a picture that cannot be decoded (names it).

    >>> import tempfile
    >>> Image.new('RGB', (9, 6), 'red').save(path := Path(tempfile.mkdtemp(), 'red.png'))
    >>> pictures([path], (4, 4, 3)).take(np.array([0]))['input'][0, 0, 0].tolist()
    [1.0, 0.0, 0.0]
    """
    if len(shape) != 3 or shape[0] != shape[1] or shape[2] not in (1, 3):
        raise Refused(f'the model takes inputs of shape {tuple(shape)}, which are no square pictures: give it a data set by a config')
    label = np.zeros(len(files), np.int32) if label is None else np.asarray(label, np.int32)

    def decode(row):
        return picture(_bytes(files[row]), files[row], shape[2], shape[0], resize)

    held = repr((tuple(shape), resize, [(str(path), os.stat(path).st_size, os.stat(path).st_mtime_ns) for path in files]))
    return decoded(decode, shape, label, classes, held)


def _bytes(path):
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refused(f'{path} cannot be read ({error.strerror}): restore it') from error
