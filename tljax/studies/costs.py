"""What the strategies of a study cost: trained parameters, bytes of the optimiser, and bytes that a
step exchanges between devices."""

import json
import math
import re
from pathlib import Path

import jax
import numpy as np

from tljax import build
from tljax.configuration import merge, phases
from tljax.core import UserError
from tljax.engine.devices import first_state, shard
from tljax.engine.train import Run
from tljax.protocols import Config, Record
from tljax.studies.tables import Table, budget_text

# a sum over devices in a compiled program: the types of what is summed stand before its name
ALL_REDUCE = re.compile(r'= (.*?) all-reduce(?:-start)?\(')
ARRAY = re.compile(r'(pred|[a-z]+)(\d*)\w*\[([\d,]*)\]')  # 'f32[16,10]'


def on_virtual_devices(count: int) -> None:
    """Divides the CPU into several devices, before JAX is first used.

    Args:
        count: number of devices.
    """
    jax.config.update('jax_platforms', 'cpu')
    jax.config.update('jax_num_cpu_devices', count)


def costs(config: Config, workdir: Path) -> list[Record]:
    """Counts what a step of each strategy of a study costs. Nothing is trained.

    The step is compiled for all devices of the process, and the bytes are read in the compiled
    program. It is compiled by pmap, which averages gradients and no more: under jit, XLA also
    exchanges maps between the devices of a CPU, since the forms of its convolutions there divide
    the examples in another way. Counts are of one seed; they do not depend on the weights that a
    run starts from.

    Args:
        config: plain dict, as `configs/base.py` describes it.
        workdir: folder of the study. If it has finished, its scores are in the result.

    Returns:
        [{'strategy', 'trained', 'parameters': numbers of trained and of all parameters, 'share',
        'optimiser_bytes', 'all_reduced_bytes' of a step, 'scores': {labels per class: [score by
        seed]}, 'metric'}]; 'scores' is {} and 'metric' '' without results of the study.

    Raises:
        UserError: the config has no strategies, or its batches do not divide over the devices.

    >>> costs({'phases': {}, 'study': {'strategies': {}}}, Path('runs'))
    Traceback (most recent call last):
    tljax.core.UserError: config.study.strategies is empty: name one or more
    """
    *_, (_, last) = phases(config)
    strategies = config['study']['strategies']
    if not strategies:
        raise UserError('config.study.strategies is empty: name one or more')
    results, rows = workdir / 'results.json', []
    known = json.loads(results.read_text())['rows'] if results.exists() else []
    alone = {
        'init': {'path': '', 'phase': ''},
        'cache': False,
        'seeds': last['seeds'][:1],
        'parallel': 'pmap',
    }
    for strategy, changes in strategies.items():
        settings = merge(last, changes, f'study.strategies.{strategy}')
        scored = [row for row in known if row['strategy'] == strategy]
        rows.append(
            {
                'strategy': strategy,
                **of_step(build.build(merge(settings, alone))),
                'scores': {row['labels_per_class']: row['values'] for row in scored},
                'metric': scored[0]['metric'] if scored else '',
            }
        )
    return rows


def of_step(run: Run) -> Record:
    """Counts what a step of a run costs.

    Args:
        run: the run.

    Returns:
        {'trained', 'parameters', 'share', 'optimiser_bytes', 'all_reduced_bytes'}.

    >>> from tljax.configuration import settings
    >>> run = build.build(
    ...     settings(
    ...         data={'name': 'digits', 'size': 8},
    ...         net={'name': 'mlp', 'widths': [20]},
    ...         partition={'name': 'freeze'},
    ...     )
    ... )
    >>> cost = of_step(run)
    >>> cost['trained'], cost['parameters']  # a head of 20 x 10 weights and 10 biases
    (210, 1510)
    """
    state = first_state(run.init, run.tx, run.seeds)
    batch = jax.tree.map(
        lambda leaf: leaf[None, None], run.stream.take(shard(run.stream.index(run.seeds[0], 0)))
    )
    seeds = np.asarray(run.seeds, np.uint32)
    program = run.step.run.lower(state, run.step.place(batch), seeds).compile()
    trained = sum(group.numbers for group in run.transferred if group.rate is not None)
    parameters = sum(group.numbers for group in run.transferred)
    return {
        'trained': trained,
        'parameters': parameters,
        'share': trained / parameters,
        'optimiser_bytes': sum(leaf.nbytes for leaf in jax.tree.leaves(state.opt_state)),
        'all_reduced_bytes': all_reduced_bytes(program.as_text()),
    }


def all_reduced_bytes(program: str) -> int:
    """The bytes that a compiled program sums over devices, each sum counted once.

    Args:
        program: text of the program, as XLA prints it.

    >>> all_reduced_bytes('%x = (f32[2,3]{1,0}, bf16[]) all-reduce(f32[2,3]{1,0} %y, bf16[] %z)')
    26
    """
    total = 0
    for types in ALL_REDUCE.findall(program):
        for kind, bits, shape in ARRAY.findall(types):
            size = math.prod(int(length) for length in shape.split(',') if length)
            total += size * (1 if kind == 'pred' else int(bits) // 8)
    return total


def table(rows: list[Record]) -> Table:
    """Returns the costs as a table, with the mean scores of a finished study.

    Args:
        rows: as `costs` returns them.

    >>> row = dict(strategy='frozen', trained=5, parameters=100, share=0.05)
    >>> table([row | dict(optimiser_bytes=40, all_reduced_bytes=28, scores={}, metric='')]).rows
    [['frozen', '5', '5.00', '40', '28']]
    """
    columns = ['strategy', 'trained', '% of all', 'optimiser, bytes', 'all-reduced a step, bytes']
    budgets = list(dict.fromkeys(k for row in rows for k in row['scores']))
    metric = next((row['metric'] for row in rows if row['metric']), '')
    body = []
    for row in rows:
        cells = [f'{row[key]:,}' for key in ('trained', 'optimiser_bytes', 'all_reduced_bytes')]
        cells.insert(1, f'{100 * row["share"]:.2f}')
        scores = [row['scores'].get(k) for k in budgets]
        cells += [f'{100 * np.mean(values):.1f}' if values else '' for values in scores]
        body.append([row['strategy'], *cells])
    columns += [f'{metric} %, {budget_text(k)}' for k in budgets]
    return Table(columns, body, f'One seed, {jax.device_count()} devices')
