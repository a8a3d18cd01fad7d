"""The types that everything else is made of.

A transfer method is a scalar whose gradient is right for every parameter. `Method` holds that
scalar, `Net` the network it is computed with, `Dataset` and `Stream` the examples, `TrainState`
what training changes. All are NamedTuples of pure functions made by a factory: what varies is
passed in, nothing is kept inside.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tljax.protocols import (
    Batch,
    Example,
    Features,
    Index,
    Init,
    Loss,
    NetInit,
    Predict,
    Prepare,
    Take,
    Tree,
)

if TYPE_CHECKING:
    import jax


class UserError(ValueError):
    """A request that cannot be served, in one line: the thing, the value, the remedy. Commands
    print it and exit with 2.

    >>> str(UserError('data.per_class=0: at least one label per class is needed'))
    'data.per_class=0: at least one label per class is needed'
    """


class Stopped(Exception):
    """A run that was asked to stop: it has saved, and the same command goes on from there.

    Args:
        text: what is told.
        status: exit status of a command that it ends: 143 after SIGTERM, 130 after Ctrl-C.

    >>> str(Stopped('stopped at step 3 of 9'))
    'stopped at step 3 of 9'
    """

    def __init__(self, text: str, status: int = 143) -> None:
        super().__init__(text)
        self.status = status


def nearest_name(name: str, names: Iterable[str]) -> str:
    """The remedy for a name that is not there: the nearest one, or all of them.

    >>> nearest_name('conv5', ['conv4', 'resnet'])
    'did you mean conv4?'
    """
    close = difflib.get_close_matches(str(name), [str(each) for each in names], 1, 0.5)
    return f'did you mean {close[0]}?' if close else f'there are {abbreviated(names)}'


def abbreviated(names: Iterable[object], limit: int = 12) -> str:
    """Names as one text, the first dozen of them.

    >>> abbreviated(range(20), limit=2)
    '0, 1 and 18 more'
    """
    names = [str(name) for name in names]
    return (
        ', '.join(names[:limit]) + (f' and {len(names) - limit} more' if len(names) > limit else '')
        or 'none'
    )


class Method(NamedTuple):
    """What is minimised. Pure maths: it knows no optimiser, no device and no config.

    `init(key, batch) -> params, state`: `params` is a dict whose top level names the players
    (`backbone`, `head`, `critic`); `state` is what is not differentiated (BatchNorm statistics, a
    starting point, a moving average). `loss(params, state, batch, tick) -> value, (state,
    metrics)`: `value` is the scalar to differentiate, `metrics['loss']` the one that people read;
    they differ where a surrogate's gradient is right but its value means nothing. `predict(params,
    state, batch) -> {'output': (n, ...), 'label': (n, ...)}`: axis 0 counts examples or episodes.

    A batch's `weight` averages 1 over the whole batch, and a loss is `mean(weight * values)`:
    shards of a batch then add up.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> mean = Method(
    ...     init=lambda key, batch: ({'head': jnp.zeros(())}, {}),
    ...     loss=lambda p, s, batch, tick: (jnp.mean((batch['input'] - p['head']) ** 2), (s, {})),
    ...     predict=lambda p, s, batch: {'output': 0 * batch['input'] + p['head']},
    ... )
    >>> params, state = mean.init(jax.random.key(0), None)
    >>> float(mean.loss(params, state, {'input': jnp.array([1.0, 3.0])}, None)[0])
    5.0
    """

    init: Init
    loss: Loss
    predict: Predict


class Net(NamedTuple):
    """A network without its last layer: what a method turns inputs into features with.

    Attributes:
        init: (key, input) -> params, state.
        features: (params, state, input, key=None) -> taps, state. `taps` is {'stage1': ...,
            'features': (n, dim)}: every intermediate by the name of its group; what nobody uses is
            never computed. `key=None` means inference, a key means training (dropout, batch
            statistics).
        dim: int, width of `features`.
        groups: {name: regex over the network's own parameter paths}, shallow to deep. Together they
            cover every parameter.
        fingerprint: a text that says what the network computes, which keys caches. Networks of one
            fingerprint are one function.
        published: {'name': ..., and keywords}: which row of `tljax.zoo.table` has ImageNet weights
            for it; empty where none has.
        whole: the network that this one is a part or a variant of, whose weights it takes; None
            where it is the whole one.

    >>> from tljax.zoo import identity
    >>> identity(dim=3).dim
    3
    """

    init: NetInit
    features: Features
    dim: int
    groups: dict[str, str]
    fingerprint: str = ''
    published: dict[str, Any] = {}  # noqa: RUF012
    whole: Net | None = None


class Task(NamedTuple):
    """What a data set asks of a model. Its loader says it; `data.task` of a config overrides it.

    Attributes:
        kind: 'classes' (one class of several for each example), 'labels' (any number of several
            labels for each), 'numbers' (regression) or 'unlabelled' (no labels are known; they are
            -1).
        names: names of the classes, in the order of the labels, or of the labels; empty for
            regression.

    >>> Task.of(('cat', 'dog')), Task.of(())
    (Task(kind='classes', names=('cat', 'dog')), Task(kind='numbers', names=()))
    """

    kind: str
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, classes: Sequence[str]) -> Task:
        """The task of labels that have these names: classes, or numbers where there are none."""
        return cls('classes', tuple(classes)) if len(classes) else cls('numbers')


class Dataset(NamedTuple):
    """A labelled set that is read by index, so that pictures may stay on disk until they are asked
    for.

    Attributes:
        take: (index) -> {'input': (n, ...), 'label': (n,)} for an integer array `index`.
        label: all labels, (size,) or (size, d), in memory.
        task: what is asked of a model.
        fingerprint: hash of what the set holds, which keys caches.
        example: (key) -> one more example, made on the device, where examples are drawn rather than
            stored (episodes). Training then never sees the same example twice.
        target: the set of another domain whose unlabelled inputs stand beside this one's in a
            batch.
        notes: what its loader has decided for the user, a line each.
        names: names of the examples, such as paths of files, (size,) strings; empty where they have
            none.
        range: what pictures were scaled by (`data.ranges.range_of`); empty where they were not.

    >>> from tljax.data import arrays
    >>> toy = arrays(np.arange(6.0).reshape(3, 2), np.array([0, 1, 0]), classes=('even', 'odd'))
    >>> toy.size, toy.classes, toy.take(np.array([2]))['input'].tolist()
    (3, ('even', 'odd'), [[4.0, 5.0]])
    """

    take: Take
    label: np.ndarray
    task: Task
    fingerprint: str
    example: Example | None = None
    target: Dataset | None = None
    notes: tuple[str, ...] = ()
    names: np.ndarray | Sequence[str] = ()
    range: tuple[float, float, str] | tuple[()] = ()

    @property
    def size(self) -> int:
        """Number of examples."""
        return len(self.label)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the labels; empty for regression."""
        return self.task.names


class Stream(NamedTuple):
    """Where batches come from: a pure function of seed and step, never an iterator with hidden
    state.

    Resuming and sharding then need no state.

    Attributes:
        index: (seed, step) -> which examples this step uses, an integer array (n, ...) or a tree of
            them, cheap to make on every host.
        take: (index) -> batch; a host reads its own shard only.
        prepare: (batch) -> batch, on the device inside the compiled step (augmentation, or making
            the whole batch from keys).

    >>> count = Stream(
    ...     index=lambda seed, step: np.arange(2) + 2 * step,
    ...     take=lambda index: {'input': 10 * index},
    ... )
    >>> count.batch(seed=0, step=3)['input'].tolist()
    [60, 70]
    """

    index: Index
    take: Take
    prepare: Prepare = lambda batch: batch

    def batch(self, seed: int, step: int) -> Batch:
        """The whole batch of one step, as a single host would see it."""
        return self.prepare(self.take(self.index(seed, step)))


class Tick(NamedTuple):
    """The moment of a step: `step`, int32 (), and `key`, which is `fold_in(key(seed), step)`.

    >>> import jax
    >>> Tick(step=7, key=jax.random.fold_in(jax.random.key(0), 7)).step
    7
    """

    step: jax.Array
    key: jax.Array


class TrainState(NamedTuple):
    """All that training changes, and all that a checkpoint holds. Every leaf has a leading axis of
    seeds outside the step.

    >>> TrainState(step=0, params={'head': 1.0}, state={}, opt_state=()).params
    {'head': 1.0}
    """

    step: jax.Array
    params: Tree
    state: Tree
    opt_state: Tree
