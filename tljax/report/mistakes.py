"""Confusion matrix and pictures of mistakes."""

import base64
import io
from collections.abc import Sequence
from xml.etree import ElementTree

import numpy as np

CELL = 34  # side of a cell of a confusion matrix in pixels
LETTER = 7  # width of a letter of a name in pixels, about


def confusion(counts: np.ndarray, names: Sequence[str]) -> str:
    """Draws a confusion matrix. The shade of a cell is its fraction of the row's examples.

    The ink of the page makes the shades, so that they suit a light and a dark page. The element is
    written here: matplotlib takes longer to import than a short training to start.

    Args:
        counts: (classes, classes) integers: true classes in rows, answers in columns.
        names: names of the classes.

    Returns:
        An <svg> element for a page.

    >>> element = confusion(np.array([[3, 1], [0, 4]]), ['ants', 'bees'])
    >>> [text for text in ('>3<', '>1<', '>0<', '>4<') if text in element]
    ['>3<', '>1<', '>4<']
    """
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    margin = 40 + LETTER * max(map(len, names))  # beside the rows and below the columns
    width, height = margin + CELL * len(names) + margin, CELL * len(names) + margin
    svg = ElementTree.Element(
        'svg',
        {
            'viewBox': f'0 0 {width} {height}',
            'style': f'width: {width}px; min-width: 0; max-width: none; font-size: 13px',
            'fill': 'currentColor',
        },
    )
    for (i, j), count in np.ndenumerate(counts):
        x, y = margin + CELL * j, CELL * i
        place = {'x': str(x), 'y': str(y), 'width': str(CELL - 1), 'height': str(CELL - 1)}
        ElementTree.SubElement(svg, 'rect', {**place, 'fill-opacity': f'{shares[i, j]:.3f}'})
        if count:
            ink = 'currentColor' if shares[i, j] < 0.6 else 'var(--paper, white)'
            _write(svg, str(int(count)), x + CELL / 2, y + CELL / 2, 'middle', fill=ink)
    for i, name in enumerate(names):
        centre = CELL * (i + 0.5)
        _write(svg, name, margin - 8, centre, 'end')
        x, y = margin + centre, CELL * len(names) + 8
        _write(svg, name, x, y, 'end', transform=f'rotate(-45 {x} {y})')
    middle = CELL * len(names) / 2
    _write(svg, 'class', 12, middle, 'middle', transform=f'rotate(-90 12 {middle})')
    _write(svg, 'answer', margin + middle, height - 12, 'middle')
    return ElementTree.tostring(svg, encoding='unicode')


def _write(
    svg: ElementTree.Element, text: str, x: float, y: float, anchor: str, **attributes: str
) -> None:
    """Adds a line of text, centred at height y, whose start, middle or end is at x."""
    place = {'x': str(x), 'y': str(y), 'text-anchor': anchor, 'dominant-baseline': 'central'}
    ElementTree.SubElement(svg, 'text', {**place, **attributes}).text = text


def png(picture: np.ndarray, side: int = 160) -> str:
    """Returns a picture as a data: URL, so that a page needs no picture file.

    Args:
        picture: (height, width, 1 or 3) numbers in [0, 1].
        side: maximal side in pixels. Smaller pictures are enlarged by an integer factor.

    >>> png(np.zeros((2, 2, 3))).startswith('data:image/png;base64,')
    True
    """
    from PIL import Image  # imported late, for a quick start

    pixels = (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    factor = side // max(image.size)
    if factor > 1:
        image = image.resize(
            (image.width * factor, image.height * factor), Image.Resampling.NEAREST
        )
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, 'PNG')
    return 'data:image/png;base64,' + base64.b64encode(buffer.getvalue()).decode()
