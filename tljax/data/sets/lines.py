"""Linear regression tasks whose weights come from one Gaussian: many tasks with a known prior."""

import numpy as np

from tljax.core import Dataset, UserError
from tljax.data.formats.arrays import arrays
from tljax.data.splits import cut_missing


def lines(
    number: int, count: int = 20, columns: int = 3, spread: float = 0.5, noise: float = 1.0
) -> dict[str, Dataset]:
    """Makes one task: labels are x'w plus noise, where w is near the weights of all tasks.

    The weights of a task have the mean 1, 2, 3 and so on, and the standard deviation `spread` each.
    Inputs are normal; the last one is 1.

    Args:
        number: of the task, from 0; it seeds its weights and its examples.
        count: number of examples, 3 or more.
        columns: number of inputs, 2 or more.
        spread: standard deviation of a weight over the tasks.
        noise: standard deviation of the labels around the line.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}; validation and test are 10 % and
        20 % of the examples.

    Raises:
        UserError: fewer examples or columns, a negative number, or a negative deviation.

    >>> train = lines(number=0, spread=0, noise=0)['train']
    >>> batch = train.take(np.arange(2))
    >>> np.allclose(batch['label'], batch['input'] @ [1, 2, 3])
    True
    """
    for name, value, least in (
        ('number', number, 0),
        ('count', count, 3),
        ('columns', columns, 2),
        ('spread', spread, 0),
        ('noise', noise, 0),
    ):
        if not value >= least:
            raise UserError(f'data.{name}={value}: give {least} or more')
    rng = np.random.default_rng([number, 97])
    x = np.column_stack([rng.normal(size=(count, columns - 1)), np.ones(count)])
    weights = np.arange(1, columns + 1) + spread * rng.normal(size=columns)
    y = x @ weights + noise * rng.normal(size=count)
    everything = arrays(x.astype(np.float32), y.astype(np.float32))
    return cut_missing({'train': everything}, 0.1, 0.2, 0, 'lines')
