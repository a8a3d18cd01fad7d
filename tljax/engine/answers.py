"""The answers of a finished run to every validation and test example, as a CSV file."""

import csv
import json
from pathlib import Path

import numpy as np
from scipy.special import expit, softmax

from tljax.core import Dataset, Task
from tljax.files.text import write_csv
from tljax.protocols import Record

ANSWERS = 'answers.csv'  # in the folder of a fit
LOWEST = 0.05  # score of a detection that is written


def answers(task: Task, dataset: Dataset, predictions: dict[str, np.ndarray]) -> list[Record]:
    """Makes a row for every example; outputs are averaged over seeds.

    Args:
        task: of the set.
        dataset: the set.
        predictions: {'output': (seeds, n, d), 'label': (seeds, n, ...)} of all its examples.

    Returns:
        For classes {'example', 'label', 'answer', 'probability', 'probability of label'}. For
        several labels {'example', 'label NAME', 'probability of NAME', ...}. For one number
        {'example', 'label', 'answer'}; for several {'example', 'label 0', 'answer 0', ...}. For
        boxes {'example', 'boxes', 'detections'}, JSON of [class, top, left, bottom, right] and of
        [class, score, top, ...] in shares; detections are those of the first seed.
        'example' is the example's name, or its index in the set if it has none.

    >>> from tljax.data import arrays
    >>> toy = arrays(np.zeros(2), np.array([0, 1]), ('ants', 'bees'))
    >>> logits, label = np.array([[[2.0, 0.0], [2.0, 0.0]]]), np.array([[0, 1]])
    >>> rows = answers(toy.task, toy, {'output': logits, 'label': label})
    >>> rows[1]['label'], rows[1]['answer'], rows[1]['probability']
    ('bees', 'ants', 0.8808)
    """
    names = dataset.names if len(dataset.names) else range(dataset.size)
    make_columns = {
        'classes': _classes,
        'labels': _labels,
        'numbers': _numbers,
        'boxes': _boxes,
    }[task.kind]
    output = np.asarray(predictions['output'], np.float64)
    columns = make_columns(task.names, output, np.asarray(predictions['label'])[0])
    return [
        {'example': str(name), **{key: values[i] for key, values in columns.items()}}
        for i, name in enumerate(names)
    ]


def _classes(names, output, label):
    probability = softmax(output, -1).mean(0)
    best, rows = probability.argmax(-1), np.arange(len(probability))
    return {
        'label': [names[c] for c in label],
        'answer': [names[c] for c in best],
        'probability': _round(probability[rows, best]),
        'probability of label': _round(probability[rows, label]),
    }


def _labels(names, output, label):
    probability, columns = expit(output).mean(0), {}
    for c, name in enumerate(names):
        columns[f'label {name}'] = label[:, c].astype(int).tolist()
        columns[f'probability of {name}'] = _round(probability[:, c])
    return columns


def _numbers(_, output, label):
    answer = output.mean(0).reshape(len(label), -1)
    label, columns = label.reshape(answer.shape), {}
    for d in range(answer.shape[1]):
        suffix = f' {d}' if answer.shape[1] > 1 else ''
        columns[f'label{suffix}'] = label[:, d].tolist()
        columns[f'answer{suffix}'] = answer[:, d].tolist()
    return columns


def _boxes(names, output, label):
    boxes = [
        [[names[int(row[4])], *_round(row[:4])] for row in rows if row[4] >= 0] for rows in label
    ]
    detections = [
        [
            [names[int(row[4])], *_round(row[[5, 0, 1, 2, 3]])]
            for row in rows
            if row[4] >= 0 and row[5] >= LOWEST
        ]
        for rows in output[0]
    ]
    return {'boxes': [*map(json.dumps, boxes)], 'detections': [*map(json.dumps, detections)]}


def _round(values):
    return values.round(4).tolist()


def write_answers(path: str | Path, rows: dict[str, list[Record]]) -> None:
    """Writes the rows of every split to a CSV file.

    The file is replaced in one step: a killed process leaves no half of it. Rows of several tasks
    may differ in their columns; cells that a row lacks are empty.

    Args:
        path: of the file.
        rows: {split: rows, as `answers` returns them}.

    >>> import tempfile
    >>> write_answers(
    ...     path := Path(tempfile.mkdtemp(), ANSWERS),
    ...     {'test': [{'example': 'a.png', 'answer': 'ants'}]},
    ... )
    >>> read_answers(path)
    {'test': [{'example': 'a.png', 'answer': 'ants'}]}
    """
    records = [{'split': split, **row} for split, split_rows in rows.items() for row in split_rows]
    columns = list(dict.fromkeys(key for record in records for key in record)) or ['split']
    cells = [[record.get(column, '') for column in columns] for record in records]
    write_csv(path, [columns, *cells])


def read_answers(path: str | Path) -> dict[str, list[Record]]:
    """Reads the rows of every split that `write_answers` wrote; every value is a text.

    Args:
        path: of the file.

    Returns:
        {split: rows}; {} if the file does not exist.

    >>> read_answers('nowhere.csv')
    {}
    """
    if not Path(path).exists():
        return {}
    rows = {}
    with Path(path).open(newline='', encoding='utf-8') as lines:
        for row in csv.DictReader(lines):
            rows.setdefault(row.pop('split'), []).append(row)
    return rows
