"""What a data set turned out to be, told before the first step."""

import numpy as np

from tljax.core import Dataset, Task, abbreviated

LOOKED_AT = 64  # examples whose inputs tell their range
SHOWN = 6  # classes whose examples are counted one by one
DARK = 0.25  # of white: no picture of a sound set stays below it
UNBALANCED = 5  # times as many examples in the largest class as in the smallest: that is told


def summary(splits: dict[str, Dataset]) -> list[tuple[str, str]]:
    """The task, the examples of every class in every split, what inputs look like, and what loaders
    have decided.

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
    notes = dict.fromkeys(
        note for split in (*splits.values(), train.target) if split for note in split.notes
    )
    return (
        found
        + _inputs(train)
        + [
            ('note', note)
            for note in [*_balance(train), *_constant(train), *_unnamed(train), *notes]
        ]
    )


def _task(task: Task, label: np.ndarray) -> str:
    if task.kind == 'labels':
        names = abbreviated(task.names, SHOWN)
        return f'{len(task.names)} labels, any number of them for an example: {names}'
    if task.kind == 'classes':
        return f'{len(task.names)} classes: {abbreviated(task.names, SHOWN)}'
    if task.kind == 'unlabelled':
        return f'{len(task.names)} classes without labels: {abbreviated(task.names, SHOWN)}'
    width = label.shape[1] if label.ndim > 1 else 1
    return f'regression of {width} numbers' if width > 1 else 'regression of one number'


def unbalanced(train: Dataset) -> tuple[int, int] | None:
    """The examples of the smallest and of the largest class, where these differ so much that
    accuracy tells little; None otherwise.

    Args:
        train: the training set.

    >>> from tljax.data import arrays
    >>> unbalanced(arrays(np.zeros(7), np.array([0, 1, 1, 1, 1, 1, 1]), ('ants', 'bees')))
    (1, 6)
    """
    if train.example or train.task.kind != 'classes':
        return None
    counts = np.bincount(train.label)
    least, most = int(counts[counts > 0].min()), int(counts.max())
    return (least, most) if most >= UNBALANCED * least else None


def _balance(train: Dataset) -> list[str]:
    found = unbalanced(train)
    return (
        [
            f'classes have {found[0]} to {found[1]} training examples: accuracy tells little of '
            'the smaller ones; '
            "class_weights='balanced' lets all count alike in the loss"
        ]
        if found
        else []
    )


def _constant(train: Dataset) -> list[str]:
    """Labels that hold for every example, or for none: their precision tells nothing."""
    if train.task.kind != 'labels' or not train.size:
        return []
    same = [
        name
        for name, column in zip(train.task.names, train.label.T, strict=True)
        if (column == column[0]).all()
    ]
    return (
        [
            f'the label {abbreviated(same, SHOWN)} is the same for all training examples: scores '
            'of it tell nothing'
        ]
        if same
        else []
    )


def _unnamed(train: Dataset) -> list[str]:
    """Whole numbers that Python gave without names."""
    whole = train.task.kind == 'numbers' and not train.example and train.label.dtype.kind in 'biu'
    return (
        [
            'labels are whole numbers without names: they are numbers to regress on; arrays(input, '
            'label, classes) takes them for classes'
        ]
        if whole
        else []
    )


def _counts(name: str, split: Dataset) -> str:
    if split.example and name == 'train':
        return 'drawn afresh'
    if 'support' in split.take(np.arange(min(1, split.size))):
        return f'{split.size} episodes'
    if split.task.kind == 'unlabelled':
        return f'{split.size} examples without labels'
    if split.task.kind == 'numbers':
        return f'{split.size} examples' + _spread(split.label)
    several = split.task.kind == 'labels'
    counts = (
        split.label.sum(0).astype(int)
        if several
        else np.bincount(split.label, minlength=len(split.classes))
    )
    named = dict(zip(split.classes, counts.tolist(), strict=True))
    present = {name: count for name, count in named.items() if count}
    least, most = min(present.values(), default=0), max(present.values(), default=0)
    each = (
        ', '.join(f'{name} {count}' for name, count in present.items())
        if len(named) <= SHOWN
        else f'{least} of each class'
        if least == most
        else f'{least} to {most} of each class'
    )
    lacking = [name for name, count in named.items() if not count]
    return f'{split.size} examples: {each}' + (
        f'; none of {abbreviated(lacking, SHOWN)}' if lacking else ''
    )


def _spread(label: np.ndarray) -> str:
    """Mean and standard deviation of numbers: the root mean squared error of telling their mean."""
    if label.ndim > 1 and label.shape[1] > SHOWN or not len(label):
        return ''
    mean, deviation = label.mean(0, dtype=np.float64), label.std(0, dtype=np.float64)
    told = [f'{m:.4g} ± {s:.4g}' for m, s in zip(np.ravel(mean), np.ravel(deviation), strict=True)]
    return f', mean ± standard deviation {", ".join(told)}'


def _inputs(train: Dataset) -> list[tuple[str, str]]:
    count = min(LOOKED_AT, train.size)
    batch = train.take(np.arange(count))
    input = batch.get(
        'input', batch.get('support', {}).get('input') if 'support' in batch else None
    )
    if not hasattr(input, 'dtype') or not input.size:
        return []
    shape = input.shape[1:] if 'input' in batch else input.shape[3:]
    low, high = input.min(), input.max()
    found = [
        (
            'inputs',
            f'{input.dtype} {tuple(shape)}, {low:.4g} to {high:.4g} in {count} '
            + ('examples' if 'input' in batch else 'episodes'),
        )
    ]
    if len(shape) == 3 and 0 < high < DARK and low >= 0:
        found.append(
            (
                'note',
                f'these pictures are dark, {high:.2g} of white at most: their numbers may have '
                'fewer bits than their files or types (12 in 16, masks); scale them up before',
            )
        )
    if len(shape) == 3 and (low < 0 or high > 1):
        found.append(('note', 'networks of the zoo take pictures in [0, 1], and these are not'))
    return found
