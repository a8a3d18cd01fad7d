"""MobileNet: Howard et al. 2017, table 1 (https://arxiv.org/abs/1704.04861), with the layer names
of its Keras weights.

After the first convolution, every block is a depthwise convolution, which filters each channel
separately, and a 1x1 convolution, which mixes the channels.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net, UserError, nearest_name
from tljax.nn.layers import BatchNorm, Conv, net, relu6
from tljax.nn.preprocessing import preprocess
from tljax.nn.taps import tap
from tljax.protocols import StoredStatistics

# (channels, stride) of each block
BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)


PADDINGS = ('keras', 'same')


class _MobileNet(nn.Module):
    alpha: float
    min_depth: int
    padding: str
    dropout: float
    momentum: float
    stored: StoredStatistics | None
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        def conv(x, width, kernel, stride, name, groups=1):
            # Keras pads strided depthwise convolutions only below and right. TensorFlow's SAME, as
            # that of the first convolution, pads all sides where the size is odd.
            below = self.padding == 'keras' and groups > 1 and stride == 2
            padding = ((0, 1), (0, 1)) if below else 'SAME'
            x = Conv(
                width,
                kernel,
                (stride, stride),
                padding,
                groups,
                dtype=self.dtype,
                name=name,
            )(x)
            x = BatchNorm(
                momentum=self.momentum,
                epsilon=1e-3,
                stored=self.stored,
                dtype=self.dtype,
                name=f'{name}_bn',
            )(x, train)
            return relu6(x)

        x = preprocess(x, 'tf')
        x = conv(x, _channels(32, self.alpha, self.min_depth), (3, 3), 2, 'conv1')
        taps = {'conv1': x}
        for i, (width, stride) in enumerate(BLOCKS, 1):
            x = conv(x, x.shape[-1], (3, 3), stride, f'conv_dw_{i}', groups=x.shape[-1])
            width = _channels(width, self.alpha, self.min_depth)
            x = conv(x, width, (1, 1), 1, f'conv_pw_{i}')
            x = taps[f'block{i}'] = tap(f'block{i}', x)
        features = nn.Dropout(self.dropout)(
            x.mean((1, 2)).astype(jnp.float32), deterministic=not train
        )
        return {**taps, 'features': features}


def _channels(width, alpha, min_depth):
    return max(int(width * alpha), min_depth)


def mobilenet(
    alpha: float = 1.0,
    dropout: float = 1e-3,
    momentum: float = 0.99,
    padding: str = 'keras',
    min_depth: int = 0,
    stored: StoredStatistics | None = None,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """MobileNet up to global average pooling: 1024 * alpha features.

    Inputs are pictures in [0, 1], (n, h, w, 3), of any size.

    Args:
        alpha: width multiplier; ImageNet weights are published for 0.25, 0.5, 0.75 and 1.
        dropout: dropout rate of the features in training.
        momentum: momentum of BatchNorm's statistics. 0.9 follows the data in about 50 steps, 0.99
            in about 500; short runs from scratch need 0.9. TF-slim's is 0.9997.
        padding: of the strided depthwise convolutions: 'keras', one row below and one column to the
            right, or 'same', TensorFlow's SAME, as detectors have it. Both agree where all sides of
            the maps are even: 300 pixels give maps of 19 and 10 with 'same', of 18 and 9 with
            'keras'.
        min_depth: least number of channels of a layer; 16 in the TensorFlow Object Detection API.
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    Raises:
        UserError: for an alpha that leaves the first layer without channels, and for an unknown
            padding.

    >>> mobilenet(alpha=0.25).dim
    256
    """
    if padding not in PADDINGS:
        raise UserError(f'net.padding={padding!r} is unknown: {nearest_name(padding, PADDINGS)}')
    if _channels(32, alpha, min_depth) < 1:
        raise UserError(
            f'net.alpha={alpha} leaves no channels: take 1/32 or more (weights are published for '
            '0.25, 0.5, 0.75 and 1)'
        )
    groups = {
        'conv1': r'conv1(_bn)?/.*',
        **{f'block{i}': rf'conv_(dw|pw)_{i}(_bn)?/.*' for i in range(1, len(BLOCKS) + 1)},
    }
    return net(
        _MobileNet(alpha, min_depth, padding, dropout, momentum, stored, dtype),
        _channels(1024, alpha, min_depth),
        groups,
        {'name': 'mobilenet', 'alpha': alpha} if min_depth <= int(32 * alpha) else {},
    )
