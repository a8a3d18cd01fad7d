"""What a data set turned out to be, told before the first step."""
import numpy as np

from tljax.core import Dataset, Task, short

LOOKED_AT = 64   # examples whose inputs tell their range
SHOWN = 6        # classes whose examples are counted one by one


def summary(splits: dict[str, Dataset]) -> list[tuple[str, str]]:
    """The task, the examples of every class in every split, what inputs look like, and what loaders have decided.

    Args:
        splits: {name: Dataset}, 'train' among them.

    Returns:
        Pairs of a word and a text.

    >>> from tljax.data import arrays
    >>> label = np.array([0, 0, 0, 1])
    >>> toy = arrays(np.arange(8, dtype='f').reshape(4, 2), label, ('ants', 'bees'))
    >>> for word, text in summary({'train': toy, 'test': toy._replace(label=label[:3])}):
    ...     print(f'{word}: {text}')
    task: 2 classes: ants, bees
    train: 4 examples: ants 3, bees 1
    test: 3 examples: ants 3; none of bees
    inputs: float32 (2,), 0 to 7 in 4 examples
    """
    train = splits['train']
    found = [('task', _task(train.task, train.label))]
    found += [(name, _counts(name, split)) for name, split in splits.items()]
    notes = dict.fromkeys(note for split in (*splits.values(), train.target) if split for note in split.notes)
    return found + _inputs(train) + [('note', note) for note in notes]


def _task(task: Task, label: np.ndarray) -> str:
    if task.kind == 'classes':
        return f'{len(task.names)} classes: {short(task.names, SHOWN)}'
    if task.kind == 'unlabelled':
        return f'{len(task.names)} classes without labels: {short(task.names, SHOWN)}'
    width = label.shape[1] if label.ndim > 1 else 1
    return f'regression of {width} numbers' if width > 1 else 'regression of one number'


def _counts(name: str, split: Dataset) -> str:
    if split.example and name == 'train':
        return 'drawn afresh'
    if 'support' in split.take(np.arange(min(1, split.size))):
        return f'{split.size} episodes'
    if split.task.kind == 'unlabelled':
        return f'{split.size} examples without labels'
    if split.task.kind != 'classes':
        return f'{split.size} examples'
    counts = np.bincount(split.label, minlength=len(split.classes))
    named = dict(zip(split.classes, counts.tolist(), strict=True))
    present = {name: count for name, count in named.items() if count}
    least, most = min(present.values(), default=0), max(present.values(), default=0)
    each = (', '.join(f'{name} {count}' for name, count in present.items()) if len(named) <= SHOWN else
            f'{least} of each class' if least == most else f'{least} to {most} of each class')
    lacking = [name for name, count in named.items() if not count]
    return f'{split.size} examples: {each}' + (f'; none of {short(lacking, SHOWN)}' if lacking else '')


def _inputs(train: Dataset) -> list[tuple[str, str]]:
    count = min(LOOKED_AT, train.size)
    batch = train.take(np.arange(count))
    input = batch.get('input', batch.get('support', {}).get('input') if 'support' in batch else None)
    if not hasattr(input, 'dtype') or not input.size:
        return []
    shape = input.shape[1:] if 'input' in batch else input.shape[3:]
    return [('inputs', f'{input.dtype} {tuple(shape)}, {input.min():.4g} to {input.max():.4g} in {count} '
             + ('examples' if 'input' in batch else 'episodes'))]
