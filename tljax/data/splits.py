"""Splits of a data set: parts by index, cuts by class, k labels per class, and the splits that a
file lacks."""

import hashlib
from pathlib import Path

import numpy as np

from tljax.core import Dataset, UserError, abbreviated
from tljax.data.formats.arrays import arrays
from tljax.data.purposes import Purpose
from tljax.data.ranges import refuse_unlike

DEFAULT_CUT = (0.1, 0.2, 0)  # validation, test and seed of the loaders that call `cut_missing`
TRAINED_ON = 10_000  # examples of a training set that tell its score to half a point


def restrict(dataset: Dataset, index: np.ndarray) -> Dataset:
    """The examples of `dataset` at `index`, as a dataset.

    Args:
        dataset: the whole set.
        index: places of the examples that stay, integers (m,).

    >>> restrict(arrays(np.arange(3.0), np.arange(3)), np.array([2, 0])).label
    array([2, 0])
    """
    index = np.asarray(index)
    digest = hashlib.sha256(dataset.fingerprint.encode() + index.tobytes()).hexdigest()
    names = np.asarray(dataset.names)[index] if len(dataset.names) else ()
    return Dataset(
        lambda rows: dataset.take(index[rows]),
        dataset.label[index],
        dataset.task,
        digest,
        notes=dataset.notes,
        names=names,
        range=dataset.range,
    )


def cut(dataset: Dataset, shares: dict[str, float], seed: int = 0) -> dict[str, Dataset]:
    """Cuts a dataset into named splits, class by class, by a seeded permutation.

    Args:
        dataset: the set to cut.
        shares: {'validation': .1, 'test': .2}: shares of each class; what is left is 'train'. A
            class with more examples than there are shares stands in every split; one with fewer
            keeps at least one training example.
        seed: of the permutation.

    >>> splits = cut(
    ...     arrays(np.arange(10.0), np.zeros(10, int), ('a',)), {'validation': 0.1, 'test': 0.2}
    ... )
    >>> {name: split.size for name, split in splits.items()}
    {'train': 7, 'validation': 1, 'test': 2}
    """
    parts = {name: [] for name in ('train', *shares)}
    for label in np.unique(dataset.label):
        members = np.random.default_rng([Purpose.CUT, seed, int(label)]).permutation(
            np.flatnonzero(dataset.label == label)
        )
        size, least = len(members), int(len(members) > len(shares))
        for name, share in shares.items():
            count = min(max(round(share * size), least), len(members) - 1)
            parts[name].append(members[:count])
            members = members[count:]
        parts['train'].append(members)
    return {name: restrict(dataset, np.sort(np.concatenate(rows))) for name, rows in parts.items()}


def per_class(label: np.ndarray, k: int | None, seed: int) -> np.ndarray:
    """Which examples a subset of k labels per class holds: nested (a smaller k is a part of a
    larger one) and seeded.

    Args:
        label: (n,) integers.
        k: labels per class, None for all.
        seed: draws the subset.

    Returns:
        Sorted integers, (number of classes * k,).

    Raises:
        UserError: where a class has fewer than k examples.

    >>> label = np.repeat([0, 1], 5)
    >>> set(per_class(label, 1, seed=0)) <= set(per_class(label, 3, seed=0))
    True
    """
    if k is None:
        return np.arange(len(label))
    if label.ndim > 1:
        raise UserError(
            f'per_class={k}: these examples have several labels or numbers each: leave it out'
        )
    groups = {int(c): np.flatnonzero(label == c) for c in np.unique(label)}
    few = {c: len(rows) for c, rows in groups.items() if len(rows) < k}
    if k < 1 or few:
        raise UserError(
            f'per_class={k}: '
            + (
                f'class {min(few, key=lambda c: few[c])} has {min(few.values())} examples; ask for '
                'at most that many'
                if few
                else 'at least one label per class is needed, or none for all'
            )
        )
    return np.sort(
        np.concatenate(
            [
                np.random.default_rng([Purpose.SUBSET, seed, c]).permutation(rows)[:k]
                for c, rows in groups.items()
            ]
        )
    )


def cut_missing(
    splits: dict[str, Dataset], validation: float, test: float, seed: int, where: str | Path
) -> dict[str, Dataset]:
    """Cuts the splits that a set lacks from its train split.

    Args:
        splits: {'train': Dataset} and what else of 'validation' and 'test' the set brings, which is
            kept.
        validation: share of train's classes, used where that split is missing.
        test: share of train's classes, used where that split is missing.
        seed: of the cut.
        where: the name of the set, for errors.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    Raises:
        UserError: for shares that are not above 0 and below 1 together, and for a split that would
            be empty.

    >>> whole = arrays(np.arange(10.0), np.zeros(10, int), ('a',))
    >>> {
    ...     name: split.size
    ...     for name, split in cut_missing(
    ...         {'train': whole, 'test': whole}, 0.1, 0.2, 0, 'toy'
    ...     ).items()
    ... }
    {'train': 9, 'validation': 1, 'test': 10}
    """
    shares = {
        name: share
        for name, share in (('validation', validation), ('test', test))
        if name not in splits
    }
    if any(share <= 0 for share in shares.values()) or sum(shares.values()) >= 1:
        raise UserError(
            f'{where}: {", ".join(f"data.{name}={share}" for name, share in shares.items())} of '
            'train is to be cut off: give shares above 0 whose sum is below 1'
        )
    train = splits['train']
    strata = train.label if train.task.kind == 'classes' else np.zeros(train.size, np.int32)
    parts = cut(arrays(np.arange(train.size), strata), shares, seed)
    whole = splits | {
        name: restrict(train, part.take(np.arange(part.size))['input'])
        for name, part in parts.items()
    }
    empty = [name for name, split in whole.items() if not split.size]
    if empty:
        numbers = all(name.replace('.', '', 1).isdigit() for name in train.classes)
        raise UserError(
            f'{where}: the {empty[0]} split is empty ({train.size} examples in train, of '
            f'{len(train.classes) or 1} classes): give more or a larger share'
            + (
                ', or take the classes for numbers by data.task=numbers'
                if numbers and train.classes
                else ''
            )
        )
    if not shares and (validation, test, seed) != DEFAULT_CUT:
        told = 'data.validation, data.test and data.seed cut nothing: this set has its own splits'
        whole['train'] = whole['train']._replace(notes=(*whole['train'].notes, told))
    return {name: whole[name] for name in ('train', 'validation', 'test')}


def signature(splits: dict[str, Dataset]) -> str:
    """A hash of what a set's examples are: their shape, names, labels and classes, the same
    wherever the files lie.

    Args:
        splits: {name: Dataset}.

    >>> pets = arrays(np.eye(2), np.array([0, 1]), ('cat', 'dog'))
    >>> signature({'train': pets}) == signature(
    ...     {'train': arrays(np.eye(2), np.array([1, 0]), ('cat', 'dog'))}
    ... )
    False
    """
    found = hashlib.sha256()
    for name, split in [
        *splits.items(),
        *((f'{name}, target', split.target) for name, split in splits.items() if split.target),
    ]:
        found.update(
            repr(
                (name, split.task, split.size, _shape_of_input(split), list(map(str, split.names)))
            ).encode()
        )
        found.update(np.ascontiguousarray(split.label, np.float64).tobytes())
    return found.hexdigest()[:16]


def refuse_nothing_to_learn(train: Dataset) -> None:
    """Refuses a training set whose labels are all the same; one that is drawn afresh is left alone.

    Args:
        train: the training set.

    Raises:
        UserError: all examples are of one class, or all numbers are equal.

    >>> refuse_nothing_to_learn(arrays(np.zeros(3), np.zeros(3, int), ('ants',)))
    Traceback (most recent call last):
    tljax.core.UserError: all 3 training examples are of the class ants: there is nothing to ...
    """
    if train.example or not train.size or train.task.kind == 'unlabelled':
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


def refuse_unfit(splits: dict[str, Dataset]) -> None:
    """Refuses splits made in Python that are no splits of one set.

    Args:
        splits: {name: Dataset}.

    Raises:
        UserError: no 'train', something that is no Dataset, nothing to learn, and a split of other
            classes, shapes or ranges than train.

    >>> pets = arrays(np.eye(2), np.array([0, 1]), ('cat', 'dog'))
    >>> refuse_unfit({'train': pets, 'test': arrays(np.eye(2), np.array([0, 1]), ('dog', 'cat'))})
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
            told = [
                f'the classes {abbreviated(each.classes, 6)}' if each.classes else 'numbers'
                for each in (split, train)
            ]
            raise UserError(
                f'the {name} split has {told[0]}, train has {told[1]}: give all the same ones in '
                'one order'
            )
        given = _shape_of_input(split)
        if split.size and given != shape:
            raise UserError(
                f'inputs of the {name} split are {given}, those of train {shape}: give all one '
                'shape'
            )
    refuse_unlike(splits)


def _shape_of_input(split):
    return np.shape(split.take(np.arange(min(1, split.size))).get('input'))[1:]


def scored_splits(splits: dict[str, Dataset]) -> dict[str, Dataset]:
    """What scores are measured on: all of a validation or test split, and TRAINED_ON examples of
    larger sets that were trained on; nothing without labels.

    Args:
        splits: {name: Dataset}.

    >>> whole = arrays(np.zeros(20_000), np.zeros(20_000, int), ('a',))
    >>> {name: split.size for name, split in scored_splits({'train': whole, 'test': whole}).items()}
    {'train': 10000, 'test': 20000}
    """

    def some(name, split):
        if name not in ('train', 'target') or split.size <= TRAINED_ON:
            return split
        return restrict(
            split, np.sort(np.random.default_rng(0).permutation(split.size)[:TRAINED_ON])
        )

    return {
        name: some(name, split)
        for name, split in splits.items()
        if split.size
        and split.task.kind != 'unlabelled'
        and not (name == 'train' and split.example)
    }
