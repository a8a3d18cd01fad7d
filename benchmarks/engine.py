"""Measures times of tljax's own parts: forms of convolution, frozen layers, cached features, seeds,
devices, episodes, extraction of features, adaptation.

    python -m benchmarks.engine
    XLA_FLAGS=--xla_force_host_platform_device_count=8 python -m benchmarks.engine --only=devices

Calls are timed `--rounds` times, in turn, and the median is printed.
"""

import functools
import math
import re
import resource

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.timing import define_only, define_rounds, milliseconds
from configs import base, maml, protonet
from experiments import command
from tljax import build
from tljax.configuration import merge, phases, plain
from tljax.core import TrainState
from tljax.data.formats.arrays import arrays
from tljax.data.splits import restrict
from tljax.engine.devices import first_state, map_seeds_on_threads
from tljax.engine.evaluate import predictions, score
from tljax.engine.step import make_step
from tljax.features import extractor
from tljax.loops import in_loop
from tljax.nn.convolution import choose_form, convolve
from tljax.report.page import table
from tljax.zoo.families.mobilenet import mobilenet

ONLY = define_only(
    ['forms', 'frozen', 'cached', 'seeds', 'devices', 'episodes', 'extraction', 'adaptation']
)
ROUNDS = define_rounds(5)


def main() -> None:
    """Prints the tables of `--only`."""
    tables = {
        'forms': forms,
        'frozen': frozen,
        'cached': cached,
        'seeds': seeds,
        'devices': devices,
        'episodes': episodes,
        'extraction': extraction,
        'adaptation': adaptation,
    }
    for name in ONLY.value:
        tables[name]()


# n, size, c, d, kernel, stride, groups, whether a loop is timed, too
SHAPES = (
    (16, 8, 1, 32, 3, 1, 1, True),
    (16, 4, 32, 64, 3, 1, 1, True),
    (25, 28, 64, 64, 3, 1, 1, True),
    (16, 56, 64, 64, 3, 1, 1, False),
    (16, 14, 256, 256, 3, 1, 1, False),
    (16, 7, 512, 512, 3, 1, 1, False),
    (16, 56, 128, 128, 3, 2, 1, False),
    (16, 224, 3, 64, 7, 2, 1, False),
    (16, 56, 128, 128, 1, 1, 1, False),
    (4, 112, 32, 32, 3, 1, 32, True),
    (4, 14, 512, 512, 3, 1, 512, True),
    (16, 56, 128, 128, 3, 2, 128, False),
)


def forms():
    """Times each form of a convolution: forward, with its gradient, and four times inside a loop.

    A star marks the form that tljax chooses.
    """
    rows = []
    for shape in SHAPES:
        rows += _form_rows(*shape)
    table(
        ['input', 'kernel', 'form', 'ms forward', 'ms with gradient', 'the same in a loop'],
        rows,
        title='Forms of convolution',
    )


def _form_rows(n, size, c, d, k, stride, groups, looped):
    """Returns the rows of one shape of convolution."""
    x, w = jnp.ones((n, size, size, c)), jnp.ones((k, k, c // groups, d)) / k
    form_alone = choose_form('', x, w, (stride, stride), groups)
    form_in_loop = in_loop(choose_form)('', x, w, (stride, stride), groups)
    names = ('plain', 'split', 'dots') if groups == 1 else ('plain', 'shifts')
    calls = {}
    for form in names:
        for task, function in _convolution(form, stride, groups).items():
            if task != 'loop' or looped:
                calls[form, task] = functools.partial(jax.jit(function), x, w)
    times = _times(calls)
    kind = 'depthwise' if groups > 1 else f'-> {d}'
    rows = []
    for form in names:
        gradient = f'{times[form, "gradient"]:.2f}'
        if form == form_alone:
            gradient += '*'
        loop = ''
        if looped:
            loop = f'{times[form, "loop"] / 4:.2f}'
            if form == form_in_loop:
                loop += '*'
        rows.append(
            [
                f'{n}x{size}x{size}x{c} {kind}',
                f'{k}x{k}/{stride}',
                form,
                f'{times[form, "forward"]:.2f}',
                gradient,
                loop,
            ]
        )
    return rows


def _convolution(form, stride, groups):
    """Returns {'forward', 'gradient', 'loop': function of input and kernel}."""

    def forward(x, w):
        return convolve(x, w, (stride, stride), groups=groups, form=form)

    def gradient(x, w):
        return jax.grad(lambda x, w: jnp.sum(forward(x, w) ** 2), (0, 1))(x, w)

    def loop(x, w):
        return lax.map(in_loop(lambda x: gradient(x, w)), jnp.stack([x] * 4))

    return {'forward': forward, 'gradient': gradient, 'loop': loop}


def cached():
    """Times a head on a frozen MobileNet: an epoch that runs the backbone, and one on its stored
    features, 256 pictures of 224x224."""
    calls = {}
    for name, width in (('backbone', 0), ('features', 256)):
        _, program = _build(
            data={'name': 'glyphs', 'size': 224, 'classes': 4, 'per_class': 4},
            net={'name': 'mobilenet', 'alpha': 0.25},
            partition={'name': 'freeze'},
            batch=32,
            width=width,
        )
        shape = (1, 1, 32, width) if width else (1, 1, 32, 224, 224, 1)
        batch = {'input': np.ones(shape, np.float32), 'label': np.zeros((1, 1, 32), np.int32)}
        params, state = program.method.init(
            jax.random.key(0), jax.tree.map(lambda leaf: leaf[0, 0, :1], batch)
        )
        train_state = jax.tree.map(
            lambda leaf: jnp.asarray(leaf)[None], _train_state(program, params, state)
        )
        calls[name] = _repeat(program.step, train_state, batch, seeds=1, count=8)
    times = _times(calls)
    table(
        ['an epoch on', 'ms', 'share'],
        [[name, f'{ms:.1f}', f'1/{times["backbone"] / ms:.0f}'] for name, ms in times.items()],
        title='Head on a frozen backbone, 256 pictures',
    )


def frozen():
    """Measures the cost of a step on a frozen backbone, with clipping and logged gradient norms.

    Operations are those that XLA counts.
    """
    rows = []
    for name, partition in (
        ('everything', {'name': 'full'}),
        ('head only', {'name': 'freeze', 'until': 'backbone'}),
    ):
        run, program = _build(
            net={'name': 'cifar_resnet', 'depth': 14, 'width': 16},
            partition=partition,
            optim={'clip': 1.0},
            batch=64,
        )
        params, state = run.init(0)
        train_state = _train_state(program, params, state)
        batch = run.stream.batch(0, 0)
        step = jax.jit(make_step(program.method, program.tx, program.labels))
        forward = jax.jit(program.method.predict)
        step_flops = _flops(step, train_state, batch, 0)
        forward_flops = _flops(forward, params, state, batch)
        times = _times(
            {
                'step': functools.partial(step, train_state, batch, 0),
                'forward': functools.partial(forward, params, state, batch),
            }
        )
        memory = sum(leaf.nbytes for leaf in jax.tree.leaves(train_state.opt_state)) / 1e6
        rows.append(
            [
                name,
                f'{step_flops / 1e9:.3f}',
                f'{step_flops / forward_flops:.3f}',
                f'{times["step"]:.1f}',
                f'{times["step"] / times["forward"]:.2f}',
                f'{memory:.3f}',
            ]
        )
    table(
        ['trained', 'GFLOP a step', 'over forward', 'ms a step', 'over forward', 'optimiser MB'],
        rows,
        title='ResNet-14, batch 64',
    )


def _flops(function, *arguments):
    """Returns the number of floating-point operations of a jitted function, as XLA counts it."""
    return function.lower(*arguments).compile().cost_analysis()['flops']


def seeds():
    """Times five seeds in one call against five calls of one seed.

    Where a call trains one seed at a time, it takes ten steps, as `fit` does.
    """
    calls = {}
    net = {'name': 'conv4', 'width': [32, 64, 128], 'size': 8, 'norm': 'layer'}
    for count, how in ((1, 'one call'), (5, 'each by itself'), (5, 'one call, a loop')):
        run, _ = _build(net=net, seeds=list(range(count)), batch=16)
        step = run.step if how == 'one call, a loop' else map_seeds_on_threads(run.step, count)
        steps = 10 if how == 'each by itself' else 1
        index = run.stream.take(run.stream.index(0, 0))
        batch = step.place(jax.tree.map(functools.partial(_repeat_leaf, steps, count), index))
        train_state = step.split(first_state(run.init, run.tx, run.seeds))
        calls[count, how] = _repeat(step, train_state, batch, seeds=count)
    times = {}
    for (count, how), ms in _times(calls).items():
        times[count, how] = ms / 10 if how == 'each by itself' else ms
    table(
        ['seeds', 'how', 'ms', 'over calls of one'],
        [
            [count, how, f'{ms:.2f}', f'{ms / (count * times[1, "one call"]):.2f}']
            for (count, how), ms in times.items()
        ],
        title='Seeds: one step of each',
    )


def _repeat_leaf(steps, count, leaf):
    """Repeats an array along two new leading axes, of steps and seeds."""
    return np.broadcast_to(leaf, (steps, count, *np.shape(leaf)))


def devices():
    """Measures what devices exchange in a step, the bytes of the compiled program's all-reduces."""
    rows = []
    for parallel in ('jit', 'pmap'):
        for name in ('full', 'freeze'):
            run, program = _build(
                net={'name': 'cifar_resnet', 'depth': 14},
                partition={'name': name},
                parallel=parallel,
                batch=64,
            )
            train_state = first_state(run.init, run.tx, run.seeds)
            step = run.step.run.lower(train_state, _first_batch(run), np.zeros(1, np.uint32))
            reduced = _reduced_bytes(step.compile().as_text())
            labelled_params = zip(
                jax.tree.leaves(run.init(0)[0]), jax.tree.leaves(program.labels), strict=True
            )
            trained = sum(4 * leaf.size for leaf, label in labelled_params if label != 'frozen')
            rows.append(
                [
                    parallel,
                    name,
                    str(jax.device_count()),
                    f'{reduced / 1e3:.1f}',
                    f'{trained / 1e3:.1f}',
                ]
            )
    table(
        ['compiled by', 'partition', 'devices', 'kB reduced', 'kB of trained parameters'],
        rows,
        title='Exchange between devices',
    )


def _reduced_bytes(program):
    """Returns the bytes of the float32 results of all-reduces in the text of a compiled program."""
    results = ' '.join(re.findall(r'= (.*?) all-reduce(?:-start)?\(', program))
    total = 0
    for shape in re.findall(r'f32\[([\d,]*)\]', results):
        sizes = [int(size) for size in shape.split(',') if size]
        total += 4 * math.prod(sizes)
    return total


def episodes():
    """Measures the memory of a test on few and many episodes, and the time to draw episodes as a
    share of a training step."""
    _evaluation_memory()
    _sampling_time()


def _evaluation_memory():
    run, _ = _build(
        data=base.episodes('glyphs', ways=5, shots=1, queries=5, count=10_000),
        method={'name': 'protonet'},
        net={'name': 'conv4', 'width': 16, 'size': 28},
        batch=1,
    )
    train_state = first_state(run.init, run.tx, run.seeds)
    rows = []
    for count in (100, 1000, 10_000):
        test = restrict(run.evals['test'], np.arange(count))
        score(run.predict, train_state.params, train_state.variables, test, 16)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        rows.append([f'{count:,}', f'{memory:.0f}'])
    table(
        ['test episodes', "the process's largest memory so far, MB"],
        rows,
        title='Evaluation, 5-way 1-shot, Conv4-16',
    )


def _sampling_time():
    rows = []
    for name, module in (
        ('ProtoNet, 60-way 1-shot 5-query', protonet),
        ('MAML, 5-way 1-shot 1-query, 32 tasks', maml),
    ):
        run, program = _build_settings(phases(plain(module.get_config()))[0][1])
        batch = _first_batch(run)
        train_state = first_state(run.init, run.tx, run.seeds)
        keys = jax.tree.map(lambda leaf: leaf[0, 0], batch)
        times = _times(
            {
                'sampling': functools.partial(jax.jit(program.prepare), keys),
                'step': _repeat(run.step, train_state, batch, seeds=1),
            }
        )
        rows.append(
            [
                name,
                f'{times["sampling"]:.2f}',
                f'{times["step"]:.0f}',
                f'{times["sampling"] / times["step"]:.2%}',
            ]
        )
    table(
        ['training', 'ms to draw its episodes', 'ms a step', 'share'],
        rows,
        title='Episodes, Conv4-64, rendered letters',
    )


def extraction():
    """Times the extraction of features against the forward passes of batches on the device.

    The network is MobileNet; the set has 1,024 pictures of 112x112 in memory.
    """
    net = mobilenet(alpha=0.25)
    dataset = arrays(
        np.random.default_rng(0).uniform(size=(1024, 112, 112, 3)).astype(np.float32),
        np.zeros(1024, int),
        ('none',),
    )
    params, state = jax.tree.map(
        lambda leaf: leaf[None], net.init(jax.random.key(0), jnp.zeros((1, 112, 112, 3)))
    )
    extract = extractor(net)
    variables = ({'backbone': params}, {'backbone': state})
    batches = [
        extract.place(dataset.take(np.arange(start, start + 256))) for start in range(0, 1024, 256)
    ]
    times = _times(
        {
            'extraction': lambda: predictions(extract, *variables, dataset),
            'forward passes': lambda: [extract.run(*variables, batch) for batch in batches],
        }
    )
    table(
        ['what', 'ms', 'over forward'],
        [[name, f'{ms:.0f}', f'{ms / times["forward passes"]:.3f}'] for name, ms in times.items()],
        title='Extraction of features',
    )


def adaptation():
    """Measures a step of deep domain adaptation against fine-tuning on as many pictures."""
    calls, flops, size = {}, {}, 32
    printed = {'name': 'glyphs', 'part': 'digits', 'size': size, 'per_class': 50}
    pair = {'name': 'domains', 'source': printed, 'target': {'name': 'digits', 'size': size}}
    for name in ('finetune', 'dann', 'cdan', 'ddc', 'dan', 'jan', 'deep_coral', 'cmd', 'mcd'):
        data, batch_size = (printed, 128) if name == 'finetune' else (pair, 64)
        run, program = _build(
            net={'name': 'cifar_resnet', 'depth': 14, 'width': 32},
            method={'name': name},
            data=data,
            batch=batch_size,
        )
        params, state = run.init(0)
        train_state = _train_state(program, params, state)
        batch = run.stream.batch(0, 0)
        step = jax.jit(make_step(program.method, program.tx, program.labels))
        flops[name] = _flops(step, train_state, batch, 0)
        calls[name] = functools.partial(step, train_state, batch, 0)
    rows = []
    times = _times(calls)
    for name, ms in times.items():
        values = (
            flops[name] / 1e9,
            flops[name] / flops['finetune'],
            ms,
            ms / times['finetune'],
        )
        rows.append([name, *(f'{value:.2f}' for value in values)])
    table(
        ['step of', 'GFLOP', 'over fine-tuning', 'ms', 'over fine-tuning'],
        rows,
        title='ResNet-14, 64 + 64 pictures of 32x32',
    )


def _build(width=0, **changes):
    """Returns the run and its program of the default settings with changes, on digits by default.

    Args:
        width: dimension of stored features; 0 where the backbone runs.
        **changes: settings that differ.
    """
    default = phases(plain(base.get_config()))[0][1]
    settings = merge(default, {'data': {'name': 'digits', 'size': 8}, 'cache': False, **changes})
    return _build_settings(settings, width)


def _build_settings(settings, width=0):
    run = build.build(settings)
    train_split = build.load(settings['data'])['train']
    return run, build.parts(settings).program(train_split, width)


def _train_state(program, params, state):
    """Returns the training state of one seed before the first step."""
    return TrainState(jnp.zeros((), jnp.int32), params, state, program.tx.init(params))


def _first_batch(run):
    """Returns a run's first batch on the device, with leading axes of one step and one seed."""
    index = run.stream.take(run.stream.index(0, 0))
    return run.step.place(jax.tree.map(lambda leaf: leaf[None, None], index))


def _repeat(step, train_state, batch, seeds, count=1):
    """Returns a call that takes training steps, and continues from the state of the last call.

    Args:
        step: compiled step.
        train_state: state before the first step.
        batch: batch of every step.
        seeds: number of seeds.
        count: number of steps in a call.
    """
    numbers = np.arange(seeds, dtype=np.uint32)

    def call():
        nonlocal train_state
        for _ in range(count):
            train_state, metrics = step.run(train_state, batch, numbers)
        return metrics

    return call


def _times(calls):
    return milliseconds(calls, ROUNDS.value)


if __name__ == '__main__':
    command.run_plain(main)
