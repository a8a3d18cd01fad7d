"""Networks and few-shot learning of tljax at commit 41e505e, whose modules have other names."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tljax.layers import place
from tljax.methods.finetune import finetune
from tljax.step import give_back_after_compiling, make_step
from tljax.train import start

from benchmarks.sides.protocol import Calls, serve
from configs import maml, protonet
from tljax import build
from tljax.configuration import merge, named, phases
from tljax.core import TrainState


def make(network: str = '', batch: int = 0, size: int = 0, task: str = '') -> tuple[str, Calls]:
    """Prepares the calls of a network, as `tljax_networks.make`, or of a task, as
    `tljax_episodes.make`.

    Args:
        network: name of a network; '' for a task.
        batch: number of pictures.
        size: side of the pictures, pixels.
        task: name of a task; '' for a network.
    """
    calls = _network(network, batch, size) if network else {'step': _episodes(task)}
    return f'JAX {jax.__version__}', calls


def _network(network, batch, size):
    give_back_after_compiling()
    values = np.random.default_rng(0).uniform(size=(batch, size, size, 3))
    data = {'input': jnp.asarray(values, jnp.float32), 'label': jnp.arange(batch) % 1000}
    tx = optax.sgd(1e-3, momentum=0.9)
    method = finetune(named('tljax.zoo', {'name': network}, 'net', form=place()), classes=1000)
    params, variables = jax.jit(method.init)(jax.random.key(0), data)
    train_state = TrainState(jnp.zeros((), jnp.int32), params, variables, tx.init(params))
    train = jax.jit(make_step(method, tx, jax.tree.map(lambda _: 'all', params)), donate_argnums=0)
    predict = jax.jit(method.predict)

    def step():
        nonlocal train_state
        train_state, metrics = train(train_state, data, 0)
        jax.block_until_ready((train_state, metrics))

    return {
        'predict': lambda: jax.block_until_ready(
            predict(train_state.params, train_state.state, data)
        ),
        'step': step,
    }


def _episodes(task):
    if task == 'protonet':
        config = phases(protonet.get_config('shots=5'))[0][1]
    else:
        changes = {'data': {'queries': 15}, 'method': {'steps': int(task.removeprefix('maml'))}}
        config = merge(phases(maml.get_config())[0][1], changes)
    run = build.build(config)
    train_state, seeds = run.step.split(start(run)), np.asarray(run.seeds, np.uint32)
    count = 0

    def step():
        nonlocal train_state, count
        index = run.source.take(run.source.index(0, count))
        batch = run.step.place(jax.tree.map(lambda leaf: leaf[None, None], index))
        train_state, metrics = run.step.run(train_state, batch, seeds)
        count += 1
        return jax.block_until_ready(metrics)

    return step


if __name__ == '__main__':
    serve(make)
