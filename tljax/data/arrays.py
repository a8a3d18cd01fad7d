"""Datasets from arrays in memory, and what is done to any dataset: cut it, take k labels per class, draw batches from it."""
import functools
import hashlib

import jax
import numpy as np

from tljax.core import Dataset, Refused, Source

CUT, SUBSET, ORDER, SHUFFLE, KEY = range(1, 6)   # what a random stream is for: streams of different purposes are independent


def arrays(input, label, classes=()):
    """A dataset of arrays in memory.

    Args:
        input: (n, ...) array. label: (n,) integers below `len(classes)`, or (n,) or (n, d) numbers for regression.
        classes: names, in the order of the labels.

    Raises:
        Refused: where lengths differ, a label has no class, or an input is not finite.

    >>> arrays(np.zeros((2, 3)), np.array([0, 1]), ('a', 'b')).take(np.array([1]))['label']
    array([1])
    """
    input, label = np.asarray(input), np.asarray(label)
    if len(input) != len(label):
        raise Refused(f'{len(input)} inputs but {len(label)} labels: give one label per input')
    if classes and len(label) and not (label.min() >= 0 and label.max() < len(classes)):
        raise Refused(f'labels run from {label.min()} to {label.max()} but there are {len(classes)} classes: number them from 0')
    if np.issubdtype(input.dtype, np.floating) and not np.isfinite(input).all():
        raise Refused(f'{int((~np.isfinite(input)).sum())} input values are not finite: clean them before they are trained on')
    digest = hashlib.sha256(np.ascontiguousarray(input).tobytes() + np.ascontiguousarray(label).tobytes()).hexdigest()
    return Dataset(lambda index: {'input': input[index], 'label': label[index]}, label, tuple(classes), digest)


def restrict(dataset, index):
    """The examples of `dataset` at `index`, as a dataset.

    >>> restrict(arrays(np.arange(3.), np.arange(3)), np.array([2, 0])).label
    array([2, 0])
    """
    index = np.asarray(index)
    digest = hashlib.sha256(dataset.fingerprint.encode() + index.tobytes()).hexdigest()
    return Dataset(lambda rows: dataset.take(index[rows]), dataset.label[index], dataset.classes, digest)


def cut(dataset, shares, seed=0):
    """Cuts a dataset into named splits, class by class, by a seeded permutation.

    Args:
        shares: {'validation': .1, 'test': .2}: shares of each class; what is left is 'train'. A class keeps at least one training
            example.

    >>> splits = cut(arrays(np.arange(10.), np.zeros(10, int), ('a',)), {'validation': .1, 'test': .2})
    >>> {name: split.size for name, split in splits.items()}
    {'train': 7, 'validation': 1, 'test': 2}
    """
    parts = {name: [] for name in ('train', *shares)}
    for label in np.unique(dataset.label):
        members = np.random.default_rng([CUT, seed, int(label)]).permutation(np.flatnonzero(dataset.label == label))
        for name, share in shares.items():
            count = min(round(share * (dataset.label == label).sum()), len(members) - 1)
            parts[name].append(members[:count])
            members = members[count:]
        parts['train'].append(members)
    return {name: restrict(dataset, np.sort(np.concatenate(rows))) for name, rows in parts.items()}


def per_class(label, k, seed):
    """Which examples a subset of k labels per class holds: nested (a smaller k is a part of a larger one) and seeded.

    Args:
        label: (n,) integers. k: labels per class, None for all.

    Returns:
        Sorted integers, (number of classes * k,).

    Raises:
        Refused: where a class has fewer than k examples.

    >>> label = np.repeat([0, 1], 5)
    >>> set(per_class(label, 1, seed=0)) <= set(per_class(label, 3, seed=0))
    True
    """
    if k is None:
        return np.arange(len(label))
    groups = {int(c): np.flatnonzero(label == c) for c in np.unique(label)}
    short = {c: len(rows) for c, rows in groups.items() if len(rows) < k}
    if k < 1 or short:
        raise Refused(f'per_class={k}: ' + (f'class {min(short, key=short.get)} has {min(short.values())} examples; ask for at most '
                                            'that many' if short else 'at least one label per class is needed, or none for all'))
    return np.sort(np.concatenate([np.random.default_rng([SUBSET, seed, c]).permutation(rows)[:k] for c, rows in groups.items()]))


def draw(dataset, batch, k=None, stream=0, shuffled=False):
    """A source of batches: a fresh permutation per epoch, read by random access.

    Batches run on over the end of an epoch, so that all have the same size, whatever the number of examples.

    Args:
        batch: examples per step. k: labels per class, drawn by the run's seed (`per_class`); None for all.
        stream: sources of one run with different streams are drawn independently.
        shuffled: labels are permuted over the examples, by the run's seed: a control that keeps inputs and class counts.

    >>> source = draw(arrays(np.arange(4.), np.arange(4)), batch=4)
    >>> sorted(source.index(seed=0, step=5).tolist())
    [0, 1, 2, 3]
    """
    @functools.lru_cache(maxsize=64)
    def subset(seed):
        return per_class(dataset.label, k, seed)

    @functools.lru_cache(maxsize=64)
    def order(seed, epoch):
        return np.random.default_rng([ORDER, seed, stream, epoch]).permutation(subset(seed))

    @functools.lru_cache(maxsize=64)
    def permutation(seed):
        rows, labels = subset(seed), np.zeros(dataset.size, int)
        labels[rows] = np.random.default_rng([SHUFFLE, seed, stream]).permutation(rows)
        return labels

    def index(seed, step):
        epoch, offset = np.divmod(np.arange(step * batch, (step + 1) * batch), len(subset(seed)))
        rows = np.concatenate([order(seed, e)[offset[epoch == e]] for e in np.unique(epoch).tolist()])
        return {'input': rows, 'label': permutation(seed)[rows]} if shuffled else rows

    def take(index):
        if shuffled:
            return {**dataset.take(index['input']), 'label': dataset.label[index['label']]}
        return dataset.take(index)

    return Source(index, take)


def beside(source, target):
    """Batches of `source` with as many unlabelled inputs of `target`, under that name: two streams, each with epochs of its own.

    >>> one, other = (draw(arrays(np.arange(start, start + 4.), np.arange(4)), batch=2, stream=start) for start in (0, 4))
    >>> batch = beside(one, other).batch(seed=0, step=0)
    >>> sorted(batch), sorted(batch['target']), batch['target']['input'].min() >= 4
    (['input', 'label', 'target'], ['input'], np.True_)
    """
    def index(seed, step):
        return {'source': source.index(seed, step), 'target': target.index(seed, step)}

    return Source(index, lambda index: {**source.take(index['source']), 'target': {'input': target.take(index['target'])['input']}})


def relabelled(source, labels):
    """`source` with other labels: {seed: (size,)}, one for every example of its data set.

    >>> other = relabelled(draw(arrays(np.arange(3.), np.arange(3)), batch=3), {0: np.array([7, 8, 9])})
    >>> batch = other.batch(seed=0, step=0)
    >>> (batch['label'] - batch['input']).tolist()
    [7.0, 7.0, 7.0]
    """
    def index(seed, step):
        rows = source.index(seed, step)
        return {'rows': rows, 'label': labels[seed][rows]}

    return Source(index, lambda index: {**source.take(index['rows']), 'label': index['label']})


def keyed(source, prepare):
    """`source` with a random key for each example of a batch, from seed and step alone, and `prepare` to use it on the device.

    The field 'key' is raw key data, (n, 2) uint32 (`tljax.augment.augmented` consumes it).

    >>> source = keyed(draw(arrays(np.arange(4.), np.arange(4)), batch=4), lambda batch: batch)
    >>> source.batch(seed=0, step=0)['key'].shape
    (4, 2)
    """
    def index(seed, step):
        rows = source.index(seed, step)
        return {'rows': rows, 'key': _keys(seed, step, len(jax.tree.leaves(rows)[0]))}

    return Source(index, lambda index: {**source.take(index['rows']), 'key': index['key']}, prepare)


def sampled(example, batch):
    """A source whose batches are made on the device: the host gives keys, the compiled step makes the examples.

    Args:
        example: key -> one example or episode, a tree of arrays of fixed shapes. batch: how many of them per step.

    >>> source = sampled(lambda key: {'input': jax.random.normal(key, (3,))}, batch=2)
    >>> source.batch(seed=0, step=0)['input'].shape
    (2, 3)
    """
    def prepare(batch):
        return jax.vmap(example)(jax.random.wrap_key_data(batch['key'], impl='threefry2x32'))

    return Source(lambda seed, step: _keys(seed, step, batch), lambda keys: {'key': keys}, prepare)


def _keys(seed, step, count):
    return np.random.default_rng([KEY, seed, step]).integers(2 ** 32, size=(count, 2), dtype=np.uint32)
