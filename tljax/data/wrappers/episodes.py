"""Few-shot episodes of N ways, K shots and Q queries, drawn by a pure function of a key from
pictures that stay on the device.

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
    """Makes few-shot episodes of a labelled set.

    Args:
        splits: splits of the labelled set.
        ways: number of classes in a training episode.
        shots: number of support pictures per class.
        queries: number of query pictures per class.
        rotations: whether every class becomes four, with pictures rotated by 0, 90, 180 and 270
            degrees.
        test: {'ways', 'shots', 'queries', 'rotations'} of validation and test episodes, if they
            differ from those of training.
        count: number of validation episodes, and of test episodes. They are the same for every
            method and run.
        seed: seed of the validation and test episodes, and of the cut by class.
        by_class: {'validation': .2, 'test': .2}: the splits are joined, and these shares of the
            classes cut from them. None keeps the splits, which must have no class in common.
        pictures: whether 'train' is the labelled set of the training classes (with their rotations)
            instead of episodes, for methods that train a classifier.

    Returns:
        {'train', 'validation', 'test'}: Datasets whose examples are episodes {'support', 'query'}.
        Inputs are (ways, shots, ...) and (ways, queries, ...), labels are 0 to ways - 1.

    Raises:
        UserError: the set has no classes, an episode has more ways than there are classes, a class
            has fewer pictures than shots and queries, or a number is too small.

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
    if unknown_keys := set(test or ()) - set(plan):
        raise UserError(f'data.test.{min(unknown_keys)} is unknown: give {", ".join(plan)}')
    datasets = {}
    if pictures:
        datasets['train'] = with_rotations(splits['train']) if rotations else splits['train']
    for name, split in splits.items():
        if split.size and name not in datasets:
            split_plan = plan if name == 'train' else {**plan, **(test or {})}
            datasets[name] = _split_episodes(name, split, split_plan, count, seed)
    return datasets


def _split_episodes(name: str, split: Dataset, plan: Config, count: int, seed: int) -> Dataset:
    """The episodes of a split; errors name the split and its settings."""
    try:
        return episode_dataset(split, **plan, count=count, seed=[seed, SPLITS[name]])
    except UserError as error:
        settings, share = ('data', '') if name == 'train' else ('data.test', f'.{name}')
        raise UserError(
            f'the {name} split: {error} ({settings}.ways, .shots, .queries), or change its share '
            f'of the classes (data.by_class{share})'
        ) from None


def refuse_no_classes(dataset: Dataset) -> None:
    """Raises an error if a set has no classes, so that no episodes can be drawn from it.

    Args:
        dataset: the set.

    Raises:
        UserError: the examples have numbers, several labels, or no labels.

    >>> from tljax.data.formats.arrays import arrays
    >>> refuse_no_classes(arrays(np.zeros(2), np.array([0.5, 1.5])))
    Traceback (most recent call last):
    tljax.core.UserError: episodes are drawn from classes, and these examples have numbers: ...
    """
    if dataset.task.kind != 'classes':
        contents = {
            'labels': 'several labels each',
            'unlabelled': 'no labels',
            'numbers': 'numbers',
            'tasks': 'labels of several tasks',
        }
        raise UserError(
            'episodes are drawn from classes, and these examples have '
            f'{contents[dataset.task.kind]}: take a set of classes'
        )


def disjoint_classes(
    splits: dict[str, Dataset], by_class: dict[str, float] | None = None, seed: int = 0
) -> dict[str, Dataset]:
    """Returns the splits that `episodes` draws from: no two of them share a class.

    Args:
        splits: splits of the labelled set.
        by_class: shares of the classes, as for `episodes`.
        seed: seed of the cut by class.

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
    """Makes a Dataset of `count` episodes.

    Episode i is a pure function of `seed` and i. The Dataset's `example(key)` draws further
    episodes on the device.

    Args:
        dataset: the labelled set.
        ways: number of classes in an episode.
        shots: number of support pictures per class.
        queries: number of query pictures per class.
        rotations: whether every class becomes four by rotation, as for `episodes`.
        count: number of episodes.
        seed: two numbers: the seed of the data set, and the number of its split.

    Raises:
        UserError: as `episodes`.

    >>> from tljax.data.formats.arrays import arrays
    >>> toy = arrays(np.arange(12.0)[:, None], np.repeat(np.arange(4), 3), 'abcd')
    >>> episode = episode_dataset(toy, ways=2, shots=1, queries=2).take(np.array([7]))
    >>> (episode['support']['input'][0] // 3).ravel()  # inputs 3c to 3c + 2 are of class c
    array([2., 3.], dtype=float32)
    >>> (episode['query']['input'][0, ..., 0] // 3).tolist()
    [[2.0, 2.0], [3.0, 3.0]]
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
    """Returns a function from a key to one episode, in which no class or picture comes twice.

    The function works under jit, vmap and scan. The pictures are on the device once, as bytes if
    they are whole numbers in [0, 255]; an episode gathers its own pictures alone.

    Args:
        dataset: the labelled set.
        ways: number of classes in an episode.
        shots: number of support pictures per class.
        queries: number of query pictures per class.
        rotations: whether every class becomes four by rotation, as for `episodes`.

    Raises:
        UserError: as `episodes`.

    >>> from tljax.data.formats.arrays import arrays
    >>> toy = arrays(np.arange(6.0)[:, None], np.repeat(np.arange(3), 2), 'abc')
    >>> episode = jax.jit(episode_sampler(toy, ways=3, shots=1, queries=1))(jax.random.key(0))
    >>> support_class, query_class = (
    ...     episode[part]['input'].ravel() // 2 for part in ('support', 'query')
    ... )
    >>> bool((support_class == query_class).all()), episode['query']['label'].ravel().tolist()
    (True, [0, 1, 2])
    """
    refuse_no_classes(dataset)
    classes = len(dataset.classes) * (4 if rotations else 1)
    per_class = shots + queries
    for name, value, least in (('ways', ways, 2), ('shots', shots, 1), ('queries', queries, 1)):
        if value < least:
            raise UserError(f'data.{name}={value}: an episode needs {least} or more')
    if ways > classes:
        raise UserError(
            f'data.ways={ways} is more than the {classes} classes there are: take fewer ways'
        )
    counts = np.bincount(dataset.label, minlength=len(dataset.classes))
    if counts.min() < per_class:
        raise UserError(
            f'class {dataset.classes[counts.argmin()]} has {counts.min()} examples, and an episode '
            f'takes {per_class} of a class ({shots} shots and {queries} queries): take fewer'
        )
    pictures = _compact(np.asarray(dataset.take(np.arange(dataset.size))['input']))
    if rotations:
        refuse_not_square(pictures)
    pictures, rows = jnp.asarray(pictures), jnp.asarray(_rows_by_class(dataset.label, counts))
    label = jnp.arange(ways)[:, None]

    def example(key):
        class_key, picture_key = jax.random.split(key)
        way = jax.random.choice(class_key, classes, (ways,), replace=False)
        quarter_turns, members = way // len(counts), rows[way % len(counts)]
        # the smallest ranks are drawn; 2 puts padding last
        rank = jnp.where(members < 0, 2.0, jax.random.uniform(picture_key, members.shape))
        members = jnp.take_along_axis(members, rank.argsort(-1)[:, :per_class], -1)
        inputs = pictures[members].astype(jnp.float32)
        if rotations:
            views = jnp.stack([jnp.rot90(inputs, k, (2, 3)) for k in range(4)], 1)
            inputs = views[jnp.arange(ways), quarter_turns]
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


def _rows_by_class(label, counts):
    """The rows of each class's examples, (classes, max(counts)), padded by -1."""
    rows = np.full((len(counts), counts.max()), -1)
    for number, members in enumerate(rows):
        members[: counts[number]] = np.flatnonzero(label == number)
    return rows


def _compact(pictures):
    """The pictures as bytes, if they are floats with whole numbers in [0, 255]."""
    if (
        np.issubdtype(pictures.dtype, np.floating)
        and pictures.min() >= 0
        and pictures.max() <= 255
        and (pictures == pictures.astype(np.uint8)).all()
    ):
        return pictures.astype(np.uint8)
    return pictures
