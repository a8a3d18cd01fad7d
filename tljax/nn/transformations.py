"""Transformations: functions of one picture, float32 (h, w, c) in [0, 1], without random numbers.

`augment.one_of` draws among them, `tljax.data.transformed` applies them to a set, and
`tljax.studies.invariance` measures which of them a network ignores. A `Transformation` has a title,
which names it in tables and says all its strengths. Factories make it, so that a config names one
as `dict(name='rotate', degrees=90)`.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tljax.core import UserError
from tljax.nn.augment import adjust, warp

NAMES = (  # what a config may name
    'mirror',
    'upend',
    'rotate',
    'scale',
    'hue',
    'saturation',
    'brightness',
    'grey',
    'tint',
    'invert',
    'blur',
)
# luma, and the two chroma axes of NTSC's YIQ, of red, green and blue
YIQ = ((0.299, 0.587, 0.114), (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))


class Transformation(NamedTuple):
    """A change of one picture.

    Attributes:
        title: name and strengths; two transformations with one title are the same function.
        function: (picture) -> picture of the same shape.

    >>> mirror().title
    'mirror'
    """

    title: str
    function: Callable[[jax.Array], jax.Array]

    def __call__(self, input: jax.Array) -> jax.Array:
        """Returns the changed picture.

        Args:
            input: picture, (h, w, c).
        """
        return self.function(input)


def mirror() -> Transformation:
    """Exchanges left and right.

    >>> mirror()(jnp.arange(3.0).reshape(1, 3, 1)).ravel().tolist()
    [2.0, 1.0, 0.0]
    """
    return Transformation('mirror', lambda input: input[:, ::-1])


def upend() -> Transformation:
    """Exchanges top and bottom.

    >>> upend()(jnp.arange(3.0).reshape(3, 1, 1)).ravel().tolist()
    [2.0, 1.0, 0.0]
    """
    return Transformation('upend', lambda input: input[::-1])


def rotate(degrees: float) -> Transformation:
    """Turns a picture about its centre, counter-clockwise. It is black outside.

    Args:
        degrees: the angle.

    The right column becomes the top row:

    >>> rotate(degrees=90)(jnp.arange(4.0).reshape(2, 2, 1))[..., 0].round().tolist()
    [[1.0, 3.0], [0.0, 2.0]]
    """
    # exact for quarter turns, where the cosine would be 6e-17
    cosine, sine = (round(f(math.radians(degrees)), 12) for f in (math.cos, math.sin))
    return _linear(f'rotate {degrees:g}', ((cosine, sine), (-sine, cosine)))


def scale(factor: float) -> Transformation:
    """Enlarges or shrinks the content of a picture about its centre. It is black outside.

    Args:
        factor: side of the new content, as a multiple of the old one.

    Raises:
        UserError: a factor that is not positive.

    >>> scale(factor=0.5)(jnp.ones((4, 4, 1)))[1].ravel().tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    _refuse(factor > 0, f'scale.factor={factor}', 'above 0')
    return _linear(f'scale {factor:g}', ((1 / factor, 0.0), (0.0, 1 / factor)))


def hue(turn: float) -> Transformation:
    """Turns the colours about the axis of greys, in YIQ, and clips them to [0, 1].

    Greys stay as they are. Luma stays where nothing is clipped.

    Args:
        turn: the angle, as a share of the circle; red turns towards green.

    >>> (100 * hue(turn=1 / 3)(jnp.array([[[1.0, 0.0, 0.0]]]))[0, 0]).round().tolist()
    [0.0, 73.0, 0.0]
    """
    angle, axes = 2 * math.pi * turn, np.array(YIQ)
    turned = np.eye(3)
    turned[1:, 1:] = [
        [math.cos(angle), math.sin(angle)],
        [-math.sin(angle), math.cos(angle)],
    ]
    matrix = np.linalg.inv(axes) @ turned @ axes

    def function(input):
        if input.shape[-1] != 3:
            return input
        colours = jnp.einsum(
            'ij,hwj->hwi', jnp.array(matrix, input.dtype), input, precision='highest'
        )
        return jnp.clip(colours, 0, 1)

    return Transformation(f'hue {turn:.3g}', function)


def saturation(factor: float) -> Transformation:
    """Scales the distance of the colours to the grey picture (`augment.adjust`).

    Args:
        factor: 0 gives the grey picture, 1 the same one.

    >>> (100 * saturation(factor=0.5)(jnp.array([[[1.0, 0.0, 0.0]]]))[0, 0]).round().tolist()
    [65.0, 15.0, 15.0]
    """
    _refuse(factor >= 0, f'saturation.factor={factor}', '0 or more')
    return Transformation(f'saturation {factor:g}', lambda input: adjust(input, saturation=factor))


def brightness(factor: float) -> Transformation:
    """Scales the distance of the pixels to black (`augment.adjust`).

    Args:
        factor: 0 gives a black picture, 1 the same one.

    >>> brightness(factor=0.5)(jnp.array([[[1.0], [0.5]]])).ravel().tolist()
    [0.5, 0.25]
    """
    _refuse(factor >= 0, f'brightness.factor={factor}', '0 or more')
    return Transformation(f'brightness {factor:g}', lambda input: adjust(input, brightness=factor))


def grey() -> Transformation:
    """Replaces the colours by their luma.

    >>> (100 * grey()(jnp.array([[[1.0, 0.0, 0.0]]]))[0, 0]).round().tolist()
    [30.0, 30.0, 30.0]
    """
    return Transformation('grey', saturation(0.0).function)


def tint(red: float, green: float, blue: float) -> Transformation:
    """Multiplies the channels: a white stroke takes this colour, and black stays black.

    Args:
        red: factor of the first channel.
        green: factor of the second channel.
        blue: factor of the third channel.

    Raises:
        UserError: a factor outside of 0 to 1; on use, for a picture without three channels.

    >>> tint(red=1, green=0.5, blue=0)(jnp.ones((1, 1, 3))).ravel().tolist()
    [1.0, 0.5, 0.0]
    """
    colour = (red, green, blue)
    _refuse(0 <= min(colour) <= max(colour) <= 1, f'tint={colour}', 'from 0 to 1')

    def function(input):
        if input.shape[-1] != 3:
            raise UserError(
                f'tint: the input has {input.shape[-1]} channels; it takes pictures of red, green '
                'and blue (channels=3)'
            )
        return input * jnp.array(colour, input.dtype)

    return Transformation(f'tint {red:g} {green:g} {blue:g}', function)


def invert() -> Transformation:
    """Exchanges black and white, and each colour with its complement.

    >>> invert()(jnp.array([[[0.25]]])).ravel().tolist()
    [0.75]
    """
    return Transformation('invert', lambda input: 1 - input)


def blur(sigma: float) -> Transformation:
    """Blurs a picture by a Gaussian, cut off at three standard deviations. Borders are mirrored.

    Args:
        sigma: standard deviation, as a share of the picture's height.

    Raises:
        UserError: a sigma that is not above 0, or is larger than a third.

    >>> spot = jnp.zeros((5, 5, 1)).at[2, 2].set(1)
    >>> (100 * blur(sigma=0.1)(spot)[2].ravel()).round().tolist()
    [0.0, 8.0, 62.0, 8.0, 0.0]
    """
    _refuse(0 < sigma <= 1 / 3, f'blur.sigma={sigma}', 'above 0, at most 1/3')

    def function(input):
        pixels = sigma * input.shape[0]
        radius = max(1, math.ceil(3 * pixels))
        weights = [math.exp(-0.5 * (i / pixels) ** 2) for i in range(-radius, radius + 1)]
        for axis in (0, 1):
            padding = [(radius, radius) if i == axis else (0, 0) for i in range(3)]
            padded, side = jnp.pad(input, padding, mode='symmetric'), input.shape[axis]
            shifted = [
                weight / sum(weights) * jax.lax.slice_in_dim(padded, i, i + side, axis=axis)
                for i, weight in enumerate(weights)
            ]
            input = jnp.stack(shifted).sum(0)
        return input

    return Transformation(f'blur {sigma:.3g}', function)


def _linear(title: str, matrix: tuple[tuple[float, ...], ...]) -> Transformation:
    """Returns a linear map of the places about the centre: new place -> old place."""

    def function(input):
        centre = (jnp.array(input.shape[:2], input.dtype) - 1) / 2
        places = jnp.array(matrix, input.dtype)
        return warp(input, places, centre - jnp.matmul(places, centre, precision='highest'))

    return Transformation(title, function)


def _refuse(valid: bool, setting: str, remedy: str) -> None:
    if not valid:
        raise UserError(f'{setting}: give a number {remedy}')
