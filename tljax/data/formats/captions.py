"""Words about pictures: the texts of a CSV whose rows name pictures."""

import posixpath
from pathlib import Path

import numpy as np

from tljax.core import Dataset, UserError, nearest_name
from tljax.data import rows
from tljax.data.formats.listed import locate_pictures
from tljax.data.formats.texts import texts
from tljax.data.splits import cut_missing

TEXT = ('caption', 'captions', 'text', 'description', 'sentence', 'words')  # usual names


def captions(
    path: str | Path,
    text: str = '',
    file: str = '',
    label: str = '',
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
) -> dict[str, Dataset]:
    """Reads the captions or tags that a CSV or TSV has for pictures, with the pictures' labels.

    Inputs are texts, which `tljax.data.tfidf` turns into numbers. A text and the picture of the
    same row, as `listed` reads it with the same options, have the same name and are in the same
    split, so that the two sets are pairs. The captions of a picture with several rows are joined.

    Args:
        path: the CSV, whose first line names the columns; `~` is expanded.
        text: column of the texts; '' takes the first of TEXT that the table has.
        file: column of the pictures' names, as for `listed`.
        label: column of the classes; '' takes one called label, class, category, target or species.
        validation: as for `listed`.
        test: as for `listed`.
        seed: as for `listed`.

    Splits: as for `listed`.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    Raises:
        UserError: the table has no such column, the labels are no classes, and as for `listed`.

    >>> import tempfile
    >>> from PIL import Image
    >>> root = Path(tempfile.mkdtemp())
    >>> for number in range(10):
    ...     Image.new('L', (12, 9), 20 * number).save(root / f'{number}.png')
    >>> lines = [f'{number}.png,number {number},{number // 5}' for number in range(10)]
    >>> _ = (root / 'words.csv').write_text('\\n'.join(['file,caption,label', *lines]))
    >>> train = captions(root / 'words.csv')['train']
    >>> train.take(np.array([0]))['input'].item(), train.names[0].item()
    ('number 1', '1.png')
    """
    path = Path(path).expanduser()
    (_, header), *lines = rows.cells(path) if path.is_file() else _refuse_missing(path)
    column = _text_column(header, text, path)
    names = [name for name in header if name != column]
    label = label or next((name for name in names if name.lower() in rows.LABEL), '')
    if not label:
        raise UserError(
            f'{path} has no column of labels ({", ".join(header)}): name it by data.label'
        )
    table = rows.read(path, file, label, 'classes')
    joined = _joined(header, lines, column, table.files, path)
    _, names, _ = locate_pictures(path, table.files)
    split = np.array(table.split or ['train'] * len(names))
    splits = {}
    for name in dict.fromkeys(split.tolist()):
        members = np.flatnonzero(split == name)
        part = texts([joined[i] for i in members], table.label[members], table.task.names)
        splits[name] = part._replace(names=np.array(names)[members])
    if 'train' not in splits:
        raise UserError(
            f'{path}: no row of the column split says train: say it of the training pictures'
        )
    return cut_missing(splits, validation, test, seed, path)


def _refuse_missing(path):
    raise UserError(f'{path} does not exist or is no file: give data.path a CSV of captions')


def _text_column(header, name, path):
    """The name of the column of texts."""
    found = name or next((column for column in header if column.lower() in TEXT), '')
    if found not in header:
        remedy = nearest_name(found, header) if found else f'there are {", ".join(header)}'
        raise UserError(f'{path} has no column of texts {found!r}: name it by data.text; {remedy}')
    return found


def _joined(header, lines, column, files, path):
    """The texts of each file, joined, in the order of `files`."""
    of_picture, of_text = {file: [] for file in files}, header.index(column)
    of_file = next(
        i for i in range(len(header)) if all(_file(row[i]) in of_picture for _, row in lines)
    )
    for number, row in lines:
        if not row[of_text]:
            raise UserError(f'{path}, row {number}: the text is empty: write it or remove the row')
        of_picture[_file(row[of_file])].append(row[of_text])
    return [' '.join(of_picture[file]) for file in files]


def _file(cell):
    """The name of a picture, as `rows.read` returns it."""
    return posixpath.normpath(cell.replace('\\', '/'))
