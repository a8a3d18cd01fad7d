"""The anchors of a detector, as a config names them: functions of the shapes of its maps."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from tljax.nn.boxes.anchors import multiscale_anchors, ssd_anchors

NAMES = ('ssd', 'multiscale')  # what a config may name
Shape = tuple[int, int]  # height and width


class Anchors(Protocol):
    """Makes the anchors of a detector.

    >>> def whole(maps, picture):  # one anchor in each cell: the picture
    ...     return Grid(np.tile([0.0, 0.0, 1.0, 1.0], (sum(h * w for h, w in maps), 1)), [1])
    >>> whole([(2, 2)], (8, 8)).boxes.shape
    (4, 4)
    """

    def __call__(self, maps: Sequence[Shape], picture: Shape, /) -> 'Grid':
        """Makes the anchors.

        Args:
            maps: height and width of each map in cells, finest first.
            picture: height and width of the pictures in pixels.
        """
        ...


class Grid(NamedTuple):
    """Anchors of pictures of one shape.

    Attributes:
        boxes: (n, 4) float32, in shares of the picture, map by map and cell by cell.
        per_cell: number of anchors in a cell of each map.

    >>> Grid(np.zeros((12, 4)), [3]).per_cell
    [3]
    """

    boxes: np.ndarray
    per_cell: list[int]


def ssd(
    lowest: float = 0.2,
    highest: float = 0.95,
    ratios: Sequence[float] = (1.0, 2.0, 0.5, 3.0, 0.3333),
    interpolated: bool = True,
    reduced: bool = True,
) -> Anchors:
    """Anchors as SSD has them (`nn.boxes.anchors.ssd_anchors`).

    Args:
        lowest: scale of the first map, a share of the picture.
        highest: scale of the last map.
        ratios: width over height.
        interpolated: whether cells have one more square.
        reduced: whether the first map has three anchors a cell only.

    >>> ssd()([(2, 2), (1, 1)], (32, 32)).per_cell
    [3, 6]
    """

    def make(maps, picture):
        boxes = ssd_anchors(maps, lowest, highest, ratios, interpolated, reduced, picture)
        count = len(ratios) + interpolated
        return Grid(boxes, [3 if reduced and not i else count for i in range(len(maps))])

    return make


def multiscale(
    level: int = 3,
    scale: float = 4.0,
    ratios: Sequence[float] = (1.0, 2.0, 0.5),
    octaves: int = 2,
) -> Anchors:
    """Anchors of a feature pyramid (`nn.boxes.anchors.multiscale_anchors`).

    Args:
        level: level of the first map; level l has strides of 2^l pixels.
        scale: side of a square anchor in strides.
        ratios: width over height.
        octaves: number of sizes between one level and the next.

    >>> multiscale()([(4, 4), (2, 2)], (32, 32)).boxes.shape
    (120, 4)
    """

    def make(maps, picture):
        boxes = multiscale_anchors(maps, picture, level, scale, ratios, octaves)
        return Grid(boxes, [len(ratios) * octaves] * len(maps))

    return make
