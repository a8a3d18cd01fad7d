r"""Few-shot learning against PyTorch, side by side in one run: a step of prototypical networks, and
of MAML with one and five inner steps.

    python -m pip install -e . torch torchvision easyfsl higher \
        && python -m benchmarks.torch_episodes

Conv4-64 with BatchNorm on 28x28 pictures, float32, Adam. Prototypical networks, 60 ways, 5 shots, 5
queries: sampling, loss, gradient and update, against easyfsl's method on pictures that lie in
memory. MAML of second order, 5 ways, 1 shot, 15 queries, 32 tasks a step, against torch.autograd,
torch.func and higher. The last column is what a step's convolutions take of the rate at which this
machine multiplies large matrices: 1 would be all of it. On a GPU both sides run there. `--rounds`
is how often each is timed; `--only` names some of the rows.
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
# operations of Conv4-64's convolutions, forward
PER_IMAGE = 2 * 9 * (28**2 * 64 + 64**2 * (14**2 + 7**2 + 3**2))


def main() -> None:
    """Prints the table."""
    import torch  # which may be missing

    rate, rows = _matrix_rate(), []
    for name in ONLY.value:
        calls, images = _calls(name)
        times = take_turns(calls, ROUNDS.value, warm=2).seconds
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
    """{by: a step}, tljax first, and how many pictures a step sees."""
    from benchmarks import torch_sides

    if name == 'protonet':
        return {'tljax': our_step(protonet.get_config('shots=5')), **torch_sides.protonet()}, 600
    steps = int(name.removeprefix('maml'))
    ours = our_step(maml.get_config(), data={'queries': 15}, method={'steps': steps})
    return {'tljax': ours, **torch_sides.maml(steps)}, 32 * 75


def our_step(config, **changes):
    """A step of a run as `fit` takes it: the indices of its episodes, and one compiled program for
    the rest."""
    run = build.build(merge(phases(config)[0][1], changes))
    cell, seeds = (
        [run.step.split(first_state(run.init, run.tx, run.seeds)), 0],
        np.asarray(run.seeds, np.uint32),
    )

    def step():
        index = run.stream.take(run.stream.index(0, cell[1]))
        cell[0], metrics = run.step.run(
            cell[0], run.step.place(jax.tree.map(lambda leaf: leaf[None, None], index)), seeds
        )
        cell[1] += 1
        return jax.block_until_ready(metrics)

    return step


def _matrix_rate(size=4096):
    x = jnp.ones((size, size))
    product = jax.jit(jnp.matmul)
    return (
        2 * size**3 / min(take_turns({'': lambda: product(x, x)}, ROUNDS.value, warm=2).seconds[''])
    )


if __name__ == '__main__':
    command.run_plain(main)
