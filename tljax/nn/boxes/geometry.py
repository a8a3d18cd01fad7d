"""Areas and overlaps of boxes, and boxes relative to a window."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

Window = ArrayLike | tuple[float, float, float, float]
WHOLE = (0.0, 0.0, 1.0, 1.0)  # the window that is the whole picture


def area(boxes: jax.Array) -> jax.Array:
    """Returns the area of each box, (...); 0 for a box whose bottom lies above its top.

    Args:
        boxes: (..., 4).

    >>> jax.jit(area)(jnp.array([[0.0, 0.0, 0.5, 0.5], [0.5, 0.0, 0.2, 1.0]])).tolist()
    [0.25, 0.0]
    """
    sides = jnp.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return sides[..., 0] * sides[..., 1]


def intersection(first: jax.Array, second: jax.Array) -> jax.Array:
    """Returns the area that each box of one set shares with each of another, (..., n, m).

    Args:
        first: boxes (..., n, 4).
        second: boxes (..., m, 4).

    >>> first, second = jnp.array([[0.0, 0.0, 2.0, 2.0]]), jnp.array([[1.0, 1.0, 3.0, 3.0]])
    >>> jax.jit(intersection)(first, second).tolist()
    [[1.0]]
    """
    first, second = first[..., :, None, :], second[..., None, :, :]
    sides = jnp.minimum(first[..., 2:], second[..., 2:]) - jnp.maximum(
        first[..., :2], second[..., :2]
    )
    sides = jnp.maximum(sides, 0)
    return sides[..., 0] * sides[..., 1]


def iou(first: jax.Array, second: jax.Array) -> jax.Array:
    """Returns the intersection over union of each box of one set with each of another, (..., n, m).

    It is 0 where boxes share nothing, also where both have no area.

    Args:
        first: boxes (..., n, 4).
        second: boxes (..., m, 4).

    The boxes share 1 of 4 + 4 - 1:

    >>> first, second = jnp.array([[0.0, 0.0, 2.0, 2.0]]), jnp.array([[1.0, 1.0, 3.0, 3.0]])
    >>> f'{jax.jit(iou)(first, second)[0, 0]:.4f}'
    '0.1429'
    """
    shared = intersection(first, second)
    union = area(first)[..., :, None] + area(second)[..., None, :] - shared
    return shared / jnp.where(shared > 0, union, 1)


def covered(first: jax.Array, second: jax.Array) -> jax.Array:
    """Returns the share of each box of one set that lies in each of another, (..., n, m).

    Args:
        first: boxes (..., n, 4); the share of a box without area is 0.
        second: boxes (..., m, 4).

    >>> first, second = jnp.array([[0.0, 0.0, 2.0, 2.0]]), jnp.array([[1.0, 1.0, 3.0, 3.0]])
    >>> jax.jit(covered)(first, second).tolist()
    [[0.25]]
    """
    shared = intersection(first, second)
    return shared / jnp.where(shared > 0, area(first)[..., :, None], 1)


def clip(boxes: jax.Array, window: Window = WHOLE) -> jax.Array:
    """Cuts boxes at the borders of a window. A box outside becomes one without area.

    Args:
        boxes: (..., 4).
        window: (4,) or (..., 4); the whole picture by default.

    >>> jax.jit(clip)(jnp.array([-0.5, 0.25, 0.5, 1.5])).tolist()
    [0.0, 0.25, 0.5, 1.0]
    """
    window = jnp.asarray(window, boxes.dtype)
    low, high = window[..., :2], window[..., 2:]
    corners = jnp.concatenate([low, low], -1), jnp.concatenate([high, high], -1)
    return jnp.clip(boxes, *corners)


def within(boxes: jax.Array, window: Window = WHOLE) -> jax.Array:
    """Whether each box lies in a window entirely, (...), booleans.

    Args:
        boxes: (..., 4).
        window: (4,) or (..., 4); the whole picture by default.

    >>> jax.jit(within)(jnp.array([[0.0, 0.0, 1.0, 1.0], [-0.1, 0.0, 0.5, 0.5]])).tolist()
    [True, False]
    """
    return (clip(boxes, window) == boxes).all(-1)


def relative(boxes: jax.Array, window: Window) -> jax.Array:
    """Returns boxes in shares of a window, in which the window itself is (0, 0, 1, 1).

    Args:
        boxes: (..., 4).
        window: (4,) or (..., 4), with an area.

    >>> jax.jit(relative)(jnp.array([0.5, 0.5, 0.75, 1.0]), (0.5, 0.0, 1.0, 1.0)).tolist()
    [0.0, 0.5, 0.5, 1.0]
    """
    window = jnp.asarray(window, boxes.dtype)
    corner, sides = window[..., :2], window[..., 2:] - window[..., :2]
    return (boxes - jnp.concatenate([corner, corner], -1)) / jnp.concatenate([sides, sides], -1)
