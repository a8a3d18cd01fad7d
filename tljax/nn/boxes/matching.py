"""Which anchor is to find which box, and what it is trained to say."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tljax.nn.boxes.codes import SCALES, encode
from tljax.nn.boxes.geometry import area, covered, iou

BACKGROUND, IGNORED = -1, -2  # what an anchor is matched to that has no box


class Targets(NamedTuple):
    """What the anchors of a picture are trained to say.

    Attributes:
        box: number of each anchor's box, (..., n) int32; BACKGROUND or IGNORED if it has none.
        label: class of that box, (..., n) int32; BACKGROUND or IGNORED.
        codes: code of that box, (..., n, 4); 0 if there is none.
    """

    box: jax.Array
    label: jax.Array
    codes: jax.Array


def match(
    overlap: jax.Array,
    valid: jax.Array,
    matched: float = 0.5,
    unmatched: float = 0.5,
    force: bool = True,
) -> jax.Array:
    """Returns the number of each anchor's box, (..., n) int32, BACKGROUND or IGNORED.

    An anchor has the box that it overlaps most, the first of several, if they overlap by `matched`
    or more. It is background if they overlap by less than `unmatched`, and ignored in between.

    Args:
        overlap: overlap of each box with each anchor, (..., g, n), as `iou(boxes, anchors)`.
        valid: which boxes there are, (..., g) booleans; the others are padding.
        matched: smallest overlap of an anchor with its box.
        unmatched: smallest overlap that is not background, at most `matched`.
        force: whether each box also gets the anchor that it overlaps most, the first of several,
            whatever that anchor's own best box is. Of two boxes that want one anchor, the first
            gets it. A box that overlaps no anchor gets none.

    Source:
        The API's `argmax_matcher`, but for boxes that overlap no anchor, for which that one takes
        anchor 0.

    The second box overlaps no anchor by a half, but gets the last one:

    >>> overlap = jnp.array([[0.6, 0.1, 0.3], [0.0, 0.2, 0.4]])
    >>> jax.jit(match)(overlap, jnp.array([True, True])).tolist()
    [0, -1, 1]
    """
    if overlap.shape[-2] == 0:  # argmax refuses an empty axis
        return jnp.full((*overlap.shape[:-2], overlap.shape[-1]), BACKGROUND, jnp.int32)
    overlap = jnp.where(valid[..., None], overlap, -1)
    best = overlap.max(-2)
    box = overlap.argmax(-2).astype(jnp.int32)
    box = jnp.where(best >= matched, box, jnp.where(best >= unmatched, IGNORED, BACKGROUND))
    if not force:
        return box
    anchor = overlap.argmax(-1)[..., None] == jnp.arange(overlap.shape[-1])  # (..., g, n)
    forced = anchor & (overlap.max(-1, keepdims=True) > 0)
    return jnp.where(forced.any(-2), forced.argmax(-2).astype(jnp.int32), box)


def targets(
    boxes: jax.Array,
    anchors: jax.Array,
    matched: float = 0.5,
    unmatched: float = 0.5,
    force: bool = True,
    scales: tuple[float, float, float, float] = SCALES,
) -> Targets:
    """Returns the `Targets` of anchors. Boxes without area are left out, as padding is.

    Args:
        boxes: top, left, bottom, right and class of each box, (..., g, 5); a negative class is
            padding, or a region that no anchor is to find.
        anchors: (n, 4), or (..., n, 4).
        matched: as in `match`.
        unmatched: as in `match`.
        force: as in `match`.
        scales: as in `codes.encode`.

    >>> anchors = jnp.array([[0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]])
    >>> boxes = jnp.array([[0.5, 0.5, 1.0, 1.0, 7.0], [0.0, 0.0, 0.0, 0.0, -1.0]])
    >>> jax.jit(targets)(boxes, anchors).label.tolist()
    [-1, 7]
    """
    corners, label = boxes[..., :4], boxes[..., 4].astype(jnp.int32)
    valid = (label >= 0) & (area(corners) > 0)
    box = match(iou(corners, anchors), valid, matched, unmatched, force)
    if boxes.shape[-2] == 0:
        return Targets(box, box, jnp.zeros((*box.shape, 4), boxes.dtype))
    place = jnp.maximum(box, 0)
    found = jnp.take_along_axis(corners, place[..., None], -2)
    codes = jnp.where((box >= 0)[..., None], encode(found, anchors, scales), 0)
    return Targets(box, jnp.where(box >= 0, jnp.take_along_axis(label, place, -1), box), codes)


def excused(
    box: jax.Array, boxes: jax.Array, anchors: jax.Array | np.ndarray, share: float = 0.5
) -> jax.Array:
    """Returns the numbers of anchors' boxes without background in ignored regions, (..., n).

    An anchor without a box is ignored if it lies in an ignored region, such as a crowd, by a share
    of its area or more: there may be objects that nobody has marked. The measure is the one by
    which COCO's evaluation excuses detections.

    Args:
        box: (..., n), as `match` returns it.
        boxes: (..., g, 5), as `targets` takes them. A class of -2 or less is an ignored region, and
            -1 is padding.
        anchors: (n, 4), or (..., n, 4).
        share: as told.

    >>> anchors = jnp.array([[0.0, 0.0, 0.2, 0.2], [0.5, 0.5, 1.0, 1.0]])
    >>> crowd = jnp.array([[0.0, 0.0, 0.4, 0.4, -2.0]])
    >>> jax.jit(excused)(jnp.array([-1, -1]), crowd, anchors).tolist()
    [-2, -1]
    """
    regions = boxes[..., 4] <= IGNORED
    shares = covered(jnp.asarray(anchors), boxes[..., :4])  # (..., n, g)
    inside = ((shares >= share) & regions[..., None, :]).any(-1)
    return jnp.where((box == BACKGROUND) & inside, IGNORED, box)
