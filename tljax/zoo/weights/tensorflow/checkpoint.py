"""Reads checkpoints of TensorFlow: an index, `model.ckpt.index`, and files of numbers,
`model.ckpt.data-00000-of-00001`.

The index maps the name of a variable to its type, shape, file, place and checksum. The parts of a
partitioned variable have entries of their own, whose keys hold the name and the range of the part;
they are joined.

Source:
    tensorflow/core/util/tensor_bundle/tensor_bundle.h; tensorflow/core/lib/strings/ordered_code.cc
    for the keys of parts; tensorflow/core/util/saved_tensor_slice_util.cc.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tljax.core import UserError
from tljax.zoo.weights.tensorflow import table
from tljax.zoo.weights.tensorflow.messages import parse, shape_of
from tljax.zoo.weights.tensorflow.stored import (
    TYPES,
    WITHOUT_NUMBERS,
    Allowance,
    Stored,
    damaged,
    numbers,
)

LARGEST_INDEX = 2**28  # bytes
VERSION = 1  # of the format
WHOLE = -1  # length of a part that is not divided along an axis


def read(index: Path) -> Stored:
    """Returns the variables of a checkpoint by their names.

    Args:
        index: path of the file `.index`. The files of numbers lie beside it.

    Raises:
        UserError: a file is damaged, too large or absent, or it has another byte order or version,
            or a variable has a type without plain numbers. The message lacks the index's name.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'model.ckpt.index')
    >>> _ = path.write_bytes(b'')
    >>> read(path)
    Traceback (most recent call last):
    tljax.core.UserError: is cut off or damaged (it has no footer of a table): copy or ...
    """
    if (size := index.stat().st_size) > LARGEST_INDEX:
        raise UserError(f'has {size:,} bytes, more than the {LARGEST_INDEX:,} of an index')
    pairs = dict(table.entries(index.read_bytes()))
    header = parse('Header', pairs.pop(b'', b''))
    if header.endianness or header.version.min_consumer > VERSION or header.num_shards < 1:
        raise UserError(
            'is a checkpoint of another byte order or version: save it again with '
            'tf.compat.v1.train.Saver'
        )
    entries = {key: parse('Entry', value) for key, value in pairs.items()}
    shards = _Shards(index.with_suffix(''), header.num_shards)
    tensors = {}
    for key, entry in entries.items():
        if key.startswith(b'\0') or entry.dtype in WITHOUT_NUMBERS:  # a part, or text
            continue
        name = key.decode()
        tensors[name] = (
            _joined(name, entry, entries, shards) if entry.slices else shards.read(name, entry)
        )
    return Stored('checkpoint', tensors)


class _Shards:
    """The files of numbers of a checkpoint."""

    def __init__(self, prefix: Path, count: int) -> None:
        self.prefix, self.count = prefix, count
        self.sizes: dict[Path, int] = {}
        self.allowance = Allowance(0)

    def path(self, number: int) -> Path:
        """The path of a file, which is known to exist."""
        if not 0 <= number < self.count:
            raise damaged(f'it names a file {number} of {self.count}')
        path = self.prefix.with_name(f'{self.prefix.name}.data-{number:05d}-of-{self.count:05d}')
        if path not in self.sizes:
            if not path.is_file():
                raise UserError(
                    f'lacks {path.name} beside it: copy all files of the checkpoint to one folder'
                )
            self.sizes[path] = path.stat().st_size
            self.allowance.grow(self.sizes[path])
        return path

    def read(self, name: str, entry: Any) -> np.ndarray:
        """The array of an entry without parts."""
        dtype, shape = _type(name, entry), shape_of(entry.shape)
        path = self.path(entry.shard_id)
        count = self.allowance.take(name, shape, dtype.itemsize)
        end = entry.offset + entry.size
        if entry.size != count * dtype.itemsize or entry.offset < 0 or end > self.sizes[path]:
            raise damaged(f'{name!r} lies outside of {path.name}')
        with path.open('rb') as file:
            file.seek(entry.offset)
            data = file.read(entry.size)
        if not table.is_sound(data, entry.crc32c):
            raise damaged(f'{name!r} in {path.name} has another checksum')
        return numbers(data, dtype, shape)


def _type(name: str, entry: Any) -> np.dtype[Any]:
    if entry.dtype not in TYPES:
        raise UserError(
            f"holds {name!r} in TensorFlow's type {entry.dtype}, which has no plain numbers: save "
            'the other variables alone (var_list of the Saver)'
        )
    return TYPES[entry.dtype]


def _joined(name: str, entry: Any, entries: dict[bytes, Any], shards: _Shards) -> np.ndarray:
    """The array of a partitioned variable."""
    dtype, shape = _type(name, entry), shape_of(entry.shape)
    shards.allowance.take(name, shape, dtype.itemsize + 1)
    whole, is_filled = np.zeros(shape, dtype), np.zeros(shape, bool)
    for part in entry.slices:
        ranges = [
            (extent.start, extent.length if extent.HasField('length') else WHOLE)
            for extent in part.extent
        ]
        stored = entries.get(part_key(name, ranges))
        if stored is None or len(ranges) != len(shape) or any(start < 0 for start, _ in ranges):
            raise damaged(f'a part of {name!r} is absent')
        place = tuple(
            slice(start, None if length == WHOLE else start + length) for start, length in ranges
        )
        array = shards.read(f'a part of {name}', stored)
        if whole[place].shape != array.shape:
            raise damaged(f'a part of {name!r} has the shape {list(array.shape)}')
        whole[place], is_filled[place] = array, True
    if not is_filled.all():
        raise damaged(f'the parts of {name!r} do not make it up')
    return whole


def part_key(name: str, ranges: Sequence[tuple[int, int]]) -> bytes:
    """Returns the key of a part of a partitioned variable.

    The key holds 0, the name, the number of axes, and start and length along each axis, written so
    that the order of keys is that of the numbers.

    Args:
        name: name of the variable.
        ranges: start and length of the part along each axis; length -1 for all of it.

    >>> part_key('v', [(0, 2), (100, -1)])
    b'\\x00v\\x00\\x01\\x01\\x02\\x80\\x82\\xc0d\\x7f'
    """
    text = name.encode().replace(b'\0', b'\0\xff') + b'\0\1'
    signed = [_signed(number) for pair in ranges for number in pair]
    return b''.join([_unsigned(0), text, _unsigned(len(ranges)), *signed])


def _unsigned(number: int) -> bytes:
    """The number of bytes, and the bytes from the high to the low."""
    data = number.to_bytes((number.bit_length() + 7) // 8)
    return bytes([len(data)]) + data


def _signed(number: int) -> bytes:
    """The bytes in two's complement from the high to the low, with as many leading bits turned as
    there are bytes. The bit after those is the sign."""
    size = max(number, ~number).bit_length() // 7 + 1
    leading = ((1 << size) - 1) << (7 * size)
    return ((number & ((1 << 8 * size) - 1)) ^ leading).to_bytes(size)
