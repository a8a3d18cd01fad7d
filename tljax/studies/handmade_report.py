"""Table and page of a comparison of deep features with hand-made ones."""

import json
from collections import Counter

from tljax.protocols import Record
from tljax.studies.tables import Table, percent, points, section

READING = (
    '{} % on the test split: mean over draws of labels ± half the width of its 95 % interval. '
    'Best: the feature of the group that the validation split chooses in each draw. Margin: best '
    'deep minus best hand-made, points, paired by draw, with 95 % interval; + deep is better, − '
    'hand-made is better (paired t test, Holm-corrected over the table at 5 %)'
)
COVER = (
    'Intervals cover the draws of labels, for these test pictures and these pretrained networks.'
)
CHOICE = (
    'How often the validation split chose each setting, scale of the features and penalty, over '
    'the draws. A penalty at either end of its grid shows that the grid is too narrow.'
)


def tables(results: Record) -> list[Table]:
    """Returns the table that is printed: scores of all features, and margins.

    Args:
        results: as `handmade.compare` returns them.

    >>> row = dict(set='photo', labels_per_class=5, metric='accuracy', mean=0.5, ci95=0.01)
    >>> hog = dict(row, group='handmade', feature='hog')
    >>> margin = dict(set='photo', labels_per_class=5, mean=0.2, low=0.1, high=0.3)
    >>> margin['verdict'] = 'positive'
    >>> for line in tables(dict(rows=[hog], best=[], margins=[margin]))[0].rows:
    ...     print(line)
    ['handmade', 'hog', '5', '50.0 ± 1.0']
    ['margin', 'best deep minus best hand-made', '5', '+20.0 [+10.0, +30.0] +']
    """
    rows, sets = results['rows'], list(dict.fromkeys(row['set'] for row in results['rows']))
    body = []
    for k in dict.fromkeys(row['labels_per_class'] for row in rows):
        cells: dict[tuple[str, str], dict[str, str]] = {}
        for row in [*rows, *results['best']]:
            if row['labels_per_class'] == k:
                cells.setdefault((row['group'], row['feature']), {})[row['set']] = percent(
                    row['mean'], row['ci95']
                )
        for margin in results['margins']:
            if margin['labels_per_class'] == k:
                name = 'margin', 'best deep minus best hand-made'
                cells.setdefault(name, {})[margin['set']] = points(margin)
        for (group, feature), by_set in cells.items():
            body.append([group, feature, str(k), *(by_set[name] for name in sets)])
    columns = ['group', 'feature', 'labels per class', *sets]
    return [Table(columns, body, READING.format(rows[0]['metric'].capitalize()))]


def sections(results: Record) -> list[Record]:
    """Returns the sections of the page.

    Args:
        results: as `handmade.compare` returns them.

    >>> row = dict(set='photo', group='handmade', feature='hog', labels_per_class=5, mean=0.5)
    >>> row |= dict(metric='accuracy', ci95=0.01, draws=[dict(setting='a', scale='b', penalty=1)])
    >>> results = dict(rows=[row], best=[], margins=[], config={})
    >>> [part['heading'] for part in sections(results)]
    ['Scores and margins', 'What was chosen', 'How it was run']
    """
    (table,) = tables(results)
    return [
        section('Scores and margins', table, text=f'{table.title}. {COVER}'),
        section('What was chosen', _choices(results), text=CHOICE),
        section('How it was run', code=json.dumps(results['config'], indent=1)),
    ]


def _choices(results: Record) -> Table:
    """How often each setting, scale and penalty was chosen."""
    keys = 'setting', 'scale', 'penalty'
    body = [
        [
            row['set'],
            row['feature'],
            str(row['labels_per_class']),
            *(_counts([draw[key] for draw in row['draws']]) for key in keys),
        ]
        for row in results['rows']
    ]
    for row in results['best']:
        picks = _counts([draw['feature'] for draw in row['draws']])
        body.append([row['set'], row['feature'], str(row['labels_per_class']), picks, '', ''])
    return Table(['set', 'feature', 'labels per class', *keys], body)


def _counts(values: list[str | float]) -> str:
    return ', '.join(f'{value} {count}x' for value, count in Counter(values).most_common())
