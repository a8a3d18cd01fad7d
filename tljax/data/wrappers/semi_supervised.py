"""A labelled set of which only some labels are used: the inputs of all its training examples stand
beside a batch."""

from tljax.core import Dataset, UserError


def semi_supervised(splits: dict[str, Dataset]) -> dict[str, Dataset]:
    """The splits of a set, whose training batches carry as many inputs of any of its examples,
    without labels, as their `target`.

    Args:
        splits: of a labelled set. `per_class` of a run's config says how many labels a class keeps.

    Raises:
        UserError: the set makes its examples, or has a target already.

    >>> from tljax.data import digits
    >>> semi_supervised(digits(size=8))['train'].target.size
    899
    """
    if splits['train'].example or splits['train'].target:
        raise UserError('data.of has no examples that stand by themselves: give a set with labels')
    return {**splits, 'train': splits['train']._replace(target=splits['train'])}
