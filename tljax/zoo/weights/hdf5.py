"""Reads files of Keras weights: the arrays of the layers, and the config of a whole saved model as
plain data.

Four layouts are read:

- the legacy weights file, with groups named after layers;
- the full saved model, with the same groups under `model_weights`;
- Keras 3's `.weights.h5`, with groups named after classes, and the layer's name as an attribute;
- the `.keras` archive, a ZIP of a `.weights.h5` file and the config.

No layer is built from a config. No array is allocated that the file is too small to hold. pyfive
reads HDF5, because it is written in Python: on a damaged file HDF5's own library may end the
process (h5py 3.16.0).
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

from tljax.core import UserError
from tljax.protocols import Config, Record
from tljax.zoo.weights import foreign

LARGEST = 2**30  # bytes of the unpacked weights of a .keras archive, at most
# Size of a file's arrays over the size of the file, at most. Compression shrinks trained weights by
# a tenth.
LARGEST_RATIO = 20
LARGEST_CONFIG = 2**24  # bytes
LAYOUTS = range(3)  # compact, contiguous, chunked; other layouts keep numbers in other files
CONTIGUOUS = 1
UNDEFINED_ADDRESS = 2**64 - 1
BFLOAT16 = np.dtype(jnp.bfloat16)  # HDF5 has no such type: a file has two bytes of type void
ELSEWHERE = 'keeps {!r} in another file or place: load and save it again with Keras'


class Stored(NamedTuple):
    """Content of a file of weights.

    Attributes:
        layers: {layer: [array, ...]} of the layers with arrays.
        place: {layer: its position in the file}, counted from 0. The layers of an inner model share
            its position. Empty where the file does not tell the order.
        config: Keras's config of a whole saved model, from its JSON; {} for weights alone.
        training: Keras's config of compilation; {} for a model that was not compiled.
    """

    layers: dict[str, list[np.ndarray]]
    place: dict[str, int]
    config: Config = {}  # noqa: RUF012
    training: Record = {}  # noqa: RUF012


def read(path: str | Path) -> Stored:
    """Reads a file of Keras weights.

    Args:
        path: path of the file. Its ending does not matter.

    Raises:
        UserError: for a file that does not exist, a file of another format, a damaged file, a file
            whose arrays are larger than its size allows, and a file without layers.

    >>> import tempfile
    >>> import h5py
    >>> path = Path(tempfile.mkdtemp(), 'toy.h5')
    >>> with h5py.File(path, 'w') as file:
    ...     file.attrs['layer_names'] = [b'dense']
    ...     file.create_group('dense').attrs['weight_names'] = [b'dense/kernel:0']
    ...     file['dense/dense/kernel:0'] = np.ones((2, 3), 'f')
    >>> layers = read(path).layers
    >>> list(layers), layers['dense'][0].shape
    (['dense'], (2, 3))
    """
    path = Path(path).expanduser()
    foreign.refuse(path)
    if not path.is_file():
        raise UserError(f'{path} does not exist: name a Keras weights file (.h5, .keras)')
    is_zip = zipfile.is_zipfile(path)
    try:
        stored = _read_archive(path) if is_zip else _read_file(path, path.stat().st_size, {})
    except UserError as error:
        raise UserError(f'{path} {error}') from None
    except Exception as error:  # damage raises errors of any kind
        line = (str(error).splitlines() or [type(error).__name__])[0]
        is_damaged = is_zip or _is_hdf5(path)
        reason = f'cut off or damaged ({line[:100]})' if is_damaged else 'no HDF5 file'
        raise UserError(f'{path} is {reason}: copy or download it again') from error
    if not stored.layers:
        raise UserError(
            f"{path} holds no layers with weights: name a file that Keras's save_weights or save "
            'wrote'
        )
    return stored


def _read_archive(path):
    """Reads two members of a .keras archive; no other member is opened."""
    largest = min(LARGEST, LARGEST_RATIO * path.stat().st_size)
    with zipfile.ZipFile(path) as archive:
        weights = _read_member(archive, 'model.weights.h5', largest)
        config = _read_member(archive, 'config.json', LARGEST_CONFIG)
    return _read_file(io.BytesIO(weights), len(weights), _parse_json(config))


def _read_member(archive, name, largest):
    if name not in archive.namelist():
        return b''
    with archive.open(name) as member:
        content = member.read(largest + 1)  # the size in the archive's directory may be wrong
    if len(content) > largest:
        raise UserError(
            f'unpacks to more than {largest:,} bytes of {name}: save it without the optimiser '
            '(save_weights), to .weights.h5'
        )
    return content


def _parse_json(text):
    """Returns a config as plain data, or {} for anything else."""
    try:
        config = json.loads(text) if text and len(text) <= LARGEST_CONFIG else {}
    except (ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def _read_file(file, size, config):
    import pyfive  # imported late, for a quick start

    with pyfive.File(file) as file:
        reader = _ArrayReader(LARGEST_RATIO * size)
        root = _get(file, 'model_weights') if 'model_weights' in file else file
        if config or not _names(root, 'layer_names'):
            layers = _layers_by_class(root, reader, config)
            training = config.get('compile_config')
            return Stored(layers, {}, config, training if isinstance(training, dict) else {})
        config = _parse_json(file.attrs.get('model_config'))
        training = _parse_json(file.attrs.get('training_config'))
        layers, place = _layers_by_name(root, reader, _inner_models(config))
        return Stored(layers, place, config, training)


class _ArrayReader:
    """Reads arrays of a limited number of bytes in all, and opens no other file."""

    def __init__(self, bytes_left):
        self.bytes_left = bytes_left

    def __call__(self, group, path):
        dataset = _get(group, path)
        layout, dtype = dataset.id.layout_class, np.dtype(dataset.dtype)
        if layout not in LAYOUTS or (
            layout == CONTIGUOUS and dataset.id.data_offset == UNDEFINED_ADDRESS
        ):
            raise UserError(ELSEWHERE.format(path))
        shapes = (dataset.shape, dataset.chunks or ())
        count = max(int(np.prod(shape, dtype=object)) for shape in shapes)
        self.bytes_left -= count * dtype.itemsize
        if self.bytes_left < 0:
            raise UserError(
                f'is cut off or damaged (its arrays would take more than {LARGEST_RATIO} times its '
                'size): copy or download it again'
            )
        if _is_bfloat16(dtype):
            return dataset[()].view(BFLOAT16).astype(np.float32)
        if dtype.kind not in 'fiu':
            raise UserError(
                f'holds {path!r} as {dtype}, which is no kind of numbers: load and save it again '
                'with Keras'
            )
        if dtype.kind != 'f':
            return np.array(dataset[()])
        with np.errstate(over='ignore'):  # a number beyond float32 becomes infinite: refused later
            return dataset[()].astype(np.float32)


def _is_bfloat16(dtype):
    is_void = dtype.kind == 'V' and dtype.names is None and dtype.subdtype is None
    return is_void and dtype.itemsize == BFLOAT16.itemsize


def _get(group, path):
    """Returns the member of a group at a path, in the same file."""
    member = group[path.strip('/')]
    if member is None:  # a link that leads nowhere in this file
        raise UserError(ELSEWHERE.format(path))
    return member


def _is_hdf5(path):
    with path.open('rb') as file:
        return file.read(len(foreign.HDF5)) == foreign.HDF5


def _names(group, name):
    """Returns the names in an attribute. Keras splits those above 64 kB into NAME0, NAME1, ...."""
    parts = [name]
    if name not in group.attrs:
        numbered_parts = (f'{name}{i}' for i in itertools.count())
        parts = itertools.takewhile(lambda part: part in group.attrs, numbered_parts)
    return [_text(text) for part in parts for text in np.ravel(group.attrs[part])]


def _inner_models(config):
    """Returns the names of the models that are layers of a model."""
    inner = config.get('config')
    layers = inner.get('layers') if isinstance(inner, dict) else inner
    names = set()
    for layer in layers if isinstance(layers, list) else ():
        layer_config = layer.get('config') if isinstance(layer, dict) else None
        if isinstance(layer_config, dict) and isinstance(layer_config.get('layers'), list):
            names.add(str(layer_config.get('name')))
    return names


def _layers_by_name(root, reader, inner_models):
    """Reads groups named after layers.

    The group of an inner model has the arrays of all layers in that model. The path of an array
    then has the layer's name.
    """
    layers, places = {}, {}
    for place, layer in enumerate(_names(root, 'layer_names')):
        group = _get(root, layer)
        names = _names(group, 'weight_names')
        owners = [name.split('/')[-2] if '/' in name else layer for name in names]
        if len(set(owners)) == 1 and owners[0] not in layers and layer not in inner_models:
            owners = [layer] * len(names)
        arrays = {}
        for name, owner in zip(names, owners, strict=True):
            arrays.setdefault(owner, []).append(reader(group, name))
        for owner, owner_arrays in arrays.items():
            name = _add(layers, owner, owner_arrays, layer)
            places[name] = place
    return layers, places


def _add(layers, name, arrays, prefix):
    """Adds arrays of a layer, and returns its name. A name that exists gets a prefix."""
    if name in layers:
        name = f'{prefix}/{name}'
    layers[name] = [*layers.get(name, []), *arrays]
    return name


def _layers_by_class(root, reader, config):
    """Reads groups named after classes. The layer's name is an attribute, or from the config."""
    import pyfive  # imported late, for a quick start

    layers, names = {}, dict(_names_by_path(config))

    def visit(path, group):
        if (
            isinstance(group, pyfive.Group)
            and path.endswith('vars')
            and len(group)
            and not re.search('optimizer|seed_generator', path)
        ):
            name = group.attrs.get('name') or names.get(path)
            if name is None:
                raise UserError(
                    'does not tell the names of its layers, as early versions of Keras 3 did not: '
                    'load and save it again with Keras 3.7 or newer'
                )
            arrays = [reader(group, str(i)) for i in range(len(group))]
            _add(layers, _text(name), arrays, path)

    root.visititems(visit)
    return layers


def _names_by_path(config: Config, prefix: str = '') -> Iterator[tuple[str, str]]:
    """Yields (path of a layer's arrays, the layer's name). Layers of one class are numbered."""
    inner, counts = config.get('config'), {}
    for layer in inner.get('layers', ()) if isinstance(inner, dict) else ():
        kind = re.sub(r'\W+', '', layer['class_name'])
        kind = re.sub('(.)([A-Z][a-z]+)', r'\1_\2', kind)
        kind = re.sub('([a-z])([A-Z])', r'\1_\2', kind).lower()
        number = counts.get(kind, 0)
        counts[kind] = number + 1
        path = f'{prefix}layers/{kind}_{number}' if number else f'{prefix}layers/{kind}'
        yield f'{path}/vars', layer['config']['name']
        yield from _names_by_path(layer, f'{path}/')


def _text(name):
    return name.decode() if isinstance(name, bytes) else str(name)
