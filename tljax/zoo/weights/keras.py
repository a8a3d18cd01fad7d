"""Keras weights in HDF5 -> parameters of the zoo's networks.

Three layouts are read: the legacy weights file (groups named after layers), the full saved model (the same under `model_weights`), and
Keras 3's `.weights.h5` (groups named after classes, the layer's name beside its numbers). Layers are matched by name, the arrays of a
layer by their order, which all three share: kernel, bias; or gamma, beta, moving mean, moving variance.
"""
import json
import re
from collections.abc import Sequence
from pathlib import Path

import h5py
import jax
import jax.numpy as jnp
import numpy as np

from tljax.core import Net, Refused, short
from tljax.files.console import say

ORDER = ('depthwise_kernel', 'pointwise_kernel', 'kernel', 'scale', 'bias', 'mean', 'var')   # of a layer's arrays, as Keras stores them


def read(path: str | Path) -> dict[str, list[np.ndarray]]:
    """The arrays of every layer that has any: {layer: [array, ...]}.

    Raises:
        Refused: for a missing file, one that is no HDF5 or a damaged one, and one that holds no layers.

    >>> import tempfile
    >>> with h5py.File(path := Path(tempfile.mkdtemp(), 'toy.h5'), 'w') as file:
    ...     file.attrs['layer_names'] = [b'dense']
    ...     file.create_group('dense').attrs['weight_names'] = [b'dense/kernel:0']
    ...     file['dense/dense/kernel:0'] = np.ones((2, 3), 'f')
    >>> {layer: [array.shape for array in arrays] for layer, arrays in read(path).items()}
    {'dense': [(2, 3)]}
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise Refused(f'{path} does not exist: name a Keras weights file (.h5)')
    try:
        with h5py.File(path, 'r') as file:
            root = file.get('model_weights', file)
            layers = _by_name(root) if 'layer_names' in root.attrs else _by_class(root)
    except Refused as refused:
        raise Refused(f'{path} {refused}') from None
    except Exception as error:   # HDF5's library reports damage as many kinds of error, in long texts
        reason = 'no HDF5 file' if not h5py.is_hdf5(path) else f'cut off or damaged ({str(error).splitlines()[0][:100]})'
        raise Refused(f'{path} is {reason}: copy or download it again') from error
    layers = _renumbered(layers)
    if not layers:
        raise Refused(f'{path} holds no layers with weights: name a file that Keras\'s save_weights or save wrote')
    return layers


def _by_name(root):
    layers = {}
    for layer in map(_text, root.attrs['layer_names']):
        names = [_text(name) for name in root[layer].attrs['weight_names']]
        inner = [name.split('/')[-2] if '/' in name else layer for name in names]
        if len(set(inner)) == 1:
            inner = [layer] * len(names)
        for name, place in zip(names, inner, strict=True):   # a model within the model is one layer, whose weights tell those inside
            layers.setdefault(place, []).append(np.asarray(root[layer][name]))
    return layers


def _by_class(root):
    layers = {}

    def visit(name, group):
        if isinstance(group, h5py.Group) and name.endswith('vars') and len(group) and not re.search('optimizer|seed_generator', name):
            if 'name' not in group.attrs:
                raise Refused('does not tell the names of its layers, as early versions of Keras 3 did not: load and save it again '
                              'with Keras 3.7 or newer')
            layers[_text(group.attrs['name'])] = [np.asarray(group[str(i)]) for i in range(len(group))]

    root.visititems(visit)
    return layers


def _renumbered(layers):
    """Layers that Keras named itself (conv2d, conv2d_7) count from one in the file's own order, however many came before in its session."""
    automatic = {}
    for name in layers:
        if match := re.fullmatch(r'(conv2d|batch_normalization|separable_conv2d|depthwise_conv2d)(?:_(\d+))?', name):
            automatic.setdefault(match[1], []).append((int(match[2] or 0), name))
    new = {name: f'{kind}_{rank}' for kind, names in automatic.items() for rank, (_, name) in enumerate(sorted(names), 1)}
    return {new.get(name, name): arrays for name, arrays in layers.items()}


def _text(name):
    return name.decode() if isinstance(name, bytes) else str(name)


def load(path: str | Path, net: Net, size: int, top: Sequence[str] = (),
         published: dict[str, str] | None = None) -> tuple[dict, dict]:
    """Parameters and statistics of a network from a Keras file.

    Args:
        path: of the file.
        net: a network of the zoo.
        size: of the inputs that its shapes are made with, pixels.
        top: names of the layers above the features that a file may have; a single layer of another
            name above them is taken for a new head.
        published: {name: ours} of layers whose names in the published files are older than Keras's
            code.

    Returns:
        (params, state): {'backbone': ..., 'head': {'kernel': (dim, n), 'bias': (n,)}} and {'backbone': ...}, NumPy, float32; no 'head'
        where the file has no layer for it, or one whose outputs are sigmoids of several labels. A
        head of one output becomes one of two classes.

    Raises:
        Refused: as `read`; for weights of another network, with what is missing, what is too much and which shapes differ; for numbers
            that are not finite.

    >>> from tljax.zoo.families.mobilenet import mobilenet
    >>> load('nowhere.h5', mobilenet(alpha=.25), size=224)
    Traceback (most recent call last):
    tljax.core.Refused: nowhere.h5 does not exist: name a Keras weights file (.h5)
    """
    layers = {(published or {}).get(layer, layer): arrays for layer, arrays in read(path).items()}
    shapes = jax.eval_shape(net.init, jax.random.key(0), jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32))
    wanted = {layer: {**shapes[0].get(layer, {}), **shapes[1].get(layer, {})} for layer in {**shapes[0], **shapes[1]}}
    missing = [layer for layer in wanted if layer not in layers]
    spare = {layer: arrays for layer, arrays in layers.items() if layer not in wanted}
    heads = [layer for layer in [*spare][-1:] if _fits_head(spare[layer], net.dim)]   # what lies below another layer is no head
    extra = [] if len(spare) == 1 and heads else [layer for layer in spare if layer not in top]
    found, differ = {}, []
    for layer, leaves in wanted.items():
        if layer in layers:
            found[layer], unlike = _match(layer, leaves, layers[layer])
            differ += unlike
    told = {'it lacks': missing, 'it has, unasked for,': extra, 'shapes differ at': differ}
    wrong = [f'{what} {short(names, 8)}' for what, names in told.items() if names]
    if wrong:
        raise Refused(f'{path} holds the weights of another network or width ({"; ".join(wrong)}): name the one it was made for')
    bad = [f'{layer}/{name}' for layer, leaves in found.items() for name, array in leaves.items() if not np.isfinite(array).all()]
    if bad:
        raise Refused(f'{path} holds numbers that are not finite, at {short(bad, 8)}: copy or download it again')
    params, state = ({layer: {name: found[layer][name] for name in leaves} for layer, leaves in tree.items()} for tree in shapes)
    if not heads:
        return {'backbone': params}, {'backbone': state}
    kernel, *bias = spare[heads[-1]]
    kernel = kernel.reshape(net.dim, -1).astype(np.float32)
    bias = bias[0].astype(np.float32) if bias else np.zeros(kernel.shape[1], np.float32)
    if kernel.shape[1] > 1 and activation(path, heads[-1]) == 'sigmoid':
        say(f'{path}: its {kernel.shape[1]} outputs are sigmoids of several labels, which a softmax would misread: they are left')
        return {'backbone': params}, {'backbone': state}
    return {'backbone': params, 'head': _two_classes(kernel, bias, path)}, {'backbone': state}


def _two_classes(kernel, bias, path):
    """A head for a softmax. One output is the log-odds of the second of two classes: softmax([0, z]) is [1 - sigmoid(z), sigmoid(z)]."""
    if kernel.shape[1] > 1:
        return {'kernel': kernel, 'bias': bias}
    say(f'{path} has one output: it is taken for the log-odds of the second of two classes, as a sigmoid does')
    return {'kernel': np.concatenate([np.zeros_like(kernel), kernel], 1), 'bias': np.concatenate([np.zeros_like(bias), bias])}


def activation(path: str | Path, layer: str) -> str:
    """The activation of a layer, as a whole saved model tells it; '' where the file holds weights alone.

    Args:
        path: of a Keras file (.h5).
        layer: name of the layer.

    >>> import tempfile
    >>> with h5py.File(path := Path(tempfile.mkdtemp(), 'toy.h5'), 'w') as file:
    ...     layer = {'class_name': 'Dense', 'config': {'name': 'out', 'activation': 'sigmoid'}}
    ...     file.attrs['model_config'] = json.dumps({'config': {'layers': [layer]}})
    >>> activation(path, 'out')
    'sigmoid'
    """
    with h5py.File(Path(path).expanduser(), 'r') as file:
        try:
            config = json.loads(_text(file.attrs['model_config']))
        except (KeyError, ValueError):
            return ''
    pending = [config]
    while pending:   # models stand within models
        each = pending.pop()
        if isinstance(each, list):
            pending += each
        elif isinstance(each, dict):
            if each.get('name') == layer and isinstance(each.get('activation'), str):
                return each['activation']
            pending += each.values()
    return ''


def _fits_head(arrays, dim):
    """Whether these are the arrays of a dense layer, or of a 1x1 convolution in its place, on `dim` features."""
    kernel = arrays[0]
    return kernel.ndim in (2, 4) and kernel.size == dim * kernel.shape[-1] and [each.shape for each in arrays[1:]] in (
        [], [kernel.shape[-1:]])


def _match(layer, leaves, arrays):
    """({name: array}, [what does not fit]) of a layer; axes of length one may stand elsewhere (Keras has a depthwise kernel's last)."""
    names = sorted(leaves, key=ORDER.index)
    ours, theirs = [tuple(leaves[name].shape) for name in names], [array.shape for array in arrays]
    squeezed = [[tuple(n for n in shape if n > 1) for shape in shapes] for shapes in (ours, theirs)]
    if squeezed[0] != squeezed[1]:
        return {}, [f'{layer} {_shapes(theirs)} for {_shapes(ours)}']
    return {name: np.asarray(array, np.float32).reshape(shape) for name, array, shape in zip(names, arrays, ours, strict=True)}, []


def _shapes(shapes):
    return ', '.join('x'.join(map(str, shape)) or 'scalar' for shape in shapes)
