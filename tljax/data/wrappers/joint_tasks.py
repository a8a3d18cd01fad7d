"""Several tasks, each with a data set of its own, as one set for multitask learning."""

import hashlib
import math
from collections.abc import Sequence

import numpy as np

from tljax.core import Dataset, Task, UserError, abbreviated, nearest_name
from tljax.data.several_tasks import missing, structured, with_tasks
from tljax.packing import Bytes, Unpacked, unpack
from tljax.protocols import Setting

Splits = dict[str, Dataset]


def joint_tasks(of: dict[str, Splits], shares: str | dict[str, float] = 'size') -> Splits:
    """Joins the sets of several tasks. The tasks may be of any kinds, and the sets of any sizes.

    An example has the label of its own task and of no other. In a batch the other tasks give it the
    weight 0.

    Args:
        of: {name of a task: splits of its set}; all inputs have one shape.
        shares: the tasks' shares of a training batch. 'size' draws all examples alike, so that an
            epoch passes each set once, and a batch may lack a small task. 'equal' and {task: share}
            give every task the same number of examples in all batches; each set then has epochs of
            its own.

    Returns:
        The splits that the sets have, of the task 'tasks'. A task without a set for a split has no
        examples there.

    Raises:
        UserError: fewer than two sets, a set without labels, with several tasks or without the
            usual inputs, inputs of different shapes, and shares that do not fit the tasks.

    >>> from tljax.data import digits, glyphs
    >>> sets = {'read': digits(size=8), 'print': glyphs(part='digits', size=8, per_class=10)}
    >>> train = joint_tasks(sets)['train']
    >>> train.task.names, train.size, train.label[:1].tolist()
    (('read', 'print'), 979, [(0, -1)])
    """
    if len(of) < 2:
        raise UserError(f'data.of has {len(of)} sets: several tasks are two or more')
    for name, splits in of.items():
        _refuse_other_sets(name, splits['train'])
    trains = {name: splits['train'] for name, splits in of.items()}
    _refuse_shapes(trains)
    parts = _shares(shares, list(of))
    task = Task.several({name: train.task for name, train in trains.items()})
    names = dict.fromkeys(split for splits in of.values() for split in splits)
    joined = {}
    for split in names:
        sets = {name: splits[split] for name, splits in of.items() if split in splits}
        union = with_tasks(_union(sets), _labels(sets, trains), task)
        sizes = [(sets[name].size, share) for name, share in parts.items() if name in sets]
        joined[split] = union._replace(shares=tuple(sizes))
    return joined


def _refuse_other_sets(name: str, train: Dataset) -> None:
    """Refuses sets of which no task can be made."""
    if train.task.kind == 'unlabelled':
        raise UserError(f'data.of.{name} has no labels: every task needs a set with labels')
    if train.task.kind == 'tasks':
        raise UserError(f'data.of.{name} has several tasks already: name sets of one task each')
    if train.example or train.target or 'input' not in train.take(np.arange(1)):
        raise UserError(
            f'data.of.{name} makes episodes, domains or examples of its own: name a set of '
            'labelled examples'
        )


def _refuse_shapes(sets: Splits) -> None:
    """Refuses tasks whose inputs differ in shape."""
    shapes = {name: np.shape(part.take(np.arange(1))['input'])[1:] for name, part in sets.items()}
    if len(set(shapes.values())) > 1:
        texts = [f'{name} {shape}' for name, shape in shapes.items()]
        raise UserError(
            f'the tasks have inputs of different shapes ({abbreviated(texts)}): give all the same '
            "size and channels, or lay dict(name='resampled', ...) around a set"
        )


def _shares(shares: Setting, names: Sequence[str]) -> dict[str, float]:
    """The share of each task, which sum to 1; {} if all examples are drawn alike."""
    if shares == 'size':
        return {}
    if shares == 'equal':
        return {name: 1 / len(names) for name in names}
    if not isinstance(shares, dict):
        raise UserError(f'data.shares={shares!r} is not size, equal or a share for each task')
    for name in shares:
        if name not in names:
            raise UserError(f'data.shares.{name} is no task: {nearest_name(name, names)}')
    for name in names:
        share = shares.get(name)
        if not isinstance(share, int | float) or not 0 < share < math.inf:
            raise UserError(f'data.shares.{name}={share}: give every task a number above 0')
    total = sum(shares.values())
    return {name: shares[name] / total for name in names}


def _labels(sets: Splits, trains: Splits) -> np.ndarray:
    """Labels of all examples of a split: each has that of its own task."""
    columns = {}
    for task, train in trains.items():
        dtype = np.int32 if train.task.kind == 'classes' else np.float32
        like = train.label.astype(dtype)
        columns[task] = np.concatenate(
            [
                part.label.astype(dtype) if name == task else missing(like, part.size)
                for name, part in sets.items()
            ]
        )
    return structured(columns)


def _union(sets: Splits) -> Dataset:
    """The examples of all sets, one set after the other, without labels."""
    parts = [part for part in sets.values() if part.size]
    ends = np.cumsum([part.size for part in parts])
    samples = [part.packed(np.arange(1))['input'] for part in parts]
    are_bytes = all(isinstance(sample, Bytes) for sample in samples)
    likes = [sample.values if are_bytes else np.asarray(unpack(sample)) for sample in samples]
    dtype = np.result_type(*likes)

    def take(index):
        index = np.asarray(index)
        input = np.empty((*index.shape, *likes[0].shape[1:]), dtype)
        for number, part in enumerate(parts):
            here = np.searchsorted(ends, index, side='right') == number
            if not here.any():
                continue
            rows = index[here] - (ends[number] - part.size)
            if are_bytes:
                input[here] = part.packed(rows)['input'].values
            else:
                input[here] = part.take(rows)['input']
        return {'input': Bytes(input) if are_bytes else input}

    digest = hashlib.sha256(repr([part.fingerprint for part in parts]).encode()).hexdigest()
    ranges = {part.range for part in parts}
    return Dataset(
        Unpacked(take),
        np.zeros(ends[-1]),
        Task('numbers'),
        digest,
        notes=tuple(f'{name}: {note}' for name, part in sets.items() for note in part.notes),
        names=_names(parts),
        range=ranges.pop() if len(ranges) == 1 else (),
    )


def _names(parts: Sequence[Dataset]) -> np.ndarray | tuple[()]:
    """Names of the examples, if all sets have them."""
    if not all(len(part.names) for part in parts):
        return ()
    return np.concatenate([np.asarray(part.names) for part in parts])
