"""Residual networks with the layer names of their Keras weights.

Version 1 is He et al. 2015, table 1 (https://arxiv.org/abs/1512.03385). Version 2 is He et al.
2016, figure 4e (https://arxiv.org/abs/1603.05027): its blocks begin with BatchNorm, and nothing
follows the sum.

The strides are those of the published weights. Version 1 strides in the first 1x1 convolution of a
stage's first block, version 2 in the 3x3 convolution of a stage's last block.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net
from tljax.nn.layers import BatchNorm, Conv, max_pool, net
from tljax.nn.preprocessing import preprocess
from tljax.nn.taps import tap
from tljax.protocols import StoredStatistics

# depth -> number of blocks in the stages conv2 to conv5
BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
# channels of each stage's 3x3 convolutions; the blocks' outputs have four times as many
WIDTHS = (64, 128, 256, 512)


class _ResNet(nn.Module):
    blocks: tuple
    v2: bool
    stored: StoredStatistics | None
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        def conv(x, width, name, size=1, stride=1, use_bias=True):
            padding = size // 2, size // 2
            return Conv(
                width,
                (size, size),
                (stride, stride),
                (padding, padding),
                use_bias=use_bias,
                dtype=self.dtype,
                name=f'{name}_conv',
            )(x)

        def norm(x, name):
            return BatchNorm(
                momentum=0.99,
                epsilon=1.001e-5,
                stored=self.stored,
                dtype=self.dtype,
                name=f'{name}_bn',
            )(x, train)

        x = conv(preprocess(x, 'tf' if self.v2 else 'caffe'), 64, 'conv1', size=7, stride=2)
        if not self.v2:
            x = nn.relu(norm(x, 'conv1'))
        taps = {'conv1': x}
        # The weights were trained with zeros as padding. In v2 a zero exceeds negative values.
        x = max_pool(jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), (3, 3), (2, 2))
        for stage, (count, width) in enumerate(zip(self.blocks, WIDTHS, strict=True), 2):
            for i in range(1, count + 1):
                name = f'conv{stage}_block{i}'
                if self.v2:
                    x = _block_v2(
                        conv,
                        norm,
                        x,
                        width,
                        name,
                        project=i == 1,
                        stride=2 if i == count and stage < 5 else 1,
                    )
                else:
                    x = _block(
                        conv,
                        norm,
                        x,
                        width,
                        name,
                        project=i == 1,
                        stride=2 if i == 1 and stage > 2 else 1,
                    )
                x = taps[name] = tap(name, x)
        if self.v2:
            x = nn.relu(norm(x, 'post'))
            x = taps['post'] = tap('post', x)
        return {
            **taps,
            'features': x.mean((1, 2)).astype(jnp.promote_types(self.dtype, jnp.float32)),
        }


def _block(conv, norm, x, width, name, project, stride):
    y = nn.relu(norm(conv(x, width, f'{name}_1', stride=stride), f'{name}_1'))
    y = nn.relu(norm(conv(y, width, f'{name}_2', size=3), f'{name}_2'))
    y = norm(conv(y, 4 * width, f'{name}_3'), f'{name}_3')
    shortcut = norm(conv(x, 4 * width, f'{name}_0', stride=stride), f'{name}_0') if project else x
    return nn.relu(shortcut + y)


def _block_v2(conv, norm, x, width, name, project, stride):
    y = nn.relu(norm(x, f'{name}_preact'))
    shortcut = conv(y, 4 * width, f'{name}_0') if project else x[:, ::stride, ::stride]
    y = nn.relu(norm(conv(y, width, f'{name}_1', use_bias=False), f'{name}_1'))
    y = nn.relu(
        norm(conv(y, width, f'{name}_2', size=3, stride=stride, use_bias=False), f'{name}_2')
    )
    return shortcut + conv(y, 4 * width, f'{name}_3')


def _resnet(depth, v2, stored, dtype):
    names = ['conv1']
    for stage, count in enumerate(BLOCKS[depth], 2):
        names += [f'conv{stage}_block{i}' for i in range(1, count + 1)]
    if v2:
        names.append('post')
    groups = {name: f'{name}_.*' for name in names}
    return net(
        _ResNet(BLOCKS[depth], v2, stored, dtype),
        4 * WIDTHS[-1],
        groups,
        {'name': f'resnet{depth}v2' if v2 else f'resnet{depth}'},
    )


def resnet50(stored: StoredStatistics | None = None, dtype: DTypeLike = jnp.float32) -> Net:
    """ResNet-50 up to global average pooling: 2048 features.

    The network has a convolution and 16 residual blocks of three convolutions. Inputs are pictures
    in [0, 1], (n, h, w, 3), of any size.

    Args:
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    >>> list(resnet50().groups)[:3], resnet50().dim
    (['conv1', 'conv2_block1', 'conv2_block2'], 2048)
    """
    return _resnet(50, False, stored, dtype)


def resnet101(stored: StoredStatistics | None = None, dtype: DTypeLike = jnp.float32) -> Net:
    """ResNet-101, with 33 blocks; otherwise as `resnet50`.

    Args:
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    >>> len(resnet101().groups)  # the first convolution and 33 blocks
    34
    """
    return _resnet(101, False, stored, dtype)


def resnet152(stored: StoredStatistics | None = None, dtype: DTypeLike = jnp.float32) -> Net:
    """ResNet-152, with 50 blocks; otherwise as `resnet50`.

    Args:
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    >>> len(resnet152().groups)  # the first convolution and 50 blocks
    51
    """
    return _resnet(152, False, stored, dtype)


def resnet50v2(stored: StoredStatistics | None = None, dtype: DTypeLike = jnp.float32) -> Net:
    """ResNet-50 version 2, whose group 'post' is a BatchNorm after the last block; otherwise as
    `resnet50`.

    Args:
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    >>> list(resnet50v2().groups)[-2:]
    ['conv5_block3', 'post']
    """
    return _resnet(50, True, stored, dtype)


def resnet101v2(stored: StoredStatistics | None = None, dtype: DTypeLike = jnp.float32) -> Net:
    """ResNet-101 version 2, with 33 blocks; otherwise as `resnet50v2`.

    Args:
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    >>> len(resnet101v2().groups)  # the first convolution, 33 blocks and 'post'
    35
    """
    return _resnet(101, True, stored, dtype)


def resnet152v2(stored: StoredStatistics | None = None, dtype: DTypeLike = jnp.float32) -> Net:
    """ResNet-152 version 2, with 50 blocks; otherwise as `resnet50v2`.

    Args:
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    >>> len(resnet152v2().groups)  # the first convolution, 50 blocks and 'post'
    52
    """
    return _resnet(152, True, stored, dtype)
