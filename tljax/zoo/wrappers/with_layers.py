"""A network with dense layers on top of its features, as many saved models have them."""

import functools
import math
import re
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from tljax.core import Net, UserError, nearest_name
from tljax.losses import linear

ACTIVATIONS = {  # by Keras's names and with its constants
    'linear': lambda x: x,
    'relu': jax.nn.relu,
    'relu6': jax.nn.relu6,
    'elu': jax.nn.elu,
    'selu': jax.nn.selu,
    'tanh': jnp.tanh,
    'sigmoid': jax.nn.sigmoid,
    'softplus': jax.nn.softplus,
    'softsign': jax.nn.soft_sign,
    'softmax': jax.nn.softmax,
    'silu': jax.nn.silu,
    'swish': jax.nn.silu,
    'gelu': functools.partial(jax.nn.gelu, approximate=False),
    'leaky_relu': functools.partial(jax.nn.leaky_relu, negative_slope=0.2),
}
SLOPED = {  # those that take a number, as in leaky_relu(0.3), and its keyword
    'leaky_relu': 'negative_slope',
    'elu': 'alpha',
}


def function(name: str) -> Callable[[jax.Array], jax.Array] | None:
    """The activation of a name; None where there is none.

    Args:
        name: as Keras has it, or with the number that it takes.

    >>> function('leaky_relu(0.5)')(jnp.array([-4.0, 4.0])).tolist()
    [-2.0, 4.0]
    """
    if match := re.fullmatch(r'(\w+)\((\d+(?:\.\d*)?(?:e-?\d+)?)\)', name):
        keyword = SLOPED.get(match[1])
        if keyword is None:
            return None
        return functools.partial(getattr(jax.nn, match[1]), **{keyword: float(match[2])})
    return ACTIVATIONS.get(name)


def with_layers(net: Net, layers: Sequence[tuple[int, str]]) -> Net:
    """A network whose features are what dense layers make of another's.

    Args:
        net: the network below.
        layers: width and activation of each layer, lowest first, [[100, 'relu']]; activations are
            Keras's: linear, relu, relu6, elu, selu, tanh, sigmoid, softplus, softsign, softmax,
            silu, swish, gelu, leaky_relu; leaky_relu(0.3) and elu(0.5) have another number.

    Raises:
        UserError: for no layers, a width below 1, and another activation.

    >>> from tljax.zoo import mobilenet
    >>> net = with_layers(mobilenet(alpha=0.25), [[100, 'relu'], [10, 'linear']])
    >>> net.dim, list(net.groups)[-2:]
    (10, ['above1', 'above2'])
    """
    activations = []
    for layer in layers or [None]:
        if (
            not isinstance(layer, list | tuple)
            or len(layer) != 2
            or not isinstance(layer[0], int)
            or layer[0] < 1
        ):
            raise UserError(
                f"net.layers={layers!r}: give width and activation of each, as in [[100, 'relu']]"
            )
        activation = function(layer[1]) if isinstance(layer[1], str) else None
        if activation is None:
            raise UserError(
                f'net.layers: {layer[1]!r} is no activation: {nearest_name(layer[1], ACTIVATIONS)}'
            )
        activations.append(activation)
    widths = [net.dim, *(width for width, _ in layers)]
    names = [f'above{i}' for i in range(1, len(widths))]

    def init(key, input):
        below, key = jax.random.split(key)
        params, state = net.init(below, input)
        for name, width, wide in zip(names, widths, widths[1:], strict=False):
            key, own = jax.random.split(key)
            kernel = jax.random.normal(own, (width, wide)) * math.sqrt(2 / width)
            params = {**params, name: {'kernel': kernel, 'bias': jnp.zeros(wide)}}
        return params, state

    def features(params, state, input, key=None):
        taps, state = net.features(
            {name: each for name, each in params.items() if name not in names}, state, input, key
        )
        x, made = taps['features'], {}
        for name, activation in zip(names, activations, strict=True):
            made[name] = x = activation(linear(params[name], x))
        return {**taps, **made, 'features': x}, state

    return Net(
        init,
        features,
        widths[-1],
        {**net.groups, **{name: f'{name}/.*' for name in names}},
        f'with_layers({net.fingerprint}, {[list(layer) for layer in layers]})',
        net.published,
        net.whole or net,
    )
