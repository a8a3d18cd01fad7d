"""Tables and page of a study of instance transfer."""

import json

from tljax.protocols import Record
from tljax.studies.tables import Table, percent, points, section

ERRORS = (
    'Error on the unlabelled rest of the target, percent: mean over draws ± half the width of its '
    '95 % interval; "largest class" always predicts that one'
)
GAINS = (
    'What TrAdaBoost gains, points: error of the other method minus its own, paired by draw, with '
    '95 % interval; + it helps, − it hurts (paired t test, Holm-corrected over the table at 5 %)'
)
READING = (
    'flipped : clean is the mean weight of source examples with flipped labels over that of the '
    'others, in the last round of boosting. Target fitted counts the draws in which the learner '
    'made no error on the labelled target in the first round, so that boosting begins with the '
    'source alone.'
)


def tables(results: Record) -> list[Table]:
    """Returns the tables that are printed: errors, and gains of TrAdaBoost.

    Args:
        results: as `instances.transfer` returns them.

    >>> row = dict(task='a-b', labels=12, flipped=0.2, fitted=3, largest=0.5, ratio=(0.5, 0.1))
    >>> row |= dict(errors={'pooled': [], 'TrAdaBoost': []})
    >>> row |= dict(means={'pooled': (0.2, 0.01), 'TrAdaBoost': (0.1, 0.01)})
    >>> row |= dict(gains={'pooled': dict(mean=0.1, low=0.05, high=0.15, verdict='positive')})
    >>> for table in tables({'rows': [row]}):
    ...     print(table.rows)
    [['a-b', '12', '20', '50.0', '20.0 ± 1.0', '10.0 ± 1.0']]
    [['a-b', '12', '20', '+10.0 [+5.0, +15.0] +', '0.50 ± 0.10', '3']]
    """
    return [_error_table(results['rows']), _gain_table(results['rows'])]


def sections(results: Record) -> list[Record]:
    """Returns the sections of the page.

    Args:
        results: as `instances.transfer` returns them.

    >>> row = dict(
    ...     task='a-b',
    ...     labels=12,
    ...     flipped=0.2,
    ...     fitted=3,
    ...     largest=0.5,
    ...     ratio=None,
    ...     means={},
    ...     gains={},
    ... )
    >>> [part['heading'] for part in sections({'rows': [row], 'config': {}})]
    ['Errors', 'Gains of TrAdaBoost', 'How it was run']
    """
    errors, gains = tables(results)
    return [
        section('Errors', errors, text=f'{errors.title}.'),
        section('Gains of TrAdaBoost', gains, text=f'{gains.title}.\n\n{READING}'),
        section('How it was run', code=json.dumps(results['config'], indent=1)),
    ]


def _error_table(rows: list[Record]) -> Table:
    """The error of each method in each cell."""
    methods = list(rows[0]['means'])
    body = [
        [
            *_cell_names(row),
            f'{100 * row["largest"]:.1f}',
            *(percent(*row['means'][method]) for method in methods),
        ]
        for row in rows
    ]
    return Table(['task', 'labels', 'flipped %', 'largest class', *methods], body, ERRORS)


def _gain_table(rows: list[Record]) -> Table:
    """The gain of TrAdaBoost over each rival in each cell."""
    rivals = list(rows[0]['gains'])
    body = [
        [
            *_cell_names(row),
            *(points(row['gains'][rival]) for rival in rivals),
            '{:.2f} ± {:.2f}'.format(*row['ratio']) if row['ratio'] else '',
            str(row['fitted']),
        ]
        for row in rows
    ]
    columns = [f'over {rival}' for rival in rivals]
    return Table(
        ['task', 'labels', 'flipped %', *columns, 'flipped : clean', 'target fitted'], body, GAINS
    )


def _cell_names(row: Record) -> list[str]:
    return [row['task'], str(row['labels']), f'{100 * row["flipped"]:g}']
