"""Pictures with boxes, of Pascal VOC, COCO, YOLO or a user's own table."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tljax.core import Dataset, Task, UserError, nearest_name
from tljax.data.annotations.prepared import prepared
from tljax.data.archives import File
from tljax.data.decoding import FILTERS, PIXELS, picture
from tljax.data.pictures import pictures, refuse_size


def boxes(
    path: str | Path,
    size: int,
    channels: int = 3,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    form: str = '',
    where: str = '',
    difficult: bool = False,
    interpolation: str = 'bilinear',
    joined: bool = False,
    pixels: int = PIXELS,
) -> dict[str, Dataset]:
    """Reads pictures and their boxes from a folder, an archive, or one file of annotations.

    Pictures become float32 in [0, 1], (n, size, size, channels): each is stretched to the square,
    as SSD does. Labels are float32 (n, g, 5): top, left, bottom, right in shares of the picture,
    and the class. g is the largest number of boxes of a picture in any split. Rows that are no box
    have the class -1. Boxes that are neither to be found nor to be missed (COCO's crowds, VOC's
    difficult ones) have the class -2 less their own: -2 for class 0, -3 for class 1. A class of 0
    or more is a box to be found, and all others are none.

    Args:
        path: the folder, archive, JSON or CSV; `~` is expanded.
        size: side of the pictures, in pixels.
        channels: 3 for RGB, 1 for grey.
        validation: share of the pictures of train that become a missing validation split.
        test: share of the pictures of train that become a missing test split.
        seed: seed of that cut.
        form: 'coco', 'voc', 'yolo' or 'table'; '' tells by the files.
        where: folder or archive of the pictures, if they are not with the annotations. For a JSON
            or CSV, '' means an archive of its name beside it, or else its folder.
        difficult: whether boxes that VOC marks as difficult are boxes like others.
        interpolation: 'bilinear' or 'bicubic', which average when they reduce, or 'legacy': the
            sampling of TensorFlow 1 (`nn.boxes.crops.legacy_resize`), for detectors that were
            trained with it.
        joined: whether the pictures of validation are trained on, too, once all is chosen.
        pixels: largest number of pixels of a picture, as for `folder`.

    Boxes are clipped to their pictures. Those without area are left out, with a note. Pictures are
        turned by their EXIF orientation if the annotation states the size that they have then, or
        no size.

    Splits: as the reader of the form finds them (`tljax.data.annotations`). A missing validation or
        test split is cut from train, at random by pictures. If all pictures are of one split, all
        three are cut from them.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}, without validation if it is
        joined.

    Raises:
        UserError: the path is missing or has no annotations, or those of several forms; as the
            reader of the form; a picture has another size than its annotation states; headers of
            pictures cannot be read (one error for all); in `take`, a picture cannot be decoded.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for number in range(4):
    ...     Image.new('RGB', (20, 10)).save(root / f'{number}.png')
    ...     _ = (root / f'{number}.txt').write_text('0 0.5 0.5 0.5 1.0')
    >>> splits = boxes(root, size=8, validation=0.25, test=0.25)
    >>> {name: split.size for name, split in splits.items()}, splits['train'].task.kind
    ({'train': 2, 'validation': 1, 'test': 1}, 'boxes')
    >>> splits['test'].label.tolist()
    [[[0.0, 0.25, 1.0, 0.75, 0.0]]]
    """
    refuse_size(size, channels)
    if interpolation not in (*FILTERS, 'legacy'):
        raise UserError(
            f'data.interpolation={interpolation!r} is unknown: '
            f'{nearest_name(interpolation, (*FILTERS, "legacy"))}'
        )
    ready = prepared(path, validation, test, seed, form, where, difficult, pixels)
    if joined:
        ready = ready.joined()
    task = Task('boxes', ready.classes)

    def dataset(split):
        members, truth = ready.splits[split], ready.truth(split)

        return stretched_pictures(
            [ready.files[row] for row in members],
            size,
            channels,
            interpolation,
            pixels,
            [ready.upright[row] for row in members],
            label=truth.label,
            task=task,
            names=truth.names,
        )

    splits = {name: dataset(name) for name in ready.splits}
    return {**splits, 'train': splits['train']._replace(notes=ready.notes)}


def stretched_pictures(
    files: Sequence[File],
    size: int,
    channels: int = 3,
    interpolation: str = 'bilinear',
    pixels: int | None = None,
    upright: Sequence[bool] | None = None,
    sizes: dict[int, tuple[int, int]] | None = None,
    **keywords: Any,
) -> Dataset:
    """Returns picture files as a data set of squares, to which they are stretched.

    Args:
        files: the pictures.
        size: side of the squares, in pixels.
        channels: 3 for RGB, 1 for grey.
        interpolation: as in `boxes`.
        pixels: largest number of pixels of a picture; None for PIXELS.
        upright: whether each picture is turned by its EXIF orientation; None: all are.
        sizes: a dict to which row and original height and width of each picture are added once it
            is decoded; None for none.
        **keywords: as `tljax.data.pictures.pictures` takes them, such as label and errors.

    >>> import tempfile
    >>> from tljax.data.finding import find
    >>> path, sizes = Path(tempfile.mkdtemp(), 'red.png'), {}
    >>> Image.new('RGB', (9, 6), 'red').save(path)
    >>> stretched_pictures(find([path]), 4, sizes=sizes).take(np.arange(1))['input'].shape, sizes
    ((1, 4, 4, 3), {0: (6, 9)})
    """

    def read(row):
        file, is_turned = files[row], upright is None or upright[row]
        limit = pixels or PIXELS
        array = picture(file.read(), file.path, channels, pixels=limit, upright=is_turned)
        if sizes is not None:
            sizes[row] = array.shape[:2]
        return stretched(array, size, interpolation)

    made = pictures(files, (size, size, channels), read=read, **keywords)
    content = repr((made.fingerprint, 'stretched', interpolation))
    return made._replace(fingerprint=hashlib.sha256(content.encode()).hexdigest())


def stretched(array: np.ndarray, size: int, interpolation: str = 'bilinear') -> np.ndarray:
    """Stretches a picture to a square, uint8 (size, size, c).

    Args:
        array: uint8 (h, w, c).
        size: side in pixels.
        interpolation: as in `boxes`; the result of 'legacy' is rounded to whole numbers.

    >>> stretched(np.array([0, 100], np.uint8).reshape(2, 1, 1), 4, 'legacy')[:, 0, 0].tolist()
    [0, 50, 100, 100]
    """
    if interpolation == 'legacy':
        for axis in (0, 1):
            side = array.shape[axis]
            places = np.arange(size, dtype=np.float32) * np.float32(side / size)
            low = np.floor(places).astype(int)
            share = np.expand_dims(places - low, [i for i in range(3) if i != axis])
            first = array.take(low, axis).astype(np.float32)
            last = array.take(np.minimum(low + 1, side - 1), axis)
            array = first + (last - first) * share
        return array.round().astype(np.uint8)
    image = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
    image = image.resize((size, size), FILTERS[interpolation])
    return np.asarray(image).reshape(size, size, -1)
