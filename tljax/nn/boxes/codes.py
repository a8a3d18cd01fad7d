"""Codes of boxes relative to anchors: what a detector predicts in place of corners.

Ren et al. 2015, equation 2, https://arxiv.org/abs/1506.01497, times the scale factors of Liu et al.
2016 (SSD's "variances", https://arxiv.org/abs/1512.02325).
"""

import jax
import jax.numpy as jnp

SCALES = (10.0, 10.0, 5.0, 5.0)  # of all detectors in the API's model zoo of 2018
TINY = 1e-8  # added to sides by the API, so that a side of 0 has a logarithm


def encode(
    boxes: jax.Array, anchors: jax.Array, scales: tuple[float, float, float, float] = SCALES
) -> jax.Array:
    """Returns codes (y, x, height, width), (..., 4): shifts of the centre, and logarithms of sides.

    Args:
        boxes: (..., 4).
        anchors: (..., 4), in the units of the boxes.
        scales: factors on the four numbers of a code.

    The box is moved down by a quarter of the anchor's height, and twice as wide:

    >>> anchor, box = jnp.array([0.0, 0.0, 4.0, 4.0]), jnp.array([1.0, -2.0, 5.0, 6.0])
    >>> [round(number, 4) for number in jax.jit(encode)(box, anchor).tolist()]
    [2.5, 0.0, 0.0, 3.4657]
    """
    (centre, sides), (anchor_centre, anchor_sides) = _centred(boxes), _centred(anchors)
    sides, anchor_sides = sides + TINY, anchor_sides + TINY
    codes = [(centre - anchor_centre) / anchor_sides, jnp.log(sides / anchor_sides)]
    return jnp.concatenate(codes, -1) * jnp.array(scales, boxes.dtype)


def decode(
    codes: jax.Array, anchors: jax.Array, scales: tuple[float, float, float, float] = SCALES
) -> jax.Array:
    """Returns the boxes of codes, (..., 4), as `encode` made them.

    Args:
        codes: (..., 4).
        anchors: (..., 4).
        scales: factors on the four numbers of a code.

    >>> anchor = jnp.array([0.0, 0.0, 4.0, 4.0])
    >>> jax.jit(decode)(jnp.array([2.5, 0.0, 0.0, 0.0]), anchor).tolist()
    [1.0, 0.0, 5.0, 4.0]
    """
    codes = codes / jnp.array(scales, codes.dtype)
    anchor_centre, anchor_sides = _centred(anchors)
    centre = codes[..., :2] * anchor_sides + anchor_centre
    half = jnp.exp(codes[..., 2:]) * anchor_sides / 2
    return jnp.concatenate([centre - half, centre + half], -1)


def _centred(boxes):
    """The centres and the sides of boxes, (..., 2) each."""
    sides = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + sides / 2, sides
