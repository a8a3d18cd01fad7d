"""What lies above a network in a file: a head, which is one linear layer on the features or on
dense layers between, or why there is none.

A whole saved model tells the way from its output down to the features, and the activations on it.
Weights alone do not: a single layer that fits on the features is then taken for the head, and of
several none. BatchNorm on the way is folded into the dense layers, which changes nothing but the
rounding.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tljax.core import Net, abbreviated
from tljax.protocols import Record
from tljax.zoo.weights.graph import Graph, Layer
from tljax.zoo.weights.training import tells_classes, tells_labels, tells_numbers
from tljax.zoo.wrappers.with_layers import activation_function

# Layers that leave a vector as it is, those that change each of its numbers, and those that may
# stand between the last layer of a network and the mean of its features.
SILENT = (
    'Dropout',
    'AlphaDropout',
    'GaussianDropout',
    'GaussianNoise',
    'ActivityRegularization',
    'Flatten',
    'Reshape',
)
ELEMENTWISE = ('Activation', 'ReLU', 'LeakyReLU', 'ELU', 'Softmax', 'BatchNormalization')
BETWEEN = ('Activation', 'ReLU', 'Dropout', 'SpatialDropout2D', 'Concatenate', 'Add')


class Above(NamedTuple):
    """What lies above a network.

    Attributes:
        head: {'kernel': (dim, n), 'bias': (n,)}, or {}.
        dense: the dense layers below the head, lowest first, likewise.
        activations: of those.
        names: of the file's layers that `dense` and `head` are made of.
        folded: names of those whose numbers went into them.
        why: why there is no head although layers lie above; '' otherwise.
        guessed: whether the file does not tell what the head stands on, nor its activation.
        logits: whether outputs are linear, and no loss tells that they are logits.

    >>> Above(why='its outputs are several').head
    {}
    """

    head: Record = {}  # noqa: RUF012
    dense: tuple[Record, ...] = ()
    activations: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    folded: tuple[str, ...] = ()
    why: str = ''
    guessed: bool = False
    logits: bool = False


class _Unlike(Exception):
    """What stands above is no head; says why."""


def above(
    spare: dict[str, list[np.ndarray]],
    told: Graph | None,
    wanted: set[str],
    net: Net,
    top: Sequence[str] = (),
    loss: str = '',
) -> Above:
    """What lies above a network.

    Args:
        spare: {layer: arrays} of the file that the network does not ask for.
        told: graph of the saved model; None of weights alone.
        wanted: names of the network's own layers.
        net: the network.
        top: names of Keras's own layers above the features.
        loss: that the saved model was compiled with; '' where that is not told.

    >>> from tljax.zoo import identity
    >>> kernel = np.ones((3, 2), np.float32)
    >>> above({'mine': [kernel]}, None, set(), identity(3)).head['bias'].tolist()
    [0.0, 0.0]
    >>> above({'a': [kernel], 'b': [kernel]}, None, set(), identity(3)).why[:30]
    'the activations of a, b are no'
    """
    if not spare:
        return Above()
    try:
        if told is None:
            return _alone(spare, net.dim, top)
        return _stack(spare, _way(spare, told, wanted, net), told, net.dim, loss)
    except _Unlike as reason:
        return Above(why=str(reason))


def _alone(spare, dim, top):
    """The head in weights alone: what lies below another layer is none."""
    *_, name = spare
    if len(spare) > 1 and not set(spare) <= set(top):
        raise _Unlike(
            f'the activations of {abbreviated(spare, 4)} are not told by weights alone: take the '
            'whole saved model (model.save)'
        )
    return Above(_dense(name, spare, dim), names=(name,), guessed=not set(spare) <= set(top))


def _way(spare, told, wanted, net):
    """Names of the layers from the features to the output, lowest first."""
    if len(told.outputs) != 1:
        raise _Unlike(f'the model has {len(told.outputs)} outputs')
    way, (name,) = [], told.outputs
    while name in told.layers:
        layer = told.layers[name]
        if layer.kind == 'GlobalAveragePooling2D':
            _refuse_between(spare, told, wanted, net, name)
            return way[::-1]
        if name in wanted and layer.kind == 'Dense':  # VGG's own, a vector already
            return way[::-1]
        if name in wanted:
            break
        if len(layer.below) != 1 or layer.kind not in (*SILENT, *ELEMENTWISE, 'Dense', 'Conv2D'):
            raise _Unlike(f'{name}, of kind {layer.kind}, is not computed above a network')
        way.append(name)
        (name,) = layer.below
    raise _Unlike(
        f'{abbreviated(spare, 4)}: no linear head stands on the mean of the features over positions'
    )


def _refuse_between(spare, told, wanted, net, pooling):
    """Refuses what changes the features before their mean is taken."""
    under = told.under([pooling])
    name, inside = (
        pooling,
        [layer for layer in spare if layer in under]
        or [layer for layer in wanted if layer not in under][:1],
    )
    while not inside and len(told.layers[name].below) == 1:
        (name,) = told.layers[name].below
        if (
            name in wanted
            or name not in told.layers
            or any(re.fullmatch(own, f'{name}/kernel') for own in net.groups.values())
        ):
            break
        if told.layers[name].kind not in BETWEEN:
            inside = [name]
    if inside:
        raise _Unlike(f'{abbreviated(inside, 4)} between the network and the mean of its features')


def _stack(spare, way, told, dim, loss):
    """The dense layers on the way, with what scales and shifts between them folded in."""
    steps, scale, shift = [], np.ones(dim), np.zeros(dim)  # step: [name, kernel, bias, activation]
    for name in way:
        layer = told.layers[name]
        activation = _activation(name, layer)
        if layer.kind in ('Dense', 'Conv2D'):
            dense = _dense(name, spare, dim)
            kernel, bias = dense['kernel'].astype(np.float64), dense['bias'].astype(np.float64)
            steps.append([name, kernel * scale[:, None], bias + shift @ kernel, activation])
            dim = kernel.shape[1]
            scale, shift = np.ones(dim), np.zeros(dim)
        elif layer.kind == 'BatchNormalization':
            gain, offset = _normalisation(name, layer, spare, dim)
            if steps and steps[-1][3] == 'linear':
                steps[-1][1:3] = steps[-1][1] * gain, steps[-1][2] * gain + offset
            else:
                scale, shift = scale * gain, shift * gain + offset
        elif activation != 'linear':
            if not steps or steps[-1][3] != 'linear' or (scale != 1).any() or (shift != 0).any():
                raise _Unlike(f'{name} stands on no dense layer')
            steps[-1][3] = activation
    if not steps or (scale != 1).any() or (shift != 0).any():
        raise _Unlike(f'{abbreviated(way, 4)} ends with no dense layer')
    *below, (_, kernel, bias, activation) = steps
    _refuse_no_classes(activation, kernel.shape[1], loss)
    if unknown := [
        f'{each[0]} ({each[3]})' for each in below if activation_function(each[3]) is None
    ]:
        raise _Unlike(f'unknown activation of {abbreviated(unknown, 4)}')
    return Above(
        _single(kernel, bias),
        tuple(_single(*each[1:3]) for each in below),
        tuple(each[3] for each in below),
        tuple(each[0] for each in steps),
        tuple(name for name in way if told.layers[name].kind == 'BatchNormalization'),
        logits=activation == 'linear' and not tells_classes(loss),
    )


def _refuse_no_classes(activation, width, loss):
    """Refuses outputs that are no probabilities of classes, nor their logits."""
    if activation not in ('linear', 'softmax', 'sigmoid'):
        raise _Unlike(f'its outputs are those of {activation}, no probabilities')
    if activation == 'softmax' and width == 1:
        raise _Unlike('a softmax over its one output is 1 whatever the picture')
    if activation == 'linear' and tells_numbers(loss):
        raise _Unlike(f'it tells numbers, no classes: its loss is {loss}')
    if width > 1 and (activation == 'sigmoid' or activation == 'linear' and tells_labels(loss)):
        raise _Unlike(
            f'its {width} outputs are sigmoids of several labels, which a softmax would misread'
        )


def _activation(name: str, layer: Layer) -> str:
    """What a layer does to every number at last, as Keras names it."""
    if layer.kind == 'Softmax':
        return 'softmax' if layer.config.get('axis', -1) in (-1, [-1]) else '?'
    if layer.kind == 'ReLU':
        most, slope, threshold = (
            layer.config.get(key) for key in ('max_value', 'negative_slope', 'threshold')
        )
        if threshold or most not in (None, 6) or most and slope:
            return layer.kind
        return f'leaky_relu({slope})' if slope else 'relu' if most is None else 'relu6'
    if layer.kind == 'LeakyReLU':  # Keras 2 had another keyword
        return f'leaky_relu({layer.config.get("negative_slope", layer.config.get("alpha", 0.3))})'
    if layer.kind == 'ELU':
        return f'elu({layer.config.get("alpha", 1.0)})'
    said = layer.config.get('activation') or 'linear'
    if isinstance(said, dict) and isinstance(said.get('config'), dict):  # a layer in its place
        inner = Layer(str(said.get('class_name')), said['config'], ())
        return _activation(name, inner) if inner.kind in ELEMENTWISE else inner.kind
    return said if isinstance(said, str) else '?'


def _dense(name, spare, dim):
    """Kernel and bias of a dense layer, or a 1x1 convolution in its place, on `dim` features."""
    arrays: list[np.ndarray] = spare.get(name) or [np.zeros(())]
    kernel = arrays[0]
    fits = (
        kernel.ndim in (2, 4)
        and kernel.size == dim * kernel.shape[-1]
        and kernel.shape[-2] == dim
        and [each.shape for each in arrays[1:]] in ([], [kernel.shape[-1:]])
    )
    if any(each.dtype.kind != 'f' for each in arrays):
        raise _Unlike(f'{name} is quantised ({abbreviated(each.dtype for each in arrays)})')
    if not fits:
        shapes = abbreviated(('x'.join(map(str, each.shape)) for each in arrays), 4)
        raise _Unlike(f'{name} {shapes} does not fit on {dim} features')
    kernel = kernel.reshape(dim, -1)
    return _single(kernel, arrays[1] if arrays[1:] else np.zeros(kernel.shape[1]))


def _single(kernel, bias):
    with np.errstate(over='ignore'):
        return {'kernel': np.asarray(kernel, np.float32), 'bias': np.asarray(bias, np.float32)}


def _normalisation(name, layer, spare, dim):
    """(gain, offset) of a BatchNorm at rest."""
    arrays, epsilon = (
        [each.astype(np.float64) for each in spare.get(name, ())],
        layer.config.get('epsilon', 1e-3),
    )
    given = [layer.config.get('scale', True), layer.config.get('center', True), True, True]
    if (
        [each.shape for each in arrays] != [(dim,)] * sum(map(bool, given))
        or not isinstance(epsilon, int | float)
        or not 0 <= epsilon < 1
    ):
        raise _Unlike(f'{name} does not fit on {dim} features')
    ahead = iter(arrays)
    gamma, beta, mean, var = (
        next(ahead) if here else default
        for here, default in zip(given, (1.0, 0.0, 0.0, 1.0), strict=True)
    )
    with np.errstate(all='ignore'):  # what is not finite is found as such
        gain = gamma / np.sqrt(var + epsilon)
    return gain, beta - mean * gain
