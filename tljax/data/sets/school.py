"""The School data of the Inner London Education Authority: exam scores of pupils. Each of the 139
schools is a task."""

import functools
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from tljax.core import Dataset, UserError
from tljax.data.formats.arrays import arrays
from tljax.data.reading import reading
from tljax.data.splits import cut_missing

SCHOOLS = 139


def school(
    path: str | Path, number: int, validation: float = 0.1, test: float = 0.2, seed: int = 0
) -> dict[str, Dataset]:
    """Loads the pupils of one school. The label is the exam score, from 1 to 70.

    Inputs are float32, (n, 28). In the order of the file these are the year of the exam (3
    columns), the percentages of pupils with free school meals and in the first band of verbal
    reasoning (2), gender (2), band of verbal reasoning (3), ethnic group (11), gender of the school
    (3), its denomination (3), and a column of ones. All but the percentages are 0 or 1; 15 pupils
    have no band. A school has 22 to 251 pupils; all schools have 15,362.

    Args:
        path: `school.mat`, with the cells X and Y of 139 matrices each.
        number: of the school, from 1 to 139.
        validation: share of the pupils that is cut from train.
        test: share of the pupils that is cut from train.
        seed: seed of that cut.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    Raises:
        UserError: the file is missing or damaged, or there is no school of this number.

    Source: Bakker and Heskes 2003 (https://jmlr.org/papers/v4/bakker03a.html).

    >>> import tempfile
    >>> from scipy.io import savemat
    >>> path, x, y = (
    ...     tempfile.mkdtemp() + '/school.mat',
    ...     np.empty(139, object),
    ...     np.empty(139, object),
    ... )
    >>> for i in range(139):
    ...     x[i], y[i] = np.eye(30, 28, dtype=np.uint8), np.full((30, 1), i, np.uint8)
    >>> savemat(path, {'X': x, 'Y': y})
    >>> train = school(path, 3)['train']
    >>> train.size, train.label[:2], train.task.kind
    (21, array([2., 2.], dtype=float32), 'numbers')
    """
    if number not in range(1, SCHOOLS + 1):
        raise UserError(f'data.number={number} is no school: give a number from 1 to {SCHOOLS}')
    with reading(path, 'give data.path the file school.mat') as path:
        input, label = _cells(path.resolve(), path.stat().st_mtime_ns)[number - 1]
    return cut_missing({'train': arrays(input, label)}, validation, test, seed, path)


@functools.lru_cache(maxsize=1)
def _cells(path, changed):
    """Pupils (n, 28) and scores (n,) of every school, read once for all of them.

    `changed` is the file's time of change, so that another file of the same name is read again.
    """
    content = loadmat(path)
    inputs, labels = content['X'].ravel(), content['Y'].ravel()
    if not len(inputs) == len(labels) == SCHOOLS:
        raise ValueError(f'it has {len(inputs)} and {len(labels)} schools, not {SCHOOLS}')
    return [
        (np.asarray(x, np.float32), np.asarray(y, np.float32).ravel())
        for x, y in zip(inputs, labels, strict=True)
    ]
