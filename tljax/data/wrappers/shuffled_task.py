"""A task that conflicts with the others, as a control: its labels say nothing about the inputs."""

import numpy as np

from tljax.core import Dataset, Task, UserError, known, nearest_name
from tljax.data.purposes import Purpose
from tljax.data.several_tasks import structured, with_tasks


def shuffled_task(
    splits: dict[str, Dataset], like: str, title: str = 'shuffled', seed: int = 0
) -> dict[str, Dataset]:
    """Adds a task whose labels are those of another, permuted over its examples in every split.

    A network can only memorise such labels, and it needs the same layers for that. A study that
    measures what tasks do to each other has to find that this one hurts, or at least does not help.

    Args:
        splits: splits of a set of several tasks.
        like: name of the task whose labels are permuted; it stays as it is.
        title: name of the new task.
        seed: seed of the permutation.

    Returns:
        The splits with one more task.

    Raises:
        UserError: an unknown task, a name that is taken, or a set of a single task.

    >>> from tljax.data import digits, glyphs, joint_tasks
    >>> sets = {'read': digits(size=8), 'print': glyphs(part='digits', size=8, per_class=10)}
    >>> train = shuffled_task(joint_tasks(sets), like='print')['train']
    >>> train.task.names, int((train.label['print'] == train.label['shuffled'])[-80:].sum())
    (('read', 'print', 'shuffled'), 7)
    """
    tasks = splits['train'].task.by_name
    if like not in tasks:
        remedy = nearest_name(like, tasks) if tasks else 'data.of has a single task'
        raise UserError(f'data.like={like!r} is no task of data.of: {remedy}')
    if title in tasks:
        raise UserError(f'data.title={title!r} is a task of data.of already: give another name')
    joint = Task.several({**tasks, title: tasks[like]})
    shuffled = {}
    for number, (split, dataset) in enumerate(splits.items()):
        rng = np.random.default_rng([Purpose.SHUFFLED_TASK, seed, number])
        rows = np.flatnonzero(known(dataset.label)[like])
        column = np.array(dataset.label[like])
        column[rows] = column[rng.permutation(rows)]
        columns = {name: dataset.label[name] for name in tasks}
        shuffled[split] = with_tasks(dataset, structured({**columns, title: column}), joint)
    return shuffled
