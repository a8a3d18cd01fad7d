"""Reads Keras weights into parameters of the zoo's networks.

Layers are matched by name. The arrays of a layer are matched by their order, which is the same in
all layouts (`hdf5`): kernel, bias; or gamma, beta, moving mean, moving variance.

A file may have more layers than the network:

- Layers before the network are left out (`inputs`).
- Layers above the network are left out, or become its head (`above`). A layer is above the network
  if none of the network's layers can depend on it. The graph of a whole saved model decides that,
  or the order of the layers in weights alone. Where weights have no order, a layer with an array of
  more than two axes (a convolution) may be anywhere, and any other layer is above.
- Any other layer means that the file is of another network. So does a layer that continues the
  network's names, as conv_dw_14 continues conv_dw_13: the file is of a deeper network of the
  family. Dense layers are exempt from that.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from tljax.core import Net, UserError, abbreviated
from tljax.paths import flatten
from tljax.protocols import Config, Record
from tljax.zoo.table import ROWS
from tljax.zoo.weights import names
from tljax.zoo.weights.above import Above, above
from tljax.zoo.weights.graph import Graph, graph
from tljax.zoo.weights.hdf5 import Stored, read
from tljax.zoo.weights.inputs import before, enters, unlike, without_preprocessing
from tljax.zoo.weights.loaded import Loaded
from tljax.zoo.weights.training import loss_of

# Order in which Keras stores the arrays of a layer.
ORDER = (
    'depthwise_kernel',
    'pointwise_kernel',
    'kernel',
    'scale',
    'gamma',
    'bias',
    'mean',
    'var',
)
# Names that Keras gives to layers without a name.
AUTOMATIC = re.compile(r'((?:separable_|depthwise_)?conv2d|batch_normalization)(?:_(\d+))?')


def load(
    path: str | Path,
    net: Net,
    size: int,
    top: Sequence[str] = (),
    published: dict[str, str] | None = None,
) -> Loaded:
    """Reads parameters and statistics of a network from a Keras file.

    Args:
        path: path of the file.
        net: a network of the zoo.
        size: side of the inputs that set the shapes of the parameters, pixels.
        top: names of Keras's own layers above the features.
        published: {name in the published file: name here} of layers that the published file names
            otherwise than Keras's code.

    Raises:
        UserError: as `hdf5.read`; for weights of another network, with the layers that the file
            lacks, those that the network does not have, and the shapes that differ; for quantised
            layers, and for numbers that are not finite.

    >>> from tljax.zoo.families.mobilenet import mobilenet
    >>> load('nowhere.h5', mobilenet(alpha=0.25), size=224)
    Traceback (most recent call last):
    tljax.core.UserError: nowhere.h5 does not exist: name a Keras weights file (.h5, .keras)
    """
    stored = read(path)
    shapes = jax.eval_shape(
        net.init, jax.random.key(0), jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    )
    paths = [flatten(tree) for tree in shapes]
    net_layers = _layers([*paths[0].items(), *paths[1].items()])
    model, row = graph(stored.config), ROWS.get(net.published.get('name', ''))
    new_names = {**(published or {})}
    if row and row.weights:
        new_names |= names.keras_names(stored.layers, row.module, list(shapes[0]))
    stored, model = _rename_layers(stored, model, net_layers, new_names, net.dim)
    stored = without_preprocessing(stored, row.mode if row else 'tf')
    first = before(stored, model, net_layers, net.dim)
    extra_layers = {
        layer: arrays
        for layer, arrays in stored.layers.items()
        if layer not in net_layers and layer not in first
    }
    unexpected = [layer for layer in extra_layers if layer not in top]
    arrays = _net_arrays(path, stored, model, net_layers, unexpected)
    params, state = (
        unflatten_dict(
            {path: arrays[layer_of(path)][path.split('/')[-1]] for path in tree}, sep='/'
        )
        for tree in paths
    )
    top_layers = above(extra_layers, model, set(net_layers), net, top, loss_of(stored.training))
    if first and top_layers.head:
        top_layers = Above(why=f'{abbreviated(first, 4)} before the network changes its inputs')
    dense = (*top_layers.dense, top_layers.head)
    _refuse_not_finite(path, dict(zip(top_layers.names, dense, strict=False)))
    head = {'head': _softmax_head(**top_layers.head)} if top_layers.head else {}
    mode = row.mode if row else 'tf'
    return Loaded(
        params={'backbone': params, **head},
        state={'backbone': state},
        above=top_layers,
        spare=tuple(extra_layers),
        shape=model.shape if model else (),
        prepared=unlike(model, net_layers, first, mode),
        before=tuple(first),
    )


def _layers(leaves):
    """Returns {layer: {name: leaf}} of pairs (path, leaf)."""
    layers = {}
    for path, leaf in leaves:
        layers.setdefault(layer_of(path), {})[path.split('/')[-1]] = leaf
    return layers


def layer_of(path: str) -> str:
    """Returns the layer of a parameter: its path without the last name.

    Args:
        path: path of the parameter in the network.

    >>> layer_of('blocks.0.0/conv_dw/kernel')
    'blocks.0.0/conv_dw'
    """
    return path.rpartition('/')[0]


def _net_arrays(path, stored, model, net_layers, others):
    """Returns {layer: {name: array}} of the network's layers, and refuses another network's file.

    `others` are names of layers that are neither the network's nor Keras's own above it.
    """
    layers = stored.layers
    _refuse_quantised(path, {layer: layers[layer] for layer in net_layers if layer in layers})
    arrays, mismatches = {}, []
    for layer, leaves in net_layers.items():
        if layer in layers:
            arrays[layer], mismatch = _match(layer, leaves, layers[layer])
            mismatches += mismatch
    absent_layers = [layer for layer in net_layers if layer not in layers]
    has_graph = model and all(layer in model.layers for layer in net_layers)
    under = model.under(net_layers) if has_graph else None
    if not absent_layers:
        others = [
            layer for layer in others if _of_another_network(layer, stored, under, net_layers)
        ]
    reasons = {
        'it lacks': absent_layers,
        'it has, unasked for,': others,
        'shapes differ at': mismatches,
    }
    texts = [f'{reason} {abbreviated(names, 8)}' for reason, names in reasons.items() if names]
    if texts:
        raise UserError(
            f'{path} holds the weights of another network or width ({"; ".join(texts)}): name the '
            'one it was made for'
        )
    _refuse_not_finite(path, arrays)
    return arrays


def _refuse_quantised(path, layers):
    names = [
        f'{layer} {arrays[0].dtype}'
        for layer, arrays in layers.items()
        if arrays[0].dtype.kind != 'f'
    ]
    if names:
        raise UserError(
            f'{path} holds quantised layers ({abbreviated(names, 8)}): name the file from before '
            'that'
        )


def _rename_layers(
    stored: Stored, model: Graph | None, net_layers: Record, published: Config, dim: int
) -> tuple[Stored, Graph | None]:
    """Gives the layers the zoo's names."""
    new_names = published
    if any(map(AUTOMATIC.fullmatch, net_layers)):
        new_names = {**_renumbered(stored.layers, dim), **published}

    def rename(names):
        return tuple(new_names.get(name, name) for name in names)

    layers = dict(zip(rename(stored.layers), stored.layers.values(), strict=True))
    place = dict(zip(rename(stored.place), stored.place.values(), strict=True))
    if model:
        nodes = [layer._replace(below=rename(layer.below)) for layer in model.layers.values()]
        model = model._replace(
            layers=dict(zip(rename(model.layers), nodes, strict=True)),
            outputs=rename(model.outputs),
        )
    return stored._replace(layers=layers, place=place), model


def _renumbered(layers, dim):
    """Returns new names of the layers that Keras named automatically (conv2d, conv2d_7).

    Keras's numbers depend on the layers made before in its session. The new numbers count from one,
    in the file's own order. A layer before the network gets a name that no other layer has.
    """
    automatic, names = {}, {}
    for name, arrays in layers.items():
        match = AUTOMATIC.fullmatch(name)
        if match and enters([array.shape for array in arrays], dim):
            names[name] = f"{name} (the file's)"
        elif match:
            automatic.setdefault(match[1], []).append((int(match[2] or 0), name))
    for kind, members in automatic.items():
        for rank, (_, name) in enumerate(sorted(members), 1):
            names[name] = f'{kind}_{rank}'
    return names


def _of_another_network(
    layer: str, stored: Stored, under: set[str] | None, net_layers: Record
) -> bool:
    """Tells whether a layer that is not the network's may be below the network's last layer, or is
    of a deeper network of the family.

    `under` are the layers that the network depends on, or None where no graph tells.
    """
    axes, name = stored.layers[layer][0].ndim, layer.rsplit('/', 1)[-1]
    has_own_number = axes != 2 and not AUTOMATIC.fullmatch(name)
    if name in net_layers:
        return True
    if has_own_number and _without_numbers(name) in map(_without_numbers, net_layers):
        return True
    if under is not None:
        return layer in under
    place = stored.place.get(layer, 0)
    last = max((stored.place.get(net_layer, 0) for net_layer in net_layers), default=0)
    return place < last or place == last and axes > 2


def _without_numbers(name):
    return re.sub(r'\d+', '#', name)


def _softmax_head(kernel, bias):
    """Returns a head for a softmax, with two outputs or more.

    A single output z is the log-odds of the second of two classes. The head then has the outputs
    [0, z], because softmax([0, z]) is [1 - sigmoid(z), sigmoid(z)].
    """
    if kernel.shape[1] > 1:
        return {'kernel': kernel, 'bias': bias}
    return {
        'kernel': np.concatenate([np.zeros_like(kernel), kernel], 1),
        'bias': np.concatenate([np.zeros_like(bias), bias]),
    }


def _match(layer, leaves, arrays):
    """Returns {name: array} of a layer, and a list of the shapes that do not fit.

    Axes of length one may be at other places: Keras's depthwise kernels have theirs last.
    """
    names = sorted(leaves, key=ORDER.index)
    net_shapes = [tuple(leaves[name].shape) for name in names]
    file_shapes = [array.shape for array in arrays]
    if [_squeeze(shape) for shape in net_shapes] != [_squeeze(shape) for shape in file_shapes]:
        return {}, [f'{layer} {_shape_text(file_shapes)} for {_shape_text(net_shapes)}']
    return {
        name: np.asarray(array, np.float32).reshape(shape)
        for name, array, shape in zip(names, arrays, net_shapes, strict=True)
    }, []


def _squeeze(shape):
    return tuple(length for length in shape if length > 1)


def _shape_text(shapes):
    return ', '.join('x'.join(map(str, shape)) or 'scalar' for shape in shapes)


def _refuse_not_finite(path, layers):
    names = []
    for layer, leaves in layers.items():
        names += [f'{layer}/{name}' for name, leaf in leaves.items() if not np.isfinite(leaf).all()]
    if names:
        raise UserError(
            f'{path} holds numbers that are not finite, at {abbreviated(names, 8)}: copy or '
            'download it again'
        )
