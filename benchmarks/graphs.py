"""Compares graph convolution with PyTorch Geometric, and measures how its cost grows with edges.

    python -m benchmarks.graphs --torch_python=TORCH/bin/python
    python -m benchmarks.graphs --only=growth

TORCH is an environment with PyTorch and PyTorch Geometric:

    python -m venv TORCH && TORCH/bin/pip install torch==2.13.0 torch_geometric

Graphs have 128 inputs and ten neighbours a node, and 64 classes. Networks have two layers of 128
units and dropout 0.5; the optimiser is Adam. A step trains on all nodes, so that it is an epoch.
`whole` is graph convolution. Geometric stores the normalised links, and takes them as a list of
edges or as a sparse matrix (csr). tljax computes the first product of links and inputs once.
`propagated` is a perceptron on inputs that were propagated beforehand on both sides. Each library
runs in a process of its own and is stopped while another one runs; they take turns.

`growth` times steps of `whole` on graphs of more and more edges. Memory is the most that a process
has held.
"""

import contextlib
import os

import numpy as np
from absl import flags

from benchmarks import processes
from benchmarks.processes import Side
from benchmarks.timing import define_only, define_rounds, exponent
from experiments import command
from tljax.files.console import say
from tljax.report.page import table

NODES = 100_000  # of the comparison: a million directed edges
NEIGHBOURS = 10
SIZES = (1_000, 3_162, 10_000, 31_623, 100_000, 316_228)  # numbers of nodes of `growth`

ONLY = define_only(['whole', 'propagated', 'growth'])
THREADS = flags.DEFINE_integer('threads', os.cpu_count(), 'Threads of PyTorch.', lower_bound=1)
ROUNDS = define_rounds(3)
HUGE_PAGES = processes.define_huge_pages()
TORCH = processes.define_python('torch')


def main() -> None:
    """Prints the tables of `--only`."""
    rows, about = [], {}
    for task in ONLY.value:
        if task == 'growth':
            growth()
        else:
            rows += _rows(task, about)
    if rows:
        columns = ['what', 'by', 's a step', 'over tljax', 'memory, MB', 'load']
        table(columns, rows, processes.conditions(about, HUGE_PAGES.value))


def growth() -> None:
    """Times steps on graphs of more and more edges."""
    rows, seconds = [], []
    for nodes in SIZES:
        with Side('tljax', 'tljax_graphs', {'task': 'whole', 'nodes': nodes}) as side:
            turns = processes.take_turns([side], ROUNDS.value)
            seconds.append(turns.median('tljax', 'step'))
            edges, memory = NEIGHBOURS * nodes, side.memory()
            say(f'{edges:,} edges: {seconds[-1]:.4f} s')
            each = f'{1e9 * seconds[-1] / edges:.0f}'
            rows.append(
                [f'{edges:,}', f'{seconds[-1]:.4f}', each, f'{memory / 1e6:.0f}', str(turns.load)]
            )
    columns = ['directed edges', 's an epoch', 'ns an edge', 'memory, MB', 'load']
    power = exponent(SIZES[-3:], np.array(seconds[-3:]))
    table(columns, rows, f'Epochs of `whole`: exponent {power:.2f} over the last three rows')


def _rows(task: str, about: dict[str, str]) -> list[list[str]]:
    """The rows of a task; adds the versions of the sides to `about`."""
    shared = {'task': task, 'nodes': NODES}
    modules = {
        'tljax': ('tljax_graphs', shared, ''),
        'geometric': ('torch_graphs', shared | {'threads': THREADS.value}, TORCH.value),
    }
    with contextlib.ExitStack() as stack:
        sides = [
            stack.enter_context(Side(name, module, settings, HUGE_PAGES.value, python))
            for name, (module, settings, python) in modules.items()
        ]
        turns = processes.take_turns(sides, ROUNDS.value)
        memory = {side.name: side.memory() for side in sides}
    about |= {side.name: side.about for side in sides}
    rows = []
    for side, call in turns.seconds:
        seconds = turns.median(side, call)
        ratio = turns.load.mark(f'{seconds / turns.median("tljax", "step"):.2f}')
        by = f'{side}{call.removeprefix("step")}'
        say(f'{task}: {by} {seconds:.3f} s a step')
        rows.append(
            [
                task,
                by,
                f'{seconds:.3f}',
                '' if side == 'tljax' else ratio,
                f'{memory[side] / 1e6:.0f}',
                str(turns.load),
            ]
        )
    return rows


if __name__ == '__main__':
    command.run_plain(main)
