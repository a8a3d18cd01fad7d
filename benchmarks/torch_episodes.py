"""Compares few-shot learning with PyTorch and with an older commit of tljax: times of training
steps of prototypical networks and of MAML with one and five inner steps.

    python -m benchmarks.torch_episodes --torch_python=TORCH/bin/python

TORCH is an environment with PyTorch:

    python -m venv TORCH && TORCH/bin/pip install torch==2.13.0 numpy
    PIP_NO_DEPS=1 TORCH/bin/pip install easyfsl higher torchvision==0.28.0
    TORCH/bin/pip install pandas pyyaml loguru tqdm matplotlib

The network is Conv4-64 with BatchNorm on 28x28 pictures, in float32; the optimiser is Adam.
Prototypical networks have 60 ways, 5 shots and 5 queries. Sampling, loss, gradient and update are
compared with easyfsl's method on pictures in memory. MAML is of second order, with 5 ways, 1 shot,
15 queries and 32 tasks a step; it is compared with torch.autograd, torch.func and higher. Each
library runs in a process of its own and is stopped while another one runs; they take turns.

The share is the rate of a step's convolutions over the rate at which this machine multiplies large
matrices. The load is what other programs took of a core before, during and after a row's
measurement; a ratio is marked `busy` where it was above 0.3. If there is a GPU, both libraries use
it. `--rounds` is the number of times that each step is timed; `--only` selects rows.
"""

import contextlib
import os

from absl import flags

from benchmarks import processes
from benchmarks.processes import Side
from benchmarks.timing import define_only, define_rounds
from experiments import command
from experiments.flag_types import define_list, one_of
from tljax.files.console import say
from tljax.report.page import table

# floating-point operations of the convolutions of Conv4-64, forward, per picture
PER_IMAGE = 2 * 9 * (28**2 * 64 + 64**2 * (14**2 + 7**2 + 3**2))
IMAGES = {'protonet': 600, 'maml1': 32 * 75, 'maml5': 32 * 75}  # pictures of a step
MATRIX = 4096  # rows of the matrices whose product gives the machine's rate
PEERS = ['torch', processes.OLD]

ONLY = define_only(IMAGES)
USED_PEERS = define_list('peers', PEERS, f'Which of {", ".join(PEERS)}.', one_of(PEERS))
THREADS = flags.DEFINE_integer('threads', os.cpu_count(), 'Threads of PyTorch.', lower_bound=1)
ROUNDS = define_rounds(3)
HUGE_PAGES = processes.define_huge_pages()
TORCH = processes.define_python('torch')


def main() -> None:
    """Prints the table."""
    rows, about = [], {}
    with contextlib.ExitStack() as stack:
        needs_old = processes.OLD in USED_PEERS.value
        old = stack.enter_context(processes.old_source()) if needs_old else None
        for task in ONLY.value:
            rows += _rows(task, old, about)
    columns = ['what', 'by', 's a step', 'over tljax', 'share of the matrix rate', 'load']
    table(columns, rows, processes.conditions(about, HUGE_PAGES.value))


def _rows(task, old, about):
    """Returns the rows of a task, and adds the versions of the sides to `about`."""
    modules = {
        'tljax': ('tljax_episodes', {'task': task, 'rows': MATRIX}, '', None),
        'torch': ('torch_episodes', {'task': task, 'threads': THREADS.value}, TORCH.value, None),
        processes.OLD: (f'tljax_{processes.OLD}', {'task': task}, '', old),
    }
    with contextlib.ExitStack() as stack:
        sides = []
        for name in ('tljax', *USED_PEERS.value):
            module, settings, python, source = modules[name]
            side = Side(name, module, settings, HUGE_PAGES.value, python, source)
            sides.append(stack.enter_context(side))
        turns = processes.take_turns(sides, ROUNDS.value)
    about |= {side.name: side.about for side in sides}
    rate = 2 * MATRIX**3 / turns.median('tljax', 'matrices')
    about['matrices'] = f'{rate / 1e9:.0f} GFLOP/s in float32'
    rows = []
    for side, call in turns.seconds:
        if call == 'matrices':
            continue
        seconds = turns.median(side, call)
        by, ratio = f'{side}{call.removeprefix("step")}', seconds / turns.median('tljax', 'step')
        say(f'{task}: {by} {seconds:.3f} s a step')
        share = f'{IMAGES[task] * 3 * PER_IMAGE / seconds / rate:.2f}'
        cell = '' if side == 'tljax' else turns.load.mark(f'{ratio:.2f}')
        rows.append([task, by, f'{seconds:.3f}', cell, share, str(turns.load)])
    return rows


if __name__ == '__main__':
    command.run_plain(main)
