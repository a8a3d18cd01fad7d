"""Arrays of files as networks take them: which numbers are pictures, and which labels are classes."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tljax.core import Dataset, Refused, Task


def scale(input: np.ndarray) -> np.ndarray:
    """Numbers as networks take them.

    Args:
        input: numbers, (n, ...). uint8 with three or four axes is pictures: divided by 255, with a last axis for channels. Floats
            become float32; other integers stay what they are.

    Raises:
        Refused: for what is no array of numbers.

    >>> scale(np.full((2, 4, 4), 255, np.uint8)).shape, float(scale(np.full((2, 4, 4), 51, np.uint8)).max())
    ((2, 4, 4, 1), 0.20000000298023224)
    """
    input = np.asarray(input)
    if input.dtype.kind not in 'biuf' or not input.ndim:
        raise Refused(f'the input is {input.dtype} of shape {input.shape}: give an array of numbers with the examples on axis 0')
    if input.dtype == np.uint8 and input.ndim in (3, 4):
        return (input if input.ndim == 4 else input[..., None]) / np.float32(255)
    return input.astype(np.float32, copy=False) if input.dtype.kind == 'f' else input


def number(labels: dict[str, np.ndarray], classes: Sequence[str],
           where: str | Path) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Labels as classes or as numbers to regress on.

    Args:
        labels: {split: (n,) integers, or (n,) or (n, d) floats}, 'train' among them.
        classes: names in the order of the labels, or () where labels have none.
        where: the name of the set, for errors.

    Returns:
        (labels, classes): int32 labels and names, which are the numbers where none were given; or float32 labels and ().

    Raises:
        Refused: for labels that are neither, have no name, or, unnamed, are not 0, 1, 2 ... without gaps in train.

    >>> number({'train': np.array([1, 0, 1])}, (), 'toy')
    ({'train': array([1, 0, 1], dtype=int32)}, ('0', '1'))
    """
    labels = {split: np.asarray(label) for split, label in labels.items()}
    if not labels['train'].size:
        raise Refused(f'{where} has no training examples: give some')
    if all(label.dtype.kind == 'f' and label.ndim in (1, 2) for label in labels.values()) and not classes:
        if any(not np.isfinite(label).all() for label in labels.values()):
            raise Refused(f'{where}: some labels are not finite: clean them before they are trained on')
        return {split: label.astype(np.float32) for split, label in labels.items()}, ()
    for split, label in labels.items():
        if label.dtype.kind not in 'biu' or label.ndim != 1:
            raise Refused(f'{where}: the {split} labels are {label.dtype} of shape {label.shape}: give (n,) integers for classes '
                          '(names: np.unique(names, return_inverse=True)), or floats and no classes for regression')
    seen = np.unique(labels['train'])
    if not classes and not np.array_equal(seen, np.arange(len(seen))):
        raise Refused(f'{where}: the train labels run from {seen[0]} to {seen[-1]} with {len(seen)} distinct values: number them '
                      'from 0 without gaps (np.unique(label, return_inverse=True)), or name all of them in classes')
    classes = tuple(classes) or tuple(map(str, range(len(seen))))
    for split, label in labels.items():
        if len(label) and not 0 <= label.min() <= label.max() < len(classes):
            raise Refused(f'{where}: the {split} labels run from {label.min()} to {label.max()} but there are {len(classes)} '
                          'classes: number them from 0, and give every class a name or a training example')
    return {split: label.astype(np.int32) for split, label in labels.items()}, classes


def asked(splits: dict[str, Dataset], kind: str) -> dict[str, Dataset]:
    """The splits of a set that is asked for another task than its loader says.

    Args:
        splits: of a labelled set.
        kind: 'classes' takes the distinct labels of the training set as classes, in their order; 'numbers' takes labels as numbers.

    Raises:
        Refused: another kind, labels with several columns as classes, or a label that the training set does not have.

    >>> from tljax.data.formats.arrays import arrays
    >>> found = asked({'train': arrays(np.zeros(3), np.array([5., 7., 5.]))}, 'classes')['train']
    >>> found.task, found.label.tolist(), found.take(np.array([1]))['label'].tolist()
    (Task(kind='classes', names=('5.0', '7.0')), [0, 1, 0], [1])
    """
    if kind not in ('classes', 'numbers'):
        raise Refused(f'data.task={kind!r} is not classes or numbers')
    if kind == 'numbers':
        return {name: _labelled(split, np.asarray(split.label, np.float32), Task('numbers')) for name, split in splits.items()}
    values = np.unique(splits['train'].label)
    for name, split in splits.items():
        if split.label.ndim > 1 or not np.isin(split.label, values).all():
            raise Refused(f'data.task=classes: the {name} labels are no single classes of the training set: leave data.task out')
    names = splits['train'].classes or tuple(map(str, values.tolist()))
    return {name: _labelled(split, np.searchsorted(values, split.label).astype(np.int32), Task.of(names)) for name, split in splits.items()}


def _labelled(split, label, task):
    return split._replace(take=lambda index: {**split.take(index), 'label': label[index]}, label=label, task=task)
