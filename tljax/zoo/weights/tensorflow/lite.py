"""Reads models of TensorFlow Lite (`.tflite`): the constants of the graph, dequantised.

A quantised number q stands for `scale * (q - zero)`. Scale and zero hold for the tensor, or there
is one for each position along an axis.

Source:
    tensorflow/compiler/mlir/lite/schema/schema.fbs; Jacob et al. 2018,
    https://arxiv.org/abs/1712.05877, equation 1.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from tljax.core import UserError
from tljax.zoo.weights.tensorflow.stored import (
    LIBRARIES,
    MOST_AXES,
    Allowance,
    Operation,
    Stored,
    damaged,
    numbers,
)

LARGEST = 2**31  # bytes of a file: its places have 31 bits
MOST = 2**15  # tensors or operations of a graph
PLACE = 64  # bytes that the number of an operation's tensor takes in Python
TYPES = {  # TensorType
    0: np.dtype('<f4'),
    1: np.dtype('<f2'),
    2: np.dtype('<i4'),
    3: np.dtype('u1'),
    4: np.dtype('<i8'),
    6: np.dtype('?'),
    7: np.dtype('<i2'),
    9: np.dtype('i1'),
    10: np.dtype('<f8'),
    12: np.dtype('<u8'),
    15: np.dtype('<u4'),
    16: np.dtype('<u2'),
    18: np.dtype(ml_dtypes.bfloat16),
}
WITHOUT_NUMBERS = {5, 13, 14}  # text, resource, variant
CUSTOM, DEQUANTIZE = 32, 6  # BuiltinOperator


def read(path: Path) -> Stored:
    """Returns the constants of a model by their names, and its operations.

    A constant that an operation DEQUANTIZE turns into float32 is named as the input of what reads
    its output. A name that another constant has gets a number, `shape_1`.

    Args:
        path: path of the file.

    Raises:
        UserError: the file is no model or a damaged one, or too large, or has several graphs, or a
            tensor is sparse or of a type without plain numbers; the library tflite is not
            installed. The message lacks the file's name.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'toy.tflite')
    >>> _ = path.write_bytes(b'')
    >>> read(path)
    Traceback (most recent call last):
    tljax.core.UserError: is no model of TensorFlow Lite: name a .tflite file
    """
    try:  # imported late, since it is an extra
        import tflite
    except ImportError:
        raise UserError(LIBRARIES.format('tflite')) from None
    size = path.stat().st_size
    if size > LARGEST:
        raise UserError(f'has {size:,} bytes, more than the {LARGEST:,} of a .tflite file')
    data = path.read_bytes()
    if data[4:8] != b'TFL3':
        raise UserError('is no model of TensorFlow Lite: name a .tflite file')
    model = tflite.Model.GetRootAs(data, 0)
    if model.SubgraphsLength() != 1:
        raise UserError(
            f'has {model.SubgraphsLength()} graphs: convert the model without loops and conditions'
        )
    graph: Any = model.Subgraphs(0)
    for count in (graph.TensorsLength(), graph.OperatorsLength(), model.OperatorCodesLength()):
        if count > min(MOST, size):
            raise damaged(f'it states {count:,} tensors or operations')
    allowance = Allowance(size)
    names, tensors, ranges = _names(graph, allowance), {}, {}
    for i, name in enumerate(names):
        array = _array(model, graph.Tensors(i), name, allowance)
        if array is not None:
            tensors[name] = array
        if ends := _range(graph.Tensors(i)):
            ranges[name] = ends
    return Stored('tflite', tensors, tuple(_operations(model, graph, names, allowance)), ranges)


def _names(graph: Any, allowance: Allowance) -> list[str]:
    """The names of a graph's tensors, each once."""
    names: dict[str, None] = {}
    for i in range(graph.TensorsLength()):
        name = (graph.Tensors(i).Name() or b'').decode()
        allowance.take('a name', (len(name),), 1)
        while name in names:
            name = f'{name}_{i}'
        names[name] = None
    return list(names)


def _array(model: Any, tensor: Any, name: str, allowance: Allowance) -> np.ndarray | None:
    """The array of a tensor; None for one that is computed, and for text."""
    if tensor.Buffer() >= model.BuffersLength():
        raise damaged(f'{name!r} has a buffer that is absent')
    buffer, kind = model.Buffers(tensor.Buffer()), tensor.Type()
    if buffer.Offset():
        raise UserError(f'keeps {name!r} outside of its graph: convert the model below 2 GB')
    size = buffer.DataLength()
    if not size or kind in WITHOUT_NUMBERS:
        return None
    if kind not in TYPES or tensor.Sparsity():
        raise UserError(
            f'holds {name!r} in the type {kind} of TensorFlow Lite, or sparse: convert the model '
            'with weights of 8, 16 or 32 bits'
        )
    axes = tensor.ShapeLength()
    shape = [int(tensor.Shape(axis)) for axis in range(min(axes, MOST_AXES + 1))]
    count = allowance.take(name, shape, TYPES[kind].itemsize)
    if count * TYPES[kind].itemsize != size:
        raise damaged(f'{name!r} has {size:,} bytes for the shape {shape}')
    array = numbers(buffer.DataAsNumpy().tobytes(), TYPES[kind], shape)
    quantised = tensor.Quantization()
    if quantised is None or not quantised.ScaleLength() or array.dtype.kind not in 'iu':
        return array
    allowance.take(name, shape, np.dtype(np.float32).itemsize)
    return _dequantised(array, quantised, name)


def _dequantised(array: np.ndarray, quantised: Any, name: str) -> np.ndarray:
    """Scale times (number minus zero), in float32."""
    count, axis = quantised.ScaleLength(), quantised.QuantizedDimension()
    zeros = quantised.ZeroPointLength()
    along = array.shape[axis] if 0 <= axis < array.ndim else 1
    if count not in (1, along) or zeros not in (0, count):
        raise damaged(f'{name!r} has {count:,} scales and {zeros:,} zeros for {along:,} channels')
    shape = [-1 if i == axis else 1 for i in range(array.ndim)] if count > 1 else []
    scale = quantised.ScaleAsNumpy().reshape(shape)
    zero = quantised.ZeroPointAsNumpy().reshape(shape) if zeros else 0
    with np.errstate(over='ignore', invalid='ignore'):  # refused with what is not finite
        return (array.astype(np.int64) - zero).astype(np.float32) * scale


def _range(tensor: Any) -> tuple[float, float] | None:
    """The least and the greatest number that a tensor of 8 bits can have; None for others."""
    kind, quantised = TYPES.get(tensor.Type()), tensor.Quantization()
    if kind not in (np.uint8, np.int8) or quantised is None:
        return None
    if quantised.ScaleLength() != 1 or quantised.ZeroPointLength() != 1:
        return None
    scale, zero = float(quantised.Scale(0)), quantised.ZeroPoint(0)
    limits = np.iinfo(kind)
    return scale * (limits.min - zero), scale * (limits.max - zero)


def _operations(
    model: Any, graph: Any, names: list[str], allowance: Allowance
) -> Iterator[Operation]:
    """The operations of a graph, without DEQUANTIZE."""
    before: dict[int, int] = {}  # output of DEQUANTIZE -> its input
    for i in range(graph.OperatorsLength()):
        operator = graph.Operators(i)
        code = model.OperatorCodes(operator.OpcodeIndex())
        kind, inputs = code.BuiltinCode(), _places(operator.InputsAsNumpy(), names, allowance)
        outputs = _places(operator.OutputsAsNumpy(), names, allowance)
        if kind == DEQUANTIZE and len(inputs) == len(outputs) == 1:
            before[outputs[0]] = inputs[0]
            continue
        text = (code.CustomCode() or b'').decode() if kind == CUSTOM else str(kind)
        read = (before.get(place, place) for place in inputs)
        yield Operation(
            text,
            names[outputs[0]] if outputs else '',
            tuple(names[place] if place >= 0 else '' for place in read),
        )


def _places(places: Any, names: list[str], allowance: Allowance) -> list[int]:
    """The numbers of an operation's tensors; -1 is an absent one."""
    if not isinstance(places, np.ndarray):  # tflite gives 0 for an absent list
        return []
    allowance.take('the inputs of an operation', places.shape, PLACE)
    found = places.tolist()
    if any(not -1 <= place < len(names) for place in found):
        raise damaged('an operation reads a tensor that is absent')
    return found
