"""Augmentations: pure functions (key, input) -> input on one example, float32 (h, w, c) in [0, 1].

Factories make them, so that a config names each as `dict(name='crop', padding=4)`. They run on the
device, inside the compiled step, and draw everything from the example's own key: neither the order
of a batch nor how it is sharded changes what an example becomes. What an augmentation does once its
numbers are drawn is a function of its own (`warp`, `window`, `adjust`).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates
from jax.typing import ArrayLike

from tljax.core import UserError
from tljax.protocols import Augmentation, Prepare

NAMES = ('flip', 'crop', 'affine', 'colour', 'resized_crop')  # what a config may name
GREY = (0.299, 0.587, 0.114)  # luma of red, green and blue, ITU-R BT.601


def chain(functions: Sequence[Augmentation]) -> Augmentation:
    """(key, input) -> input: augmentations one after another, the i-th with i folded into the key.

    Args:
        functions: the augmentations, first to last.

    >>> chain([flip(probability=1.0)] * 2)(
    ...     jax.random.key(0), jnp.arange(3.0).reshape(1, 3, 1)
    ... ).ravel().tolist()
    [0.0, 1.0, 2.0]
    """

    def one(key: jax.Array, input: jax.Array) -> jax.Array:
        for i, function in enumerate(functions):
            input = function(jax.random.fold_in(key, i), input)
        return input

    return one


def prepare_batch(functions: Sequence[Augmentation]) -> Prepare:
    """What a `core.Stream` prepares its batches with: the `chain` of `functions`, each example by
    its own key.

    Args:
        functions: the augmentations, first to last.

    Returns:
        `prepare(batch) -> batch`: takes {'input': (n, h, w, c), 'key': (n, 2) uint32, ...}, where
        'key' holds the raw data of one threefry key per example, and returns the batch with its
        inputs, and those of its 'target', augmented and without 'key'.

    >>> prepare = jax.jit(prepare_batch([flip(probability=1.0)]))
    >>> batch = prepare(
    ...     {'input': jnp.arange(3.0).reshape(1, 1, 3, 1), 'key': jnp.zeros((1, 2), jnp.uint32)}
    ... )
    >>> sorted(batch), batch['input'].ravel().tolist()
    (['input'], [2.0, 1.0, 0.0])
    """
    one = chain(functions)

    def prepare(batch):
        rest = {name: value for name, value in batch.items() if name != 'key'}
        keys = jax.random.wrap_key_data(batch['key'], impl='threefry2x32')
        if 'target' in batch:  # of another domain: draws of its own
            others = jax.vmap(lambda key: jax.random.fold_in(key, len(functions)))(keys)
            rest['target'] = {
                **batch['target'],
                'input': jax.vmap(one)(others, batch['target']['input']),
            }
        return {**rest, 'input': jax.vmap(one)(keys, batch['input'])}

    return prepare


def flip(probability: float = 0.5) -> Augmentation:
    """Left and right change places, with the given probability.

    Args:
        probability: of a change, in [0, 1].

    Raises:
        UserError: for a probability outside [0, 1].

    >>> flip(probability=1.0)(jax.random.key(0), jnp.arange(3.0).reshape(1, 3, 1)).ravel().tolist()
    [2.0, 1.0, 0.0]
    """
    _within('flip', 0, 1, probability=probability)
    return lambda key, input: jnp.where(
        jax.random.uniform(key) < probability, input[:, ::-1], input
    )


def crop(padding: int = 4, border: str = 'reflect') -> Augmentation:
    """A window of the picture's own size at a random place in the padded picture: a shift by up to
    `padding` pixels each way (He et al. 2016, section 4.2, https://arxiv.org/abs/1512.03385, with
    border='zero').

    Args:
        padding: pixels added on every side.
        border: 'reflect' mirrors the picture into them, 'zero' leaves them black.

    Raises:
        UserError: for a padding that is not a whole number of pixels, or an unknown border.

    >>> jax.jit(crop(padding=2))(jax.random.key(0), jnp.ones((8, 8, 1))).shape
    (8, 8, 1)
    """
    if not isinstance(padding, int) or padding < 0:
        raise UserError(f'crop.padding={padding}: give a whole number of pixels, 0 or more')
    if border not in ('reflect', 'zero'):
        raise UserError(f'crop.border={border!r} is not reflect or zero')

    def function(key, input):
        padded = jnp.pad(
            input,
            ((padding, padding), (padding, padding), (0, 0)),
            mode={'zero': 'constant'}.get(border, border),
        )
        top, left = jax.random.randint(key, (2,), 0, 2 * padding + 1)
        return jax.lax.dynamic_slice(padded, (top, left, 0), input.shape)

    return function


def affine(
    degrees: float = 15.0, shear: float = 0.1, scale: float = 0.1, translate: float = 0.1
) -> Augmentation:
    """A random affine map about the picture's centre, sampled bilinearly, black outside the
    picture.

    Args:
        degrees: turns by up to this much either way.
        shear: shifts a row by up to this many pixels per pixel of height.
        scale: stretches each axis by a factor within exp(±scale).
        translate: shifts by up to this share of each side.

    Raises:
        UserError: for a negative strength.

    >>> still = jax.jit(affine(degrees=0, shear=0, scale=0, translate=0))
    >>> still(jax.random.key(0), jnp.arange(4.0).reshape(2, 2, 1)).ravel().tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    _within('affine', 0, jnp.inf, degrees=degrees, shear=shear, scale=scale, translate=translate)

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
    """The picture whose pixel at (row, column) is `input` at `matrix @ (row, column) + offset`,
    bilinear, 0 outside.

    Args:
        input: picture, (h, w, c).
        matrix: linear part of the map, (2, 2).
        offset: shift, (2,), pixels.

    >>> jax.jit(warp)(
    ...     jnp.arange(3.0).reshape(1, 3, 1), jnp.eye(2), jnp.array([0.0, 0.5])
    ... ).ravel().tolist()
    [0.5, 1.5, 1.0]
    """
    pixels = jnp.stack(
        jnp.meshgrid(
            *(jnp.arange(side, dtype=input.dtype) for side in input.shape[:2]), indexing='ij'
        )
    )
    place = jnp.einsum('ij,jhw->ihw', matrix, pixels, precision='highest') + offset[:, None, None]
    # By vmap over channels the places are worked out once: 6 times faster at three channels than a
    # channel at a time.
    return jax.vmap(
        lambda channel: map_coordinates(channel, list(place), order=1), in_axes=-1, out_axes=-1
    )(input)


def colour(brightness: float = 0.4, contrast: float = 0.4, saturation: float = 0.4) -> Augmentation:
    """Random brightness, contrast and saturation, each by a factor within 1 ± its strength
    (`adjust`).

    Args:
        brightness: strength, in [0, 1]; 0 leaves brightness alone.
        contrast: strength, in [0, 1]; 0 leaves contrast alone.
        saturation: strength, in [0, 1]; 0 leaves saturation alone.

    Raises:
        UserError: for a strength outside [0, 1].

    >>> jax.jit(colour(brightness=0, contrast=0, saturation=0))(
    ...     jax.random.key(0), jnp.full((1, 1, 3), 0.25)
    ... ).ravel().tolist()
    [0.25, 0.25, 0.25]
    """
    _within('colour', 0, 1, brightness=brightness, contrast=contrast, saturation=saturation)

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
    """Brightness, then contrast, then saturation, by factors; 1 changes nothing, 0 gives black, the
    mean grey, the grey picture.

    Each step moves pixels from or towards what its factor 0 gives and clips them to [0, 1]. Grey is
    the luma of ITU-R BT.601.

    Args:
        input: picture, (h, w, 3), or (h, w, 1), which saturation leaves as it is.
        brightness: factor on the distance to black.
        contrast: factor on the distance to the mean grey.
        saturation: factor on the distance to the grey picture.

    Raises:
        UserError: for another number of channels.

    >>> jax.jit(adjust)(jnp.array([[[0.25], [0.75]]]), contrast=0.5).ravel().tolist()
    [0.375, 0.625]
    """
    if input.shape[-1] not in (1, 3):
        raise UserError(
            f'colour: the input has {input.shape[-1]} channels; it knows pictures of 1 (grey) or 3 '
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
    """A random window of the picture, enlarged to the picture's size (Szegedy et al. 2015, section
    6, https://arxiv.org/abs/1409.4842).

    Args:
        scale: the window's least and largest share of the picture's area.
        ratio: the window's least and largest width over height, drawn on a logarithmic scale. A
            side that would be longer than the picture's is cut to it.

    Raises:
        UserError: where a range is reversed, a share is outside (0, 1], or a ratio is not positive.

    >>> jax.jit(resized_crop())(jax.random.key(0), jnp.ones((8, 8, 3))).shape
    (8, 8, 3)
    """
    for name, (low, high), most in (('scale', scale, 1), ('ratio', ratio, jnp.inf)):
        if not 0 < low <= high <= most:
            raise UserError(
                f'resized_crop.{name}=({low}, {high}): give low and high, 0 < low <= '
                'high' + ' <= 1' * (most == 1)
            )

    def function(key, input):
        area, shape, top, left = jax.random.uniform(key, (4,))
        side = jnp.array(input.shape[:2], input.dtype)
        area = (scale[0] + area * (scale[1] - scale[0])) * side.prod()
        shape = ratio[0] * (ratio[1] / ratio[0]) ** shape
        size = jnp.minimum(jnp.sqrt(jnp.stack([area / shape, area * shape])), side)
        return window(input, jnp.stack([top, left]) * (side - size), size)

    return function


def window(input: jax.Array, corner: jax.Array, size: jax.Array) -> jax.Array:
    """The window of `input` at `corner` of `size`, enlarged bilinearly to the picture's own shape.

    Args:
        input: picture, (h, w, c).
        corner: top and left of the window, (2,), pixels, fractions allowed; inside the picture.
        size: height and width of the window, (2,), pixels, fractions allowed; inside the picture.

    >>> jax.jit(window)(
    ...     jnp.arange(4.0).reshape(1, 4, 1), jnp.array([0.0, 1.0]), jnp.array([1.0, 2.0])
    ... ).ravel().tolist()
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
    return (
        input
        if input.shape[-1] == 1
        else (input * jnp.array(GREY, input.dtype)).sum(-1, keepdims=True)
    )


def _within(name, low, high, **strengths):
    for strength, value in strengths.items():
        if not low <= value <= high:
            raise UserError(
                f'{name}.{strength}={value}: '
                + ('give 0 or more' if high == jnp.inf else f'give {low} to {high}')
            )
