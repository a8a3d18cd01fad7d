"""Inception-v3: Szegedy et al. 2016, table 1, figures 5 to 7 (https://arxiv.org/abs/1512.00567),
with the layer names of its Keras weights.

A block is a tuple of branches. All branches of a block have the same input, and the outputs are
joined along the channels. A branch is a text of steps, separated by spaces:

- '64:5x5' is a 5x5 convolution to 64 channels, with BatchNorm and ReLU. '64' is a 1x1 convolution.
- '64:3x3/2' has stride 2. A convolution with a stride, even '/1', has no padding.
- '64:1x3|64:3x1' are two convolutions of the same input, joined along the channels.
- 'mean' and 'max' are poolings over 3x3 windows.

Keras numbers the convolutions of the whole network in the order in which they are written here.
"""

import functools
import itertools
import re
from collections.abc import Callable, Mapping, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net
from tljax.nn.layers import BatchNorm, Conv, max_pool, mean_pool, net, refuse_smaller
from tljax.nn.preprocessing import preprocess
from tljax.nn.taps import tap
from tljax.protocols import StoredStatistics

POOLS = {
    'mean': functools.partial(mean_pool, size=(3, 3), strides=(1, 1), padding='SAME'),
    'max': functools.partial(max_pool, size=(3, 3), strides=(2, 2)),
}
SMALLEST = 75  # side of the smallest pictures whose last map has a position, pixels
STEM = ('32:3x3/2 32:3x3/1 64:3x3 max 80 192:3x3/1 max',)


def _block_of_5x5(pool_channels):
    return '64', '48 64:5x5', '64 96:3x3 96:3x3', f'mean {pool_channels}'


def _block_of_7x7(c):
    return '192', f'{c} {c}:1x7 192:7x1', f'{c} {c}:7x1 {c}:1x7 {c}:7x1 192:1x7', 'mean 192'


WIDE = '320', '384 384:1x3|384:3x1', '448 384:3x3 384:1x3|384:3x1', 'mean 192'
BLOCKS = {
    'stem': STEM,
    'mixed0': _block_of_5x5(32),
    'mixed1': _block_of_5x5(64),
    'mixed2': _block_of_5x5(64),
    'mixed3': ('384:3x3/2', '64 96:3x3 96:3x3/2', 'max'),
    'mixed4': _block_of_7x7(128),
    'mixed5': _block_of_7x7(160),
    'mixed6': _block_of_7x7(160),
    'mixed7': _block_of_7x7(192),
    'mixed8': ('192 320:3x3/2', '192 192:1x7 192:7x1 192:3x3/2', 'max'),
    'mixed9': WIDE,
    'mixed10': WIDE,
}


Conv2D = Callable[[jax.Array, int, tuple[int, int], tuple[int, int], str], jax.Array]


def mixed(
    x: jax.Array,
    branches: Sequence[str],
    conv: Conv2D,
    pools: Mapping[str, Callable[[jax.Array], jax.Array]] = POOLS,
) -> jax.Array:
    """Applies the branches of a block to one input and joins the outputs along the channels.

    Args:
        x: maps, (n, h, w, c).
        branches: texts of steps, as the module's docstring describes them.
        conv: (x, channels, kernel, strides, padding) -> x, the function that makes a convolution.
            It is called in the order in which the convolutions are written.
        pools: {step: pooling}.

    Returns:
        Maps, (n, h, w, sum of the branches' channels).

    Raises:
        ValueError: for a step of another form.

    >>> def conv(x, channels, kernel, strides, padding):
    ...     print(channels, kernel, strides, padding)
    ...     return x
    >>> mixed(jnp.ones((1, 3, 3, 2)), ('8 16:1x3|16:3x1', 'mean 4'), conv).shape
    8 (1, 1) (1, 1) SAME
    16 (1, 3) (1, 1) SAME
    16 (3, 1) (1, 1) SAME
    4 (1, 1) (1, 1) SAME
    (1, 3, 3, 6)
    """

    def apply_layer(x, layer):
        if layer in pools:
            return pools[layer](x)
        match = re.fullmatch(r'(\d+)(?::(\d)x(\d))?(?:/(\d))?', layer)
        if match is None:
            raise ValueError(f'{layer!r} is no step of a branch')
        channels, height, width, stride = match.groups()
        kernel = (int(height or 1), int(width or 1))
        strides = (int(stride or 1), int(stride or 1))
        return conv(x, int(channels), kernel, strides, 'VALID' if stride else 'SAME')

    def apply_branch(x, branch):
        for step in branch.split():
            x = jnp.concatenate([apply_layer(x, layer) for layer in step.split('|')], -1)
        return x

    return jnp.concatenate([apply_branch(x, branch) for branch in branches], -1)


def layer_patterns(blocks: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Regular expressions for the names of the layers of each block.

    Keras numbers the layers of the whole network; the numbers follow the order of the blocks.

    Args:
        blocks: {block: its branches}, in the order of the network.

    Returns:
        {block: regex over parameter paths}.

    >>> layer_patterns({'stem': ('32:3x3 max',), 'mixed': ('8', '4 8:1x3|8:3x1', 'max')})['mixed']
    '(conv2d|batch_normalization)_(2|3|4|5)/.*'
    """
    number = itertools.count(1)
    patterns = {}
    for block, branches in blocks.items():
        layers = re.split(r'[ |]', ' '.join(branches))
        numbers = [str(next(number)) for layer in layers if layer not in POOLS]
        patterns[block] = f'(conv2d|batch_normalization)_({"|".join(numbers)})/.*'
    return patterns


class _InceptionV3(nn.Module):
    stored: StoredStatistics | None
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        refuse_smaller(x, SMALLEST, 'inception_v3')
        number = itertools.count(1)

        def conv(x, channels, kernel, strides, padding):
            i = next(number)
            x = Conv(
                channels,
                kernel,
                strides,
                padding,
                dtype=self.dtype,
                name=f'conv2d_{i}',
            )(x)
            return nn.relu(
                BatchNorm(
                    momentum=0.99,
                    epsilon=1e-3,
                    use_scale=False,
                    stored=self.stored,
                    dtype=self.dtype,
                    name=f'batch_normalization_{i}',
                )(x, train)
            )

        x, taps = preprocess(x, 'tf'), {}
        for block, branches in BLOCKS.items():
            x = mixed(x, branches, conv)
            x = taps[block] = tap(block, x)
        return {
            **taps,
            'features': x.mean((1, 2)).astype(jnp.promote_types(self.dtype, jnp.float32)),
        }


def inception_v3(stored: StoredStatistics | None = None, dtype: DTypeLike = jnp.float32) -> Net:
    """Inception-v3 up to global average pooling: 2048 features.

    Inputs are pictures in [0, 1], (n, h, w, 3), of 75x75 pixels or more.

    Args:
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    >>> inception_v3().dim
    2048
    """
    return net(_InceptionV3(stored, dtype), 2048, layer_patterns(BLOCKS), {'name': 'inception_v3'})
