"""Few-shot episodes: N ways, K shots, Q queries, as a pure function of a key over pictures that
stay on the device.

Source: Vinyals et al. 2016, section 4.1 (https://arxiv.org/abs/1606.04080).
"""

import hashlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from tljax.core import Dataset, Task, UserError
from tljax.data.class_splits import cut_by_class, join_splits, refuse_not_square, with_rotations
from tljax.protocols import Config, Example

SPLITS = {'train': 0, 'validation': 1, 'test': 2}


def episodes(
    splits: dict[str, Dataset],
    ways: int = 5,
    shots: int = 1,
    queries: int = 15,
    rotations: bool = False,
    test: Config | None = None,
    count: int = 600,
    seed: int = 0,
    by_class: dict[str, float] | None = None,
    pictures: bool = False,
) -> dict[str, Dataset]:
    """A labelled set as a source of episodes.

    Args:
        splits: of the labelled set.
        ways: number of classes of a training episode.
        shots: support pictures per class.
        queries: query pictures per class.
        rotations: whether every class stands for four, its pictures turned by 0, 90, 180 and 270
            degrees.
        test: {'ways', 'shots', 'queries', 'rotations'} of validation and test where they differ.
        count: number of validation and of test episodes, the same for every method and run.
        seed: of those, and of the cut by class.
        by_class: {'validation': .2, 'test': .2}, shares of the classes that are cut from all
            pictures; None where the set's own splits have no class in common.
        pictures: whether the training split is the labelled set of its classes (and of their turns)
            itself, for methods that train a classifier.

    Returns:
        {'train', 'validation', 'test'}: Datasets whose examples are episodes, {'support', 'query'}
        of inputs (ways, shots, ...) and (ways, queries, ...) and labels 0 to ways - 1.

    Raises:
        UserError: more ways than classes, classes with fewer pictures than shots and queries, and
            counts below one.

    >>> from tljax.data import glyphs
    >>> splits = episodes(
    ...     glyphs(size=8, classes=20, per_class=6), ways=3, queries=2, by_class={'test': 0.5}
    ... )
    >>> splits['test'].take(np.arange(4))['query']['input'].shape
    (4, 3, 2, 8, 8, 1)
    """
    refuse_no_classes(splits['train'])
    splits = disjoint_classes(splits, by_class, seed)
    plan = {'ways': ways, 'shots': shots, 'queries': queries, 'rotations': rotations}
    if unknown := set(test or ()) - set(plan):
        raise UserError(f'data.test.{min(unknown)} is unknown: give {", ".join(plan)}')
    found = {
        name: _of_split(name, split, plan | (test or {} if name != 'train' else {}), count, seed)
        for name, split in splits.items()
        if split.size and not (pictures and name == 'train')
    }
    return (
        {'train': with_rotations(splits['train']) if rotations else splits['train'], **found}
        if pictures
        else found
    )


def _of_split(name: str, split: Dataset, plan: Config, count: int, seed: int) -> Dataset:
    """The episodes of a split, which errors name."""
    try:
        return episode_dataset(split, **plan, count=count, seed=[seed, SPLITS[name]])
    except UserError as refused:
        own, share = ('data', '') if name == 'train' else ('data.test', f'.{name}')
        raise UserError(
            f'the {name} split: {refused} ({own}.ways, .shots, .queries), or change its share of '
            f'the classes (data.by_class{share})'
        ) from None


def refuse_no_classes(dataset: Dataset) -> None:
    """Refuses a set that episodes cannot be drawn from.

    Args:
        dataset: what is looked at.

    >>> from tljax.data.formats.arrays import arrays
    >>> refuse_no_classes(arrays(np.zeros(2), np.array([0.5, 1.5])))
    Traceback (most recent call last):
    tljax.core.UserError: episodes are drawn from classes, and these examples have numbers: ...
    """
    if dataset.task.kind != 'classes':
        told = {'labels': 'several labels each', 'unlabelled': 'no labels'}.get(
            dataset.task.kind, 'numbers'
        )
        raise UserError(
            f'episodes are drawn from classes, and these examples have {told}: take a set of '
            'classes'
        )


def disjoint_classes(
    splits: dict[str, Dataset], by_class: dict[str, float] | None = None, seed: int = 0
) -> dict[str, Dataset]:
    """The sets that `episodes` draws from, by the same arguments: no class is in two of them.

    Args:
        splits: of the labelled set.
        by_class: as `episodes`.
        seed: of the cut by class.

    >>> from tljax.data import digits
    >>> [len(split.classes) for split in disjoint_classes(digits(size=8), {'test': 0.3}).values()]
    [7, 3]
    """
    return cut_by_class(join_splits(splits), by_class, seed) if by_class else splits


def episode_dataset(
    dataset: Dataset,
    ways: int,
    shots: int,
    queries: int,
    rotations: bool = False,
    count: int = 600,
    seed: Sequence[int] = (0, 0),
) -> Dataset:
    """A Dataset of `count` episodes: example i is a pure function of seed and i, and `example(key)`
    makes more of them on the device.

    Args:
        dataset: the labelled set.
        ways: classes of an episode.
        shots: support pictures per class.
        queries: query pictures per class.
        rotations: whether every class stands for four, as `episodes`.
        count: number of episodes.
        seed: two numbers, of the set and of its split.

    >>> from tljax.data.formats.arrays import arrays
    >>> toy = arrays(np.arange(12.0)[:, None], np.repeat(np.arange(4), 3), 'abcd')
    >>> episode = episode_dataset(toy, ways=2, shots=1, queries=2).take(np.array([7]))
    >>> [
    ...     sorted(set((episode[part]['input'][0, i] // 3).ravel().tolist()))
    ...     for part in ('support', 'query')
    ...     for i in (0, 1)
    ... ]
    [[2.0], [3.0], [2.0], [3.0]]
    """
    example = episode_sampler(dataset, ways, shots, queries, rotations)
    root = jax.random.fold_in(jax.random.fold_in(jax.random.key(97), seed[0]), seed[1])
    make = jax.jit(jax.vmap(lambda number: example(jax.random.fold_in(root, number))))
    digest = hashlib.sha256(
        repr((dataset.fingerprint, ways, shots, queries, rotations, count, list(seed))).encode()
    ).hexdigest()
    classes = tuple(f'way {i}' for i in range(ways))
    return Dataset(
        lambda index: jax.device_get(make(jnp.asarray(index))),
        np.zeros(count, np.int32),
        Task.of(classes),
        digest,
        example,
    )


def episode_sampler(
    dataset: Dataset, ways: int, shots: int, queries: int, rotations: bool = False
) -> Example:
    """key -> one episode, without a class or a picture twice; jit, vmap and scan take it.

    Pictures are held once, as bytes where they are whole numbers; an episode gathers its own and no
    others.

    Args:
        dataset: the labelled set.
        ways: classes of an episode.
        shots: support pictures per class.
        queries: query pictures per class.
        rotations: whether every class stands for four, as `episodes`.

    Raises:
        UserError: as `episodes`.

    >>> from tljax.data.formats.arrays import arrays
    >>> toy = arrays(np.arange(6.0)[:, None], np.repeat(np.arange(3), 2), 'abc')
    >>> jax.jit(episode_sampler(toy, ways=3, shots=1, queries=1))(jax.random.key(0))['support'][
    ...     'label'
    ... ].ravel().tolist()
    [0, 1, 2]
    """
    refuse_no_classes(dataset)
    total, each = len(dataset.classes) * (4 if rotations else 1), shots + queries
    for what, value, least in (('ways', ways, 2), ('shots', shots, 1), ('queries', queries, 1)):
        if value < least:
            raise UserError(f'data.{what}={value}: an episode needs {least} or more')
    if ways > total:
        raise UserError(
            f'data.ways={ways} is more than the {total} classes there are: take fewer ways'
        )
    counts = np.bincount(dataset.label, minlength=len(dataset.classes))
    if counts.min() < each:
        raise UserError(
            f'class {dataset.classes[counts.argmin()]} has {counts.min()} examples, and an episode '
            f'takes {each} of a class ({shots} shots and {queries} queries): take fewer'
        )
    rows = np.full((len(counts), counts.max()), -1)
    for number, members in enumerate(rows):
        members[: counts[number]] = np.flatnonzero(dataset.label == number)
    held = np.asarray(dataset.take(np.arange(dataset.size))['input'])
    if (
        np.issubdtype(held.dtype, np.floating)
        and held.min() >= 0
        and held.max() <= 255
        and (held == held.astype(np.uint8)).all()
    ):
        held = held.astype(np.uint8)
    if rotations:
        refuse_not_square(held)
    held, rows = jnp.asarray(held), jnp.asarray(rows)
    label = jnp.arange(ways)[:, None]

    def example(key):
        first, second = jax.random.split(key)
        chosen = jax.random.choice(first, total, (ways,), replace=False)
        turn, members = chosen // len(counts), rows[chosen % len(counts)]
        # padding comes last
        rank = jnp.where(members < 0, 2.0, jax.random.uniform(second, members.shape))
        inputs = held[jnp.take_along_axis(members, rank.argsort(-1)[:, :each], -1)].astype(
            jnp.float32
        )
        if rotations:
            turned = jnp.stack([jnp.rot90(inputs, k, (2, 3)) for k in range(4)], 1)
            inputs = turned[jnp.arange(ways), turn]
        return {
            'support': {
                'input': inputs[:, :shots],
                'label': jnp.broadcast_to(label, (ways, shots)),
            },
            'query': {
                'input': inputs[:, shots:],
                'label': jnp.broadcast_to(label, (ways, queries)),
            },
        }

    return example
