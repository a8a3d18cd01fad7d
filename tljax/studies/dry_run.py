"""What the phases of a run take, before anything is trained: memory by device, operations of a
step, and the bytes that devices exchange."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from tljax import build
from tljax.configuration import phases
from tljax.core import Dataset, Net, TrainState, Tree
from tljax.data.splits import each_split
from tljax.engine.ahead import MAKERS, MEMORY, MOST
from tljax.engine.checkpoint import last_phase, refuse_unfinished
from tljax.engine.devices import shard
from tljax.engine.reading import KINDS, exchanged_bytes, flops, temporary_bytes
from tljax.engine.train import Run, spans
from tljax.features import Donors
from tljax.parts import Parts, parts
from tljax.paths import first, flatten
from tljax.platforms import for_any, is_for_cpu
from tljax.program import Program
from tljax.protocols import Config, Record
from tljax.studies.tables import Table, transfer_table
from tljax.zoo.weights import foreign, published
from tljax.zoo.weights.slim_file import is_for

MEMORY_ROWS = {  # row of the table -> key of 'bytes'
    'parameters': 'parameters',
    "the method's state": 'state',
    "the optimiser's state": 'optimiser',
    'batch of a call': 'batch',
    'activations and other temporaries': 'temporaries',
    'total': 'total',
    'batches made ahead, beside the total': 'ahead',
}


def on_virtual_devices(count: int) -> None:
    """Divides the CPU into several devices, before JAX is first used.

    Args:
        count: number of devices.
    """
    jax.config.update('jax_platforms', 'cpu')
    jax.config.update('jax_num_cpu_devices', count)


def dry_run(config: Config, workdir: Path, elsewhere: bool = False) -> list[Record]:
    """Compiles a step of every phase of a config, and reads what it takes. Nothing is trained.

    The folder of the run is neither read nor written, no parameters are allocated, and the weights
    that a run starts from are not read: what counts are their shapes. Errors of weights that do not
    fit are therefore not found, unless an earlier phase makes them. There are three exceptions. A
    method that learns from the data before its first step (delta, co-tuning, clustering) does so
    here. A teacher that is no phase of the run is read. One batch of the data is read.

    Numbers are of all seeds of the run together. Temporaries are those of a training step, not of
    an evaluation or of the extraction of features. On a CPU each seed may have a thread and a
    program of its own; then they are those of all threads. Of six runs on a CPU, a step took 1 to
    4 % more than the total. Beside it, the first call takes tens of megabytes once, and a single
    CPU may hold a batch twice, as NumPy's arrays are not always aligned for XLA.

    Args:
        config: plain dict, as `configs/base.py` describes it.
        workdir: folder of the run; the donors of later phases are named by it.
        elsewhere: whether the devices stand for those of another machine (`on_virtual_devices`).
            Then the program is not made of the forms that are fastest on a CPU, which divide
            examples in other ways and so exchange more than gradients, but of those for any
            platform, and seeds are computed together, as on an accelerator. XLA still compiles it
            for a CPU. Parameters, states and batches are as on the other machine. What is exchanged
            is what XLA's partitioner decides for any machine; the compiler of an accelerator may
            still merge exchanges, or split one into two of other kinds. Temporaries are an
            estimate, since an accelerator fuses other operations and chooses other layouts.
            Depthwise convolutions are sums of shifted products, as on any CPU.

    Returns:
        For each phase {'phase', 'seeds': how many, 'devices': how many, 'kind': of device,
        'steps_per_call', 'cached': whether the head alone is trained, on features that are
        extracted once, 'transferred': groups of parameters as dicts, 'bytes': on one device
        {'parameters', 'state', 'optimiser', 'batch', 'temporaries', 'total': of all these, 'ahead':
        of batches that are made ahead}, 'flops': of a step on all devices, 'exchanged': bytes of a
        step by the kind of exchange (`reading.exchanged_bytes`)}. The optimiser's bytes include the
        number of the step.

    Raises:
        UserError: a phase that cannot be trained, or whose batches do not divide over the devices.

    >>> from tljax.configuration import settings
    >>> config = settings(
    ...     data={'name': 'digits', 'size': 8},
    ...     net={'name': 'mlp', 'widths': [20]},
    ...     partition={'name': 'freeze'},
    ... )
    >>> row = dry_run({**config, 'phases': {}}, Path('runs'))[0]
    >>> row['bytes']['parameters'], row['exchanged']['all-reduce']  # 1510 numbers; one device
    (6040, 0)
    """
    make: Callable[..., list[Record]] = for_any(_phases) if elsewhere else _phases
    return make(config, workdir)


def _phases(config, workdir):
    """The records of all phases, whose later ones start from what the earlier ones would give."""
    fits, earlier, records = phases(config), {}, []
    names = [name for name, _ in fits]
    for name, settings in fits:
        run, after, cached = _planned(settings, name, names, workdir, earlier)
        earlier[name] = after
        steps = next((last - start for start, last in spans(run)), 1)
        records.append(
            {
                'phase': name,
                'seeds': len(run.seeds),
                'devices': jax.device_count(),
                'kind': jax.devices()[0].device_kind,
                'steps_per_call': steps,
                'cached': cached,
                'transferred': [group._asdict() for group in run.transferred],
                **of_call(run, steps),
            }
        )
    return records


def of_call(run: Run, steps: int = 1) -> Record:
    """Compiles a call of a run's step and reads what it takes, without parameters in memory.

    Args:
        run: the run.
        steps: number of steps of the call.

    Returns:
        {'bytes', 'flops', 'exchanged'}, as `dry_run` returns them.

    >>> from tljax.configuration import settings
    >>> run = build.build(settings(data={'name': 'digits', 'size': 8}, net={'name': 'mlp'}))
    >>> taken = of_call(run)['bytes']
    >>> taken['total'] == sum(taken[name] for name in list(taken)[:5])
    True
    """
    # `devices.map_seeds_on_threads`: each seed in a program of its own, several at once
    programs = len(run.seeds) if is_for_cpu() else 1
    at_once = min(programs, os.cpu_count() or 1) if jax.device_count() == 1 else 1
    seeds = run.seeds[: len(run.seeds) // programs]
    state, batch = abstract_state(run, seeds), batch_of_call(run, steps, len(seeds))
    lowered = run.step.run.lower(state, batch, np.asarray(seeds, np.uint32))
    compiled = lowered.compile()
    state_shardings = compiled.input_shardings[0][0]
    taken = {
        'parameters': _bytes(state.params, state_shardings.params),
        'state': _bytes(state.variables, state_shardings.variables),
        'optimiser': _bytes(
            (state.step, state.opt_state), (state_shardings.step, state_shardings.opt_state)
        ),
        'batch': sum(leaf.nbytes for leaf in jax.tree.leaves(batch)) // jax.device_count(),
    }
    taken = {name: programs * size for name, size in taken.items()}
    taken['temporaries'] = at_once * temporary_bytes(compiled)
    size = jax.local_device_count() * taken['batch']
    return {
        'bytes': {
            **taken,
            'total': sum(taken.values()),
            'ahead': taken['batch'] * min(max(MAKERS, MEMORY // max(1, size)), MOST),
        },
        'flops': programs * run.step.copies * flops(lowered),
        'exchanged': {
            kind: programs * size for kind, size in exchanged_bytes(compiled.as_text()).items()
        },
    }


def abstract_state(run: Run, seeds: Sequence[int]) -> TrainState:
    """Returns the shapes of a training state before the first step.

    Args:
        run: the run.
        seeds: some of its seeds, the leading axis of each leaf.

    >>> from tljax.configuration import settings
    >>> run = build.build(settings(data={'name': 'digits', 'size': 8}, net={'name': 'mlp'}))
    >>> abstract_state(run, (0,)).params['head']['bias'].shape
    (1, 10)
    """
    of_one = shapes_of(lambda: run.init(seeds[0]))
    params, variables = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((len(seeds), *leaf.shape), leaf.dtype), of_one
    )
    opt_state = jax.eval_shape(jax.vmap(run.tx.init), params)
    step: Any = jax.ShapeDtypeStruct((len(seeds),), np.int32)
    return TrainState(step, params, variables, opt_state)


def shapes_of(make: Callable[[], Tree]) -> Tree:
    """Returns the shapes of what a function makes, without making it if JAX can trace it.

    Args:
        make: () -> tree of arrays.

    >>> shapes_of(lambda: {'kernel': jax.numpy.zeros((2, 3))})['kernel'].shape
    (2, 3)
    >>> shapes_of(lambda: np.asarray(jax.numpy.zeros(4)) * 2).shape  # NumPy wants numbers
    (4,)
    """
    try:
        return jax.eval_shape(make)
    except (jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError):
        return jax.eval_shape(lambda tree: tree, make())


def _bytes(tree: Tree, shardings: Tree) -> int:
    """Bytes of a tree of shapes on one device."""
    leaves, places = jax.tree.leaves(tree), jax.tree.leaves(shardings)
    return sum(
        int(np.prod(place.shard_shape(leaf.shape))) * leaf.dtype.itemsize
        for leaf, place in zip(leaves, places, strict=True)
    )


def batch_of_call(run: Run, steps: int, seeds: int) -> Tree:
    """Returns the batch of a call as the step takes it. One batch is read, and stands for all.

    Args:
        run: the run.
        steps: number of steps of the call.
        seeds: number of seeds.

    Raises:
        UserError: the batch does not divide over the devices.

    >>> from tljax.configuration import settings
    >>> run = build.build(settings(data={'name': 'digits', 'size': 8}, net={'name': 'mlp'}))
    >>> batch_of_call(run, 2, 1)['label'].shape
    (2, 1, 64)
    """
    batch = run.stream.take(shard(run.stream.index(run.seeds[0], 0)))
    return run.step.place(
        jax.tree.map(lambda leaf: np.broadcast_to(leaf, (steps, seeds, *np.shape(leaf))), batch)
    )


def _planned(settings, name, names, workdir, earlier):
    """A phase's run without weights, what a later phase would take from it, and whether the head
    alone is trained.

    Args:
        settings: config of the phase.
        name: of the phase.
        names: of all phases, in order.
        workdir: folder of the run.
        earlier: {phase: its `Donors`} of the phases before.
    """
    donor_dir, teacher_dir = (
        place(settings, workdir, names) for place in (build.donor, build.teacher)
    )
    functions, splits = parts(settings, donor_dir, teacher_dir), build.splits_of(settings)
    train, made = splits['train'], {}

    def program(*arguments, **keywords):
        whole = functions.program(*arguments, **keywords)
        made.setdefault('program', whole)  # the first: a second is that of the head alone

        def init(*values):
            made['trees'] = _stand_ins(shapes_of(lambda: whole.init(*values)))
            return made['trees']

        return whole._replace(init=init)

    def donors(net, top=False):
        place = settings['init']['path']
        if not place:
            return earlier[settings['init']['phase']]
        return _unread(place, net, train, made['program'], settings['init']['rules'], functions)

    def features(net, params, state, splits):
        return each_split(splits, lambda split: _with_features(split, net.dim))

    planned = functions._replace(
        program=program,
        donors=functions.donors and donors,
        labels=functions.labels
        and (lambda net, donors, train: [np.zeros(train.size, np.int32) for _ in donors.trees]),
        features=features,
    )
    if settings['teacher'] in earlier:
        planned = planned._replace(teacher=lambda: earlier[settings['teacher']])
    run = build.build(settings, name, splits=splits, functions=planned)
    trees = [(run.init(seed), made['trees'])[1] for seed in run.seeds]
    if made['program'].method.final:
        trees = [
            (_stand_ins(jax.eval_shape(made['program'].method.final, params)), state)
            for params, state in trees
        ]
    tasks = {part: {'classes': list(task.names)} for part, task in run.task.by_name.items()}
    place = str(build.folder(workdir, names, name))
    cached = len(jax.tree.leaves(run.init(run.seeds[0]))) < len(jax.tree.leaves(made['trees']))
    return run, Donors(trees, tuple(run.classes), place, tasks, are_read=False), cached


def _stand_ins(shapes: Tree) -> Tree:
    """Arrays of zeros with these shapes that take no memory: all entries are one number."""
    return jax.tree.map(lambda leaf: np.broadcast_to(np.zeros((), leaf.dtype), leaf.shape), shapes)


def _unread(
    place: str,
    net: Net,
    train: Dataset,
    program: Program,
    rules: Sequence[Sequence[str | None]],
    functions: Parts,
) -> Donors:
    """Donors with all that the rules of a graft ask for, in the place of a run or of weights."""
    trees = 1
    if not (published.is_name(place) or foreign.named_as_weights(place) or is_for(net, place)):
        foreign.refuse_no_run(place)
        run_dir = last_phase(Path(place))
        refuse_unfinished(run_dir)
        trees = _seeds(run_dir)
    sample = jax.eval_shape(lambda: train.take(np.arange(1)))
    shapes = jax.eval_shape(program.method.init, jax.random.key(0), sample)
    rules = [(str(rule), r'\g<0>' if path is None else path) for rule, path in rules]
    if functions.source == 'head':
        rules.append(build.SOURCE_HEAD)
    tree = _stand_ins(tuple(_asked_for(part, rules) for part in shapes))
    return Donors([tree] * trees, train.classes, place, are_read=False)


def _asked_for(shapes: Tree, rules: Sequence[tuple[str, str]]) -> Tree:
    """The tree of a donor that has what rules of a graft ask for, and nothing else."""
    tree: dict[str, Any] = {}
    for path, leaf in flatten(shapes).items():
        *parents, key = (first(rules, path) or '').split('/')
        inner = tree
        for parent in parents:
            inner = inner.setdefault(parent, {})
        if key:
            inner[key] = leaf
    return tree


def _seeds(run_dir: Path) -> int:
    """Number of seeds of a finished run."""
    try:
        return len(json.loads((run_dir / 'config.json').read_text())['seeds'])
    except (OSError, ValueError, KeyError):  # it was moved without its config
        return 1


def _with_features(split: Dataset, width: int) -> Dataset:
    """The examples of a split with features in the place of their inputs."""

    def take(index):
        return {**split.take(index), 'input': np.zeros((len(index), width), np.float32)}

    return split._replace(take=take)


def tables(records: Sequence[Record]) -> list[Table]:
    """Returns the results of `dry_run` as tables, three for each phase.

    Args:
        records: as `dry_run` returns them.

    >>> from tljax.configuration import settings
    >>> config = settings(data={'name': 'digits', 'size': 8}, net={'name': 'mlp', 'widths': [20]})
    >>> _, memory, step = tables(dry_run({**config, 'phases': {}}, Path('runs')))
    >>> memory.title, memory.rows[0]
    ('train: bytes on one of 1 devices (cpu), 1 seed', ['parameters', '6,040', '0.01'])
    """
    found = []
    for record in records:
        seeds = record['seeds']
        where = f'{seeds} seed' if seeds == 1 else f'all {seeds} seeds together'
        of_head = ', of the head on cached features' if record['cached'] else ''
        steps = record['steps_per_call']
        memory = [
            [row, f'{record["bytes"][key]:,}', f'{record["bytes"][key] / 2**20:.2f}']
            for row, key in MEMORY_ROWS.items()
        ]
        step = [['floating-point operations, all devices', f'{record["flops"]:,.0f}']]
        step += [[f'{kind}, bytes', f'{record["exchanged"][kind]:,}'] for kind in KINDS]
        title = transfer_table({record['phase']: record['transferred']})
        found += [
            title._replace(title=f'{record["phase"]}: {title.title.lower()}'),
            Table(
                ['memory', 'bytes', 'MiB'],
                memory,
                f'{record["phase"]}: bytes on one of {record["devices"]} devices '
                f'({record["kind"]}), {where}{of_head}'
                + (f', {steps} steps a call' if steps > 1 else ''),
            ),
            Table(['a step', 'number'], step, f'{record["phase"]}: a step, {where}{of_head}'),
        ]
    return found
