"""Shapes filled with textures: pictures with two cues that agree in training and can be in conflict
afterwards, made without a download.

They serve a demonstration of shape bias (`tljax.studies.shape_bias`), as the patterned shapes of
Hermann and Lampinen 2020 do (https://arxiv.org/abs/2006.12433). What a network prefers here says
nothing about photographs.
"""

import functools

import numpy as np

from tljax.core import Dataset, UserError
from tljax.data.formats.arrays import arrays
from tljax.data.sets.glyphs import render
from tljax.data.splits import cut

SHAPES = {'circle': '●', 'square': '■', 'triangle': '▲', 'star': '★', 'heart': '♥', 'cross': '✚'}
# a category has a shape and, at the same place of this list, a texture
TEXTURES = ('rows', 'columns', 'diagonals', 'checks', 'dots', 'grain')
PERIODS = 3.5, 5.0  # of a texture, in pixels
SMALLEST = 16  # pixels that a side needs for a shape to show its texture


def textured_shapes(size: int = 32, per_category: int = 100, seed: int = 0) -> dict[str, Dataset]:
    """Draws shapes on black, each with the texture of its category, float32, (n, size, size, 1).

    Six categories: circles of rows, squares of columns, triangles of diagonals, stars of checks,
    hearts of dots and crosses of grain. Both cues tell the category.

    Args:
        size: side of the pictures, in pixels.
        per_category: number of pictures of each category.
        seed: seed of the pictures and of the splits.

    Splits: 10 % of each category for validation and 20 % for the test, by the seeded permutation of
        `cut`.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    Raises:
        UserError: for pictures that are too small.

    >>> splits = textured_shapes(per_category=10)
    >>> {name: split.size for name, split in splits.items()}
    {'train': 42, 'validation': 6, 'test': 12}
    >>> splits['train'].classes[:2]
    ('circle', 'square')
    """
    label = np.repeat(np.arange(len(SHAPES)), per_category)
    rng = np.random.default_rng([seed, 0])
    pictures = np.stack([picture(category, category, size, rng) for category in label.tolist()])
    dataset = arrays(pictures, label.astype(np.int32), tuple(SHAPES))
    return cut(dataset, {'validation': 0.1, 'test': 0.2}, seed)


def pairs(
    size: int = 32, per_pair: int = 10, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws every shape with every texture.

    Args:
        size: side of the pictures, in pixels.
        per_pair: number of pictures of each pair of a shape and a texture.
        seed: seed of the pictures, which differ from those of `textured_shapes`.

    Returns:
        Pictures (n, size, size, 1), categories of their shapes (n,) and of their textures (n,).

    >>> pictures, shape, texture = pairs(per_pair=1)
    >>> len(pictures), int((shape == texture).sum())
    (36, 6)
    """
    count, rng = len(SHAPES), np.random.default_rng([seed, 1])
    shape = np.repeat(np.arange(count), count * per_pair)
    texture = np.tile(np.repeat(np.arange(count), per_pair), count)
    cues = zip(shape.tolist(), texture.tolist(), strict=True)
    return np.stack([picture(*cue, size, rng) for cue in cues]), shape, texture


def picture(shape: int, texture: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draws one picture, float32 in [0, 1], (size, size, 1).

    Args:
        shape: category of the shape, whose rotation, shear and scale are drawn.
        texture: category of the texture, whose period and phase are drawn.
        size: side in pixels.
        rng: draws them, and noise of 0.05 on every pixel.

    >>> square = picture(1, 0, 16, np.random.default_rng(0))[..., 0]
    >>> bool(np.abs(np.diff(square, axis=0)).mean() > np.abs(np.diff(square, axis=1)).mean())
    True
    """
    if size < SMALLEST:
        raise UserError(f'data.size={size}: shapes need {SMALLEST} pixels to show their textures')
    silhouette = render(list(SHAPES.values())[shape], size, rng) / 255
    filled = silhouette * (0.3 + 0.7 * _pattern(TEXTURES[texture], size, rng))
    noisy = filled + 0.05 * rng.normal(size=filled.shape)
    return np.clip(noisy, 0, 1).astype(np.float32)[..., None]


def _pattern(texture, size, rng):
    """A texture over the whole picture, (size, size) of 0 and 1."""
    if texture == 'grain':
        return rng.integers(2, size=(size, size))
    period = rng.uniform(*PERIODS)
    y, x = _grid(size) + rng.uniform(0, period, (2, 1, 1))
    if texture == 'rows':
        return y % period < period / 2
    if texture == 'columns':
        return x % period < period / 2
    if texture == 'diagonals':
        return (x + y) / np.sqrt(2) % period < period / 2
    if texture == 'checks':
        return (x // period + y // period) % 2
    assert texture == 'dots'
    return np.hypot(x % period - period / 2, y % period - period / 2) < period / 3


@functools.cache
def _grid(size):
    return np.indices((size, size)).astype(float)
