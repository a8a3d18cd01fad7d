"""MobileNetV2: Sandler et al. 2018, table 2 (https://arxiv.org/abs/1801.04381), with the layer
names of its Keras weights.

An inverted residual block multiplies its input's channels by six with a 1x1 convolution, filters
each channel separately, and projects to fewer channels. No ReLU follows the projection.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net, UserError
from tljax.nn.inverted import divisible
from tljax.nn.layers import BatchNorm, Conv, net, relu6
from tljax.nn.preprocessing import preprocess
from tljax.nn.taps import tap
from tljax.protocols import StoredStatistics

# (channels, number of blocks, stride of the first block) of each stage
STAGES = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
BLOCKS = [(width, stride if i == 0 else 1) for width, count, stride in STAGES for i in range(count)]
EXPANSION = 6  # factor on the channels, in every block but the first


class _MobileNetV2(nn.Module):
    alpha: float
    momentum: float
    stored: StoredStatistics | None
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        def conv(x, width, name, size=1, stride=1, groups=1, norm=None):
            x = Conv(
                width,
                (size, size),
                (stride, stride),
                groups=groups,
                dtype=self.dtype,
                name=name,
            )(x)
            return BatchNorm(
                momentum=self.momentum,
                epsilon=1e-3,
                stored=self.stored,
                dtype=self.dtype,
                name=norm or f'{name}_BN',
            )(x, train)

        def clip(x):
            return relu6(x)

        x = preprocess(x, 'tf')
        x = clip(conv(x, divisible(32 * self.alpha), 'Conv1', 3, 2, norm='bn_Conv1'))
        taps = {'conv1': x}
        for i, (width, stride) in enumerate(BLOCKS):
            name = f'block_{i}' if i else 'expanded_conv'
            y = clip(conv(x, EXPANSION * x.shape[-1], f'{name}_expand')) if i else x
            if stride == 2:
                taps[f'block{i}_expand'] = y  # the finer maps, of six times the channels
            y = clip(conv(y, y.shape[-1], f'{name}_depthwise', 3, stride, groups=y.shape[-1]))
            y = conv(y, divisible(int(width * self.alpha)), f'{name}_project')
            x = x + y if stride == 1 and x.shape == y.shape else y
            x = taps[f'block{i}'] = tap(f'block{i}', x)
        x = clip(conv(x, _feature_count(self.alpha), 'Conv_1', norm='Conv_1_bn'))
        x = taps['conv2'] = tap('conv2', x)
        return {
            **taps,
            'features': x.mean((1, 2)).astype(jnp.promote_types(self.dtype, jnp.float32)),
        }


def _feature_count(alpha):
    return divisible(1280 * max(alpha, 1))


def mobilenet_v2(
    alpha: float = 1.0,
    momentum: float = 0.999,
    stored: StoredStatistics | None = None,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """MobileNetV2 up to global average pooling: 1280 features, or 1280 * alpha for alpha > 1.

    Inputs are pictures in [0, 1], (n, h, w, 3), of any size. The intermediates hold, beside those
    of the groups, the maps that a strided block filters: 'block13_expand' has stride 16.

    Args:
        alpha: width multiplier; ImageNet weights are published for 0.35, 0.5, 0.75, 1, 1.3 and 1.4.
        momentum: of BatchNorm's statistics, as `mobilenet` has it.
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    Raises:
        UserError: for an alpha that is not positive.

    >>> mobilenet_v2(alpha=0.35).dim, mobilenet_v2(alpha=1.4).dim
    (1280, 1792)
    """
    if not alpha > 0:
        raise UserError(
            f'net.alpha={alpha} is no width: take more than 0 (weights are published for 0.35, '
            '0.5, 0.75, 1, 1.3 and 1.4)'
        )
    groups = {
        'conv1': '(bn_)?Conv1/.*',
        'block0': 'expanded_conv_.*',
        **{f'block{i}': f'block_{i}_.*' for i in range(1, len(BLOCKS))},
        'conv2': 'Conv_1(_bn)?/.*',
    }
    return net(
        _MobileNetV2(alpha, momentum, stored, dtype),
        _feature_count(alpha),
        groups,
        {'name': 'mobilenet_v2', 'alpha': alpha},
    )
