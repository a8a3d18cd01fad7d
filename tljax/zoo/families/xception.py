"""Xception: Chollet 2017, figure 5 (https://arxiv.org/abs/1610.02357), with the layer names of its
Keras weights.

Its convolutions are separable ones, but for the first two and those of the shortcuts.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net
from tljax.nn.layers import BatchNorm, Conv, SeparableConv, max_pool, net, refuse_smaller
from tljax.nn.preprocessing import preprocess
from tljax.protocols import StoredStatistics

# side of the pictures that the two unpadded convolutions leave one position of, pixels; Keras asks
# for 71
SMALLEST = 7
BLOCKS = {
    2: (128, 128),
    3: (256, 256),
    4: (728, 728),
    **{i: (728, 728, 728) for i in range(5, 13)},
    13: (728, 1024),
    14: (1536, 2048),
}
# the blocks that halve the map: Keras's number of the convolution in their shortcut
SHORTCUTS = {2: 1, 3: 2, 4: 3, 13: 4}


class _Xception(nn.Module):
    form: str
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
                    form=self.form,
                    dtype=self.dtype,
                    name=name,
                )(x),
                bn,
            )

        def separable(x, channels, name):
            return norm(
                SeparableConv(channels, form=self.form, dtype=self.dtype, name=name)(x),
                f'{name}_bn',
            )

        x = nn.relu(
            conv(preprocess(x, 'tf'), 32, (3, 3), 2, 'VALID', 'block1_conv1', 'block1_conv1_bn')
        )
        taps = {
            'block1': (
                x := nn.relu(conv(x, 64, (3, 3), 1, 'VALID', 'block1_conv2', 'block1_conv2_bn'))
            )
        }
        for block, widths in BLOCKS.items():
            y = x
            # the last block has its ReLUs behind its convolutions
            for i, channels in enumerate(widths, 1):
                y = separable(
                    y if block == 14 else nn.relu(y), channels, f'block{block}_sepconv{i}'
                )
                y = nn.relu(y) if block == 14 else y
            if block in SHORTCUTS:
                number = SHORTCUTS[block]
                x = conv(
                    x,
                    widths[-1],
                    (1, 1),
                    2,
                    'SAME',
                    f'conv2d_{number}',
                    f'batch_normalization_{number}',
                )
                y = max_pool(y, (3, 3), (2, 2), 'SAME')
            taps[f'block{block}'] = x = y if block == 14 else x + y
        return {
            **taps,
            'features': x.mean((1, 2)).astype(jnp.promote_types(self.dtype, jnp.float32)),
        }


def xception(
    form: str = 'plain', stored: StoredStatistics | None = None, dtype: DTypeLike = jnp.float32
) -> Net:
    """The network up to the mean over positions: 2048 features of pictures in [0, 1], (n, h, w, 3)
    of 7 by 7 pixels or more.

    Args:
        form: how convolutions are computed, one of `nn.convolution.PLACES` or FORMS.
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    >>> xception().dim
    2048
    """
    groups = {f'block{block}': f'block{block}_.*' for block in (1, *BLOCKS)}
    for block, number in SHORTCUTS.items():
        groups[f'block{block}'] += f'|(conv2d|batch_normalization)_{number}/.*'
    return net(
        _Xception(form, stored, dtype), 2048, groups, {'name': 'xception', 'older': PUBLISHED}
    )


def _published():
    convs, norms, separable = (
        ['block1_conv1', 'block1_conv2'],
        ['block1_conv1_bn', 'block1_conv2_bn'],
        [],
    )
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


# the published files were saved by Keras 1, before the layers had names: {theirs: ours}
PUBLISHED = _published()
