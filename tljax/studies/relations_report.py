"""Tables and page of a study of relations."""

import json

from tljax.protocols import Record
from tljax.studies.tables import Table, percent, points, section

SCORES = (
    'Area under precision over recall on the folds that were not trained on, percent: mean over '
    'cuts ± half the width of its 95 % interval; gain over the fold alone, points, paired by cut, '
    'with 95 % interval; + transfer helps, − it hurts (paired t test, Holm-corrected at 5 %)'
)
MAP = 'Map of the predicates, found on all facts of the target'
FOUND = 'found counts the training folds, of all cuts, whose own map has the expected entry'


def tables(results: Record) -> list[Table]:
    """Returns the tables that are printed: the map, and the scores.

    Args:
        results: as `relations.transfer` returns them.

    >>> rows = [dict(model='fold alone', mean=0.1, ci95=0.01)]
    >>> rows += [dict(model='mapped', mean=0.2, ci95=0.01, gain=0.1, low=0.05, high=0.15)]
    >>> rows[1]['verdict'] = 'positive'
    >>> results = dict(
    ...     rows=rows, map={'actor': 'student'}, found={'actor': 9}, config=dict(folds=2)
    ... )
    >>> results['config'] |= dict(seeds=[0] * 5, expected={'actor': 'student'})
    >>> for table in tables(results):
    ...     print(table.rows)
    [['actor', 'student', 'student', '9 of 10']]
    [['fold alone', '10.0 ± 1.0', ''], ['mapped', '20.0 ± 1.0', '+10.0 [+5.0, +15.0] +']]
    """
    config = results['config']
    count = config['folds'] * len(config['seeds'])
    names = dict.fromkeys([*results['map'], *config['expected']])
    body = [
        [
            name,
            results['map'].get(name, ''),
            config['expected'].get(name, ''),
            f'{results["found"][name]} of {count}' if name in results['found'] else '',
        ]
        for name in names
    ]
    scores = [
        [
            row['model'],
            percent(row['mean'], row['ci95']),
            points(row, 'gain') if 'gain' in row else '',
        ]
        for row in results['rows']
    ]
    return [
        Table(['source', 'target', 'expected', 'found'], body, f'{MAP}; {FOUND}'),
        Table(['model', 'AUC-PR', 'gain'], scores, SCORES),
    ]


def sections(results: Record, picture: str) -> list[Record]:
    """Returns the sections of the page.

    Args:
        results: as `relations.transfer` returns them.
        picture: SVG of the map.

    >>> results = dict(rows=[], map={}, found={}, parts={}, source={}, folds=[])
    >>> results['config'] = dict(folds=2, seeds=[0], expected={})
    >>> [part['heading'] for part in sections(results, '<svg/>')][:2]
    ['Map of the predicates', 'Scores']
    """
    mapped, scores = tables(results)
    clauses = [[clause, f'{100 * share:.1f}'] for clause, share in results['parts'].items()]
    source = [
        [f'{weight:+.1f}', clause] for part in results['source'].values() for weight, clause in part
    ]
    folds = [
        [
            cut['seed'],
            ', '.join(map(str, cut['persons'])),
            ', '.join(map(str, cut['facts'])),
            ', '.join(f'{name} {count}' for name, count in cut['dropped'].items()) or 'none',
        ]
        for cut in results['folds']
    ]
    return [
        section('Map of the predicates', mapped, text=f'{mapped.title}.', svg=picture),
        section('Scores', scores, text=f'{scores.title}.'),
        section('Clauses of the source', Table(['weight', 'clause'], source)),
        section('Mapped clauses', Table(['clause', 'explained %'], clauses)),
        section('Folds', Table(['seed', 'persons', 'facts', 'dropped facts'], folds)),
        section('How it was run', code=json.dumps(results['config'], indent=1)),
    ]
