"""Two domains of one task: labels in the source, none in the target."""
import numpy as np

from tljax.configuration import named, short
from tljax.core import Refused


def domains(source, target):
    """A source set whose batches carry unlabelled inputs of a target set beside them.

    Args:
        source, target: configs of two data sets with the same classes and shapes of inputs.

    Returns:
        'train': the source's training set, with the target's as its `target`; 'validation': the source's; 'test': the target's;
        'target': the target's training set, which is trained on without its labels: what labels it has are for the report alone.

    Raises:
        Refused: where classes or inputs differ.

    >>> splits = domains({'name': 'glyphs', 'part': 'digits', 'size': 8, 'per_class': 10}, {'name': 'digits', 'size': 8})
    >>> {name: split.size for name, split in splits.items()}, splits['train'].target.size
    ({'train': 80, 'validation': 10, 'test': 539, 'target': 899}, 899)
    """
    here, there = named('tljax.data', source, 'data.source'), named('tljax.data', target, 'data.target')
    if here['train'].classes != there['train'].classes:
        raise Refused(f'the source tells {short(here["train"].classes)} apart and the target {short(there["train"].classes)}: '
                      'adaptation needs the same classes in the same order')
    shapes = [np.shape(part['train'].take(np.arange(1)).get('input'))[1:] for part in (here, there)]
    if not all(shapes):
        raise Refused('a domain is a set of labelled examples: data.source and data.target cannot make episodes')
    if shapes[0] != shapes[1]:
        raise Refused(f'inputs of the source are {shapes[0]} and of the target {shapes[1]}: give both the same size and channels')
    kept = {name: here[name] for name in ('validation',) if name in here}
    return {'train': here['train']._replace(target=there['train']), **kept, 'test': there['test'], 'target': there['train']}
