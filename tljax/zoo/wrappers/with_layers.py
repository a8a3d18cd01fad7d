"""Networks with dense layers on top of the features, as many saved models have."""

import functools
import math
import re
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from tljax.core import Net, UserError, nearest_name
from tljax.losses import linear

ACTIVATIONS = {  # with Keras's names and constants
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
SLOPES = {  # activations that take a number, as in leaky_relu(0.3), and its keyword
    'leaky_relu': 'negative_slope',
    'elu': 'alpha',
}


def activation_function(name: str) -> Callable[[jax.Array], jax.Array] | None:
    """Returns the activation function of a name, or None for an unknown name.

    Args:
        name: Keras's name, 'relu', or a name with a number, 'leaky_relu(0.3)' or 'elu(0.5)'.

    >>> activation_function('leaky_relu(0.5)')(jnp.array([-4.0, 4.0])).tolist()
    [-2.0, 4.0]
    """
    if match := re.fullmatch(r'(\w+)\((\d+(?:\.\d*)?(?:e-?\d+)?)\)', name):
        keyword = SLOPES.get(match[1])
        if keyword is None:
            return None
        return functools.partial(getattr(jax.nn, match[1]), **{keyword: float(match[2])})
    return ACTIVATIONS.get(name)


def with_layers(net: Net, layers: Sequence[tuple[int, str]]) -> Net:
    """Returns a network that applies dense layers to the features of another network.

    Args:
        net: the other network.
        layers: width and activation of each layer, lowest first, [[100, 'relu']]. Activations have
            Keras's names and constants: linear, relu, relu6, elu, selu, tanh, sigmoid, softplus,
            softsign, softmax, silu, swish, gelu, leaky_relu. 'leaky_relu(0.3)' and 'elu(0.5)' set
            another constant.

    Raises:
        UserError: for no layers, a width below 1, and an unknown activation.

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
        activation = activation_function(layer[1]) if isinstance(layer[1], str) else None
        if activation is None:
            raise UserError(
                f'net.layers: {layer[1]!r} is no activation: {nearest_name(layer[1], ACTIVATIONS)}'
            )
        activations.append(activation)
    widths = [net.dim, *(width for width, _ in layers)]
    names = [f'above{i}' for i in range(1, len(widths))]

    def init(key, input):
        net_key, key = jax.random.split(key)
        params, state = net.init(net_key, input)
        for name, fan_in, fan_out in zip(names, widths, widths[1:], strict=False):
            key, kernel_key = jax.random.split(key)
            kernel = jax.random.normal(kernel_key, (fan_in, fan_out)) * math.sqrt(2 / fan_in)
            params = {**params, name: {'kernel': kernel, 'bias': jnp.zeros(fan_out)}}
        return params, state

    def features(params, state, input, key=None):
        net_params = {name: leaf for name, leaf in params.items() if name not in names}
        taps, state = net.features(net_params, state, input, key)
        x, outputs = taps['features'], {}
        for name, activation in zip(names, activations, strict=True):
            x = activation(linear(params[name], x))
            outputs[name] = x
        return {**taps, **outputs, 'features': x}, state

    return Net(
        init,
        features,
        widths[-1],
        {**net.groups, **{name: f'{name}/.*' for name in names}},
        f'with_layers({net.fingerprint}, {[list(layer) for layer in layers]})',
        net.published,
        net.whole or net,
    )
