r"""Compares few-shot learning with PyTorch: times of training steps of prototypical networks and
of MAML with one and five inner steps.

    python -m pip install -e . torch torchvision easyfsl higher \
        && python -m benchmarks.torch_episodes

The network is Conv4-64 with BatchNorm on 28x28 pictures, in float32; the optimiser is Adam.
Prototypical networks have 60 ways, 5 shots and 5 queries. Sampling, loss, gradient and update are
compared with easyfsl's method on pictures in memory. MAML is of second order, with 5 ways, 1 shot,
15 queries and 32 tasks a step; it is compared with torch.autograd, torch.func and higher. The last
column is the rate of a step's convolutions as a share of the rate at which this machine multiplies
large matrices. If there is a GPU, both libraries use it. `--rounds` is the number of times that
each step is timed; `--only` selects rows.
"""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.timing import define_only, define_rounds, take_turns
from configs import maml, protonet
from experiments import command
from tljax import build
from tljax.configuration import merge, phases
from tljax.engine.devices import first_state
from tljax.report.page import table

ONLY = define_only(['protonet', 'maml1', 'maml5'])
ROUNDS = define_rounds(5)
# floating-point operations of the convolutions of Conv4-64, forward, per picture
PER_IMAGE = 2 * 9 * (28**2 * 64 + 64**2 * (14**2 + 7**2 + 3**2))


def main() -> None:
    """Prints the table."""
    import torch  # may be missing

    rate, rows = _matrix_rate(), []
    for name in ONLY.value:
        calls, images = _calls(name)
        times = take_turns(calls, ROUNDS.value, warmup=2).seconds
        for side, values in times.items():
            rows.append(
                [
                    name,
                    side,
                    f'{min(values):.3f}',
                    f'{np.median(values):.3f}',
                    f'{min(values) / min(times["tljax"]):.2f}',
                    f'{images * 3 * PER_IMAGE / min(values) / rate:.2f}',
                ]
            )
    table(
        ['what', 'by', 's a step, least', 'median', 'over tljax', 'share of the matrix rate'],
        rows,
        title=f'{jax.devices()[0].device_kind}, {torch.get_num_threads()} threads, '
        f'{rate / 1e9:.0f} GFLOP/s of float32 matrices',
    )


def _calls(name):
    """Returns {library: training step}, tljax first, and the number of pictures of a step."""
    from benchmarks import torch_sides

    if name == 'protonet':
        step = tljax_step(protonet.get_config('shots=5'))
        return {'tljax': step, **torch_sides.protonet()}, 600
    inner_steps = int(name.removeprefix('maml'))
    step = tljax_step(maml.get_config(), data={'queries': 15}, method={'steps': inner_steps})
    return {'tljax': step, **torch_sides.maml(inner_steps)}, 32 * 75


def tljax_step(config, **changes):
    """Returns a function that takes a training step as `fit` does.

    It draws the indices of the episodes, and one compiled program does the rest.

    Args:
        config: config of an experiment.
        **changes: settings that differ.
    """
    run = build.build(merge(phases(config)[0][1], changes))
    train_state = run.step.split(first_state(run.init, run.tx, run.seeds))
    seeds = np.asarray(run.seeds, np.uint32)
    count = 0

    def step():
        nonlocal train_state, count
        index = run.stream.take(run.stream.index(0, count))
        batch = run.step.place(jax.tree.map(lambda leaf: leaf[None, None], index))
        train_state, metrics = run.step.run(train_state, batch, seeds)
        count += 1
        return jax.block_until_ready(metrics)

    return step


def _matrix_rate(size=4096):
    """Returns the floating-point operations per second of a product of large matrices."""
    x = jnp.ones((size, size))
    product = jax.jit(jnp.matmul)
    timed = take_turns({'product': lambda: product(x, x)}, ROUNDS.value, warmup=2)
    return 2 * size**3 / min(timed.seconds['product'])


if __name__ == '__main__':
    command.run_plain(main)
