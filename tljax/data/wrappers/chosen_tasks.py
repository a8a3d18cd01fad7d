"""Some of the tasks of a set, such as a pair of them, or one alone."""

from collections.abc import Sequence

import numpy as np

from tljax.core import Dataset, Task, UserError, known, nearest_name
from tljax.data.several_tasks import structured, with_tasks
from tljax.data.splits import restrict


def chosen_tasks(splits: dict[str, Dataset], tasks: Sequence[str]) -> dict[str, Dataset]:
    """Keeps the examples and labels of some tasks.

    Args:
        splits: splits of a set of several tasks.
        tasks: names of the tasks to keep; a single one makes a set of the task 'tasks' too.

    Returns:
        The splits, without the examples that have labels of other tasks only.

    Raises:
        UserError: no names, an unknown name, or a set of a single task.

    >>> from tljax.data import digits, glyphs, joint_tasks
    >>> sets = {'read': digits(size=8), 'print': glyphs(part='digits', size=8, per_class=10)}
    >>> alone = chosen_tasks(joint_tasks(sets), ['print'])
    >>> alone['train'].size, alone['train'].task.names
    (80, ('print',))
    """
    task = splits['train'].task
    if not task.tasks:
        raise UserError(
            "data.of has a single task: lay dict(name='chosen_tasks', ...) around a set of several"
        )
    for name in tasks:
        if name not in task.names:
            raise UserError(f'data.tasks: {name!r} is no task: {nearest_name(name, task.names)}')
    if not tasks or len({*tasks}) < len(tasks):
        raise UserError(f'data.tasks={list(tasks)}: give one task or more, none twice')
    kept = Task.several({name: task.by_name[name] for name in tasks})
    return {split: _of_tasks(dataset, kept) for split, dataset in splits.items()}


def _of_tasks(dataset: Dataset, task: Task) -> Dataset:
    """The examples of a set that have a label of one of the tasks."""
    is_known = known(dataset.label)
    keep = np.any([is_known[name] for name in task.names], 0)
    part = restrict(dataset, np.flatnonzero(keep))
    label = structured({name: part.label[name] for name in task.names})
    return with_tasks(part, label, task)
