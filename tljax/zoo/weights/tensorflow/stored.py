"""What the readers of TensorFlow's formats return, and the memory that they may take."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from tljax.core import UserError

# Bytes of a file's arrays over the bytes of the file, at most. Numbers of 8 bits become float32,
# which is four times as large.
LARGEST_RATIO = 8
SPARE = 2**26  # bytes that the arrays of any file may take: a graph states a constant by one number
MOST_AXES = 8
# numbers of TensorFlow's types (tensorflow/core/framework/types.proto)
TYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype('<f4'),
    2: np.dtype('<f8'),
    3: np.dtype('<i4'),
    4: np.dtype('u1'),
    5: np.dtype('<i2'),
    6: np.dtype('i1'),
    9: np.dtype('<i8'),
    10: np.dtype('?'),
    14: np.dtype(ml_dtypes.bfloat16),
    17: np.dtype('<u2'),
    19: np.dtype('<f2'),
    22: np.dtype('<u4'),
    23: np.dtype('<u8'),
}
WITHOUT_NUMBERS = {7, 20, 21}  # text, resource, variant: left out
LIBRARIES = "needs the library {}: pip install 'tljax[detection]'"


class Operation(NamedTuple):
    """A node of the graph in a file.

    Attributes:
        kind: TensorFlow's name of the operation, 'Identity'; TensorFlow Lite's number, '3', or the
            name of an operation of its own, 'TFLite_Detection_PostProcess'.
        name: name of the node, or of its first output.
        inputs: names of the tensors that it reads, in order. '' is an absent one.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]


class Stored(NamedTuple):
    """Content of a file.

    Attributes:
        form: 'graph', 'checkpoint', 'tfjs' or 'tflite'.
        tensors: {name: array}. Numbers of 8 or 16 bits that stand for real numbers are float32;
            other arrays have the file's type. Arrays may be read-only.
        operations: the graph, where the file has one that tells what its tensors are.
        ranges: {name of a tensor of 8 bits: the least and the greatest number that it can have}.
    """

    form: str
    tensors: dict[str, np.ndarray]
    operations: tuple[Operation, ...] = ()
    ranges: Mapping[str, tuple[float, float]] = MappingProxyType({})


class Allowance:
    """Counts the bytes of the arrays of one file, so that a short file cannot fill the memory.

    Args:
        size: bytes of the file.

    >>> Allowance(size=1000).take('huge', (10**6, 10**6), itemsize=4)
    Traceback (most recent call last):
    tljax.core.UserError: is cut off or damaged (with 'huge' its arrays take more ...
    """

    def __init__(self, size: int) -> None:
        self.left = SPARE
        self.grow(size)

    def grow(self, size: int) -> None:
        """Adds what another file of the same model allows.

        Args:
            size: bytes of that file.
        """
        self.left += LARGEST_RATIO * size

    def take(self, name: str, shape: Sequence[int], itemsize: int) -> int:
        """Returns the number of elements of an array, after it is counted.

        Args:
            name: name of the array, for messages.
            shape: its shape.
            itemsize: bytes of one element.

        Raises:
            UserError: the shape is none, or all arrays together are too large for the file.
        """
        if len(shape) > MOST_AXES or not all(type(n) is int and n >= 0 for n in shape):
            raise damaged(f'{name!r} has the shape {list(shape)!s:.60}')
        count = math.prod(shape)
        self.left -= count * itemsize
        if self.left < 0:
            raise damaged(f'with {name!r} its arrays take more than {LARGEST_RATIO} times its size')
        return count


def damaged(reason: str) -> UserError:
    """Returns the error for a damaged file, without the file's name.

    Args:
        reason: what is wrong.

    >>> str(damaged('no end'))
    'is cut off or damaged (no end): copy or download it again'
    """
    line = ' '.join(reason.split())[:160]
    return UserError(f'is cut off or damaged ({line}): copy or download it again')


def numbers(data: bytes, dtype: np.dtype[Any], shape: Sequence[int]) -> np.ndarray:
    """Returns an array from its bytes, in the order of C and little-endian.

    Args:
        data: the bytes.
        dtype: type of an element.
        shape: shape of the array.

    >>> numbers(b'\\1\\0\\2\\0', np.dtype('<i2'), (2,)).tolist()
    [1, 2]
    """
    if dtype == np.bool_:
        return (np.frombuffer(data, np.uint8) != 0).reshape(shape)
    return np.frombuffer(data, dtype).reshape(shape)
