"""Two domains of one task: labels in the source, none in the target."""

import hashlib
from collections.abc import Sequence

import numpy as np

from tljax.core import Dataset, Task, UserError, abbreviated, nearest_name
from tljax.data.layout import normalised_name
from tljax.data.splits import restrict


def domains(
    source: dict[str, Dataset],
    target: dict[str, Dataset],
    shared: bool = False,
    alone: bool = False,
) -> dict[str, Dataset]:
    """A source set whose batches carry unlabelled inputs of a target set beside them.

    Classes are matched by name, whatever its case; their numbers are the source's. A target may
    lack classes of the source, or have no labels at all (`tljax.data.unlabelled`).

    Args:
        source: splits of the source.
        target: splits of the target, whose inputs have the same shape.
        shared: whether both are cut down to the classes that both have.
        alone: whether the training set is the target's, for methods that take the network of the
            source and not its data.

    Returns:
        'train': training set of the source, with that of the target as its `target`; or the latter
        alone. 'validation': that of the source. 'test': that of the target, if it has labels.
        'target': training set of the target, which is trained on without labels; the labels that it
        has are for reports alone.

    Raises:
        UserError: inputs differ, no class is in both, or the target has classes that the source
            lacks and `shared` is not set.

    >>> from tljax.data import digits, glyphs
    >>> splits = domains(glyphs(part='digits', size=8, per_class=10), digits(size=8))
    >>> {name: split.size for name, split in splits.items()}, splits['train'].target.size
    ({'train': 80, 'validation': 10, 'test': 539, 'target': 899}, 899)
    """
    _refuse_shapes(source['train'], target['train'])
    source, target, notes = _matched(source, target, shared)
    trained = target['train'] if alone else source['train']._replace(target=target['train'])
    kept = {
        name: part[name]
        for name, part in (('validation', source), ('test', target))
        if name in part
    }
    return {
        'train': trained._replace(notes=(*trained.notes, *notes)),
        **kept,
        'target': target['train'],
    }


def _refuse_shapes(source: Dataset, target: Dataset) -> None:
    """Refuses domains whose inputs cannot stand in one batch."""
    shapes = [np.shape(part.take(np.arange(1)).get('input'))[1:] for part in (source, target)]
    if not all(shapes):
        raise UserError(
            'a domain is a set of labelled examples: data.source and data.target cannot make '
            'episodes'
        )
    if shapes[0] != shapes[1]:
        raise UserError(
            f'inputs of the source are {shapes[0]} and of the target {shapes[1]}: give both the '
            'same size and channels'
        )


def _matched(
    source: dict[str, Dataset], target: dict[str, Dataset], shared: bool
) -> tuple[dict[str, Dataset], dict[str, Dataset], tuple[str, ...]]:
    """Both domains with one list of classes, and what is told of it."""
    names, theirs = source['train'].classes, target['train'].classes
    if source['train'].task.kind == 'unlabelled':
        raise UserError('the source has no labels: give data.source a folder for each class')
    kinds = [part['train'].task.kind for part in (source, target)]
    if kinds[1] not in (kinds[0], 'unlabelled'):
        raise UserError(
            f'the source asks for {kinds[0]} and the target for {kinds[1]}: say data.task of one '
            'of them'
        )
    if target['train'].task.kind == 'unlabelled':
        if shared:
            raise UserError(
                'data.shared=True: the target has no labels that tell which classes it shares'
            )
        named = target['train']._replace(task=Task('unlabelled', names))
        return source, {'train': named}, ('the target has no labels: it is judged without them',)
    known = {normalised_name(name): name for name in names}
    written = tuple(
        known.get(normalised_name(name), name) for name in theirs
    )  # as the source writes them
    notes = _lines(
        'the classes of the target are called as those of the source: {}',
        [f'{old} is {new}' for old, new in zip(theirs, written, strict=True) if old != new],
    )
    if notes:
        target = {
            name: split._replace(task=split.task._replace(names=written))
            for name, split in target.items()
        }
    theirs = written
    if names == theirs:
        return source, target, notes
    both = [name for name in names if name in theirs]
    lacking, further = ([name for name in some if name not in both] for some in (names, theirs))
    _refuse_further(names, theirs, lacking, [] if shared and both else further)
    kept = both if shared else names
    source, target = (
        {name: _renumbered(split, kept) for name, split in part.items()}
        for part in (source, target)
    )
    if not shared:
        return source, target, (*notes, *_lines('the target has no examples of {}', lacking))
    return (
        source,
        target,
        (
            *notes,
            *_lines('{} of the source is left aside', lacking),
            *_lines('{} of the target is left aside', further),
        ),
    )


def _lines(text: str, names: Sequence[str]) -> tuple[str, ...]:
    return (text.format(abbreviated(names)),) if names else ()


def _refuse_further(
    names: Sequence[str], theirs: Sequence[str], lacking: Sequence[str], further: Sequence[str]
) -> None:
    """Refuses a target with classes that no output of a method stands for."""
    if len(further) == len(theirs) and further:
        raise UserError(
            f'the source tells {abbreviated(names, 3)} apart and the target '
            f'{abbreviated(theirs, 3)}: no class is in both; a target whose folders mean '
            'nothing '
            "is read by name='unlabelled' (configs/adapt.py:...,unlabelled)"
        )
    if further:
        remedy = nearest_name(further[0], lacking) if lacking else ''
        meant = f' ({remedy})' if remedy.endswith('?') else ''
        raise UserError(
            f'the target has classes that the source lacks: {abbreviated(further, 3)}{meant}; no '
            'output stands for them: shared=True of the domains keeps the classes that are in both '
            '(data.shared, or data.of.shared)'
        )


def _renumbered(split: Dataset, names: Sequence[str]) -> Dataset:
    """The examples of these classes, with labels in the order of the names."""
    if split.classes == tuple(names):
        return split
    number = {name: i for i, name in enumerate(names)}
    every = np.array([number.get(name, -1) for name in split.classes], np.int32)[split.label]
    kept, label = restrict(split, np.flatnonzero(every >= 0)), every[every >= 0]
    digest = hashlib.sha256(repr((kept.fingerprint, list(names))).encode()).hexdigest()
    return kept._replace(
        take=lambda index: {**kept.take(index), 'label': label[index]},
        label=label,
        task=Task.of(names),
        fingerprint=digest,
    )
