"""Predictors: the layers that read codes and logits of anchors from a detector's maps."""

from collections.abc import Callable, Sequence
from typing import Protocol

import flax.linen as nn
import jax

from tljax.nn.layers import BatchNorm, Conv, Joined, relu6
from tljax.protocols import StoredStatistics

NAMES = ('by_map', 'shared')  # what a config may name


class Predictor(Protocol):
    """Makes the module that predicts from maps.

    >>> by_map().__name__
    'make'
    """

    def __call__(
        self, per_cell: Sequence[int], columns: int, stored: StoredStatistics | None, /
    ) -> nn.Module:
        """Makes the module, (maps, train) -> codes (n, anchors, 4), logits (n, anchors, columns).

        Args:
            per_cell: number of anchors in a cell of each map.
            columns: number of logits of an anchor.
            stored: as `nn.layers.BatchNorm` takes it.
        """
        ...


def by_map(
    kernel: int = 3,
    depthwise: bool = False,
    bias: float = 0.0,
    deviation: float = 0.03,
    momentum: float = 0.99,
) -> Predictor:
    """A convolution of each map for the codes, and one for the logits.

    Parameters stand under `box/map1`, `class/map1` and so on. A detector for other classes starts
    from all of them but those of `class`.

    Args:
        kernel: side of the kernels, pixels.
        depthwise: whether a depthwise convolution with BatchNorm and ReLU6 stands before each,
            which then has 1x1 kernels.
        bias: of the logits at the start. The focal loss starts from -4.6, a probability of 0.01.
        deviation: standard deviation of the kernels at the start.
        momentum: of BatchNorm's statistics.

    Source:
        Liu et al. 2016, section 2.1, https://arxiv.org/abs/1512.02325; with depthwise convolutions
        Sandler et al. 2018, section 6.2 (SSDLite), https://arxiv.org/abs/1801.04381

    >>> import jax.numpy as jnp
    >>> head = by_map(kernel=1)([3], 2, None)
    >>> (codes, logits), _ = head.init_with_output(
    ...     jax.random.key(0), [jnp.ones((1, 5, 5, 8))], True
    ... )
    >>> codes.shape, logits.shape
    ((1, 75, 4), (1, 75, 2))
    """

    def make(per_cell, columns, stored):
        normal = nn.initializers.truncated_normal(deviation)
        return _ByMap(tuple(per_cell), columns, kernel, depthwise, bias, normal, momentum, stored)

    return make


def shared(
    depth: int = 4,
    width: int = 256,
    kernel: int = 3,
    one_tower: bool = False,
    bias: float = -4.6,
    deviation: float = 0.01,
    momentum: float = 0.99,
) -> Predictor:
    """The same convolutions on all maps, whose BatchNorm is each map's own.

    Parameters stand under `box` and `class`; those of a tower for both under `tower`.

    Args:
        depth: number of convolutions with BatchNorm and ReLU6 before the last one.
        width: number of their channels.
        kernel: side of all kernels, pixels.
        one_tower: whether codes and logits share those convolutions.
        bias: of the logits at the start.
        deviation: standard deviation of the kernels at the start.
        momentum: of BatchNorm's statistics.

    Source:
        Lin et al. 2017, section 4, https://arxiv.org/abs/1708.02002; one tower: Jin et al. 2018,
        https://arxiv.org/abs/1807.03284

    >>> import jax.numpy as jnp
    >>> head, maps = shared(depth=1, width=4)([2, 2], 3, None), [jnp.ones((1, 2, 2, 8))] * 2
    >>> (codes, logits), _ = head.init_with_output(jax.random.key(0), maps, True)
    >>> codes.shape, logits.shape
    ((1, 16, 4), (1, 16, 3))
    """

    def make(per_cell, columns, stored):
        normal = nn.initializers.normal(deviation)
        tower = dict(
            depth=depth,
            width=width,
            kernel=kernel,
            kernel_init=normal,
            momentum=momentum,
            stored=stored,
        )
        return _Shared(tuple(per_cell), columns, tower, one_tower, bias)

    return make


class _ByMap(nn.Module):
    per_cell: tuple[int, ...]
    columns: int
    kernel: int
    depthwise: bool
    bias: float
    kernel_init: Callable[..., jax.Array]
    momentum: float
    stored: StoredStatistics | None

    @nn.compact
    def __call__(self, maps, train):
        def branch(name, width, bias):
            keywords = (self.kernel, self.depthwise, bias, self.kernel_init, self.momentum)
            return _Convolutions(self.per_cell, width, *keywords, self.stored, name=name)

        return (
            branch('box', 4, 0.0)(maps, train),
            branch('class', self.columns, self.bias)(maps, train),
        )


class _Convolutions(nn.Module):
    """A convolution of each map, (n, anchors, width)."""

    per_cell: tuple[int, ...]
    width: int
    kernel: int
    depthwise: bool
    bias: float
    kernel_init: Callable[..., jax.Array]
    momentum: float
    stored: StoredStatistics | None

    @nn.compact
    def __call__(self, maps, train):
        outputs, kernel = [], (self.kernel, self.kernel)
        for i, (x, count) in enumerate(zip(maps, self.per_cell, strict=True), 1):
            name = f'map{i}'
            if self.depthwise:
                channels = x.shape[-1]
                x = Conv(channels, kernel, groups=channels, name=f'{name}_depthwise')(x)
                x = BatchNorm(self.momentum, 1e-3, stored=self.stored, name=f'{name}_bn')(x, train)
                x = relu6(x)
            x = Conv(
                count * self.width,
                (1, 1) if self.depthwise else kernel,
                use_bias=True,
                kernel_init=self.kernel_init,
                bias_init=nn.initializers.constant(self.bias),
                name=name,
            )(x)
            outputs.append(x.reshape(x.shape[0], -1, self.width))
        return Joined(name='joined')(outputs)


class _Shared(nn.Module):
    per_cell: tuple[int, ...]
    columns: int
    tower: dict
    one_tower: bool
    bias: float

    @nn.compact
    def __call__(self, maps, train):
        if self.one_tower:
            maps = _Tower(**self.tower, name='tower')(maps, train)

        def branch(name, width, bias):
            tower = {**self.tower, 'depth': 0} if self.one_tower else self.tower
            counts = {*self.per_cell}
            module = _Branch(tower, counts.pop() * width, bias, name=name)
            outputs = [x.reshape(x.shape[0], -1, width) for x in module(maps, train)]
            return Joined(name=f'{name}_joined')(outputs)

        return branch('box', 4, 0.0), branch('class', self.columns, self.bias)


class _Branch(nn.Module):
    """A tower and the last convolution, of all maps."""

    tower: dict
    width: int
    bias: float

    @nn.compact
    def __call__(self, maps, train):
        if self.tower['depth']:
            maps = _Tower(**self.tower, name='tower')(maps, train)
        kernel = self.tower['kernel']
        last = Conv(
            self.width,
            (kernel, kernel),
            use_bias=True,
            kernel_init=self.tower['kernel_init'],
            bias_init=nn.initializers.constant(self.bias),
            name='last',
        )
        return [last(x) for x in maps]


class _Tower(nn.Module):
    """Convolutions that all maps share, with BatchNorm of each map's own."""

    depth: int
    width: int
    kernel: int
    kernel_init: Callable[..., jax.Array]
    momentum: float
    stored: StoredStatistics | None

    @nn.compact
    def __call__(self, maps, train):
        for i in range(1, self.depth + 1):
            kernel = (self.kernel, self.kernel)
            layer = Conv(self.width, kernel, kernel_init=self.kernel_init, name=f'layer{i}')
            maps = [
                relu6(
                    BatchNorm(self.momentum, 1e-3, stored=self.stored, name=f'layer{i}_map{j}_bn')(
                        layer(x), train
                    )
                )
                for j, x in enumerate(maps, 1)
            ]
        return maps
