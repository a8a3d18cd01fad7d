"""Scores of a regression or of a model of several labels, on the pictures of a table."""

from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from tljax.core import Task, UserError, abbreviated
from tljax.data import rows
from tljax.data.archives import File
from tljax.data.formats.listed import is_table, locate_pictures
from tljax.engine.scores import average_precision, collector, total_scores
from tljax.files.console import say
from tljax.protocols import Record
from tljax.studies.pictures import Model, outputs_for_scores, refuse_no_outputs
from tljax.studies.tables import Table
from tljax.trained import Trained

INPUTS = {
    'numbers': 'a CSV of pictures and their numbers',
    'labels': 'a CSV of pictures and their labels',
}


def evaluate(
    model: Model, paths: Sequence[str], size: int = 0, batch: int = 32, pixels: int | None = None
) -> Record:
    """Scores a regression or a model of several labels, by the scores of its training.

    Args:
        model: parameters, state and record, as `models.model` returns them.
        paths: the path of one table.
        size: side of the pictures in pixels; 0: the size of the network's training.
        batch: number of pictures in a batch.
        pixels: maximal number of pixels of a picture; None: the limit of the model's run.

    Returns:
        The dict of `score_outputs`, with 'unread': [{'path', 'error'}].

    Raises:
        UserError: if `paths` is not one table, if the table has another task or other labels than
            the model, or if no picture can be read.

    >>> evaluate(({'head': 0}, {}, {'classes': []}), ['pictures'])
    Traceback (most recent call last):
    tljax.core.UserError: this model tells numbers: name a CSV of pictures and their numbers alone
    """
    trained = Trained(*refuse_no_outputs(model))
    path = Path(paths[0]).expanduser()
    if len(paths) > 1 or not is_table(path):
        raise UserError(f'this model tells {trained.task}: name {INPUTS[trained.task]} alone')
    if not path.is_file():
        raise UserError(f'{path} does not exist: name {INPUTS[trained.task]}')
    files, label = _read(path, trained)

    output, good_rows, unread = outputs_for_scores(trained, files, pixels, batch, size)
    scores = score_outputs(Task(trained.task, trained.classes), output, label[good_rows], path)
    scores['unread'] = unread
    return scores


def _read(path: Path, trained: Trained) -> tuple[list[File], np.ndarray]:
    """The pictures of a table, and their labels in the order of the model's labels."""
    task, data = trained.task, trained.record['config']['data']
    columns = {key: data[key] for key in ('file', 'label') if data.get(key)}
    try:
        table = rows.read(path, **columns, task=task)
    except UserError:
        table_task = rows.read(path, **columns).task.kind  # raises if the table itself is invalid
        if table_task == task:
            raise
        raise UserError(
            f'{path} gives {table_task}, and this model tells {task}: name {INPUTS[task]}'
        ) from None
    label = table.label
    if task == 'labels':
        label = _in_model_order(path, table, trained.classes)
    splits = sorted(set(table.split))
    if len(splits) > 1 and 'train' in splits:
        say(f'pictures of {abbreviated(splits)} are scored together, as they stand')
    return locate_pictures(path, table.files)[0], label


def _in_model_order(path: Path, table: rows.Rows, names: Sequence[str]) -> np.ndarray:
    """The labels of a table, 0 or 1, in the order of the model's labels."""
    unknown_labels = [name for name in table.task.names if name not in names]
    if unknown_labels:
        raise UserError(
            f'{path} has the labels {abbreviated(unknown_labels, 4)}, and the model knows '
            f'{abbreviated(names, 6)}: rename or remove them'
        )
    absent_labels = [name for name in names if name not in table.task.names]
    if absent_labels and set(table.task.names) <= set(rows.cells(path)[0][1]):
        raise UserError(
            f'{path} has no column {abbreviated(absent_labels, 6)}: the model tells '
            f'{abbreviated(names, 6)}, so give a column for each'
        )
    if absent_labels:
        say(f'no picture has the label {abbreviated(absent_labels, 6)}')
    label = np.zeros((len(table.files), len(names)), np.float32)
    for column, name in enumerate(table.task.names):
        label[:, names.index(name)] = table.label[:, column]
    return label


def score_outputs(
    task: Task, output: np.ndarray, label: np.ndarray, path: str | Path = ''
) -> Record:
    """Scores outputs, averaged over seeds.

    Args:
        task: a task of numbers or of several labels.
        output: outputs of the model, (seeds, n, d).
        label: (n,) or (n, d).
        path: path of the table, for errors.

    Returns:
        {'scores': {name: mean}, 'pictures': number of pictures}. For several labels also 'labels':
        [{'label', 'pictures': number of pictures with the label, 'average_precision' (None if no
        picture has the label), 'right': fraction of correct answers}].

    Raises:
        UserError: if labels and outputs differ in their number of columns.

    >>> score_outputs(Task('numbers'), np.array([[[1.0], [5.0]]]), np.array([1.0, 2.0]))['scores']
    {'rmse': 2.12132...}
    """
    label = label.reshape(len(label), -1)
    if label.shape[1] != output.shape[2]:
        raise UserError(
            f'{path} gives {label.shape[1]} numbers for each picture, and the model tells '
            f'{output.shape[2]}: give as many columns'
        )
    example_scores = collector(task)(
        {'output': output, 'label': np.broadcast_to(label, output.shape)}
    )
    by_score = total_scores(task, jax.device_get(example_scores))
    scores = {
        'scores': {name: float(np.mean(by_seed)) for name, by_seed in by_score.items()},
        'pictures': len(label),
    }
    if task.kind == 'labels':
        scores['labels'] = [
            _label_row(name, output[..., i], label[:, i]) for i, name in enumerate(task.names)
        ]
    return scores


def _label_row(name: str, output: np.ndarray, label: np.ndarray) -> Record:
    """The scores of one label from its outputs (seeds, n) and its marks (n,)."""
    precision = None
    if label.any():
        by_seed = [average_precision(seed_output, label) for seed_output in output]
        precision = float(np.mean(by_seed))
    return {
        'label': name,
        'pictures': int(label.sum()),
        'average_precision': precision,
        'right': float(np.mean((output > 0) == (label > 0))),
    }


def tables(scores: Record) -> list[Table]:
    """Returns the scores as tables, the worst label first.

    Args:
        scores: as `evaluate` returns them; 'unread' is not shown.

    >>> tables({'scores': {'rmse': 0.5}, 'pictures': 3})[0].rows
    [['rmse', '0.5000']]
    """
    means = [[name.replace('_', ' '), f'{value:.4f}'] for name, value in scores['scores'].items()]
    score_table = Table(['score', 'mean'], means, f'{scores["pictures"]} pictures')
    if not scores.get('labels'):
        return [score_table]
    body = []
    for row in sorted(scores['labels'], key=_worst_first):
        precision = row['average_precision']
        body.append(
            [
                row['label'],
                row['pictures'],
                '' if precision is None else f'{precision:.4f}',
                f'{row["right"]:.4f}',
            ]
        )
    columns = ['label', 'pictures', 'average precision', 'answers right']
    return [score_table, Table(columns, body, f'{len(body)} labels')]


def _worst_first(row: Record) -> tuple[bool, float]:
    """Sorts labels by average precision, those that no picture has last."""
    precision = row['average_precision']
    return precision is None, precision or 0.0
