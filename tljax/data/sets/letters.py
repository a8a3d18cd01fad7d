"""Latin capital letters, printed and handwritten.

The printed ones are drawn as those of `glyphs`. The handwritten ones are from the Latin alphabet of
Omniglot, whose letters are small. Only those are used whose small letter has the shape of the
capital.
"""

import string
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import __version__ as pillow_version

from tljax.core import Dataset, UserError
from tljax.data.formats.arrays import arrays
from tljax.data.sets.glyphs import render
from tljax.data.sets.omniglot import omniglot
from tljax.data.splits import cut
from tljax.data.wrappers.framed import frame
from tljax.files.cache import cached_arrays
from tljax.files.console import progress

LETTERS = tuple(string.ascii_uppercase)
ALIKE = 'CKOPSUVWXZ'  # small and capital letters differ in size alone


def letters(
    path: str | Path = '', size: int = 16, per_class: int = 200, seed: int = 0
) -> dict[str, Dataset]:
    """Draws printed letters, and reads handwritten ones, white on black, float32 in [0, 1].

    All are cropped and fitted to the frame as `framed` does.

    Args:
        path: `omniglot_28x28.npz`, as `omniglot` reads it; '' for printed letters alone.
        size: side of the pictures, in pixels.
        per_class: number of printed pictures of each letter.
        seed: seed of fonts, strokes and affine maps.

    Splits: 10 % of each class for validation and 20 % for the test, by the seeded permutation of
        `cut`.

    Returns:
        {'train', 'validation', 'test'}: Datasets with the classes 'A' to 'Z'.

    Raises:
        UserError: as `omniglot`, and for a file without the Latin alphabet.

    >>> train = letters(size=8, per_class=5)['train']
    >>> train.size, train.classes[:3], train.take(np.array([0]))['input'].shape
    (78, ('A', 'B', 'C'), (1, 8, 8, 1))
    """
    drawings = cached_arrays(
        ['letters', size, per_class, seed, version('matplotlib'), pillow_version],
        lambda: {'input': np.stack(list(_printed(size, per_class, seed)))},
    )
    pictures, label = [*drawings['input']], np.repeat(np.arange(len(LETTERS)), per_class)
    if path:
        drawn, of_drawn = _handwritten(path)
        pictures += [frame(picture, size) for picture in drawn]
        label = np.concatenate([label, of_drawn])
    input = np.stack(pictures)[..., None] / np.float32(255)
    return cut(
        arrays(input, label.astype(np.int32), LETTERS), {'validation': 0.1, 'test': 0.2}, seed
    )


def _printed(size: int, per_class: int, seed: int) -> Iterator[np.ndarray]:
    """Printed pictures of all letters, (size, size) uint8 each, those of a letter together."""
    for letter in progress(LETTERS, 'drawing letters'):
        for number in range(per_class):
            yield render(letter, size, np.random.default_rng([seed, ord(letter), number]))


def _handwritten(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """The Latin letters of Omniglot, (n, 28, 28) uint8 in 0 to 255, and their numbers (n,)."""
    pictures, label = [], []
    names = {f'Latin/character{LETTERS.index(letter) + 1:02d}': letter for letter in ALIKE}
    for split in omniglot(path, validation=1).values():
        for number, name in enumerate(split.classes):
            if name in names:
                rows = np.flatnonzero(split.label == number)
                pictures.append(255 * split.take(rows)['input'][..., 0])
                label.append(np.full(len(rows), LETTERS.index(names[name])))
    if len(label) < len(names):
        raise UserError(
            f'{path} has {len(label)} of the {len(names)} Latin letters: give the whole of Omniglot'
        )
    order = np.argsort(np.concatenate(label), kind='stable')
    return np.concatenate(pictures)[order], np.concatenate(label)[order]
