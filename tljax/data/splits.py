"""Splits of a data set: subsets by index, stratified cuts, k labels per class, and the splits that
a set lacks."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tljax.core import Dataset, UserError, abbreviated, known
from tljax.data.formats.arrays import arrays
from tljax.data.purposes import Purpose
from tljax.data.ranges import refuse_unlike
from tljax.packing import Unpacked

DEFAULT_CUT = (0.1, 0.2, 0)  # default validation, test and seed of loaders with `cut_missing`
TRAIN_SAMPLE = 10_000  # examples that measure a training score to half a percentage point


def restrict(dataset: Dataset, index: np.ndarray) -> Dataset:
    """Returns the examples of a dataset at some indices, as a dataset.

    Args:
        dataset: the dataset.
        index: indices of the examples to keep, integers (m,).

    >>> toy = arrays(np.array([0.5, 1.5, 2.5]), np.arange(3))
    >>> restrict(toy, np.array([2, 0])).take(np.array([0, 1]))['input'].tolist()
    [2.5, 0.5]
    """
    index = np.asarray(index)
    digest = hashlib.sha256(dataset.fingerprint.encode() + index.tobytes()).hexdigest()
    names = np.asarray(dataset.names)[index] if len(dataset.names) else ()
    return Dataset(
        Unpacked(lambda rows: dataset.packed(index[rows])),
        dataset.label[index],
        dataset.task,
        digest,
        notes=dataset.notes,
        names=names,
        range=dataset.range,
        shares=_shares_of(dataset.shares, index),
    )


def _shares_of(shares, index):
    """The sizes and shares of the parts of a set (`Dataset.shares`) of which some rows are kept."""
    if not shares:
        return ()
    part = np.searchsorted(np.cumsum([size for size, _ in shares]), index, side='right')
    assert (np.diff(part) >= 0).all(), 'the rows of a part stay together'
    sizes = np.bincount(part, minlength=len(shares)).tolist()
    kept = [(size, share) for size, (_, share) in zip(sizes, shares, strict=True) if size]
    total = sum(share for _, share in kept)
    return tuple((size, share / total) for size, share in kept)


def of_task(dataset: Dataset, name: str) -> Dataset:
    """Returns the examples of a set that have a label of one of its tasks, as a set of that task.

    Args:
        dataset: set of several tasks.
        name: name of the task.

    >>> from tljax.data import digits, glyphs, joint_tasks
    >>> sets = {'read': digits(size=8), 'print': glyphs(part='digits', size=8, per_class=10)}
    >>> part = of_task(joint_tasks(sets)['train'], 'print')
    >>> part.size, part.task.kind, part.take(np.array([0]))['label'].tolist()
    (80, 'classes', [0])
    """
    rows = restrict(dataset, np.flatnonzero(known(dataset.label)[name]))
    label = np.ascontiguousarray(rows.label[name])
    return rows._replace(
        take=Unpacked(lambda index: {**rows.packed(index), 'label': label[index]}),
        shares=(),
        label=label,
        task=dataset.task.by_name[name],
        fingerprint=hashlib.sha256(repr((rows.fingerprint, name)).encode()).hexdigest(),
    )


def cut(dataset: Dataset, shares: dict[str, float], seed: int = 0) -> dict[str, Dataset]:
    """Cuts a dataset at random into splits, with the same share of every class (stratified).

    A class with more examples than there are shares is in every split. Any other class keeps at
    least one example for training.

    Args:
        dataset: the dataset.
        shares: {name of a split: share of each class}, such as {'validation': .1, 'test': .2}; the
            remaining examples are 'train'.
        seed: seed of the permutation of each class.

    >>> label = np.repeat([0, 1], [10, 20])
    >>> splits = cut(arrays(np.zeros(30), label, 'ab'), {'validation': 0.1, 'test': 0.2})
    >>> {name: np.bincount(split.label).tolist() for name, split in splits.items()}
    {'train': [7, 14], 'validation': [1, 2], 'test': [2, 4]}
    """
    parts = {name: [] for name in ('train', *shares)}
    for label in np.unique(dataset.label):
        members = np.random.default_rng([Purpose.CUT, seed, int(label)]).permutation(
            np.flatnonzero(dataset.label == label)
        )
        size, minimum = len(members), int(len(members) > len(shares))
        for name, share in shares.items():
            count = min(max(round(share * size), minimum), len(members) - 1)
            parts[name].append(members[:count])
            members = members[count:]
        parts['train'].append(members)
    return {name: restrict(dataset, np.sort(np.concatenate(rows))) for name, rows in parts.items()}


def per_class(label: np.ndarray, k: int | None, seed: int) -> np.ndarray:
    """Draws k examples per class; a smaller k draws a subset of those of a larger k.

    Args:
        label: (n,) integers; or labels of several tasks (`several_tasks.structured`), each of whose
            classes then gets k examples; or boxes (n, g, 5), of which k pictures are drawn,
            whatever their classes; or -1 for all, of which k examples are drawn.
        k: examples per class, or of all; None for all.
        seed: seed of the draw.

    Returns:
        Indices of the examples, sorted integers (number of classes * k,), or (k,) of boxes or of
        examples without labels.

    Raises:
        UserError: a class has fewer than k examples, k is below 1, or labels are no classes; or an
            example has labels of several tasks.

    >>> label = np.repeat([0, 1], 5)
    >>> len(per_class(label, 3, seed=0))
    6
    >>> set(per_class(label, 1, seed=0)) <= set(per_class(label, 3, seed=0))
    True
    """
    if k is None:
        return np.arange(len(label))
    if label.dtype.names:
        return _per_class_of_tasks(label, k, seed)
    if label.ndim == 3:
        return _of_all(len(label), k, seed, 'pictures with boxes')
    if (label == -1).all() and label.dtype.kind == 'i':
        return _of_all(len(label), k, seed, 'examples without labels')
    if label.ndim > 1 or label.dtype.kind == 'f':
        raise UserError(
            f'per_class={k}: these examples have several labels or numbers each: leave it out'
        )
    if k < 1:
        raise UserError(f'per_class={k}: at least one label per class is needed, or none for all')
    groups = {int(c): np.flatnonzero(label == c) for c in np.unique(label)}
    smallest = min(groups, key=lambda c: len(groups[c]))
    if len(groups[smallest]) < k:
        raise UserError(
            f'per_class={k}: class {smallest} has {len(groups[smallest])} examples; ask for at '
            'most that many'
        )
    subsets = [
        np.random.default_rng([Purpose.SUBSET, seed, c]).permutation(rows)[:k]
        for c, rows in groups.items()
    ]
    return np.sort(np.concatenate(subsets))


def _of_all(count, k, seed, what):
    """The indices of k out of `count` examples, sorted."""
    if not 1 <= k <= count:
        raise UserError(f'per_class={k}: there are {count} {what}: take 1 to {count}')
    return np.sort(np.random.default_rng([Purpose.SUBSET, seed, 0]).permutation(count)[:k])


def _per_class_of_tasks(label, k, seed):
    """As `per_class`, for labels of several tasks."""
    is_known = known(label)
    if np.sum([*is_known.values()], 0).max(initial=0) > 1:
        raise UserError(
            f'per_class={k}: these examples have labels of several tasks each: leave it out'
        )
    rows = {name: np.flatnonzero(mask) for name, mask in is_known.items() if mask.any()}
    parts = [members[per_class(label[name][members], k, seed)] for name, members in rows.items()]
    return np.sort(np.concatenate(parts))


def cut_missing(
    splits: dict[str, Dataset], validation: float, test: float, seed: int, where: str | Path
) -> dict[str, Dataset]:
    """Cuts the validation and test splits that a set lacks from its training split.

    Args:
        splits: 'train', and 'validation' and 'test' if the set has them; these are kept.
        validation: share of each class of 'train' that becomes a missing validation split.
        test: share of each class of 'train' that becomes a missing test split.
        seed: seed of the cut.
        where: name of the set, for errors.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    Raises:
        UserError: a share is not above 0, the shares do not add up to less than 1, or a split would
            be empty.

    >>> toy = arrays(np.zeros(10), np.zeros(10, int), ('ants',))
    >>> splits = cut_missing({'train': toy, 'test': toy}, 0.1, 0.2, seed=0, where='toy')
    >>> {name: split.size for name, split in splits.items()}
    {'train': 9, 'validation': 1, 'test': 10}
    """
    shares = {'validation': validation, 'test': test}
    shares = {name: share for name, share in shares.items() if name not in splits}
    if any(share <= 0 for share in shares.values()) or sum(shares.values()) >= 1:
        raise UserError(
            f'{where}: {", ".join(f"data.{name}={share}" for name, share in shares.items())} of '
            'train is to be cut off: give shares above 0 whose sum is below 1'
        )
    train = splits['train']
    strata = train.label if train.task.kind == 'classes' else np.zeros(train.size, np.int32)
    parts = cut(arrays(np.arange(train.size), strata), shares, seed)
    splits = dict(splits)
    for name, part in parts.items():
        rows = part.take(np.arange(part.size))['input']
        splits[name] = restrict(train, rows)
    _refuse_empty(splits, train, where)
    if not shares and (validation, test, seed) != DEFAULT_CUT:
        note = 'data.validation, data.test and data.seed cut nothing: this set has its own splits'
        splits['train'] = splits['train']._replace(notes=(*splits['train'].notes, note))
    return {name: splits[name] for name in ('train', 'validation', 'test')}


def _refuse_empty(splits, train, where):
    """Refuses a set with an empty split; `train` is the training split before the cut."""
    empty = [name for name, split in splits.items() if not split.size]
    if not empty:
        return
    message = (
        f'{where}: the {empty[0]} split is empty ({train.size} examples in train, of '
        f'{len(train.classes) or 1} classes): give more or a larger share'
    )
    are_numbers = all(name.replace('.', '', 1).isdigit() for name in train.classes)
    if train.classes and are_numbers:
        message += ', or take the classes for numbers by data.task=numbers'
    raise UserError(message)


def signature(splits: dict[str, Dataset]) -> str:
    """Hashes what the examples of a set are: their number, shape, names, labels and classes.

    The hash does not depend on where the files are. It includes the sets of other domains
    (`Dataset.target`).

    Args:
        splits: {name: Dataset}.

    >>> pets = arrays(np.eye(2), np.array([0, 1]), ('cat', 'dog'))
    >>> other_labels = arrays(np.eye(2), np.array([1, 0]), ('cat', 'dog'))
    >>> signature({'train': pets}) == signature({'train': other_labels})
    False
    """
    targets = {f'{name}, target': split.target for name, split in splits.items() if split.target}
    digest = hashlib.sha256()
    for name, split in [*splits.items(), *targets.items()]:
        names = [str(name) for name in split.names]
        facts = (name, split.task, split.size, _shape_of_input(split), names)
        digest.update(repr(facts).encode())
        label = split.label if split.task.tasks else np.asarray(split.label, np.float64)
        digest.update(np.ascontiguousarray(label).tobytes())
    return digest.hexdigest()[:16]


def refuse_nothing_to_learn(train: Dataset) -> None:
    """Refuses a training set whose labels are all the same.

    Sets that make their examples on the device, and sets without labels, are not checked.

    Args:
        train: the training set.

    Raises:
        UserError: all examples have the same class, labels or number.

    >>> refuse_nothing_to_learn(arrays(np.zeros(3), np.zeros(3, int), ('ants',)))
    Traceback (most recent call last):
    tljax.core.UserError: all 3 training examples are of the class ants: there is nothing to ...
    """
    if train.example or not train.size or train.task.kind == 'unlabelled':
        return
    for name in train.task.names if train.task.tasks else ():
        part = of_task(train, name)
        if not part.size:
            raise UserError(f'the task {name} has no labels in the training set: give it some')
        refuse_nothing_to_learn(part)
    if train.task.kind == 'boxes':
        _refuse_no_boxes(train)
        return
    if (train.label != train.label[0]).any():
        return
    label = train.label[0]
    if train.task.kind == 'labels':
        raise UserError(
            f'all {train.size} training examples have the same labels: there is nothing to learn; '
            'give examples that differ'
        )
    if train.task.kind == 'classes':
        raise UserError(
            f'all {train.size} training examples are of the class {train.classes[label]}: there is '
            'nothing to learn; give examples of two classes or more'
        )
    raise UserError(
        f'all {train.size} training labels are {label}: there is nothing to learn; give numbers '
        'that differ'
    )


def _refuse_no_boxes(train):
    if not (train.label[..., 4] >= 0).any():
        raise UserError(
            f'none of the {train.size} training pictures has a box: there is nothing to learn; '
            'give pictures with boxes'
        )


def refuse_drawn(splits: dict[str, Dataset]) -> None:
    """Refuses a set that a wrapper of stored examples cannot take.

    Args:
        splits: {name: Dataset}.

    Raises:
        UserError: the set draws its examples (episodes), or pairs two domains.

    >>> pets = arrays(np.eye(2), np.array([0, 1]), ('cat', 'dog'))
    >>> refuse_drawn({'train': pets._replace(target=pets)})
    Traceback (most recent call last):
    tljax.core.UserError: data.of draws its examples, such as episodes, or pairs two domains: ...
    """
    if splits['train'].example or splits['train'].target:
        raise UserError(
            'data.of draws its examples, such as episodes, or pairs two domains: give a labelled '
            'set of stored examples'
        )


def refuse_unfit(splits: dict[str, Dataset]) -> None:
    """Refuses splits, made in Python, that do not belong to one set.

    Args:
        splits: {name: Dataset}.

    Raises:
        UserError: 'train' is missing or cannot be learnt from, a split is no Dataset, or a split
            differs from 'train' in classes, shape of inputs or range of pictures.

    >>> pets = arrays(np.eye(2), np.array([0, 1]), ('cat', 'dog'))
    >>> other_order = arrays(np.eye(2), np.array([0, 1]), ('dog', 'cat'))
    >>> refuse_unfit({'train': pets, 'test': other_order})
    Traceback (most recent call last):
    tljax.core.UserError: the test split has the classes dog, cat, train has the classes cat, ...
    """
    for name, split in splits.items():
        if not isinstance(split, Dataset):
            raise UserError(
                f'the {name} split is of type {type(split).__name__}: make a Dataset of it by '
                'tljax.data.arrays(input, label, classes)'
            )
    if 'train' not in splits:
        raise UserError(f'these splits have no train: {abbreviated(splits)}')
    train = splits['train']
    refuse_nothing_to_learn(train)
    shape = _shape_of_input(train)
    for name, split in splits.items():
        if split.task != train.task and split.task.kind != 'unlabelled':
            raise UserError(
                f'the {name} split has {_labels_text(split)}, train has {_labels_text(train)}: '
                'give all the same ones in one order'
            )
        split_shape = _shape_of_input(split)
        if split.size and split_shape != shape:
            raise UserError(
                f'inputs of the {name} split are {split_shape}, those of train {shape}: give all '
                'one shape'
            )
    refuse_unlike(splits)


def each_split(
    splits: dict[str, Dataset], make: Callable[[Dataset], Dataset]
) -> dict[str, Dataset]:
    """Applies a function to every split that has examples, and to the training set's target.

    Args:
        splits: splits of a data set, or of `domains`.
        make: makes a set of features of a set.

    >>> toy = arrays(np.eye(2), np.array([0, 1]), 'ab')
    >>> list(each_split({'train': toy, 'test': restrict(toy, np.arange(0))}, lambda split: split))
    ['train']
    """
    made = {name: make(split) for name, split in splits.items() if split.size}
    if splits['train'].target:
        train = made['train']
        made['train'] = train._replace(target=made.get('target', train))
    return made


def _labels_text(split):
    """What the labels of a split are, for errors."""
    return f'the classes {abbreviated(split.classes, 6)}' if split.classes else 'numbers'


def _shape_of_input(split):
    """The shape of one example; () if the split has no input."""
    return np.shape(split.take(np.arange(min(1, split.size))).get('input'))[1:]


def scored_splits(splits: dict[str, Dataset]) -> dict[str, Dataset]:
    """Returns the examples on which scores are measured.

    Validation and test splits stay as they are. 'train' and 'target', which are trained on, become
    random samples of TRAIN_SAMPLE examples if they are larger. Splits that are empty, have no
    labels, or make their training examples on the device are left out.

    Args:
        splits: {name: Dataset}.

    >>> large = arrays(np.zeros(20_000), np.zeros(20_000, int), ('a',))
    >>> {name: split.size for name, split in scored_splits({'train': large, 'test': large}).items()}
    {'train': 10000, 'test': 20000}
    """
    scored = {}
    for name, split in splits.items():
        is_drawn = name == 'train' and split.example is not None
        if not split.size or split.task.kind == 'unlabelled' or is_drawn:
            continue
        if name in ('train', 'target') and split.size > TRAIN_SAMPLE:
            rows = np.random.default_rng(0).permutation(split.size)[:TRAIN_SAMPLE]
            split = restrict(split, np.sort(rows))
        scored[name] = split
    return scored
