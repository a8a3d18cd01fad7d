"""Measures an accelerator: fine-tuning in bfloat16 beside a compiled network of timm, five seeds in
one call, and few-shot training in one loop, each with its share of the card's rate.

    python -m benchmarks.accelerator --torch_python=TORCH/bin/python
    python -m benchmarks.accelerator --only=seeds,loop

TORCH is an environment with PyTorch for the same accelerator, timm and torchvision (see
`benchmarks.networks`). The share is the rate of floating-point operations over the dense bfloat16
rate that the card's maker publishes (`RATES`). Operations are those that XLA counts in tljax's
step; other libraries are credited with as many. On a CPU everything runs with tiny shapes and timm
is not compiled, to show that the program works, and no share is stated.

finetune: a training step of ResNet50, in bfloat16 with float32 parameters, SGD with momentum, on
pictures of 224x224; timm is compiled by torch.compile, under autocast. seeds: a step of five seeds
of ResNet50 in one call, and of one seed. loop: steps of prototypical networks (Conv4-64, 60-way
5-shot 5-query) with one step a call, and with all in one loop on the device.

The load is what other programs took of a core before, during and after; a ratio is marked `busy`
where it was above 0.3.
"""

import contextlib
import os

import jax
import numpy as np
from absl import flags

from benchmarks import processes
from benchmarks.machine import Watch, describe
from benchmarks.processes import Side
from benchmarks.timing import define_only, define_rounds, take_turns
from configs import protonet
from experiments import command
from tljax import build
from tljax.configuration import merge, phases, settings
from tljax.engine.devices import first_state
from tljax.files.console import say
from tljax.report.page import table

# Dense bfloat16 operations per second of a chip, by a part of JAX's name of the device. Sources:
# the makers' data sheets, "NVIDIA H200 Tensor Core GPU" and "NVIDIA H100 Tensor Core GPU" (which
# print 1,979 TFLOPS with sparsity, twice the dense rate; H100 in its SXM form), "NVIDIA A100 Tensor
# Core GPU", and https://cloud.google.com/tpu/docs/v4, /v5e and /v5p
RATES = {
    'H200': 989e12,
    'H100 80GB HBM3': 989e12,
    'A100': 312e12,
    'TPU v4': 275e12,
    'TPU v5 lite': 197e12,
    'TPU v5e': 197e12,
    'TPU v5p': 459e12,
    'TPU v5': 459e12,
}
SEEDS = 5

ONLY = define_only(['finetune', 'seeds', 'loop'])
BATCH = flags.DEFINE_integer('batch', 128, 'Pictures in a batch of ResNet50.', lower_bound=1)
STEPS = flags.DEFINE_integer('steps', 100, 'Steps of the few-shot loop.', lower_bound=2)
ROUNDS = define_rounds(3)
TORCH = processes.define_python('torch')


def main() -> None:
    """Prints the tables of `--only`."""
    # sides are processes of their own, and share the memory of the accelerator with this one
    os.environ['XLA_PYTHON_CLIENT_PREALLOCATE'] = 'false'
    if jax.default_backend() == 'cpu':
        say('no accelerator: this ran on a CPU with tiny shapes, and no share is stated')
    for name in ONLY.value:
        {'finetune': finetune, 'seeds': seeds, 'loop': loop}[name]()


def finetune():
    """Compares a training step of ResNet50 with timm's."""
    batch, size = _shape()
    shapes = {'network': 'resnet50', 'batch': batch, 'size': size}
    of_torch = {**shapes, 'threads': os.cpu_count(), 'bfloat16': True}
    of_torch['compiled'] = jax.default_backend() != 'cpu'
    with contextlib.ExitStack() as stack:
        sides = [
            stack.enter_context(side)
            for side in (
                Side('tljax', 'tljax_networks', {**shapes, 'dtype': 'bfloat16'}),
                Side('timm', 'torch_networks', of_torch, python=TORCH.value),
            )
        ]
        turns = processes.take_turns(sides, ROUNDS.value, ['step'])
        operations = sides[0].value('operations')
        about = {side.name: side.about for side in sides}
    rows = []
    for side, call in turns.seconds:
        seconds = turns.median(side, call)
        ratio = turns.load.mark(f'{seconds / turns.median("tljax", "step"):.2f}')
        speed, share = f'{batch / seconds:.1f}', _share(operations, seconds)
        by = f'{side}{call.removeprefix("step")}'
        rows.append([by, speed, '' if side == 'tljax' else ratio, share])
    title = f'Fine-tuning ResNet50 in bfloat16, batch {batch}, {size}x{size}, load {turns.load}'
    where = processes.conditions(about, huge_pages=True)
    table(['by', 'pictures/s', 'tljax over it', 'share of the rate'], rows, f'{title}\n{where}')


def seeds():
    """Compares a training step of five seeds in one call with steps of one seed."""
    batch, size = _shape()
    calls, operations = {}, {}
    for count in (1, SEEDS):
        run = build.build(
            settings(
                net={'name': 'resnet50', 'dtype': 'bfloat16'},
                data={'name': 'resampled', 'of': {'name': 'digits'}, 'size': size, 'channels': 3},
                optim={'name': 'sgd', 'lr': 1e-3},
                seeds=list(range(count)),
                batch=batch,
                cache=False,
            )
        )
        calls[count], operations[count] = _steps(run, 1)
    _compare(
        f'Seeds of ResNet50 in bfloat16, batch {batch}, {size}x{size}',
        {1: ('one seed', 1), SEEDS: (f'{SEEDS} seeds in one call', SEEDS)},
        'a step of one seed',
        calls,
        operations,
    )


def loop():
    """Compares steps of prototypical networks, one a call, with all in one loop on the device."""
    tiny = jax.default_backend() == 'cpu'
    config = phases(protonet.get_config('smoke' if tiny else 'shots=5'))[0][1]
    config = merge(config, {'net': {'dtype': 'bfloat16'}, 'seeds': [0]})
    steps = 4 if tiny else STEPS.value
    run = build.build(config)
    calls, operations = {}, {}
    for count in (1, steps):
        calls[count], operations[count] = _steps(run, count)
    _compare(
        'Prototypical networks in bfloat16, sampling included',
        {1: ('one step a call', 1), steps: (f'{steps} steps in one loop', steps)},
        'a step',
        calls,
        # XLA counts the body of a loop once
        {count: operations[1] * count for count in calls},
    )


def _compare(title, names, unit, calls, operations):
    """Prints a row for each call, with its time for one unit over that of the first call.

    Args:
        title: title of the table.
        names: {key: (name of the call, number of units that it does)}.
        unit: name of a unit.
        calls: {key: call}.
        operations: {key: floating-point operations of a call}.
    """
    with Watch() as watch:
        seconds = take_turns(calls, ROUNDS.value).seconds
    rows, first = [], None
    for key, (name, units) in names.items():
        each = float(np.median(seconds[key])) / units
        first = first or each
        ratio = watch.load.mark(f'{each / first:.2f}')
        rows.append([name, f'{1e3 * each:.3f}', ratio, _share(operations[key], each * units)])
    columns = ['how', f'ms {unit}', 'over the first', 'share of the rate']
    where = f'{jax.devices()[0].device_kind}, {describe()}'
    table(columns, rows, f'{title}, load {watch.load}\n{where}')


def _steps(run, count):
    """Returns a call that takes steps of a run, and the operations that XLA counts in it."""
    numbers = np.asarray(run.seeds, np.uint32)
    train_state = first_state(run.init, run.tx, run.seeds)
    index = [
        jax.tree.map(
            lambda *leaves: np.stack(leaves),
            *(run.stream.take(run.stream.index(seed, i)) for seed in run.seeds),
        )
        for i in range(count)
    ]
    batch = run.step.place(jax.tree.map(lambda *leaves: np.stack(leaves), *index))
    lowered = run.step.run.lower(train_state, batch, numbers)
    operations = lowered.cost_analysis()['flops']

    def call():
        nonlocal train_state
        train_state, metrics = run.step.run(train_state, batch, numbers)
        return train_state, metrics

    return call, operations


def _shape():
    """Returns the number and the side of ResNet50's pictures."""
    return (2, 32) if jax.default_backend() == 'cpu' else (BATCH.value, 224)


def _share(operations, seconds):
    """Returns the text of the share of the card's rate; '' where the rate is not known."""
    kind = jax.devices()[0].device_kind
    rate = next((rate for name, rate in RATES.items() if name in kind), None)
    return f'{operations / seconds / rate:.2f}' if rate else ''


if __name__ == '__main__':
    command.run_plain(main)
