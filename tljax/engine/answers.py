"""What a finished run says of every example that it is judged by, as a CSV file."""

import csv
from pathlib import Path

import numpy as np
from scipy.special import expit, softmax

from tljax.core import Dataset, Task
from tljax.files.text import write_csv
from tljax.protocols import Record

ANSWERS = 'answers.csv'  # in the folder of a fit


def answers(task: Task, dataset: Dataset, told: dict[str, np.ndarray]) -> list[Record]:
    """A row for every example, averaged over seeds.

    Args:
        task: what the set asks.
        dataset: the set.
        told: {'output': (seeds, n, d), 'label': (seeds, n, ...)} of all its examples.

    Returns:
        For classes {'example', 'label', 'answer', 'probability', 'probability of label'}; for
        several labels {'example', 'label NAME', 'probability of NAME', ...}; for numbers
        {'example', 'label', 'answer'}, numbered where there are several. An example without a name
        has its place.

    >>> from tljax.data import arrays
    >>> toy = arrays(np.zeros(2), np.array([0, 1]), ('ants', 'bees'))
    >>> told = {'output': np.array([[[2.0, 0.0], [2.0, 0.0]]]), 'label': np.array([[0, 1]])}
    >>> [(row['label'], row['answer'], row['probability']) for row in answers(toy.task, toy, told)]
    [('ants', 'ants', 0.8808), ('bees', 'ants', 0.8808)]
    """
    names = dataset.names if len(dataset.names) else range(dataset.size)
    make = {'classes': _classes, 'labels': _labels, 'numbers': _numbers}[task.kind]
    output, label = np.asarray(told['output'], np.float64), np.asarray(told['label'])[0]
    columns = make(task.names, output, label)
    return [
        {'example': str(name), **{key: values[i] for key, values in columns.items()}}
        for i, name in enumerate(names)
    ]


def _classes(names, output, label):
    share = softmax(output, -1).mean(0)
    best, rows = share.argmax(-1), np.arange(len(share))
    return {
        'label': [names[c] for c in label],
        'answer': [names[c] for c in best],
        'probability': _short(share[rows, best]),
        'probability of label': _short(share[rows, label]),
    }


def _labels(names, output, label):
    share, found = expit(output).mean(0), {}
    for c, name in enumerate(names):
        found |= {
            f'label {name}': label[:, c].astype(int).tolist(),
            f'probability of {name}': _short(share[:, c]),
        }
    return found


def _numbers(_, output, label):
    answer = output.mean(0).reshape(len(label), -1)
    label, several = label.reshape(answer.shape), answer.shape[1] > 1
    found = {}
    for d in range(answer.shape[1]):
        end = f' {d}' if several else ''
        found |= {f'label{end}': label[:, d].tolist(), f'answer{end}': answer[:, d].tolist()}
    return found


def _short(values):
    return values.round(4).tolist()


def write_answers(path: str | Path, rows: dict[str, list[Record]]) -> None:
    """Writes the rows of every split to a CSV file, whole or not at all.

    Args:
        path: of the file.
        rows: {split: rows, as `answers` gives them}.

    >>> import tempfile
    >>> write_answers(
    ...     path := Path(tempfile.mkdtemp(), ANSWERS),
    ...     {'test': [{'example': 'a.png', 'answer': 'ants'}]},
    ... )
    >>> read_answers(path)
    {'test': [{'example': 'a.png', 'answer': 'ants'}]}
    """
    names = ['split', *next((row for each in rows.values() for row in each), {})]
    write_csv(
        path, [names, *([split, *row.values()] for split, each in rows.items() for row in each)]
    )


def read_answers(path: str | Path) -> dict[str, list[Record]]:
    """The rows of every split as `write_answers` wrote them, as text; {} where there is no file.

    Args:
        path: of the file.

    >>> read_answers('nowhere.csv')
    {}
    """
    if not Path(path).exists():
        return {}
    found = {}
    with Path(path).open(newline='', encoding='utf-8') as lines:
        for row in csv.DictReader(lines):
            found.setdefault(row.pop('split'), []).append(row)
    return found
