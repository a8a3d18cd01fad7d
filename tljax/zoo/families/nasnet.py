"""NASNet-A: Zoph et al. 2018, figure 4 and appendix A (https://arxiv.org/abs/1707.07012), with the
layer names of its Keras weights.

A cell has two inputs: x, the output of the cell before it, and p, the output of the cell before
that. Reduction cells halve the size of the map.
"""

import functools

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from tljax.core import Net
from tljax.nn.layers import BatchNorm, Conv, SeparableConv, max_pool, mean_pool, net, refuse_smaller
from tljax.nn.preprocessing import preprocess
from tljax.nn.taps import tap
from tljax.protocols import StoredStatistics

SMALLEST = 32  # side of the smallest pictures whose map every reduction cell can halve, pixels
_mean = functools.partial(mean_pool, size=(3, 3), strides=(1, 1), padding='SAME')


def _cells(width, repeats):
    """Returns the cells, from the input to the output.

    Each is (Keras's name, channels of each branch, whether the cell is a reduction).
    """
    cells = [('stem_1', width // 4, True), ('stem_2', width // 2, True)]
    for stage in range(3):
        first, channels = stage * repeats, width * 2**stage
        if stage:
            cells.append((f'reduce_{first}', channels, True))
            first += 1
        cells += [(str(first + i), channels, False) for i in range(repeats)]
    return cells


def _adjust(p, x, channels, cell, conv, norm):
    """Gives p the size of x's map and `channels` channels.

    Where p is larger, half of the channels come from its even positions, half from its odd ones.
    """
    if p is None:
        return x
    if p.shape[1:3] != x.shape[1:3]:
        odd = jnp.pad(p, ((0, 0), (0, 1), (0, 1), (0, 0)))[:, 1:, 1:]
        halves = [
            conv(p[:, ::2, ::2], channels // 2, f'adjust_conv_1_{cell}'),
            conv(odd[:, ::2, ::2], channels // 2, f'adjust_conv_2_{cell}'),
        ]
        return norm(jnp.concatenate(halves, -1), f'adjust_bn_{cell}')
    if p.shape[-1] != channels:
        return norm(conv(p, channels, f'adjust_conv_projection_{cell}'), f'adjust_bn_{cell}')
    return p


def _normal(x, p, branch):
    first = branch(x, 5, 'left1') + branch(p, 3, 'right1')
    second = branch(p, 5, 'left2') + branch(p, 3, 'right2')
    return jnp.concatenate(
        [p, first, second, _mean(x) + p, 2 * _mean(p), branch(x, 3, 'left5') + x], -1
    )


def _reduction(x, p, branch):
    pads = lax.padtype_to_pads(x.shape[1:3], (3, 3), (2, 2), 'SAME')
    # the zeros of this padding count: they enter the mean, and they exceed negative values
    padded = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    maxima, means = max_pool(padded, (3, 3), (2, 2)), mean_pool(padded, (3, 3), (2, 2))
    first = branch(x, 5, 'left1', 2) + branch(p, 7, 'right1', 2)
    second = maxima + branch(p, 7, 'right2', 2)
    third = means + branch(p, 5, 'right3', 2)
    return jnp.concatenate(
        [second, third, second + _mean(first), branch(first, 3, 'left4') + maxima], -1
    )


class _NASNet(nn.Module):
    stem: int
    width: int
    repeats: int
    skip: bool
    stored: StoredStatistics | None
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        refuse_smaller(x, SMALLEST, 'a NASNet')

        def norm(x, name):
            return BatchNorm(
                momentum=0.9997, epsilon=1e-3, stored=self.stored, dtype=self.dtype, name=name
            )(x, train)

        def conv(x, channels, name):
            return Conv(channels, (1, 1), dtype=self.dtype, name=name)(nn.relu(x))

        x = preprocess(x, 'tf')
        x = Conv(self.stem, (3, 3), (2, 2), 'VALID', dtype=self.dtype, name='stem_conv1')(x)
        x = norm(x, 'stem_bn1')
        taps, p = {'stem': x}, None
        for cell, channels, is_reduction in _cells(self.width, self.repeats):
            kind = 'reduction' if is_reduction else 'normal'

            def branch(y, size, place, stride=1):
                name = f'{kind}_{place}_{cell}'
                for i, strides in ((1, (stride, stride)), (2, (1, 1))):
                    layer = f'separable_conv_{i}_{name}'
                    y = SeparableConv(
                        channels, (size, size), strides, dtype=self.dtype, name=layer
                    )(nn.relu(y))
                    y = norm(y, f'separable_conv_{i}_bn_{name}')
                return y

            h = norm(conv(x, channels, f'{kind}_conv_1_{cell}'), f'{kind}_bn_1_{cell}')
            p_adjusted = _adjust(p, x, channels, cell, conv, norm)
            y = (_reduction if is_reduction else _normal)(h, p_adjusted, branch)
            p = p if self.skip and cell.startswith('reduce') else x
            x = y
            x = taps[_group(cell)] = tap(_group(cell), x)
        return {
            **taps,
            'features': nn.relu(x).mean((1, 2)).astype(jnp.promote_types(self.dtype, jnp.float32)),
        }


def _group(cell):
    return f'cell_{cell}' if cell.isdigit() else cell


def _nasnet(name, stem, width, repeats, skip, stored, dtype):
    groups = {'stem': 'stem_(conv1|bn1)/.*'}
    # a reduction's name may end with the number of a normal cell: reduce_8 and 8
    for cell, _, is_reduction in _cells(width, repeats):
        prefix = '' if is_reduction else '(?!.*(stem|reduce))'
        groups[_group(cell)] = f'{prefix}.*_{cell}/.*'
    return net(
        _NASNet(stem, width, repeats, skip, stored, dtype), 24 * width, groups, {'name': name}
    )


def nasnet_mobile(stored: StoredStatistics | None = None, dtype: DTypeLike = jnp.float32) -> Net:
    """NASNet-A (4 @ 1056) up to global average pooling: 1056 features.

    Inputs are pictures in [0, 1], (n, h, w, 3), of 32x32 pixels or more.

    Args:
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    >>> nasnet_mobile().dim
    1056
    """
    return _nasnet('nasnet_mobile', 32, 44, 4, False, stored, dtype)


def nasnet_large(stored: StoredStatistics | None = None, dtype: DTypeLike = jnp.float32) -> Net:
    """NASNet-A (6 @ 4032) up to global average pooling: 4032 features.

    Inputs are pictures in [0, 1], (n, h, w, 3), of 32x32 pixels or more.

    Args:
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    >>> nasnet_large().dim
    4032
    """
    return _nasnet('nasnet_large', 96, 168, 6, True, stored, dtype)
