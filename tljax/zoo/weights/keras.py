"""Keras weights -> parameters of the zoo's networks.

Layers are matched by name, the arrays of a layer by their order, which all layouts (`hdf5`) share:
kernel, bias; or gamma, beta, moving mean, moving variance. A network may be a part of what a file
holds: what lies above it is left, or taken as its head (`above`).

What a network does not ask for lies above it only if nothing of it can stand on that. A whole saved
model tells so by its graph, weights alone by the order of their layers. Where they have none, an
array of more than two axes (a convolution) may be anywhere, and any other layer lies above. What
the network stands on lies before it, and is left (`inputs`). What continues the network's own
names, as conv_dw_14 does after conv_dw_13, is of a deeper network of the family, wherever it
stands, unless it is dense.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tljax.core import Net, UserError, abbreviated
from tljax.protocols import Config, Record, Tree
from tljax.zoo.table import ROWS
from tljax.zoo.weights.above import Above, above
from tljax.zoo.weights.graph import Graph, graph
from tljax.zoo.weights.hdf5 import Stored, read
from tljax.zoo.weights.inputs import before, enters, unlike
from tljax.zoo.weights.training import loss_of

# The order of a layer's arrays, as Keras stores them; names that Keras gives by itself.
ORDER = ('depthwise_kernel', 'pointwise_kernel', 'kernel', 'scale', 'bias', 'mean', 'var')
AUTOMATIC = re.compile(r'((?:separable_|depthwise_)?conv2d|batch_normalization)(?:_(\d+))?')


class Loaded(NamedTuple):
    """What a network takes from a file.

    Attributes:
        params: {'backbone': ...}, NumPy, float32, and 'head', {'kernel': (dim, n), 'bias': (n,)},
            where the file has one that is a linear layer on the features, or on `above.dense`.
        state: {'backbone': ...}.
        above: what lies above the network.
        spare: names of the file's layers above the network.
        shape: of the inputs, as a whole saved model tells it; () where it does not.
        prepared: names of the layers without weights before the network that may change pictures
            otherwise than the network's own preprocessing.
        before: names of the layers with weights before the network; there is no head on it then.

    >>> Loaded({'backbone': {}}, {'backbone': {}}, Above(), ('dense',), (), (), ()).spare
    ('dense',)
    """

    params: Tree
    state: Tree
    above: Above
    spare: tuple[str, ...]
    shape: tuple[int | None, ...]
    prepared: tuple[str, ...]
    before: tuple[str, ...]


def load(
    path: str | Path,
    net: Net,
    size: int,
    top: Sequence[str] = (),
    published: dict[str, str] | None = None,
) -> Loaded:
    """Parameters and statistics of a network from a Keras file.

    Args:
        path: of the file.
        net: a network of the zoo.
        size: of the inputs that its shapes are made with, pixels.
        top: names of Keras's own layers above the features.
        published: {name: ours} of layers whose names in the published files are older than Keras's
            code.

    Returns:
        What the network takes, and what lies above it.

    Raises:
        UserError: as `hdf5.read`; for weights of another network, with what is missing, what is too
            much and which shapes differ; for numbers that are not finite, and quantised ones.

    >>> from tljax.zoo.families.mobilenet import mobilenet
    >>> load('nowhere.h5', mobilenet(alpha=0.25), size=224)
    Traceback (most recent call last):
    tljax.core.UserError: nowhere.h5 does not exist: name a Keras weights file (.h5, .keras)
    """
    stored = read(path)
    shapes = jax.eval_shape(
        net.init, jax.random.key(0), jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    )
    wanted = {
        layer: {**shapes[0].get(layer, {}), **shapes[1].get(layer, {})}
        for layer in {**shapes[0], **shapes[1]}
    }
    told = graph(stored.config)
    stored, told = _in_our_names(stored, told, wanted, published or {}, net.dim)
    first = before(stored, told, wanted, net.dim)
    spare = [layer for layer in stored.layers if layer not in wanted and layer not in first]
    found = _found(path, stored, told, wanted, [layer for layer in spare if layer not in top])
    params, state = (
        {layer: {name: found[layer][name] for name in leaves} for layer, leaves in tree.items()}
        for tree in shapes
    )
    known = above(
        {layer: stored.layers[layer] for layer in spare},
        told,
        set(wanted),
        net,
        top,
        loss_of(stored.training),
    )
    if first and known.head:
        known = Above(why=f'{abbreviated(first, 4)} before the network changes its inputs')
    head = {'head': _two_classes(**known.head)} if known.head else {}
    _refuse_not_finite(path, dict(zip(known.names, (*known.dense, known.head), strict=False)))
    mode = ROWS[net.published['name']].mode if net.published else 'tf'
    return Loaded(
        {'backbone': params, **head},
        {'backbone': state},
        known,
        tuple(spare),
        told.shape if told else (),
        unlike(told, wanted, first, mode),
        tuple(first),
    )


def _found(path, stored, told, wanted, spare):
    """{layer: {name: array}} of what a network asks for, after a check that the file is of it."""
    layers = stored.layers
    if quantised := [
        f'{layer} {layers[layer][0].dtype}'
        for layer in wanted
        if layer in layers and layers[layer][0].dtype.kind != 'f'
    ]:
        raise UserError(
            f'{path} holds quantised layers ({abbreviated(quantised, 8)}): name the file from '
            'before that'
        )
    found, differ = {}, []
    for layer, leaves in wanted.items():
        if layer in layers:
            found[layer], unlike = _match(layer, leaves, layers[layer])
            differ += unlike
    missing = [layer for layer in wanted if layer not in layers]
    within = told.under(wanted) if told and all(layer in told.layers for layer in wanted) else None
    others = [
        layer for layer in spare if missing or _of_another_network(layer, stored, within, wanted)
    ]
    reasons = {'it lacks': missing, 'it has, unasked for,': others, 'shapes differ at': differ}
    wrong = [f'{what} {abbreviated(names, 8)}' for what, names in reasons.items() if names]
    if wrong:
        raise UserError(
            f'{path} holds the weights of another network or width ({"; ".join(wrong)}): name the '
            'one it was made for'
        )
    _refuse_not_finite(path, found)
    return found


def _in_our_names(
    stored: Stored, told: Graph | None, wanted: Record, published: Config, dim: int
) -> tuple[Stored, Graph | None]:
    """The same with the zoo's names of layers."""
    new = published
    if any(map(AUTOMATIC.fullmatch, wanted)):
        new = {**_renumbered(stored.layers, dim), **published}

    def ours(names):
        return tuple(new.get(name, name) for name in names)

    layers, place = (dict(zip(ours(each), each.values(), strict=True)) for each in stored[:2])
    if told:
        nodes = [layer._replace(below=ours(layer.below)) for layer in told.layers.values()]
        told = told._replace(
            layers=dict(zip(ours(told.layers), nodes, strict=True)), outputs=ours(told.outputs)
        )
    return stored._replace(layers=layers, place=place), told


def _renumbered(layers, dim):
    """Layers that Keras named itself (conv2d, conv2d_7) count from one in the file's own order,
    however many came before in its session; one that stands before the network does not."""
    automatic, first = {}, {}
    for name, arrays in layers.items():
        if enters([array.shape for array in arrays], dim) and AUTOMATIC.fullmatch(name):
            first[name] = f"{name} (the file's)"  # no other layer bears that
        elif match := AUTOMATIC.fullmatch(name):
            automatic.setdefault(match[1], []).append((int(match[2] or 0), name))
    return first | {
        name: f'{kind}_{rank}'
        for kind, names in automatic.items()
        for rank, (_, name) in enumerate(sorted(names), 1)
    }


def _of_another_network(
    layer: str, stored: Stored, within: set[str] | None, wanted: Record
) -> bool:
    """Whether a layer that a network does not ask for may lie below its last layer, or is of a
    deeper network of its family; `within` are the layers that the network's own stand on,
    None where no graph tells them."""
    axes, name = stored.layers[layer][0].ndim, layer.rsplit('/', 1)[-1]
    numbered = axes != 2 and not AUTOMATIC.fullmatch(name)
    if name in wanted or numbered and _numberless(name) in map(_numberless, wanted):
        return True
    if within is not None:
        return layer in within
    last = max((stored.place.get(each, 0) for each in wanted), default=0)
    return stored.place.get(layer, 0) < last or stored.place.get(layer, 0) == last and axes > 2


def _numberless(name):
    return re.sub(r'\d+', '#', name)


def _two_classes(kernel, bias):
    """A head for a softmax. One output is the log-odds of the second of two classes:
    softmax([0, z]) is [1 - sigmoid(z), sigmoid(z)]."""
    if kernel.shape[1] > 1:
        return {'kernel': kernel, 'bias': bias}
    return {
        'kernel': np.concatenate([np.zeros_like(kernel), kernel], 1),
        'bias': np.concatenate([np.zeros_like(bias), bias]),
    }


def _match(layer, leaves, arrays):
    """({name: array}, [what does not fit]) of a layer; axes of length one may stand elsewhere
    (Keras has a depthwise kernel's last)."""
    names = sorted(leaves, key=ORDER.index)
    ours, theirs = [tuple(leaves[name].shape) for name in names], [array.shape for array in arrays]
    squeezed = [[tuple(n for n in shape if n > 1) for shape in shapes] for shapes in (ours, theirs)]
    if squeezed[0] != squeezed[1]:
        return {}, [f'{layer} {_shapes(theirs)} for {_shapes(ours)}']
    return {
        name: np.asarray(array, np.float32).reshape(shape)
        for name, array, shape in zip(names, arrays, ours, strict=True)
    }, []


def _refuse_not_finite(path, found):
    arrays = {
        f'{layer}/{name}': array
        for layer, leaves in found.items()
        for name, array in leaves.items()
    }
    if bad := [name for name, array in arrays.items() if not np.isfinite(array).all()]:
        raise UserError(
            f'{path} holds numbers that are not finite, at {abbreviated(bad, 8)}: copy or download '
            'it again'
        )


def _shapes(shapes):
    return ', '.join('x'.join(map(str, shape)) or 'scalar' for shape in shapes)
