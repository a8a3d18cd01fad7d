"""Compares networks of the zoo: a training step with its own forward pass, and with timm, Keras and
an older commit of tljax; speed and memory.

    python -m benchmarks.networks --torch_python=TORCH/bin/python --tensorflow_python=TF/bin/python
    python -m benchmarks.networks --only=own --networks=all
    python -m benchmarks.networks --only=predict,step --peers=keras_jax --networks=resnet50

TORCH and TF are environments with the other libraries:

    python -m venv TORCH && TORCH/bin/pip install torch==2.13.0 numpy
    TORCH/bin/pip install pyyaml huggingface_hub safetensors pillow
    PIP_NO_DEPS=1 TORCH/bin/pip install timm==1.0.31 torchvision==0.28.0
    python -m venv TF && TF/bin/pip install tensorflow-cpu==2.21.0 keras==3.15.1

A training step fine-tunes everything on 1,000 classes: cross-entropy, BatchNorm on batch
statistics, gradient, SGD with momentum, in float32 on random pictures. Each library runs in a
process of its own and is stopped while another one runs; they take turns, `--rounds` times, and
medians are printed. A library with several ways has a row for each; the fastest one is its best.

own: a step over the training forward, which is the loss with updates of the batch statistics and
without gradient. step: pictures per second of a training step. predict: of a forward pass with
stored statistics. memory: the most memory of a process that compiles and runs one
step, beside all but keras_tensorflow; timm has a process for each of its ways.

The load is what other programs took of a core before, during and after a row's measurement. A ratio
is marked `busy` where it was above 0.3.
"""

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from absl import flags

from benchmarks import processes
from benchmarks.machine import Watch
from benchmarks.processes import Side, Turns
from benchmarks.timing import define_only, define_rounds
from experiments import command
from experiments.flag_types import define_list, one_of
from tljax.files.console import say
from tljax.report.page import table
from tljax.zoo.table import KERAS, ROWS

# one network of each family
FAMILIES = [
    'mobilenet',
    'mobilenet_v2',
    'nasnet_mobile',
    'xception',
    'vgg16',
    'resnet50',
    'resnet50v2',
    'inception_v3',
    'inception_resnet_v2',
    'densenet121',
]
COMPARED = ['mobilenet', 'mobilenet_v2', 'resnet50', 'densenet121']
PEERS = ['timm', 'keras_tensorflow', 'keras_jax', processes.OLD]
# the ways of a step whose memory is measured, each in a process of its own
WAYS = {
    'tljax': ['step'],
    'timm': ['step NCHW', 'step channels_last'],
    'keras_jax': ['step'],
    processes.OLD: ['step'],
}
# names of networks in timm; the others of the zoo have another architecture there, or none
TIMM = {
    **{name: name for name in ('vgg16', 'vgg19', 'resnet50', 'resnet101', 'resnet152')},
    **{name: name for name in ('densenet121', 'densenet169', 'densenet201')},
    'mobilenet': 'mobilenetv1_100',
    'mobilenet_v2': 'mobilenetv2_100',
    **{
        name: row.weights.removeprefix('timm/').split('.')[0]
        for name, row in ROWS.items()
        if row.weights
    },
}

ONLY = define_only(['own', 'step', 'predict', 'memory'])
NETWORKS = define_list(
    'networks',
    [],
    'Names of networks; families: one network of each family; all. The default is families for own '
    f'and memory, and {", ".join(COMPARED)} for step and predict.',
    one_of([*ROWS, 'families', 'all']),
)
USED_PEERS = define_list(
    'peers',
    [],
    f'Which of {", ".join(PEERS)}. The default is all but keras_jax for step, keras_jax for '
    f'predict, and {processes.OLD} for memory.',
    one_of(PEERS),
)
BATCH = flags.DEFINE_integer('batch', 8, 'Pictures in a batch.', lower_bound=1)
SIZE = flags.DEFINE_integer(
    'size', 0, 'Side of the pictures in pixels; 0: the size that each network was trained on.'
)
THREADS = flags.DEFINE_integer(
    'threads', os.cpu_count(), 'Threads of PyTorch and TensorFlow.', lower_bound=1
)
ROUNDS = define_rounds(3)
HUGE_PAGES = processes.define_huge_pages()
TORCH = processes.define_python('torch')
TENSORFLOW = processes.define_python('tensorflow')


def main() -> None:
    """Prints the tables of `--only`."""
    tables = {'own': own, 'step': step, 'predict': predict, 'memory': memory}
    by_default = {'step', 'memory'} & {*ONLY.value}  # tables with the older commit
    needs_old = processes.OLD in USED_PEERS.value if USED_PEERS.value else bool(by_default)
    with processes.old_source() if needs_old else contextlib.nullcontext() as old:
        for name in ONLY.value:
            tables[name](old)


def own(old: Path | None) -> None:
    """Prints a training step over the training forward of each network.

    Args:
        old: as the other tables take it.
    """
    rows, ratios, about = [], [], {}
    for network in _networks(FAMILIES):
        with _sides(network, [], old) as (side,):
            turns = processes.take_turns([side], ROUNDS.value, ('forward', 'step'))
            about[side.name] = side.about
        ms = [1e3 * turns.median('tljax', call) for call in ('forward', 'step')]
        ratios.append(ms[1] / ms[0])
        say(f'{network}: {ratios[-1]:.2f}')
        ratio = turns.load.mark(f'{ratios[-1]:.2f}')
        rows.append([network, f'{ms[0]:.0f}', f'{ms[1]:.0f}', ratio, str(turns.load)])
    rows.append(['mean', '', '', f'{np.mean(ratios):.2f}', ''])
    columns = ['network', 'ms training forward', 'ms step', 'ratio', 'load']
    table(
        columns,
        rows,
        f'A step over its own training forward, batch {BATCH.value}\n{_conditions(about)}',
    )


def step(old: Path | None) -> None:
    """Prints the speed of training steps.

    Args:
        old: folder of the older commit.
    """
    _compare('step', 'A training step', ['timm', 'keras_tensorflow', processes.OLD], old)


def predict(old: Path | None) -> None:
    """Prints the speed of forward passes.

    Args:
        old: folder of the older commit.
    """
    _compare('predict', 'A forward pass', ['keras_jax'], old)


def _compare(task: str, title: str, peers: Sequence[str], old: Path | None) -> None:
    """Prints a row for each network, library and way."""
    rows, about = [], {}
    for network in _networks(COMPARED):
        with _sides(network, USED_PEERS.value or peers, old) as sides:
            turns = processes.take_turns(sides, ROUNDS.value, (task,))
            about |= {side.name: side.about for side in sides}
        rows += _speeds(network, task, turns)
    columns = ['network', 'by', 'pictures/s', 'tljax over it', 'load']
    table(columns, rows, f'{title}, batch {BATCH.value}\n{_conditions(about)}')


def _speeds(network: str, task: str, turns: Turns) -> Iterator[list[str]]:
    """Yields the rows of a network."""
    seconds = turns.median('tljax', task)
    for side, call in turns.seconds:
        by = f'{side}{call.removeprefix(task)}'
        speed, ratio = BATCH.value / turns.median(side, call), turns.median(side, call) / seconds
        say(f'{network} {task}: {by} {speed:.1f} pictures/s')
        cell = '' if side == 'tljax' else turns.load.mark(f'{ratio:.2f}')
        yield [network, by, f'{speed:.1f}', cell, str(turns.load)]


def memory(old: Path | None) -> None:
    """Prints the largest memory of a process that compiles and runs a training step.

    Args:
        old: folder of the older commit.
    """
    rows, about = [], {}
    peers = [peer for peer in USED_PEERS.value or [processes.OLD] if peer in WAYS]
    for network in _networks(FAMILIES):
        peaks = {}
        ways = [(peer, way) for peer in _with(network, ('tljax', *peers)) for way in WAYS[peer]]
        for name, way in ways:
            by = f'{name}{way.removeprefix("step")}'
            with _side(name, network, old, way) as side, Watch(side.processor_seconds) as watch:
                side.run(way)
                peaks[by] = side.memory() / 1e9
                about[name] = side.about
            ratio = '' if name == 'tljax' else f'{peaks["tljax"] / peaks[by]:.2f}'
            say(f'{network}: {by} {peaks[by]:.2f} GB')
            rows.append([network, by, f'{peaks[by]:.2f}', ratio, str(watch.load)])
    columns = ['network', 'by', 'GB', 'tljax over it', 'load']
    table(
        columns, rows, f'Peak memory of a training step, batch {BATCH.value}\n{_conditions(about)}'
    )


@contextlib.contextmanager
def _sides(network: str, peers: Sequence[str], old: Path | None) -> Iterator[list[Side]]:
    """Yields tljax and its peers on a network."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(_side(name, network, old))
            for name in _with(network, ('tljax', *peers))
        ]


def _with(network: str, names: Sequence[str]) -> list[str]:
    """Returns those of the sides that have the network."""
    have = {'tljax': ROWS, 'timm': TIMM}
    return [name for name in names if network in have.get(name, KERAS)]


def _side(name: str, network: str, old: Path | None, way: str = '') -> Side:
    """Starts a side.

    Args:
        name: 'tljax' or one of PEERS.
        network: name of the network in the zoo.
        old: folder of the older commit.
        way: the one that timm prepares; '': all of them.
    """
    shapes = {'batch': BATCH.value, 'size': SIZE.value or ROWS[network].size}
    of_zoo, threads = {'network': network, **shapes}, {'threads': THREADS.value}
    of_keras = {'title': ROWS[network].title, **shapes}
    layouts = {'layouts': [way.removeprefix('step ')]} if way else {}
    of_timm = {'network': TIMM.get(network), **shapes, **threads, **layouts}
    module, settings, python, source = {
        'tljax': ('tljax_networks', of_zoo, '', None),
        processes.OLD: (f'tljax_{processes.OLD}', of_zoo, '', old),
        'keras_jax': ('keras_networks', of_keras, '', None),
        'keras_tensorflow': (
            'tensorflow_networks',
            {**of_keras, **threads},
            TENSORFLOW.value,
            None,
        ),
        'timm': ('torch_networks', of_timm, TORCH.value, None),
    }[name]
    return Side(name, module, settings, HUGE_PAGES.value, python, source)


def _conditions(about: dict[str, str]) -> str:
    return processes.conditions(about, HUGE_PAGES.value)


def _networks(default: list[str]) -> list[str]:
    """Returns the networks of a table, by default those of `default`."""
    groups = {'families': FAMILIES, 'all': list(ROWS)}
    names = [groups.get(name, [name]) for name in NETWORKS.value or default]
    return list(dict.fromkeys(itertools.chain(*names)))


if __name__ == '__main__':
    command.run_plain(main)
