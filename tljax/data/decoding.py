"""Decodes a picture file: turns it upright, converts it to 8 bits, scales and crops it."""

import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tljax.core import UserError
from tljax.files.console import say_once

MODES = {1: 'L', 3: 'RGB', 4: 'RGBA'}
# formats that Pillow opens but that are not pictures; EPS is a program, run by Ghostscript
OTHER_FORMATS = {'BUFR', 'EPS', 'GRIB', 'HDF5', 'MPEG', 'WMF'}
# Pillow tries formats in this order: the most common ones first
FORMATS = sorted(
    {*Image.registered_extensions().values()} & {*Image.OPEN} - OTHER_FORMATS,
    key=lambda name: (name not in ('JPEG', 'PNG'), name),
)
PIXELS = 178_956_970  # largest number of pixels of a picture, which is Pillow's own limit
DARK = 8  # if white is this many times the lightest number, the file may have fewer bits
FILTERS = {'bilinear': Image.Resampling.BILINEAR, 'bicubic': Image.Resampling.BICUBIC}
_LIMIT = threading.Lock()


def picture(
    data: bytes,
    where: str | Path,
    channels: int,
    size: int | None = None,
    resize: int | None = None,
    pixels: int = PIXELS,
    draft: int = 0,
    interpolation: str = 'bilinear',
    upright: bool = True,
) -> np.ndarray:
    """Decodes one picture and turns it upright.

    Args:
        data: bytes of a file that Pillow reads; 16-bit grey is scaled by the range of its depth.
        where: name of the file, for errors.
        channels: 1, 3 or 4; transparent pictures are laid over white unless it is 4.
        size: side of the result in pixels: the short side is scaled to it and the centre is kept.
            None keeps the picture's own size.
        resize: if given, the short side is scaled to this instead, and the central `size` pixels
            are cropped.
        pixels: most pixels that the picture may have.
        draft: if given, a JPEG of at least twice `draft` times the resulting size is decoded at a
            half, quarter or eighth of its size, but not below `draft` times the resulting size.
            This is faster, and changes the result by some grey levels.
        interpolation: filter that scales the picture, a key of FILTERS.
        upright: False if the picture must not be turned.

    Returns:
        (height, width, channels) uint8, or (size, size, channels).

    Raises:
        UserError: the picture cannot be decoded, is too large, or has numbers of unknown range.

    >>> file = io.BytesIO()
    >>> Image.new('RGB', (6, 4), 'red').save(file, 'PNG')
    >>> red = picture(file.getvalue(), 'red.png', channels=3, size=2)
    >>> red.shape, red[0, 0].tolist()
    ((2, 2, 3), [255, 0, 0])
    """
    file, scaling = header(data, where, pixels), FILTERS[interpolation]
    try:
        # an MPO file of a telephone has several frames of one scene
        if file.format != 'MPO' and getattr(file, 'is_animated', False):
            say_once(
                'frames', f'{where} has several frames or pages: of such files the first is read'
            )
        if draft and size is not None:
            side = draft * (resize or size)
            file.draft(None, (side, side))
        if file.width * file.height > (Image.MAX_IMAGE_PIXELS or pixels):
            # some formats check the limit again while they load; this also loads large pictures
            # one at a time
            with _limit(pixels):
                file.load()
        if upright:
            ImageOps.exif_transpose(file, in_place=True)  # copies only what it has to turn
        image = file
        if image.mode[0] == 'I':
            image = _eight_bits(image, _range(file), where)
        if image.has_transparency_data and channels < 4:
            image = image.convert('RGBA')
            image = Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image)
        if image.mode != MODES[channels]:  # Pillow would copy a picture that has the mode
            image = image.convert(MODES[channels])
        if size is not None and resize is not None:
            image = image.resize((size, size), scaling, _crop_box(image.size, size, resize))
        elif size is not None:
            image = ImageOps.fit(image, (size, size), scaling)
    except Exception as error:  # Pillow's readers raise errors of many types
        raise _decode_error(where, error) from error
    return np.asarray(image).reshape(image.height, image.width, channels)


def header(data: bytes, where: str | Path, pixels: int = PIXELS) -> Image.Image:
    """Opens a picture and reads its header only.

    Args:
        data: bytes of the file, or its first bytes.
        where: name of the file, for errors.
        pixels: most pixels that the picture may have.

    Returns:
        The picture, whose size and mode are known and whose pixels are not read yet.

    Raises:
        UserError: as in `picture`, except for damage after the header.

    >>> file = io.BytesIO()
    >>> Image.new('RGB', (6, 4)).save(file, 'PNG')
    >>> header(file.getvalue()[:64], 'a.png').size
    (6, 4)
    >>> header(b'no picture', 'a.png')
    Traceback (most recent call last):
    tljax.core.UserError: a.png cannot be decoded as a picture (of no format that Pillow knows): ...
    """
    try:
        with _limit(2 * pixels):  # avoids Pillow's warning: the check below raises an error
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        count, size = image.width * image.height, f'{image.width} x {image.height}'
    except Image.DecompressionBombError as error:  # more than twice Pillow's limit
        size = count = int(re.sub(r'\D*(\d+).*', r'\1', str(error)))
    except Exception as error:  # Pillow's readers raise errors of many types
        raise _decode_error(where, error) from error
    if count > pixels:
        raise UserError(
            f'{where} has {size} pixels, and at most {pixels:,} are read: shrink it, or raise the '
            f'limit by data.pixels={count} or --pixels={count}'
        )
    if image.mode == 'F' or image.mode[0] == 'I' and _range(image) is None:
        raise UserError(
            f'{where} holds numbers (mode {image.mode}) whose range no file states: save it with 8 '
            'or 16 bits a channel'
        )
    return image


@contextmanager
def _limit(pixels: int) -> Iterator[None]:
    """Sets Pillow's limit of pixels, which is global to the process, within a `with` block."""
    with _LIMIT:
        old_limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = old_limit


def _decode_error(where, error):
    reason = ' '.join(str(error).split())[:80]
    if isinstance(error, UnidentifiedImageError):
        reason = 'of no format that Pillow knows'
    return UserError(
        f'{where} cannot be decoded as a picture ({reason or type(error).__name__}): replace or '
        'remove it'
    )


def _range(image):
    """(black, white) of grey with more than 8 bits; None if the file does not state them."""
    # Pillow scales PNG and PPM of any depth to 16 bits
    if image.mode == 'I' and image.format not in ('PNG', 'PPM'):
        return None
    tags = getattr(image, 'tag_v2', {})  # of a TIFF: 258 is bits per sample, 262 is photometric
    largest = 2 ** min(tags.get(258, (16,))) - 1
    white_is_zero = tags.get(262) == 0
    return (largest, 0) if white_is_zero else (0, largest)


def _eight_bits(image, black_and_white, where):
    """Scales a grey picture to 8 bits by the range of its depth; Pillow would clip it at 255."""
    black, white = black_and_white
    values, top = np.asarray(image).astype(np.int32), max(black, white)
    light = abs(values.clip(0, top) - black)
    if 0 < light.max() * DARK <= top:
        say_once(
            'dark',
            f'{where}: its lightest number is {light.max()} where white is {top}: if fewer bits '
            'are meant (12 in 16), scale such pictures up before',
        )
    grey = Image.fromarray(((light * 255 + top // 2) // top).astype(np.uint8))
    if 'transparency' not in image.info:
        return grey
    alpha = np.where(values == image.info['transparency'], 0, 255).astype(np.uint8)
    return Image.merge('LA', (grey, Image.fromarray(alpha)))


def _crop_box(sides, size, resize):
    """The box of the original picture that a crop of `size` pixels shows.

    The crop is central and is taken after the short side is scaled to `resize`.

    Args:
        sides: (width, height) of the original.
        size: side of the crop.
        resize: short side after scaling.

    Returns:
        (left, top, right, bottom) in pixels of the original.
    """
    scale = resize / min(sides)
    starts, ends = [], []
    for side in sides:
        scaled = max(round(side * scale), resize)
        start = (scaled - size) // 2
        starts.append(start * side / scaled)
        ends.append((start + size) * side / scaled)
    return *starts, *ends
