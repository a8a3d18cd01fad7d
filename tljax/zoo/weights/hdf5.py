"""What a file of Keras weights holds: the arrays of its layers, and the config of a whole saved
model as plain data.

Four layouts are read: the legacy weights file (groups named after layers), the full saved model
(the same under `model_weights`), Keras 3's `.weights.h5` (groups named after classes, the layer's
name beside its numbers) and the `.keras` archive, a ZIP that holds such a file and the config.
Nothing is built from a config. Nothing is allocated that the file is too small to hold. HDF5 is
read by pyfive, which is Python: on a damaged file HDF5's own library may end the process (h5py
3.16.0).
"""

import io
import itertools
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pyfive

from tljax.core import UserError
from tljax.protocols import Config, Record
from tljax.zoo.weights import foreign

LARGEST = 2**30  # bytes that the weights of a .keras archive may have once they are unpacked
PACKED = 20  # times its own size that a file may hold; trained weights shrink by a tenth
TEXT = 2**24  # bytes of a config
LAYOUTS = range(3)  # compact, contiguous, chunked; others keep numbers in other files
CONTIGUOUS, NOWHERE = 1, 2**64 - 1
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
        training: what it was compiled with, likewise; {} where it was not.

    >>> Stored({'dense': []}, {'dense': 0}).config
    {}
    """

    layers: dict[str, list[np.ndarray]]
    place: dict[str, int]
    config: Config = {}  # noqa: RUF012
    training: Record = {}  # noqa: RUF012


def read(path: str | Path) -> Stored:
    """What a file of Keras weights holds.

    Args:
        path: of the file, whatever its name ends in.

    Raises:
        UserError: for a missing file, one of another format, a damaged one, one that claims to hold
            more than its size allows, and one that holds no layers.

    >>> import tempfile
    >>> import h5py
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
        raise UserError(f'{path} does not exist: name a Keras weights file (.h5, .keras)')
    zipped = zipfile.is_zipfile(path)
    try:
        stored = _archive(path) if zipped else _file(path, path.stat().st_size, {})
    except UserError as refused:
        raise UserError(f'{path} {refused}') from None
    except Exception as error:  # damage is as many kinds of error as there are places in a file
        known = zipped or _is_hdf5(path)
        line = (str(error).splitlines() or [type(error).__name__])[0]
        reason = f'cut off or damaged ({line[:100]})' if known else 'no HDF5 file'
        raise UserError(f'{path} is {reason}: copy or download it again') from error
    if not stored.layers:
        raise UserError(
            f"{path} holds no layers with weights: name a file that Keras's save_weights or save "
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
        raise UserError(
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
    with pyfive.File(file) as file:
        take = _Room(PACKED * size)
        root = _held(file, 'model_weights') if 'model_weights' in file else file
        if config or not _names(root, 'layer_names'):
            told = config.get('compile_config')
            return Stored(
                *_by_class(root, take, config), config, told if isinstance(told, dict) else {}
            )
        config, told = (_json(file.attrs.get(name)) for name in ('model_config', 'training_config'))
        return Stored(*_by_name(root, take, _models(config)), config, told)


class _Room:
    """Reads arrays, as many bytes of them as the file can hold, and opens no other file."""

    def __init__(self, room):
        self.room = room

    def __call__(self, group, path):
        dataset = _held(group, path)
        layout, kind = dataset.id.layout_class, np.dtype(dataset.dtype)
        if layout not in LAYOUTS or layout == CONTIGUOUS and dataset.id.data_offset == NOWHERE:
            raise UserError(ELSEWHERE.format(path))
        shapes = (dataset.shape, dataset.chunks or ())
        self.room -= max(int(np.prod(shape, dtype=object)) for shape in shapes) * kind.itemsize
        if self.room < 0:
            raise UserError(
                f'is cut off or damaged (its arrays would take more than {PACKED} times its size): '
                'copy or download it again'
            )
        if (
            kind.kind == 'V'
            and kind.names is None
            and kind.subdtype is None
            and kind.itemsize == BFLOAT16.itemsize
        ):
            return dataset[()].view(BFLOAT16).astype(np.float32)
        if kind.kind not in 'fiu':
            raise UserError(
                f'holds {path!r} as {kind}, which is no kind of numbers: load and save it again '
                'with Keras'
            )
        with np.errstate(
            over='ignore'
        ):  # what float32 cannot hold becomes infinite, and is found as such
            return dataset[()].astype(np.float32) if kind.kind == 'f' else np.array(dataset[()])


def _held(group, path):
    """What a group holds by a path; links lead nowhere but into the same file."""
    found = group[path.strip('/')]
    if found is None:  # a link to nothing
        raise UserError(ELSEWHERE.format(path))
    return found


def _is_hdf5(path):
    with path.open('rb') as file:
        return file.read(len(foreign.HDF5)) == foreign.HDF5


def _names(group, name):
    """The names in an attribute, which Keras splits above 64 kB into NAME0, NAME1, ...."""
    parts = (
        [name]
        if name in group.attrs
        else itertools.takewhile(
            lambda part: part in group.attrs, (f'{name}{i}' for i in itertools.count())
        )
    )
    return [_text(each) for part in parts for each in np.ravel(group.attrs[part])]


def _models(config):
    """Names of the models directly within a model."""
    inner = config.get('config')
    layers = inner.get('layers') if isinstance(inner, dict) else inner
    found = set()
    for layer in layers if isinstance(layers, list) else ():
        own = layer.get('config') if isinstance(layer, dict) else None
        if isinstance(own, dict) and isinstance(own.get('layers'), list):
            found.add(str(own.get('name')))
    return found


def _by_name(root, take, models):
    layers, places = {}, {}
    for place, layer in enumerate(_names(root, 'layer_names')):
        group = _held(root, layer)
        names, inside = _names(group, 'weight_names'), {}
        within = [name.split('/')[-2] if '/' in name else layer for name in names]
        if len(set(within)) == 1 and within[0] not in layers and layer not in models:
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


def _by_class(root, take, config):
    layers, known = {}, dict(_by_path(config))

    def visit(path, group):
        if (
            isinstance(group, pyfive.Group)
            and path.endswith('vars')
            and len(group)
            and not re.search('optimizer|seed_generator', path)
        ):
            name = group.attrs.get('name') or known.get(path)
            if name is None:
                raise UserError(
                    'does not tell the names of its layers, as early versions of Keras 3 did not: '
                    'load and save it again with Keras 3.7 or newer'
                )
            _add(
                layers, {}, {_text(name): [take(group, str(i)) for i in range(len(group))]}, 0, path
            )

    root.visititems(visit)
    return layers, {}


def _by_path(config: Config, above: str = '') -> Iterator[tuple[str, str]]:
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
