"""Reads models of TensorFlow.js: a text in JSON, `model.json`, and files of numbers beside it.

A manifest in the text lists groups of weights with their names, shapes and types. The numbers of a
group stand one after the other in its files, which are cut anywhere. Quantised numbers q of 8 or 16
bits stand for `scale * q + min`.

Source:
    github.com/tensorflow/tfjs, tfjs-core/src/io/{types,io_utils}.ts.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tljax.core import UserError, abbreviated
from tljax.zoo.weights.tensorflow.stored import Allowance, Stored, damaged, numbers

LARGEST_TEXT = 2**27  # bytes of the JSON
TYPES = {
    'float32': np.dtype('<f4'),
    'float16': np.dtype('<f2'),
    'int32': np.dtype('<i4'),
    'uint16': np.dtype('<u2'),
    'uint8': np.dtype('u1'),
    'bool': np.dtype('?'),
}
QUANTISED = {'uint8', 'uint16'}
LENGTH = 4  # bytes before each text of a tensor of texts: its number of bytes


def read(path: Path) -> Stored:
    """Returns the weights of a model by their names; those of a graph are its constants.

    Args:
        path: path of `model.json`, or of the manifest alone, which older versions keep apart.

    Raises:
        UserError: the text is no such model, or a file is absent, damaged or outside of the folder,
            or a weight has another type. The message lacks the path.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / 'shard1').write_bytes(bytes([0, 10, 255]))
    >>> quantization = {'dtype': 'uint8', 'scale': 0.5, 'min': -1.0}
    >>> weight = {'name': 'w', 'shape': [3], 'dtype': 'float32', 'quantization': quantization}
    >>> text = json.dumps({'weightsManifest': [{'paths': ['shard1'], 'weights': [weight]}]})
    >>> _ = (folder / 'model.json').write_text(text)
    >>> read(folder / 'model.json').tensors['w'].tolist()
    [-1.0, 4.0, 126.5]
    """
    if (size := path.stat().st_size) > LARGEST_TEXT:
        raise UserError(f'has {size:,} bytes, more than the {LARGEST_TEXT:,} of a model.json')
    try:
        model = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise damaged(f'it is no JSON: {error}') from None
    manifest = model.get('weightsManifest') if isinstance(model, dict) else model
    if not isinstance(manifest, list) or not all(isinstance(each, dict) for each in manifest):
        raise UserError('is no model of TensorFlow.js: it has no weightsManifest')
    tensors: dict[str, np.ndarray] = {}
    allowance, seen = Allowance(size), set()
    for group in manifest:
        paths, weights = group.get('paths'), group.get('weights')
        if not isinstance(paths, list) or not isinstance(weights, list):
            raise damaged('a group of the manifest has no paths or no weights')
        data = _group(path.parent, paths, seen)
        allowance.grow(len(data))
        for name, array in _weights(data, weights, allowance):
            if name in tensors:
                raise damaged(f'two weights have the name {name!r}')
            tensors[name] = array
    return Stored('tfjs', tensors)


def _group(folder: Path, names: list[Any], seen: set[Path]) -> bytes:
    """The numbers of a group, whose files lie in the folder of the text."""
    files = []
    for name in names:
        if not isinstance(name, str) or Path(name).is_absolute() or '..' in Path(name).parts:
            raise UserError(f'names the file {name!r:.100}, outside of its folder: mend its paths')
        file = folder / name
        if not file.is_file() or file in seen:
            raise UserError(
                f'lacks the file {name!r:.100} or names it twice: copy all files of the model to '
                'its folder'
            )
        seen.add(file)
        files.append(file)
    return b''.join(file.read_bytes() for file in files)


def _weights(
    data: bytes, weights: list[Any], allowance: Allowance
) -> Iterator[tuple[str, np.ndarray]]:
    """The names and arrays of a group. Tensors of texts are left out."""
    position = 0
    for weight in weights:
        name, shape, kind, quantised = _fields(weight)
        if kind == 'string':
            position = _after_texts(data, position, shape, name)
            continue
        stored = quantised.get('dtype', kind)
        if stored not in TYPES or kind not in TYPES:
            raise UserError(
                f'holds {name!r} in the type {stored!r:.40}: convert it with one of '
                f'{abbreviated(TYPES)}'
            )
        count = allowance.take(name, shape, max(TYPES[kind].itemsize, TYPES[stored].itemsize))
        end = position + count * TYPES[stored].itemsize
        if end > len(data):
            raise damaged(f'its files end before {name!r}')
        array = numbers(data[position:end], TYPES[stored], shape)
        position = end
        yield name, _dequantised(array, quantised, TYPES[kind], name) if quantised else array
    if position != len(data):
        raise damaged(f'its files hold {len(data) - position:,} bytes too many')


def _fields(weight: Any) -> tuple[str, list[int], Any, dict[str, Any]]:
    """Name, shape, type and quantisation of a weight of the manifest."""
    if isinstance(weight, dict):
        name, shape, quantised = (weight.get(key) for key in ('name', 'shape', 'quantization'))
        quantised = {} if quantised is None else quantised
        if isinstance(name, str) and isinstance(shape, list) and isinstance(quantised, dict):
            return name, shape, weight.get('dtype'), quantised
    raise damaged(f'a weight of the manifest is {weight!s:.60}')


def _dequantised(
    array: np.ndarray, quantised: dict[str, Any], dtype: np.dtype[Any], name: str
) -> np.ndarray:
    if array.dtype == TYPES['float16']:
        return array.astype(dtype)
    scale, least = (quantised.get(key) for key in ('scale', 'min'))
    if (
        quantised['dtype'] not in QUANTISED
        or not isinstance(scale, int | float)
        or not isinstance(least, int | float)
        or not math.isfinite(scale + least)
    ):
        raise damaged(f'{name!r} has the quantisation {quantised!s:.60}')
    with np.errstate(over='ignore', invalid='ignore'):  # refused with what is not finite
        values = array * np.float32(scale) + np.float32(least)
        return values if dtype.kind == 'f' else np.rint(values).astype(dtype)


def _after_texts(data: bytes, position: int, shape: list[int], name: str) -> int:
    """The position after a tensor of texts."""
    for _ in range(Allowance(len(data)).take(name, shape, LENGTH)):
        if position + LENGTH > len(data):
            raise damaged(f'its files end before {name!r}')
        position += LENGTH + int.from_bytes(data[position : position + LENGTH], 'little')
    return position
