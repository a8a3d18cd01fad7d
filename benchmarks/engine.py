"""Where the time goes, side by side in one run: forms of convolution, frozen layers, cached
features, seeds, devices, episodes, extraction, adaptation.

    python -m benchmarks.engine
    XLA_FLAGS=--xla_force_host_platform_device_count=8 python -m benchmarks.engine --only=devices

`--rounds` is how often each is timed, in turn; the median is printed.
"""

import functools
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
from tljax.nn.convolution import choose_form, convolve, place_of_run
from tljax.report.page import table
from tljax.zoo.families.mobilenet import mobilenet

ONLY = define_only(
    ['forms', 'frozen', 'cached', 'seeds', 'devices', 'episodes', 'extraction', 'adaptation']
)
ROUNDS = define_rounds(5)


def main() -> None:
    """Prints the tables that were asked for."""
    for name in ONLY.value:
        {
            'forms': forms,
            'frozen': frozen,
            'cached': cached,
            'seeds': seeds,
            'devices': devices,
            'episodes': episodes,
            'extraction': extraction,
            'adaptation': adaptation,
        }[name]()


SHAPES = (  # n, size, c, d, kernel, stride, groups, and whether a loop is timed too
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
    """A convolution in each form, forward and with its gradient, called by itself and four times
    inside a loop; a star is what is used."""
    rows = []
    for n, size, c, d, k, stride, groups, looped in SHAPES:
        x, w = jnp.ones((n, size, size, c)), jnp.ones((k, k, c // groups, d)) / k
        picked, calls = (
            {
                place: choose_form(place, x, w, (stride, stride), groups)
                for place in ('alone', 'looped')
            },
            {},
        )
        for form in ('plain', 'split', 'dots') if groups == 1 else ('plain', 'shifts'):

            def forward(x, w, form=form, stride=stride, groups=groups):
                return convolve(x, w, (stride, stride), groups=groups, form=form)

            def gradient(x, w, forward=forward):
                return jax.grad(lambda x, w: jnp.sum(forward(x, w) ** 2), (0, 1))(x, w)

            for what, function in (('forward', forward), ('gradient', gradient)):
                calls[form, what] = functools.partial(jax.jit(function), x, w)
            if looped:
                again = jax.jit(
                    lambda x, w, gradient=gradient: lax.map(
                        lambda x: gradient(x, w), jnp.stack([x] * 4)
                    )
                )
                calls[form, 'loop'] = functools.partial(again, x, w)
        times = _times(calls)
        for form in dict.fromkeys(form for form, _ in calls):
            inside = (
                f'{times[form, "loop"] / 4:.2f}{"*" * (form == picked["looped"])}' if looped else ''
            )
            kind = 'depthwise' if groups > 1 else f'-> {d}'
            rows.append(
                [
                    f'{n}x{size}x{size}x{c} {kind}',
                    f'{k}x{k}/{stride}',
                    form,
                    f'{times[form, "forward"]:.2f}',
                    f'{times[form, "gradient"]:.2f}{"*" * (form == picked["alone"])}',
                    inside,
                ]
            )
    table(
        ['input', 'kernel', 'form', 'ms forward', 'ms with gradient', 'the same in a loop'],
        rows,
        title='Forms of convolution',
    )


def cached():
    """A head on a frozen MobileNet: an epoch that runs the backbone against one on its features,
    256 pictures of 224x224."""
    calls = {}
    for name, width in (('backbone', 0), ('features', 256)):
        _, built = _build(
            data={'name': 'glyphs', 'size': 224, 'classes': 4, 'per_class': 4},
            net={'name': 'mobilenet', 'alpha': 0.25},
            partition={'name': 'freeze'},
            batch=32,
            width=width,
        )
        shape = (1, 1, 32, width) if width else (1, 1, 32, 224, 224, 1)
        batch = {'input': np.ones(shape, np.float32), 'label': np.zeros((1, 1, 32), np.int32)}
        params, state = built.method.init(
            jax.random.key(0), jax.tree.map(lambda leaf: leaf[0, 0, :1], batch)
        )
        whole = TrainState(jnp.zeros((), jnp.int32), params, state, built.tx.init(params))
        cell = [jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], whole)]

        def call(cell=cell, step=built.step, batch=batch):
            for _ in range(8):
                cell[0], metrics = step.run(cell[0], batch, np.zeros(1, np.uint32))
            return metrics

        calls[name] = call
    times = _times(calls)
    table(
        ['an epoch on', 'ms', 'share'],
        [[name, f'{ms:.1f}', f'1/{times["backbone"] / ms:.0f}'] for name, ms in times.items()],
        title='Head on a frozen backbone, 256 pictures',
    )


def frozen():
    """What a frozen backbone costs, by XLA's own count, with clipping and gradient-norm logging
    on."""
    rows = []
    for name, partition in (
        ('everything', {'name': 'full'}),
        ('head only', {'name': 'freeze', 'until': 'backbone'}),
    ):
        run, built = _build(
            net={'name': 'cifar_resnet', 'depth': 14, 'width': 16},
            partition=partition,
            optim={'clip': 1.0},
            batch=64,
        )
        params, state = run.init(0)
        whole, batch = (
            TrainState(jnp.zeros((), jnp.int32), params, state, built.tx.init(params)),
            run.stream.batch(0, 0),
        )
        step = jax.jit(make_step(built.method, built.tx, built.labels))
        forward = jax.jit(built.method.predict)
        flops = [
            f.lower(*a).compile().cost_analysis()['flops']
            for f, a in ((step, (whole, batch, 0)), (forward, (params, state, batch)))
        ]
        times = _times(
            {
                'step': lambda: step(whole, batch, 0),
                'forward': lambda: forward(params, state, batch),
            }
        )
        memory = sum(leaf.nbytes for leaf in jax.tree.leaves(whole.opt_state)) / 1e6
        rows.append(
            [
                name,
                f'{flops[0] / 1e9:.3f}',
                f'{flops[0] / flops[1]:.3f}',
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


def seeds():
    """Five seeds in one call against five calls of one, each in every form; ten steps a call where
    `fit` takes ten."""
    calls, net = {}, {'name': 'conv4', 'width': [32, 64, 128], 'size': 8, 'norm': 'layer'}
    for count, how in ((1, 'one call'), (5, 'each by itself'), (5, 'one call, a loop')):
        for form in ('plain', 'dots'):
            run, _ = _build(net={**net, 'form': form}, seeds=list(range(count)), batch=16)
            step = run.step if how == 'one call, a loop' else map_seeds_on_threads(run.step, count)
            length = 10 if how == 'each by itself' else 1
            one = run.stream.take(run.stream.index(0, 0))
            batch = step.place(
                jax.tree.map(
                    lambda leaf, n=count, k=length: np.stack([np.stack([leaf] * n)] * k), one
                )
            )
            cell = [step.split(first_state(run.init, run.tx, run.seeds))]

            def call(cell=cell, step=step, batch=batch, count=count):
                cell[0], metrics = step.run(cell[0], batch, np.arange(count, dtype=np.uint32))
                return metrics

            calls[count, how, form] = call
    times = {
        cell: ms / (10 if cell[1] == 'each by itself' else 1) for cell, ms in _times(calls).items()
    }
    best = min(times[cell] for cell in times if cell[0] == 1)
    table(
        ['seeds', 'how', 'form', 'ms', 'over calls of one'],
        [[*cell, f'{ms:.2f}', f'{ms / (cell[0] * best):.2f}'] for cell, ms in times.items()],
        title='Seeds: one step of each',
    )


def devices():
    """What the devices exchange in a step: bytes in the all-reduces of the compiled program."""
    rows = []
    for parallel in ('jit', 'pmap'):
        for name in ('full', 'freeze'):
            run, built = _build(
                net={'name': 'cifar_resnet', 'depth': 14},
                partition={'name': name},
                parallel=parallel,
                batch=64,
            )
            batch = run.step.place(
                jax.tree.map(lambda leaf: leaf[None, None], run.stream.take(run.stream.index(0, 0)))
            )
            text = (
                run.step.run.lower(
                    first_state(run.init, run.tx, run.seeds), batch, np.zeros(1, np.uint32)
                )
                .compile()
                .as_text()
            )
            calls = ' '.join(re.findall(r'= (.*?) all-reduce(?:-start)?\(', text))
            sizes = [
                [int(n) for n in shape.split(',') if n]
                for shape in re.findall(r'f32\[([\d,]*)\]', calls)
            ]
            reduced = sum(4 * int(np.prod(size or [1])) for size in sizes)
            trained = sum(
                4 * leaf.size
                for leaf, label in zip(
                    jax.tree.leaves(run.init(0)[0]), jax.tree.leaves(built.labels), strict=True
                )
                if label != 'frozen'
            )
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


def episodes():
    """What drawing episodes costs of a training step, and how much memory a test of many takes over
    one of few."""
    rows = []
    run, _ = _build(
        data=base.episodes('glyphs', ways=5, shots=1, queries=5, count=10_000),
        method={'name': 'protonet'},
        net={'name': 'conv4', 'width': 16, 'size': 28},
        batch=1,
    )
    first = first_state(run.init, run.tx, run.seeds)
    for count in (100, 1000, 10_000):
        score(
            run.predict,
            first.params,
            first.state,
            restrict(run.evals['test'], np.arange(count)),
            16,
        )
        rows.append(
            [f'{count:,}', f'{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f}']
        )
    table(
        ['test episodes', "the process's largest memory so far, MB"],
        rows,
        title='Evaluation, 5-way 1-shot, Conv4-16',
    )
    rows = []
    for name, config in (
        ('ProtoNet, 60-way 1-shot 5-query', protonet),
        ('MAML, 5-way 1-shot 1-query, 32 tasks', maml),
    ):
        settings = phases(plain(config.get_config()))[0][1]
        run, built = (
            build.build(settings),
            build.parts(settings).program(build.load(settings['data'])['train']),
        )
        batch = run.step.place(
            jax.tree.map(lambda leaf: leaf[None, None], run.stream.take(run.stream.index(0, 0)))
        )
        cell = [first_state(run.init, run.tx, run.seeds)]

        def call(cell=cell, run=run, batch=batch):
            cell[0], metrics = run.step.run(cell[0], batch, np.zeros(1, np.uint32))
            return metrics

        draw, keys = jax.jit(built.prepare), jax.tree.map(lambda leaf: leaf[0, 0], batch)
        times = _times({'sampling': lambda draw=draw, keys=keys: draw(keys), 'step': call})
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
    """Features of a set against the forward passes that they need, batches in place: MobileNet,
    1,024 pictures of 112x112 in memory."""
    net = mobilenet(alpha=0.25, form=place_of_run())
    dataset = arrays(
        np.random.default_rng(0).uniform(size=(1024, 112, 112, 3)).astype(np.float32),
        np.zeros(1024, int),
        ('none',),
    )
    params, state = jax.tree.map(
        lambda leaf: leaf[None], net.init(jax.random.key(0), jnp.zeros((1, 112, 112, 3)))
    )
    extract, whole = extractor(net), ({'backbone': params}, {'backbone': state})
    batches = [
        extract.place(dataset.take(np.arange(start, start + 256))) for start in range(0, 1024, 256)
    ]
    times = _times(
        {
            'extraction': lambda: predictions(extract, *whole, dataset),
            'forward passes': lambda: [extract.run(*whole, batch) for batch in batches],
        }
    )
    table(
        ['what', 'ms', 'over forward'],
        [[name, f'{ms:.0f}', f'{ms / times["forward passes"]:.3f}'] for name, ms in times.items()],
        title='Extraction of features',
    )


def adaptation():
    """A step of deep domain adaptation against one of fine-tuning on as many pictures, the passes
    that its equation needs."""
    calls, flops, size = {}, {}, 32
    printed = {'name': 'glyphs', 'part': 'digits', 'size': size, 'per_class': 50}
    both = {'name': 'domains', 'source': printed, 'target': {'name': 'digits', 'size': size}}
    for name in ('finetune', 'dann', 'cdan', 'ddc', 'dan', 'jan', 'deep_coral', 'cmd', 'mcd'):
        halves = (
            {'data': printed, 'batch': 128} if name == 'finetune' else {'data': both, 'batch': 64}
        )
        run, built = _build(
            net={'name': 'cifar_resnet', 'depth': 14, 'width': 32}, method={'name': name}, **halves
        )
        params, state = run.init(0)
        whole, batch = (
            TrainState(jnp.zeros((), jnp.int32), params, state, built.tx.init(params)),
            run.stream.batch(0, 0),
        )
        step = jax.jit(make_step(built.method, built.tx, built.labels))
        flops[name] = step.lower(whole, batch, 0).compile().cost_analysis()['flops']
        calls[name] = functools.partial(step, whole, batch, 0)
    times = _times(calls)
    table(
        ['step of', 'GFLOP', 'over fine-tuning', 'ms', 'over fine-tuning'],
        [
            [
                name,
                *(
                    f'{value:.2f}'
                    for value in (
                        flops[name] / 1e9,
                        flops[name] / flops['finetune'],
                        ms,
                        ms / times['finetune'],
                    )
                ),
            ]
            for name, ms in times.items()
        ],
        title='ResNet-14, 64 + 64 pictures of 32x32',
    )


def _build(width=0, **changes):
    default = phases(plain(base.get_config()))[0][1]
    settings = merge(default, {'data': {'name': 'digits', 'size': 8}, 'cache': False, **changes})
    return build.build(settings), build.parts(settings).program(
        build.load(settings['data'])['train'], width
    )


def _times(calls):
    return milliseconds(calls, ROUNDS.value)


if __name__ == '__main__':
    command.run_plain(main)
