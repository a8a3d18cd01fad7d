"""Characters cropped to their ink, so that those of different sets fill their pictures alike."""

import hashlib

import numpy as np
from PIL import Image

from tljax.core import Dataset, UserError
from tljax.data.formats.arrays import arrays
from tljax.data.ranges import BYTES

INK = 0.2  # of the brightest pixel; fainter borders are paper


def framed(splits: dict[str, Dataset], size: int = 16) -> dict[str, Dataset]:
    """Crops each character to its ink, and scales it to fill a square frame.

    Height and width are scaled alike. The shorter side is centred.

    Args:
        splits: splits of a set of grey characters, white on black, (n, height, width, 1).
        size: side of the pictures, in pixels.

    Returns:
        The same splits with inputs of float32 in [0, 1], (n, size, size, 1).

    Raises:
        UserError: the set has no grey pictures, or the size is below 2.

    >>> picture = np.zeros((1, 6, 6, 1), np.float32)
    >>> picture[0, 1:5, 2:4] = 1.0
    >>> train = framed({'train': arrays(picture, [0], ('bar',))}, size=4)['train']
    >>> train.take(np.array([0]))['input'][0, :, :, 0].astype(int).tolist()
    [[0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0]]
    """
    if size < 2:
        raise UserError(f'data.size={size}: give two pixels or more')
    return {name: _framed(split, size) for name, split in splits.items() if split.size}


def _framed(split: Dataset, size: int) -> Dataset:
    """A split whose pictures are framed."""
    input = np.asarray(split.take(np.arange(split.size))['input'])
    if input.ndim != 4 or input.shape[3] != 1:
        raise UserError(
            f'data.of has inputs of shape {input.shape[1:]}: give grey pictures, (height, width, 1)'
        )
    grey = np.round(255 * np.clip(input[..., 0], 0, 1)).astype(np.uint8)
    pictures = np.stack([frame(picture, size) for picture in grey])
    made = arrays(pictures[..., None] / np.float32(255), split.label, split.classes)
    fingerprint = hashlib.sha256(f'{split.fingerprint} framed {size}'.encode()).hexdigest()
    return made._replace(
        task=split.task, fingerprint=fingerprint, notes=split.notes, names=split.names, range=BYTES
    )


def frame(picture: np.ndarray, size: int) -> np.ndarray:
    """A character that fills the frame, (size, size) uint8; a picture without ink stays empty.

    Args:
        picture: (height, width) uint8, white on black.
        size: side of the frame, in pixels.

    >>> frame(np.full((6, 2), 255, np.uint8), 3).tolist()
    [[0, 255, 0], [0, 255, 0], [0, 255, 0]]
    """
    ink = picture > INK * max(int(picture.max()), 1)
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    if not len(rows):
        return np.zeros((size, size), np.uint8)
    box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    sides = box[2] - box[0], box[3] - box[1]
    width, height = (max(1, round(side * size / max(sides))) for side in sides)
    scaled = Image.fromarray(picture).crop(box).resize((width, height), Image.Resampling.BILINEAR)
    canvas = Image.new('L', (size, size))
    canvas.paste(scaled, ((size - width) // 2, (size - height) // 2))
    return np.asarray(canvas)
