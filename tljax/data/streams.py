"""Streams of batches: what a step trains on, as a pure function of seed and step."""

import functools
from collections.abc import Sequence

import jax
import numpy as np

from tljax.core import Dataset, Stream, UserError, abbreviated
from tljax.data.purposes import Purpose
from tljax.data.splits import per_class
from tljax.protocols import Example, Prepare


def draw(
    dataset: Dataset, batch: int, k: int | None = None, stream: int = 0, shuffled: bool = False
) -> Stream:
    """A stream of batches of one data set: a fresh permutation per epoch, read by random access.

    Batches run on over the end of an epoch, so that all have the same size, whatever the number of
    examples.

    Args:
        dataset: set of examples.
        batch: examples per step.
        k: labels per class, drawn by the run's seed (`per_class`); None for all.
        stream: number of the stream; streams of one run that differ in it are drawn independently.
        shuffled: whether labels are permuted over the examples by the run's seed: a control that
            keeps inputs and class counts.

    >>> from tljax.data import arrays
    >>> stream = draw(arrays(np.arange(4.0), np.arange(4)), batch=4)
    >>> sorted(stream.index(seed=0, step=5).tolist())
    [0, 1, 2, 3]
    """

    @functools.lru_cache(maxsize=64)
    def subset(seed):
        return per_class(dataset.label, k, seed)

    @functools.lru_cache(maxsize=64)
    def order(seed, epoch):
        return np.random.default_rng([Purpose.ORDER, seed, stream, epoch]).permutation(subset(seed))

    @functools.lru_cache(maxsize=64)
    def permutation(seed):
        rows, labels = subset(seed), np.zeros(dataset.size, int)
        labels[rows] = np.random.default_rng([Purpose.SHUFFLE, seed, stream]).permutation(rows)
        return labels

    def index(seed, step):
        epoch, offset = np.divmod(np.arange(step * batch, (step + 1) * batch), len(subset(seed)))
        rows = np.concatenate(
            [order(seed, e)[offset[epoch == e]] for e in np.unique(epoch).tolist()]
        )
        return {'input': rows, 'label': permutation(seed)[rows]} if shuffled else rows

    def take(index):
        if shuffled:
            return {**dataset.take(index['input']), 'label': dataset.label[index['label']]}
        return dataset.take(index)

    return Stream(index, take)


def with_target(source: Stream, target: Stream) -> Stream:
    """Batches of `source` with as many unlabelled inputs of `target`, under that name. Each of the
    two has epochs of its own.

    Args:
        source: whose labels are read.
        target: whose inputs alone are.

    >>> from tljax.data import arrays
    >>> one, other = (
    ...     draw(arrays(np.arange(start, start + 4.0), np.arange(4)), batch=2, stream=start)
    ...     for start in (0, 4)
    ... )
    >>> batch = with_target(one, other).batch(seed=0, step=0)
    >>> sorted(batch), sorted(batch['target']), batch['target']['input'].min() >= 4
    (['input', 'label', 'target'], ['input'], np.True_)
    """

    def index(seed, step):
        return {'source': source.index(seed, step), 'target': target.index(seed, step)}

    return Stream(
        index,
        lambda index: {
            **source.take(index['source']),
            'target': {'input': target.take(index['target'])['input']},
        },
    )


def with_labels(stream: Stream, labels: dict[int, np.ndarray]) -> Stream:
    """`stream` with other labels.

    Args:
        stream: of batches of one data set.
        labels: {seed: (size,) labels, one for every example of that set}.

    >>> from tljax.data import arrays
    >>> other = with_labels(
    ...     draw(arrays(np.arange(3.0), np.arange(3)), batch=3), {0: np.array([7, 8, 9])}
    ... )
    >>> batch = other.batch(seed=0, step=0)
    >>> (batch['label'] - batch['input']).tolist()
    [7.0, 7.0, 7.0]
    """

    def index(seed, step):
        rows = stream.index(seed, step)
        return {'rows': rows, 'label': labels[seed][rows]}

    return Stream(index, lambda index: {**stream.take(index['rows']), 'label': index['label']})


def with_class_weights(stream: Stream, weights: np.ndarray) -> Stream:
    """`stream` with the weight of each example's class beside it, which losses multiply by.

    Args:
        stream: of batches of one data set.
        weights: (classes,) numbers.

    >>> from tljax.data import arrays
    >>> stream = with_class_weights(
    ...     draw(arrays(np.zeros(2), np.array([0, 1])), batch=2), np.array([0.5, 2.0])
    ... )
    >>> sorted(stream.batch(seed=0, step=0)['weight'].tolist())
    [0.5, 2.0]
    """

    def take(index):
        batch = stream.take(index)
        return {**batch, 'weight': weights[batch['label']].astype(np.float32)}

    return Stream(stream.index, take, stream.prepare)


def weight_by_class(
    train: Dataset, given: str | Sequence[float], k: int | None = None
) -> np.ndarray:
    """The weight of each class in the loss; over the examples that are trained on, weights average
    1.

    Args:
        train: a set of classes.
        given: 'balanced', by which every class counts alike, or a number for each class, '1,4' or
            (1, 4).
        k: labels per class that are trained on; None for all.

    Returns:
        (classes,).

    Raises:
        UserError: a set without classes, another word, or numbers that are not one above 0 for each
            class.

    >>> from tljax.data import arrays
    >>> weight_by_class(
    ...     arrays(np.zeros(4), np.array([0, 0, 0, 1]), ('ants', 'bees')), 'balanced'
    ... ).round(3).tolist()
    [0.667, 2.0]
    """
    if train.task.kind != 'classes':
        raise UserError(f'class_weights={given!r}: this data has no classes: leave it out')
    counts = np.bincount(train.label, minlength=len(train.classes))
    counts = np.minimum(counts, k) if k else counts
    if given == 'balanced':
        weights = 1 / np.maximum(counts, 1)
    else:
        try:
            weights = np.array(
                given.strip('()[] ').split(',') if isinstance(given, str) else given, float
            )
        except ValueError:
            weights = np.zeros(0)
        if (
            weights.shape != counts.shape
            or not (weights > 0).all()
            or not np.isfinite(weights).all()
        ):
            raise UserError(
                f'class_weights={given!r} is neither balanced nor {len(counts)} numbers above 0: '
                f'one for each of {abbreviated(train.classes, 6)}'
            )
    return weights * counts.sum() / (weights * counts).sum()


def with_keys(stream: Stream, prepare: Prepare) -> Stream:
    """`stream` with a random key for each example of a batch, from seed and step alone, and
    `prepare` to use it on the device.

    The field 'key' is raw key data, (n, 2) uint32 (`tljax.nn.augment.augmented` consumes it).

    Args:
        stream: of batches without keys.
        prepare: what uses them, such as `tljax.nn.augment.augmented` makes.

    >>> from tljax.data import arrays
    >>> stream = with_keys(draw(arrays(np.arange(4.0), np.arange(4)), batch=4), lambda batch: batch)
    >>> stream.batch(seed=0, step=0)['key'].shape
    (4, 2)
    """

    def index(seed, step):
        rows = stream.index(seed, step)
        return {'rows': rows, 'key': _keys(seed, step, len(jax.tree.leaves(rows)[0]))}

    return Stream(index, lambda index: {**stream.take(index['rows']), 'key': index['key']}, prepare)


def device_stream(example: Example, batch: int) -> Stream:
    """A stream whose batches are made on the device: the host gives keys, the compiled step makes
    the examples.

    Args:
        example: (key) -> one example or episode, a tree of arrays of fixed shapes.
        batch: examples per step.

    >>> stream = device_stream(lambda key: {'input': jax.random.normal(key, (3,))}, batch=2)
    >>> stream.batch(seed=0, step=0)['input'].shape
    (2, 3)
    """

    def prepare(batch):
        return jax.vmap(example)(jax.random.wrap_key_data(batch['key'], impl='threefry2x32'))

    return Stream(lambda seed, step: _keys(seed, step, batch), lambda keys: {'key': keys}, prepare)


def training_stream(
    train: Dataset,
    batch: int,
    k: int | None = None,
    shuffled: bool = False,
    labels: dict[int, np.ndarray] | None = None,
    prepare: Prepare | None = None,
    class_weights: str | Sequence[float] = '',
) -> Stream:
    """The stream that a training set is trained with, whatever kind of set it is.

    Args:
        train: the training set. If it makes its examples, the stream makes them; if it has a
            target, inputs of that stand beside.
        batch: examples per step.
        k: labels per class; None for all.
        shuffled: whether labels are permuted over the examples.
        labels: {seed: (size,) labels} that take the place of the set's own.
        prepare: augmentation by the keys of the examples, or None.
        class_weights: as `weight_by_class` takes them.

    Raises:
        UserError: `k`, `shuffled` or `class_weights` is asked of a set that makes its examples; as
            `weight_by_class`.

    >>> from tljax.data import digits, semi_supervised
    >>> sorted(
    ...     training_stream(semi_supervised(digits(size=8))['train'], batch=4).batch(seed=0, step=0)
    ... )
    ['input', 'label', 'target']
    """
    if train.example:
        if k or shuffled or class_weights:
            raise UserError(
                'per_class, shuffled and class_weights have no meaning for this data, whose '
                'examples are drawn afresh'
            )
        return device_stream(train.example, batch)
    if labels and class_weights:
        raise UserError(
            f"class_weights={class_weights!r} would count the data's own labels, whose "
            'place pseudo-labels take: leave it out'
        )
    stream = draw(train, batch, k, shuffled=shuffled)
    if labels:
        stream = with_labels(stream, labels)
    if class_weights:
        stream = with_class_weights(stream, weight_by_class(train, class_weights, k))
    if train.target:
        stream = with_target(stream, draw(train.target, batch, stream=1))
    return with_keys(stream, prepare) if prepare else stream


def _keys(seed, step, count):
    return np.random.default_rng([Purpose.KEY, seed, step]).integers(
        2**32, size=(count, 2), dtype=np.uint32
    )
