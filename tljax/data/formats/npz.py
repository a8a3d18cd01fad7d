"""Labelled sets in one .npz file."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tljax.core import Dataset, UserError, abbreviated
from tljax.data.formats.arrays import arrays
from tljax.data.ranges import BYTES, range_note, range_of, scale
from tljax.data.reading import taking
from tljax.data.splits import cut_missing
from tljax.data.tasks import infer_task

PREFIXES = {
    'train': ('', 'train_', 'training_'),
    'validation': ('validation_', 'val_', 'valid_'),
    'test': ('test_', 'testing_'),
}
ALL_PREFIXES = (*PREFIXES['train'], *PREFIXES['validation'], *PREFIXES['test'])
KEYS = {
    'classes',
    *(f'{prefix}input' for prefix in ALL_PREFIXES),
    *(f'{prefix}label' for prefix in ALL_PREFIXES),
}


def npz(
    path: str | Path,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    task: str = '',
    range: Sequence[float] | None = None,
) -> dict[str, Dataset]:
    """Reads a labelled set from one .npz file.

    The file holds `input` and `label`, or `train_input`, `train_label`, `validation_input`, ...,
    `test_label`. Pictures, (n, height, width) or (n, height, width, channels), become float32 in
    [0, 1] with an axis for channels; `ranges.range_of` finds their black and white. Other floats
    become float32, other integers stay as they are. Labels are classes (an array `classes` may name
    them), several labels of an example, or numbers for regression; `tasks.infer_task` decides
    which.

    Args:
        path: the file; `~` is expanded.
        validation: share of each class that is cut from train if the file has no such split.
        test: share of each class that is cut from train if the file has no such split.
        seed: seed of that cut.
        task: 'classes', 'labels' or 'numbers'; needed if the labels leave it open.
        range: (black, white) of the pictures; needed if their numbers leave it open.

    Splits: those in the file are kept. A missing validation or test split is cut from train by the
        seeded permutation of `cut`, class by class (for regression, over all examples).

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    Raises:
        UserError: the file is missing, damaged or no .npz; keys are missing (the error lists those
            of the file); an array holds Python objects; inputs are no finite numbers; labels are
            not numbered from 0 without gaps; or the range of pictures is ambiguous.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), 'toy.npz')
    >>> np.savez(
    ...     file,
    ...     input=np.zeros((20, 8, 8), np.uint8),
    ...     label=np.repeat([0, 1], 10),
    ...     classes=['cat', 'dog'],
    ... )
    >>> splits = npz(file)
    >>> splits['train'].classes, {name: split.size for name, split in splits.items()}
    (('cat', 'dog'), {'train': 14, 'validation': 2, 'test': 4})
    """
    path = Path(path).expanduser()
    content = _read(path)
    prefix_of_split = _prefix_of_split(content, path)
    classes = (
        tuple(np.ravel(content['classes']).astype(str).tolist()) if 'classes' in content else ()
    )
    labels, task_of_labels, notes = infer_task(
        {split: content[f'{prefix}label'] for split, prefix in prefix_of_split.items()},
        classes,
        path,
        task,
    )
    inputs = {split: content[f'{prefix}input'] for split, prefix in prefix_of_split.items()}
    input_range = range_of(inputs, range, path)
    notes += range_note(input_range, range)
    if unread_keys := [key for key in content if key not in KEYS]:
        notes += (f'arrays passed over: {abbreviated(unread_keys)}',)
    names = task_of_labels.names if task_of_labels.kind == 'classes' else ()
    splits = {}
    for split, input in inputs.items():
        try:
            dataset = arrays(scale(input, input_range), labels[split], names)
        except UserError as error:
            raise UserError(f'{path}, {split}: {error}') from error
        if input.dtype == np.uint8 and input_range == BYTES:
            dataset = dataset._replace(take=taking(input, dataset.label))
        splits[split] = dataset._replace(task=task_of_labels, notes=notes, range=input_range)
    return cut_missing(splits, validation, test, seed, path)


def _prefix_of_split(content, path):
    """{split: prefix of its keys}; raises an error if a split lacks one of its two arrays."""
    prefix_of_split = {}
    for split, prefixes in PREFIXES.items():
        inputs = [f'{prefix}input' for prefix in prefixes if f'{prefix}input' in content]
        if len(inputs) > 1:
            raise UserError(f'{path} holds both {inputs[0]} and {inputs[1]}: keep one of them')
        for prefix in prefixes:
            if f'{prefix}input' in content or f'{prefix}label' in content:
                prefix_of_split[split] = prefix
    absent_keys = []
    for prefix in {'train': 'train_', **prefix_of_split}.values():
        absent_keys += [key for key in (f'{prefix}input', f'{prefix}label') if key not in content]
    if absent_keys:
        raise UserError(
            f'{path} lacks {", ".join(absent_keys)}; it holds {", ".join(content) or "nothing"}: '
            'name the arrays input and label, or train_input, train_label, and so for validation '
            'and test'
        )
    return prefix_of_split


def _read(path):
    """{key: array} of a file, with None for each key that is not in KEYS."""
    if not path.is_file():
        raise UserError(
            f'{path} does not exist: give data.path an .npz, as np.savez(path, input=..., '
            'label=...) writes it'
        )
    if not zipfile.is_zipfile(path):
        raise UserError(f'{path} is no .npz or is damaged: write it again by np.savez')
    content, key = {}, 'the list of arrays'
    try:
        with np.load(path, allow_pickle=False) as file:
            for key in file.files:
                content[key] = np.asarray(file[key]) if key in KEYS else None
    except ValueError as error:
        raise UserError(
            f'{path}: {key} is no plain array ({error}): save numbers, and names as an array of '
            'strings'
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        raise UserError(
            f'{path}: {key} is damaged ({error}): write the file again by np.savez'
        ) from error
    return content
