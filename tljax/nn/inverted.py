"""Blocks of mobile networks, which EfficientNets and MobileNetV3 are made of, with timm's names.

A block is computed at the resolution of depthwise convolutions: channels are expanded, each channel
is filtered separately, the channels are weighted (squeeze and excitation), and they are projected
to the block's width without an activation.
"""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
from jax.typing import DTypeLike

from tljax.core import UserError
from tljax.nn.layers import BatchNorm, Conv, DropPath
from tljax.protocols import StoredStatistics

Activation = Callable[[jax.Array], jax.Array]


class Port(NamedTuple):
    """Constants in which ports of one network differ.

    Attributes:
        epsilon: added to the variance by BatchNorm.
        momentum: share of the old value in an update of BatchNorm's statistics.
        same: whether strided convolutions pad as TensorFlow's 'SAME'; if not, both sides alike.
    """

    epsilon: float
    momentum: float
    same: bool


PORTS = {
    'tf': Port(1e-3, 0.99, True),
    'torch': Port(1e-5, 0.9, False),
    'torchvision': Port(1e-3, 0.99, False),
}


def port_of(name: str, momentum: float | None = None, in_tf: float = 0.99) -> Port:
    """Returns the constants of a port.

    Args:
        name: 'tf', 'torch' or 'torchvision'.
        momentum: BatchNorm's; None: that of the port.
        in_tf: BatchNorm's momentum in TensorFlow's port of a network.

    Raises:
        UserError: for another name, or a momentum that is not from 0 to 1.

    >>> port_of('tf', in_tf=0.999).momentum, port_of('tf', momentum=0.9).momentum
    (0.999, 0.9)
    """
    if name not in PORTS:
        raise UserError(f'net.port={name!r} is not {", ".join(PORTS)}')
    if momentum is None:
        momentum = in_tf if name == 'tf' else PORTS[name].momentum
    if not 0 <= momentum <= 1:
        raise UserError(f'net.momentum={momentum}: give a number from 0 to 1, such as 0.9')
    return PORTS[name]._replace(momentum=momentum)


class Shape(NamedTuple):
    """Shape of a block.

    Attributes:
        kind: 'inverted' (expansion, depthwise, projection), 'separable' (depthwise, projection),
            'fused' (one convolution expands and filters, then projection) or 'plain' (one
            convolution).
        kernel: side of the filter, pixels.
        stride: of the filter, pixels.
        expanded: number of channels between expansion and projection.
        width: number of output channels.
        squeezed: number of channels between the two layers of squeeze and excitation; 0: without.
    """

    kind: str
    kernel: int
    stride: int
    expanded: int
    width: int
    squeezed: int = 0


def divisible(width: float, divisor: int = 8, least: float = 0.9) -> int:
    """Rounds a width to a multiple of a divisor, at least the divisor.

    Args:
        width: number of channels.
        divisor: what the result is a multiple of.
        least: smallest share of the width; below it the next multiple is taken.

    >>> divisible(32 * 1.1), divisible(8 * 1.4)
    (32, 16)
    """
    multiple = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return multiple + divisor if multiple < least * width else multiple


class SqueezeExcite(nn.Module):
    """Multiplies channels by weights between 0 and 1 that their means over positions determine.

    Args:
        squeezed: number of channels between the two layers.
        activation: between the two layers.
        gate: maps the second layer's outputs to weights.
        names: names of the two layers.
        dtype: of the computation.

    Source:
        Hu et al. 2018, equations 2 to 4, https://arxiv.org/abs/1709.01507

    >>> layer, x = SqueezeExcite(2, nn.relu, nn.sigmoid), jax.numpy.ones((1, 4, 4, 8))
    >>> jax.eval_shape(layer.init_with_output, jax.random.key(0), x)[0].shape
    (1, 4, 4, 8)
    """

    squeezed: int
    activation: Activation
    gate: Activation
    names: tuple[str, str] = ('conv_reduce', 'conv_expand')
    dtype: DTypeLike = jax.numpy.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        def dense(x, width, name):
            return Conv(width, (1, 1), use_bias=True, dtype=self.dtype, name=name)(x)

        weight = self.activation(dense(x.mean((1, 2), keepdims=True), self.squeezed, self.names[0]))
        return x * self.gate(dense(weight, x.shape[-1], self.names[1]))


class Block(nn.Module):
    """A block of a mobile network, with its shortcut where input and output have one shape.

    Args:
        shape: of the block.
        activation: after every convolution but the projection.
        port: constants of the port.
        squeeze: (activation, gate) of squeeze and excitation.
        drop_path: rate of stochastic depth, 0 to 1.
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.
        dtype: of the computation.

    Source:
        Sandler et al. 2018, figure 4, https://arxiv.org/abs/1801.04381; 'fused': Tan and Le 2021,
        figure 2, https://arxiv.org/abs/2104.00298

    >>> block = Block(Shape('inverted', 3, 1, 48, 8, squeezed=2), nn.silu, PORTS['tf'])
    >>> x = jax.numpy.ones((1, 4, 4, 8))
    >>> variables = jax.eval_shape(lambda: block.init(jax.random.key(0), x, train=False))
    >>> list(variables['params'])
    ['bn1', 'bn2', 'bn3', 'conv_dw', 'conv_pw', 'conv_pwl', 'se']
    """

    shape: Shape
    activation: Activation
    port: Port
    squeeze: tuple[Activation, Activation] = (nn.silu, nn.sigmoid)
    drop_path: float = 0.0
    stored: StoredStatistics | None = None
    dtype: DTypeLike = jax.numpy.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        kind, kernel, stride, expanded, width, squeezed = self.shape
        norms = iter(('bn1', 'bn2', 'bn3'))

        def conv(y, width, name, size=1, stride=1, groups=1, activation=self.activation):
            y = convolution(width, size, stride, groups, self.port, self.dtype, name)(y)
            return activation(batch_norm(self.port, self.stored, self.dtype, next(norms))(y, train))

        def depthwise(y):
            y = conv(y, y.shape[-1], 'conv_dw', kernel, stride, groups=y.shape[-1])
            if squeezed:
                y = SqueezeExcite(squeezed, *self.squeeze, dtype=self.dtype, name='se')(y)
            return y

        if kind == 'inverted':
            y = depthwise(conv(x, expanded, 'conv_pw'))
            y = conv(y, width, 'conv_pwl', activation=linear)
        elif kind == 'separable':
            y = conv(depthwise(x), width, 'conv_pw', activation=linear)
        elif kind == 'fused':
            y = conv(x, expanded, 'conv_exp', kernel, stride)
            y = conv(y, width, 'conv_pwl', activation=linear)
        else:
            y = conv(x, width, 'conv', kernel, stride)
        if stride > 1 or x.shape != y.shape:
            return y
        return x + DropPath(self.drop_path)(y, train)


def linear(x: jax.Array) -> jax.Array:
    """Returns x: no activation.

    Args:
        x: of any shape.

    >>> linear(jax.numpy.ones(1)).tolist()
    [1.0]
    """
    return x


def convolution(
    width: int, size: int, stride: int, groups: int, port: Port, dtype: DTypeLike, name: str
) -> Conv:
    """Returns a convolution without bias that pads as a port does.

    Args:
        width: number of output channels.
        size: side of the kernel, pixels.
        stride: pixels.
        groups: of channels.
        port: constants of the port.
        dtype: of the computation.
        name: of the layer.

    >>> convolution(8, 3, 2, 1, PORTS['torch'], 'float32', 'stem').padding
    ((1, 1), (1, 1))
    """
    sides = ((size - 1) // 2, (size - 1) // 2)
    return Conv(
        width,
        (size, size),
        (stride, stride),
        'SAME' if port.same else (sides, sides),
        groups=groups,
        dtype=dtype,
        name=name,
    )


def batch_norm(
    port: Port, stored: StoredStatistics | None, dtype: DTypeLike, name: str
) -> BatchNorm:
    """Returns a BatchNorm with the constants of a port.

    Args:
        port: constants of the port.
        stored: as `Block` takes it.
        dtype: of the output.
        name: of the layer.

    >>> batch_norm(PORTS['tf'], None, 'float32', 'bn1').epsilon
    0.001
    """
    return BatchNorm(
        momentum=port.momentum, epsilon=port.epsilon, stored=stored, dtype=dtype, name=name
    )
