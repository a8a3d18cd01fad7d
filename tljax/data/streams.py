"""Streams of training batches: each batch is a pure function of seed and step."""

import functools
from collections.abc import Sequence

import jax
import numpy as np

from tljax.core import Dataset, Stream, UserError, abbreviated, known
from tljax.data.purposes import Purpose
from tljax.data.splits import per_class, restrict
from tljax.packing import Unpacked
from tljax.protocols import Example, Prepare


def draw(
    dataset: Dataset,
    batch: int,
    k: int | None = None,
    stream: int = 0,
    shuffled: bool = False,
    draws: dict[int, int] | None = None,
) -> Stream:
    """Returns a stream of batches of one dataset, in a new random order in each epoch.

    All batches have the same size: a batch at the end of an epoch continues with the next epoch.

    Args:
        dataset: the dataset.
        batch: number of examples in a batch.
        k: labels per class, drawn by the run's seed (`per_class`); None for all.
        stream: number of the stream; streams of one run with different numbers are independent.
        shuffled: whether the run's seed permutes the labels over the examples. This is a control:
            inputs and class counts stay the same, but labels carry no information.
        draws: {seed of the run: seed that draws, and permutes, its labels}; a seed that is absent
            draws its own.

    >>> from tljax.data import arrays
    >>> stream = draw(arrays(np.arange(4.0), np.arange(4)), batch=2)
    >>> epoch = np.concatenate([stream.index(seed=0, step=0), stream.index(seed=0, step=1)])
    >>> sorted(epoch.tolist())
    [0, 1, 2, 3]

    Two seeds with the same labels, in orders of their own:

    >>> nine = arrays(np.arange(9.0), np.repeat([0, 1, 2], 3), 'abc')
    >>> stream = draw(nine, batch=3, k=1, draws={5: 0, 6: 0})
    >>> first, second = (stream.index(seed, step=0).tolist() for seed in (5, 6))
    >>> sorted(first) == sorted(second), first == second
    (True, False)
    """

    @functools.lru_cache(maxsize=64)
    def subset(seed):
        return per_class(dataset.label, k, _drawn_by(seed, draws))

    @functools.lru_cache(maxsize=64)
    def order(seed, epoch):
        return np.random.default_rng([Purpose.ORDER, seed, stream, epoch]).permutation(subset(seed))

    @functools.lru_cache(maxsize=64)
    def permutation(seed):
        rows, labels = subset(seed), np.zeros(dataset.size, int)
        labels[rows] = _shuffled(rows, _drawn_by(seed, draws), stream)
        return labels

    def index(seed, step):
        epoch, offset = np.divmod(np.arange(step * batch, (step + 1) * batch), len(subset(seed)))
        parts = [order(seed, e)[offset[epoch == e]] for e in np.unique(epoch).tolist()]
        rows = np.concatenate(parts)
        return {'input': rows, 'label': permutation(seed)[rows]} if shuffled else rows

    def take(index):
        if shuffled:
            return {**dataset.packed(index['input']), 'label': dataset.label[index['label']]}
        return dataset.packed(index)

    return Stream(index, take)


def _drawn_by(seed: int, draws: dict[int, int] | None) -> int:
    """The seed that draws the labels of a seed of the run."""
    return draws[seed] if draws and seed in draws else seed


def draw_tasks(
    dataset: Dataset, batch: int, k: int | None = None, draws: dict[int, int] | None = None
) -> Stream:
    """Returns a stream of batches of a set of several tasks.

    In a batch every task has the field 'weight', (n,). It is 0 for examples without a label of the
    task, and it averages 1 over the batch; if the batch has no label of the task, it is 0 for all
    examples.

    Args:
        dataset: the set. Its parts are drawn in their own proportions, with epochs of their own
            (`Dataset.shares`); the numbers of their examples are the same in every batch.
        batch: number of examples in a batch.
        k: labels per class of every task, drawn by the run's seed; None for all.
        draws: as in `draw`.

    Raises:
        UserError: the batch is so small that it has no example of a part.

    >>> from tljax.data import digits, glyphs, joint_tasks
    >>> sets = {'read': digits(size=8), 'print': glyphs(part='digits', size=8, per_class=10)}
    >>> train = joint_tasks(sets, shares={'read': 3, 'print': 1})['train']
    >>> draw_tasks(train, batch=8).batch(seed=0, step=0)['weight']['print'].tolist()
    [0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 4.0, 0.0]
    """
    is_known = known(dataset.label)
    drawn = (_draw_parts if dataset.shares else draw)(dataset, batch, k, draws=draws)

    def index(seed, step):
        rows = drawn.index(seed, step)
        counts = {name: mask[rows].sum() for name, mask in is_known.items()}
        weight = {
            name: (mask[rows] * (len(rows) / max(counts[name], 1))).astype(np.float32)
            for name, mask in is_known.items()
        }
        return {'rows': rows, 'weight': weight}

    return Stream(index, lambda index: {**dataset.packed(index['rows']), 'weight': index['weight']})


def _draw_parts(dataset, batch, k, draws):
    """Draws the consecutive parts of a set in their own proportions, spread evenly in a batch."""
    quotas = np.array([share * batch for _, share in dataset.shares])
    counts = quotas.astype(int)
    largest = np.argsort(counts - quotas, kind='stable')  # the largest remainders are rounded up
    counts[largest[: batch - counts.sum()]] += 1
    if not counts.all():
        raise UserError(
            f'batch={batch} has no example of a part with the share '
            f'{dataset.shares[counts.argmin()][1]:.3g}: take a larger batch or a larger share'
        )
    starts = np.cumsum([0, *(size for size, _ in dataset.shares)])
    streams = [
        draw(restrict(dataset, np.arange(start, start + size)), count, k, number, draws=draws)
        for number, (start, count, (size, _)) in enumerate(
            zip(starts[:-1], counts, dataset.shares, strict=True)
        )
    ]
    # every device gets a mixture of the parts
    places = np.argsort(np.concatenate([(np.arange(n) + 0.5) / n for n in counts]), kind='stable')

    def index(seed, step):
        parts = zip(starts[:-1], streams, strict=True)
        return np.concatenate([start + part.index(seed, step) for start, part in parts])[places]

    return Stream(index, dataset.packed)


def with_target(source: Stream, target: Stream) -> Stream:
    """Adds inputs of a target domain to the batches of a source domain, without their labels.

    The two domains have separate epochs.

    Args:
        source: stream of batches with labels.
        target: stream whose inputs become the batch's 'target'; its labels are dropped.

    >>> from tljax.data import arrays
    >>> source = draw(arrays(np.zeros(4), np.arange(4)), batch=2)
    >>> target = draw(arrays(np.ones(4), np.arange(4)), batch=2, stream=1)
    >>> batch = with_target(source, target).batch(seed=0, step=0)
    >>> batch['input'].tolist(), batch['target']
    ([0.0, 0.0], {'input': array([1., 1.])})
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
    """Replaces the labels of a stream, for example by pseudo-labels.

    Args:
        stream: stream of batches of one dataset.
        labels: {seed: (size,) labels, one for every example of the dataset}.

    >>> from tljax.data import arrays
    >>> stream = draw(arrays(np.arange(3.0), np.arange(3)), batch=3)
    >>> pseudo_labels = {0: np.array([7, 8, 9])}
    >>> batch = with_labels(stream, pseudo_labels).batch(seed=0, step=0)
    >>> (batch['label'] - batch['input']).tolist()
    [7.0, 7.0, 7.0]
    """

    def index(seed, step):
        rows = stream.index(seed, step)
        return {'rows': rows, 'label': labels[seed][rows]}

    return Stream(index, lambda index: {**stream.take(index['rows']), 'label': index['label']})


def with_class_weights(stream: Stream, weights: np.ndarray) -> Stream:
    """Adds the field 'weight' to batches: the weight of each example's class in the loss.

    Args:
        stream: stream of batches of one dataset.
        weights: (classes,) numbers.

    >>> from tljax.data import arrays
    >>> stream = draw(arrays(np.zeros(2), np.array([0, 1])), batch=2)
    >>> batch = with_class_weights(stream, np.array([0.5, 2.0])).batch(seed=0, step=0)
    >>> bool((batch['weight'] == np.array([0.5, 2.0])[batch['label']]).all())
    True
    """

    def take(index):
        batch = stream.take(index)
        return {**batch, 'weight': weights[batch['label']].astype(np.float32)}

    return Stream(stream.index, take, stream.prepare)


def weight_by_class(
    train: Dataset, class_weights: str | Sequence[float], k: int | None = None
) -> np.ndarray:
    """Returns the weight of each class in the loss, scaled to average 1 over training examples.

    Args:
        train: the training set, with classes.
        class_weights: 'balanced' gives every class the same total weight; otherwise a number for
            each class, as '1,4' or (1, 4).
        k: labels per class that are trained on; None for all.

    Returns:
        (classes,).

    Raises:
        UserError: the set has no classes, or `class_weights` is neither 'balanced' nor a number
            above 0 for each class.

    >>> from tljax.data import arrays
    >>> train = arrays(np.zeros(4), np.array([0, 0, 0, 1]), ('ants', 'bees'))
    >>> weight_by_class(train, 'balanced').round(3).tolist()
    [0.667, 2.0]
    """
    if train.task.kind != 'classes':
        raise UserError(f'class_weights={class_weights!r}: this data has no classes: leave it out')
    counts = np.bincount(train.label, minlength=len(train.classes))
    counts = np.minimum(counts, k) if k else counts
    if class_weights == 'balanced':
        weights = 1 / np.maximum(counts, 1)
    else:
        weights = _parsed_weights(class_weights, train.classes)
    return weights * counts.sum() / (weights * counts).sum()


def _parsed_weights(class_weights, classes):
    """The numbers of `class_weights`; raises UserError unless there is one above 0 per class."""
    numbers = class_weights
    if isinstance(numbers, str):
        numbers = numbers.strip('()[] ').split(',')
    try:
        weights = np.array(numbers, float)
    except ValueError:
        weights = np.zeros(0)
    is_valid = weights.shape == (len(classes),) and np.isfinite(weights).all()
    if not is_valid or not (weights > 0).all():
        raise UserError(
            f'class_weights={class_weights!r} is neither balanced nor {len(classes)} numbers above '
            f'0: one for each of {abbreviated(classes, 6)}'
        )
    return weights


def with_keys(stream: Stream, prepare: Prepare) -> Stream:
    """Adds a random key for each example to batches, and a function that uses the keys.

    The keys depend on seed and step only. The field 'key' is raw key data, (n, 2) uint32.

    Args:
        stream: stream of batches without keys.
        prepare: (batch) -> batch, runs on the device and uses the keys, such as the result of
            `tljax.nn.augment.augmented`.

    >>> from tljax.data import arrays
    >>> stream = with_keys(draw(arrays(np.zeros(4), np.arange(4)), batch=4), lambda batch: batch)
    >>> batch = stream.batch(seed=0, step=0)
    >>> batch['key'].shape, batch['key'].dtype
    ((4, 2), dtype('uint32'))
    """

    def index(seed, step):
        rows = stream.index(seed, step)
        return {'rows': rows, 'key': _keys(seed, step, len(jax.tree.leaves(rows)[0]))}

    return Stream(index, lambda index: {**stream.take(index['rows']), 'key': index['key']}, prepare)


def device_stream(example: Example, batch: int) -> Stream:
    """Returns a stream whose examples are made on the device, in the compiled step.

    The host only draws a random key for each example.

    Args:
        example: (key) -> one example or episode, a tree of arrays of fixed shapes.
        batch: number of examples in a batch.

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
    draws: dict[int, int] | None = None,
) -> Stream:
    """Returns the stream of training batches of any training set.

    Args:
        train: the training set. If it makes examples on the device (`train.example`), the stream
            does so. If it has a target domain (`train.target`), batches have inputs of it.
        batch: number of examples in a batch.
        k: labels per class; None for all.
        shuffled: whether labels are permuted over the examples.
        labels: {seed: (size,) labels} that replace the labels of the set; None keeps them.
        prepare: augmentation that uses a key for each example; None for no augmentation.
        class_weights: as in `weight_by_class`; '' for no weights.
        draws: as in `draw`.

    Raises:
        UserError: `k`, `shuffled` or `class_weights` is set for a set that makes its examples,
            `class_weights` is set with `labels`, `shuffled` is set for several tasks, or as in
            `weight_by_class`.

    >>> from tljax.data import arrays
    >>> train = arrays(np.zeros(4), np.arange(4))._replace(target=arrays(np.ones(4), np.zeros(4)))
    >>> training_stream(train, batch=2).batch(seed=0, step=0)['target']
    {'input': array([1., 1.])}
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
    if train.task.tasks and shuffled:
        raise UserError(
            "shuffled=True: this data has several tasks: lay dict(name='shuffled_task', ...) "
            'around it'
        )
    if train.task.tasks:
        stream = draw_tasks(train, batch, k, draws)
    else:
        stream = draw(train, batch, k, shuffled=shuffled, draws=draws)
    if labels:
        stream = with_labels(stream, labels)
    if class_weights:
        stream = with_class_weights(stream, weight_by_class(train, class_weights, k))
    if train.target:
        stream = with_target(stream, draw(train.target, batch, stream=1))
    return with_keys(stream, prepare) if prepare else stream


def examples_of(
    train: Dataset,
    seed: int,
    k: int | None = None,
    shuffled: bool = False,
    labels: dict[int, np.ndarray] | None = None,
    draws: dict[int, int] | None = None,
) -> Dataset:
    """Returns the examples of a training set that a seed trains on, with the labels it trains on.

    Args:
        train: the training set. One that makes its examples on the device is returned as it is.
        seed: the seed.
        k: as in `training_stream`.
        shuffled: as in `training_stream`.
        labels: as in `training_stream`.
        draws: as in `draw`.

    >>> from tljax.data import arrays
    >>> train = arrays(np.arange(4.0), np.array([0, 0, 1, 1]), ('a', 'b'))
    >>> drawn = examples_of(train, seed=0, k=1)
    >>> rows = training_stream(train, batch=2, k=1).index(seed=0, step=0)
    >>> drawn.take(np.arange(2))['input'].tolist() == sorted(rows.tolist())
    True
    """
    if train.example:
        return train
    drawn_by = _drawn_by(seed, draws)
    rows = per_class(train.label, k, drawn_by)
    label = labels[seed] if labels else train.label
    label = label[_shuffled(rows, drawn_by) if shuffled else rows]
    subset = restrict(train, rows)
    take = Unpacked(lambda index: {**subset.packed(index), 'label': label[index]})
    return subset._replace(take=take, label=label)


def _shuffled(rows, seed, stream=0):
    """The examples whose labels those of `rows` get, in a control."""
    return np.random.default_rng([Purpose.SHUFFLE, seed, stream]).permutation(rows)


def _keys(seed, step, count):
    return np.random.default_rng([Purpose.KEY, seed, step]).integers(
        2**32, size=(count, 2), dtype=np.uint32
    )
