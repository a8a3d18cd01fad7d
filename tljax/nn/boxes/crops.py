"""Crops of maps at boxes, and the resize of TensorFlow 1, as published detectors were trained with.

None of the three places pixels as `jax.image.resize` does, whose pixels have their centres at
halves.
"""

import jax
import jax.numpy as jnp

ROUNDING = 1e-3  # of a sample's place, pixels


def crop_and_resize(
    pictures: jax.Array, boxes: jax.Array, size: tuple[int, int], outside: float = 0.0
) -> jax.Array:
    """Samples a picture bilinearly on a grid over each box.

    The first and last samples stand on the borders of the box, where 0 is the centre of the first
    pixel and 1 that of the last. A single sample stands in the middle. Samples that only rounding
    puts outside of the picture are inside, which TensorFlow leaves to chance.

    Args:
        pictures: (..., h, w, c).
        boxes: (..., n, 4), in shares of the picture; a box whose bottom is above its top is
            mirrored.
        size: height and width of a crop, in samples.
        outside: value of samples outside of the picture.

    Returns:
        (..., n, height, width, c).

    Source:
        TensorFlow's `tf.image.crop_and_resize`.

    >>> picture = jnp.arange(5.0).reshape(1, 5, 1)
    >>> box, crop = jnp.array([[0.0, 0.25, 0.0, 1.0]]), jax.jit(crop_and_resize, static_argnums=2)
    >>> crop(picture, box, (1, 3)).ravel().tolist()
    [1.0, 2.5, 4.0]
    """

    def one(picture, boxes):
        height, width, _ = picture.shape
        rows = _samples(boxes[:, 0], boxes[:, 2], size[0], height)
        columns = _samples(boxes[:, 1], boxes[:, 3], size[1], width)
        inside = _is_inside(rows, height)[:, :, None] & _is_inside(columns, width)[:, None, :]
        values = _bilinear(picture, rows, columns)
        return jnp.where(inside[..., None], values, jnp.asarray(outside, values.dtype))

    return jnp.vectorize(one, signature='(h,w,c),(n,k)->(n,i,j,c)')(pictures, boxes)


def position_sensitive_crop(
    maps: jax.Array, boxes: jax.Array, size: tuple[int, int], bins: tuple[int, int]
) -> jax.Array:
    """Averages a box of position-sensitive maps: each part of it in the maps of that part.

    A box is divided into rows x columns bins. A bin is sampled by `crop_and_resize`, in its own
    group of c maps. The answer is the mean over all samples of all bins.

    Args:
        maps: (..., h, w, rows * columns * c); the c maps of the first bin, of the one to the right
            of it, and so on.
        boxes: (..., n, 4), in shares of the picture.
        size: height and width of the samples of a whole box, multiples of `bins`.
        bins: rows and columns.

    Returns:
        (..., n, c).

    Source:
        Dai et al. 2016, equation 1, https://arxiv.org/abs/1605.06409, as the API's
        `position_sensitive_crop_regions` has it.

    The left half is read in the first map, the right half in the second:

    >>> maps = jnp.array([1.0, 3.0]) * jnp.ones((4, 4, 1))
    >>> box = jnp.array([[0.0, 0.0, 1.0, 1.0]])
    >>> crop = jax.jit(position_sensitive_crop, static_argnums=(2, 3))
    >>> crop(maps, box, (2, 2), (1, 2)).tolist()
    [[2.0]]
    """
    count, (rows, columns) = bins[0] * bins[1], bins
    groups = jnp.moveaxis(maps.reshape(*maps.shape[:-1], count, -1), -2, -4)  # (..., bins, h, w, c)
    corner, step = boxes[..., :2], (boxes[..., 2:] - boxes[..., :2]) / jnp.array(bins, boxes.dtype)
    place = jnp.stack(jnp.meshgrid(jnp.arange(rows), jnp.arange(columns), indexing='ij'), -1)
    place = place.reshape(count, 1, 2).astype(boxes.dtype)
    corner, step = corner[..., None, :, :], step[..., None, :, :]
    parts = jnp.concatenate([corner + place * step, corner + (place + 1) * step], -1)
    samples = crop_and_resize(groups, parts, (size[0] // rows, size[1] // columns))
    return samples.mean((-5, -3, -2))


def legacy_resize(pictures: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Resizes pictures as TensorFlow 1 does: pixel i is taken from i times the ratio of the sides.

    Args:
        pictures: (..., h, w, c).
        size: height and width of the result.

    Returns:
        (..., height, width, c).

    Source:
        TensorFlow's `tf.compat.v1.image.resize_bilinear`, whose results it has to rounding.

    The last pixel has nothing to its right, and is repeated:

    >>> resize = jax.jit(legacy_resize, static_argnums=1)
    >>> resize(jnp.array([0.0, 1.0]).reshape(1, 2, 1), (1, 4)).ravel().tolist()
    [0.0, 0.5, 1.0, 1.0]
    """
    height, width = pictures.shape[-3:-1]
    rows = jnp.arange(size[0], dtype=jnp.float32) * (height / size[0])
    columns = jnp.arange(size[1], dtype=jnp.float32) * (width / size[1])
    return jnp.vectorize(
        lambda picture: _bilinear(picture, rows[None], columns[None])[0],
        signature='(h,w,c)->(i,j,c)',
    )(pictures)


def _samples(start, end, count, side):
    """Where the samples along one axis stand, (n, count), in pixels."""
    if count == 1:
        return (start + end)[:, None] / 2 * (side - 1)
    step = (end - start) * (side - 1) / (count - 1)
    return start[:, None] * (side - 1) + step[:, None] * jnp.arange(count, dtype=start.dtype)


def _is_inside(places, side):
    return (places >= -ROUNDING) & (places <= side - 1 + ROUNDING)


def _bilinear(picture, rows, columns):
    """Values of a picture (h, w, c) at rows (n, i) and columns (n, j): (n, i, j, c)."""
    low_row, high_row, row_share = _neighbours(rows, picture.shape[0], picture.dtype)
    low_column, high_column, column_share = _neighbours(columns, picture.shape[1], picture.dtype)

    def at(row, column):
        return picture[row[:, :, None], column[:, None, :]]

    share = column_share[:, None, :, None]
    low = at(low_row, low_column) * (1 - share) + at(low_row, high_column) * share
    high = at(high_row, low_column) * (1 - share) + at(high_row, high_column) * share
    share = row_share[:, :, None, None]
    return low * (1 - share) + high * share


def _neighbours(places, side, dtype):
    """The pixels before and after places along an axis, and the share of the latter."""
    low = jnp.floor(places)
    share = (places - low).astype(dtype)
    low = jnp.clip(low.astype(jnp.int32), 0, side - 1)
    return low, jnp.minimum(low + 1, side - 1), share
