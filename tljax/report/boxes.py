"""Pictures with boxes drawn on them."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from tljax.report.mistakes import png

# told apart by people who do not see all colours (Okabe and Ito 2008)
COLOURS = ('#e69f00', '#56b4e9', '#009e73', '#f0e442', '#0072b2', '#d55e00', '#cc79a7')
DASH = 6  # pixels


def drawn(
    picture: Image.Image,
    detections: np.ndarray,
    names: Sequence[str],
    boxes: np.ndarray | None = None,
) -> Image.Image:
    """Returns a picture on which boxes are drawn, with class and score.

    Args:
        picture: the picture, which stays as it is.
        detections: top, left, bottom, right in shares, class and score, (k, 6); those of class -1
            are left out.
        names: names of the classes.
        boxes: boxes to be found, (g, 5), which are dashed; None for none.

    >>> box = np.array([[0.25, 0.25, 0.75, 0.75, 0.0, 0.9]])
    >>> drawn(Image.new('RGB', (40, 40)), box, ('cat',)).getpixel((10, 20)) != (0, 0, 0)
    True
    """
    picture = picture.convert('RGB')
    pen, width = ImageDraw.Draw(picture), max(1, round(max(picture.size) / 300))
    for box in boxes if boxes is not None else ():
        if box[4] >= 0:
            _dashed(pen, _pixels(box, picture.size), COLOURS[int(box[4]) % len(COLOURS)], width)
    for box in detections:
        if box[4] < 0:
            continue
        colour, place = COLOURS[int(box[4]) % len(COLOURS)], _pixels(box, picture.size)
        pen.rectangle(place, outline=colour, width=width)
        text = f'{names[int(box[4])]} {box[5]:.2f}'
        place = pen.textbbox((place[0] + width, place[1] + width), text)
        pen.rectangle(place, fill=colour)
        pen.text(place[:2], text, fill='black', anchor='lt')
    return picture


def png_with_boxes(
    picture: np.ndarray,
    detections: np.ndarray,
    boxes: np.ndarray,
    names: Sequence[str],
    side: int = 320,
) -> str:
    """Returns a picture with boxes as a data: URL.

    Args:
        picture: (height, width, 1 or 3) numbers in [0, 1].
        detections: as in `drawn`.
        boxes: as in `drawn`.
        names: as in `drawn`.
        side: longest side in pixels, to which the picture is scaled before it is drawn on.

    >>> nothing = np.zeros((0, 6))
    >>> png_with_boxes(np.zeros((4, 4, 3)), nothing, nothing, ('cat',))[:14]
    'data:image/png'
    """
    pixels = (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    scale = side / max(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)))
    return png(np.asarray(drawn(image, detections, names, boxes)) / 255, side)


def _pixels(box, size):
    """Left, top, right and bottom in pixels."""
    width, height = size
    top, left, bottom, right = box[:4]
    return left * width, top * height, right * width, bottom * height


def _dashed(pen, place, colour, width):
    """Draws a dashed rectangle."""
    left, top, right, bottom = place
    for x in np.arange(left, right, 2 * DASH):
        for y in (top, bottom):
            pen.line((x, y, min(x + DASH, right), y), colour, width)
    for y in np.arange(top, bottom, 2 * DASH):
        for x in (left, right):
            pen.line((x, y, x, min(y + DASH, bottom)), colour, width)
