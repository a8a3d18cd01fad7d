"""What stands before a network in a file, and whether it does to pictures what the network's own
preprocessing does.

Numbers decide on layers without weights: a few pixels go through those that are arithmetic alone,
as Keras's `preprocess_input` is, and are compared with the network's own.
"""

import operator
from collections.abc import Collection, Sequence

import jax.numpy as jnp
import numpy as np

from tljax.nn.preprocessing import preprocess
from tljax.protocols import Record
from tljax.zoo.weights.graph import Graph, Layer
from tljax.zoo.weights.hdf5 import Stored

# Layers that leave the numbers of pictures as they are, at rest.
QUIET = ('ZeroPadding2D', 'Resizing', 'CenterCrop', 'Dropout', 'GaussianNoise')
ARITHMETIC = {
    'Add': operator.add,
    'Subtract': operator.sub,
    'Multiply': operator.mul,
    'TrueDivide': operator.truediv,
    'Divide': operator.truediv,
}
IN_TENSORFLOW = {
    'math.add': 'Add',
    'math.subtract': 'Subtract',
    'math.multiply': 'Multiply',
    'math.truediv': 'TrueDivide',
    'nn.bias_add': 'Add',
    '__operators__.add': 'Add',
}
CLOSE = 1e-3  # of the largest number: 1/128 in place of 1/127.5 is another scale
MOST = 16  # numbers of a constant; one for each channel is what preprocessing has


class _Unknown(Exception):
    """A layer is no arithmetic that is known here."""


def before(stored: Stored, told: Graph | None, wanted: Collection[str], dim: int) -> list[str]:
    """Names of the layers with weights that a network stands on.

    Args:
        stored: what the file holds.
        told: graph of the saved model; None of weights alone.
        wanted: names of the network's own layers.
        dim: width of the network's features.

    >>> stored = Stored({'stem': [], 'conv1': [], 'dense': []}, {'stem': 0, 'conv1': 1, 'dense': 2})
    >>> before(stored, None, ['conv1'], 8)
    ['stem']
    """
    if any(layer not in stored.layers for layer in wanted):
        return []
    spare = [layer for layer in stored.layers if layer not in wanted]
    if told and all(layer in told.layers for layer in wanted):
        first, under = told.before(wanted), told.under(wanted)
        midway = any(  # it joins the network behind its first layer
            not first.keys().isdisjoint(layer.below) and not first.keys() >= set(layer.below)
            for name, layer in told.layers.items()
            if name in under
        )
        return [] if midway else [layer for layer in spare if layer in first]
    place = min(stored.place.get(layer, 0) for layer in wanted)
    return [
        layer
        for layer in spare
        if stored.place.get(layer, 0) < place
        or stored.place.get(layer, 0) == place
        and enters([array.shape for array in stored.layers[layer]], dim)
    ]


def enters(shapes: Sequence[tuple[int, ...]], dim: int) -> bool:
    """Whether a layer that stands at no told place makes pictures of three channels: Normalization
    (mean, variance and their count), or a convolution that does not fit on the features.

    Args:
        shapes: of the layer's arrays.
        dim: width of the network's features.

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
    told: Graph | None, wanted: Collection[str], weighted: Collection[str], mode: str
) -> tuple[str, ...]:
    """Names of the layers without weights before a network that may change pictures otherwise than
    the network's own preprocessing does.

    Args:
        told: graph of the saved model; None of weights alone.
        wanted: names of the network's own layers.
        weighted: names of the layers before it that have weights.
        mode: of the network's preprocessing (`nn.preprocessing.preprocess`).

    >>> scale = Layer('Rescaling', {'scale': 1 / 255, 'offset': 0}, ())
    >>> told = Graph({'scale': scale, 'conv1': Layer('Conv2D', {}, ('scale',))}, ('conv1',), ())
    >>> unlike(told, ['conv1'], [], 'tf')
    ('scale',)
    """
    first = told.before(wanted) if told else {}
    names = tuple(
        name for name, layer in first.items() if not _quiet(layer) and name not in weighted
    )
    return () if not names or not weighted and _agrees(told, first, mode) else names


def _quiet(layer):
    return layer.kind in QUIET or layer.kind.startswith('Random')


def _agrees(told, first, mode):
    """Whether a few pixels come out as the network's own preprocessing makes them."""
    ends = {
        each for name, layer in told.layers.items() if name not in first for each in layer.below
    } & first.keys()
    pixels = np.random.default_rng(0).uniform(0, 255, (4, 3))
    right = np.asarray(preprocess(jnp.asarray(pixels.astype(np.float32) / 255), mode))
    values = {}
    try:
        for name, layer in first.items():  # each comes after those that it stands on
            values[name] = _value(layer, values, pixels)
        (found,) = (values[end] for end in ends)
        return found.shape == right.shape and np.abs(found - right).max() < CLOSE * abs(right).max()
    except (_Unknown, LookupError, TypeError, ValueError, AttributeError):  # not as Keras writes it
        return False


def _value(layer: Layer, values: Record, pixels: np.ndarray) -> np.ndarray:
    """What a layer makes of pixels (n, channels)."""

    def given(each):
        if isinstance(each, tuple):  # what it stands on; nothing is the input
            (value,) = (values[name] for name in each) if each else (pixels,)
            return value
        if isinstance(each, dict):
            each = each['config']['value']
        constant = np.asarray(each, np.float64)
        if constant.size > MOST:
            raise _Unknown
        return constant.reshape(-1) if constant.size > 1 else constant.reshape(())

    kind = layer.kind
    if kind == 'TFOpLambda':
        kind = IN_TENSORFLOW.get(layer.config.get('function', ''), kind)
    with np.errstate(all='ignore'):
        if _quiet(layer):
            return given(layer.below)
        if kind == 'Rescaling':
            scale, offset = (given(layer.config[key]) for key in ('scale', 'offset'))
            return given(layer.below) * scale + offset
        if kind in ARITHMETIC and len(layer.args) == 2:
            return ARITHMETIC[kind](*map(given, layer.args))
        if kind == 'GetItem':
            at, (_, channel) = given(layer.args[0]), layer.args[1]
            return at[..., channel]
        if kind == 'Stack' and layer.config.get('axis') == -1:
            return np.stack([given(each) for each in layer.args[0]], -1)
    raise _Unknown
