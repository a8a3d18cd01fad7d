"""DenseNet: Huang et al. 2017, table 1 (https://arxiv.org/abs/1608.06993), with the layer names of
its Keras weights.

Every layer of a dense block appends 32 channels to its input. A transition between two blocks
halves the channels and the size of the map.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net
from tljax.nn.layers import BatchNorm, Conv, max_pool, mean_pool, net
from tljax.nn.preprocessing import preprocess
from tljax.nn.taps import tap
from tljax.protocols import StoredStatistics

GROWTH = 32  # channels that a layer appends; its 1x1 convolution has four times as many


class _DenseNet(nn.Module):
    layers: tuple
    stored: StoredStatistics | None
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        def conv(x, width, name, size=1, stride=1):
            padding = size // 2, size // 2
            return Conv(
                width,
                (size, size),
                (stride, stride),
                (padding, padding),
                dtype=self.dtype,
                name=f'{name}_conv',
            )(x)

        def norm(x, name):
            return nn.relu(
                BatchNorm(
                    momentum=0.99, epsilon=1.001e-5, stored=self.stored, dtype=self.dtype, name=name
                )(x, train)
            )

        x = conv(preprocess(x, 'torch'), 64, 'conv1', size=7, stride=2)
        x = norm(x, 'conv1_bn')
        taps = {'conv1': x}
        x = max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        for stage, count in enumerate(self.layers, 2):
            if stage > 2:
                name = f'pool{stage - 1}'
                x = mean_pool(conv(norm(x, f'{name}_bn'), x.shape[-1] // 2, name))
                x = taps[name] = tap(name, x)
            for i in range(1, count + 1):
                name = f'conv{stage}_block{i}'
                y = conv(norm(x, f'{name}_0_bn'), 4 * GROWTH, f'{name}_1')
                y = conv(norm(y, f'{name}_1_bn'), GROWTH, f'{name}_2', size=3)
                x = jnp.concatenate([x, y], -1)
            x = taps[f'conv{stage}'] = tap(f'conv{stage}', x)
        x = norm(x, 'bn')
        x = taps['bn'] = tap('bn', x)
        return {
            **taps,
            'features': x.mean((1, 2)).astype(jnp.promote_types(self.dtype, jnp.float32)),
        }


def _densenet(name, layers, dim, stored, dtype):
    names = ('conv1', 'conv2', 'pool2', 'conv3', 'pool3', 'conv4', 'pool4', 'conv5')
    return net(
        _DenseNet(layers, stored, dtype),
        dim,
        {**{group: f'{group}_.*' for group in names}, 'bn': 'bn/.*'},
        {'name': name},
    )


def densenet121(stored: StoredStatistics | None = None, dtype: DTypeLike = jnp.float32) -> Net:
    """DenseNet-121 up to global average pooling: 1024 features.

    The network has 58 layers in four dense blocks. Inputs are pictures in [0, 1], (n, h, w, 3), of
    32x32 pixels or more. The groups are the first convolution, each dense block (conv2 to conv5),
    each transition (pool2 to pool4) and the last BatchNorm.

    Args:
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    >>> list(densenet121().groups)
    ['conv1', 'conv2', 'pool2', 'conv3', 'pool3', 'conv4', 'pool4', 'conv5', 'bn']
    """
    return _densenet('densenet121', (6, 12, 24, 16), 1024, stored, dtype)


def densenet169(stored: StoredStatistics | None = None, dtype: DTypeLike = jnp.float32) -> Net:
    """DenseNet-169, with 82 layers in its dense blocks; otherwise as `densenet121`.

    Args:
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    >>> densenet169().dim
    1664
    """
    return _densenet('densenet169', (6, 12, 32, 32), 1664, stored, dtype)


def densenet201(stored: StoredStatistics | None = None, dtype: DTypeLike = jnp.float32) -> Net:
    """DenseNet-201, with 98 layers in its dense blocks; otherwise as `densenet121`.

    Args:
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    >>> densenet201().dim
    1920
    """
    return _densenet('densenet201', (6, 12, 48, 32), 1920, stored, dtype)
