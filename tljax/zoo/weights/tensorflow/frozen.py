"""Reads frozen graphs of TensorFlow (`frozen_inference_graph.pb`), whose constants are the
variables of training."""

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from tljax.core import UserError
from tljax.zoo.weights.tensorflow.messages import parse, shape_of
from tljax.zoo.weights.tensorflow.stored import (
    TYPES,
    WITHOUT_NUMBERS,
    Allowance,
    Operation,
    Stored,
    damaged,
    numbers,
)

LARGEST = 2**31  # bytes of a message of Protocol Buffers, at most
# fields with the elements of an array; the others are in int_val
FIELDS = {
    1: 'float_val',
    2: 'double_val',
    9: 'int64_val',
    10: 'bool_val',
    14: 'half_val',
    19: 'half_val',
    22: 'uint32_val',
    23: 'uint64_val',
}


def read(path: Path) -> Stored:
    """Returns the constants of a frozen graph by the names of their nodes, and all other nodes.

    Args:
        path: path of the file.

    Raises:
        UserError: the file is too large or no graph, or it holds no constants, or a constant is
            damaged or has a type without plain numbers. The message lacks the file's name.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'toy.pb')
    >>> graph = parse('Graph', b'')
    >>> node = graph.node.add(name='scale', op='Const')
    >>> value = node.attr.add(key='value').value.tensor
    >>> value.dtype, value.float_val[:] = 1, [0.5]
    >>> _ = value.tensor_shape.dim.add(size=3)  # the last number stands for those that follow
    >>> _ = path.write_bytes(graph.SerializeToString())
    >>> {name: array.tolist() for name, array in read(path).tensors.items()}
    {'scale': [0.5, 0.5, 0.5]}
    """
    size = path.stat().st_size
    if size > LARGEST:
        raise UserError(f'has {size:,} bytes, more than the {LARGEST:,} of a graph: name another')
    graph, allowance = parse('Graph', path.read_bytes()), Allowance(size)
    tensors, operations = {}, []
    for node in graph.node:
        if node.op != 'Const':
            operations.append(Operation(node.op, node.name, tuple(node.input)))
            continue
        value = next((each.value.tensor for each in node.attr if each.key == 'value'), None)
        if value is None or node.name in tensors:
            raise damaged(f'constant {node.name!r} has no value or two')
        if value.dtype not in WITHOUT_NUMBERS:
            tensors[node.name] = _array(value, node.name, allowance)
    if not tensors:
        raise UserError('is no frozen graph, for it has no constants: name a graph after freezing')
    return Stored('graph', tensors, tuple(operations))


def _array(tensor: Any, name: str, allowance: Allowance) -> np.ndarray:
    """The array of a message `Tensor`.

    Its elements are bytes, or a list. Elements that the list lacks are equal to its last, or 0.
    """
    if tensor.dtype not in TYPES:
        raise UserError(
            f"holds {name!r} in TensorFlow's type {tensor.dtype}, which has no plain numbers: "
            'export the graph without quantisation'
        )
    dtype, shape = TYPES[tensor.dtype], shape_of(tensor.tensor_shape)
    count = allowance.take(name, shape, dtype.itemsize)
    if tensor.tensor_content:
        return numbers(tensor.tensor_content, dtype, shape)
    field = FIELDS.get(tensor.dtype, 'int_val')
    values = np.array(getattr(tensor, field), np.uint16 if field == 'half_val' else dtype)
    if dtype in (np.float16, ml_dtypes.bfloat16):  # half_val has their bits
        values = values.view(dtype)
    if len(values) > count:
        raise damaged(f'{name!r} has {len(values):,} elements for the shape {list(shape)}')
    if len(values) < 2:  # one number in memory
        return np.broadcast_to(values[0] if len(values) else np.zeros((), dtype), shape)
    return np.pad(values, (0, count - len(values)), 'edge').reshape(shape)
