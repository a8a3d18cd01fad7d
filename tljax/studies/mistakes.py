"""Mistakes of a classifier: accuracy by class, confused classes, and most confident mistakes."""

from collections import Counter, defaultdict

import numpy as np

from tljax.core import Dataset, Task
from tljax.engine.scores import average_precision
from tljax.protocols import Record
from tljax.report.mistakes import confusion, png
from tljax.studies import box_mistakes
from tljax.studies.tables import Table, section

MAX_CLASSES = 30  # a larger matrix has no room
MAX_PICTURES = 12  # of mistakes


def class_table(rows: list[Record], names: tuple[str, ...]) -> Table:
    """Returns a table of the accuracy of every class that has examples, the worst class first.

    Args:
        rows: as `engine.answers.answers` returns them.
        names: names of the classes.

    >>> rows = [{'label': 'ants', 'answer': 'ants'}, {'label': 'bees', 'answer': 'ants'}]
    >>> class_table(rows, ('ants', 'bees')).rows
    [['bees', 1, '0.0', 'ants 1'], ['ants', 1, '100.0', '']]
    """
    answers_by_label = defaultdict(Counter)
    for row in rows:
        answers_by_label[row['label']][row['answer']] += 1
    accuracies, body = [], []
    for name in names:
        answers = answers_by_label[name]
        examples = answers.total()
        if not examples:
            continue
        accuracy = answers.pop(name, 0) / examples
        mistakes = ', '.join(f'{answer} {count}' for answer, count in answers.most_common(3))
        accuracies.append(accuracy)
        body.append([name, examples, f'{100 * accuracy:.1f}', mistakes])
    order = np.argsort(accuracies, kind='stable')
    return Table(
        ['class', 'examples', 'accuracy %', 'taken for'],
        [body[i] for i in order],
        'Class by class',
    )


def label_table(rows: list[Record], names: tuple[str, ...]) -> Table:
    """Returns a table of average precision and accuracy of every label, the worst label first.

    Args:
        rows: as `engine.answers.answers` returns them for several labels.
        names: names of the labels.

    >>> row = {'label sky': '1', 'probability of sky': '0.9'}
    >>> label_table([row], ('sky',)).rows
    [['sky', 1, '100.0', '100.0']]
    """
    precisions, body = [], []
    for name in names:
        label = np.array([int(row[f'label {name}']) for row in rows])
        probability = np.array([float(row[f'probability of {name}']) for row in rows])
        accuracy = np.mean((probability > 0.5) == label)
        precision, text = np.nan, ''  # a label without examples has no precision and comes last
        if label.any():
            precision = average_precision(probability, label)
            text = f'{100 * precision:.1f}'
        precisions.append(precision)
        body.append([name, int(label.sum()), text, f'{100 * accuracy:.1f}'])
    order = np.argsort(precisions, kind='stable')
    return Table(
        ['label', 'examples', 'average precision %', 'accuracy %'],
        [body[i] for i in order],
        'Label by label',
    )


def counts(rows: list[Record], names: tuple[str, ...]) -> np.ndarray:
    """Returns the confusion matrix (classes, classes): true classes in rows, answers in columns.

    Args:
        rows: as `engine.answers.answers` returns them.
        names: names of the classes.

    >>> counts([{'label': 'b', 'answer': 'a'}, {'label': 'b', 'answer': 'b'}], ('a', 'b')).tolist()
    [[0, 0], [1, 1]]
    """
    index = {name: i for i, name in enumerate(names)}
    matrix = np.zeros((len(names), len(names)), int)
    for row in rows:
        matrix[index[row['label']], index[row['answer']]] += 1
    return matrix


def worst(rows: list[Record], limit: int = MAX_PICTURES) -> list[int]:
    """Returns the row numbers of the most confident mistakes, the most confident first.

    Args:
        rows: as `engine.answers.answers` returns them.
        limit: maximal number of mistakes.

    >>> mistakes = [{'label': 'a', 'answer': 'b', 'probability': p} for p in ('0.6', '0.9')]
    >>> worst([*mistakes, {'label': 'a', 'answer': 'a', 'probability': '1.0'}])
    [1, 0]
    """
    wrong_rows = [i for i, row in enumerate(rows) if row['label'] != row['answer']]
    return sorted(wrong_rows, key=lambda i: -float(rows[i]['probability']))[:limit]


def by_class(rows: list[Record], task: Task) -> Table:
    """Returns the table of every class, or of every label if examples have several labels.

    Args:
        rows: as `engine.answers.answers` returns them.
        task: a task of classes, of several labels or of boxes.

    >>> by_class([{'label': 'a', 'answer': 'a'}], Task.of(('a', 'b'))).title
    'Class by class'
    """
    if task.kind == 'boxes':
        return box_mistakes.by_class(rows, task)
    if task.kind == 'labels':
        return label_table(rows, task.names)
    return class_table(rows, task.names)


def sections(
    rows: list[Record], task: Task, split: str, dataset: Dataset | None = None
) -> list[Record]:
    """Returns the sections of a page that show the mistakes of a run.

    Args:
        rows: as `engine.answers.answers` returns them.
        task: a task of classes, of several labels or of boxes.
        split: name of the split of the rows.
        dataset: that split, whose pictures are shown; None: no pictures.

    >>> rows = [{'label': 'a', 'answer': 'a', 'probability': '1.0'}]
    >>> parts = sections(rows, Task.of(('a', 'b')), 'test')
    >>> [part['heading'] for part in parts]
    ['Class by class, test split', 'Which classes are confused, test split']
    """
    if task.kind == 'boxes':
        return box_mistakes.sections(rows, task, split, dataset)
    table, names = by_class(rows, task), task.names
    parts = [section(f'{table.title}, {split} split', table)]
    if task.kind == 'labels':
        return parts
    if len(names) <= MAX_CLASSES:
        matrix = confusion(counts(rows, names), names)
        parts.append(section(f'Which classes are confused, {split} split', svg=matrix))
    pictures = _mistake_pictures(rows, dataset)
    if pictures:
        parts.append(section(f'The surest mistakes, {split} split', pictures=pictures))
    return parts


def _mistake_pictures(rows: list[Record], dataset: Dataset | None) -> list[tuple[str, str]]:
    """The most confident mistakes as [(picture, text)]; [] without mistakes or pictures."""
    wrong_rows = worst(rows)
    if not wrong_rows or dataset is None:
        return []
    inputs = dataset.take(np.array(wrong_rows))['input']
    if inputs.ndim != 4 or inputs.shape[-1] not in (1, 3):
        return []
    pictures = []
    for i, picture in zip(wrong_rows, inputs, strict=True):
        row = rows[i]
        text = (
            f'{row["label"]}, taken for {row["answer"]} '
            f'({float(row["probability"]):.2f}): {row["example"]}'
        )
        pictures.append((png(picture), text))
    return pictures
