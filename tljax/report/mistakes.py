"""Confusion matrix and pictures of mistakes."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from tljax.report.figures import INK


def confusion(counts: np.ndarray, names: Sequence[str]) -> Figure:
    """Draws a confusion matrix. The shade of a cell is its fraction of the row's examples.

    Args:
        counts: (classes, classes) integers: true classes in rows, answers in columns.
        names: names of the classes.

    Returns:
        A matplotlib Figure.

    >>> figure = confusion(np.array([[3, 1], [0, 4]]), ['ants', 'bees'])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['3', '1', '4']
    """
    figure = Figure(figsize=(9, 1.4 + 0.42 * len(names)), layout='constrained')  # 9: as all figures
    axes = figure.add_subplot()
    axes.set_anchor('W')
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap='cividis', vmin=0, vmax=1)
    for (i, j), count in np.ndenumerate(counts):
        if count:
            ink = 'white' if shares[i, j] < 0.5 else 'black'  # cividis is dark below 0.5
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
    """Returns a picture as a data: URL, so that a page needs no picture file.

    Args:
        picture: (height, width, 1 or 3) numbers in [0, 1].
        side: maximal side in pixels. Smaller pictures are enlarged by an integer factor.

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
    buffer = io.BytesIO()
    image.save(buffer, 'PNG')
    return 'data:image/png;base64,' + base64.b64encode(buffer.getvalue()).decode()
