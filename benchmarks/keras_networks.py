r"""Networks of the zoo against Keras on the JAX backend, side by side in one run: pictures per
second, forward and fine-tuning everything.

    python -m pip install -e '.[test]' && python -m benchmarks.keras_networks --networks=mobilenet \
        --batch=16

Both sides are compiled by jax.jit, float32, on the same random pictures; a step is cross-entropy on
1,000 classes with BatchNorm on batch statistics, its gradient, and SGD with momentum. Pictures have
the side that a network was trained on, or `--size`, and each side is timed `--rounds` times.
`--memory` runs each side's step in a process of its own and tells its largest memory.
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

os.environ.setdefault('KERAS_BACKEND', 'jax')  # before Keras is imported, which may be missing

NETWORKS = define_list('networks', list(ROWS), 'Which networks.', one_of(ROWS))
BATCH = flags.DEFINE_integer('batch', 16, 'Pictures at a time.', lower_bound=1)
SIZE = flags.DEFINE_integer('size', 0, 'Side of the pictures; 0: what each network was trained on.')
ROUNDS = define_rounds(3)
MEMORY = flags.DEFINE_bool('memory', False, 'Measure memory, not time.')
SIDE = flags.DEFINE_enum(
    'side', None, ['keras', 'tljax'], 'Run one step of this side alone and print its memory.'
)


def main() -> None:
    """Prints the table."""
    if SIDE.value:
        jax.block_until_ready(list(_calls(NETWORKS.value[0], SIDE.value)['step']().values()))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    elif MEMORY.value:
        rows = [
            [name, *(f'{each:.2f}' for each in (ours, theirs, ours / theirs))]
            for name in NETWORKS.value
            for ours, theirs in [(_memory(name, 'tljax'), _memory(name, 'keras'))]
        ]
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
    calls = {
        (side, what): call
        for side in ('tljax', 'keras')
        for what, call in _calls(name, side).items()
    }
    seconds = take_turns(calls, ROUNDS.value).seconds
    speed = {key: float(np.median(BATCH.value / values)) for key, values in seconds.items()}
    for what in ('forward', 'step'):
        ours, theirs = speed['tljax', what], speed['keras', what]
        say(f'{name} {what}: {ours:.1f} against {theirs:.1f} pictures/s')
        yield [name, what, f'{ours:.1f}', f'{theirs:.1f}', f'{ours / theirs:.2f}']


def _memory(name, side):
    done = subprocess.run(
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
    return int(done.stdout.split()[-1]) / 1e6


def _calls(name, side):
    size = SIZE.value or ROWS[name].size
    rng = np.random.default_rng(0)
    batch = {
        'input': jnp.asarray(rng.uniform(size=(BATCH.value, size, size, 3)), jnp.float32),
        'label': jnp.arange(BATCH.value) % 1000,
    }
    return (_ours if side == 'tljax' else _theirs)(name, size, batch, optax.sgd(1e-3, momentum=0.9))


def _ours(name, size, batch, tx):
    release_memory_after_compiling()  # as every run does
    method = finetune(
        call_named('tljax.zoo', {'name': name}, 'net', form=place_of_run()), classes=1000
    )
    params, state = jax.jit(method.init)(jax.random.key(0), batch)
    step = jax.jit(make_step(method, tx, jax.tree.map(lambda _: 'all', params)), donate_argnums=0)
    forward = jax.jit(method.predict)
    cell = [TrainState(jnp.zeros((), jnp.int32), params, state, tx.init(params))]

    def train():
        cell[0], metrics = step(cell[0], batch, 0)
        return metrics

    return {'forward': lambda: forward(cell[0].params, cell[0].state, batch), 'step': train}


def _theirs(name, size, batch, tx):
    import keras

    model = getattr(keras.applications, ROWS[name].title)(
        weights=None, input_shape=(size, size, 3), classifier_activation=None
    )
    trained, rest = (
        [jnp.array(variable.value) for variable in group]
        for group in (model.trainable_variables, model.non_trainable_variables)
    )

    @jax.jit
    def forward(trained, rest):
        return model.stateless_call(trained, rest, batch['input'], training=False)[0]

    def step(trained, rest, memory):
        def loss(trained):
            out, moved = model.stateless_call(trained, rest, batch['input'], training=True)
            return optax.softmax_cross_entropy_with_integer_labels(
                out, batch['label']
            ).mean(), moved

        (value, moved), grads = jax.value_and_grad(loss, has_aux=True)(trained)
        updates, memory = tx.update(grads, memory, trained)
        return optax.apply_updates(trained, updates), moved, memory, {'loss': value}

    compiled = jax.jit(step, donate_argnums=(0, 1, 2))
    cell = [(trained, rest, tx.init(trained))]

    def train():
        *cell[0], metrics = compiled(*cell[0])
        return metrics

    return {'forward': lambda: forward(*cell[0][:2]), 'step': train}


if __name__ == '__main__':
    command.run_plain(main)
