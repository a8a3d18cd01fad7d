"""How classes are taken for one another: a matrix, and pictures to look at."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from tljax.report.figures import INK


def confusion(counts: np.ndarray, names: Sequence[str]) -> Figure:
    """How many examples of each class were taken for which; a cell is as light as its share of the
    row.

    Args:
        counts: (classes, classes) integers, a row for every true class.
        names: of the classes.

    Returns:
        A matplotlib Figure.

    >>> figure = confusion(np.array([[3, 1], [0, 4]]), ['ants', 'bees'])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['3', '1', '4']
    """
    figure = Figure(figsize=(9, 1.4 + 0.42 * len(names)), layout='constrained')  # as wide as all
    axes = figure.add_subplot()
    axes.set_anchor('W')
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap='cividis', vmin=0, vmax=1)
    for (i, j), count in np.ndenumerate(counts):
        if count:
            ink = 'white' if shares[i, j] < 0.5 else 'black'  # on the shades of cividis
            axes.text(j, i, str(int(count)), ha='center', va='center', color=ink)
    axes.set_xticks(range(len(names)), names, rotation=45, ha='right', color=INK)
    axes.set_yticks(range(len(names)), names, color=INK)
    axes.set_xlabel('answer', color=INK)
    axes.set_ylabel('class', color=INK)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_parse_math(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def png(picture: np.ndarray, side: int = 160) -> str:
    """A picture as a data address, which a page holds by itself.

    Args:
        picture: (height, width, 1 or 3) numbers in [0, 1].
        side: largest side in pixels; smaller pictures are enlarged by whole factors.

    >>> png(np.zeros((2, 2, 3))).startswith('data:image/png;base64,')
    True
    """
    pixels = (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    factor = side // max(image.size)
    if factor > 1:
        image = image.resize(
            (image.width * factor, image.height * factor), Image.Resampling.NEAREST
        )
    image.thumbnail((side, side))
    image.save(held := io.BytesIO(), 'PNG')
    return 'data:image/png;base64,' + base64.b64encode(held.getvalue()).decode()
