"""Labelled sets in one .npz file."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tljax.core import Dataset, UserError, abbreviated
from tljax.data.formats.arrays import arrays
from tljax.data.ranges import range_note, range_of, scale
from tljax.data.splits import cut_missing
from tljax.data.tasks import infer_task

PREFIXES = {
    'train': ('', 'train_', 'training_'),
    'validation': ('validation_', 'val_', 'valid_'),
    'test': ('test_', 'testing_'),
}
KEYS = {
    'classes',
    *(
        prefix + key
        for prefixes in PREFIXES.values()
        for prefix in prefixes
        for key in ('input', 'label')
    ),
}


def npz(
    path: str | Path,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    task: str = '',
    range: Sequence[float] | None = None,
) -> dict[str, Dataset]:
    """A labelled set in one .npz: `input` and `label`, or `train_input`, `train_label`,
    `validation_input`, ..., `test_label`.

    Pictures, (n, height, width) or (n, height, width, channels), become float32 in [0, 1] with an
    axis for channels, by the range of their numbers (`ranges.range_of`). Other floats become
    float32, other integers stay what they are. Labels are classes, named by `classes` in the file,
    several labels of an example or numbers to regress on (`tasks.understood`).

    Args:
        path: the file; `~` is expanded.
        validation: share of each class that is cut from train where the file has no such split.
        test: share of each class that is cut from train where the file has no such split.
        seed: of that cut.
        task: 'classes', 'labels' or 'numbers', where the labels alone do not say it.
        range: (black, white) of the pictures, where their numbers alone do not say it.

    Splits: those in the file are kept. A missing validation or test split is cut from train by the
    seeded permutation of `cut`, class by class (for regression over all examples).

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    Raises:
        UserError: for a file that is missing, damaged or no .npz, for missing keys (lists those
            there), arrays of Python objects, inputs that are no finite numbers, labels that are not
            numbered from 0 without gaps, pictures whose range is ambiguous.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), 'toy.npz')
    >>> np.savez(
    ...     file,
    ...     input=np.zeros((20, 8, 8), np.uint8),
    ...     label=np.repeat([0, 1], 10),
    ...     classes=['cat', 'dog'],
    ... )
    >>> {name: (split.size, split.classes) for name, split in npz(file).items()}
    {'train': (14, ('cat', 'dog')), 'validation': (2, ('cat', 'dog')), 'test': (4, ('cat', 'dog'))}
    """
    path = Path(path).expanduser()
    stored = _read(path)
    present = {
        split: prefix
        for split, prefixes in PREFIXES.items()
        for prefix in prefixes
        if prefix + 'input' in stored or prefix + 'label' in stored
    }
    for prefixes in PREFIXES.values():
        if (
            len(twice := [prefix + 'input' for prefix in prefixes if prefix + 'input' in stored])
            > 1
        ):
            raise UserError(f'{path} holds both {twice[0]} and {twice[1]}: keep one of them')
    missing = [
        prefix + key
        for prefix in {'train': 'train_', **present}.values()
        for key in ('input', 'label')
        if prefix + key not in stored
    ]
    if missing:
        raise UserError(
            f'{path} lacks {", ".join(missing)}; it holds {", ".join(stored) or "nothing"}: name '
            'the arrays input and label, or train_input, train_label, and so for validation and '
            'test'
        )
    classes = tuple(np.ravel(stored['classes']).astype(str).tolist()) if 'classes' in stored else ()
    held = {split: stored[prefix + 'label'] for split, prefix in present.items()}
    labels, asked, notes = infer_task(held, classes, path, task)
    inputs = {split: stored[prefix + 'input'] for split, prefix in present.items()}
    found = range_of(inputs, range, path)
    notes += range_note(found, range)
    if others := [key for key in stored if key not in KEYS]:
        notes += (f'arrays passed over: {abbreviated(others)}',)
    splits = {}
    for split, input in inputs.items():
        try:
            made = arrays(
                scale(input, found), labels[split], asked.names if asked.kind == 'classes' else ()
            )
        except UserError as error:
            raise UserError(f'{path}, {split}: {error}') from error
        splits[split] = made._replace(task=asked, notes=notes, range=found)
    return cut_missing(splits, validation, test, seed, path)


def _read(path):
    """{key: array} of the keys that `npz` knows, and None for the others, which errors list."""
    if not path.is_file():
        raise UserError(
            f'{path} does not exist: give data.path an .npz, as np.savez(path, input=..., '
            'label=...) writes it'
        )
    if not zipfile.is_zipfile(path):
        raise UserError(f'{path} is no .npz or is damaged: write it again by np.savez')
    stored, key = {}, 'the list of arrays'
    try:
        with np.load(path, allow_pickle=False) as file:
            for key in file.files:
                stored[key] = np.asarray(file[key]) if key in KEYS else None
    except ValueError as error:
        raise UserError(
            f'{path}: {key} is no plain array ({error}): save numbers, and names as an array of '
            'strings'
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        raise UserError(
            f'{path}: {key} is damaged ({error}): write the file again by np.savez'
        ) from error
    return stored
