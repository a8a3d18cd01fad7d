"""Pictures as bytes, the form in which they travel to a device and become floats there.

A float takes four times the memory of a byte, on the host and on the way to the device. The set
that a user reads has floats all the same: `Dataset.take` gives pictures in [0, 1].
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tljax.protocols import Batch, Rows, Take, Tree

HIGH = np.float32(257 / 65536)  # the first 9 bits of 1 / 255
LOW = np.float32(1 / 255 - 257 / 65536)


class Bytes(NamedTuple):
    """Pictures whose black is 0 and whose white is 255.

    Attributes:
        values: uint8, (n, height, width, channels).

    >>> Bytes(np.zeros((1, 2, 2, 3), np.uint8)).values.nbytes
    12
    """

    values: Any


def unpack(batch: Tree) -> Tree:
    """Turns the pictures of a batch into floats, on the device if they are there.

    The floats are bit-equal to `values / np.float32(255)`, on every device.

    Args:
        batch: arrays and `Bytes`, in dicts of any depth.

    Returns:
        The batch with float32 in [0, 1] in the place of each `Bytes`; the rest is unchanged.

    >>> unpack({'input': Bytes(np.array([0, 51, 255], np.uint8)), 'label': 3})
    {'input': array([0. , 0.2, 1. ], dtype=float32), 'label': 3}
    """
    if isinstance(batch, Bytes):
        return _floats(batch.values)
    if isinstance(batch, dict):
        return {name: unpack(part) for name, part in batch.items()}
    return batch


def _floats(values):
    floats = values.astype(np.float32)
    if isinstance(floats, np.ndarray):
        floats /= 255
        return floats
    # XLA divides by a constant as a product with its rounded inverse, which differs in the last
    # bit. Here the first product is exact, and the sum is rounded as the quotient is.
    return floats * HIGH + floats * LOW


class Unpacked(NamedTuple):
    """A `Take` of floats, made from one whose batches may hold `Bytes`.

    Attributes:
        packed: reads examples as they are stored.

    >>> stored = np.array([[0], [255]], np.uint8)
    >>> take = Unpacked(lambda index: {'input': Bytes(stored[index])})
    >>> take(np.array([1]))['input'].tolist(), take.packed(np.array([1]))['input'].values.tolist()
    ([[1.0]], [[255]])
    """

    packed: Take

    def __call__(self, index: Rows, /) -> Batch:
        return unpack(self.packed(index))
