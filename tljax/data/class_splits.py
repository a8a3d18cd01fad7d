"""Splits that have no class in common, as few-shot learning needs them, and classes of rotated
pictures."""

from collections.abc import Sequence

import numpy as np

from tljax.core import Dataset, Task, UserError
from tljax.data.formats.arrays import arrays
from tljax.data.purposes import Purpose
from tljax.data.splits import restrict
from tljax.packing import Unpacked


def with_rotations(dataset: Dataset) -> Dataset:
    """Adds three new classes per class: its pictures rotated by 90, 180 and 270 degrees.

    Args:
        dataset: a set with classes, of square pictures (n, side, side, channels).

    >>> toy = with_rotations(arrays(np.arange(4.0).reshape(1, 2, 2, 1), np.array([0]), ['a']))
    >>> toy.classes
    ('a', 'a, turned by 90', 'a, turned by 180', 'a, turned by 270')
    >>> toy.take(np.array([0, 2]))['input'].reshape(2, 4).tolist()
    [[0.0, 1.0, 2.0, 3.0], [3.0, 2.0, 1.0, 0.0]]
    """
    pictures = dataset.take(np.arange(dataset.size))['input']
    refuse_not_square(pictures)
    names = list(dataset.classes)
    for degrees in (90, 180, 270):
        names += [f'{name}, turned by {degrees}' for name in dataset.classes]
    return arrays(
        np.concatenate([np.rot90(pictures, k, (1, 2)) for k in range(4)]),
        np.concatenate([dataset.label + k * len(dataset.classes) for k in range(4)]),
        names,
    )


def refuse_not_square(pictures: np.ndarray) -> None:
    """Raises an error unless pictures are square.

    Args:
        pictures: (n, height, width, ...).

    Raises:
        UserError: height and width differ, or the array has fewer than three axes.

    >>> refuse_not_square(np.zeros((2, 4, 6, 1)))
    Traceback (most recent call last):
    tljax.core.UserError: data.rotations: inputs (4, 6, 1) are no square pictures that could be ...
    """
    if pictures.ndim < 3 or pictures.shape[1] != pictures.shape[2]:
        raise UserError(
            f'data.rotations: inputs {pictures.shape[1:]} are no square pictures that could be '
            'turned: set it to False'
        )


def join_splits(splits: dict[str, Dataset]) -> Dataset:
    """Joins splits into one set, whose classes are the classes of all splits.

    Args:
        splits: {name: Dataset}; some may be empty.

    >>> splits = {
    ...     'train': arrays(np.zeros(2), np.array([0, 1]), ('ants', 'bees')),
    ...     'test': arrays(np.ones(2), np.array([0, 1]), ('bees', 'cats')),
    ... }
    >>> joint = join_splits(splits)
    >>> joint.classes, joint.label.tolist()
    (('ants', 'bees', 'cats'), [0, 1, 1, 2])
    """
    parts = [split for split in splits.values() if split.size]
    number = {}
    for part in parts:
        for name in part.classes:
            number.setdefault(name, len(number))
    inputs = [part.take(np.arange(part.size))['input'] for part in parts]
    labels = [np.array([number[name] for name in part.classes])[part.label] for part in parts]
    return arrays(np.concatenate(inputs), np.concatenate(labels), tuple(number))


def cut_by_class(dataset: Dataset, shares: dict[str, float], seed: int = 0) -> dict[str, Dataset]:
    """Cuts a set into splits that have no class in common; the remaining classes are 'train'.

    Args:
        dataset: a set with classes.
        shares: {name of a split: share of the classes, in (0, 1)}, such as {'validation': .2,
            'test': .2}.
        seed: seed that draws the classes.

    Raises:
        UserError: the shares leave no class for training.

    >>> toy = arrays(np.zeros(10), np.arange(10), 'abcdefghij')
    >>> splits = cut_by_class(toy, {'validation': 0.2, 'test': 0.3})
    >>> {name: len(split.classes) for name, split in splits.items()}
    {'train': 5, 'validation': 2, 'test': 3}
    """
    if not 0 < sum(shares.values()) < 1:
        raise UserError(
            f'data.by_class={shares}: give shares of the classes that leave some to train on'
        )
    order = np.random.default_rng([Purpose.CLASSES, seed]).permutation(len(dataset.classes))
    parts, start = {}, 0
    for name, share in shares.items():
        end = start + round(share * len(order))
        parts[name] = order[start:end]
        start = end
    parts = {'train': order[start:], **parts}
    return {name: select_classes(dataset, members) for name, members in parts.items()}


def select_classes(dataset: Dataset, members: Sequence[int] | np.ndarray) -> Dataset:
    """Returns the examples of some classes, numbered anew from 0 in the order of the old labels.

    Args:
        dataset: a set with classes.
        members: labels of the classes to keep.

    >>> toy = arrays(np.zeros(4), np.array([2, 0, 1, 2]), ('ants', 'bees', 'cats'))
    >>> part = select_classes(toy, [2, 0])
    >>> part.classes, part.label.tolist()
    (('ants', 'cats'), [1, 0, 1])
    """
    members = np.sort(members)
    split = restrict(dataset, np.flatnonzero(np.isin(dataset.label, members)))
    number = np.searchsorted(members, split.label)
    return split._replace(
        take=Unpacked(lambda index: {**split.packed(index), 'label': number[index]}),
        label=number,
        task=Task.of([dataset.classes[i] for i in members]),
    )
