"""TensorFlow's messages in Protocol Buffers, as far as they are read. protobuf keeps the fields
that are not declared here apart.

Source:
    tensorflow/core/framework/{graph,node_def,attr_value,tensor,tensor_shape,tensor_slice}.proto,
    versions.proto; tensorflow/core/protobuf/tensor_bundle.proto. Enumerations are declared as
    int32, and the map `attr` as its entries: both are the same on the wire.
"""

import functools
from typing import Any

from tljax.core import UserError
from tljax.zoo.weights.tensorflow.stored import LIBRARIES, damaged

PACKAGE = 'tljax'
# {message: {field: (number, type)}}; * is a repeated field, and a capital a message
FIELDS = {
    'Dimension': {'size': (1, 'int64')},
    'Shape': {'dim': (2, '*Dimension'), 'unknown_rank': (3, 'bool')},
    'Tensor': {
        'dtype': (1, 'int32'),
        'tensor_shape': (2, 'Shape'),
        'tensor_content': (4, 'bytes'),
        'float_val': (5, '*float'),
        'double_val': (6, '*double'),
        'int_val': (7, '*int32'),
        'int64_val': (10, '*int64'),
        'bool_val': (11, '*bool'),
        'half_val': (13, '*int32'),
        'uint32_val': (16, '*uint32'),
        'uint64_val': (17, '*uint64'),
    },
    'Value': {'tensor': (8, 'Tensor')},
    'Attribute': {'key': (1, 'string'), 'value': (2, 'Value')},
    'Node': {
        'name': (1, 'string'),
        'op': (2, 'string'),
        'input': (3, '*string'),
        'attr': (5, '*Attribute'),
    },
    'Graph': {'node': (1, '*Node')},
    'Version': {'producer': (1, 'int32'), 'min_consumer': (2, 'int32')},
    'Header': {'num_shards': (1, 'int32'), 'endianness': (2, 'int32'), 'version': (3, 'Version')},
    'Extent': {'start': (1, 'int64'), 'length': (2, 'int64')},
    'Slice': {'extent': (1, '*Extent')},
    'Entry': {
        'dtype': (1, 'int32'),
        'shape': (2, 'Shape'),
        'shard_id': (3, 'int32'),
        'offset': (4, 'int64'),
        'size': (5, 'int64'),
        'crc32c': (6, 'fixed32'),
        'slices': (7, '*Slice'),
    },
}


def parse(kind: str, data: bytes) -> Any:
    """Returns a message from its bytes.

    Args:
        kind: name of the message: a key of `FIELDS`.
        data: the bytes.

    Raises:
        UserError: for bytes that are no such message, and without the library protobuf.

    >>> parse('Version', b'\\x08\\x15').producer
    21
    >>> parse('Version', b'\\x08')
    Traceback (most recent call last):
    tljax.core.UserError: is cut off or damaged (it is no message Version): copy or download ...
    """
    message = _classes()[kind]()
    from google.protobuf.message import DecodeError  # imported late, since it is an extra

    try:
        message.ParseFromString(data)
    except DecodeError:
        raise damaged(f'it is no message {kind}') from None
    return message


def shape_of(shape: Any) -> tuple[int, ...]:
    """Returns the sizes of a `Shape`.

    Args:
        shape: the message.

    Raises:
        UserError: its number of axes is unknown.

    >>> shape_of(parse('Shape', b'\\x12\\x02\\x08\\x03\\x12\\x02\\x08\\x05'))
    (3, 5)
    """
    if shape.unknown_rank:
        raise damaged('an array has no shape')
    return tuple(dimension.size for dimension in shape.dim)


@functools.cache
def _classes() -> dict[str, Any]:
    """The classes of the messages."""
    try:  # imported late, since it is an extra
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError:
        raise UserError(LIBRARIES.format('protobuf')) from None
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name='tljax.proto', package=PACKAGE, syntax='proto2')
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            label = kinds.LABEL_REPEATED if kind[0] == '*' else kinds.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            kind = kind.removeprefix('*')
            if kind in FIELDS:
                added.type = kinds.TYPE_MESSAGE
                added.type_name = f'.{PACKAGE}.{kind}'
            else:
                added.type = getattr(kinds, f'TYPE_{kind.upper()}')
    pool = descriptor_pool.DescriptorPool()  # its own: TensorFlow may be imported beside tljax
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f'{PACKAGE}.{name}'))
        for name in FIELDS
    }
