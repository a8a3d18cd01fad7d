"""Networks of Keras on TensorFlow: forward pass and training step, without XLA and with it."""

import os

import numpy as np
import tensorflow as tf

from benchmarks.sides.protocol import Calls, serve

os.environ['KERAS_BACKEND'] = 'tensorflow'  # must be set before TensorFlow first uses Keras


def make(title: str, batch: int, size: int, threads: int) -> tuple[str, Calls]:
    """Prepares the calls 'predict' and 'step' of a network, each as tf.function and by XLA.

    A step is Keras's own `train_on_batch`: cross-entropy on 1,000 classes, its gradient, and SGD
    with momentum.

    Args:
        title: name of a network of Keras.
        batch: number of pictures.
        size: side of the pictures, pixels.
        threads: number of threads within an operation.
    """
    keras = tf.keras
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    pictures = np.random.default_rng(0).uniform(size=(batch, size, size, 3))
    x = tf.constant(pictures, tf.float32)
    y = tf.range(batch) % 1000
    calls = {}
    for name, by_xla in (('tf.function', False), ('XLA', True)):
        model = getattr(keras.applications, title)(
            weights=None, input_shape=(size, size, 3), classifier_activation=None
        )
        model.compile(
            keras.optimizers.SGD(1e-3, momentum=0.9),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=by_xla,
        )
        calls[f'predict {name}'] = lambda model=model: model.predict_on_batch(x)
        calls[f'step {name}'] = lambda model=model: model.train_on_batch(x, y)
    return f'Keras {keras.__version__}, TensorFlow {tf.__version__}, {threads} threads', calls


if __name__ == '__main__':
    serve(make)
