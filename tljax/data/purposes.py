"""What a random stream on the host is for: streams of different purposes are independent, whatever
their seeds are."""

from enum import IntEnum


class Purpose(IntEnum):
    """The first number of a NumPy seed, `np.random.default_rng([Purpose.CUT, seed, ...])`.

    The numbers are part of what a seed means: a new purpose takes the next one.

    >>> import numpy as np
    >>> np.random.default_rng([Purpose.CUT, 0]).random() == np.random.default_rng(
    ...     [Purpose.SUBSET, 0]
    ... ).random()
    False
    """

    CUT = 1  # which examples a split gets
    SUBSET = 2  # which labels a budget keeps
    ORDER = 3  # the order of an epoch
    SHUFFLE = 4  # labels permuted over examples
    KEY = 5  # keys of examples that are made on the device
    CLASSES = 6  # which classes a split gets
    OMNIGLOT = 7  # which characters validate
    FIRST_CLASSES = 8  # which classes are learnt first
    BACKGROUNDS = 9  # windows of photographs behind MNIST-M's digits
    MOST = 10  # which examples are kept of a large split
