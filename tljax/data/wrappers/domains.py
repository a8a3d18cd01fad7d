"""Two domains of one task: labels in the source, none in the target."""
import numpy as np

from tljax.core import Dataset, Refused, short


def domains(source: dict[str, Dataset], target: dict[str, Dataset]) -> dict[str, Dataset]:
    """A source set whose batches carry unlabelled inputs of a target set beside them.

    Args:
        source: splits of the source.
        target: splits of the target, which has the same classes and shapes of inputs.

    Returns:
        'train': training set of the source, with that of the target as its `target`. 'validation': that of the source. 'test': that of
        the target. 'target': training set of the target, which is trained on without labels; the labels that it has are for reports alone.

    Raises:
        Refused: classes or inputs differ.

    >>> from tljax.data import digits, glyphs
    >>> splits = domains(glyphs(part='digits', size=8, per_class=10), digits(size=8))
    >>> {name: split.size for name, split in splits.items()}, splits['train'].target.size
    ({'train': 80, 'validation': 10, 'test': 539, 'target': 899}, 899)
    """
    if source['train'].classes != target['train'].classes:
        raise Refused(f'the source tells {short(source["train"].classes)} apart and the target {short(target["train"].classes)}: '
                      'adaptation needs the same classes in the same order')
    shapes = [np.shape(part['train'].take(np.arange(1)).get('input'))[1:] for part in (source, target)]
    if not all(shapes):
        raise Refused('a domain is a set of labelled examples: data.source and data.target cannot make episodes')
    if shapes[0] != shapes[1]:
        raise Refused(f'inputs of the source are {shapes[0]} and of the target {shapes[1]}: give both the same size and channels')
    kept = {name: source[name] for name in ('validation',) if name in source}
    return {'train': source['train']._replace(target=target['train']), **kept, 'test': target['test'], 'target': target['train']}
