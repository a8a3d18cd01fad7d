"""Xception: Chollet 2017, figure 5 (https://arxiv.org/abs/1610.02357), with the layer names of its
Keras weights.

All convolutions are separable, except the first two and those of the shortcuts.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net
from tljax.nn.layers import BatchNorm, Conv, SeparableConv, max_pool, net, refuse_smaller
from tljax.nn.preprocessing import preprocess
from tljax.nn.taps import tap
from tljax.protocols import StoredStatistics

# side of the smallest pictures that have a position left after the two unpadded convolutions,
# pixels; Keras asks for 71
SMALLEST = 7
# block -> channels of its separable convolutions
BLOCKS = {
    2: (128, 128),
    3: (256, 256),
    4: (728, 728),
    **{i: (728, 728, 728) for i in range(5, 13)},
    13: (728, 1024),
    14: (1536, 2048),
}
# block that halves the map -> Keras's number of the convolution in its shortcut
SHORTCUTS = {2: 1, 3: 2, 4: 3, 13: 4}


class _Xception(nn.Module):
    stored: StoredStatistics | None
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        refuse_smaller(x, SMALLEST, 'xception')

        def norm(x, name):
            return BatchNorm(
                momentum=0.99, epsilon=1e-3, stored=self.stored, dtype=self.dtype, name=name
            )(x, train)

        def conv(x, channels, kernel, stride, padding, name, bn):
            return norm(
                Conv(
                    channels,
                    kernel,
                    (stride, stride),
                    padding,
                    dtype=self.dtype,
                    name=name,
                )(x),
                bn,
            )

        def separable(x, channels, name):
            return norm(
                SeparableConv(channels, dtype=self.dtype, name=name)(x),
                f'{name}_bn',
            )

        x = preprocess(x, 'tf')
        x = nn.relu(conv(x, 32, (3, 3), 2, 'VALID', 'block1_conv1', 'block1_conv1_bn'))
        x = nn.relu(conv(x, 64, (3, 3), 1, 'VALID', 'block1_conv2', 'block1_conv2_bn'))
        taps = {'block1': x}
        for block, widths in BLOCKS.items():
            y = x
            for i, channels in enumerate(widths, 1):
                name = f'block{block}_sepconv{i}'
                if block == 14:  # the last block has its ReLUs after its convolutions
                    y = nn.relu(separable(y, channels, name))
                else:
                    y = separable(nn.relu(y), channels, name)
            if block in SHORTCUTS:
                number = SHORTCUTS[block]
                name, bn = f'conv2d_{number}', f'batch_normalization_{number}'
                x = conv(x, widths[-1], (1, 1), 2, 'SAME', name, bn)
                y = max_pool(y, (3, 3), (2, 2), 'SAME')
            x = y if block == 14 else x + y
            x = taps[f'block{block}'] = tap(f'block{block}', x)
        return {
            **taps,
            'features': x.mean((1, 2)).astype(jnp.promote_types(self.dtype, jnp.float32)),
        }


def xception(stored: StoredStatistics | None = None, dtype: DTypeLike = jnp.float32) -> Net:
    """Xception up to global average pooling: 2048 features.

    Inputs are pictures in [0, 1], (n, h, w, 3), of 7x7 pixels or more.

    Args:
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    >>> xception().dim
    2048
    """
    groups = {f'block{block}': f'block{block}_.*' for block in (1, *BLOCKS)}
    for block, number in SHORTCUTS.items():
        groups[f'block{block}'] += f'|(conv2d|batch_normalization)_{number}/.*'
    return net(_Xception(stored, dtype), 2048, groups, {'name': 'xception', 'older': PUBLISHED})


def _published_names():
    convs = ['block1_conv1', 'block1_conv2']
    norms = ['block1_conv1_bn', 'block1_conv2_bn']
    separable = []
    for block, widths in BLOCKS.items():
        if block in SHORTCUTS:
            convs.append(f'conv2d_{SHORTCUTS[block]}')
            norms.append(f'batch_normalization_{SHORTCUTS[block]}')
        names = [f'block{block}_sepconv{i}' for i in range(1, len(widths) + 1)]
        separable += names
        norms += [f'{name}_bn' for name in names]
    kinds = {
        'convolution2d': convs,
        'batchnormalization': norms,
        'separableconvolution2d': separable,
    }
    return {f'{kind}_{i}': name for kind, names in kinds.items() for i, name in enumerate(names, 1)}


# {name in the published files: name here}; Keras 1 saved those files, before the layers had names
PUBLISHED = _published_names()
