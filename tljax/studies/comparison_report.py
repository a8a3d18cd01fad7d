"""Tables and page of a transfer study."""

import json
from collections.abc import Sequence

import numpy as np

from tljax.engine.scores import MEAN_CLASS, budget_unit
from tljax.protocols import Cell, Config, Record
from tljax.studies import choices
from tljax.studies.tables import Table, budget, section, transfer_table


def tables(results: Record) -> list[Table]:
    """Returns the tables that the command prints.

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
    result_tables = [_cell_table(results) if results['labelled'] else _label_free_table(results)]
    if results['chosen']['rows']:
        result_tables += [_choice_table(results), _distance_table(results)]
    if results['labelled'] and _has_several_budgets(results):
        result_tables.append(_label_table(results))
    return result_tables


def sections(
    results: Record, domains: str | None = None, data: Sequence[Config] = ()
) -> list[Record]:
    """Returns the sections of the page.

    Args:
        results: as `comparison.compare` returns them.
        domains: drawing of the source's and the target's features, an SVG element.
        data: sections that describe the data of the runs.

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
    if results['labelled']:
        parts = _score_sections(results)
    else:
        table = _label_free_table(results)
        parts = [section('Without labels of the target', table, text=reading(results))]
    if results['chosen']['rows']:
        parts += _choice_sections(results, domains)
    if results['labelled'] and _has_several_budgets(results):
        metric = results['rows'][0]['metric']
        text = (
            f'Fewest {budget_unit(metric)} whose mean {metric} reaches {_goal(results)}; '
            'beside it, where a power law with a floor, fitted to what was measured, reaches '
            'it, with its 95 % interval over seeds.'
        )
        parts.append(section('From how few labels', _label_table(results), text=text))
    if results.get('transferred'):
        parts.append(section('What was transferred', transfer_table(results['transferred'])))
    config = section(
        'How it was run',
        code=json.dumps(results['config'], indent=1),
        text='The config, from which the same command makes the same page.',
    )
    return [*parts, *data, config]


def _score_sections(results: Record) -> list[Record]:
    """Learning curves, gains and table of the scores on a labelled test split."""
    # imported late, for a quick start
    from tljax.report.drawing import svg
    from tljax.report.figures import gains, learning_curves

    rows, baseline = results['rows'], results['config']['study']['baseline']
    metric, unit = rows[0]['metric'].capitalize(), budget_unit(rows[0]['metric'])
    curves = section(f'{metric} by number of labels', text=reading(results))
    if _has_several_budgets(results):
        curves['svg'] = svg(learning_curves(rows, unit))
    cells = section(
        'Every cell',
        _cell_table(results),
        text=f'{metric} on the test split, which chose nothing.',
    )
    if all(row['gain_mean'] is None for row in rows):  # the baseline stands alone
        return [curves, cells]
    text = 'Filled: a gain or a loss was detected. Hollow: none was.'
    return [curves, section(f'Gain over {baseline}', svg=svg(gains(rows, unit)), text=text), cells]


def _choice_sections(results: Record, domains: str | None) -> list[Record]:
    """Choices of the label-free scores, and distances of the two domains."""
    text = 'Per seed, among the strategies.'
    if results['labelled']:
        text = 'Per seed, among the strategies; the oracle looks at the test.'
    return [
        section('Chosen without target labels', _choice_table(results), text=text),
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


def reading(results: Record) -> str:
    """Explains how to read the first table.

    Args:
        results: as `comparison.compare` returns them.

    >>> reading({'seeds': [0, 1], 'intervals_cover': 'seeds', 'labelled': True})
    'Gains are paired by seed. An interval is a 95 % paired t interval over 2 seeds; a verdict ...'
    """
    if not results['labelled']:
        return (
            'The target has no labels, so nothing here is its accuracy. Larger is better for each '
            'score, and none can vouch for a model. A strategy tells classes by python -m '
            'experiments.predict --workdir=STUDY/cells/STRATEGY-all FOLDER.'
        )
    text = (
        'Gains are paired by seed. An interval is a 95 % paired t interval over '
        f'{len(results["seeds"])} seeds; a verdict is corrected over the table (Holm, 5 %). '
        f'Intervals cover {results["intervals_cover"]}.'
    )
    if any(MEAN_CLASS in row for row in results.get('rows', ())):
        text += (
            ' The classes are unbalanced, so that accuracy, and the gain in it, tells little of '
            'the smaller ones: the mean of classes counts all alike.'
        )
    return text


def _cell_table(results: Record) -> Table:
    """Score and gain over the baseline of every strategy at every number of labels."""
    rows, baseline = results['rows'], results['config']['study']['baseline']
    metric, has_class_means = rows[0]['metric'], MEAN_CLASS in rows[0]
    columns = ['strategy', budget_unit(metric), f'{metric} %']
    if has_class_means:
        columns.append('mean of classes %')
    columns += [f'gain over {baseline}, points', '95 % interval', 'verdict']
    body = []
    for row in rows:
        cells = [row['strategy'], budget(row['labels_per_class']), _percent(row)]
        if has_class_means:
            cells.append(_percent(row[MEAN_CLASS]))
        if row['verdict'] is None:
            cells += ['', '', '']
        else:
            cells += [
                f'{100 * row["gain_mean"]:+.1f}',
                f'{100 * row["gain_low"]:+.1f} to {100 * row["gain_high"]:+.1f}',
                row['verdict'],
            ]
        body.append(cells)
    return Table(columns, body, f'{len(results["seeds"])} seeds; {metric} on the test split')


def _label_free_table(results: Record) -> Table:
    """Label-free scores of every cell, means over seeds."""
    by_cell = results['chosen']['scores']
    names = [name for name in next(iter(by_cell.values()), {}) if name != 'source_accuracy']
    body = []
    for cell, scores in by_cell.items():
        means = [f'{np.mean(scores[name]):.3f}' for name in names]
        body.append([cell, f'{100 * np.mean(scores["source_accuracy"]):.1f}', *means])
    columns = ['strategy', 'source accuracy %', *(name.replace('_', ' ') for name in names)]
    title = (
        f'{len(results["seeds"])} seeds; the target without labels, and the '
        "source's validation split"
    )
    return Table(columns, body, title)


def _choice_table(results: Record) -> Table:
    """The choices of each label-free score."""
    rows, columns = results['chosen']['rows'], ['labels per class']
    cells: list[list[Cell]] = [[budget(row['labels_per_class'])] for row in rows]
    if results['labelled']:
        columns.append(f'{results["rows"][0]["metric"]} %')
        for row, row_cells in zip(rows, cells, strict=True):
            row_cells.append(_percent(row))
    return choices.table(
        rows,
        columns,
        cells,
        'test',
        "Which strategy to take, chosen per seed without the target's labels",
    )


def _distance_table(results: Record) -> Table:
    """Proxy A-distance of the two domains in the features of every cell."""
    rows = [
        [cell, f'{np.mean(values):.3f}']
        for cell, values in results['chosen']['proxy_a_distance'].items()
    ]
    return Table(
        ['features of', 'proxy A-distance'],
        rows,
        'How well a linear classifier tells the domains apart: 0 to 2',
    )


def _label_table(results: Record) -> Table:
    """Labels per class that each strategy needs to reach the goal."""
    rows = []
    for strategy, k in results['labels_for_goal'].items():
        labels = 'never' if k is None else str(k)
        rows.append([strategy, labels, results['labels_for_goal_by_curve'][strategy]])
    return Table(
        ['strategy', budget_unit(results['rows'][0]['metric']), 'by the fitted curve'],
        rows,
        f'Labels needed for {_goal(results)}',
    )


def _goal(results: Record) -> str:
    baseline = results['config']['study']['baseline']
    return f'{100 * results["goal"]:.1f} %, 90 % of what {baseline} reaches with most labels'


def _percent(row: Record) -> str:
    """Mean and half width of the interval, if there is one: '50.0 ± 10.0'."""
    text = f'{100 * row["mean"]:.1f}'
    if row['ci95'] is not None:
        text += f' ± {100 * row["ci95"]:.1f}'
    return text


def _has_several_budgets(results: Record) -> bool:
    return len({row['labels_per_class'] for row in results['rows']}) > 1
