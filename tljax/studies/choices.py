"""Choices of label-free scores, compared with an oracle that sees the labels."""

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
    """Finds the candidate that each score chooses in each case (a seed or a task).

    Args:
        scores: {score: (cases, candidates)}. Larger is better; values that are not finite are
            never chosen.
        names: names of the candidates, in the order of the columns of `scores`.
        truth: (cases, all candidates), score of each candidate on the labelled test split. None if
            the test split has no labels; then there is no oracle.
        all_names: names of the columns of `truth`, among which the oracle chooses; None: `names`.

    Returns:
        A dict for each score, the oracle last: {'score', 'picks': name of the choice in each case,
        'values': test score of each choice, None without labels}.

    >>> rows = choices_by_score(
    ...     {'entropy': np.array([[1.0, 2.0]])}, ['a', 'b'], np.array([[0.9, 0.7]])
    ... )
    >>> [(row['score'], row['picks'], row['values']) for row in rows]
    [('entropy', ['b'], [0.7]), ('oracle', ['a'], [0.9])]
    """
    all_names = all_names or names
    candidates = [(score, values, names) for score, values in scores.items()]
    if truth is not None:
        candidates.append(('oracle', truth, all_names))
    rows = []
    for score, values, candidate_names in candidates:
        picks = [str(choose(list(case), candidate_names)) for case in values]
        test_scores = None
        if truth is not None:
            test_scores = [
                float(case[all_names.index(pick)]) for case, pick in zip(truth, picks, strict=True)
            ]
        rows.append(dict(score=score, picks=picks, values=test_scores))
    return rows


def table(
    rows: list[Record], columns: list[str], cells: list[list[Cell]], labels: str, title: str
) -> Table:
    """Returns the choices as a table.

    Args:
        rows: as `choices_by_score` returns them.
        columns: names of the columns between the score and its choices.
        cells: cells of those columns, a list for each row.
        labels: 'test' or 'target', the labels that the oracle sees.
        title: title of the table.

    >>> row = {'score': 'oracle', 'picks': ['a', 'b', 'a']}
    >>> table([row], ['accuracy %'], [['90.0']], 'test', '').rows
    [['oracle (sees test labels)', '90.0', 'a, b']]
    """
    body = []
    for row, row_cells in zip(rows, cells, strict=True):
        score = row['score']
        if score == 'oracle':
            score = f'oracle (sees {labels} labels)'
        picks = ', '.join(dict.fromkeys(row['picks']))
        body.append([score, *row_cells, picks])
    return Table(['chosen by', *columns, 'its choices'], body, title)
