"""Tables and page of a study of many tasks."""

import json

from tljax.protocols import Record
from tljax.studies.tables import Table, section

READING = (
    'Share of the variance of all test labels that is explained, percent: mean ± half the width of '
    'the 95 % interval over splits. Penalty: the smallest and the largest that were chosen. '
    'Seconds: of a split, the choice of the penalty included.'
)
GAINS = (
    'Gains in percentage points, paired, with 95 % intervals over splits and over tasks. Splits of '
    'the same examples depend on each other, so that the verdict is that over tasks: paired t '
    'test, Holm-corrected over the table at 5 %.'
)


def tables(results: Record) -> list[Table]:
    """Returns the tables that are printed: methods, and gains over the baselines.

    Args:
        results: as `many_tasks.compare` returns them.

    >>> row = dict(method='pooled', mean=0.34, half=0.01, penalties=[1.0, 3.0], seconds=0.5)
    >>> tables(dict(rows=[row], gains=[]))[0].rows
    [['pooled', '34.0 ± 1.0', '1 to 3', '0.5']]
    """
    return [_method_table(results), _gain_table(results)]


def sections(results: Record) -> list[Record]:
    """Returns the sections of the page.

    Args:
        results: as `many_tasks.compare` returns them.

    >>> results = dict(rows=[], gains=[], tasks=3, examples=60, config={})
    >>> sections(results)[0]['text'].partition('.')[0]
    '3 tasks, 60 examples'
    """
    methods, gains = tables(results)
    return [
        section(
            'Methods',
            methods,
            text=f'{results["tasks"]} tasks, {results["examples"]} examples. {methods.title}',
        ),
        section('Gains over the baselines', gains, text=gains.title),
        section('How it was run', code=json.dumps(results['config'], indent=1)),
    ]


def _method_table(results: Record) -> Table:
    """Returns a table with a row for each method."""
    rows = [
        [
            row['method'],
            f'{100 * row["mean"]:.1f} ± {100 * row["half"]:.1f}',
            _range(row['penalties']),
            f'{row["seconds"]:.1f}',
        ]
        for row in results['rows']
    ]
    return Table(['method', 'explained variance %', 'penalty', 'seconds'], rows, READING)


def _range(penalties: list[float | None]) -> str:
    """Returns the smallest and the largest penalty that were chosen, if any was."""
    chosen = sorted(penalty for penalty in penalties if penalty is not None)
    return ' to '.join(dict.fromkeys(f'{penalty:g}' for penalty in (*chosen[:1], *chosen[-1:])))


def _gain_table(results: Record) -> Table:
    """Returns a table of the gain of every method over every baseline."""
    rows = [
        [
            gain['method'],
            gain['baseline'],
            f'{100 * gain["mean"]:+.1f}',
            f'{100 * gain["low"]:+.1f} to {100 * gain["high"]:+.1f}',
            f'{100 * gain["task_low"]:+.1f} to {100 * gain["task_high"]:+.1f}',
            gain['verdict'],
        ]
        for gain in results['gains']
    ]
    columns = ['method', 'over', 'gain, points', 'over splits', 'over tasks', 'verdict']
    return Table(columns, rows, GAINS)
