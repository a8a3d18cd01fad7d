"""What a run of classes gets wrong: its accuracy class by class, which classes it confuses, its
surest mistakes."""

from collections import Counter

import numpy as np

from tljax.core import Dataset, Task
from tljax.engine.scores import average_precision
from tljax.protocols import Record
from tljax.report.drawing import svg
from tljax.report.mistakes import confusion, png
from tljax.studies.tables import Table, section

DRAWN = 30  # classes that a matrix has room for
SHOWN = 12  # mistakes whose pictures are shown


def class_table(rows: list[Record], names: tuple[str, ...]) -> Table:
    """The accuracy of every class that has examples, the worst in front.

    Args:
        rows: as `engine.answers.answers` gives them.
        names: of the classes.

    >>> rows = [{'label': 'ants', 'answer': 'ants'}, {'label': 'bees', 'answer': 'ants'}]
    >>> class_table(rows, ('ants', 'bees')).rows
    [['bees', 1, '0.0', 'ants 1'], ['ants', 1, '100.0', '']]
    """
    table = []
    by_label = {}
    for row in rows:
        by_label.setdefault(row['label'], Counter())[row['answer']] += 1
    for name in filter(by_label.get, names):
        answers = by_label[name]
        right = answers.pop(name, 0)
        share = right / (right + answers.total())
        table.append(
            (
                share,
                [
                    name,
                    right + answers.total(),
                    f'{100 * share:.1f}',
                    ', '.join(f'{other} {count}' for other, count in answers.most_common(3)),
                ],
            )
        )
    return Table(
        ['class', 'examples', 'accuracy %', 'taken for'],
        [row for _, row in sorted(table, key=lambda each: each[0])],
        'Class by class',
    )


def label_table(rows: list[Record], names: tuple[str, ...]) -> Table:
    """How well each of several labels is told, the worst in front.

    Args:
        rows: as `engine.answers.answers` gives them for several labels.
        names: of the labels.

    >>> row = {'label sky': '1', 'probability of sky': '0.9'}
    >>> label_table([row], ('sky',)).rows
    [['sky', 1, '100.0', '100.0']]
    """
    table = []
    for name in names:
        label = np.array([int(row[f'label {name}']) for row in rows])
        share = np.array([float(row[f'probability of {name}']) for row in rows])
        precision = 100 * average_precision(share, label) if label.any() else np.nan
        right = 100 * np.mean((share > 0.5) == label)
        table.append(
            (
                precision,
                [name, int(label.sum()), f'{precision:.1f}' if label.any() else '', f'{right:.1f}'],
            )
        )
    return Table(
        ['label', 'examples', 'average precision %', 'accuracy %'],
        [row for _, row in sorted(table, key=lambda each: each[0])],
        'Label by label',
    )


def counts(rows: list[Record], names: tuple[str, ...]) -> np.ndarray:
    """How many examples of each class were taken for which, (classes, classes), a row for every
    true class.

    Args:
        rows: as `engine.answers.answers` gives them.
        names: of the classes.

    >>> counts([{'label': 'b', 'answer': 'a'}, {'label': 'b', 'answer': 'b'}], ('a', 'b')).tolist()
    [[0, 0], [1, 1]]
    """
    place = {name: i for i, name in enumerate(names)}
    found = np.zeros((len(names), len(names)), int)
    for row in rows:
        found[place[row['label']], place[row['answer']]] += 1
    return found


def worst(rows: list[Record], most: int = SHOWN) -> list[int]:
    """The places of the mistakes that the model was surest of.

    Args:
        rows: as `engine.answers.answers` gives them.
        most: how many places at most.

    >>> sure = [{'label': 'a', 'answer': 'b', 'probability': p} for p in ('0.6', '0.9')]
    >>> worst([*sure, {'label': 'a', 'answer': 'a', 'probability': '1.0'}])
    [1, 0]
    """
    wrong = [i for i, row in enumerate(rows) if row['label'] != row['answer']]
    return sorted(wrong, key=lambda i: -float(rows[i]['probability']))[:most]


def by_class(rows: list[Record], task: Task) -> Table:
    """The table of every class, or of every label.

    Args:
        rows: as `engine.answers.answers` gives them.
        task: what the set asks; no numbers.

    >>> by_class([{'label': 'a', 'answer': 'a'}], Task.of(('a', 'b'))).title
    'Class by class'
    """
    return (label_table if task.kind == 'labels' else class_table)(rows, task.names)


def sections(
    rows: list[Record], task: Task, split: str, dataset: Dataset | None = None
) -> list[Record]:
    """The sections of a page that show what a run got wrong.

    Args:
        rows: as `engine.answers.answers` gives them.
        task: what the set asks; no numbers.
        split: that the rows are of.
        dataset: that split, whose pictures are shown; None for none.

    >>> [
    ...     each['heading']
    ...     for each in sections(
    ...         [{'label': 'a', 'answer': 'a', 'probability': '1.0'}], Task.of(('a', 'b')), 'test'
    ...     )
    ... ]
    ['Class by class, test split', 'Which classes are confused, test split']
    """
    table, names = by_class(rows, task), task.names
    found = [section(f'{table.title}, {split} split', table)]
    if task.kind == 'labels':
        return found
    if len(names) <= DRAWN:
        found.append(
            section(
                f'Which classes are confused, {split} split',
                svg=svg(confusion(counts(rows, names), names)),
            )
        )
    mistakes = worst(rows)
    if mistakes and dataset is not None:
        inputs = dataset.take(np.array(mistakes))['input']
        if inputs.ndim == 4 and inputs.shape[-1] in (1, 3):
            found.append(
                section(
                    f'The surest mistakes, {split} split',
                    pictures=[
                        (
                            png(picture),
                            f'{rows[i]["label"]}, taken for {rows[i]["answer"]} '
                            f'({float(rows[i]["probability"]):.2f}): {rows[i]["example"]}',
                        )
                        for i, picture in zip(mistakes, inputs, strict=True)
                    ],
                )
            )
    return found
