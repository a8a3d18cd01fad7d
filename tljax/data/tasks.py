"""What labels ask of a model: one class of several, several labels for an example, or numbers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tljax.core import Dataset, Task, UserError, abbreviated
from tljax.data.layout import refuse_similar_names

KINDS = ('classes', 'labels', 'numbers')  # of tasks
# distinct whole numbers that may be classes written as floats
FEW = 20


def infer_task(
    labels: dict[str, np.ndarray], names: Sequence[str], where: str | Path, task: str = ''
) -> tuple[dict[str, np.ndarray], Task, tuple[str, ...]]:
    """What labels ask of a model: classes, several labels for an example, or numbers to regress on.

    Rows with a single 1 are classes, other rows of 0 and 1 several labels. Integers, words, and
    floats that are 0 or 1 are classes. Other floats are numbers.

    Args:
        labels: {split: (n,) or (n, d) numbers, or (n,) words}, 'train' among them.
        names: of the classes in the order of the labels, or of the labels; () where there are none.
        where: name of the set, for errors.
        task: 'classes', 'labels' or 'numbers', where the user says it.

    Returns:
        (labels, task, notes): int32 (n,), or float32 (n, labels) of 0 and 1, or float32 (n,) or
        (n, d); and what was decided for the user, a line each.

    Raises:
        UserError: for labels that are none of these, have no name, are not finite, or, unnamed, are
            not 0, 1, 2 ... without gaps in train.

    >>> infer_task({'train': np.array([1, 0, 1])}, (), 'toy')
    ({'train': array([1, 0, 1], dtype=int32)}, Task(kind='classes', names=('0', '1')), ())
    >>> infer_task({'train': np.array([[0.0, 1.0], [1.0, 0.0]])}, ('cat', 'dog'), 'toy')[0]['train']
    array([1, 0], dtype=int32)
    """
    if task and task not in KINDS:
        raise UserError(f'data.task={task!r} is not classes, labels or numbers')
    labels = {split: _column(np.asarray(label)) for split, label in labels.items()}
    if not labels['train'].size:
        raise UserError(f'{where} has no training examples: give some')
    if len(set(map(str.strip, names))) < len(names):
        raise UserError(
            f'{where}: classes has a name twice ({abbreviated(names)}): give each class one of its '
            'own'
        )
    for split, label in labels.items():
        if (
            label.dtype.kind not in 'biufU'
            or label.ndim > 1 + (label.dtype.kind != 'U')
            or not label.ndim
        ):
            raise UserError(
                f'{where}: the {split} labels are {label.dtype} of shape {label.shape}: give (n,) '
                'integers or words for classes, (n, labels) of 0 and 1 for several labels, floats '
                'for regression'
            )
        if label.dtype.kind == 'f' and not np.isfinite(label).all():
            raise UserError(
                f'{where}: some labels are not finite: clean them before they are trained on'
            )
    kind, notes = _kind(labels, names, task)
    if kind == 'classes' and labels['train'].dtype.kind == 'U':
        if '' in labels['train']:
            raise UserError(
                f'{where}: {int((labels["train"] == "").sum())} labels are empty: fill them in or '
                'remove the examples'
            )
        refuse_similar_names(np.unique(labels['train']).tolist(), where)
    make = {'classes': _classes, 'labels': _several, 'numbers': _numbers}[kind]
    return make(labels, tuple(names), where, notes, bool(task))


def _column(label):
    label = _words(label) if label.dtype.kind == 'S' else label
    return label[:, 0] if label.ndim == 2 and label.shape[1] == 1 else label


def _words(label):
    """Words that are stored as bytes."""
    return np.char.decode(label, 'utf-8', 'backslashreplace')


def _kind(labels, names, task):
    """The kind of the task, and what is said of it."""
    if task:
        return task, ()
    every = [label for label in labels.values() if label.size]
    if any(label.dtype.kind == 'U' for label in every):
        values = np.unique(labels['train']).tolist()
        numerals = not names and all(value.replace('.', '', 1).isdigit() for value in values)
        return 'classes', (
            'labels are words that are numbers: each is a class; store them as numbers for '
            'regression',
        ) if numerals else ()
    binary = all(np.isin(label, (0, 1)).all() for label in every)
    if all(label.ndim == 2 for label in every):
        rows = [label.sum(1) for label in every]
        if binary and all((row == 1).all() for row in rows):
            return 'classes', (
                'rows of labels with a single 1 are taken for classes; data.task=labels or '
                'data.task=numbers takes them otherwise',
            )
        if binary:
            odd, count = sum(int((row != 1).sum()) for row in rows), sum(map(len, rows))
            return 'labels', (
                f'rows of 0 and 1 are taken for several labels of an example ({odd} of {count} '
                'have not a single 1); data.task=numbers takes them for numbers',
            )
        shares = all(
            (label >= 0).all() and np.allclose(row, 1)
            for label, row in zip(every, rows, strict=True)
        )
        values = np.unique(labels['train'])
        if not shares and len(values) <= FEW and (values == np.round(values)).all():
            return 'numbers', (
                f'rows of {abbreviated(f"{value:g}" for value in values)} are taken for numbers to '
                'regress on; several labels are rows of 0 and 1',
            )
        return 'numbers', (
            'rows of labels that sum to 1 are taken for numbers to regress on, not for '
            'probabilities of classes',
        ) if shares else ()
    if all(label.dtype.kind in 'biu' for label in every) or names:
        return 'classes', ()
    if binary:
        return 'classes', (
            'labels of 0.0 and 1.0 are taken for classes; data.task=numbers takes them for numbers',
        )
    values = np.unique(labels['train'])
    if len(values) <= FEW and (values == np.round(values)).all():
        return 'numbers', (
            f'labels of {abbreviated(f"{value:g}" for value in values)} are taken for numbers to '
            'regress on; data.task=classes takes them for classes',
        )
    return 'numbers', ()


def _classes(labels, names, where, notes, said):
    if any(label.ndim == 2 for label in labels.values()):
        return _one_hot(labels, names, where, notes)
    kind, train = labels['train'].dtype.kind, np.unique(labels['train'])
    if kind in 'biu' and any(label.dtype.kind in 'fU' and len(label) for label in labels.values()):
        told = ', '.join(f'{split} {label.dtype}' for split, label in labels.items())
        raise UserError(f'{where}: labels are of several kinds ({told}): store all alike')
    if kind in 'Uf' or said and not names:
        values = train if not names else np.array(names) if kind == 'U' else np.arange(len(names))
        labels = {split: _places(label, values, split, where) for split, label in labels.items()}
        names = names or tuple(f'{value:g}' if kind == 'f' else str(value) for value in train)
    elif not names and not np.array_equal(train, np.arange(len(train))):
        raise UserError(
            f'{where}: the train labels run from {train[0]} to {train[-1]} with {len(train)} '
            'distinct values: say data.task=classes (each value a class) or data.task=numbers, or '
            'name all of them in classes'
        )
    names = names or tuple(map(str, range(len(train))))
    for split, label in labels.items():
        if len(label) and not 0 <= label.min() <= label.max() < len(names):
            raise UserError(
                f'{where}: the {split} labels run from {label.min()} to {label.max()} but there '
                f'are {len(names)} classes: number them from 0, and give every class a name or a '
                'training example'
            )
    return {split: label.astype(np.int32) for split, label in labels.items()}, Task.of(names), notes


def _places(label, values, split, where):
    """Where each label stands among the values of the classes."""
    known = np.isin(label, values)
    if not known.all():
        raise UserError(
            f'{where}: the {split} labels hold {abbreviated(np.unique(label[~known]), 3)}, which '
            f'is no class of the training set ({abbreviated(values)}): mend them, or add training '
            'examples'
        )
    order = np.argsort(values)
    return order[np.searchsorted(values, label, sorter=order)].astype(np.int32)


def _one_hot(labels, names, where, notes):
    width = labels['train'].shape[-1]
    for split, label in labels.items():
        if (
            label.shape[1:] != (width,)
            or not np.isin(label, (0, 1)).all()
            or (label.sum(1) != 1).any()
        ):
            raise UserError(
                f'{where}: some rows of the {split} labels have not a single 1: say '
                'data.task=labels for several labels of an example, or data.task=numbers'
            )
    _refuse_names(names, width, where)
    names = names or tuple(map(str, range(width)))
    return (
        {split: label.argmax(1).astype(np.int32) for split, label in labels.items()},
        Task.of(names),
        notes,
    )


def _several(labels, names, where, notes, _):
    width = labels['train'].shape[-1]
    for split, label in labels.items():
        if (
            label.shape[1:] != (width,)
            or labels['train'].ndim != 2
            or not np.isin(label, (0, 1)).all()
        ):
            raise UserError(
                f'{where}: the {split} labels, {label.dtype} of shape {label.shape}, are no rows '
                'of 0 and 1 with a column for each label'
            )
    _refuse_names(names, width, where)
    names = names or tuple(map(str, range(width)))
    return (
        {split: label.astype(np.float32) for split, label in labels.items()},
        Task('labels', names),
        notes,
    )


def _refuse_names(names, width, where):
    if names and len(names) != width:
        raise UserError(
            f'{where}: labels have {width} columns and classes {len(names)} names: give one for '
            'each'
        )


def _numbers(labels, _, where, notes, __):
    for split, label in labels.items():
        if label.dtype.kind == 'U':
            raise UserError(f'{where}: the {split} labels are words: leave data.task=numbers out')
        if label.shape[1:] != labels['train'].shape[1:]:
            raise UserError(
                f'{where}: the {split} labels have the shape {label.shape}, those of train '
                f'{labels["train"].shape}: give all as many numbers'
            )
    return (
        {split: label.astype(np.float32) for split, label in labels.items()},
        Task('numbers'),
        notes,
    )


def with_task(splits: dict[str, Dataset], kind: str) -> dict[str, Dataset]:
    """The splits of a set that is asked for another task than its loader says.

    Args:
        splits: of a labelled set.
        kind: 'classes' takes the distinct labels of the training set as classes, in their order;
            'numbers' takes labels as numbers; 'labels' takes rows of 0 and 1.

    Raises:
        UserError: another kind, and as `infer_task`.

    >>> from tljax.data.formats.arrays import arrays
    >>> found = with_task({'train': arrays(np.zeros(3), np.array([5.0, 7.0, 5.0]))}, 'classes')[
    ...     'train'
    ... ]
    >>> found.task, found.label.tolist(), found.take(np.array([1]))['label'].tolist()
    (Task(kind='classes', names=('5', '7')), [0, 1, 0], [1])
    """
    held, names = {name: split.label for name, split in splits.items()}, splits['train'].task.names
    if kind == 'numbers' and splits['train'].task.kind == 'classes':
        values, names = _as_numbers(names), ()
        held = {name: values[label] for name, label in held.items()}
    labels, task, notes = infer_task(held, names, f'data.task={kind}', kind)
    return {name: _labelled(split, labels[name], task, notes) for name, split in splits.items()}


def _as_numbers(names):
    """What classes stand for whose names are numbers."""
    try:
        return np.array(names, np.float32)
    except ValueError:
        raise UserError(
            f'data.task=numbers: the classes {abbreviated(names, 4)} are no numbers: leave '
            'data.task out'
        ) from None


def _labelled(split, label, task, notes):
    return split._replace(
        take=lambda index: {**split.take(index), 'label': label[index]},
        label=label,
        task=task,
        notes=(*split.notes, *notes),
    )
