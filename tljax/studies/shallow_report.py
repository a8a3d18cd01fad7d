"""Tables and page of a study of shallow adaptation."""

import json

import numpy as np

from tljax.protocols import Record
from tljax.studies import choices
from tljax.studies.tables import SIGNS, Table, section

CHOICE = (
    "The method that each label-free score chooses for each task, without the target's labels. "
    'Methods with a nearest neighbour are no candidates, as its probabilities are 0 and 1 only. '
    'The oracle sees the labels.'
)
READING = (
    '{} on the target, percent. + marks a method that helps and − one that hurts (negative '
    'transfer) compared with the same classifier trained on the source only: paired t test over '
    'the examples of the target, Holm-corrected over the table at 5 %.'
)


def tables(results: Record) -> list[Table]:
    """Returns the tables that are printed: accuracies, and the choices of label-free scores.

    Args:
        results: as `shallow.adapt` returns them.

    >>> row = dict(method='tca', source='a', target='b', metric='accuracy', mean=0.5)
    >>> tables(dict(rows=[row], chosen=[]))[0].rows
    [['tca', '50.0', '50.0']]
    """
    return [_task_table(results), _choice_table(results)]


def sections(results: Record, figure: str) -> list[Record]:
    """Returns the sections of the page.

    Args:
        results: as `shallow.adapt` returns them.
        figure: drawing of the first task's source and target, an SVG element.

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
    """Returns a table with a row for each method: its accuracy on each task, and their mean."""
    rows = results['rows']
    tasks = dict.fromkeys(f'{row["source"]}-{row["target"]}' for row in rows)
    body = []
    for name in dict.fromkeys(row['method'] for row in rows):
        of_method = [row for row in rows if row['method'] == name]
        cells = [f'{100 * row["mean"]:.1f}{SIGNS.get(row.get("verdict"), "")}' for row in of_method]
        body.append([name, *cells, f'{100 * np.mean([row["mean"] for row in of_method]):.1f}'])
    return Table(['method', *tasks, 'mean'], body, READING.format(rows[0]['metric'].capitalize()))


def _choice_table(results: Record) -> Table:
    """Returns a table of the methods that each label-free score chooses."""
    rows = [{**row, 'picks': list(row['picks'].values())} for row in results['chosen']]
    return choices.table(
        rows,
        [f'mean {results["rows"][0]["metric"]} %'],
        [[f'{100 * row["mean"]:.1f}'] for row in rows],
        'target',
        CHOICE,
    )


def _gain_table(results: Record) -> Table:
    """Returns a table of the gain of every method on every task, with its interval."""
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
