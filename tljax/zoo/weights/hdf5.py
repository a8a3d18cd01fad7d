"""What a file of Keras weights holds: the arrays of its layers, and the config of a whole saved
model as plain data.

Four layouts are read: the legacy weights file (groups named after layers), the full saved model
(the same under `model_weights`), Keras 3's `.weights.h5` (groups named after classes, the layer's
name beside its numbers) and the `.keras` archive, a ZIP that holds such a file and the config.
Nothing is built from a config. Nothing is allocated that the file is too small to hold.
"""
import io
import itertools
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import h5py
import jax.numpy as jnp
import numpy as np

from tljax.core import Refused
from tljax.zoo.weights import foreign

LARGEST = 2**30  # bytes that the weights of a .keras archive may have once they are unpacked
PACKED = 20  # times its own size that a file may hold; trained weights shrink by a tenth
TEXT = 2**24  # bytes of a config
MEMBERS = ('model.weights.h5', 'config.json')  # of a .keras archive, that are read
BFLOAT16 = np.dtype(jnp.bfloat16)  # NumPy has no such type: HDF5 holds it as two bytes of no kind


ELSEWHERE = 'keeps {!r} in another file or place: load and save it again with Keras'


class Stored(NamedTuple):
    """What a file holds.

    Attributes:
        layers: {layer: [array, ...]} of the layers that have any.
        place: {layer: place of it, or of the model within the model that it is part of, among the
            file's layers}; empty where the file does not tell their order.
        config: of the whole saved model, as its JSON says it; {} of weights alone.

    >>> Stored({'dense': []}, {'dense': 0}, {}).config
    {}
    """
    layers: dict[str, list[np.ndarray]]
    place: dict[str, int]
    config: dict


def read(path: str | Path) -> Stored:
    """What a file of Keras weights holds.

    Args:
        path: of the file, whatever its name ends in.

    Raises:
        Refused: for a missing file, one of another format, a damaged one, one that claims to hold
            more than its size allows, and one that holds no layers.

    >>> import tempfile
    >>> with h5py.File(path := Path(tempfile.mkdtemp(), 'toy.h5'), 'w') as file:
    ...     file.attrs['layer_names'] = [b'dense']
    ...     file.create_group('dense').attrs['weight_names'] = [b'dense/kernel:0']
    ...     file['dense/dense/kernel:0'] = np.ones((2, 3), 'f')
    >>> {layer: [array.shape for array in arrays] for layer, arrays in read(path).layers.items()}
    {'dense': [(2, 3)]}
    """
    path = Path(path).expanduser()
    foreign.refuse(path)
    if not path.is_file():
        raise Refused(f'{path} does not exist: name a Keras weights file (.h5)')
    zipped = zipfile.is_zipfile(path)
    try:
        stored = _archive(path) if zipped else _file(path, path.stat().st_size, {})
    except Refused as refused:
        raise Refused(f'{path} {refused}') from None
    except (
        Exception
    ) as error:  # HDF5's library reports damage as many kinds of error, in long texts
        known = zipped or h5py.is_hdf5(path)
        line = (str(error).splitlines() or [type(error).__name__])[0]
        reason = f'cut off or damaged ({line[:100]})' if known else 'no HDF5 file'
        raise Refused(f'{path} is {reason}: copy or download it again') from error
    if not stored.layers:
        raise Refused(
            f'{path} holds no layers with weights: name a file that Keras\'s save_weights or save '
            'wrote'
        )
    return stored


def _archive(path):
    """What a .keras archive holds; other members, wherever they claim to lie, are not looked at."""
    with zipfile.ZipFile(path) as archive:
        weights, config = (
            _member(archive, name, most)
            for name, most in zip(
                MEMBERS, (min(LARGEST, PACKED * path.stat().st_size), TEXT), strict=True
            )
        )
    return _file(io.BytesIO(weights), len(weights), _json(config))


def _member(archive, name, most):
    if name not in archive.namelist():
        return b''
    with archive.open(name) as member:
        content = member.read(most + 1)  # whatever size it claims
    if len(content) > most:
        raise Refused(
            f'unpacks to more than {most:,} bytes of {name}: save it without the optimiser '
            '(save_weights), to .weights.h5'
        )
    return content


def _json(text):
    """A config as plain data; {} of what is none."""
    try:
        config = json.loads(text) if text and len(text) <= TEXT else {}
    except (ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def _file(file, size, config):
    with h5py.File(file, 'r') as file:
        take = _Room(PACKED * size)
        root = file['/']  # a group, as those below it are
        root = _held(root, 'model_weights') if root.id.links.exists(b'model_weights') else root
        if config or not _names(root, 'layer_names', size):
            return Stored(*_by_class(root, take, size, config), config)
        return Stored(*_by_name(root, take, size), _json(_attribute(file, 'model_config', size)))


class _Room:
    """Reads arrays, as many bytes of them as the file can hold, and opens no other file."""

    def __init__(self, room):
        self.room = room

    def __call__(self, group, path):
        dataset = _held(group, path)
        if dataset.external or dataset.is_virtual:
            raise Refused(ELSEWHERE.format(path))
        chunk = np.prod(dataset.chunks or (), dtype=object) * dataset.dtype.itemsize
        self.room -= max(dataset.nbytes, chunk)
        if self.room < 0:
            raise Refused(
                f'is cut off or damaged (its arrays would take more than {PACKED} times its size): '
                'copy or download it again'
            )
        kind = dataset.dtype
        if (
            kind.kind == 'V'
            and kind.names is None
            and kind.subdtype is None
            and kind.itemsize == BFLOAT16.itemsize
        ):
            return np.asarray(dataset).view(BFLOAT16).astype(np.float32)
        if kind.kind not in 'fiu':
            raise Refused(
                f'holds {path!r} as {kind}, which is no kind of numbers: load and save it again '
                'with Keras'
            )
        with np.errstate(
            over='ignore'
        ):  # what float32 cannot hold becomes infinite, and is found as such
            return (
                np.asarray(dataset).astype(np.float32) if kind.kind == 'f' else np.asarray(dataset)
            )


def _held(group, path):
    """What a group holds by a path. Links, which may lead anywhere on the machine, are refused."""
    for part in path.strip('/').split('/'):
        if group.id.links.get_info(part.encode()).type != h5py.h5l.TYPE_HARD:
            raise Refused(ELSEWHERE.format(path))
        group = group[part]
    return group


def _names(group, name, size):
    """The names in an attribute, which Keras splits above 64 kB into NAME0, NAME1, ...."""
    parts = (
        [name]
        if name in group.attrs
        else itertools.takewhile(
            lambda part: part in group.attrs, (f'{name}{i}' for i in itertools.count())
        )
    )
    return [_text(each) for part in parts for each in _attribute(group, part, size)]


def _attribute(group, name, size):
    """The value of an attribute, None where there is none."""
    if name not in group.attrs:
        return None
    held = group.attrs.get_id(name)
    if np.prod(held.shape or (), dtype=object) * held.get_type().get_size() > PACKED * size:
        raise Refused(
            f'is cut off or damaged ({name} is larger than the file): copy or download it again'
        )
    return group.attrs[name]


def _by_name(root, take, size):
    layers, places = {}, {}
    for place, layer in enumerate(_names(root, 'layer_names', size)):
        group = _held(root, layer)
        names, inside = _names(group, 'weight_names', size), {}
        within = [name.split('/')[-2] if '/' in name else layer for name in names]
        if len(set(within)) == 1 and within[0] not in layers:
            within = [layer] * len(names)
        for name, inner in zip(
            names, within, strict=True
        ):  # a model within the model is one layer, whose weights tell those inside
            inside.setdefault(inner, []).append(take(group, name))
        _add(layers, places, inside, place, layer)
    return layers, places


def _add(layers, places, found, place, prefix):
    """Adds layers; one of a name that is there bears that of the model that it stands in, too."""
    for name, arrays in found.items():
        name = name if name not in layers else f'{prefix}/{name}'
        layers[name] = [*layers.get(name, []), *arrays]
        places[name] = place


def _by_class(root, take, size, config):
    layers, known = {}, dict(_by_path(config))

    def visit(path, group):
        if (
            isinstance(group, h5py.Group)
            and path.endswith('vars')
            and len(group)
            and not re.search('optimizer|seed_generator', path)
        ):
            name = _attribute(group, 'name', size) or known.get(path)
            if name is None:
                raise Refused(
                    'does not tell the names of its layers, as early versions of Keras 3 did not: '
                    'load and save it again with Keras 3.7 or newer'
                )
            _add(
                layers, {}, {_text(name): [take(group, str(i)) for i in range(len(group))]}, 0, path
            )

    root.visititems(visit)
    return layers, {}


def _by_path(config: dict, above: str = '') -> Iterator[tuple[str, str]]:
    """(path of a layer's arrays, its name): the layers of a class are counted as they stand."""
    inner, used = config.get('config'), {}
    for layer in inner.get('layers', ()) if isinstance(inner, dict) else ():
        kind = re.sub(r'\W+', '', layer['class_name'])
        kind = re.sub(
            '([a-z])([A-Z])', r'\1_\2', re.sub('(.)([A-Z][a-z]+)', r'\1_\2', kind)
        ).lower()
        used[kind] = used.get(kind, -1) + 1
        path = f'{above}layers/{kind}' + (f'_{used[kind]}' if used[kind] else '')
        yield f'{path}/vars', layer['config']['name']
        yield from _by_path(layer, f'{path}/')


def _text(name):
    return name.decode() if isinstance(name, bytes) else str(name)
