"""Preprocessing for published ImageNet weights.

The networks of the zoo apply it themselves: their inputs are pictures in [0, 1].
"""

import jax
import jax.numpy as jnp

from tljax.core import UserError

# statistics of ImageNet's red, green and blue, as the first PyTorch models used them
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# means of ImageNet's blue, green and red in 0 to 255, as VGG's authors used them
CAFFE = (103.939, 116.779, 123.68)


def preprocess(input: jax.Array, mode: str) -> jax.Array:
    """Preprocesses pictures as the published weights of a mode expect them.

    Args:
        input: pictures (..., 3), RGB in [0, 1].
        mode: 'tf' scales to [-1, 1]; 'torch' subtracts ImageNet's mean and divides by its standard
            deviation; 'caffe' scales to [0, 255], reverses RGB to BGR and subtracts ImageNet's
            mean.

    Raises:
        UserError: an unknown mode.

    >>> preprocess(jnp.array([0.0, 0.5, 1.0]), 'tf').tolist()
    [-1.0, 0.0, 1.0]
    >>> preprocess(jnp.array([0.0, 0.0, 1.0]), 'caffe').round().tolist()
    [151.0, -117.0, -124.0]
    """
    if mode == 'tf':
        return 2 * input - 1
    if mode == 'torch':
        return (input - jnp.array(MEAN)) / jnp.array(DEVIATION)
    if mode == 'caffe':
        return 255 * input[..., ::-1] - jnp.array(CAFFE)
    raise UserError(f'mode={mode!r} is not tf, torch or caffe')
