"""A few classes to learn, and more classes to be told apart from one example each: the two
questions of one-shot learning."""

import numpy as np

from tljax.core import Dataset, UserError
from tljax.data.class_splits import join_splits, select_classes
from tljax.data.purposes import Purpose
from tljax.data.splits import cut
from tljax.data.wrappers.episodes import episode_dataset


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
    """Pictures of the first classes for training, and one-shot episodes over further classes that
    training never sees.

    Args:
        splits: of a labelled set; they are taken together.
        first: number of classes to train on.
        further: sizes of sets of other classes; a smaller set is part of a larger one.
        held: share of the first classes' pictures that is kept for measuring.
        shots: support pictures per class of an episode, which has all the classes of its set.
        queries: query pictures per class of an episode.
        count: number of episodes.
        seed: draws the classes, the pictures and the episodes.

    Returns:
        {'train', 'test'}: the first classes' pictures; {'next 10', ...}: episodes of further
        classes.

    Raises:
        UserError: more classes are asked for than there are, and as `episodes`.

    >>> from tljax.data import glyphs
    >>> splits = more_classes(glyphs(size=8, classes=20, per_class=8), first=5, further=(5, 10))
    >>> {name: (split.size, len(split.classes)) for name, split in splits.items()}
    {'train': (30, 5), 'test': (10, 5), 'next 5': (200, 5), 'next 10': (200, 10)}
    """
    whole = join_splits(splits)
    most = max(further, default=0)
    if first + most > len(whole.classes):
        raise UserError(
            f'data.first={first} and data.further={most} are more than the {len(whole.classes)} '
            'classes there are'
        )
    order = np.random.default_rng([Purpose.FIRST_CLASSES, seed]).permutation(len(whole.classes))
    parts = cut(select_classes(whole, order[:first]), {'test': held}, seed)
    for size in further:
        others = select_classes(whole, order[first : first + size])
        parts[f'next {size}'] = episode_dataset(
            others, size, shots, queries, count=count, seed=(seed, size)
        )
    return {name: parts[name] for name in ('train', 'test', *(f'next {size}' for size in further))}
