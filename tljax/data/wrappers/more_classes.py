"""Data for one-shot learning: some classes to train on, and further classes to recognise from one
example each."""

import numpy as np

from tljax.core import Dataset, UserError
from tljax.data.class_splits import join_splits, select_classes
from tljax.data.purposes import Purpose
from tljax.data.splits import cut
from tljax.data.wrappers.episodes import episode_dataset, refuse_no_classes


def more_classes(
    splits: dict[str, Dataset],
    first: int = 10,
    further: tuple[int, ...] = (10, 20, 50),
    held: float = 0.25,
    shots: int = 1,
    queries: int = 5,
    count: int = 200,
    seed: int = 0,
) -> dict[str, Dataset]:
    """Makes a training set of the first classes, and one-shot episodes of further classes.

    The order of the classes is random. An episode has all the classes of its set as ways.

    Args:
        splits: splits of a labelled set; they are joined.
        first: number of classes to train on.
        further: numbers of classes of the other sets; a smaller set is part of a larger one.
        held: share of the first classes' pictures that goes to 'test'.
        shots: number of support pictures per class of an episode.
        queries: number of query pictures per class of an episode.
        count: number of episodes of each set.
        seed: seed of the classes, the pictures and the episodes.

    Returns:
        A dict of splits: 'train' and 'test', pictures of the first classes, and for each number in
        `further` a split such as 'next 10' of episodes.

    Raises:
        UserError: `first` and `further` need more classes than there are; and as `episodes`.

    >>> from tljax.data import glyphs
    >>> splits = more_classes(glyphs(size=8, classes=20, per_class=8), first=5, further=(5, 10))
    >>> {name: (split.size, len(split.classes)) for name, split in splits.items()}
    {'train': (30, 5), 'test': (10, 5), 'next 5': (200, 5), 'next 10': (200, 10)}
    """
    refuse_no_classes(splits['train'])
    dataset = join_splits(splits)
    largest = max(further, default=0)
    if first + largest > len(dataset.classes):
        raise UserError(
            f'data.first={first} and data.further={largest} are more than the '
            f'{len(dataset.classes)} classes there are'
        )
    order = np.random.default_rng([Purpose.FIRST_CLASSES, seed]).permutation(len(dataset.classes))
    pictures = cut(select_classes(dataset, order[:first]), {'test': held}, seed)
    parts = {'train': pictures['train'], 'test': pictures['test']}
    for size in further:
        members = select_classes(dataset, order[first : first + size])
        parts[f'next {size}'] = episode_dataset(
            members, size, shots, queries, count=count, seed=(seed, size)
        )
    return parts
