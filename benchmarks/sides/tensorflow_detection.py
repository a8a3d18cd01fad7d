"""SSDLite with MobileNetV2 at 300 pixels in the TensorFlow Object Detection API: its own graph."""

import sys
from pathlib import Path

import numpy as np

from benchmarks.sides.protocol import Calls, serve

ROW, SIZE, CLASSES, BOXES = 'ssdlite_mobilenet_v2', 300, 90, 10


def make(batch: int, threads: int, api: str) -> tuple[str, Calls]:
    """Prepares the calls 'predict' and 'step'.

    'predict' is the forward pass with stored statistics, decoding and suppression. 'step' matches
    anchors and boxes, chooses hard examples, and trains everything by SGD with momentum, with
    BatchNorm on batch statistics, which it stores.

    Args:
        batch: number of pictures, with ten boxes each.
        threads: number of threads within an operation.
        api: folder of the API.
    """
    tests = Path(__file__).parents[2] / 'tests'
    sys.path[:0] = [api, f'{api}/slim', f'{tests}/methods', f'{tests}/zoo']
    import single_shot_reference  # it needs the API
    from tensorflow_reference import tf

    compat = tf.compat.v1
    options = compat.ConfigProto(intra_op_parallelism_threads=threads)
    rng = np.random.default_rng(0)
    pictures = rng.uniform(size=(batch, SIZE, SIZE, 3)).astype(np.float32)
    boxes = np.sort(rng.uniform(size=(batch, BOXES, 2, 2)), 2).reshape(batch, BOXES, 4)
    labels = np.eye(CLASSES, dtype=np.float32)[rng.integers(CLASSES, size=(batch, BOXES))]
    calls = {}
    for call, is_training in (('predict', False), ('step', True)):
        with tf.Graph().as_default():
            model = single_shot_reference.detector(ROW, not is_training, (SIZE, SIZE))
            images, shapes = model.preprocess(tf.constant(255 * pictures))
            if is_training:
                model.provide_groundtruth(
                    list(map(tf.constant, boxes.astype(np.float32))),
                    list(map(tf.constant, labels)),
                )
            told = model.predict(images, shapes)
            if is_training:
                loss = tf.add_n(list(model.loss(told, shapes).values()))
                optimiser = compat.train.MomentumOptimizer(1e-3, 0.9)
                updates = compat.get_collection(compat.GraphKeys.UPDATE_OPS)
                asked = [optimiser.minimize(loss), *updates]
            else:
                asked = model.postprocess(told, shapes)
            session = compat.Session(config=options)
            session.run(compat.global_variables_initializer())
        calls[call] = lambda session=session, asked=asked: session.run(asked)
    return f'TensorFlow {tf.__version__}, {threads} threads', calls


if __name__ == '__main__':
    serve(make)
