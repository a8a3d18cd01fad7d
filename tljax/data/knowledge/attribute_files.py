"""Attributes of classes, from the files of Animals with Attributes and of CUB, from
`att_splits.mat`, and from a table of one's own."""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tljax.core import UserError
from tljax.data.matlab import matlab
from tljax.data.reading import reading
from tljax.knowledge import Knowledge, knowledge

MATRICES = {  # form -> files of the matrix, in AWA2 and in CUB
    'continuous': ('predicate-matrix-continuous.txt', 'class_attributes.txt'),
    'binary': ('predicate-matrix-binary.txt',),
}
NAMES = ('predicates.txt', 'attributes.txt')  # of the columns
REMEDY = (
    'name a folder with classes.txt and a matrix, such as that of AWA2, att_splits.mat, or a CSV '
    'with a row per class'
)
EMPTY = ('', '?', 'nan', 'na')  # of a cell whose number is not known


def attributes(path: str | Path, form: str = 'continuous') -> Knowledge:
    """Reads attributes of classes.

    A number of -1 means that it is not known where all others are at least 0: strengths of
    attributes are 0 to 1 or 0 to 100.

    Args:
        path: a folder in the layout of AWA2 or CUB: `classes.txt`, names of the attributes, and the
            matrix. Or `att_splits.mat`, whose `original_att` is read (`att` where it is absent).
            Or a CSV with the names of attributes in its first row, and then a row per class, whose
            name comes first; a cell is empty where a number is not known.
        form: 'continuous' or 'binary', of the matrices that AWA2 has.

    Returns:
        A `Knowledge` of all classes, in the order of the file.

    Raises:
        UserError: a file is missing, or its rows do not fit the classes, and as `knowledge`.

    Source: Xian et al. 2019, https://arxiv.org/abs/1707.00600; Wah et al. 2011, CUB-200-2011.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'attributes.csv')
    >>> _ = path.write_text('class,hooves,stripes\\nhorse,1,0\\nzebra,1,1\\nokapi,1,\\n')
    >>> animals = attributes(path)
    >>> animals.classes, animals.attributes, animals.vectors[2].tolist()
    (('horse', 'zebra', 'okapi'), ('hooves', 'stripes'), [1.0, nan])
    """
    path = Path(path).expanduser()
    if path.is_dir():
        classes, vectors, names = _folder(path, form)
    elif path.suffix == '.mat':
        classes, vectors, names = *_splits(path), ()
    else:
        classes, vectors, names = _table(path)
    with np.errstate(invalid='ignore'):
        is_known = vectors >= 0
    if (np.isnan(vectors) | is_known | (vectors == -1)).all():
        vectors = np.where(is_known, vectors, np.nan)
    return knowledge(classes, vectors, names, str(path))


def numbered(path: Path) -> list[str]:
    """The names of a list, one a line; a number before a name is dropped.

    Args:
        path: path of the list.

    Raises:
        UserError: the file is missing or is no text.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'classes.txt')
    >>> _ = path.write_text('     1\\tantelope\\n     2\\tgrizzly+bear\\n')
    >>> numbered(path)
    ['antelope', 'grizzly+bear']
    """
    with reading(path, REMEDY) as file:
        lines = [line.strip() for line in file.read_text(encoding='utf-8').splitlines()]
    return [re.sub(r'^\d+\s+', '', line) for line in lines if line]


def _folder(path: Path, form: str) -> tuple[list[str], np.ndarray, Sequence[str]]:
    """Classes, matrix and names of attributes of a folder."""
    if form not in MATRICES:
        raise UserError(f'knowledge.form={form!r} is not {" or ".join(MATRICES)}')
    matrices = [path / name for name in MATRICES[form] if (path / name).is_file()]
    if not matrices:
        raise UserError(f'{path} has no {" or ".join(MATRICES[form])}: {REMEDY}')
    with reading(matrices[0], REMEDY) as file:
        vectors = np.loadtxt(file, ndmin=2)
    names = [path / name for name in NAMES if (path / name).is_file()]
    return numbered(path / 'classes.txt'), vectors, numbered(names[0]) if names else ()


def _splits(path: Path) -> tuple[list[str], np.ndarray]:
    """Classes and matrix of att_splits.mat. Its `att` are rows of length 1, and `original_att` are
    strengths."""
    remedy = 'take att_splits.mat of the proposed splits'
    try:
        table = matlab(path, ['allclasses_names', 'original_att'], remedy)
    except UserError as error:
        if 'original_att' not in str(error):
            raise
        table = matlab(path, ['allclasses_names', 'att'], remedy)
    classes, vectors = table.values()
    return [str(name) for name in classes], np.asarray(vectors, float).T


def _table(path: Path) -> tuple[list[str], np.ndarray, list[str]]:
    """Classes, matrix and names of attributes of a CSV."""
    with reading(path, REMEDY) as file:
        text = file.read_text(encoding='utf-8-sig')
    rows = [row for row in csv.reader(io.StringIO(text)) if any(cell.strip() for cell in row)]
    if len(rows) < 2 or len(rows[0]) < 2:
        raise UserError(
            f'{path} has no classes: give a first row "class,attribute, ..." and a row per class'
        )
    header, vectors = [cell.strip() for cell in rows[0]], []
    for line, row in enumerate(rows[1:], 2):
        if len(row) != len(header):
            raise UserError(
                f'{path}: row {line} ({row[0]}) has {len(row)} cells, and the first row '
                f'{len(header)}: give as many'
            )
        vectors.append([_number(cell, f'{path}: row {line} ({row[0]})') for cell in row[1:]])
    return [row[0] for row in rows[1:]], np.array(vectors), header[1:]


def _number(cell: str, what: str) -> float:
    """The number of a cell, NaN where it is not known."""
    if cell.strip().lower() in EMPTY:
        return np.nan
    try:
        return float(cell)
    except ValueError:
        raise UserError(
            f'{what} has {cell.strip()!r}: give a number, or leave the cell empty'
        ) from None
