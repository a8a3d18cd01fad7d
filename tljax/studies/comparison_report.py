"""The tables and the page of a transfer study."""

import json
from collections.abc import Sequence

import numpy as np

from tljax.engine.scores import MEAN_CLASS
from tljax.protocols import Config, Record
from tljax.report.drawing import svg
from tljax.report.figures import gains, learning_curves
from tljax.studies import choices
from tljax.studies.tables import Table, budget, section, transfer_table


def tables(results: Record) -> list[Table]:
    """The tables that are printed.

    Args:
        results: as `comparison.compare` returns them.

    >>> row = dict(
    ...     strategy='scratch',
    ...     labels_per_class=5,
    ...     metric='accuracy',
    ...     mean=0.5,
    ...     ci95=0.1,
    ...     verdict=None,
    ... )
    >>> study = dict(study=dict(baseline='scratch'))
    >>> results = dict(rows=[row], config=study, seeds=[0, 1], chosen=dict(rows=[]), labelled=True)
    >>> tables(results)[0].rows
    [['scratch', '5', '50.0 ± 10.0', '', '', '']]
    """
    printed = [_cells(results) if results['labelled'] else _without_labels(results)]
    if results['chosen']['rows']:
        printed += [_choice_table(results), _distance_table(results)]
    if _several_budgets(results) and results['labelled']:
        printed.append(_label_table(results))
    return printed


def sections(
    results: Record, domains: str | None = None, data: Sequence[Config] = ()
) -> list[Record]:
    """The sections of the page.

    Args:
        results: as `comparison.compare` returns them.
        domains: drawing of source and target, an SVG element.
        data: sections of what the fits have understood of their data.

    >>> row = dict(
    ...     strategy='a',
    ...     labels_per_class=5,
    ...     metric='accuracy',
    ...     mean=0.5,
    ...     ci95=0.1,
    ...     verdict='positive',
    ...     gain_mean=0.1,
    ...     gain_low=0.05,
    ...     gain_high=0.15,
    ... )
    >>> results = dict(
    ...     rows=[row],
    ...     config=dict(study=dict(baseline='b')),
    ...     seeds=[0, 1],
    ...     chosen=dict(rows=[]),
    ...     intervals_cover='seeds',
    ...     labelled=True,
    ... )
    >>> [part['heading'] for part in sections(results)]
    ['Accuracy by number of labels', 'Gain over b', 'Every cell', 'How it was run']
    """
    rows, baseline = results['rows'], results['config']['study']['baseline']
    several, metric = _several_budgets(results) and results['labelled'], rows[0]['metric']
    curves = {'svg': svg(learning_curves(rows))} if several else {}
    if not results['labelled']:
        found = [
            section('Without labels of the target', _without_labels(results), text=reading(results))
        ]
    else:
        found = [
            {
                **section(f'{metric.capitalize()} by number of labels', text=reading(results)),
                **curves,
            },
            section(
                f'Gain over {baseline}',
                svg=svg(gains(rows)),
                text='Filled: a gain or a loss was detected. Hollow: none was.',
            ),
            section(
                'Every cell',
                _cells(results),
                text=f'{metric.capitalize()} on the test split, which chose nothing.',
            ),
        ]
    if results['chosen']['rows']:
        found += [
            section(
                'Chosen without target labels',
                _choice_table(results),
                text='Per seed, among the strategies'
                + ('; the oracle looks at the test.' if results['labelled'] else '.'),
            ),
            section(
                'Distance of the domains',
                _distance_table(results),
                text='Proxy A-distance of the features: 0 to 2.',
            ),
            section(
                'Source and target',
                svg=domains,
                text='Features by the first seed: the source coloured by class, the target in ink.',
            ),
        ]
    if several:
        found.append(
            section(
                'From how few labels',
                _label_table(results),
                text=f'Fewest labels per class whose mean {metric} reaches {_goal(results)}; '
                'beside it, where a power law with a floor, fitted to what was measured, reaches '
                'it, with its 95 % interval over seeds.',
            )
        )
    if results.get('transferred'):
        found.append(section('What was transferred', transfer_table(results['transferred'])))
    return [
        *found,
        *data,
        section(
            'How it was run',
            code=json.dumps(results['config'], indent=1),
            text='The config, from which the same command makes the same page.',
        ),
    ]


def reading(results: Record) -> str:
    """How the first of the tables is to be read.

    Args:
        results: as `comparison.compare` returns them.

    >>> reading({'seeds': [0, 1], 'intervals_cover': 'seeds', 'labelled': True})[:24]
    'Gains are paired by seed'
    """
    if not results['labelled']:
        return (
            'The target has no labels, so nothing here is its accuracy. Larger is better for each '
            'score, and none can vouch for a model. A strategy tells classes by python -m '
            'experiments.predict --workdir=STUDY/cells/STRATEGY-all FOLDER.'
        )
    unbalanced = ''
    if any(MEAN_CLASS in row for row in results.get('rows', ())):
        unbalanced = (
            ' The classes are unbalanced, so that accuracy, and the gain in it, tells little of '
            'the smaller ones: the mean of classes counts all alike.'
        )
    return (
        'Gains are paired by seed. An interval is a 95 % paired t interval over '
        f'{len(results["seeds"])} seeds; a verdict is corrected over the table (Holm, 5 %). '
        f'Intervals cover {results["intervals_cover"]}.' + unbalanced
    )


def _cells(results: Record) -> Table:
    """Every strategy with every number of labels: its score, and its gain over the baseline."""
    rows, baseline = results['rows'], results['config']['study']['baseline']
    metric, body, by_class = rows[0]['metric'], [], MEAN_CLASS in rows[0]
    for row in rows:
        gain = ['', '', '']
        if row['verdict'] is not None:
            gain = [
                f'{100 * row["gain_mean"]:+.1f}',
                f'{100 * row["gain_low"]:+.1f} to {100 * row["gain_high"]:+.1f}',
                row['verdict'],
            ]
        told = [_percent(row), *([_percent(row[MEAN_CLASS])] if by_class else [])]
        body.append([row['strategy'], budget(row['labels_per_class']), *told, *gain])
    columns = [
        'strategy',
        'labels per class',
        f'{metric} %',
        *['mean of classes %'] * by_class,
        f'gain over {baseline}, points',
        '95 % interval',
        'verdict',
    ]
    return Table(columns, body, f'{len(results["seeds"])} seeds; {metric} on the test split')


def _without_labels(results: Record) -> Table:
    """Every cell by what is told of it without labels of the target, means over seeds."""
    scores = results['chosen']['scores']
    names = [name for name in next(iter(scores.values()), {}) if name != 'source_accuracy']
    body = [
        [
            cell,
            f'{100 * np.mean(each["source_accuracy"]):.1f}',
            *(f'{np.mean(each[name]):.3f}' for name in names),
        ]
        for cell, each in scores.items()
    ]
    return Table(
        ['strategy', 'source accuracy %', *(name.replace('_', ' ') for name in names)],
        body,
        f'{len(results["seeds"])} seeds; the target without labels, and the '
        "source's validation split",
    )


def _choice_table(results: Record) -> Table:
    """What each label-free score would have chosen."""
    rows, metric = results['chosen']['rows'], results['rows'][0]['metric']
    reached = [[_percent(row)] if results['labelled'] else [] for row in rows]
    return choices.table(
        rows,
        ['labels per class', *[f'{metric} %'] * results['labelled']],
        [[budget(row['labels_per_class']), *each] for row, each in zip(rows, reached, strict=True)],
        'test',
        "Which strategy to take, chosen per seed without the target's labels",
    )


def _distance_table(results: Record) -> Table:
    """The proxy A-distance of the domains by every cell's features."""
    rows = [
        [name, f'{np.mean(values):.3f}']
        for name, values in results['chosen']['proxy_a_distance'].items()
    ]
    return Table(
        ['features of', 'proxy A-distance'],
        rows,
        'How well a linear classifier tells the domains apart: 0 to 2',
    )


def _label_table(results: Record) -> Table:
    """The labels per class that each strategy needs for the goal."""
    rows = []
    for strategy, k in results['labels_for_goal'].items():
        needed = 'never' if k is None else budget(None if k == 'all' else k)
        rows.append([strategy, needed, results['labels_for_goal_by_curve'][strategy]])
    return Table(
        ['strategy', 'labels per class', 'by the fitted curve'],
        rows,
        f'Labels needed for {_goal(results)}',
    )


def _goal(results: Record) -> str:
    baseline = results['config']['study']['baseline']
    return f'{100 * results["goal"]:.1f} %, 90 % of what {baseline} reaches with most labels'


def _percent(row: Record) -> str:
    half = '' if row['ci95'] is None else f' ± {100 * row["ci95"]:.1f}'
    return f'{100 * row["mean"]:.1f}{half}'


def _several_budgets(results: Record) -> bool:
    return len({row['labels_per_class'] for row in results['rows']}) > 1
