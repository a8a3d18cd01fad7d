"""Networks of the zoo: forward pass, training forward and training step."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.sides.protocol import Calls, serve
from tljax.configuration import call_named
from tljax.core import Method, Tick, TrainState, Tree
from tljax.engine.step import make_step
from tljax.files.memory import keep_freed_memory, release_memory_after_compiling
from tljax.methods.fine_tuning.finetune import finetune


def pictures(batch: int, size: int) -> dict[str, jax.Array]:
    """Returns random pictures (batch, size, size, 3) in [0, 1], and labels.

    Args:
        batch: number of pictures.
        size: side of the pictures, pixels.
    """
    values = np.random.default_rng(0).uniform(size=(batch, size, size, 3))
    return {'input': jnp.asarray(values, jnp.float32), 'label': jnp.arange(batch) % 1000}


def training(
    network: str, batch: int, size: int, **keywords: Any
) -> tuple[Method, Callable[..., tuple[TrainState, Tree]], TrainState, Tree]:
    """Prepares the training of a network: the method, its step (compiled by jit), state and batch.

    Args:
        network: name of a network of the zoo.
        batch: number of pictures.
        size: side of the pictures, pixels.
        **keywords: keywords of the network, such as `alpha`.
    """
    release_memory_after_compiling()  # as in every run
    keep_freed_memory()
    data, tx = pictures(batch, size), optax.sgd(1e-3, momentum=0.9)
    spec = {'name': network, **keywords}
    method = finetune(call_named('tljax.zoo', spec, 'net'), classes=1000)
    params, variables = jax.jit(method.init)(jax.random.key(0), data)
    train_state = TrainState(jnp.zeros((), jnp.int32), params, variables, tx.init(params))
    labels = jax.tree.map(lambda _: 'all', params)
    return method, jax.jit(make_step(method, tx, labels), donate_argnums=0), train_state, data


def make(network: str, batch: int, size: int, **keywords: Any) -> tuple[str, Calls]:
    """Prepares the calls 'predict', 'forward', 'step' and 'operations' of a network.

    'predict' is the forward pass with stored statistics. 'forward' is the loss of training: the
    forward pass with BatchNorm on batch statistics, which also updates the stored ones, and no
    gradient. 'step' fine-tunes everything by SGD with momentum, with BatchNorm on batch statistics.
    'operations' returns the floating-point operations of a step, as XLA counts them.

    Args:
        network: name of a network of the zoo.
        batch: number of pictures.
        size: side of the pictures, pixels.
        **keywords: keywords of the network, such as `alpha`.
    """
    method, train, train_state, data = training(network, batch, size, **keywords)
    predict = jax.jit(method.predict)
    forward = jax.jit(lambda *args: method.loss(*args, Tick(0, jax.random.key(0))))

    def step():
        nonlocal train_state
        train_state, metrics = train(train_state, data, 0)
        jax.block_until_ready((train_state, metrics))

    def variables_of_step():
        return train_state.params, train_state.variables, data

    return f'JAX {jax.__version__} on {jax.devices()[0].device_kind}', {
        'predict': lambda: jax.block_until_ready(predict(*variables_of_step())),
        'forward': lambda: jax.block_until_ready(forward(*variables_of_step())),
        'step': step,
        'operations': lambda: train.lower(train_state, data, 0).cost_analysis()['flops'],
    }


if __name__ == '__main__':
    serve(make)
