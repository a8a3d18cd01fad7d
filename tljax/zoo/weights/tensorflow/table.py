"""Reads tables of sorted keys and values, the files that LevelDB calls SSTables. The index of a
checkpoint is one.

A table is a row of blocks, then a block with the places of the blocks, and a footer with the place
of that block. A key states how many bytes it shares with the key before it.

Source:
    github.com/google/leveldb, doc/table_format.md; table/{format,block}.cc.
"""

import struct
from collections.abc import Iterator

import google_crc32c

from tljax.core import UserError
from tljax.zoo.weights.tensorflow.stored import damaged

MAGIC = 0xDB4775248B80FB57.to_bytes(8, 'little')
FOOTER = 48  # bytes: the places of two blocks, padding, and the magic number
TRAILER = 5  # bytes after a block: its compression, and its checksum
MASK = 0xA282EAD8  # added to the rotated checksum
LARGEST_RATIO = 50  # bytes of all keys over the bytes of the table, at most


def entries(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields (key, value) of a table, in the order of the keys.

    Args:
        data: the table.

    Raises:
        UserError: the table is damaged, or compressed.

    >>> list(entries(b'no table'))
    Traceback (most recent call last):
    tljax.core.UserError: is cut off or damaged (it has no footer of a table): copy or ...
    """
    if len(data) < FOOTER or not data.endswith(MAGIC):
        raise damaged('it has no footer of a table')
    position = len(data) - FOOTER
    for _ in range(2):  # the place of a block without use here
        _, position = _number(data, position)
    index = _block(data, *_place(data, position))
    left, last = LARGEST_RATIO * len(data), None
    for _, place in _pairs(index):
        for key, value in _pairs(_block(data, *_place(place, 0))):
            left -= len(key)
            if left < 0 or (last is not None and key <= last):
                raise damaged('its keys are out of order or too long')
            last = key
            yield key, value


def is_sound(data: bytes, checksum: int) -> bool:
    """Tells whether bytes have a checksum: a masked CRC-32C.

    Args:
        data: the bytes.
        checksum: the masked checksum.

    >>> is_sound(b'123456789', ((0xE3069283 >> 15 | 0xE3069283 << 17) + MASK) & 0xFFFFFFFF)
    True
    """
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF == checksum


def _number(data: bytes, position: int) -> tuple[int, int]:
    """A number of seven bits a byte, low ones first, and the position after it."""
    number = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, position
    raise damaged('a number has no end')


def _place(data: bytes, position: int) -> tuple[int, int]:
    """Offset and size of a block."""
    offset, position = _number(data, position)
    size, _ = _number(data, position)
    return offset, size


def _block(data: bytes, offset: int, size: int) -> bytes:
    """The content of a block, without its trailer and its restart points."""
    end = offset + size
    if size < 4 or end + TRAILER > len(data) - FOOTER:
        raise damaged('a block lies outside of the table')
    kind, (checksum,) = data[end], struct.unpack_from('<I', data, end + 1)
    if not is_sound(data[offset : end + 1], checksum):
        raise damaged('a block has another checksum')
    if kind:
        raise UserError(
            f"is compressed (type {kind}), as no checkpoint of TensorFlow's own is: save it again "
            'with tf.compat.v1.train.Saver'
        )
    (restarts,) = struct.unpack_from('<I', data, end - 4)
    if 4 * restarts > size - 4:
        raise damaged('a block has too many restart points')
    return data[offset : end - 4 - 4 * restarts]


def _pairs(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a block."""
    key, position = b'', 0
    while position < len(block):
        shared, position = _number(block, position)
        own, position = _number(block, position)
        length, position = _number(block, position)
        if shared > len(key) or position + own + length > len(block):
            raise damaged('an entry lies outside of its block')
        key = key[:shared] + block[position : position + own]
        position += own + length
        yield key, block[position - length : position]
