"""NASNet-A: Zoph et al. 2018, figure 4 and appendix A (https://arxiv.org/abs/1707.07012), with the
layer names of its Keras weights.

A cell sees x, which the cell before it gave, and p, which the one before that gave. Reduction cells
halve the map.
"""

import functools

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from tljax.core import Net
from tljax.nn.layers import BatchNorm, Conv, SeparableConv, max_pool, mean_pool, net, refuse_smaller
from tljax.nn.preprocessing import preprocess
from tljax.protocols import StoredStatistics

SMALLEST = 32  # side of the pictures whose map every reduction still halves, pixels
_mean = functools.partial(mean_pool, size=(3, 3), strides=(1, 1), padding='SAME')


def _cells(width, repeats):
    """Keras's name of each cell, the channels of each of its branches, and whether it reduces."""
    cells = [('stem_1', width // 4, True), ('stem_2', width // 2, True)]
    for stage in range(3):
        before, channels = stage * repeats, width * 2**stage
        cells += [(f'reduce_{before}', channels, True)] if stage else []
        cells += [(str(before + i + (stage > 0)), channels, False) for i in range(repeats)]
    return cells


def _adjust(p, x, channels, cell, conv, norm):
    """p with as many channels and the size of x: where it is larger, half of the channels see its
    even positions, half its odd ones."""
    if p is None:
        return x
    if p.shape[1:3] != x.shape[1:3]:
        odd = jnp.pad(p, ((0, 0), (0, 1), (0, 1), (0, 0)))[:, 1:, 1:]
        halves = [
            conv(each[:, ::2, ::2], channels // 2, f'adjust_conv_{i}_{cell}')
            for i, each in enumerate((p, odd), 1)
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
    # by zeros that count: they enter the mean, and win over what is negative
    padded = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    high, low = max_pool(padded, (3, 3), (2, 2)), mean_pool(padded, (3, 3), (2, 2))
    first = branch(x, 5, 'left1', 2) + branch(p, 7, 'right1', 2)
    second = high + branch(p, 7, 'right2', 2)
    third = low + branch(p, 5, 'right3', 2)
    return jnp.concatenate(
        [second, third, second + _mean(first), branch(first, 3, 'left4') + high], -1
    )


class _NASNet(nn.Module):
    stem: int
    width: int
    repeats: int
    skip: bool
    form: str
    stored: StoredStatistics | None
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        refuse_smaller(x, SMALLEST, 'a NASNet')
        given = {'form': self.form, 'dtype': self.dtype}

        def norm(x, name):
            return BatchNorm(
                momentum=0.9997, epsilon=1e-3, stored=self.stored, dtype=self.dtype, name=name
            )(x, train)

        def conv(x, channels, name):
            return Conv(channels, (1, 1), **given, name=name)(nn.relu(x))

        x = Conv(self.stem, (3, 3), (2, 2), 'VALID', **given, name='stem_conv1')(
            preprocess(x, 'tf')
        )
        taps, p = {'stem': (x := norm(x, 'stem_bn1'))}, None
        for cell, channels, reduces in _cells(self.width, self.repeats):
            kind = 'reduction' if reduces else 'normal'

            def branch(y, size, place, stride=1):
                name = f'{kind}_{place}_{cell}'
                for i, strides in ((1, (stride, stride)), (2, (1, 1))):
                    y = SeparableConv(
                        channels, (size, size), strides, **given, name=f'separable_conv_{i}_{name}'
                    )(nn.relu(y))
                    y = norm(y, f'separable_conv_{i}_bn_{name}')
                return y

            h = norm(conv(x, channels, f'{kind}_conv_1_{cell}'), f'{kind}_bn_1_{cell}')
            y = (_reduction if reduces else _normal)(
                h, _adjust(p, x, channels, cell, conv, norm), branch
            )
            p = p if self.skip and cell.startswith('reduce') else x
            taps[_group(cell)] = x = y
        return {
            **taps,
            'features': nn.relu(x).mean((1, 2)).astype(jnp.promote_types(self.dtype, jnp.float32)),
        }


def _group(cell):
    return f'cell_{cell}' if cell.isdigit() else cell


def _nasnet(name, stem, width, repeats, skip, form, stored, dtype):
    groups = {'stem': 'stem_(conv1|bn1)/.*'}
    # a reduction's name may end like a normal cell's number: reduce_8 and 8
    for cell, _, reduces in _cells(width, repeats):
        groups[_group(cell)] = f'.*_{cell}/.*' if reduces else f'(?!.*(stem|reduce)).*_{cell}/.*'
    return net(
        _NASNet(stem, width, repeats, skip, form, stored, dtype), 24 * width, groups, {'name': name}
    )


def nasnet_mobile(
    form: str = 'plain', stored: StoredStatistics | None = None, dtype: DTypeLike = jnp.float32
) -> Net:
    """NASNet-A (4 @ 1056) up to the mean over positions: 1056 features of pictures in [0, 1], (n,
    h, w, 3) of 32 by 32 pixels or more.

    Args:
        form: how convolutions are computed, one of `nn.convolution.PLACES` or FORMS.
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    >>> nasnet_mobile().dim
    1056
    """
    return _nasnet('nasnet_mobile', 32, 44, 4, False, form, stored, dtype)


def nasnet_large(
    form: str = 'plain', stored: StoredStatistics | None = None, dtype: DTypeLike = jnp.float32
) -> Net:
    """NASNet-A (6 @ 4032) up to the mean over positions: 4032 features of pictures in [0, 1], (n,
    h, w, 3) of 32 by 32 pixels or more.

    Args:
        form: how convolutions are computed, one of `nn.convolution.PLACES` or FORMS.
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation; parameters and features are float32 or wider.

    >>> nasnet_large().dim
    4032
    """
    return _nasnet('nasnet_large', 96, 168, 6, True, form, stored, dtype)
