"""Tables and page of a study of unlearning."""

import json

from tljax.protocols import Record
from tljax.studies.tables import Table, section
from tljax.when.gain import mean_interval, share_interval

READING = (
    'Mean ± half the width of the 95 % interval over seeds; a seed divides the examples, draws the '
    'withdrawn ids and trains the models. Accuracy is that of the averaged probabilities on the '
    'test split. A withdrawal trains the stages anew that have seen one of the ids. The share is '
    'that of all steps of the system, which training everything anew would take. Without shards '
    'there is one model.'
)


def tables(results: Record) -> list[Table]:
    """Returns the tables that are printed: accuracy by number of shards, and cost of withdrawals.

    Args:
        results: as `unlearning.unlearn` returns them.

    >>> row = dict(shards=2, slices=1, seed=0, withdrawn=1, before=0.9, after=0.8, steps=5)
    >>> rows = [{**row, 'all_steps': 10, 'seconds': 1.0, 'all_seconds': 2.0}]
    >>> [table.rows for table in tables({'rows': rows})]
    [[[2, 1, '90.0', 10, '2.0']], [[2, 1, '80.0', '5', '50', '1.0']]]
    """
    rows = results['rows']
    systems = list(dict.fromkeys((row['shards'], row['slices']) for row in rows))
    counts = list(dict.fromkeys(row['withdrawn'] for row in rows))
    accuracy, cost = [], []
    for shards, slices in systems:
        of_system = [row for row in rows if row['shards'] == shards]
        once = [row for row in of_system if row['withdrawn'] == counts[0]]
        accuracy.append(
            [
                shards,
                slices,
                _percent([row['before'] for row in once]),
                once[0]['all_steps'],
                _numbers([row['all_seconds'] for row in once], 1),
            ]
        )
        for count in counts:
            same = [row for row in of_system if row['withdrawn'] == count]
            shares = [100 * row['steps'] / row['all_steps'] for row in same]
            cost.append(
                [
                    shards,
                    count,
                    _percent([row['after'] for row in same]),
                    _numbers([row['steps'] for row in same]),
                    _numbers(shares),
                    _numbers([row['seconds'] for row in same], 1),
                ]
            )
    return [
        Table(
            ['shards', 'slices', 'test accuracy %', 'steps', 'seconds'],
            accuracy,
            'All examples',
        ),
        Table(
            ['shards', 'withdrawn', 'test accuracy %', 'steps anew', '% of all', 'seconds'],
            cost,
            'After a withdrawal',
        ),
    ]


def sections(results: Record) -> list[Record]:
    """Returns the sections of the page.

    Args:
        results: as `unlearning.unlearn` returns them.
    """
    accuracy, cost = tables(results)
    return [
        section('What do shards cost?', accuracy, text=READING),
        section('What does a withdrawal cost?', cost),
        section('The config', code=json.dumps(results['config'], indent=1)),
    ]


def _percent(shares):
    mean, half = share_interval(shares)
    return f'{100 * mean:.1f}' + (f' ± {100 * half:.1f}' if half is not None else '')


def _numbers(values, digits=0):
    mean, half = mean_interval(values)
    return f'{mean:.{digits}f}' + (f' ± {half:.{digits}f}' if half is not None else '')
