"""Layers before a network in a file: which they are, and whether they preprocess pictures as the
network does.

Layers without weights are tested with numbers. A few pixels pass through those layers, if they are
arithmetic alone, as Keras's `preprocess_input` is. The result is compared with the network's own
preprocessing.
"""

import operator
from collections.abc import Collection, Sequence

import jax.numpy as jnp
import numpy as np

from tljax.nn.preprocessing import MODES, preprocess
from tljax.protocols import Record
from tljax.zoo.weights.graph import Graph, Layer
from tljax.zoo.weights.hdf5 import Stored

# Layers that leave the numbers of pictures as they are at inference.
IDENTITIES = ('ZeroPadding2D', 'Resizing', 'CenterCrop', 'Dropout', 'GaussianNoise')
ARITHMETIC = {
    'Add': operator.add,
    'Subtract': operator.sub,
    'Multiply': operator.mul,
    'TrueDivide': operator.truediv,
    'Divide': operator.truediv,
}
TENSORFLOW_FUNCTIONS = {  # name in a TFOpLambda -> kind in ARITHMETIC
    'math.add': 'Add',
    'math.subtract': 'Subtract',
    'math.multiply': 'Multiply',
    'math.truediv': 'TrueDivide',
    'nn.bias_add': 'Add',
    '__operators__.add': 'Add',
}
# Largest difference between equal preprocessings, relative to the largest number. A scale of 1/128
# in place of 1/127.5 differs by more.
TOLERANCE = 1e-3
LARGEST_CONSTANT = 16  # numbers; preprocessing has one number for each channel


class _UnknownLayer(Exception):
    """A layer is no arithmetic that `_output` computes."""


def without_preprocessing(stored: Stored, mode: str) -> Stored:
    """Leaves out a normalisation of the pictures that is the network's own.

    Keras's EfficientNets hold one: a mean, a variance and a count. In the published files the
    standard deviation stands for the variance, and another layer divides by its root once more.

    Args:
        stored: content of the file.
        mode: preprocessing of the network, as `nn.preprocessing.preprocess` has it.

    >>> mean, deviation, _ = MODES['torch']
    >>> arrays = [np.array(mean), np.square(deviation), np.array(0)]
    >>> stored = Stored({'normalization': arrays, 'conv': []}, {'normalization': 0, 'conv': 1})
    >>> list(without_preprocessing(stored, 'torch').layers)
    ['conv']
    """
    mean, deviation, _ = MODES[mode]
    layers = {
        name: arrays
        for name, arrays in stored.layers.items()
        if not (
            name.startswith('normalization')
            and [array.size for array in arrays[:2]] == [3, 3]
            and np.allclose(arrays[0].ravel(), mean, atol=1e-4)
            and any(
                np.allclose(arrays[1].ravel(), np.power(deviation, power), atol=1e-4)
                for power in (1, 2)
            )
        )
    }
    return stored._replace(layers=layers)


def before(stored: Stored, model: Graph | None, net_layers: Collection[str], dim: int) -> list[str]:
    """Returns the names of the layers with weights before a network.

    Args:
        stored: content of the file.
        model: graph of the saved model; None for weights alone.
        net_layers: names of the network's own layers.
        dim: number of the network's features.

    >>> stored = Stored({'stem': [], 'conv1': [], 'dense': []}, {'stem': 0, 'conv1': 1, 'dense': 2})
    >>> before(stored, None, ['conv1'], 8)
    ['stem']
    """
    if any(layer not in stored.layers for layer in net_layers):
        return []
    other_layers = [layer for layer in stored.layers if layer not in net_layers]
    if model and all(layer in model.layers for layer in net_layers):
        first = model.before(net_layers)
        if _joins_midway(first.keys(), model, net_layers):
            return []
        return [layer for layer in other_layers if layer in first]
    place = min(stored.place.get(layer, 0) for layer in net_layers)
    return [
        layer
        for layer in other_layers
        if stored.place.get(layer, 0) < place
        or stored.place.get(layer, 0) == place
        and enters([array.shape for array in stored.layers[layer]], dim)
    ]


def _joins_midway(first, model, net_layers):
    """Tells whether a layer has inputs both among the layers before the network and in it."""
    under = model.under(net_layers)
    return any(
        not first.isdisjoint(layer.below) and not first >= set(layer.below)
        for name, layer in model.layers.items()
        if name in under
    )


def enters(shapes: Sequence[tuple[int, ...]], dim: int) -> bool:
    """Tells whether a layer's shapes are those of a layer that makes pictures of three channels.

    Such a layer is a Normalization (mean, variance and count), or a convolution to three channels
    that does not fit on the features. The shapes decide where the file does not tell the layer's
    place.

    Args:
        shapes: shapes of the layer's arrays.
        dim: number of the network's features.

    >>> enters([(3, 3, 1, 3), (3,)], 256), enters([(1, 1, 256, 3), (3,)], 256)
    (True, False)
    """
    kernel = shapes[0]
    shapes = list(shapes)
    normalises = len(shapes) == 3 and shapes[2] == () and kernel == shapes[1] in ((), (1,), (3,))
    convolves = (
        len(kernel) == 4 and kernel[3] == 3 and kernel[2] != dim and shapes[1:] in ([], [(3,)])
    )
    return normalises or convolves


def unlike(
    model: Graph | None,
    net_layers: Collection[str],
    weighted_layers: Collection[str],
    mode: str,
) -> tuple[str, ...]:
    """Returns the names of layers that may preprocess pictures otherwise than the network does.

    They are layers without weights before the network.

    Args:
        model: graph of the saved model; None for weights alone.
        net_layers: names of the network's own layers.
        weighted_layers: names of the layers with weights before the network.
        mode: the network's preprocessing, as `nn.preprocessing.preprocess` has it.

    Returns:
        The names; empty where the layers together do what the network's preprocessing does.

    >>> scale = Layer('Rescaling', {'scale': 1 / 255, 'offset': 0}, ())
    >>> model = Graph({'scale': scale, 'conv1': Layer('Conv2D', {}, ('scale',))}, ('conv1',), ())
    >>> unlike(model, ['conv1'], [], 'tf')  # the network's inputs are in [-1, 1], these in [0, 1]
    ('scale',)
    """
    if model is None:
        return ()
    first = model.before(net_layers)
    names = tuple(
        name
        for name, layer in first.items()
        if not _is_identity(layer) and name not in weighted_layers
    )
    if names and not weighted_layers and _preprocesses_alike(model, first, mode):
        return ()
    return names


def _is_identity(layer):
    return layer.kind in IDENTITIES or layer.kind.startswith('Random')


def _preprocesses_alike(model, first, mode):
    """Tells whether the layers `first` change a few pixels as the network's preprocessing does."""
    ends = set()
    for name, layer in model.layers.items():
        if name not in first:
            ends |= first.keys() & set(layer.below)
    pixels = np.random.default_rng(0).uniform(0, 255, (4, 3))
    expected = np.asarray(preprocess(jnp.asarray(pixels.astype(np.float32) / 255), mode))
    outputs = {}
    try:
        for name, layer in first.items():
            outputs[name] = _output(layer, outputs, pixels)
        (output,) = (outputs[end] for end in ends)
        if output.shape != expected.shape:
            return False
        return np.abs(output - expected).max() < TOLERANCE * abs(expected).max()
    except (_UnknownLayer, LookupError, TypeError, ValueError, AttributeError):
        return False  # not as Keras writes it


def _output(layer: Layer, outputs: Record, pixels: np.ndarray) -> np.ndarray:
    """Computes the output of a layer for pixels (n, channels)."""

    def value(arg):
        return _value(arg, outputs, pixels)

    kind = layer.kind
    if kind == 'TFOpLambda':
        kind = TENSORFLOW_FUNCTIONS.get(layer.config.get('function', ''), kind)
    with np.errstate(all='ignore'):
        if _is_identity(layer):
            return value(layer.below)
        if kind == 'Rescaling':
            scale, offset = value(layer.config['scale']), value(layer.config['offset'])
            return value(layer.below) * scale + offset
        if kind in ARITHMETIC and len(layer.args) == 2:
            return ARITHMETIC[kind](value(layer.args[0]), value(layer.args[1]))
        if kind == 'GetItem':
            array, (_, channel) = value(layer.args[0]), layer.args[1]
            return array[..., channel]
        if kind == 'Stack' and layer.config.get('axis') == -1:
            return np.stack([value(arg) for arg in layer.args[0]], -1)
    raise _UnknownLayer


def _value(arg, outputs, pixels):
    """Returns the value of an argument of a layer's call (`Layer.args`)."""
    if isinstance(arg, tuple):
        (array,) = (outputs[name] for name in arg) if arg else (pixels,)
        return array
    if isinstance(arg, dict):
        arg = arg['config']['value']
    constant = np.asarray(arg, np.float64)
    if constant.size > LARGEST_CONSTANT:
        raise _UnknownLayer
    return constant.reshape(-1) if constant.size > 1 else constant.reshape(())
