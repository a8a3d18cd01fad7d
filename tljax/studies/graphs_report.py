"""Tables and page of a study of graphs."""

import json

from tljax.protocols import Record
from tljax.studies.tables import Table, percent, points, section

TITLE = (
    'Nodes of the target, percent: mean over seeds ± half the width of its 95 % interval; sd of '
    'the first score over seeds; gain in the first score over the source alone with as many hops '
    '(with few labels over a fresh start), points, paired by seed, with 95 % interval; + it helps, '
    '− it hurts (paired t test, Holm-corrected over the table at 5 %)'
)


def tables(results: Record) -> list[Table]:
    """Returns the table that is printed.

    Args:
        results: as `graphs.adapt` returns them.

    >>> score = dict(mean=0.5, ci95=0.01, sd=0.005)
    >>> row = dict(task='a-b', hops=5, strategy='mmd', scores={'top-1': score})
    >>> row |= dict(gain=0.1, low=0.05, high=0.15, verdict='positive')
    >>> tables({'rows': [row]})[0].rows
    [['a-b', '5', 'mmd', '50.0 ± 1.0', '0.5', '+10.0 [+5.0, +15.0] +']]
    """
    rows = results['rows']
    scores = list(rows[0]['scores']) if rows else []
    body = [
        [
            row['task'],
            str(row['hops']),
            row['strategy'],
            *(percent(row['scores'][name]['mean'], row['scores'][name]['ci95']) for name in scores),
            f'{100 * row["scores"][scores[0]]["sd"]:.1f}',
            points(row, 'gain') if 'gain' in row else '',
        ]
        for row in rows
    ]
    return [Table(['task', 'hops', 'strategy', *scores, 'sd', 'gain'], body, TITLE)]


def sections(results: Record) -> list[Record]:
    """Returns the sections of the page.

    Args:
        results: as `graphs.adapt` returns them.

    >>> [part['heading'] for part in sections({'rows': [], 'config': {}})]
    ['Strategies', 'How it was run']
    """
    (table,) = tables(results)
    return [
        section('Strategies', table, text=f'{table.title}.'),
        section('How it was run', code=json.dumps(results['config'], indent=1)),
    ]
