"""Non-maximum suppression: of boxes that overlap, the one of the highest score is kept.

Ties go to the box that comes first, as in TensorFlow.
"""

import jax
import jax.numpy as jnp

from tljax.nn.boxes.geometry import WHOLE, Window, area, clip, iou

NOTHING = (0.0, 0.0, 0.0, 0.0, -1.0, 0.0)  # a row where there is no detection


def nms(
    boxes: jax.Array, scores: jax.Array, limit: int, overlap: float = 0.6, lowest: float = -jnp.inf
) -> tuple[jax.Array, jax.Array]:
    """Returns the numbers of the boxes that are kept, best first, and which of them there are.

    It takes `limit` rounds over all boxes, so that it is exact and needs no table of all pairs.

    Args:
        boxes: (..., n, 4).
        scores: (..., n).
        limit: most boxes that are kept.
        overlap: intersection over union above which the box of the lower score is dropped.
        lowest: only boxes of a higher score are kept.

    Returns:
        numbers, (..., limit) int32, and a mask, (..., limit) booleans; numbers are 0 where the mask
        is False.

    The second box repeats the first:

    >>> boxes = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.9], [0.0, 0.0, 0.5, 0.5]])
    >>> keep = jax.jit(nms, static_argnames='limit')
    >>> numbers, mask = keep(boxes, jnp.array([0.9, 0.8, 0.7]), limit=3)
    >>> numbers.tolist(), mask.tolist()
    ([0, 2, 0], [True, True, False])
    """
    scores = jnp.where(scores > lowest, scores, -jnp.inf)

    def one(boxes, scores):
        def select(scores, _):
            top = scores.max()
            best, exists = _first(scores, top), top > -jnp.inf
            gone = (iou(boxes[best][None], boxes)[0] > overlap).at[best].set(True)
            return jnp.where(gone, -jnp.inf, scores), (jnp.where(exists, best, 0), exists)

        return jax.lax.scan(select, scores, length=limit)[1]

    batch = scores.shape[:-1]
    numbers, mask = jax.vmap(one)(
        jnp.broadcast_to(boxes, (*batch, *boxes.shape[-2:])).reshape(-1, *boxes.shape[-2:]),
        scores.reshape(-1, scores.shape[-1]),
    )
    return numbers.reshape(*batch, limit), mask.reshape(*batch, limit)


def suppress(boxes: jax.Array, overlap: float) -> jax.Array:
    """Returns which boxes are kept, (..., n) booleans, if they stand in the order of their scores.

    It compares all pairs at once, and repeats until nothing changes: as often as boxes that are
    dropped follow one another, which for a high overlap is a few times. `nms` is the same rule for
    few boxes out of many.

    Args:
        boxes: (..., n, 4), best first.
        overlap: intersection over union above which a later box is dropped.

    The third box overlaps the second alone, which is dropped itself:

    >>> boxes = jnp.array([[0.0, 0.0, 4.0, 1.0], [1.0, 0.0, 5.0, 1.0], [2.0, 0.0, 6.0, 1.0]])
    >>> jax.jit(suppress)(boxes, overlap=0.5).tolist()
    [True, False, True]
    """
    n = boxes.shape[-2]
    rivals = (iou(boxes, boxes) > overlap) & jnp.tri(n, k=-1, dtype=bool)  # [later, earlier]

    def drop(kept):
        return ~(rivals & kept[..., None, :]).any(-1)

    def changes(state):
        return (state[0] != state[1]).any()

    kept = jnp.ones(boxes.shape[:-1], bool)
    return jax.lax.while_loop(
        changes, lambda state: (state[1], drop(state[1])), (kept, drop(kept))
    )[1]


def detections(
    boxes: jax.Array,
    scores: jax.Array,
    overlap: float = 0.6,
    lowest: float = 1e-8,
    per_class: int = 100,
    total: int = 100,
    window: Window = WHOLE,
    by_class: bool = True,
) -> jax.Array:
    """Returns the best boxes of all classes after suppression within each class.

    Args:
        boxes: (..., n, 4), or (..., n, classes, 4) if each class has its own.
        scores: (..., n, classes), without the background.
        overlap: as in `nms`.
        lowest: as in `nms`.
        per_class: most boxes of a class.
        total: most boxes of a picture.
        window: what boxes are clipped to in the end, (4,); those left without area are dropped.
        by_class: False: each box has its best class alone, and boxes of all classes suppress each
            other, as TensorFlow Lite's detectors do by default.

    Returns:
        top, left, bottom, right, class and score, (..., total, 6), best first. Where there are
        fewer boxes, the class is -1 and all else is 0.

    Source:
        The API's `batch_multiclass_non_max_suppression`.

    >>> boxes = jnp.array([[0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.5, 0.4]])
    >>> scores = jnp.array([[0.75, 0.0], [0.5, 0.25]])
    >>> detect = jax.jit(detections, static_argnames='total')
    >>> detect(boxes, scores, total=3)[:, 4:].tolist()
    [[0.0, 0.75], [1.0, 0.25], [-1.0, 0.0]]
    """
    if not by_class:
        best = scores.argmax(-1)[..., None] == jnp.arange(scores.shape[-1])
        numbers, mask = nms(boxes, scores.max(-1), total, overlap, lowest)
        boxes = jnp.take_along_axis(boxes, numbers[..., None], -2)
        scores = jnp.take_along_axis(jnp.where(best, scores, -1), numbers[..., None], -2)
        scores = jnp.where(mask[..., None], scores, -1)
        overlap, lowest = jnp.inf, max(lowest, 0.0)
    classes = scores.shape[-1]
    if boxes.ndim == scores.ndim:
        boxes = boxes[..., None, :]
    boxes = jnp.moveaxis(boxes, -2, -3)  # (..., classes or 1, n, 4)
    scores = jnp.moveaxis(scores, -1, -2)  # (..., classes, n)
    if by_class and per_class >= total:
        return _best_first(boxes, scores, overlap, lowest, total, window)
    numbers, mask = nms(boxes, scores, min(per_class, scores.shape[-1]), overlap, lowest)
    found = clip(jnp.take_along_axis(boxes, numbers[..., None], -2), window)
    score = jnp.take_along_axis(scores, numbers, -1)
    mask &= area(found) > 0
    label = jnp.broadcast_to(jnp.arange(classes, dtype=found.dtype)[:, None], score.shape)
    rows = jnp.concatenate([found, label[..., None], score[..., None]], -1)
    rows = rows.reshape(*rows.shape[:-3], -1, 6)
    ranks = jnp.where(mask, score, -jnp.inf).reshape(rows.shape[:-1])
    best, places = jax.lax.top_k(ranks, min(total, ranks.shape[-1]))
    nothing = jnp.array(NOTHING, rows.dtype)
    rows = jnp.take_along_axis(rows, places[..., None], -2)
    rows = jnp.where((best > -jnp.inf)[..., None], rows, nothing)
    missing = jnp.broadcast_to(nothing, (*rows.shape[:-2], total - rows.shape[-2], 6))
    return jnp.concatenate([rows, missing], -2)


def _best_first(
    boxes: jax.Array,
    scores: jax.Array,
    overlap: float,
    lowest: float,
    total: int,
    window: Window,
) -> jax.Array:
    """What `detections` returns where no class alone is limited, found box by box: the best of all
    classes suppresses those of its own class, so that a round looks at one class."""
    batch = scores.shape[:-2]
    boxes = boxes.reshape(-1, *boxes.shape[-3:])
    scores = jnp.where(scores > lowest, scores, -jnp.inf).reshape(-1, *scores.shape[-2:])

    def goes_on(state):
        count, best = state[0], state[1]
        return ((count < total) & (best.max(-1) > -jnp.inf)).any()

    @jax.vmap
    def find(boxes, count, best, scores, rows):
        label = best.argmax()
        own = boxes[0] if len(boxes) == 1 else boxes[label]  # all classes may share their boxes
        top = best[label]
        place = _first(scores[label], top)
        gone = (iou(own[place][None], own)[0] > overlap) | (jnp.arange(len(own)) == place)
        left = jnp.where(gone, -jnp.inf, scores[label])
        found = clip(own[place], window)
        row = jnp.concatenate([found, jnp.stack([label.astype(found.dtype), top])])
        exists = (area(found) > 0) & (top > -jnp.inf)
        is_next = (jnp.arange(total) == count) & exists
        return (
            count + exists,
            jnp.where(jnp.arange(len(best)) == label, left.max(), best),
            scores.at[label].set(left),
            jnp.where(is_next[:, None], row, rows),
        )

    rows = jnp.broadcast_to(jnp.array(NOTHING, boxes.dtype), (len(boxes), total, 6))
    state = jnp.zeros(len(boxes), jnp.int32), scores.max(-1), scores, rows
    rows = jax.lax.while_loop(goes_on, lambda state: find(boxes, *state), state)[-1]
    return rows.reshape(*batch, total, 6)


def _first(scores: jax.Array, top: jax.Array) -> jax.Array:
    """The place of the first score that equals the largest one; `argmax` is slower on a CPU, as it
    uses no vector instructions."""
    places = jnp.arange(len(scores), dtype=jnp.int32)
    return jnp.where(scores == top, places, len(scores) - 1).min()
