"""How well a model tells numbers or several labels, on the pictures of a table."""

from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from tljax.core import Dataset, Task, UserError, abbreviated
from tljax.data import rows
from tljax.data.archives import File, printable
from tljax.data.formats.listed import is_table, locate_pictures
from tljax.engine.evaluate import predictions
from tljax.engine.scores import average_precision, collector, total_scores
from tljax.files.console import say
from tljax.program import predictor
from tljax.protocols import Record
from tljax.studies.pictures import Model, read_once, refuse_no_outputs
from tljax.studies.tables import Table
from tljax.trained import Trained

ASKED = {
    'numbers': 'a CSV of pictures and their numbers',
    'labels': 'a CSV of pictures and their labels',
}


def evaluate(
    model: Model, paths: Sequence[str], size: int = 0, batch: int = 32, pixels: int | None = None
) -> Record:
    """The scores of a regression or of several labels, as its training tells them.

    Args:
        model: parameters, state and record, as `models.model` gives them.
        paths: of one table.
        size: side of the pictures that the network is shown; 0: the one it is for.
        batch: pictures at a time.
        pixels: the most that a picture may have; None: the run's own limit.

    Returns:
        As `score_outputs` gives, and 'unread': [{'path', 'error'}].

    Raises:
        UserError: for what is no table, one of another task or of other labels, and where no
            picture can be read.

    >>> evaluate(({'head': 0}, {}, {'classes': []}), ['pictures'])
    Traceback (most recent call last):
    tljax.core.UserError: this model tells numbers: name a CSV of pictures and their numbers alone
    """
    params, state, record = refuse_no_outputs(model)
    trained = Trained(*model)
    path = Path(paths[0]).expanduser()
    if len(paths) > 1 or not is_table(path):
        raise UserError(f'this model tells {trained.task}: name {ASKED[trained.task]} alone')
    if not path.is_file():
        raise UserError(f'{path} does not exist: name {ASKED[trained.task]}')
    files, label = _read(path, trained)

    def ask(dataset: Dataset) -> np.ndarray:
        told = predictions(
            predictor(record), params, state, dataset, batch, text='looking at pictures'
        )['output']
        return np.moveaxis(told, 0, 1)

    output, failed = read_once(trained, files, pixels, ask, size)
    good = [row for row in range(len(files)) if row not in failed]
    if output is None or not good:
        raise UserError(f'none of the {len(files)} pictures can be read: give others')
    unread = [{'path': printable(files[row].path), 'error': failed[row]} for row in sorted(failed)]
    task = Task(trained.task, trained.classes)
    return {
        **score_outputs(task, np.moveaxis(output[good], 1, 0), label[good], path),
        'unread': unread,
    }


def _read(path: Path, trained: Trained) -> tuple[list[File], np.ndarray]:
    """The pictures of a table and their labels, in the order of the model's."""
    kind, data = trained.task, trained.record['config']['data']
    columns = {key: data[key] for key in ('file', 'label') if data.get(key)}
    try:
        found = rows.read(path, **columns, task=kind)
    except UserError:
        other = rows.read(path, **columns).task.kind  # what is wrong with the table itself
        if other == kind:
            raise
        raise UserError(
            f'{path} gives {other}, and this model tells {kind}: name {ASKED[kind]}'
        ) from None
    label = found.label
    if kind == 'labels':
        label = _in_order(path, found, trained.classes)
    if len(set(found.split)) > 1 and 'train' in found.split:
        say(
            f'pictures of {abbreviated(sorted(set(found.split)))} are scored together, as they '
            'stand'
        )
    return locate_pictures(path, found.files)[0], label


def _in_order(path: Path, found: rows.Rows, names: Sequence[str]) -> np.ndarray:
    """The marks of a table in the order of the model's labels."""
    unknown = [name for name in found.task.names if name not in names]
    if unknown:
        raise UserError(
            f'{path} has the labels {abbreviated(unknown, 4)}, and the model knows '
            f'{abbreviated(names, 6)}: rename or remove them'
        )
    lacking = [name for name in names if name not in found.task.names]
    if lacking and set(found.task.names) <= set(rows.cells(path)[0][1]):
        raise UserError(
            f'{path} has no column {abbreviated(lacking, 6)}: the model tells '
            f'{abbreviated(names, 6)}, so give a column for each'
        )
    if lacking:
        say(f'no picture has the label {abbreviated(lacking, 6)}')
    place = {name: i for i, name in enumerate(found.task.names)}
    label = np.zeros((len(found.files), len(names)), np.float32)
    for i, name in enumerate(names):
        if name in place:
            label[:, i] = found.label[:, place[name]]
    return label


def score_outputs(
    task: Task, output: np.ndarray, label: np.ndarray, path: str | Path = ''
) -> Record:
    """The scores of outputs, means over seeds.

    Args:
        task: of numbers or of several labels.
        output: (seeds, n, d).
        label: (n,) or (n, d).
        path: of the table, for errors.

    Returns:
        {'scores': {name: mean}, 'pictures': their number}, and of several labels 'labels':
        [{'label', 'pictures' that have it, 'average_precision' (None where no picture has it),
        'right': the share of answers}].

    Raises:
        UserError: for another number of columns than the model's.

    >>> score_outputs(Task('numbers'), np.array([[[1.0], [5.0]]]), np.array([1.0, 2.0]))['scores']
    {'rmse': 2.12132...}
    """
    label = label.reshape(len(label), -1)
    if label.shape[1] != output.shape[2]:
        raise UserError(
            f'{path} gives {label.shape[1]} numbers for each picture, and the model tells '
            f'{output.shape[2]}: give as many columns'
        )
    kept = collector(task)({'output': output, 'label': np.broadcast_to(label, output.shape)})
    scores = total_scores(task, jax.device_get(kept))
    found = {
        'scores': {name: float(np.mean(values)) for name, values in scores.items()},
        'pictures': len(label),
    }
    if task.kind == 'labels':
        found['labels'] = [
            _label(name, output[..., i], label[:, i]) for i, name in enumerate(task.names)
        ]
    return found


def _label(name: str, output: np.ndarray, label: np.ndarray) -> Record:
    """How well one label is told: outputs (seeds, n), marks (n,)."""
    precision = [average_precision(one, label) for one in output] if label.any() else []
    return {
        'label': name,
        'pictures': int(label.sum()),
        'average_precision': float(np.mean(precision)) if precision else None,
        'right': float(np.mean((output > 0) == (label > 0))),
    }


def tables(found: Record) -> list[Table]:
    """What `evaluate` found, as tables, the worst labels in front.

    Args:
        found: as `evaluate` gives it; 'unread' is not looked at.

    >>> tables({'scores': {'rmse': 0.5}, 'pictures': 3})[0].rows
    [['rmse', '0.5000']]
    """
    each = sorted(
        found.get('labels', ()),
        key=lambda row: (row['average_precision'] is None, row['average_precision'] or 0.0),
    )
    body = [
        [
            row['label'],
            row['pictures'],
            '' if row['average_precision'] is None else f'{row["average_precision"]:.4f}',
            f'{row["right"]:.4f}',
        ]
        for row in each
    ]
    first = Table(
        ['score', 'mean'],
        [[name.replace('_', ' '), f'{value:.4f}'] for name, value in found['scores'].items()],
        f'{found["pictures"]} pictures',
    )
    if not each:
        return [first]
    return [
        first,
        Table(
            ['label', 'pictures', 'average precision', 'answers right'], body, f'{len(each)} labels'
        ),
    ]
