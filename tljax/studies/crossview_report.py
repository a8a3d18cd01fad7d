"""Tables and page of a study of two feature spaces."""

import json

from tljax.protocols import Record
from tljax.studies.tables import Table, percent, points, section

SCORES = (
    '{} % on the scored examples of the target: mean over draws ± half the width of its 95 % '
    'interval. "target labels" is the same classifier on labels of the target'
)
FOUND = (
    'Pairs that are found, percent: for how many scored examples of the target the nearest example '
    'of the source in the common space, by cosine, is its own pair; mean over draws ± half the '
    'width of its 95 % interval'
)
GAINS = (
    'Gains, points: score of the method minus that of its rival, paired by draw, with 95 % '
    'interval; + the method is better, − the rival is (paired t test, Holm-corrected over the '
    'table at 5 %)'
)
COVER = 'Intervals cover the draws of labels and pairs, for these scored examples.'
PICTURE = (
    'Labelled examples of the source, coloured by class, and scored examples of the target, in '
    'ink, in the common space of the first draw of the first task: two principal components of '
    'rows of unit length.'
)


def tables(results: Record) -> list[Table]:
    """Returns the tables that are printed: scores, found pairs, and gains.

    Args:
        results: as `crossview.transfer` returns them.

    >>> row = dict(task='javanese', method='lsi', metric='accuracy', mean=0.7, ci95=0.02)
    >>> row['found'] = (0.5, 0.01)
    >>> gain = dict(task='javanese', method='lsi', over='target labels', mean=-0.02, low=-0.03)
    >>> gain |= dict(high=-0.01, verdict='negative')
    >>> for table in tables(dict(rows=[row], gains=[gain])):
    ...     print(table.rows)
    [['lsi', '70.0 ± 2.0']]
    [['lsi', '50.0 ± 1.0']]
    [['lsi', 'target labels', '-2.0 [-3.0, -1.0] −']]
    """
    rows, gains = results['rows'], results['gains']
    tasks = list(dict.fromkeys(row['task'] for row in rows))
    scores = {(row['method'], row['task']): percent(row['mean'], row['ci95']) for row in rows}
    found = {(row['method'], row['task']): percent(*row['found']) for row in rows if row['found']}
    differences = {(gain['method'], gain['over'], gain['task']): points(gain) for gain in gains}
    made = [
        _table(['method'], scores, tasks, SCORES.format(rows[0]['metric'].capitalize())),
        _table(['method'], found, tasks, FOUND),
        _table(['method', 'over'], differences, tasks, GAINS),
    ]
    return [table for table in made if table.rows]


def sections(results: Record, figure: str) -> list[Record]:
    """Returns the sections of the page.

    Args:
        results: as `crossview.transfer` returns them.
        figure: drawing of the common space, an SVG element; '' for none.

    >>> row = dict(task='a', method='hfa', metric='accuracy', mean=0.7, ci95=None, found=None)
    >>> results = dict(rows=[row], gains=[], config={})
    >>> [part['heading'] for part in sections(results, '<svg/>')]
    ['Scores', 'The common space', 'How it was run']
    """
    headings = {SCORES: 'Scores', FOUND: 'Found pairs', GAINS: 'Gains'}
    metric = results['rows'][0]['metric'].capitalize()
    parts = []
    for table in tables(results):
        heading = next(
            name for text, name in headings.items() if text.format(metric) == table.title
        )
        text = f'{table.title}. {COVER}' if heading == 'Scores' else f'{table.title}.'
        parts.append(section(heading, table, text=text))
    if figure:
        parts.append(section('The common space', svg=figure, text=PICTURE))
    return [*parts, section('How it was run', code=json.dumps(results['config'], indent=1))]


def _table(
    columns: list[str], cells: dict[tuple[str, ...], str], tasks: list[str], title: str
) -> Table:
    """A table with a row for each key without its last part, which is the task of a column."""
    names = list(dict.fromkeys(key[:-1] for key in cells))
    body = [[*name, *(cells.get((*name, task), '') for task in tasks)] for name in names]
    return Table([*columns, *tasks], body, title)
