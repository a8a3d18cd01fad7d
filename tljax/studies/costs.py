"""What the strategies of a study cost: trained parameters, bytes of the optimiser, and bytes that a
step exchanges between devices."""

import json
from pathlib import Path

import jax
import numpy as np

from tljax import build
from tljax.configuration import merge, phases
from tljax.core import UserError
from tljax.engine.train import Run
from tljax.protocols import Config, Record
from tljax.studies import dry_run
from tljax.studies.tables import Table, budget_text


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
    taken = dry_run.of_call(run)
    trained = sum(group.numbers for group in run.transferred if group.rate is not None)
    parameters = sum(group.numbers for group in run.transferred)
    return {
        'trained': trained,
        'parameters': parameters,
        'share': trained / parameters,
        'optimiser_bytes': taken['bytes']['optimiser'] - 4 * len(run.seeds),  # the step's number
        'all_reduced_bytes': taken['exchanged']['all-reduce'],
    }


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
