r"""Compares networks of the zoo with Keras on the JAX backend: pictures per second, in the forward
pass and in fine-tuning of all layers.

    python -m pip install -e '.[test]' && python -m benchmarks.keras_networks --networks=mobilenet \
        --batch=16

Both libraries are compiled by jax.jit and compute in float32 on the same random pictures. A
training step is the cross-entropy on 1,000 classes, with BatchNorm on batch statistics, its
gradient, and SGD with momentum. Pictures have the size that a network was trained on, or `--size`.
Each library is timed `--rounds` times. `--memory` runs a training step of each library in a
separate process and prints its peak memory.
"""

import os
import resource
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import flags

from benchmarks.timing import define_rounds, take_turns
from experiments import command
from experiments.flag_types import define_list, one_of
from tljax.configuration import call_named
from tljax.core import TrainState
from tljax.engine.devices import release_memory_after_compiling
from tljax.engine.step import make_step
from tljax.files.console import say
from tljax.methods.fine_tuning.finetune import finetune
from tljax.nn.convolution import place_of_run
from tljax.report.page import table
from tljax.zoo.table import ROWS

os.environ.setdefault('KERAS_BACKEND', 'jax')  # must be set before Keras is imported

NETWORKS = define_list('networks', list(ROWS), 'Names of networks.', one_of(ROWS))
BATCH = flags.DEFINE_integer('batch', 16, 'Pictures in a batch.', lower_bound=1)
SIZE = flags.DEFINE_integer(
    'size', 0, 'Side of the pictures in pixels; 0: the size that each network was trained on.'
)
ROUNDS = define_rounds(3)
MEMORY = flags.DEFINE_bool('memory', False, 'Measure memory, not time.')
SIDE = flags.DEFINE_enum(
    'side',
    None,
    ['keras', 'tljax'],
    'Run one training step of this library only, and print its memory.',
)


def main() -> None:
    """Prints the table."""
    if SIDE.value:
        step = _calls(NETWORKS.value[0], SIDE.value)['step']
        jax.block_until_ready(list(step().values()))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    elif MEMORY.value:
        rows = []
        for name in NETWORKS.value:
            tljax, keras = _memory(name, 'tljax'), _memory(name, 'keras')
            rows.append([name, f'{tljax:.2f}', f'{keras:.2f}', f'{tljax / keras:.2f}'])
        table(
            ['network', 'tljax GB', 'Keras GB', 'ratio'],
            rows,
            title=f'Peak memory of a step, batch {BATCH.value}',
        )
    else:
        rows = [row for name in NETWORKS.value for row in _speed(name)]
        table(
            ['network', 'what', 'tljax pictures/s', 'Keras pictures/s', 'ratio'],
            rows,
            title=f'Speed, batch {BATCH.value}',
        )


def _speed(name):
    """Yields the rows of a network's speeds."""
    calls = {
        (side, task): call
        for side in ('tljax', 'keras')
        for task, call in _calls(name, side).items()
    }
    seconds = take_turns(calls, ROUNDS.value).seconds
    speed = {key: float(np.median(BATCH.value / values)) for key, values in seconds.items()}
    for task in ('forward', 'step'):
        tljax, keras = speed['tljax', task], speed['keras', task]
        say(f'{name} {task}: {tljax:.1f} against {keras:.1f} pictures/s')
        yield [name, task, f'{tljax:.1f}', f'{keras:.1f}', f'{tljax / keras:.2f}']


def _memory(name, side):
    """Returns the peak memory of a training step, in GB."""
    process = subprocess.run(
        [
            sys.executable,
            '-m',
            'benchmarks.keras_networks',
            f'--networks={name}',
            f'--side={side}',
            f'--batch={BATCH.value}',
            f'--size={SIZE.value}',
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(process.stdout.split()[-1]) / 1e6


def _calls(name, side):
    """Returns {'forward', 'step': call} of a library, 'tljax' or 'keras'."""
    size = SIZE.value or ROWS[name].size
    rng = np.random.default_rng(0)
    batch = {
        'input': jnp.asarray(rng.uniform(size=(BATCH.value, size, size, 3)), jnp.float32),
        'label': jnp.arange(BATCH.value) % 1000,
    }
    optimiser = optax.sgd(1e-3, momentum=0.9)
    if side == 'tljax':
        return _tljax_calls(name, batch, optimiser)
    return _keras_calls(name, size, batch, optimiser)


def _tljax_calls(name, batch, tx):
    release_memory_after_compiling()  # as in every run
    method = finetune(
        call_named('tljax.zoo', {'name': name}, 'net', form=place_of_run()), classes=1000
    )
    params, state = jax.jit(method.init)(jax.random.key(0), batch)
    step = jax.jit(make_step(method, tx, jax.tree.map(lambda _: 'all', params)), donate_argnums=0)
    forward = jax.jit(method.predict)
    train_state = TrainState(jnp.zeros((), jnp.int32), params, state, tx.init(params))

    def train():
        nonlocal train_state
        train_state, metrics = step(train_state, batch, 0)
        return metrics

    return {
        'forward': lambda: forward(train_state.params, train_state.variables, batch),
        'step': train,
    }


def _keras_calls(name, size, batch, tx):
    import keras

    model = getattr(keras.applications, ROWS[name].title)(
        weights=None, input_shape=(size, size, 3), classifier_activation=None
    )
    params = [jnp.array(variable.value) for variable in model.trainable_variables]
    state = [jnp.array(variable.value) for variable in model.non_trainable_variables]

    @jax.jit
    def forward(params, state):
        return model.stateless_call(params, state, batch['input'], training=False)[0]

    def step(params, state, opt_state):
        def loss(params):
            logits, new_state = model.stateless_call(params, state, batch['input'], training=True)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch['label'])
            return losses.mean(), new_state

        (value, new_state), grads = jax.value_and_grad(loss, has_aux=True)(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), new_state, opt_state, {'loss': value}

    compiled = jax.jit(step, donate_argnums=(0, 1, 2))
    variables = (params, state, tx.init(params))

    def train():
        nonlocal variables
        *variables, metrics = compiled(*variables)
        return metrics

    return {'forward': lambda: forward(*variables[:2]), 'step': train}


if __name__ == '__main__':
    command.run_plain(main)
