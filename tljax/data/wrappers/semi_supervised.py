"""A labelled set of which only some labels are used: the inputs of all its training examples stand beside a batch."""
from tljax.configuration import named
from tljax.core import Refused


def semi_supervised(of):
    """The splits of a set, whose training batches carry as many inputs of any of its examples, without labels, as their `target`.

    Args:
        of: config of the set. `per_class` of the config says how many labels a class keeps.

    Raises:
        Refused: for a set that makes its examples or has a target already.

    >>> splits = semi_supervised({'name': 'digits', 'size': 8})
    >>> splits['train'].target.size
    899
    """
    splits = named('tljax.data', of, 'data.of')
    if splits['train'].example or splits['train'].target:
        raise Refused(f'data.of: {of["name"]} has no examples that stand by themselves: give a set with labels')
    return {**splits, 'train': splits['train']._replace(target=splits['train'])}
