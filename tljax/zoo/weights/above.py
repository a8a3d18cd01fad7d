"""The head of a network in a file: one linear layer on the features, or on dense layers above them.

A whole saved model has the path from its output down to the features, with the activations. Weights
alone do not: a single layer that fits on the features is then the head, and several layers give
none. BatchNorm on the path is folded into the dense layers, which changes only the rounding.
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

# Layers that leave a vector as it is at inference.
IDENTITIES = (
    'Dropout',
    'AlphaDropout',
    'GaussianDropout',
    'GaussianNoise',
    'ActivityRegularization',
    'Flatten',
    'Reshape',
)
# Layers that change each number of a vector separately.
ELEMENTWISE = ('Activation', 'ReLU', 'LeakyReLU', 'ELU', 'Softmax', 'BatchNormalization')
# Layers that may be between a network's last layer and the mean of its features.
BETWEEN = ('Activation', 'ReLU', 'Dropout', 'SpatialDropout2D', 'Concatenate', 'Add')


class Above(NamedTuple):
    """The layers above a network.

    Attributes:
        head: {'kernel': (dim, n), 'bias': (n,)}; {} for no head.
        dense: the dense layers between features and head, lowest first, in the same form.
        activations: activation of each of those dense layers.
        names: names in the file of `dense` and `head`.
        folded: names of the BatchNorm layers that are folded into them.
        why: why the layers above are no head; '' otherwise.
        guessed: whether the file tells neither the head's input nor its activation.
        logits: whether the outputs are linear, and no loss says that they are logits.
    """

    head: Record = {}  # noqa: RUF012
    dense: tuple[Record, ...] = ()
    activations: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    folded: tuple[str, ...] = ()
    why: str = ''
    guessed: bool = False
    logits: bool = False


class _NoHead(Exception):
    """The layers above the network are no head. The text is the reason."""


def above(
    extra_layers: dict[str, list[np.ndarray]],
    model: Graph | None,
    net_layers: set[str],
    net: Net,
    top: Sequence[str] = (),
    loss: str = '',
) -> Above:
    """Returns the layers above a network.

    Args:
        extra_layers: {layer: arrays} of the file's layers that are not the network's.
        model: graph of the saved model; None for weights alone.
        net_layers: names of the network's own layers.
        net: the network.
        top: names of Keras's own layers above the features.
        loss: name of the loss that the saved model was compiled with; '' for an unknown loss.

    >>> from tljax.zoo import identity
    >>> kernel = np.ones((3, 2), np.float32)
    >>> above({'mine': [kernel]}, None, set(), identity(3)).head['bias'].tolist()
    [0.0, 0.0]
    >>> above({'a': [kernel], 'b': [kernel]}, None, set(), identity(3)).why[:30]
    'the activations of a, b are no'
    """
    if not extra_layers:
        return Above()
    try:
        if model is None:
            return _head_of_weights(extra_layers, net.dim, top)
        path = _path_to_output(extra_layers, model, net_layers, net)
        return _head_of_model(extra_layers, path, model, net.dim, loss)
    except _NoHead as reason:
        return Above(why=str(reason))


def _head_of_weights(extra_layers, dim, top):
    """Returns the head in weights alone: the only layer, or the last of Keras's own layers."""
    is_keras_top = set(extra_layers) <= set(top)
    if len(extra_layers) > 1 and not is_keras_top:
        raise _NoHead(
            f'the activations of {abbreviated(extra_layers, 4)} are not told by weights alone: '
            'take the whole saved model (model.save)'
        )
    name = list(extra_layers)[-1]
    return Above(_dense(name, extra_layers, dim), names=(name,), guessed=not is_keras_top)


def _path_to_output(extra_layers, model, net_layers, net):
    """Returns the names of the layers from the features to the output, lowest first."""
    if len(model.outputs) != 1:
        raise _NoHead(f'the model has {len(model.outputs)} outputs')
    path, (name,) = [], model.outputs
    while name in model.layers:
        layer = model.layers[name]
        if layer.kind == 'GlobalAveragePooling2D':
            _refuse_between(extra_layers, model, net_layers, net, name)
            return path[::-1]
        if name in net_layers and layer.kind == 'Dense':  # VGG's fc2, whose output is a vector
            return path[::-1]
        if name in net_layers:
            break
        kinds = (*IDENTITIES, *ELEMENTWISE, 'Dense', 'Conv2D')
        if len(layer.below) != 1 or layer.kind not in kinds:
            raise _NoHead(f'{name}, of kind {layer.kind}, is not computed above a network')
        path.append(name)
        (name,) = layer.below
    raise _NoHead(
        f'{abbreviated(extra_layers, 4)}: no linear head stands on the mean of the features over '
        'positions'
    )


def _refuse_between(extra_layers, model, net_layers, net, pooling):
    """Refuses layers that change the features before their mean is taken."""
    under = model.under([pooling])
    layers = [layer for layer in extra_layers if layer in under]
    if not layers:  # or the mean is of other features
        layers = [layer for layer in net_layers if layer not in under][:1]
    name = pooling
    while not layers and len(model.layers[name].below) == 1:
        (name,) = model.layers[name].below
        if (
            name in net_layers
            or name not in model.layers
            or any(re.fullmatch(pattern, f'{name}/kernel') for pattern in net.groups.values())
        ):
            break
        if model.layers[name].kind not in BETWEEN:
            layers = [name]
    if layers:
        raise _NoHead(f'{abbreviated(layers, 4)} between the network and the mean of its features')


class _DenseLayer(NamedTuple):  # in float64
    name: str
    kernel: np.ndarray
    bias: np.ndarray
    activation: str


def _head_of_model(extra_layers, path, model, dim, loss):
    """Returns the dense layers on the path of a saved model; the last of them is the head."""
    layers = _folded_layers(extra_layers, path, model, dim)
    *below, head = layers
    _refuse_no_classes(head.activation, head.kernel.shape[1], loss)
    unknown = [layer for layer in below if activation_function(layer.activation) is None]
    if unknown:
        names = [f'{layer.name} ({layer.activation})' for layer in unknown]
        raise _NoHead(f'unknown activation of {abbreviated(names, 4)}')
    return Above(
        head=_float32(head.kernel, head.bias),
        dense=tuple(_float32(layer.kernel, layer.bias) for layer in below),
        activations=tuple(layer.activation for layer in below),
        names=tuple(layer.name for layer in layers),
        folded=tuple(name for name in path if model.layers[name].kind == 'BatchNormalization'),
        logits=head.activation == 'linear' and not tells_classes(loss),
    )


def _folded_layers(extra_layers, path, model, dim):
    """Returns the dense layers on the path, with every BatchNorm folded into one of them.

    A BatchNorm on a linear dense layer is folded into that layer. Any other BatchNorm is kept as
    `scale` and `shift`, and folded into the next dense layer.
    """
    layers, scale, shift = [], np.ones(dim), np.zeros(dim)
    for name in path:
        layer = model.layers[name]
        activation = _activation(layer)
        is_pending = (scale != 1).any() or (shift != 0).any()
        is_linear = bool(layers) and layers[-1].activation == 'linear'
        if layer.kind in ('Dense', 'Conv2D'):
            dense = _dense(name, extra_layers, dim)
            kernel, bias = dense['kernel'].astype(np.float64), dense['bias'].astype(np.float64)
            bias, kernel = bias + shift @ kernel, kernel * scale[:, None]
            layers.append(_DenseLayer(name, kernel, bias, activation))
            dim = kernel.shape[1]
            scale, shift = np.ones(dim), np.zeros(dim)
        elif layer.kind == 'BatchNormalization':
            gain, offset = _normalisation(name, layer, extra_layers, dim)
            if is_linear:
                kernel, bias = layers[-1].kernel * gain, layers[-1].bias * gain + offset
                layers[-1] = layers[-1]._replace(kernel=kernel, bias=bias)
            else:
                scale, shift = scale * gain, shift * gain + offset
        elif activation != 'linear':
            if not is_linear or is_pending:
                raise _NoHead(f'{name} stands on no dense layer')
            layers[-1] = layers[-1]._replace(activation=activation)
    if not layers or (scale != 1).any() or (shift != 0).any():
        raise _NoHead(f'{abbreviated(path, 4)} ends with no dense layer')
    return layers


def _refuse_no_classes(activation, width, loss):
    """Refuses outputs that are neither probabilities of classes nor logits."""
    if activation not in ('linear', 'softmax', 'sigmoid'):
        raise _NoHead(f'its outputs are those of {activation}, no probabilities')
    if activation == 'softmax' and width == 1:
        raise _NoHead('a softmax over its one output is 1 whatever the picture')
    if activation == 'linear' and tells_numbers(loss):
        raise _NoHead(f'it tells numbers, no classes: its loss is {loss}')
    if width > 1 and (activation == 'sigmoid' or activation == 'linear' and tells_labels(loss)):
        raise _NoHead(
            f'its {width} outputs are sigmoids of several labels, which a softmax would misread'
        )


def _activation(layer: Layer) -> str:
    """Returns the name of a layer's activation, or a name that no activation function has."""
    if layer.kind == 'Softmax':
        return 'softmax' if layer.config.get('axis', -1) in (-1, [-1]) else '?'
    if layer.kind == 'ReLU':
        return _relu(layer.config)
    if layer.kind == 'LeakyReLU':  # Keras 2 had another keyword
        return f'leaky_relu({layer.config.get("negative_slope", layer.config.get("alpha", 0.3))})'
    if layer.kind == 'ELU':
        return f'elu({layer.config.get("alpha", 1.0)})'
    activation = layer.config.get('activation') or 'linear'
    if isinstance(activation, dict) and isinstance(activation.get('config'), dict):
        inner = Layer(str(activation.get('class_name')), activation['config'], ())
        return _activation(inner) if inner.kind in ELEMENTWISE else inner.kind
    return activation if isinstance(activation, str) else '?'


def _relu(config):
    """Returns the name of the activation of a ReLU layer."""
    limit, slope = config.get('max_value'), config.get('negative_slope')
    if config.get('threshold') or limit not in (None, 6) or limit and slope:
        return 'ReLU'
    if slope:
        return f'leaky_relu({slope})'
    return 'relu' if limit is None else 'relu6'


def _dense(name, extra_layers, dim):
    """Returns kernel and bias of a dense layer, or of a 1x1 convolution, on `dim` features."""
    arrays: list[np.ndarray] = extra_layers.get(name) or [np.zeros(())]
    kernel = arrays[0]
    fits = (
        kernel.ndim in (2, 4)
        and kernel.size == dim * kernel.shape[-1]
        and kernel.shape[-2] == dim
        and [array.shape for array in arrays[1:]] in ([], [kernel.shape[-1:]])
    )
    if any(array.dtype.kind != 'f' for array in arrays):
        raise _NoHead(f'{name} is quantised ({abbreviated(array.dtype for array in arrays)})')
    if not fits:
        shapes = abbreviated(('x'.join(map(str, array.shape)) for array in arrays), 4)
        raise _NoHead(f'{name} {shapes} does not fit on {dim} features')
    kernel = kernel.reshape(dim, -1)
    return _float32(kernel, arrays[1] if arrays[1:] else np.zeros(kernel.shape[1]))


def _float32(kernel, bias):
    with np.errstate(over='ignore'):
        return {'kernel': np.asarray(kernel, np.float32), 'bias': np.asarray(bias, np.float32)}


def _normalisation(name, layer, extra_layers, dim):
    """Returns (gain, offset) of a BatchNorm at inference."""
    arrays = [array.astype(np.float64) for array in extra_layers.get(name, ())]
    epsilon = layer.config.get('epsilon', 1e-3)
    has_scale, has_centre = layer.config.get('scale', True), layer.config.get('center', True)
    shapes = [(dim,)] * (2 + bool(has_scale) + bool(has_centre))
    is_small = isinstance(epsilon, int | float) and 0 <= epsilon < 1
    if [array.shape for array in arrays] != shapes or not is_small:
        raise _NoHead(f'{name} does not fit on {dim} features')
    gamma = arrays.pop(0) if has_scale else 1.0
    beta = arrays.pop(0) if has_centre else 0.0
    mean, var = arrays
    with np.errstate(all='ignore'):  # a gain that is not finite is refused later
        gain = gamma / np.sqrt(var + epsilon)
    return gain, beta - mean * gain
