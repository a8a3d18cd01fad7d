"""Tables and page of a study of unlabelled targets."""

import json

from tljax.protocols import Record
from tljax.studies.tables import Table, percent, points, section

GAINED = 'gains', 'over inputs'  # kinds of gains of a row
CLUSTERS = (
    'Agreement of clusters with classes, percent: mean over seeds ± half the width of its 95 % '
    'interval'
)
GAINS = (
    'Points over the same algorithm on the same method trained on the target alone, paired by '
    'seed, with 95 % interval; + transfer helps, − it hurts (paired t test, Holm-corrected over '
    'all such gains at 5 %)'
)
LABELS = 'Classes learnt from few labels, percent right'
READING = (
    'Columns named "gain" compare with the same method trained on the target alone; "over inputs" '
    'compares with the same algorithm on the inputs as they are. Labels choose nothing here. '
    'Intervals cover the seeds of initialisation, batches, starts and draws of labels, for these '
    'examples.'
)


def tables(results: Record) -> list[Table]:
    """Returns the tables that are printed: clusters, and few labels.

    Args:
        results: as `clusters.compare` returns them.

    >>> score = dict(mean=0.5, ci95=0.01)
    >>> gain = dict(mean=0.1, low=0.05, high=0.15, verdict='positive')
    >>> row = {'features': 'simclr', 'trained on': 'source', 'algorithm': 'kmeans'}
    >>> row |= {'scores': {'nmi': score, 'ari': score}, 'gains': {'nmi': gain}}
    >>> for line in tables({'rows': [row]})[0].rows:
    ...     print(line)
    ['simclr', 'source', 'kmeans', '50.0 ± 1.0', '50.0 ± 1.0', '+10.0 [+5.0, +15.0] +', '']
    """
    parts = (('algorithm', CLUSTERS), ('labels per class', LABELS))
    return [table for what, title in parts for table in _table(results['rows'], what, title)]


def sections(results: Record) -> list[Record]:
    """Returns the sections of the page.

    Args:
        results: as `clusters.compare` returns them.

    >>> [part['heading'] for part in sections({'rows': [], 'config': {}})]
    ['How it was run']
    """
    found = tables(results)
    headings = ('Clusters', 'Few labels')
    return [
        *(
            section(heading, table, text=f'{table.title}.\n\n{GAINS}.\n\n{READING}')
            for heading, table in zip(headings, found, strict=False)
        ),
        section('How it was run', code=json.dumps(results['config'], indent=1)),
    ]


def _table(rows: list[Record], what: str, title: str) -> list[Table]:
    """The table of one kind of rows; [] if there are none."""
    rows = [row for row in rows if what in row]
    if not rows:
        return []
    scores = list(rows[0]['scores'])
    body = [
        [
            row['features'],
            row['trained on'],
            row[what],
            *(percent(row['scores'][name]['mean'], row['scores'][name]['ci95']) for name in scores),
            *(points(row[kind][scores[0]]) if kind in row else '' for kind in GAINED),
        ]
        for row in rows
    ]
    columns = ['features', 'trained on', what, *scores]
    gains = [f'gain, {scores[0]}', f'over inputs, {scores[0]}']
    return [Table([*columns, *gains], body, title)]
