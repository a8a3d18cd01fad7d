"""SSDLite with MobileNetV2 at 300 pixels: prediction, and a training step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.sides.protocol import Calls, serve
from tljax.configuration import GIVEN, METHODS, ZOO, bind_named, call_named
from tljax.core import TrainState
from tljax.engine.step import make_step
from tljax.files.memory import keep_freed_memory, release_memory_after_compiling
from tljax.nn.boxes.suppression import detections
from tljax.zoo.detectors import DETECTORS

ROW, CLASSES, BOXES, ANCHORS = 'ssdlite_mobilenet_v2', 90, 10, 1917


def make(batch: int) -> tuple[str, Calls]:
    """Prepares the calls 'predict', 'suppression' and 'step'.

    'predict' is the forward pass with stored statistics, decoding and suppression; 'suppression' is
    its last part alone, on random boxes. 'step' trains everything by SGD with momentum, with
    BatchNorm on batch statistics: targets, loss, gradient and update.

    Args:
        batch: number of pictures, with ten boxes each.
    """
    release_memory_after_compiling()  # as in every run
    keep_freed_memory()
    rng = np.random.default_rng(0)
    net = call_named(ZOO, DETECTORS[ROW].net, 'net', stored=None)
    bound = bind_named(METHODS, DETECTORS[ROW].method, 'method', *GIVEN)
    method = bound(net=net, classes=CLASSES, stored=None)
    pictures = jnp.asarray(rng.uniform(size=(batch, 300, 300, 3)), jnp.float32)
    classes = rng.integers(CLASSES, size=(batch, BOXES, 1))
    label = jnp.asarray(np.concatenate([_boxes(rng, batch, BOXES), classes], 2), jnp.float32)
    data = {'input': pictures, 'label': label}
    params, variables = jax.jit(method.init)(jax.random.key(0), data)
    tx = optax.sgd(1e-3, momentum=0.9)
    labels = jax.tree.map(lambda _: 'all', params)
    train = jax.jit(make_step(method, tx, labels), donate_argnums=0)
    state = TrainState(jnp.zeros((), jnp.int32), params, variables, tx.init(params))
    predict = jax.jit(method.predict)
    suppress = jax.jit(detections)
    boxes = jnp.asarray(_boxes(rng, batch, ANCHORS), jnp.float32)
    scores = jnp.asarray(rng.uniform(size=(batch, ANCHORS, CLASSES)) ** 8, jnp.float32)

    def step():
        nonlocal state
        state, metrics = train(state, data, 0)
        jax.block_until_ready((state, metrics))

    return f'JAX {jax.__version__} on {jax.devices()[0].device_kind}', {
        'predict': lambda: jax.block_until_ready(predict(state.params, state.variables, data)),
        'suppression': lambda: jax.block_until_ready(suppress(boxes, scores)),
        'step': step,
    }


def _boxes(rng, batch, count):
    """Random boxes, (batch, count, 4)."""
    return np.sort(rng.uniform(size=(batch, count, 2, 2)), 2).reshape(batch, count, 4)


if __name__ == '__main__':
    serve(make)
