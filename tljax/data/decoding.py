"""One picture file, decoded: upright, in 8 bits, scaled and cropped."""

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
# Pillow opens them, too; EPS is a program, which Ghostscript would run
NO_PICTURES = {'BUFR', 'EPS', 'GRIB', 'HDF5', 'MPEG', 'WMF'}
FORMATS = sorted({*Image.registered_extensions().values()} & {*Image.OPEN} - NO_PICTURES)
PIXELS = 178_956_970  # that a picture may have: where Pillow itself stops
DARK = 8  # times white is as large as the lightest number: fewer bits may be meant
_LIMIT = threading.Lock()


def picture(
    data: bytes,
    where: str | Path,
    channels: int,
    size: int | None = None,
    resize: int | None = None,
    pixels: int = PIXELS,
) -> np.ndarray:
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
        UserError: for what cannot be decoded, is larger, or holds numbers of no stated range.

    >>> file = io.BytesIO()
    >>> Image.new('RGB', (6, 4), 'red').save(file, 'PNG')
    >>> picture(file.getvalue(), 'red.png', channels=3, size=2)[0, 0].tolist()
    [255, 0, 0]
    """
    file = header(data, where, pixels)
    try:
        # a telephone's MPO holds one scene
        if file.format != 'MPO' and getattr(file, 'is_animated', False):
            say_once(
                'frames', f'{where} has several frames or pages: of such files the first is read'
            )
        if file.width * file.height > (Image.MAX_IMAGE_PIXELS or pixels):
            # some formats look at it a second time; one large picture at a time is enough, too
            with _limit(pixels):
                file.load()
        image = ImageOps.exif_transpose(file)
        if image.mode[0] == 'I':
            image = _eight_bits(image, _range(file), where)
        if image.has_transparency_data and channels < 4:
            image = image.convert('RGBA')
            image = Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image)
        image = image.convert(MODES[channels])
        if size is not None and resize is not None:
            image = image.resize(
                (size, size), Image.Resampling.BILINEAR, _shown(image.size, size, resize)
            )
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
        UserError: as `picture`, but for damage behind the header.

    >>> header(b'no picture', 'a.png')
    Traceback (most recent call last):
    tljax.core.UserError: a.png cannot be decoded as a picture (of no format that Pillow knows): ...
    """
    try:
        with _limit(2 * pixels):  # Pillow would warn of what is refused below
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        count, size = image.width * image.height, f'{image.width} x {image.height}'
    except Image.DecompressionBombError as error:  # of far more
        size = count = int(re.sub(r'\D*(\d+).*', r'\1', str(error)))
    except Exception as error:  # each of Pillow's readers raises what it likes
        raise _undecodable(where, error) from error
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
    return UserError(
        f'{where} cannot be decoded as a picture ({reason or type(error).__name__}): replace or '
        'remove it'
    )


def _range(image):
    """The numbers of black and white in grey of more than 8 bits; None where none are stated."""
    # Pillow scales any depth of those to 16 bits
    if image.mode == 'I' and image.format not in ('PNG', 'PPM'):
        return None
    tags = getattr(image, 'tag_v2', {})  # of a TIFF
    white = 2 ** min(tags.get(258, (16,))) - 1
    return (white, 0) if tags.get(262) == 0 else (0, white)


def _eight_bits(image, stated, where):
    """A grey picture scaled to 8 bits by the range of its depth; Pillow would clip it at 255."""
    black, white = stated
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


def _shown(sides, size, resize):
    """The box of a picture that shows once its short side is `resize` and it is cropped."""
    scale = resize / min(sides)
    scaled = [max(round(side * scale), resize) for side in sides]
    starts = [(side - size) // 2 for side in scaled]
    left, top, right, bottom = (
        (start + length) * side / full
        for length in (0, size)
        for start, side, full in zip(starts, sides, scaled, strict=True)
    )
    return left, top, right, bottom
