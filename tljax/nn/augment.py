"""Augmentations: pure functions (key, input) -> input on one example, float32 (h, w, c) in [0, 1].

Factories make them, so that a config names one as `dict(name='crop', padding=4)`. They run on the
device, inside the compiled step, and draw all random numbers from the example's own key. The result
therefore does not depend on the order of the batch or on its sharding. The deterministic part of an
augmentation is a function with its own tests (`warp`, `window`, `adjust`).
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates
from jax.typing import ArrayLike

from tljax.core import UserError
from tljax.protocols import Augmentation, Prepare

NAMES = ('flip', 'crop', 'affine', 'colour', 'resized_crop', 'one_of')  # what a config may name
GREY = (0.299, 0.587, 0.114)  # luma of red, green and blue, ITU-R BT.601


def chain(functions: Sequence[Augmentation]) -> Augmentation:
    """Composes augmentations; the i-th one gets the key with i folded in.

    Args:
        functions: the augmentations, first to last.

    Two flips cancel:

    >>> twice = chain([flip(probability=1.0), flip(probability=1.0)])
    >>> twice(jax.random.key(0), jnp.arange(3.0).reshape(1, 3, 1)).ravel().tolist()
    [0.0, 1.0, 2.0]
    """

    def augment(key: jax.Array, input: jax.Array) -> jax.Array:
        for i, function in enumerate(functions):
            input = function(jax.random.fold_in(key, i), input)
        return input

    return augment


def prepare_batch(functions: Sequence[Augmentation]) -> Prepare:
    """Makes the function that augments the batches of a `core.Stream`, each example by its own key.

    Args:
        functions: the augmentations, first to last.

    Returns:
        `prepare(batch) -> batch`. It takes {'input': (n, h, w, c), 'key': (n, 2) uint32, ...}.
        'key' holds the raw data of one threefry key per example. The returned batch has no 'key'.
        Its inputs are augmented, and so are those of its 'target'.

    >>> prepare = jax.jit(prepare_batch([flip(probability=1.0)]))
    >>> picture, key = jnp.arange(3.0).reshape(1, 1, 3, 1), jnp.zeros((1, 2), jnp.uint32)
    >>> prepare({'input': picture, 'key': key})['input'].ravel().tolist()
    [2.0, 1.0, 0.0]
    """
    augment = chain(functions)

    def prepare(batch):
        keys = jax.random.wrap_key_data(batch['key'], impl='threefry2x32')
        batch = {name: value for name, value in batch.items() if name != 'key'}
        if 'target' in batch:  # pictures of another domain get independent random numbers
            target = batch['target']
            target_keys = jax.vmap(lambda key: jax.random.fold_in(key, len(functions)))(keys)
            input = jax.vmap(augment)(target_keys, target['input'])
            batch['target'] = {**target, 'input': input}
        return {**batch, 'input': jax.vmap(augment)(keys, batch['input'])}

    return prepare


def flip(probability: float = 0.5) -> Augmentation:
    """Mirrors a picture left to right at random.

    Args:
        probability: of a flip, in [0, 1].

    Raises:
        UserError: a probability outside [0, 1].

    >>> flip(probability=1.0)(jax.random.key(0), jnp.arange(3.0).reshape(1, 3, 1)).ravel().tolist()
    [2.0, 1.0, 0.0]
    """
    _refuse_outside('flip', 0, 1, probability=probability)
    return lambda key, input: jnp.where(
        jax.random.uniform(key) < probability, input[:, ::-1], input
    )


def crop(padding: int = 4, border: str = 'reflect') -> Augmentation:
    """Pads a picture and crops a window of the picture's own size at a random place.

    This shifts the picture by up to `padding` pixels each way.

    Args:
        padding: pixels added on every side.
        border: content of these pixels: 'reflect' mirrors the picture, 'zero' is black.

    Raises:
        UserError: a padding that is not a whole number of pixels, or an unknown border.

    Source:
        He et al. 2016, section 4.2, https://arxiv.org/abs/1512.03385, with border='zero'.

    >>> shift = jax.jit(crop(padding=1, border='zero'))
    >>> shift(jax.random.key(1), jnp.ones((2, 2, 1)))[..., 0].tolist()
    [[1.0, 0.0], [1.0, 0.0]]
    """
    if not isinstance(padding, int) or padding < 0:
        raise UserError(f'crop.padding={padding}: give a whole number of pixels, 0 or more')
    if border not in ('reflect', 'zero'):
        raise UserError(f'crop.border={border!r} is not reflect or zero')

    def function(key, input):
        mode = 'constant' if border == 'zero' else 'reflect'
        padded = jnp.pad(input, ((padding, padding), (padding, padding), (0, 0)), mode=mode)
        top, left = jax.random.randint(key, (2,), 0, 2 * padding + 1)
        return jax.lax.dynamic_slice(padded, (top, left, 0), input.shape)

    return function


def affine(
    degrees: float = 15.0, shear: float = 0.1, scale: float = 0.1, translate: float = 0.1
) -> Augmentation:
    """Turns, shears, stretches and shifts a picture at random about its centre.

    The picture is sampled bilinearly and is black outside.

    Args:
        degrees: largest turn either way.
        shear: largest shift of a row, pixels per pixel of height.
        scale: each axis is stretched by a factor within exp(±scale).
        translate: largest shift along each axis, as a share of the picture's side.

    Raises:
        UserError: a negative strength.

    Every pixel of this picture is 100 times its row, so that the output shows the shift:

    >>> shift = jax.jit(affine(degrees=0, shear=0, scale=0, translate=0.2))
    >>> rows = 100 * jnp.arange(5.0)[:, None, None] * jnp.ones((5, 5, 1))
    >>> shift(jax.random.key(0), rows)[1:4, 2, 0].round().tolist()
    [114.0, 214.0, 314.0]
    """
    _refuse_outside(
        'affine', 0, jnp.inf, degrees=degrees, shear=shear, scale=scale, translate=translate
    )

    def function(key, input):
        draw = jax.random.uniform(key, (6,), minval=-1, maxval=1)
        side = jnp.array(input.shape[:2])
        turn = jnp.deg2rad(degrees * draw[0])
        matrix = (
            jnp.array([[jnp.cos(turn), -jnp.sin(turn)], [jnp.sin(turn), jnp.cos(turn)]])
            @ jnp.array([[1, 0], [shear * draw[1], 1]])
            @ jnp.diag(jnp.exp(scale * draw[2:4]))
        )
        centre = (side - 1) / 2
        return warp(input, matrix, centre - matrix @ centre + translate * side * draw[4:])

    return function


def warp(input: jax.Array, matrix: jax.Array, offset: jax.Array) -> jax.Array:
    """Warps a picture: pixel (row, column) is `input` at `matrix @ (row, column) + offset`.

    Pixels are interpolated bilinearly and are 0 outside the picture.

    Args:
        input: picture, (h, w, c).
        matrix: linear part of the map, (2, 2).
        offset: shift, (2,), pixels.

    >>> picture = jnp.arange(3.0).reshape(1, 3, 1)
    >>> jax.jit(warp)(picture, jnp.eye(2), jnp.array([0.0, 0.5])).ravel().tolist()
    [0.5, 1.5, 1.0]
    """
    pixels = jnp.stack(
        jnp.meshgrid(
            *(jnp.arange(side, dtype=input.dtype) for side in input.shape[:2]), indexing='ij'
        )
    )
    places = jnp.einsum('ij,jhw->ihw', matrix, pixels, precision='highest') + offset[:, None, None]
    # vmap over channels computes the weights of the places once: 6 times faster at three channels
    # than one channel after the other
    return jax.vmap(
        lambda channel: map_coordinates(channel, list(places), order=1), in_axes=-1, out_axes=-1
    )(input)


def colour(brightness: float = 0.4, contrast: float = 0.4, saturation: float = 0.4) -> Augmentation:
    """Changes brightness, contrast and saturation at random, by factors within 1 ± strength.

    Args:
        brightness: strength, in [0, 1]; 0: unchanged.
        contrast: strength, in [0, 1]; 0: unchanged.
        saturation: strength, in [0, 1]; 0: unchanged.

    Raises:
        UserError: a strength outside [0, 1].

    >>> change = jax.jit(colour(brightness=0.5, contrast=0, saturation=0))
    >>> picture = change(jax.random.key(0), jnp.array([[[0.2], [0.4]]]))
    >>> (100 * picture).round().ravel().tolist()
    [29.0, 58.0]
    """
    _refuse_outside('colour', 0, 1, brightness=brightness, contrast=contrast, saturation=saturation)

    def function(key, input):
        draw = jax.random.uniform(key, (3,), minval=-1, maxval=1)
        return adjust(
            input, 1 + brightness * draw[0], 1 + contrast * draw[1], 1 + saturation * draw[2]
        )

    return function


def adjust(
    input: jax.Array,
    brightness: ArrayLike = 1.0,
    contrast: ArrayLike = 1.0,
    saturation: ArrayLike = 1.0,
) -> jax.Array:
    """Changes the brightness, then the contrast, then the saturation of a picture by factors.

    Each factor scales the distance of the pixels from a reference picture: black, the mean grey,
    and the grey picture. 1 changes nothing, 0 gives the reference itself. The result of each step
    is clipped to [0, 1]. Grey is the luma of ITU-R BT.601.

    Args:
        input: picture, (h, w, 3), or (h, w, 1), which saturation does not change.
        brightness: factor on the distance to black.
        contrast: factor on the distance to the mean grey.
        saturation: factor on the distance to the grey picture.

    Raises:
        UserError: another number of channels.

    >>> jax.jit(adjust)(jnp.array([[[0.25], [0.75]]]), contrast=0.5).ravel().tolist()
    [0.375, 0.625]
    """
    if input.shape[-1] not in (1, 3):
        raise UserError(
            f'colour: the input has {input.shape[-1]} channels; it takes pictures of 1 (grey) or 3 '
            '(red, green, blue)'
        )
    input = jnp.clip(brightness * input, 0, 1)
    mean = _grey(input).mean()
    input = jnp.clip(mean + contrast * (input - mean), 0, 1)
    grey = _grey(input)
    return jnp.clip(grey + saturation * (input - grey), 0, 1)


def resized_crop(
    scale: Sequence[float] = (0.3, 1.0), ratio: Sequence[float] = (0.75, 1.333)
) -> Augmentation:
    """Crops a random window of the picture and enlarges it to the picture's size.

    Args:
        scale: smallest and largest area of the window, as a share of the picture's area.
        ratio: smallest and largest width over height of the window, drawn on a logarithmic scale. A
            side that would be longer than the picture's is cut to the picture's.

    Raises:
        UserError: a reversed range, a share outside (0, 1], or a ratio that is not positive.

    Source:
        Szegedy et al. 2015, section 6, https://arxiv.org/abs/1409.4842

    >>> zoom = jax.jit(resized_crop(scale=(0.25, 0.25), ratio=(1.0, 1.0)))
    >>> rows = 100 * jnp.arange(4.0)[:, None, None] * jnp.ones((4, 4, 1))
    >>> zoom(jax.random.key(0), rows)[:, 0, 0].round().tolist()
    [41.0, 91.0, 141.0, 191.0]
    """
    _refuse_range('scale', scale, 1)
    _refuse_range('ratio', ratio, None)

    def function(key, input):
        area, shape, top, left = jax.random.uniform(key, (4,))
        side = jnp.array(input.shape[:2], input.dtype)
        area = (scale[0] + area * (scale[1] - scale[0])) * side.prod()
        shape = ratio[0] * (ratio[1] / ratio[0]) ** shape
        size = jnp.minimum(jnp.sqrt(jnp.stack([area / shape, area * shape])), side)
        return window(input, jnp.stack([top, left]) * (side - size), size)

    return function


def one_of(by: Sequence[Callable[[jax.Array], jax.Array]]) -> Augmentation:
    """Changes a picture by one of several transformations or by none, each as likely as the others.

    Args:
        by: functions of `tljax.nn.transformations`.

    Raises:
        UserError: no transformations.

    >>> draw = one_of(by=[lambda picture: -picture])
    >>> sorted({float(draw(jax.random.key(seed), jnp.ones(()))) for seed in range(8)})
    [-1.0, 1.0]
    """
    if not by:
        raise UserError('one_of.by is empty: give transformations, such as ["mirror"]')

    def function(key, input):
        choice = jax.random.randint(key, (), 0, 1 + len(by))
        return jnp.stack([input, *(transform(input) for transform in by)])[choice]

    return function


def window(input: jax.Array, corner: jax.Array, size: jax.Array) -> jax.Array:
    """Enlarges a window of a picture bilinearly to the picture's own shape.

    Args:
        input: picture, (h, w, c).
        corner: top and left of the window, (2,), pixels, fractions allowed; inside the picture.
        size: height and width of the window, (2,), pixels, fractions allowed; inside the picture.

    >>> picture, corner = jnp.arange(4.0).reshape(1, 4, 1), jnp.array([0.0, 1.0])
    >>> jax.jit(window)(picture, corner, size=jnp.array([1.0, 2.0])).ravel().tolist()
    [0.75, 1.25, 1.75, 2.25]
    """
    zoom = jnp.array(input.shape[:2], input.dtype) / size
    return jax.image.scale_and_translate(
        input,
        input.shape,
        (0, 1),
        zoom,
        -corner * zoom,
        method='linear',
        precision=jax.lax.Precision.HIGHEST,
    )


def _grey(input):
    if input.shape[-1] == 1:
        return input
    return (input * jnp.array(GREY, input.dtype)).sum(-1, keepdims=True)


def _refuse_range(name, bounds, limit):
    """Refuses a range of `resized_crop` that is not 0 < low <= high, or exceeds the limit."""
    low, high = bounds
    if not 0 < low <= high or limit is not None and high > limit:
        remedy = 'give low and high, 0 < low <= high'
        if limit is not None:
            remedy += f' <= {limit}'
        raise UserError(f'resized_crop.{name}=({low}, {high}): {remedy}')


def _refuse_outside(name, low, high, **strengths):
    """Refuses strengths of an augmentation that lie outside of low to high."""
    remedy = 'give 0 or more' if high == jnp.inf else f'give {low} to {high}'
    for strength, value in strengths.items():
        if not low <= value <= high:
            raise UserError(f'{name}.{strength}={value}: {remedy}')
