"""Data for zero-shot learning: labels that number the classes of a knowledge base, and classes that
are kept from training."""

from collections.abc import Sequence

import numpy as np

from tljax.core import Dataset, Task, UserError, abbreviated, nearest_name
from tljax.data.class_splits import join_splits
from tljax.data.splits import restrict
from tljax.knowledge import Knowledge
from tljax.packing import Unpacked


def described(
    splits: dict[str, Dataset],
    knowledge: Knowledge,
    unseen: Sequence[str] = (),
    validation: Sequence[str] = (),
) -> dict[str, Dataset]:
    """Numbers labels by the list of a knowledge base, and keeps some classes from training.

    Args:
        splits: splits of a labelled set, whose classes are all in the knowledge base.
        knowledge: the knowledge base; it may list further classes.
        unseen: names of classes that training never sees.
        validation: names of classes by which settings are chosen. They are unseen, too.

    Returns:
        Splits whose classes are those of the knowledge base: 'train' without the kept classes;
        'test', all examples of `unseen`, or the test split where there is none; 'validation', all
        examples of the validation classes, or the validation split where there is none; and with
        unseen classes also 'seen', the test split of the classes that are trained on.

    Raises:
        UserError: a class is not in the knowledge base, is both for validation and for the test, or
            has no example; or too few are left for training.

    >>> from tljax.data.formats.arrays import arrays
    >>> from tljax.knowledge import knowledge
    >>> animals = knowledge(['horse', 'tiger', 'zebra'], [[1, 0], [0, 1], [1, 1]])
    >>> toy = arrays(np.zeros((6, 2)), np.arange(6) % 3, ('zebra', 'horse', 'tiger'))
    >>> splits = described({'train': toy, 'test': toy}, animals, unseen=['zebra'])
    >>> {name: np.unique(split.label).tolist() for name, split in splits.items()}
    {'train': [0, 1], 'test': [2], 'seen': [0, 1]}
    """
    _refuse_leak(unseen, validation)
    for name in (*unseen, *validation):
        if name not in splits['train'].classes:
            raise UserError(
                f'data.unseen: no example has the class {name!r}: '
                f'{nearest_name(name, splits["train"].classes)}'
            )
    numbered = {name: renumbered(split, knowledge) for name, split in splits.items() if split.size}
    kept = {*unseen, *validation}
    seen = [name for name in splits['train'].classes if name not in kept]
    if len(seen) < 2:
        raise UserError(
            f'data.unseen and data.validation leave {len(seen)} class to train on: keep two or more'
        )
    made = {'train': _of_classes(numbered['train'], knowledge.rows(seen))}
    joined = renumbered(join_splits(splits), knowledge) if kept else None
    for name, classes in (('validation', validation), ('test', unseen)):
        if joined and classes:
            made[name] = _of_classes(joined, knowledge.rows(classes))
        elif name in numbered:
            made[name] = _of_classes(numbered[name], knowledge.rows(seen))
    if unseen and 'test' in numbered:
        made['seen'] = _of_classes(numbered['test'], knowledge.rows(seen))
    return made


def renumbered(dataset: Dataset, knowledge: Knowledge) -> Dataset:
    """Returns a set whose labels number the classes of a knowledge base.

    Args:
        dataset: a set with classes.
        knowledge: the knowledge base.

    Raises:
        UserError: the set has no classes, or one that the knowledge base lacks.

    >>> from tljax.data.formats.arrays import arrays
    >>> from tljax.knowledge import knowledge
    >>> toy = arrays(np.zeros(2), np.array([0, 1]), ('tiger', 'horse'))
    >>> renumbered(toy, knowledge(['horse', 'zebra', 'tiger'], np.eye(3))).label.tolist()
    [2, 0]
    """
    if dataset.task.kind != 'classes':
        raise UserError(f'this set asks for {dataset.task.kind}: give one with classes')
    number = knowledge.rows(dataset.classes).astype(np.int32)
    label = number[dataset.label]
    return dataset._replace(
        take=Unpacked(
            lambda index: {**dataset.packed(index), 'label': label[index]},
        ),
        label=label,
        task=Task.of(knowledge.classes),
    )


def _of_classes(dataset: Dataset, rows: np.ndarray) -> Dataset:
    """The examples of some classes, whose labels stay."""
    return restrict(dataset, np.flatnonzero(np.isin(dataset.label, rows)))


def _refuse_leak(unseen: Sequence[str], validation: Sequence[str]) -> None:
    """Raises an error for a test class by which settings would be chosen."""
    leaked = [name for name in unseen if name in validation]
    if leaked:
        raise UserError(
            f'data.validation has {abbreviated(leaked)}, which data.unseen keeps for the test: '
            'take a class from one of them'
        )
