"""The tables and the page of a ranking."""

import json

import numpy as np

from tljax.protocols import Record
from tljax.report.drawing import svg
from tljax.report.figures import matrix, rankings
from tljax.studies.tables import Table, budget, section

READING = (
    'Each score is of the labelled target examples that training would see, averaged over seeds, '
    'and can be compared within its column alone. None of them has trained anything.'
)


def tables(results: Record) -> list[Table]:
    """The tables that are printed.

    Args:
        results: as `ranking.rank` returns them.

    >>> rows = [
    ...     dict(source=name, target='digits', labels_per_class=5, scores=dict(logme=[score]))
    ...     for name, score in (('letters', 0.1), ('nothing', 0.2))
    ... ]
    >>> tables(dict(rows=rows, agreement=[]))[0].rows
    [['nothing', '0.200'], ['letters', '0.100']]
    """
    printed = [_scores(results, k, target)[0] for k, target in _blocks(results)]
    return [*printed, _agreement_table(results)] if results['agreement'] else printed


def sections(results: Record) -> list[Record]:
    """The sections of the page.

    Args:
        results: as `ranking.rank` returns them.

    >>> row = dict(source='a', target='digits', labels_per_class=None, scores=dict(logme=[0.1]))
    >>> [part['heading'] for part in sections(dict(rows=[row], agreement=[], config={}))]
    ['digits, all labels', 'How it was run']
    """
    found = []
    for k, target in _blocks(results):
        table, values = _scores(results, k, target)
        found.append(section(_heading(k, target), table, text=READING, svg=svg(rankings(values))))
    if results['agreement']:
        table = _agreement_table(results)
        text = table.title.partition(' Controls: ')[0]
        found = [section('Was the ranking right?', table, text=text), *found, *_matrices(results)]
    return [*found, section('How it was run', code=json.dumps(results['config'], indent=1))]


def _agreement_table(results: Record) -> Table:
    """How well the rankings agree with what was measured."""
    rows = results['rows']
    targets = list(dict.fromkeys(row['target'] for row in rows))
    body = [
        [
            budget(row['labels_per_class']),
            row['strategy'],
            row['sources'],
            row['score'],
            *(f'{row["tau"].get(target, np.nan):.2f}' for target in targets),
            f'{row["mean"]:.2f}',
        ]
        for row in results['agreement']
    ]
    title = (
        f'Weighted Kendall tau of a score with the {rows[0]["metric"]} that was measured: 1 is the '
        'same order, 0 none, -1 the opposite; agreement at the top counts most. Sources: all of '
        'them, without the controls, or those whose own data are known. Controls: '
        f'{", ".join(results["config"]["study"]["controls"])}.'
    )
    return Table(['labels', 'strategy', 'sources', 'score', *targets, 'mean'], body, title)


def _blocks(results: Record) -> list[tuple[int | None, str]]:
    return list(dict.fromkeys((row['labels_per_class'], row['target']) for row in results['rows']))


def _heading(k: int | None, target: str) -> str:
    return f'{target}, all labels' if k is None else f'{target}, {k} labels per class'


def _scores(results: Record, k: int | None, target: str) -> tuple[Table, Record]:
    """The sources of one target by LogME: a table, and {source: {column: number}} to draw."""
    values = {}
    for row in results['rows']:
        if (row['labels_per_class'], row['target']) == (k, target):
            scores = {score: np.mean(each) for score, each in row['scores'].items()}
            measured = {
                f'{strategy}, %': 100 * np.mean(each)
                for strategy, each in row.get('measured', {}).items()
            }
            values[row['source']] = scores | measured
    columns = list(dict.fromkeys(column for each in values.values() for column in each))
    order = sorted(values, key=lambda name: -values[name].get('logme', -np.inf))
    body = [[name, *(_number(values[name].get(column)) for column in columns)] for name in order]
    title = f'{_heading(k, target)}: sources by LogME; larger is better'
    return Table(['source', *columns], body, title), {name: values[name] for name in order}


def _matrices(results: Record) -> list[Record]:
    """What every source reached on every target, a section for each strategy and budget."""
    rows, found = results['rows'], []
    targets, names = (list(dict.fromkeys(row[key] for row in rows)) for key in ('target', 'source'))
    for k, strategy in dict.fromkeys(
        (row['labels_per_class'], strategy) for row in rows for strategy in row['measured']
    ):
        measured = {
            (row['source'], row['target']): np.mean(row['measured'][strategy])
            for row in rows
            if row['labels_per_class'] == k
        }
        values = [[measured.get((name, target), np.nan) for target in targets] for name in names]
        heading = (
            f'{rows[0]["metric"].capitalize()} of every source on every target: {strategy}, '
            f'{budget(k)} labels per class'
        )
        found.append(section(heading, svg=svg(matrix(np.array(values), names, targets))))
    return found


def _number(value: float | None) -> str:
    return '' if value is None else f'{value:.3f}'
