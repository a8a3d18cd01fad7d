"""Anchors: the boxes of fixed shapes, at every cell of a map, that a detector's codes refer to.

They depend on shapes alone, so they are NumPy arrays, made once. All generators list cells row by
row, and the anchors of a cell one after the other.
"""

from collections.abc import Sequence

import numpy as np

from tljax.core import UserError


def ssd_anchors(
    maps: Sequence[tuple[int, int]],
    lowest: float = 0.2,
    highest: float = 0.95,
    ratios: Sequence[float] = (1.0, 2.0, 0.5, 3.0, 0.3333),
    interpolated: bool = True,
    reduced: bool = True,
    shape: tuple[float, float] = (1.0, 1.0),
) -> np.ndarray:
    """Returns SSD's anchors, (n, 4) float32, in shares of the picture and not clipped.

    The scales of the maps rise linearly. A cell's anchors have each of the ratios; its last one is
    a square of the geometric mean of this map's scale and the next one's, where the scale after the
    last map is 1.

    Args:
        maps: (height, width) of each map in cells, finest first.
        lowest: scale of the first map: the side of a square anchor, as a share of the picture.
        highest: scale of the last map.
        ratios: width over height of a cell's anchors, in order. The published configs say 0.3333.
        interpolated: whether cells have the last square.
        reduced: whether the first map has three anchors a cell only: a square of scale 0.1, and
            ratios 2 and 0.5.
        shape: height and width of the picture, in any unit. Anchors are as high and wide as in a
            square picture whose side is the shorter of the two.

    Raises:
        UserError: no maps.

    Source:
        Liu et al. 2016, section 2.2, equation 4, https://arxiv.org/abs/1512.02325, as the API's
        `ssd_anchor_generator` has it.

    >>> ssd_anchors([(19, 19), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1)]).shape
    (1917, 4)
    >>> ssd_anchors([(1, 1)], lowest=0.5, ratios=[1.0], interpolated=False, reduced=False).tolist()
    [[0.25, 0.25, 0.75, 0.75]]
    """
    if not maps:
        raise UserError('anchors: there are no maps: give the height and width of each')
    scales = [*np.linspace(lowest, highest, len(maps)), 1.0]
    base = min(shape) / np.array(shape)
    parts = []
    for i, grid in enumerate(maps):
        shapes = [(scales[i], ratio) for ratio in ratios]
        if interpolated:
            shapes.append((np.sqrt(scales[i] * scales[i + 1]), 1.0))
        if reduced and i == 0:
            shapes = [(0.1, 1.0), (scales[0], 2.0), (scales[0], 0.5)]
        stride = 1 / np.array(grid)
        parts.append(_tiled(grid, _sides(shapes) * base, stride, stride / 2))
    return np.concatenate(parts).astype(np.float32)


def multiscale_anchors(
    maps: Sequence[tuple[int, int]],
    shape: tuple[int, int],
    level: int = 3,
    scale: float = 4.0,
    ratios: Sequence[float] = (1.0, 2.0, 0.5),
    octaves: int = 2,
) -> np.ndarray:
    """Returns the anchors of a feature pyramid, (n, 4) float32, in shares of the picture.

    A map of level l has strides of 2^l pixels and anchors of `scale` strides, times the powers
    2^(i/octaves). A cell's anchors have the first ratio in all sizes, then the second.

    Args:
        maps: (height, width) of each map in cells, finest first; each is a level above the one
            before.
        shape: height and width of the picture in pixels. If a side is a multiple of the stride,
            anchors are centred in the middle of the cells along it, and else on their edges.
        level: level of the first map.
        scale: side of a square anchor in strides.
        ratios: width over height.
        octaves: number of sizes between one level and the next.

    Source:
        Lin et al. 2017, section 4, https://arxiv.org/abs/1708.02002, as the API's
        `multiscale_grid_anchor_generator` has it.

    >>> maps = [(80, 80), (40, 40), (20, 20), (10, 10), (5, 5)]
    >>> multiscale_anchors(maps, shape=(640, 640)).shape
    (51150, 4)
    """
    sizes = [2 ** (i / octaves) for i in range(octaves)]
    parts = []
    for i, grid in enumerate(maps):
        stride = 2 ** (level + i)
        sides = _sides([(size, ratio) for ratio in ratios for size in sizes]) * scale * stride
        offset = [stride / 2 if side % stride == 0 else 0 for side in shape]
        parts.append(_tiled(grid, sides, [stride, stride], offset))
    return (np.concatenate(parts) / [*shape, *shape]).astype(np.float32)


def grid_anchors(
    grid: tuple[int, int],
    stride: float = 16.0,
    base: float = 256.0,
    scales: Sequence[float] = (0.25, 0.5, 1.0, 2.0),
    ratios: Sequence[float] = (0.5, 1.0, 2.0),
    offset: float = 0.0,
) -> np.ndarray:
    """Returns the anchors of Faster R-CNN's one map, (n, 4) float32, in pixels and not clipped.

    A cell's anchors have the first ratio in all scales, then the second.

    Args:
        grid: height and width of the map in cells.
        stride: distance of two cells, pixels.
        base: side of a square anchor of scale 1, pixels.
        scales: sides relative to `base`.
        ratios: width over height.
        offset: centre of the first cell, pixels.

    Source:
        Ren et al. 2015, section 3.1.1, https://arxiv.org/abs/1506.01497, as the API's
        `grid_anchor_generator` has it.

    >>> grid_anchors((38, 50)).shape
    (22800, 4)
    >>> grid_anchors((1, 2), base=4, scales=[1], ratios=[1]).tolist()
    [[-2.0, -2.0, 2.0, 2.0], [-2.0, 14.0, 2.0, 18.0]]
    """
    sides = _sides([(scale, ratio) for ratio in ratios for scale in scales]) * base
    return _tiled(grid, sides, [stride, stride], [offset, offset]).astype(np.float32)


def _sides(shapes):
    """Heights and widths, (k, 2), of anchors given by the root of their area and their ratio."""
    return np.array([(scale / np.sqrt(ratio), scale * np.sqrt(ratio)) for scale, ratio in shapes])


def _tiled(grid, sides, stride, offset):
    """Anchors of the given sides at every cell of a map: (height * width * k, 4).

    Args:
        grid: height and width of the map in cells.
        sides: heights and widths, (k, 2).
        stride: distance of two cells along each axis.
        offset: centre of the first cell.
    """
    cells = np.stack(np.meshgrid(*map(np.arange, grid), indexing='ij'), -1)
    centres = (cells * stride + offset)[..., None, :]  # (height, width, 1, 2)
    return np.concatenate([centres - sides / 2, centres + sides / 2], -1).reshape(-1, 4)
