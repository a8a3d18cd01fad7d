"""What each label-free score would have chosen, and beside it the oracle that sees the labels."""

import numpy as np

from tljax.protocols import Cell, Record
from tljax.studies.tables import Table
from tljax.when.selection import choose


def choices_by_score(
    scores: dict[str, np.ndarray],
    names: list[str],
    truth: np.ndarray | None,
    all_names: list[str] | None = None,
) -> list[Record]:
    """What each score chooses among candidates, case by case; a case is a seed, or a task.

    Args:
        scores: {score: (cases, candidates)}; larger is better, and what is not finite is not taken.
        names: of the candidates, in their order.
        truth: (cases, all candidates), what each candidate reaches on the labelled test; None where
            the test has no labels, and there is no oracle.
        all_names: names of the columns of `truth`, the oracle's candidates; None: as `names`.

    Returns:
        A dict for each score, the oracle last: {'score', 'picks': a name for each case, 'values':
        what the picks reach, None without labels}.

    >>> rows = choices_by_score(
    ...     {'sure': np.array([[1.0, 2.0]])}, ['a', 'b'], np.array([[0.9, 0.7]])
    ... )
    >>> [(row['score'], row['picks'], row['values']) for row in rows]
    [('sure', ['b'], [0.7]), ('oracle', ['a'], [0.9])]
    """
    all_names = all_names or names
    rows = []
    candidates = [(score, values, names) for score, values in scores.items()]
    if truth is not None:
        candidates.append(('oracle', truth, all_names))
    for score, values, among in candidates:
        picks = [str(choose(list(each), among)) for each in values]
        reached = (
            None
            if truth is None
            else [float(row[all_names.index(pick)]) for row, pick in zip(truth, picks, strict=True)]
        )
        rows.append(dict(score=score, picks=picks, values=reached))
    return rows


def table(
    rows: list[Record], columns: list[str], cells: list[list[Cell]], labels: str, title: str
) -> Table:
    """The choices as a table.

    Args:
        rows: as `choices_by_score` gives them.
        columns: names of the columns between the score and its choices.
        cells: what stands in those, a list for each row.
        labels: whose labels the oracle sees.
        title: of the table.

    >>> row = {'score': 'oracle', 'picks': ['a', 'b', 'a']}
    >>> table([row], ['accuracy %'], [['90.0']], 'test', '').rows
    [['oracle (sees test labels)', '90.0', 'a, b']]
    """
    names = {'oracle': f'oracle (sees {labels} labels)'}
    body = [
        [names.get(row['score'], row['score']), *cell, ', '.join(dict.fromkeys(row['picks']))]
        for row, cell in zip(rows, cells, strict=True)
    ]
    return Table(['chosen by', *columns, 'its choices'], body, title)
