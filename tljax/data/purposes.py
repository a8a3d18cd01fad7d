"""Purposes of the random streams on the host. Streams of different purposes are independent, even
if their seeds are equal."""

from enum import IntEnum


class Purpose(IntEnum):
    """First number of a NumPy seed, as in `np.random.default_rng([Purpose.CUT, seed, ...])`.

    The numbers decide the random draws, so they never change; a new purpose takes the next number.

    >>> import numpy as np
    >>> cut = np.random.default_rng([Purpose.CUT, 0])
    >>> subset = np.random.default_rng([Purpose.SUBSET, 0])
    >>> cut.random() == subset.random()
    False
    """

    CUT = 1  # which examples a split gets
    SUBSET = 2  # which labels a budget keeps
    ORDER = 3  # the order of an epoch
    SHUFFLE = 4  # labels permuted over examples
    KEY = 5  # keys of examples that are made on the device
    CLASSES = 6  # which classes a split gets
    OMNIGLOT = 7  # which characters of Omniglot are for validation
    FIRST_CLASSES = 8  # which classes are learnt first
    BACKGROUNDS = 9  # crops of photographs behind MNIST-M's digits
    MOST = 10  # which examples of a large split are kept
    TRANSFORMED = 11  # which transformation a picture gets
    FLIPPED = 12  # which labels of a source are made wrong
    SHUFFLED_TASK = 13  # labels of a task permuted over examples
    OVERLAY = 14  # which digit MultiMNIST lays over another
    DESCRIPTORS = 15  # which descriptors of pictures become visual words
    FOLDS = 16  # which fold a person gets
    MADE_ATOMS = 17  # papers and rooms of made offices
    PAIRS = 18  # which examples of two feature spaces are labelled, and which are pairs
    BLOCKS = 19  # links and inputs of made graphs
    SCENES = 20  # which pictures stand where in a scene
    WITHDRAWN = 21  # which examples a study withdraws
