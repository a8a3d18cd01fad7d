"""What a run of classes gets wrong: its accuracy class by class, which classes it confuses, its surest mistakes."""
from collections import Counter

import numpy as np

from tljax.core import Dataset
from tljax.report.drawing import svg
from tljax.report.mistakes import confusion, png
from tljax.studies.tables import Table, section

DRAWN = 30   # classes that a matrix has room for
SHOWN = 12   # mistakes whose pictures are shown


def class_table(rows: list[dict], names: tuple[str, ...]) -> Table:
    """The accuracy of every class that has examples, the worst in front.

    Args:
        rows: as `engine.answers.answers` gives them.
        names: of the classes.

    >>> rows = [{'label': 'ants', 'answer': 'ants'}, {'label': 'bees', 'answer': 'ants'}]
    >>> class_table(rows, ('ants', 'bees')).rows
    [['bees', 1, '0.0', 'ants 1'], ['ants', 1, '100.0', '']]
    """
    table = []
    for name in names:
        answers = Counter(row['answer'] for row in rows if row['label'] == name)
        if not answers:
            continue
        right = answers.pop(name, 0)
        share = right / (right + answers.total())
        table.append((share, [name, right + answers.total(), f'{100 * share:.1f}',
                              ', '.join(f'{other} {count}' for other, count in answers.most_common(3))]))
    return Table(['class', 'examples', 'accuracy %', 'taken for'],
                 [row for _, row in sorted(table, key=lambda each: each[0])], 'Class by class')


def counts(rows: list[dict], names: tuple[str, ...]) -> np.ndarray:
    """How many examples of each class were taken for which, (classes, classes), a row for every true class.

    >>> counts([{'label': 'b', 'answer': 'a'}, {'label': 'b', 'answer': 'b'}], ('a', 'b')).tolist()
    [[0, 0], [1, 1]]
    """
    place = {name: i for i, name in enumerate(names)}
    found = np.zeros((len(names), len(names)), int)
    for row in rows:
        found[place[row['label']], place[row['answer']]] += 1
    return found


def worst(rows: list[dict], most: int = SHOWN) -> list[int]:
    """The places of the mistakes that the model was surest of.

    >>> sure = [{'label': 'a', 'answer': 'b', 'probability': p} for p in ('0.6', '0.9')]
    >>> worst([*sure, {'label': 'a', 'answer': 'a', 'probability': '1.0'}])
    [1, 0]
    """
    wrong = [i for i, row in enumerate(rows) if row['label'] != row['answer']]
    return sorted(wrong, key=lambda i: -float(rows[i]['probability']))[:most]


def sections(rows: list[dict], names: tuple[str, ...], split: str, dataset: Dataset | None = None) -> list[dict]:
    """The sections of a page that show what a run got wrong.

    Args:
        rows: as `engine.answers.answers` gives them.
        names: of the classes.
        split: that the rows are of.
        dataset: that split, whose pictures are shown; None for none.

    >>> [each['heading'] for each in sections([{'label': 'a', 'answer': 'a', 'probability': '1.0'}], ('a', 'b'), 'test')]
    ['Class by class, test split', 'Which classes are confused, test split']
    """
    found = [section(f'Class by class, {split} split', class_table(rows, names))]
    if len(names) <= DRAWN:
        found.append(section(f'Which classes are confused, {split} split', svg=svg(confusion(counts(rows, names), names))))
    mistakes = worst(rows)
    if mistakes and dataset is not None:
        inputs = dataset.take(np.array(mistakes))['input']
        if inputs.ndim == 4 and inputs.shape[-1] in (1, 3):
            found.append(section(f'The surest mistakes, {split} split', pictures=[
                (png(picture), f'{rows[i]["label"]}, taken for {rows[i]["answer"]} ({float(rows[i]["probability"]):.2f}): '
                 f'{rows[i]["example"]}') for i, picture in zip(mistakes, inputs, strict=True)]))
    return found
