"""What the published ImageNet weights expect of a picture; the networks of the zoo do it
themselves, to pictures in [0, 1]."""

import jax
import jax.numpy as jnp

from tljax.core import UserError

# of ImageNet's red, green and blue, as its first PyTorch models took them
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# of its blue, green and red in 0 to 255, as VGG's authors took them
CAFFE = (103.939, 116.779, 123.68)


def preprocess(input: jax.Array, mode: str) -> jax.Array:
    """Pictures (..., 3), RGB in [0, 1], as weights of this mode want them.

    Args:
        input: pictures (..., 3), RGB in [0, 1].
        mode: 'tf' scales to [-1, 1]; 'torch' takes ImageNet's mean off and divides by its
            deviation; 'caffe' turns RGB in [0, 255] into BGR less ImageNet's mean.

    >>> (
    ...     preprocess(jnp.array([0.0, 0.5, 1.0]), 'tf').tolist(),
    ...     preprocess(jnp.array([0.0, 0.0, 1.0]), 'caffe').round().tolist(),
    ... )
    ([-1.0, 0.0, 1.0], [151.0, -117.0, -124.0])
    """
    if mode == 'tf':
        return 2 * input - 1
    if mode == 'torch':
        return (input - jnp.array(MEAN)) / jnp.array(DEVIATION)
    if mode == 'caffe':
        return 255 * input[..., ::-1] - jnp.array(CAFFE)
    raise UserError(f'mode={mode!r} is not tf, torch or caffe')
