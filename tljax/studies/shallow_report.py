"""The tables and the page of a study of shallow adaptation."""

import json

import numpy as np

from tljax.protocols import Record
from tljax.studies import choices
from tljax.studies.tables import Table, section

CHOICE = (
    "Which method to take, chosen per task without the target's labels, among those whose "
    'classifier is not always sure, as a nearest neighbour is; the oracle sees the labels'
)
READING = (
    '{} on the target, percent; + and − where a paired t test over its examples, Holm-corrected '
    'over the table at 5 %, finds that the method helps, or hurts (negative transfer), against the '
    'same classifier on the source alone.'
)
SIGNS = {'positive': ' +', 'negative': ' −'}


def tables(results: Record) -> list[Table]:
    """The tables that are printed.

    Args:
        results: as `shallow.adapt` returns them.

    >>> row = dict(method='tca', source='a', target='b', metric='accuracy', mean=0.5)
    >>> tables(dict(rows=[row], chosen=[]))[0].rows
    [['tca', '50.0', '50.0']]
    """
    return [_task_table(results), _choice_table(results)]


def sections(results: Record, figure: str) -> list[Record]:
    """The sections of the page.

    Args:
        results: as `shallow.adapt` returns them.
        figure: drawing of source and target of the first task, an SVG element.

    >>> row = dict(method='tca', source='a', target='b', metric='accuracy', mean=0.5)
    >>> sections(dict(rows=[row], chosen=[], config={}), '<svg/>')[1]['text']
    'Features of a-b: source coloured by class, target in ink.'
    """
    table, first = _task_table(results), results['rows'][0]
    return [
        section(first['metric'].capitalize(), table, text=table.title),
        section(
            'Before and after',
            svg=figure,
            text=f'Features of {first["source"]}-{first["target"]}: source coloured by class, '
            'target in ink.',
        ),
        section('Chosen without target labels', _choice_table(results), text=CHOICE),
        section('Every gain', _gain_table(results)),
        section('How it was run', code=json.dumps(results['config'], indent=1)),
    ]


def _task_table(results: Record) -> Table:
    """Every method on every task, with its mean over them."""
    rows = results['rows']
    tasks = dict.fromkeys(f'{row["source"]}-{row["target"]}' for row in rows)
    body = []
    for name in dict.fromkeys(row['method'] for row in rows):
        mine = [row for row in rows if row['method'] == name]
        cells = [f'{100 * row["mean"]:.1f}{SIGNS.get(row.get("verdict"), "")}' for row in mine]
        body.append([name, *cells, f'{100 * np.mean([row["mean"] for row in mine]):.1f}'])
    return Table(['method', *tasks, 'mean'], body, READING.format(rows[0]['metric'].capitalize()))


def _choice_table(results: Record) -> Table:
    """What each label-free score would have chosen."""
    rows = [{**row, 'picks': list(row['picks'].values())} for row in results['chosen']]
    return choices.table(
        rows,
        [f'mean {results["rows"][0]["metric"]} %'],
        [[f'{100 * row["mean"]:.1f}'] for row in rows],
        'target',
        CHOICE,
    )


def _gain_table(results: Record) -> Table:
    """The gain of every method on every task, with its interval."""
    body = [
        [
            row['method'],
            f'{row["source"]}-{row["target"]}',
            f'{100 * row["gain"]:+.1f}',
            f'{100 * row["gain_low"]:+.1f} to {100 * row["gain_high"]:+.1f}',
            row['verdict'],
        ]
        for row in results['rows']
        if 'verdict' in row
    ]
    return Table(['method', 'task', 'gain, points', '95 % interval', 'verdict'], body)
