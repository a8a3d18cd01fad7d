"""A few classes to learn, and more classes to be told apart from one example each: the two questions of one-shot learning."""
import numpy as np

from tljax.configuration import named
from tljax.core import Refused
from tljax.data.class_splits import joined, of_classes
from tljax.data.purposes import Purpose
from tljax.data.splits import cut
from tljax.data.wrappers.episodes import of_episodes


def more_classes(of, first=10, further=(10, 20, 50), held=.25, shots=1, queries=5, count=200, seed=0):
    """Pictures of the first classes for training, and one-shot episodes over further classes that training never sees.

    Args:
        of: config of a labelled set, {'name': 'glyphs', ...}, all splits of which are taken together. first: classes to train on.
            further: the sizes of sets of other classes; a smaller set is part of a larger one. held: share of the first classes' pictures
            that is kept for measuring. shots, queries: of an episode, which has all the classes of its set. count: of the episodes.
            seed: which classes, which pictures, which episodes.

    Returns:
        {'train', 'test'}: the first classes' pictures; {'next 10', ...}: episodes of further classes.

    Raises:
        Refused: for more classes than there are, and as `tljax.data.wrappers.episodes.episodes`.

    >>> splits = more_classes({'name': 'glyphs', 'size': 8, 'classes': 20, 'per_class': 8}, first=5, further=(5, 10))
    >>> {name: (split.size, len(split.classes)) for name, split in splits.items()}
    {'train': (30, 5), 'test': (10, 5), 'next 5': (200, 5), 'next 10': (200, 10)}
    """
    whole = joined(named('tljax.data', of, 'data.of'))
    most = max(further, default=0)
    if first + most > len(whole.classes):
        raise Refused(f'data.first={first} and data.further={most} are more than the {len(whole.classes)} classes there are')
    order = np.random.default_rng([Purpose.FIRST_CLASSES, seed]).permutation(len(whole.classes))
    splits = cut(of_classes(whole, order[:first]), {'test': held}, seed)
    for size in further:
        others = of_classes(whole, order[first:first + size])
        splits[f'next {size}'] = of_episodes(others, size, shots, queries, count=count, seed=(seed, size))
    return {name: splits[name] for name in ('train', 'test', *(f'next {size}' for size in further))}
