"""Splits that have no class in common, as few-shot learning needs them, and classes of turned
pictures."""

from collections.abc import Sequence

import numpy as np

from tljax.core import Dataset, Task, UserError
from tljax.data.formats.arrays import arrays
from tljax.data.purposes import Purpose
from tljax.data.splits import restrict


def with_rotations(dataset: Dataset) -> Dataset:
    """A set of square pictures with three more classes for each, turned by 90, 180 and 270 degrees.

    Args:
        dataset: of square pictures, (n, side, side, channels), with classes.

    >>> toy = with_rotations(arrays(np.arange(4.0).reshape(1, 2, 2, 1), np.array([0]), ['a']))
    >>> toy.classes, toy.take(np.array([2]))['input'].ravel().tolist()
    (('a', 'a, turned by 90', 'a, turned by 180', 'a, turned by 270'), [3.0, 2.0, 1.0, 0.0])
    """
    pictures = dataset.take(np.arange(dataset.size))['input']
    refuse_not_square(pictures)
    names = [
        f'{name}, turned by {90 * k}' if k else name for k in range(4) for name in dataset.classes
    ]
    return arrays(
        np.concatenate([np.rot90(pictures, k, (1, 2)) for k in range(4)]),
        np.concatenate([dataset.label + k * len(dataset.classes) for k in range(4)]),
        names,
    )


def refuse_not_square(pictures: np.ndarray) -> None:
    """Raises an error unless pictures (n, h, w, ...) are square.

    Args:
        pictures: (n, height, width, ...).

    >>> refuse_not_square(np.zeros((2, 4, 4, 1)))
    """
    if pictures.ndim < 3 or pictures.shape[1] != pictures.shape[2]:
        raise UserError(
            f'data.rotations: inputs {pictures.shape[1:]} are no square pictures that could be '
            'turned: set it to False'
        )


def join_splits(splits: dict[str, Dataset]) -> Dataset:
    """The splits of a set as one set again, with the classes of all of them.

    Args:
        splits: {name: Dataset}; some may be empty.

    >>> parts = {
    ...     'train': arrays(np.zeros(2), np.array([0, 1]), 'ab'),
    ...     'test': arrays(np.ones(1), np.array([0]), 'b'),
    ... }
    >>> join_splits(parts).label.tolist()
    [0, 1, 1]
    """
    parts = [split for split in splits.values() if split.size]
    number = {
        name: i
        for i, name in enumerate(dict.fromkeys(name for part in parts for name in part.classes))
    }
    return arrays(
        np.concatenate([part.take(np.arange(part.size))['input'] for part in parts]),
        np.concatenate(
            [np.array([number[name] for name in part.classes])[part.label] for part in parts]
        ),
        tuple(number),
    )


def cut_by_class(dataset: Dataset, shares: dict[str, float], seed: int = 0) -> dict[str, Dataset]:
    """Splits that have no class in common: {'validation': .2, 'test': .2} are shares of the
    classes, drawn by the seed; the rest trains.

    Args:
        dataset: with classes.
        shares: {name of a split: share of the classes, in (0, 1)}.
        seed: draws the classes.

    >>> toy = arrays(np.zeros(10), np.arange(10), 'abcdefghij')
    >>> {
    ...     name: len(split.classes)
    ...     for name, split in cut_by_class(toy, {'validation': 0.2, 'test': 0.3}).items()
    ... }
    {'train': 5, 'validation': 2, 'test': 3}
    """
    if not 0 < sum(shares.values()) < 1:
        raise UserError(
            f'data.by_class={shares}: give shares of the classes that leave some to train on'
        )
    order = np.random.default_rng([Purpose.CLASSES, seed]).permutation(len(dataset.classes))
    parts, begun = {}, 0
    for name, share in shares.items():
        parts[name] = order[begun : (begun := begun + round(share * len(order)))]
    return {
        name: select_classes(dataset, members)
        for name, members in {'train': order[begun:], **parts}.items()
    }


def select_classes(dataset: Dataset, members: Sequence[int] | np.ndarray) -> Dataset:
    """The examples of some of the classes, numbered from 0 in the set's own order.

    Args:
        dataset: with classes.
        members: the labels of those that stay.

    >>> select_classes(arrays(np.zeros(3), np.array([2, 0, 2]), 'abc'), [2]).classes
    ('c',)
    """
    members = np.sort(members)
    split = restrict(dataset, np.flatnonzero(np.isin(dataset.label, members)))
    number = np.searchsorted(members, split.label)
    return split._replace(
        take=lambda index: {**split.take(index), 'label': number[index]},
        label=number,
        task=Task.of([dataset.classes[i] for i in members]),
    )
