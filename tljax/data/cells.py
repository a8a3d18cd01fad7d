"""What the cells of a table's columns of labels say: a class, several labels, or a number."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tljax.core import Task, UserError, abbreviated
from tljax.data.tasks import KINDS

JOINED = '|;'  # between several labels in one cell; a comma is asked for
MARKS = {'true': 1.0, 'false': 0.0, 'yes': 1.0, 'no': 0.0}  # of a label that holds or does not
MISSING = {'nan', 'na', 'n/a', 'null', 'none', '?', '-'}  # what other programs write for no label
# numbers as a spreadsheet of another country writes them, or with a unit
NUMERAL = re.compile(r'[-+]?[\d.,]*\d[\d.,]*\s*%?')

Meant = tuple[np.ndarray, Task, list[str]]  # labels, what is asked of a model, notes


def read_labels(
    cells: Sequence[Sequence[str]],
    columns: Sequence[str],
    files: Sequence[str],
    path: str | Path,
    task: str = '',
) -> Meant:
    """The labels that cells stand for, and what they ask of a model.

    Args:
        cells: those of the columns of labels, row by row.
        columns: names of these columns.
        files: what each row is called, for errors.
        path: of the table, for errors.
        task: 'classes', 'labels' or 'numbers', where the cells alone do not say it.

    Returns:
        Labels, (n,) int32 classes, (n,) float32 numbers or (n, c) float32, 1 where a label holds;
        the task; and what was decided, a line each.

    Raises:
        UserError: empty cells, cells that are not what the task says, and cells that may be several
            labels or numbers in another writing.

    >>> label, task, notes = read_labels(
    ...     [['sea|sky'], ['sky']], ['tags'], ['a.png', 'b.png'], 'a.csv'
    ... )
    >>> label.tolist(), task.names
    ([[1.0, 1.0], [0.0, 1.0]], ('sea', 'sky'))
    """
    if task not in ('', *KINDS):
        raise UserError(f'data.task={task!r} is not classes, labels or numbers')
    if len(columns) > 1:
        marks = np.array([[as_number(cell) for cell in row] for row in cells], np.float32)
        return _of_columns(marks, columns, path, task)
    texts, name = [row[0] for row in cells], columns[0]
    joint = next((each for each in JOINED if any(each in text for text in texts)), '')
    if task == 'labels' or not task and joint:
        told = (
            []
            if task
            else [
                f'{name} holds names joined by {" or ".join(JOINED)}: several labels; '
                'data.task=classes takes each cell for a class'
            ]
        )
        return *_joined(texts, joint or _other_joint(texts)), told
    if '' in texts:
        raise UserError(
            f'{path}: {texts.count("")} rows have no {name}, {files[texts.index("")]} is the '
            'first: fill them in or remove them'
        )
    return _single(texts, name, files, path, task)


def as_number(cell: str) -> float | None:
    """A cell as a number, 1 and 0 for true and false; None for a word.

    Args:
        cell: what stands in it.

    >>> as_number('True'), as_number('0.5'), as_number('cat')
    (1.0, 0.5, None)
    """
    return MARKS[cell.lower()] if cell.lower() in MARKS else _number(cell)


def _joined(texts, joint):
    """Several labels of each cell."""
    parts = [
        text.strip('[](){}')
        .replace(JOINED[1], JOINED[0])
        .split(JOINED[0] if joint in JOINED else joint)
        if joint
        else [text]
        for text in texts
    ]
    held = [{part.strip().strip('\'"') for part in each} - {''} for each in parts]
    found = sorted(set().union(*held))
    marks = np.array([[name in each for name in found] for each in held], np.float32)
    return marks, Task('labels', tuple(found))


def _other_joint(texts):
    """A comma, or a blank that leaves fewer words than cells, between labels that are known to be
    several."""
    if any(',' in text for text in texts):
        return ','
    return ' ' if _share_words(texts) else ''


def _share_words(texts):
    distinct = set(texts)
    return any(' ' in text for text in distinct) and len({*' '.join(distinct).split()}) < len(
        distinct
    )


def _single(texts, name, files, path, task):
    """Cells that are a class or a number each."""
    numbers = [_number(text) for text in texts]
    known = [number for number in numbers if number is not None]
    words = len(known) < len(numbers)
    if task == 'numbers' and words:
        raise UserError(
            f'{path}: {name} holds {texts[numbers.index(None)]!r}, which is no number: mend it '
            '(such as 0.5), or leave data.task=numbers out'
        )
    fractions = not words and any(
        number != round(number) for number in known if np.isfinite(number)
    )
    if words or task == 'classes' and fractions:
        notes = [] if task else _refuse_unclear(texts, name, path)
        found, label = np.unique(np.array(texts), return_inverse=True)
        return label.astype(np.int32), Task.of(tuple(found.tolist())), notes
    numbers = np.array(known)
    if not np.isfinite(numbers).all():
        raise UserError(
            f'{path}: the {name} of {files[int(np.argmin(np.isfinite(numbers)))]} is not finite: '
            'mend or remove the row'
        )
    if task == 'numbers' or fractions:
        told = (
            []
            if task
            else [
                f'{name} is numbers with fractions: regression; data.task=classes takes each for a '
                'class'
            ]
        )
        return numbers.astype(np.float32), Task('numbers'), told
    values, first, label = np.unique(numbers, return_index=True, return_inverse=True)
    if len(values) < len(set(texts)):  # 1 and 01: names
        found, label = np.unique(np.array(texts), return_inverse=True)
        return label.astype(np.int32), Task.of(tuple(found.tolist())), []
    found = tuple(
        texts[i] if texts[i].isdigit() else f'{value:.0f}'
        for i, value in zip(first, values, strict=True)
    )
    told = (
        []
        if task
        else [
            f'{name} is whole numbers: {len(found)} classes; data.task=numbers takes them for '
            'regression'
        ]
    )
    return label.astype(np.int32), Task.of(found), told


def _refuse_unclear(texts, name, path):
    """Refuses words that may be several labels or numbers; notes on words that may be none."""
    if all(NUMERAL.fullmatch(text) for text in texts):
        odd = next(text for text in texts if _number(text) is None)
        raise UserError(
            f'{path}: {name} holds {odd!r}: write numbers as 1000.5, or say data.task=classes'
        )
    if joined := [text for text in texts if ',' in text]:
        raise UserError(
            f'{path}: {name} holds {joined[0]!r}: say data.task=labels where these are several '
            'labels, data.task=classes where each cell is a class'
        )
    notes = []
    if _share_words(texts):
        notes.append(
            f'cells of {name} share words, and each is a class of its own; data.task=labels takes '
            'their words for several labels'
        )
    if missing := [text for text in texts if text.lower() in MISSING]:
        notes.append(
            f'{len(missing)} rows have the {name} {abbreviated(dict.fromkeys(missing), 3)}: a '
            'class of that name'
        )
    return notes


def _of_columns(marks, names, path, task):
    """Columns of numbers: 0 and 1 are classes where each row has a single 1, and several labels
    elsewhere."""
    single = (marks.sum(1) == 1).all()
    if task == 'classes' and not single:
        raise UserError(f'{path}: some rows have not a single 1: say data.task=labels')
    if task == 'numbers':
        return marks, Task('numbers'), []
    if single and task != 'labels':
        told = (
            []
            if task
            else [
                f'each row has a single 1: {len(names)} classes; data.task=labels takes them for '
                'several labels'
            ]
        )
        return marks.argmax(1).astype(np.int32), Task.of(tuple(names)), told
    return marks, Task('labels', tuple(names)), []


def _number(text):
    try:
        return None if '_' in text else float(text)  # Python takes 1_2 for 12
    except ValueError:
        return None
