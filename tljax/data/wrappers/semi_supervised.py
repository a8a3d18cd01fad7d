"""A labelled set for semi-supervised methods: batches also carry inputs without labels."""

from tljax.core import Dataset
from tljax.data.splits import refuse_drawn


def semi_supervised(splits: dict[str, Dataset]) -> dict[str, Dataset]:
    """Adds unlabelled inputs to the training batches of a set, as their `target`.

    A batch carries as many unlabelled inputs as labelled ones; they are drawn from all training
    examples. `per_class` of a run's config sets the number of labels per class.

    Args:
        splits: splits of a labelled set.

    Returns:
        The splits; `target` of 'train' is 'train' itself.

    Raises:
        UserError: the set draws its examples (episodes), or has a target already.

    >>> from tljax.data import digits
    >>> semi_supervised(digits(size=8))['train'].target.size
    899
    """
    refuse_drawn(splits)
    return {**splits, 'train': splits['train']._replace(target=splits['train'])}
