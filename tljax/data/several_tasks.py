"""Labels of several tasks for the examples of one set.

They are a structured array (size,) with a field for each task, so that the rows of a subset and the
column of a task are both read by an index. An example need not have a label of every task: a label
that it lacks is -1 if it is a class, and NaN otherwise.
"""

import hashlib

import numpy as np

from tljax.core import Dataset, Task, UserError, known
from tljax.data.formats.arrays import arrays
from tljax.packing import Unpacked


def structured(labels: dict[str, np.ndarray]) -> np.ndarray:
    """Returns labels of several tasks as one structured array.

    Args:
        labels: {task: (size,) or (size, d)}; integers are classes.

    Returns:
        (size,) with a field for each task, int32 for classes and float32 otherwise.

    >>> label = structured({'animal': np.array([3, -1]), 'weight': np.array([0.5, 2.0])})
    >>> label['weight'].tolist(), label[0].tolist()
    ([0.5, 2.0], (3, 0.5))
    """
    dtypes = {
        name: np.int32 if column.dtype.kind in 'iu' else np.float32
        for name, column in labels.items()
    }
    size = len(next(iter(labels.values())))
    label = np.empty(size, [(name, dtypes[name], labels[name].shape[1:]) for name in labels])
    for name, column in labels.items():
        label[name] = column
    return label


def missing(like: np.ndarray, size: int) -> np.ndarray:
    """Returns labels of a task for examples that have none.

    Args:
        like: labels of the task, (n, ...).
        size: number of examples.

    >>> missing(np.array([3, 1]), 3).tolist(), missing(np.array([[0.5]]), 1).tolist()
    ([-1, -1, -1], [[nan]])
    """
    filler = -1 if like.dtype.kind in 'iu' else np.nan
    return np.full((size, *like.shape[1:]), filler, like.dtype)


def with_tasks(inputs: Dataset, label: np.ndarray, task: Task) -> Dataset:
    """Gives the labels of several tasks to the examples of a set.

    Args:
        inputs: the set; its own labels are dropped.
        label: as `structured` returns it, with a field for each task.
        task: of kind 'tasks'.

    Returns:
        A Dataset whose `take` gives 'label' as a dict by task, with 0 where a label is missing.

    Raises:
        UserError: a task has a slash in its name, which would divide the paths of its parameters.

    >>> from tljax.data import arrays
    >>> label = structured({'sign': np.array([1, -1]), 'size': np.array([0.5, 2.0])})
    >>> task = Task.several({'sign': Task.of(('minus', 'plus')), 'size': Task.of(())})
    >>> both = with_tasks(arrays(np.zeros((2, 3)), np.zeros(2)), label, task)
    >>> both.take(np.array([1]))['label']
    {'sign': array([0], dtype=int32), 'size': array([2.], dtype=float32)}
    """
    for name in task.names:
        if '/' in name or not name:
            raise UserError(f'the task {name!r} has a slash in its name, or no name: rename it')
    # 0 in place of what is missing: the weight 0 times NaN would be NaN
    filled = {name: np.array(label[name]) for name in task.names}
    for name, is_known in known(label).items():
        filled[name][~is_known] = 0

    def take(index):
        return {
            **inputs.packed(index),
            'label': {name: column[index] for name, column in filled.items()},
        }

    text = repr((inputs.fingerprint, task)).encode()
    digest = hashlib.sha256(text + label.tobytes()).hexdigest()
    return inputs._replace(take=Unpacked(take), label=label, task=task, fingerprint=digest)


def with_inputs(dataset: Dataset, input: np.ndarray) -> Dataset:
    """Returns the examples of a set with other inputs in memory, such as their features.

    Args:
        dataset: a set of one task or of several.
        input: (size, ...).

    >>> toy = arrays(np.zeros((2, 3)), np.array([1, 0]), ('cat', 'dog'))
    >>> with_inputs(toy, np.array([[0.5], [1.5]])).take(np.array([1]))
    {'input': array([[1.5]]), 'label': array([0])}
    """
    if dataset.task.tasks:
        changed = with_tasks(arrays(input, np.zeros(dataset.size)), dataset.label, dataset.task)
    else:
        changed = arrays(input, dataset.label)
    return changed._replace(
        task=dataset.task, notes=dataset.notes, names=dataset.names, shares=dataset.shares
    )
