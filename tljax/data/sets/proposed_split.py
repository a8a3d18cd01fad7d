"""The field's features and splits for zero-shot learning: `res101.mat` and `att_splits.mat` of one
of its sets (AWA1, AWA2, CUB, SUN, aPY).

The features are those of a ResNet-101 that has learnt ImageNet. The proposed splits keep the
classes of ImageNet out of the unseen ones. Older splits do not.
"""

from pathlib import Path
from typing import Any

import numpy as np

from tljax.core import Dataset, UserError
from tljax.data.class_splits import select_classes
from tljax.data.formats.arrays import arrays
from tljax.data.matlab import matlab
from tljax.data.splits import restrict

REMEDY = 'give data.path the folder of res101.mat and att_splits.mat'
FINAL = {'train': 'trainval_loc', 'seen': 'test_seen_loc', 'test': 'test_unseen_loc'}
CHOOSING = {'train': 'train_loc', 'validation': 'val_loc'}
PARTS = {  # part -> its splits among those of FINAL
    'seen': {'train': 'train', 'test': 'seen'},
    'unseen': {'train': 'test', 'test': 'test'},
}
NOTE = 'the features come from a network that has learnt the 1,000 classes of ImageNet'


def proposed_split(
    path: str | Path, choosing: bool = False, part: str = 'all'
) -> dict[str, Dataset]:
    """Loads features (n, 2048), float32, with labels that number all classes.

    The classes are in the order of `att_splits.mat`, as `knowledge=dict(name='attributes',
    path='att_splits.mat')` has them.

    Args:
        path: folder of `res101.mat` and `att_splits.mat`, of MATLAB's version 5, 7 or 7.3.
        choosing: whether the splits are those by which settings are chosen.
        part: 'all' classes in the order of the file; 'seen' or 'unseen' for a set of these classes
            alone, whose labels are numbered anew.

    Splits: as published. 'train' has the classes for training and validation, 'test' the unseen
        ones, and 'seen' further pictures of the classes of 'train'. For choosing, 'train' has the
        classes for training alone, and 'validation' has the others. Of the seen part, 'test' has
        the further pictures; of the unseen part, 'train' and 'test' are the same.

    Returns:
        {'train', 'seen', 'test'}, or {'train', 'validation'}, or {'train', 'test'}: Datasets.

    Raises:
        UserError: the part is unknown, or is asked for with `choosing`; a file is missing or
            damaged; labels do not fit the classes; or a class of the test or validation is trained
            on.

    Source: Xian et al. 2019, sections 4 and 5, https://arxiv.org/abs/1707.00600.

    >>> proposed_split('nowhere')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere/res101.mat does not exist: give data.path the folder of ...
    """
    if part not in ('all', *PARTS) or part != 'all' and choosing:
        raise UserError(
            f'data.part={part!r}: give all, seen or unseen, and all where data.choosing is set'
        )
    path, places = Path(path).expanduser(), CHOOSING if choosing else FINAL
    content = matlab(path / 'res101.mat', ['features', 'labels'], REMEDY)
    splits = matlab(path / 'att_splits.mat', ['allclasses_names', *places.values()], REMEDY)
    input = content['features'].T.astype(np.float32)
    label = content['labels'].ravel().astype(np.int64) - 1  # unsigned in some files
    classes = tuple(str(name) for name in splits['allclasses_names'])
    if len(label) != len(input):
        raise UserError(f'{path}: {len(input)} features and {len(label)} labels: copy it again')
    whole = arrays(input, label.astype(np.int32), classes)._replace(notes=(NOTE,))
    rows = {name: splits[place].ravel().astype(np.int64) - 1 for name, place in places.items()}
    for name, index in rows.items():
        if len(index) and not 0 <= index.min() <= index.max() < len(label):
            raise UserError(
                f'{path}/att_splits.mat: {places[name]} names example {index.max() + 1} of '
                f'{len(label)}: take both files of one set'
            )
    _refuse_leak(label, rows, classes, path)
    if part == 'all':
        return {name: restrict(whole, index) for name, index in rows.items()}
    members = np.unique(label[rows[PARTS[part]['train']]])
    return {
        name: select_classes(restrict(whole, rows[split]), members)
        for name, split in PARTS[part].items()
    }


def _refuse_leak(
    label: np.ndarray, rows: dict[str, np.ndarray], classes: tuple[str, ...], path: Path
) -> None:
    """Raises an error for a class of the test or validation that is trained on."""
    none = np.zeros(0, int)
    for name in ('validation', 'test'):
        both: Any = np.intersect1d(label[rows['train']], label[rows.get(name, none)])
        if len(both):
            raise UserError(
                f'{path}/att_splits.mat: the class {classes[both[0]]!r} is trained on and in '
                f'{name}, so that it is not unseen: take the published splits'
            )
    shared = np.intersect1d(rows['train'], rows.get('seen', none))
    if len(shared):
        raise UserError(
            f'{path}/att_splits.mat: {len(shared)} examples are in both train and seen: take the '
            'published splits'
        )
