"""A labelled set whose labels are withheld, for methods that learn from inputs alone."""

import numpy as np

from tljax.core import Dataset, Task
from tljax.data.splits import refuse_drawn
from tljax.packing import Unpacked


def without_labels(splits: dict[str, Dataset]) -> dict[str, Dataset]:
    """Withholds the labels of a set, so that nothing can be learnt or chosen by them.

    `per_class` of a run's config then counts examples, which are drawn whatever their classes are.

    Args:
        splits: splits of a labelled set.

    Returns:
        The splits, whose labels are all -1; no score is measured on them.

    Raises:
        UserError: the set draws its examples (episodes), or pairs two domains.

    >>> from tljax.data import digits
    >>> train = without_labels(digits(size=8))['train']
    >>> train.task.kind, train.take(np.arange(2))['label'].tolist()
    ('unlabelled', [-1, -1])
    """
    refuse_drawn(splits)
    return {name: _withheld(split) for name, split in splits.items()}


def _withheld(split):
    label = np.full(split.size, -1)
    take = Unpacked(lambda index: {**split.packed(index), 'label': label[index]})
    return split._replace(take=take, label=label, task=Task('unlabelled'))
