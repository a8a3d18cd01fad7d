"""Preprocessing for published ImageNet weights.

The networks of the zoo apply it themselves: their inputs are pictures in [0, 1].
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from tljax.core import UserError, nearest_name

Channels = tuple[float, float, float]


class Mode(NamedTuple):
    """A linear function of the pixels.

    Attributes:
        mean: subtracted from red, green and blue in [0, 1].
        deviation: that the differences are divided by.
        reversed: whether the result is blue, green, red.
    """

    mean: Channels
    deviation: Channels
    reversed: bool = False


MODES = {
    'tf': Mode((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    # statistics of ImageNet's colours, as the first PyTorch models used them
    'torch': Mode((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    # means of ImageNet's colours in 0 to 255, as VGG's authors used them
    'caffe': Mode((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255, 1 / 255, 1 / 255), True),
    # the same means with the colours in their order, as TF-slim has VGG's and ResNet's
    'vgg': Mode((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255, 1 / 255, 1 / 255)),
    # statistics of the pictures that CLIP was trained on
    'clip': Mode((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    'none': Mode((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}


def preprocess(input: jax.Array, mode: str) -> jax.Array:
    """Preprocesses pictures as the published weights of a mode expect them.

    Args:
        input: pictures (..., 3), RGB in [0, 1].
        mode: 'tf' scales to [-1, 1]; 'torch' subtracts ImageNet's mean and divides by its standard
            deviation; 'caffe' scales to [0, 255], reverses RGB to BGR and subtracts ImageNet's
            mean; 'vgg' is 'caffe' without the reversal; 'clip' has the statistics of CLIP's
            pictures; 'none' changes nothing.

    Raises:
        UserError: an unknown mode.

    >>> preprocess(jnp.array([0.0, 0.5, 1.0]), 'tf').tolist()
    [-1.0, 0.0, 1.0]
    >>> preprocess(jnp.array([0.0, 0.0, 1.0]), 'caffe').round().tolist()
    [151.0, -117.0, -124.0]
    """
    if mode not in MODES:
        raise UserError(f'net.mode={mode!r} is unknown: {nearest_name(mode, MODES)}')
    mean, deviation, is_reversed = MODES[mode]
    if len({*mean}) == len({*deviation}) == 1:  # pictures of any number of channels
        return (input - mean[0]) / deviation[0]
    scaled = (input - jnp.array(mean)) / jnp.array(deviation)
    return scaled[..., ::-1] if is_reversed else scaled
