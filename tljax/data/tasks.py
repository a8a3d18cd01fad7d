"""Infers the task of labels: one class of several, several labels for an example, or numbers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tljax.core import Dataset, Task, UserError, abbreviated
from tljax.data.layout import refuse_similar_names
from tljax.packing import Unpacked

KINDS = ('classes', 'labels', 'numbers')  # kinds of tasks
VALUE_LIMIT = 20  # floats with at most this many distinct whole numbers could be classes


def infer_task(
    labels: dict[str, np.ndarray], names: Sequence[str], where: str | Path, task: str = ''
) -> tuple[dict[str, np.ndarray], Task, tuple[str, ...]]:
    """Infers the task of labels: classes, several labels for an example, or numbers to regress on.

    Rows with a single 1 are classes, and other rows of 0 and 1 are several labels. Integers, words,
    and floats that are 0 or 1 are classes. Other floats are numbers.

    Args:
        labels: {split: (n,) or (n, d) numbers, or (n,) words}, with 'train'.
        names: names of the classes, in the order of the labels, or of the labels; () for none.
        where: name of the set, for errors.
        task: 'classes', 'labels' or 'numbers' if the user states it; '' infers it.

    Returns:
        The labels of each split, the task, and notes that say what was inferred, a line each.
        Labels are int32 (n,) for classes, float32 (n, labels) of 0 and 1 for several labels, and
        float32 (n,) or (n, d) for numbers.

    Raises:
        UserError: labels are none of these, are not finite, or have no name; or labels without
            names are not 0, 1, 2 ... without gaps in 'train'.

    >>> labels, task, notes = infer_task({'train': np.array(['dog', 'cat', 'dog'])}, (), 'toy')
    >>> task, labels['train'].tolist()
    (Task(kind='classes', names=('cat', 'dog')), [1, 0, 1])
    >>> labels, task, notes = infer_task({'train': np.array([[1, 1], [0, 1]])}, ('sea', 'sky'), 'a')
    >>> task
    Task(kind='labels', names=('sea', 'sky'))
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
        _refuse_malformed(label, split, where)
    kind, notes = (task, ()) if task else _inferred_kind(labels, names)
    if kind == 'classes' and labels['train'].dtype.kind == 'U':
        if '' in labels['train']:
            raise UserError(
                f'{where}: {int((labels["train"] == "").sum())} labels are empty: fill them in or '
                'remove the examples'
            )
        refuse_similar_names(np.unique(labels['train']).tolist(), where)
    if kind == 'classes':
        labels, names = _classes(labels, tuple(names), where, is_stated=bool(task))
        return labels, Task.of(names), notes
    if kind == 'labels':
        labels, names = _several_labels(labels, tuple(names), where)
        return labels, Task('labels', names), notes
    return _numbers(labels, where), Task('numbers'), notes


def _refuse_malformed(label, split, where):
    """Refuses labels of a wrong type or shape, and numbers that are not finite."""
    most_axes = 1 if label.dtype.kind == 'U' else 2
    if label.dtype.kind not in 'biufU' or not 1 <= label.ndim <= most_axes:
        raise UserError(
            f'{where}: the {split} labels are {label.dtype} of shape {label.shape}: give (n,) '
            'integers or words for classes, (n, labels) of 0 and 1 for several labels, floats for '
            'regression'
        )
    if label.dtype.kind == 'f' and not np.isfinite(label).all():
        raise UserError(
            f'{where}: some labels are not finite: clean them before they are trained on'
        )


def _column(label):
    """Labels with words as text instead of bytes, and a single column as (n,)."""
    if label.dtype.kind == 'S':
        label = np.char.decode(label, 'utf-8', 'backslashreplace')
    return label[:, 0] if label.ndim == 2 and label.shape[1] == 1 else label


def _inferred_kind(labels, names):
    """The kind of the task, and notes that say how it was inferred."""
    arrays = [label for label in labels.values() if label.size]
    values = np.unique(labels['train'])
    if any(label.dtype.kind == 'U' for label in arrays):
        numerals = all(str(value).replace('.', '', 1).isdigit() for value in values)
        note = (
            'labels are words that are numbers: each is a class; store them as numbers for '
            'regression'
        )
        return 'classes', (note,) if numerals and not names else ()
    if all(label.ndim == 2 for label in arrays):
        return _kind_of_rows(arrays, values)
    if all(label.dtype.kind in 'biu' for label in arrays) or names:
        return 'classes', ()
    if all(np.isin(label, (0, 1)).all() for label in arrays):
        note = (
            'labels of 0.0 and 1.0 are taken for classes; data.task=numbers takes them for numbers'
        )
        return 'classes', (note,)
    if _are_few_whole_numbers(values):
        note = (
            f'labels of {abbreviated(f"{value:g}" for value in values)} are taken for numbers to '
            'regress on; data.task=classes takes them for classes'
        )
        return 'numbers', (note,)
    return 'numbers', ()


def _kind_of_rows(arrays, values):
    """As `_inferred_kind`, for labels (n, d); `values` are the distinct numbers in 'train'."""
    sums = np.concatenate([label.sum(1) for label in arrays])
    if all(np.isin(label, (0, 1)).all() for label in arrays):
        count = int((sums != 1).sum())
        if not count:
            note = (
                'rows of labels with a single 1 are taken for classes; data.task=labels or '
                'data.task=numbers takes them otherwise'
            )
            return 'classes', (note,)
        note = (
            f'rows of 0 and 1 are taken for several labels of an example ({count} of {len(sums)} '
            'have not a single 1); data.task=numbers takes them for numbers'
        )
        return 'labels', (note,)
    if all((label >= 0).all() for label in arrays) and np.allclose(sums, 1):
        note = (
            'rows of labels that sum to 1 are taken for numbers to regress on, not for '
            'probabilities of classes'
        )
        return 'numbers', (note,)
    if _are_few_whole_numbers(values):
        note = (
            f'rows of {abbreviated(f"{value:g}" for value in values)} are taken for numbers to '
            'regress on; several labels are rows of 0 and 1'
        )
        return 'numbers', (note,)
    return 'numbers', ()


def _are_few_whole_numbers(values):
    return len(values) <= VALUE_LIMIT and (values == np.round(values)).all()


def _classes(labels, names, where, is_stated):
    """Labels as int32 (n,), and the names of the classes.

    Args:
        labels: {split: (n,) or one-hot (n, classes)}.
        names: names of the classes; () takes the labels themselves.
        where: name of the set, for errors.
        is_stated: whether the user has stated that the labels are classes. Then integers without
            names may be any numbers.
    """
    if any(label.ndim == 2 for label in labels.values()):
        return _one_hot(labels, names, where)
    kind, values = labels['train'].dtype.kind, np.unique(labels['train'])
    if kind in 'biu' and any(label.dtype.kind in 'fU' and len(label) for label in labels.values()):
        types = ', '.join(f'{split} {label.dtype}' for split, label in labels.items())
        raise UserError(f'{where}: labels are of several kinds ({types}): store all alike')
    if kind in 'Uf' or is_stated and not names:
        if names:
            order = np.array(names) if kind == 'U' else np.arange(len(names))
        else:
            order = values
            names = tuple(f'{value:g}' if kind == 'f' else str(value) for value in values)
        labels = {split: _places(label, order, split, where) for split, label in labels.items()}
    elif not names and not np.array_equal(values, np.arange(len(values))):
        raise UserError(
            f'{where}: the train labels run from {values[0]} to {values[-1]} with {len(values)} '
            'distinct values: say data.task=classes (each value a class) or data.task=numbers, or '
            'name all of them in classes'
        )
    names = names or tuple(map(str, range(len(values))))
    for split, label in labels.items():
        if len(label) and not 0 <= label.min() <= label.max() < len(names):
            raise UserError(
                f'{where}: the {split} labels run from {label.min()} to {label.max()} but there '
                f'are {len(names)} classes: number them from 0, and give every class a name or a '
                'training example'
            )
    return {split: label.astype(np.int32) for split, label in labels.items()}, names


def _places(label, values, split, where):
    """The index of each label in `values`, the values of the classes."""
    is_class = np.isin(label, values)
    if not is_class.all():
        raise UserError(
            f'{where}: the {split} labels hold {abbreviated(np.unique(label[~is_class]), 3)}, '
            f'which is no class of the training set ({abbreviated(values)}): mend them, or add '
            'training examples'
        )
    order = np.argsort(values)
    return order[np.searchsorted(values, label, sorter=order)].astype(np.int32)


def _one_hot(labels, names, where):
    """Classes from rows with a single 1: labels as int32 (n,), and the names of the classes."""
    width = labels['train'].shape[-1]
    for split, label in labels.items():
        if not _is_binary(label, width) or (label.sum(1) != 1).any():
            raise UserError(
                f'{where}: some rows of the {split} labels have not a single 1: say '
                'data.task=labels for several labels of an example, or data.task=numbers'
            )
    names = _column_names(names, width, where)
    return {split: label.argmax(1).astype(np.int32) for split, label in labels.items()}, names


def _several_labels(labels, names, where):
    """Several labels from rows of 0 and 1: labels as float32 (n, labels), and their names."""
    width = labels['train'].shape[-1]
    for split, label in labels.items():
        if labels['train'].ndim != 2 or not _is_binary(label, width):
            raise UserError(
                f'{where}: the {split} labels, {label.dtype} of shape {label.shape}, are no rows '
                'of 0 and 1 with a column for each label'
            )
    names = _column_names(names, width, where)
    return {split: label.astype(np.float32) for split, label in labels.items()}, names


def _is_binary(label, width):
    """Whether labels are (n, width) of 0 and 1."""
    return label.shape[1:] == (width,) and np.isin(label, (0, 1)).all()


def _column_names(names, width, where):
    """The names of the columns, which are numbers if `names` is empty."""
    if names and len(names) != width:
        raise UserError(
            f'{where}: labels have {width} columns and classes {len(names)} names: give one for '
            'each'
        )
    return names or tuple(map(str, range(width)))


def _numbers(labels, where):
    """Labels as float32 (n,) or (n, d)."""
    for split, label in labels.items():
        if label.dtype.kind == 'U':
            raise UserError(f'{where}: the {split} labels are words: leave data.task=numbers out')
        if label.shape[1:] != labels['train'].shape[1:]:
            raise UserError(
                f'{where}: the {split} labels have the shape {label.shape}, those of train '
                f'{labels["train"].shape}: give all as many numbers'
            )
    return {split: label.astype(np.float32) for split, label in labels.items()}


def with_task(splits: dict[str, Dataset], kind: str) -> dict[str, Dataset]:
    """Converts the labels of a set to another task than the one its loader has inferred.

    Args:
        splits: splits of a labelled set.
        kind: 'classes' makes each distinct label of the training set a class, in increasing order;
            'numbers' makes labels numbers; 'labels' makes rows of 0 and 1 several labels.

    Raises:
        UserError: another kind, or as in `infer_task`.

    >>> from tljax.data.formats.arrays import arrays
    >>> ages = arrays(np.zeros(3), np.array([5.0, 7.0, 5.0]))
    >>> train = with_task({'train': ages}, 'classes')['train']
    >>> train.classes, train.label.tolist()
    (('5', '7'), [0, 1, 0])
    """
    if splits['train'].task.tasks:
        raise UserError(
            f'data.task={kind}: this data has several tasks: say data.of.NAME.task for one of them'
        )
    labels = {name: split.label for name, split in splits.items()}
    names = splits['train'].task.names
    if kind == 'numbers' and splits['train'].task.kind == 'classes':
        values, names = _names_as_numbers(names), ()
        labels = {name: values[label] for name, label in labels.items()}
    labels, task, notes = infer_task(labels, names, f'data.task={kind}', kind)
    return {
        name: _replace_labels(split, labels[name], task, notes) for name, split in splits.items()
    }


def _names_as_numbers(names):
    """The names of classes as float32, for classes whose names are numbers."""
    try:
        return np.array(names, np.float32)
    except ValueError:
        raise UserError(
            f'data.task=numbers: the classes {abbreviated(names, 4)} are no numbers: leave '
            'data.task out'
        ) from None


def _replace_labels(split, label, task, notes):
    return split._replace(
        take=Unpacked(lambda index: {**split.packed(index), 'label': label[index]}),
        label=label,
        task=task,
        notes=(*split.notes, *notes),
    )
