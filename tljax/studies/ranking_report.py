"""Tables and page of a ranking."""

import json

import numpy as np

from tljax.protocols import Record
from tljax.report.drawing import svg
from tljax.report.figures import matrix, rankings
from tljax.studies.tables import Table, budget, section

READING = (
    'Each score is computed on the labelled target examples that training would use, averaged over '
    'seeds, and can be compared within its column only. No score needed any training on the target.'
)


def tables(results: Record) -> list[Table]:
    """Returns the tables that are printed: scores of each target, and their agreement.

    Args:
        results: as `ranking.rank` returns them.

    >>> rows = [
    ...     dict(source=name, target='digits', labels_per_class=5, scores=dict(logme=[score]))
    ...     for name, score in (('letters', 0.2), ('faces', 0.1))
    ... ]
    >>> tables(dict(rows=rows, agreement=[]))[0].rows
    [['letters', '0.200'], ['faces', '0.100']]
    """
    score_tables = [_scores(results, k, target)[0] for k, target in _blocks(results)]
    if not results['agreement']:
        return score_tables
    return [*score_tables, _agreement_table(results)]


def sections(results: Record) -> list[Record]:
    """Returns the sections of the page.

    Args:
        results: as `ranking.rank` returns them.

    >>> row = dict(source='a', target='digits', labels_per_class=None, scores=dict(logme=[0.1]))
    >>> [part['heading'] for part in sections(dict(rows=[row], agreement=[], config={}))]
    ['digits, all labels', 'How it was run']
    """
    parts = []
    for k, target in _blocks(results):
        table, values = _scores(results, k, target)
        parts.append(section(_heading(k, target), table, text=READING, svg=svg(rankings(values))))
    if results['agreement']:
        table = _agreement_table(results)
        text = table.title.partition(' Controls: ')[0]
        parts = [section('Was the ranking right?', table, text=text), *parts, *_matrices(results)]
    return [*parts, section('How it was run', code=json.dumps(results['config'], indent=1))]


def _agreement_table(results: Record) -> Table:
    """Returns the agreement of the rankings with the measured scores as a table."""
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
        f'Weighted Kendall tau of a score with the measured {rows[0]["metric"]}: 1 is the same '
        'order, 0 no relation, -1 the opposite order; agreement at the top counts most. Sources: '
        'all, all without the controls, or those whose own data are known. Controls: '
        f'{", ".join(results["config"]["study"]["controls"])}.'
    )
    return Table(['labels', 'strategy', 'sources', 'score', *targets, 'mean'], body, title)


def _blocks(results: Record) -> list[tuple[int | None, str]]:
    """Returns every pair of a number of labels per class and a target."""
    return list(dict.fromkeys((row['labels_per_class'], row['target']) for row in results['rows']))


def _heading(k: int | None, target: str) -> str:
    return f'{target}, all labels' if k is None else f'{target}, {k} labels per class'


def _scores(results: Record, k: int | None, target: str) -> tuple[Table, Record]:
    """Returns the sources of a target sorted by LogME: a table, and {source: {column: number}}."""
    values, columns = {}, {}
    for row in results['rows']:
        if (row['labels_per_class'], row['target']) == (k, target):
            numbers = {score: np.mean(by_seed) for score, by_seed in row['scores'].items()}
            for strategy, by_seed in row.get('measured', {}).items():
                numbers[f'{strategy}, %'] = 100 * np.mean(by_seed)
            values[row['source']] = numbers
            columns.update(numbers)
    order = sorted(values, key=lambda name: -values[name].get('logme', -np.inf))
    body = [[name, *(_number(values[name].get(column)) for column in columns)] for name in order]
    title = f'{_heading(k, target)}: sources by LogME; larger is better'
    return Table(['source', *columns], body, title), {name: values[name] for name in order}


def _matrices(results: Record) -> list[Record]:
    """Returns a section for each strategy and budget: every source's score on every target."""
    rows, parts = results['rows'], []
    targets = list(dict.fromkeys(row['target'] for row in rows))
    names = list(dict.fromkeys(row['source'] for row in rows))
    cells = [(row['labels_per_class'], strategy) for row in rows for strategy in row['measured']]
    for k, strategy in dict.fromkeys(cells):
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
        parts.append(section(heading, svg=svg(matrix(np.array(values), names, targets))))
    return parts


def _number(value: float | None) -> str:
    return '' if value is None else f'{value:.3f}'
