"""Describes a data set before the first step of training."""

import numpy as np

from tljax.core import Dataset, Task, abbreviated, known

SAMPLE = 64  # examples whose inputs are read
CLASS_LIMIT = 6  # largest number of classes whose counts are listed one by one
DARK = 0.25  # largest number of suspiciously dark pictures, as a fraction of white
IMBALANCE = 5  # a note is given if the largest class is this many times the smallest


def summary(splits: dict[str, Dataset]) -> list[tuple[str, str]]:
    """Describes the task, the class counts of every split, the inputs, and notes of the loaders.

    Args:
        splits: {name: Dataset}, with 'train'.

    Returns:
        Pairs (heading, text).

    >>> from tljax.data import arrays
    >>> label = np.array([0, 0, 0, 1])
    >>> toy = arrays(np.arange(8, dtype='f').reshape(4, 2), label, ('ants', 'bees'))
    >>> for heading, text in summary({'train': toy, 'test': toy._replace(label=label[:3])}):
    ...     print(f'{heading}: {text}')
    task: 2 classes: ants, bees
    train: 4 examples: ants 3, bees 1
    test: 3 examples: ants 3; none of bees
    inputs: float32 (2,), 0 to 7 in 4 examples
    """
    train = splits['train']
    notes = [*_imbalance_notes(train), *_constant_label_notes(train), *_unnamed_notes(train)]
    for split in (*splits.values(), train.target):
        if split:
            notes += split.notes
    pairs = [('task', _task(train.task, train.label))]
    pairs += [(name, _counts(name, split)) for name, split in splits.items()]
    pairs += _inputs(train)
    pairs += [('note', note) for note in dict.fromkeys(notes)]
    return pairs


def _task(task: Task, label: np.ndarray) -> str:
    if task.tasks:
        parts = [f'{name} ({_task(part, label[name])})' for name, part in task.by_name.items()]
        return f'{len(parts)} tasks: {abbreviated(parts, CLASS_LIMIT)}'
    names = abbreviated(task.names, CLASS_LIMIT)
    if task.kind == 'labels':
        return f'{len(task.names)} labels, any number of them for an example: {names}'
    if task.kind == 'classes':
        return f'{len(task.names)} classes: {names}'
    if task.kind == 'boxes':
        return f'boxes of {len(task.names)} classes: {names}'
    if task.kind == 'unlabelled':
        return f'{len(task.names)} classes without labels: {names}' if names else 'none: no labels'
    width = label.shape[1] if label.ndim > 1 else 1
    return f'regression of {width} numbers' if width > 1 else 'regression of one number'


def unbalanced(train: Dataset) -> tuple[int, int] | None:
    """Returns the sizes of the smallest and largest class if they differ much.

    Accuracy says little about the small classes of such a set.

    Args:
        train: the training set.

    Returns:
        (smallest, largest) number of examples if the ratio is at least IMBALANCE, otherwise None.

    >>> from tljax.data import arrays
    >>> unbalanced(arrays(np.zeros(7), np.array([0, 1, 1, 1, 1, 1, 1]), ('ants', 'bees')))
    (1, 6)
    """
    if train.example or train.task.kind != 'classes':
        return None
    counts = np.bincount(train.label)
    smallest, largest = int(counts[counts > 0].min()), int(counts.max())
    return (smallest, largest) if largest >= IMBALANCE * smallest else None


def _imbalance_notes(train: Dataset) -> list[str]:
    sizes = unbalanced(train)
    if sizes is None:
        return []
    return [
        f'classes have {sizes[0]} to {sizes[1]} training examples: accuracy tells little of the '
        "smaller ones; class_weights='balanced' lets all count alike in the loss"
    ]


def _constant_label_notes(train: Dataset) -> list[str]:
    """A note about labels that are equal in all examples, because their scores mean nothing."""
    if train.task.kind != 'labels' or not train.size:
        return []
    names = [
        name
        for name, column in zip(train.task.names, train.label.T, strict=True)
        if (column == column[0]).all()
    ]
    if not names:
        return []
    return [
        f'the label {abbreviated(names, CLASS_LIMIT)} is the same for all training examples: '
        'scores of it tell nothing'
    ]


def _unnamed_notes(train: Dataset) -> list[str]:
    """A note about integer labels without class names, which count as numbers to regress on."""
    if train.task.kind != 'numbers' or train.example or train.label.dtype.kind not in 'biu':
        return []
    return [
        'labels are whole numbers without names: they are numbers to regress on; arrays(input, '
        'label, classes) takes them for classes'
    ]


def _boxes(split):
    """The number of pictures and boxes of a split, and of boxes by class."""
    label = split.label[..., 4].astype(int)
    counts = np.bincount(label[label >= 0], minlength=len(split.classes)).tolist()
    counts = dict(zip(split.classes, counts, strict=True))
    total, empty = sum(counts.values()), int((label < 0).all(1).sum())
    text = f'{split.size} pictures, boxes: {total}' + (f' ({_by_class(counts)})' if total else '')
    text += f', pictures without: {empty}' if empty else ''
    ignored = int((label < -1).sum())
    return text + (f', ignored boxes: {ignored}' if ignored else '')


def _counts(name: str, split: Dataset) -> str:
    """The number of examples of a split, in total and by class."""
    if split.example and name == 'train':
        return 'drawn afresh'
    if 'support' in split.take(np.arange(min(1, split.size))):
        return f'{split.size} episodes'
    if split.task.kind == 'unlabelled':
        return f'{split.size} examples without labels'
    if split.task.tasks:
        counts = {name: int(mask.sum()) for name, mask in known(split.label).items()}
        return f'{split.size} examples: {_by_class(counts, "task")}'
    if split.task.kind == 'numbers':
        return f'{split.size} examples' + _spread(split.label)
    if split.task.kind == 'boxes':
        return _boxes(split)
    if split.task.kind == 'labels':
        counts = split.label.sum(0).astype(int)
    else:
        counts = np.bincount(split.label, minlength=len(split.classes))
    counts = dict(zip(split.classes, counts.tolist(), strict=True))
    text = f'{split.size} examples: {_by_class(counts)}'
    empty = [name for name, count in counts.items() if not count]
    return f'{text}; none of {abbreviated(empty, CLASS_LIMIT)}' if empty else text


def _by_class(counts: dict[str, int], noun: str = 'class') -> str:
    """The count of every class that has examples, or the smallest and largest of many counts."""
    present = {name: count for name, count in counts.items() if count}
    if len(counts) <= CLASS_LIMIT:
        return ', '.join(f'{name} {count}' for name, count in present.items())
    smallest, largest = min(present.values(), default=0), max(present.values(), default=0)
    if smallest == largest:
        return f'{smallest} of each {noun}'
    return f'{smallest} to {largest} of each {noun}'


def _spread(label: np.ndarray) -> str:
    """Mean and standard deviation of each number.

    The standard deviation is the root mean squared error of a model that always predicts the mean.
    """
    if label.ndim > 1 and label.shape[1] > CLASS_LIMIT or not len(label):
        return ''
    means = np.ravel(label.mean(0, dtype=np.float64))
    deviations = np.ravel(label.std(0, dtype=np.float64))
    texts = [f'{m:.4g} ± {s:.4g}' for m, s in zip(means, deviations, strict=True)]
    return f', mean ± standard deviation {", ".join(texts)}'


def _inputs(train: Dataset) -> list[tuple[str, str]]:
    """Type, shape and range of inputs, and notes about pictures that networks cannot use well."""
    count = min(SAMPLE, train.size)
    batch = train.take(np.arange(count))
    if 'input' in batch:
        input, unit, first_axis = batch['input'], 'examples', 1
    elif 'support' in batch:  # (episodes, classes, examples, ...)
        input, unit, first_axis = batch['support'].get('input'), 'episodes', 3
    else:
        return []
    if not hasattr(input, 'dtype') or not input.size:
        return []
    shape, low, high = input.shape[first_axis:], input.min(), input.max()
    text = f'{input.dtype} {tuple(shape)}, {low:.4g} to {high:.4g} in {count} {unit}'
    pairs = [('inputs', text)]
    if len(shape) == 3 and 0 < high < DARK and low >= 0:
        note = (
            f'these pictures are dark, {high:.2g} of white at most: their numbers may have '
            'fewer bits than their files or types (12 in 16, masks); scale them up before'
        )
        pairs.append(('note', note))
    if len(shape) == 3 and (low < 0 or high > 1):
        pairs.append(('note', 'networks of the zoo take pictures in [0, 1], and these are not'))
    return pairs
