"""Checks of many tasks. The examples of all tasks are lists of arrays, one array for each task, and
tasks may have different numbers of examples."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from tljax.core import UserError, abbreviated

Tasks = tuple[list[np.ndarray], list[np.ndarray]]  # examples (n, d) and labels (n,) of each task


def checked_tasks(
    xs: Sequence[ArrayLike], ys: Sequence[ArrayLike], classes: bool = False, least: int = 2
) -> Tasks:
    """Checks the examples of tasks that something is to be learnt from, and converts them.

    Args:
        xs: examples of each task, (n, d) each, with n of its own.
        ys: labels of each task, (n,) each.
        classes: whether labels are classes, 0 and 1, both of which each task must have.
        least: smallest number of tasks.

    Returns:
        (xs, ys), lists of float64 arrays.

    Raises:
        UserError: for too few tasks, a task without examples or labels, tasks that differ in
            columns, values that are not finite, and labels that are no classes or only one class.

    >>> checked_tasks([np.ones((3, 2)), np.ones((4, 5))], [np.ones(3), np.ones(4)])
    Traceback (most recent call last):
    tljax.core.UserError: xs[1] has 5 columns and xs[0] has 2: give all tasks the same features
    """
    if len(xs) != len(ys):
        raise UserError(
            f'xs has {len(xs)} tasks and ys has {len(ys)}: give one array of labels per task'
        )
    if len(xs) < least:
        raise UserError(
            f'{len(xs)} {"task is" if len(xs) == 1 else "tasks are"} too few to learn from: give '
            f'{least} or more'
        )
    pairs = [
        _checked(x, y, f'xs[{i}]', f'ys[{i}]', classes)
        for i, (x, y) in enumerate(zip(xs, ys, strict=True))
    ]
    d = pairs[0][0].shape[1]
    for i, (x, y) in enumerate(pairs):
        if x.shape[1] != d:
            raise UserError(
                f'xs[{i}] has {x.shape[1]} columns and xs[0] has {d}: give all tasks the same '
                'features'
            )
        if not len(x):
            raise UserError(f'xs[{i}] has no examples: leave the task out')
        if classes and len(np.unique(y)) == 1:
            raise UserError(
                f'ys[{i}] has a single class, {y[0]:g}: leave the task out, or add examples of the '
                'other class'
            )
    return [x for x, _ in pairs], [y for _, y in pairs]


def checked_task(
    x: ArrayLike, y: ArrayLike, d: int, classes: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Checks the examples of a single task, and converts them.

    Args:
        x: examples, (n, d). There may be none: (0, d).
        y: labels, (n,).
        d: number of columns that the task must have.
        classes: whether labels are classes, 0 and 1.

    Returns:
        (x, y), float64.

    Raises:
        UserError: for other numbers of columns or labels, values that are not finite, and labels
            that are no classes.

    >>> checked_task([[1.0, 2.0]], [0.5, 0.7], d=2)
    Traceback (most recent call last):
    tljax.core.UserError: y has shape (2,) for the 1 rows of x: give one label per row
    """
    x, y = _checked(x, y, 'x', 'y', classes)
    check_columns(x, d)
    return x, y


def check_columns(x: np.ndarray, d: int, name: str = 'x') -> None:
    """Raises an error if examples have other features than the tasks that were learnt from.

    Args:
        x: examples.
        d: number of columns of those tasks.
        name: of the examples, for errors.

    >>> check_columns(np.ones((3, 2)), 5)
    Traceback (most recent call last):
    tljax.core.UserError: x has shape (3, 2): give the 5 columns that the tasks have
    """
    if x.ndim != 2 or x.shape[1] != d:
        raise UserError(f'{name} has shape {x.shape}: give the {d} columns that the tasks have')


def _checked(x, y, x_name, y_name, classes):
    """Examples and labels of a task as float64, if they are finite and pair."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.ndim != 2 or not x.shape[1]:
        raise UserError(f'{x_name} has shape {x.shape}: give rows of features, (n, d)')
    if y.shape != (len(x),):
        raise UserError(
            f'{y_name} has shape {y.shape} for the {len(x)} rows of {x_name}: give one label per '
            'row'
        )
    for name, values in ((x_name, x), (y_name, y)):
        if not np.isfinite(values).all():
            raise UserError(
                f'{name}: {int((~np.isfinite(values)).sum())} of {values.size} values are not '
                'finite: fill them or drop their rows'
            )
    if classes and not np.isin(y, (0, 1)).all():
        found = abbreviated(f'{label:g}' for label in np.unique(y))
        raise UserError(f'{y_name} has the labels {found}: give 0 and 1')
    return x, y
