"""Writes small files with TensorFlow, and the numbers that TensorFlow reads from them, for
tests/zoo/from_tensorflow/test_tensorflow_files.py.

    TF/bin/python tests/zoo/from_tensorflow/tensorflow_reference.py $TLJAX_DATA/detection_weights

TF is an environment with tensorflow-cpu 2.21.0 and ai-edge-litert 2.3.0. Numbers of the published
files come from ai-edge-litert. They are dequantised as schema.fbs says: scale (q - zero).
"""

import json
import os
import sys
from pathlib import Path

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tensorflow.core.framework import tensor_pb2, types_pb2

HERE = Path(__file__).parent
TYPES = (
    tf.float32,
    tf.float64,
    tf.int32,
    tf.uint8,
    tf.int16,
    tf.int8,
    tf.int64,
    tf.bool,
    tf.bfloat16,
    tf.uint16,
    tf.float16,
    tf.uint32,
    tf.uint64,
)
LISTS = {
    'float32': 'float_val',
    'float64': 'double_val',
    'int64': 'int64_val',
    'bool': 'bool_val',
    'bfloat16': 'half_val',
    'float16': 'half_val',
    'uint32': 'uint32_val',
    'uint64': 'uint64_val',
}
RANDOM = np.random.default_rng(0)
v1 = tf.compat.v1


def main():
    tf.compat.v1.disable_v2_behavior()
    answers = {
        'constants.pb': graph(),
        'shards.ckpt': shards(),
        'partitioned.ckpt': partitioned(),
        'int8.tflite': lite('int8.tflite', quantised=True),
        'float16.tflite': lite('float16.tflite', quantised=False),
    }
    published = {
        path: litert(Path(sys.argv[1], path), first=3, every=7)
        for path in (
            'ssd_mobilenet_v1_0.75_quantized_coco/detect.tflite',
            'ssd_mobilenet_v2_oidv4/oid_v2_fp16.tflite',
        )
    }
    text = json.dumps({'written': answers, 'published': published}, indent=0)
    (HERE / 'tensorflow_files.json').write_text(text.replace('\n', '') + '\n')


def told(array, first=None):
    """Type, shape and numbers of an array: all, or the first. Their digits tell them apart."""
    numbers = [json.loads(str(number).lower()) for number in array.ravel()[:first]]
    return [str(array.dtype), list(array.shape), numbers]


def numbers_of(dtype, shape):
    if dtype == tf.bool:
        return RANDOM.integers(0, 2, shape).astype(bool)
    if dtype.is_floating:
        return RANDOM.normal(size=shape).astype(dtype.as_numpy_dtype)
    low, high = max(dtype.min, -(2**62)), min(dtype.max, 2**62)
    return RANDOM.integers(low, high, shape).astype(dtype.as_numpy_dtype)


def graph():
    """A frozen graph: variables, and constants of all types in both forms."""
    with tf.Graph().as_default() as made, v1.Session() as session:
        outputs = []
        for dtype in TYPES:
            outputs.append(tf.constant(numbers_of(dtype, (2, 3)), name=f'whole/{dtype.name}'))
            for count in (0, 1, 3, 4):  # of the numbers in the list; the last is repeated
                proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum)
                proto.tensor_shape.CopyFrom(tf.TensorShape([2, 2]).as_proto())
                fill(proto, numbers_of(dtype, count))
                node = made.create_op(
                    'Const',
                    [],
                    [dtype],
                    attrs={
                        'value': v1.AttrValue(tensor=proto),
                        'dtype': v1.AttrValue(type=dtype.as_datatype_enum),
                    },
                    name=f'list{count}/{dtype.name}',
                )
                outputs.append(node.outputs[0])
        outputs += [
            tf.constant(2.5, name='scalar'),
            tf.constant([], tf.float32, name='empty'),
            tf.constant(['text', 'more'], name='text'),
        ]
        x = v1.placeholder(tf.float32, (1, 4, 4, 3), name='x')
        weights = v1.get_variable('Conv/weights', (3, 3, 3, 2), use_resource=False)
        beta = v1.get_variable('Conv/BatchNorm/beta', 2, use_resource=False)
        mean = v1.get_variable('Conv/BatchNorm/moving_mean', 2, use_resource=False)
        variance = v1.get_variable('Conv/BatchNorm/moving_variance', 2, use_resource=False)
        y = tf.nn.conv2d(x, weights, 1, 'SAME', name='Conv/Conv2D')
        y = (y - mean) / tf.sqrt(variance + 1e-3) + beta
        session.run(v1.global_variables_initializer())
        named = [output.op.name for output in outputs]
        tf.identity(y, name='y')
        frozen = v1.graph_util.convert_variables_to_constants(
            session, made.as_graph_def(), ['y', *named]
        )
    (HERE / 'constants.pb').write_bytes(frozen.SerializeToString())
    return {
        node.name: told(tf.make_ndarray(node.attr['value'].tensor))
        for node in frozen.node
        if node.op == 'Const' and node.attr['dtype'].type != types_pb2.DT_STRING
    }


def fill(proto, values):
    """Puts numbers into the list of a TensorProto."""
    field = LISTS.get(tf.as_dtype(proto.dtype).name, 'int_val')
    bits = values.view(np.uint16) if field == 'half_val' else values
    getattr(proto, field).extend(bits.tolist())


def checkpoint(prefix):
    """What TensorFlow reads from a checkpoint."""
    reader = tf.train.load_checkpoint(str(prefix))
    types = reader.get_variable_to_dtype_map()
    return {name: told(reader.get_tensor(name)) for name in types if types[name] != tf.string}


def shards():
    """Variables of all types on two devices, each with a file of its own."""
    config = v1.ConfigProto(device_count={'CPU': 2})
    with tf.Graph().as_default(), v1.Session(config=config) as session:
        for i, dtype in enumerate(TYPES):
            with tf.device(f'/cpu:{i % 2}'):
                v1.get_variable(
                    f'FeatureExtractor/layer_{i}/{dtype.name}',
                    initializer=tf.constant(numbers_of(dtype, (2, 3))),
                    use_resource=True,
                )
        with tf.device('/cpu:0'):
            v1.get_variable('text', initializer=tf.constant('a text'), use_resource=True)
        session.run(v1.global_variables_initializer())
        saver = v1.train.Saver(sharded=True)
        saver.save(session, str(HERE / 'shards.ckpt'), write_meta_graph=False, write_state=False)
    return checkpoint(HERE / 'shards.ckpt')


def partitioned():
    """A variable in parts along each of its axes, an optimiser, moving averages, a counter."""
    with tf.Graph().as_default(), v1.Session() as session:
        tall = v1.get_variable(
            'tall/weights', (201, 3), partitioner=v1.fixed_size_partitioner(3), use_resource=False
        )
        wide = v1.get_variable(
            'wide/weights',
            (2, 150),
            partitioner=v1.fixed_size_partitioner(2, axis=1),
            use_resource=False,
        )
        small = v1.get_variable('small/weights', (4,), use_resource=False)
        step = v1.train.get_or_create_global_step()
        loss = sum(tf.reduce_sum(tf.square(v)) for v in [*tall, *wide, small])
        train = v1.train.MomentumOptimizer(0.1, 0.9).minimize(loss, step)
        averages = tf.train.ExponentialMovingAverage(0.9)
        with tf.control_dependencies([train]):
            train = averages.apply([small])
        session.run(v1.global_variables_initializer())
        session.run(train)
        saver = v1.train.Saver()
        saver.save(
            session, str(HERE / 'partitioned.ckpt'), write_meta_graph=False, write_state=False
        )
    return checkpoint(HERE / 'partitioned.ckpt')


def lite(name, quantised):
    """A convolution and a depthwise one, with 8 bits for each channel or with 16 bits."""
    x = RANDOM.normal(size=(8, 1, 6, 6, 3)).astype(np.float32)
    kernel = RANDOM.normal(size=(3, 3, 3, 4)).astype(np.float32)
    depthwise = RANDOM.normal(size=(3, 3, 4, 1)).astype(np.float32)
    bias = RANDOM.normal(size=4).astype(np.float32)
    with tf.Graph().as_default(), v1.Session() as session:
        input = v1.placeholder(tf.float32, (1, 6, 6, 3), name='x')
        y = tf.nn.conv2d(input, kernel, 1, 'SAME', name='Conv/Conv2D')
        y = tf.nn.relu6(tf.nn.bias_add(y, bias, name='Conv/BiasAdd'))
        y = tf.nn.depthwise_conv2d(y, depthwise, (1, 1, 1, 1), 'SAME', name='dw/depthwise')
        y = tf.nn.bias_add(y, bias, name='dw/BiasAdd')
        converter = v1.lite.TFLiteConverter.from_session(session, [input], [y])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantised:
            converter.representative_dataset = lambda: ([each] for each in x)
        else:
            converter.target_spec.supported_types = [tf.float16]
        (HERE / name).write_bytes(converter.convert())
    return {
        'tensors': litert(HERE / name),
        'kernel': told(kernel),
        'depthwise': told(depthwise),
        'bias': told(bias),
    }


def litert(path, first=None, every=1):
    """The constants of a model as the runtime has them, dequantised: all, or a few and their first
    numbers."""
    interpreter = Interpreter(
        str(path),
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    constants = {}
    for detail in interpreter.get_tensor_details():
        try:
            array = interpreter.get_tensor(detail['index'])
        except ValueError:  # not computed yet
            continue
        constants[detail['name']] = dequantised(array, detail['quantization_parameters'])
    return {name: told(array, first) for name, array in list(constants.items())[::every]}


def dequantised(array, parameters):
    scales, zeros = parameters['scales'], parameters['zero_points']
    if not len(scales):
        return array
    shape = [1] * array.ndim
    if len(scales) > 1:
        shape[parameters['quantized_dimension']] = -1
    return ((array.astype(float) - zeros.reshape(shape)) * scales.reshape(shape)).astype(np.float32)


if __name__ == '__main__':
    main()
