"""Tables and page of a study of zero-shot learning."""

import json

import numpy as np

from tljax.protocols import Record
from tljax.studies.tables import Table, section

SCORES = (
    'Right answers of classes without examples, percent: mean over classes, over networks of '
    'several seeds, ± half the width of the 95 % interval over seeds. Only unseen classes may be '
    'chosen. Held: the same for held seen classes, by which settings and * were chosen'
)
RIVALS = (
    'Rivals, percent: one of the unseen classes at random, and the nearest mean of labelled '
    'examples of each unseen class, in the same features'
)
ALL = (
    'Where all classes may be chosen, percent: right answers for further examples of seen classes, '
    'for unseen classes, and the harmonic mean of both; calibrated: with the shift, chosen on the '
    'held classes, subtracted from the scores of seen classes'
)
SMALLEST = 0.05  # share of answers from which on a seen class has a column in the confusion


def tables(results: Record) -> list[Table]:
    """Returns the tables that are printed: scores, rivals, and scores among all classes.

    Args:
        results: as `zero_shot.recognise` returns them.

    >>> half = dict(mean=0.5, ci95=0.01)
    >>> names = 'unseen', 'seen', 'unseen among all', 'mean'
    >>> measures = {name: half for name in names}
    >>> measures |= {f'calibrated {name}': half for name in names[1:]}
    >>> row = dict(base='segments', method='dap', values={'penalty': 1}, validation=0.25)
    >>> row |= dict(shift=0.125, chosen=True, targets={'mnist': measures})
    >>> results = dict(rows=[row], rivals={'mnist': {'1': half}}, unseen={'mnist': '0123456789'})
    >>> for table in tables(results):
    ...     print(table.rows[0])
    ['segments', '* dap', 'penalty 1', '25.0', '50.0 ± 1.0']
    ['chance', '10.0']
    ['segments', '* dap', 'mnist', '50.0 ± 1.0', '50.0 ± 1.0', '50.0 ± 1.0', '50.0 ± 1.0', ...]
    """
    return [_score_table(results), _rival_table(results), _all_table(results)]


def sections(results: Record) -> list[Record]:
    """Returns the sections of the page.

    Args:
        results: as `zero_shot.recognise` returns them.

    >>> results = dict(rows=[], rivals={}, unseen={}, notes=[], curves={}, confusion={}, config={})
    >>> [part['heading'] for part in sections(results)]
    ['Classes without examples', 'Rivals', 'Among all classes', 'How it was run']
    """
    # imported late, for a quick start
    from tljax.report.drawing import svg
    from tljax.report.figures import matrix
    from tljax.report.zero_shot_figure import calibration

    scores, rivals, among_all = tables(results)
    parts = [
        section(
            'Classes without examples',
            scores,
            text='\n\n'.join([scores.title + '.', *notes(results)]),
        ),
        section('Rivals', rivals, text=f'{rivals.title}.'),
        section('Among all classes', among_all, text=f'{among_all.title}.'),
    ]
    if results['curves']:
        figure = calibration(results['curves'])
        text = 'Right answers of the model * by the shift. Means over seeds.'
        parts.append(section('Calibration', svg=svg(figure), text=text))
    for target, table in results['confusion'].items():
        columns = _answers(table)
        values = np.array([[row.get(name, 0.0) for name in columns] for row in table.values()])
        parts.append(
            section(
                f'Answers for {target}',
                svg=svg(matrix(values, list(table), columns)),
                text=f'Percent of the examples of a class (rows) by the answer of the model *, '
                f'calibrated. Seen classes have a column where {100 * SMALLEST:.0f} % of a class '
                'go there. The largest number of each column is framed.',
            )
        )
    return [*parts, section('How it was run', code=json.dumps(results['config'], indent=1))]


def notes(results: Record) -> list[str]:
    """Returns what a reader must know: what the backbone may have seen.

    Args:
        results: as `zero_shot.recognise` returns them.

    >>> notes({'notes': ['learnt ImageNet'], 'unseen': {}, 'rows': []})
    ['Caveat: learnt ImageNet. An unseen class that it has learnt is not without examples.']
    """
    end = 'An unseen class that it has learnt is not without examples.'
    return [f'Caveat: {note}. {end}' for note in results['notes'] if 'ImageNet' in note]


def _score_table(results: Record) -> Table:
    """The right answers of every method among unseen classes."""
    targets = list(results['unseen'])
    body = [
        [
            row['base'],
            _name(row),
            ', '.join(f'{key} {value}' for key, value in row['values'].items()),
            f'{100 * row["validation"]:.1f}',
            *(_interval(row['targets'][target]['unseen']) for target in targets),
        ]
        for row in results['rows']
    ]
    return Table(['knowledge', 'method', 'settings', 'held', *targets], body, SCORES)


def _rival_table(results: Record) -> Table:
    """What chance and a few labelled examples give."""
    targets = list(results['unseen'])
    body = [['chance', *(f'{100 / len(names):.1f}' for names in results['unseen'].values())]]
    shots = dict.fromkeys(shot for rivals in results['rivals'].values() for shot in rivals)
    for shot in shots:
        cells = [_interval(results['rivals'][target][shot]) for target in targets]
        body.append([f'{shot} labelled of each class', *cells])
    return Table(['rival', *targets], body, RIVALS)


def _all_table(results: Record) -> Table:
    """The right answers of every method among all classes."""
    measures = [
        f'{prefix}{name}'
        for prefix in ('', 'calibrated ')
        for name in ('seen', 'unseen among all', 'mean')
    ]
    body = [
        [row['base'], _name(row), target, *(_interval(found[name]) for name in measures)]
        for row in results['rows']
        for target, found in row['targets'].items()
    ]
    columns = ['seen', 'unseen', 'harmonic mean']
    calibrated = [f'calibrated {name}' for name in columns]
    return Table(['knowledge', 'method', 'target', *columns, *calibrated], body, ALL)


def _answers(table: Record) -> list[str]:
    """The columns of a confusion: the classes themselves, and frequent answers beside them."""
    shares: dict[str, float] = {}
    for row in table.values():
        for name, share in row.items():
            shares[name] = max(share, shares.get(name, 0.0))
    others = sorted(name for name, share in shares.items() if share >= SMALLEST)
    return [*table, *(name for name in others if name not in table)]


def _name(row: Record) -> str:
    """The method of a row, marked where it was chosen."""
    return f'* {row["method"]}' if row['chosen'] else row['method']


def _interval(values: Record) -> str:
    half = '' if values['ci95'] is None else f' ± {100 * values["ci95"]:.1f}'
    return f'{100 * values["mean"]:.1f}{half}'
