"""Labels from the cells of a table: one class, several labels or a number for each row."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tljax.core import Task, UserError, abbreviated
from tljax.data.tasks import KINDS

# between several labels in one cell; commas and blanks separate labels only if task='labels'
SEPARATORS = '|;'
MARKS = {'true': 1.0, 'false': 0.0, 'yes': 1.0, 'no': 0.0}  # words for 1 and 0
NO_LABEL = {'nan', 'na', 'n/a', 'null', 'none', '?', '-'}  # what other programs write for no label
# numbers in the format of another country, or with a unit
NUMERAL = re.compile(r'[-+]?[\d.,]*\d[\d.,]*\s*%?')

Labels = tuple[np.ndarray, Task, list[str]]  # labels, their task, notes for the user


def read_labels(
    cells: Sequence[Sequence[str]],
    columns: Sequence[str],
    files: Sequence[str],
    path: str | Path,
    task: str = '',
) -> Labels:
    """Reads labels and their task from the cells of a table.

    Args:
        cells: cells of the label columns, row by row.
        columns: names of these columns.
        files: name of each row's picture, for errors.
        path: path of the table, for errors.
        task: 'classes', 'labels' or 'numbers'; '' infers it from the cells.

    Returns:
        The labels: (n,) int32 classes, (n,) float32 numbers, or (n, c) float32 of 0 and 1, where 1
        means that a label holds. Then the task, and notes that say what was inferred, a line each.

    Raises:
        UserError: a cell is empty or contradicts the task, or cells could be several labels or
            numbers in another format.

    >>> label, task, notes = read_labels(
    ...     [['sea|sky'], ['sky']], ['tags'], ['a.png', 'b.png'], 'a.csv'
    ... )
    >>> label.tolist(), task.names
    ([[1.0, 1.0], [0.0, 1.0]], ('sea', 'sky'))
    >>> label, task, notes = read_labels([['20'], ['31.5']], ['age'], ['a.png', 'b.png'], 'a.csv')
    >>> label.tolist(), task.kind
    ([20.0, 31.5], 'numbers')
    """
    if task not in ('', *KINDS):
        raise UserError(f'data.task={task!r} is not classes, labels or numbers')
    if len(columns) > 1:
        marks = np.array([[as_number(cell) for cell in row] for row in cells], np.float32)
        return _labels_of_columns(marks, columns, path, task)
    texts, name = [row[0] for row in cells], columns[0]
    separator = _separator(texts)
    if task == 'labels':
        return *_several_labels(texts, separator or _comma_or_blank(texts)), []
    if separator and not task:
        note = (
            f'{name} holds names joined by {" or ".join(SEPARATORS)}: several labels; '
            'data.task=classes takes each cell for a class'
        )
        return *_several_labels(texts, separator), [note]
    if '' in texts:
        raise UserError(
            f'{path}: {texts.count("")} rows have no {name}, {files[texts.index("")]} is the '
            'first: fill them in or remove them'
        )
    return _classes_or_numbers(texts, name, files, path, task)


def as_number(cell: str) -> float | None:
    """Returns a cell as a number, with 1 for true or yes and 0 for false or no; None for a word.

    Args:
        cell: text of the cell.

    >>> as_number('True'), as_number('0.5'), as_number('cat')
    (1.0, 0.5, None)
    """
    return MARKS[cell.lower()] if cell.lower() in MARKS else _number(cell)


def _separator(texts):
    """The first of SEPARATORS that occurs in any cell; '' if none does."""
    for separator in SEPARATORS:
        if any(separator in text for text in texts):
            return separator
    return ''


def _several_labels(texts, separator):
    """Labels of 0 and 1 from cells with several names each; both SEPARATORS count as one."""
    sets = []
    for text in texts:
        names = [text]
        if separator:
            text = text.strip('[](){}').replace(SEPARATORS[1], SEPARATORS[0])
            names = text.split(SEPARATORS[0] if separator in SEPARATORS else separator)
        sets.append({name.strip().strip('\'"') for name in names} - {''})
    names = sorted(set().union(*sets))
    marks = np.array([[name in labels for name in names] for labels in sets], np.float32)
    return marks, Task('labels', tuple(names))


def _comma_or_blank(texts):
    """A comma if any cell has one; a blank if cells share words; '' otherwise."""
    if any(',' in text for text in texts):
        return ','
    return ' ' if _share_words(texts) else ''


def _share_words(texts):
    """Whether distinct cells consist of fewer distinct words than there are cells."""
    distinct = set(texts)
    words = set(' '.join(distinct).split())
    return any(' ' in text for text in distinct) and len(words) < len(distinct)


def _classes_or_numbers(texts, name, files, path, task):
    """Labels from cells that each hold one class or one number."""
    values = [_number(text) for text in texts]
    numbers = [value for value in values if value is not None]
    has_words = len(numbers) < len(values)
    if task == 'numbers' and has_words:
        raise UserError(
            f'{path}: {name} holds {texts[values.index(None)]!r}, which is no number: mend it '
            '(such as 0.5), or leave data.task=numbers out'
        )
    has_fractions = not has_words and any(
        number != round(number) for number in numbers if np.isfinite(number)
    )
    if has_words or task == 'classes' and has_fractions:
        notes = [] if task else _refuse_unclear(texts, name, path)
        return *_classes(texts), notes
    numbers = np.array(numbers)
    if not np.isfinite(numbers).all():
        raise UserError(
            f'{path}: the {name} of {files[int(np.argmin(np.isfinite(numbers)))]} is not finite: '
            'mend or remove the row'
        )
    if task == 'numbers' or has_fractions:
        note = (
            f'{name} is numbers with fractions: regression; data.task=classes takes each for a '
            'class'
        )
        return numbers.astype(np.float32), Task('numbers'), [] if task else [note]
    return _whole_number_classes(texts, numbers, name, task)


def _classes(texts):
    """Labels and task of cells whose texts are the names of the classes."""
    names, label = np.unique(np.array(texts), return_inverse=True)
    return label.astype(np.int32), Task.of(tuple(names.tolist()))


def _whole_number_classes(texts, numbers, name, task):
    """Labels from whole numbers, which are the names of classes, in increasing order."""
    values, first, label = np.unique(numbers, return_index=True, return_inverse=True)
    if len(values) < len(set(texts)):  # '1' and '01' are different names
        return *_classes(texts), []
    names = tuple(
        texts[i] if texts[i].isdigit() else f'{value:.0f}'
        for i, value in zip(first, values, strict=True)
    )
    note = (
        f'{name} is whole numbers: {len(names)} classes; data.task=numbers takes them for '
        'regression'
    )
    return label.astype(np.int32), Task.of(names), [] if task else [note]


def _refuse_unclear(texts, name, path):
    """Refuses words that could be several labels or numbers, and returns notes about the others."""
    if all(NUMERAL.fullmatch(text) for text in texts):
        numeral = next(text for text in texts if _number(text) is None)
        raise UserError(
            f'{path}: {name} holds {numeral!r}: write numbers as 1000.5, or say data.task=classes'
        )
    lists = [text for text in texts if ',' in text]
    if lists:
        raise UserError(
            f'{path}: {name} holds {lists[0]!r}: say data.task=labels where these are several '
            'labels, data.task=classes where each cell is a class'
        )
    notes = []
    if _share_words(texts):
        notes.append(
            f'cells of {name} share words, and each is a class of its own; data.task=labels takes '
            'their words for several labels'
        )
    blanks = [text for text in texts if text.lower() in NO_LABEL]
    if blanks:
        notes.append(
            f'{len(blanks)} rows have the {name} {abbreviated(dict.fromkeys(blanks), 3)}: a '
            'class of that name'
        )
    return notes


def _labels_of_columns(marks, names, path, task):
    """Labels from several columns of numbers, (n, columns).

    Columns of 0 and 1 are classes if every row has a single 1, and several labels otherwise.
    """
    is_one_hot = (marks.sum(1) == 1).all()
    if task == 'classes' and not is_one_hot:
        raise UserError(f'{path}: some rows have not a single 1: say data.task=labels')
    if task == 'numbers':
        return marks, Task('numbers'), []
    if is_one_hot and task != 'labels':
        note = (
            f'each row has a single 1: {len(names)} classes; data.task=labels takes them for '
            'several labels'
        )
        label = marks.argmax(1).astype(np.int32)
        return label, Task.of(tuple(names)), [] if task else [note]
    return marks, Task('labels', tuple(names)), []


def _number(text):
    """A text as a number, or None; texts like 1_2, which Python reads as 12, are no numbers."""
    try:
        return None if '_' in text else float(text)
    except ValueError:
        return None
