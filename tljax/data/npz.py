"""Arrays in an .npz file; and what every format of files shares: which numbers are pictures, which labels are classes, and how
the splits that a set lacks are cut."""
import zipfile
import zlib
from pathlib import Path

import numpy as np

from tljax.core import Refused
from tljax.data.arrays import arrays, cut, restrict

PREFIXES = {'train': ('', 'train_'), 'validation': ('validation_',), 'test': ('test_',)}
KEYS = {'classes', *(prefix + key for prefixes in PREFIXES.values() for prefix in prefixes for key in ('input', 'label'))}


def npz(path, validation=.1, test=.2, seed=0):
    """A labelled set in one .npz: `input` and `label`, or `train_input`, `train_label`, `validation_input`, ..., `test_label`.

    Pictures in uint8, (n, height, width) or (n, height, width, channels), become float32 in [0, 1] with an axis for channels.
    Floats become float32; other integers stay what they are. Integer labels are classes, named by `classes` in the file, or else
    by their numbers; floating labels, (n,) or (n, d), are regression and have no classes.

    Args:
        path: the file; `~` is expanded.
        validation, test: shares of each class that are cut from train where the file has no such split.
        seed: of that cut.

    Splits: those in the file are kept. A missing validation or test split is cut from train by the seeded permutation of `cut`,
    class by class (for regression over all examples).

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    Raises:
        Refused: for a file that is missing, damaged or no .npz, for missing keys (lists those there), arrays of Python objects,
            inputs that are no finite numbers, labels that are not numbered from 0 without gaps.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), 'toy.npz')
    >>> np.savez(file, input=np.zeros((20, 8, 8), np.uint8), label=np.repeat([0, 1], 10), classes=['cat', 'dog'])
    >>> {name: (split.size, split.classes) for name, split in npz(file).items()}
    {'train': (14, ('cat', 'dog')), 'validation': (2, ('cat', 'dog')), 'test': (4, ('cat', 'dog'))}
    """
    path = Path(path).expanduser()
    stored = _read(path)
    present = {split: prefix for split, prefixes in PREFIXES.items() for prefix in prefixes
               if prefix + 'input' in stored or prefix + 'label' in stored}
    if 'input' in stored and 'train_input' in stored:
        raise Refused(f'{path} holds both input and train_input: keep one of them')
    missing = [prefix + key for prefix in {'train': 'train_', **present}.values() for key in ('input', 'label')
               if prefix + key not in stored]
    if missing:
        raise Refused(f'{path} lacks {", ".join(missing)}; it holds {", ".join(stored) or "nothing"}: name the arrays input and '
                      'label, or train_input, train_label, and so for validation and test')
    classes = tuple(np.ravel(stored['classes']).astype(str).tolist()) if 'classes' in stored else ()
    label, classes = number({split: stored[prefix + 'label'] for split, prefix in present.items()}, classes, path)
    splits = {}
    for split, prefix in present.items():
        try:
            splits[split] = arrays(scale(stored[prefix + 'input']), label[split], classes)
        except Refused as error:
            raise Refused(f'{path}, {split}: {error}') from error
    return complete(splits, validation, test, seed, path)


def scale(input):
    """Numbers as networks take them.

    Args:
        input: numbers, (n, ...). uint8 with three or four axes is pictures: divided by 255, with a last axis for channels. Floats
            become float32; other integers stay what they are.

    Raises:
        Refused: for what is no array of numbers.

    >>> scale(np.full((2, 4, 4), 255, np.uint8)).shape, float(scale(np.full((2, 4, 4), 51, np.uint8)).max())
    ((2, 4, 4, 1), 0.20000000298023224)
    """
    input = np.asarray(input)
    if input.dtype.kind not in 'biuf' or not input.ndim:
        raise Refused(f'the input is {input.dtype} of shape {input.shape}: give an array of numbers with the examples on axis 0')
    if input.dtype == np.uint8 and input.ndim in (3, 4):
        return (input if input.ndim == 4 else input[..., None]) / np.float32(255)
    return input.astype(np.float32, copy=False) if input.dtype.kind == 'f' else input


def number(labels, classes, where):
    """Labels as classes or as numbers to regress on.

    Args:
        labels: {split: (n,) integers, or (n,) or (n, d) floats}, 'train' among them.
        classes: names in the order of the labels, or () where labels have none. where: the name of the set, for errors.

    Returns:
        (labels, classes): int32 labels and names, which are the numbers where none were given; or float32 labels and ().

    Raises:
        Refused: for labels that are neither, have no name, or, unnamed, are not 0, 1, 2 ... without gaps in train.

    >>> number({'train': np.array([1, 0, 1])}, (), 'toy')
    ({'train': array([1, 0, 1], dtype=int32)}, ('0', '1'))
    """
    labels = {split: np.asarray(label) for split, label in labels.items()}
    if not labels['train'].size:
        raise Refused(f'{where} has no training examples: give some')
    if all(label.dtype.kind == 'f' and label.ndim in (1, 2) for label in labels.values()) and not classes:
        if any(not np.isfinite(label).all() for label in labels.values()):
            raise Refused(f'{where}: some labels are not finite: clean them before they are trained on')
        return {split: label.astype(np.float32) for split, label in labels.items()}, ()
    for split, label in labels.items():
        if label.dtype.kind not in 'biu' or label.ndim != 1:
            raise Refused(f'{where}: the {split} labels are {label.dtype} of shape {label.shape}: give (n,) integers for classes '
                          '(names: np.unique(names, return_inverse=True)), or floats and no classes for regression')
    seen = np.unique(labels['train'])
    if not classes and not np.array_equal(seen, np.arange(len(seen))):
        raise Refused(f'{where}: the train labels run from {seen[0]} to {seen[-1]} with {len(seen)} distinct values: number them '
                      'from 0 without gaps (np.unique(label, return_inverse=True)), or name all of them in classes')
    classes = tuple(classes) or tuple(map(str, range(len(seen))))
    for split, label in labels.items():
        if len(label) and not 0 <= label.min() <= label.max() < len(classes):
            raise Refused(f'{where}: the {split} labels run from {label.min()} to {label.max()} but there are {len(classes)} '
                          'classes: number them from 0, and give every class a name or a training example')
    return {split: label.astype(np.int32) for split, label in labels.items()}, classes


def complete(splits, validation, test, seed, where):
    """Cuts the splits that a set lacks from its train split.

    Args:
        splits: {'train': Dataset} and what else of 'validation' and 'test' the set brings, which is kept.
        validation, test: shares of train's classes, used where that split is missing. seed: of the cut.
        where: the name of the set, for errors.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    Raises:
        Refused: for shares that are not above 0 and below 1 together, and for a split that would be empty.

    >>> whole = arrays(np.arange(10.), np.zeros(10, int), ('a',))
    >>> {name: split.size for name, split in complete({'train': whole, 'test': whole}, .1, .2, 0, 'toy').items()}
    {'train': 9, 'validation': 1, 'test': 10}
    """
    shares = {name: share for name, share in (('validation', validation), ('test', test)) if name not in splits}
    if any(share <= 0 for share in shares.values()) or sum(shares.values()) >= 1:
        raise Refused(f'{where}: {", ".join(f"data.{name}={share}" for name, share in shares.items())} of train is to be cut '
                      'off: give shares above 0 whose sum is below 1')
    train = splits['train']
    strata = train.label if train.classes else np.zeros(train.size, np.int32)
    parts = cut(arrays(np.arange(train.size), strata), shares, seed)
    whole = splits | {name: restrict(train, part.take(np.arange(part.size))['input']) for name, part in parts.items()}
    empty = [name for name, split in whole.items() if not split.size]
    if empty:
        raise Refused(f'{where}: the {empty[0]} split is empty ({train.size} examples in train): give more or a larger share')
    return {name: whole[name] for name in ('train', 'validation', 'test')}


def _read(path):
    """{key: array} of the keys that `npz` knows, and None for the others, which errors list."""
    if not path.is_file():
        raise Refused(f'{path} does not exist: give data.path an .npz, as np.savez(path, input=..., label=...) writes it')
    if not zipfile.is_zipfile(path):
        raise Refused(f'{path} is no .npz or is damaged: write it again by np.savez')
    stored, key = {}, 'the list of arrays'
    try:
        with np.load(path, allow_pickle=False) as file:
            for key in file.files:
                stored[key] = np.asarray(file[key]) if key in KEYS else None
    except ValueError as error:
        raise Refused(f'{path}: {key} is no plain array ({error}): save numbers, and names as an array of strings') from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        raise Refused(f'{path}: {key} is damaged ({error}): write the file again by np.savez') from error
    return stored
