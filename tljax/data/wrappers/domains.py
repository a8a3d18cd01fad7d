"""Two domains of one task, a labelled source and a target without labels."""

import hashlib
from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from tljax.core import Dataset, Task, UserError, abbreviated, nearest_name
from tljax.data.layout import normalised_name
from tljax.data.splits import restrict
from tljax.packing import Unpacked


def domains(
    source: dict[str, Dataset],
    target: dict[str, Dataset],
    shared: bool = False,
    alone: bool = False,
) -> dict[str, Dataset]:
    """Pairs a source with a target: each source batch also carries unlabelled target inputs.

    Classes are matched by name, without regard to case, and numbered as in the source. A target may
    lack classes of the source, or have no labels at all (`tljax.data.unlabelled`).

    Args:
        source: splits of the source.
        target: splits of the target; its inputs have the shape of the source's.
        shared: whether both domains are restricted to the classes that both have.
        alone: whether 'train' is the target's training set alone, for methods that start from a
            network trained on the source and do not use the source's data.

    Returns:
        A dict of four splits. 'train': training set of the source, whose `target` is the training
        set of the target (or, if `alone`, the latter). 'validation': that of the source. 'test':
        that of the target, if it has labels. 'target': training set of the target; its labels, if
        it has any, are for reports, never for training.

    Raises:
        UserError: inputs or tasks differ, the domains have no class in common, or the target has
            classes that the source lacks and `shared` is False.

    >>> from tljax.data import digits, glyphs
    >>> splits = domains(glyphs(part='digits', size=8, per_class=10), digits(size=8))
    >>> {name: split.size for name, split in splits.items()}, splits['train'].target.size
    ({'train': 80, 'validation': 10, 'test': 539, 'target': 899}, 899)
    """
    _refuse_shapes(source['train'], target['train'])
    _refuse_tasks(source['train'].task, target['train'].task, shared)
    source, target, notes = _match_classes(source, target, shared)
    train = target['train'] if alone else source['train']._replace(target=target['train'])
    splits = {'train': train._replace(notes=(*train.notes, *notes))}
    if 'validation' in source:
        splits['validation'] = source['validation']
    if 'test' in target:
        splits['test'] = target['test']
    splits['target'] = target['train']
    return splits


def _refuse_shapes(source: Dataset, target: Dataset) -> None:
    """Raises an error if inputs of the domains differ in shape, so that no batch can hold both."""
    inputs = [part.take(np.arange(1)).get('input') for part in (source, target)]
    shapes = [np.shape(input)[1:] for input in inputs]
    if any(input is None for input in inputs):
        raise UserError(
            'a domain is a set of labelled examples: data.source and data.target cannot make '
            'episodes'
        )
    if shapes[0] != shapes[1]:
        raise UserError(
            f'inputs of the source are {shapes[0]} and of the target {shapes[1]}: give both the '
            'same size and channels'
        )


def _refuse_tasks(source: Task, target: Task, shared: bool) -> None:
    """Raises an error if the tasks of the domains do not fit together."""
    if source.tasks or target.tasks:
        raise UserError('a domain has one task: name a set of one as data.source and data.target')
    if source.kind == 'unlabelled':
        raise UserError('the source has no labels: give data.source a folder for each class')
    if target.kind not in (source.kind, 'unlabelled'):
        raise UserError(
            f'the source asks for {source.kind} and the target for {target.kind}: say data.task of '
            'one of them'
        )
    if target.kind == 'unlabelled' and shared:
        raise UserError(
            'data.shared=True: the target has no labels that tell which classes it shares'
        )


def _match_classes(
    source: dict[str, Dataset], target: dict[str, Dataset], shared: bool
) -> tuple[dict[str, Dataset], dict[str, Dataset], tuple[str, ...]]:
    """Both domains with one list of classes, and notes on what changed."""
    source_names = source['train'].classes
    if target['train'].task.kind == 'unlabelled':
        train = target['train']._replace(task=Task('unlabelled', source_names))
        return source, {'train': train}, ('the target has no labels: it is judged without them',)
    target, notes = _with_names_of_source(target, source_names)
    target_names = target['train'].classes
    if source_names == target_names:
        return source, target, notes
    common_names = [name for name in source_names if name in target_names]
    source_extras = [name for name in source_names if name not in common_names]
    target_extras = [name for name in target_names if name not in common_names]
    if target_extras and not (shared and common_names):
        _raise_for_other_classes(source_names, target_names, source_extras, target_extras)
    if source['train'].task.kind == 'labels' and source_extras and not shared:
        raise UserError(
            f'the target has no column for the labels {abbreviated(source_extras, 3)} of the '
            'source: shared=True of the domains keeps the labels that are in both (data.shared, or '
            'data.of.shared)'
        )
    names = common_names if shared else source_names
    source = {name: _with_classes(split, names) for name, split in source.items()}
    target = {name: _with_classes(split, names) for name, split in target.items()}
    if shared:
        notes += _note('{} of the source is left aside', source_extras)
        notes += _note('{} of the target is left aside', target_extras)
    else:
        notes += _note('the target has no examples of {}', source_extras)
    return source, target, notes


def _with_names_of_source(
    target: dict[str, Dataset], source_names: Sequence[str]
) -> tuple[dict[str, Dataset], tuple[str, ...]]:
    """The target with its classes spelt as in the source, and a note if a name changed."""
    source_name = {normalised_name(name): name for name in source_names}
    old_names = target['train'].classes
    new_names = tuple(source_name.get(normalised_name(name), name) for name in old_names)
    if new_names == old_names:
        return target, ()
    changes = [
        f'{old} is {new}' for old, new in zip(old_names, new_names, strict=True) if old != new
    ]
    target = {
        name: split._replace(task=split.task._replace(names=new_names))
        for name, split in target.items()
    }
    return target, _note('the classes of the target are called as those of the source: {}', changes)


def _note(text: str, names: Sequence[str]) -> tuple[str, ...]:
    """The text about some names, or no note if there are none."""
    return (text.format(abbreviated(names)),) if names else ()


def _raise_for_other_classes(
    source_names: Sequence[str],
    target_names: Sequence[str],
    source_extras: Sequence[str],
    target_extras: Sequence[str],
) -> NoReturn:
    """Raises the error for a target with classes for which a method has no output."""
    if len(target_extras) == len(target_names):
        raise UserError(
            f'the source tells {abbreviated(source_names, 3)} apart and the target '
            f'{abbreviated(target_names, 3)}: no class is in both; a target whose folders mean '
            "nothing is read by name='unlabelled' (configs/adapt.py:...,unlabelled)"
        )
    hint = ''
    if source_extras:
        suggestion = nearest_name(target_extras[0], source_extras)
        if suggestion.endswith('?'):
            hint = f' ({suggestion})'
    raise UserError(
        f'the target has classes that the source lacks: {abbreviated(target_extras, 3)}{hint}; no '
        'output stands for them: shared=True of the domains keeps the classes that are in both '
        '(data.shared, or data.of.shared)'
    )


def _with_classes(split: Dataset, names: Sequence[str]) -> Dataset:
    """The split with the classes `names` in this order, and without examples of other classes.

    A split with several labels per example keeps all examples, and the columns of `names`.
    """
    if split.classes == tuple(names):
        return split
    if split.task.kind == 'labels':
        part, label = split, split.label[:, [split.classes.index(name) for name in names]]
    else:
        new_number = {name: i for i, name in enumerate(names)}
        new_numbers = np.array([new_number.get(name, -1) for name in split.classes], np.int32)
        label = new_numbers[split.label]
        part, label = restrict(split, np.flatnonzero(label >= 0)), label[label >= 0]
    digest = hashlib.sha256(repr((part.fingerprint, list(names))).encode()).hexdigest()
    return part._replace(
        take=Unpacked(lambda index: {**part.packed(index), 'label': label[index]}),
        label=label,
        task=Task(split.task.kind, tuple(names)),
        fingerprint=digest,
    )
