"""The types that the rest of tljax is built from.

A transfer method is a scalar whose gradient is right for every parameter. `Method` computes that
scalar from the features of a `Net`. `Dataset` and `Stream` supply the examples, and `TrainState`
holds what training changes. All are NamedTuples; `Method`, `Net` and `Stream` hold pure functions,
which take their state as an argument and return the new one. `tljax.protocols` states the arguments
of these functions.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tljax.packing import Unpacked, unpack
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
    Remember,
    Take,
    Tree,
)

if TYPE_CHECKING:
    import jax


# classes of rows of boxes that are not to be found: nothing, and a region of class 0 that is left
# out; that of class c is FIRST_IGNORED - c
PADDING, FIRST_IGNORED = -1, -2


class _OneLine(Exception):
    """An exception that a notebook shows as its message, as a command does."""

    def _render_traceback_(self) -> list[str]:  # IPython asks for it in place of a traceback
        return [f'{type(self).__name__}: {self}']


class UserError(_OneLine, ValueError):
    """A request that cannot be served. The message names the thing, the value and the remedy.

    The message is one line. Commands print it and exit with status 2.

    >>> str(UserError('data.per_class=0: at least one label per class is needed'))
    'data.per_class=0: at least one label per class is needed'
    """


class Unwritten(UserError):
    """A file of a run can't be written. What was written before is whole, and the run can go on.

    >>> isinstance(Unwritten('runs/a cannot be written: the disk is full'), UserError)
    True
    """


class Stopped(_OneLine):
    """A run stopped on request. It has saved its state, and the same command resumes it.

    Args:
        text: the message.
        status: exit status of the command: 143 after SIGTERM, 130 after Ctrl-C.

    >>> str(Stopped('stopped at step 3 of 9'))
    'stopped at step 3 of 9'
    """

    def __init__(self, text: str, status: int = 143) -> None:
        super().__init__(text)
        self.status = status


def nearest_name(name: str, names: Iterable[str]) -> str:
    """Suggests a remedy for an unknown name: the most similar name, or a list of all names.

    Args:
        name: the unknown name.
        names: the valid names.

    >>> nearest_name('conv5', ['conv4', 'resnet'])
    'did you mean conv4?'
    """
    matches = difflib.get_close_matches(str(name), [str(name) for name in names], 1, 0.5)
    return f'did you mean {matches[0]}?' if matches else f'there are {abbreviated(names)}'


def abbreviated(names: Iterable[object], limit: int = 12) -> str:
    """Joins names to one text, and counts those beyond the first dozen.

    Args:
        names: the names.
        limit: how many names are written out.

    >>> abbreviated(range(20), limit=2)
    '0, 1 and 18 more'
    """
    texts = [str(name) for name in names]
    text = ', '.join(texts[:limit])
    if len(texts) > limit:
        text += f' and {len(texts) - limit} more'
    return text or 'none'


class Method(NamedTuple):
    """What is minimised: pure functions, without optimiser, device or config.

    A batch's `weight` averages 1 over the whole batch, and a loss is `mean(weight * values)`, so
    that the losses of a batch's shards add up.

    Attributes:
        init: (key, batch) -> params, state. `params` is a dict whose top level names the players
            (`backbone`, `head`, `critic`). `state` holds what is not differentiated: BatchNorm
            statistics, starting points, moving averages.
        loss: (params, state, batch, tick) -> value, (state, metrics). `value` is the scalar to
            differentiate, and `metrics['loss']` the one to read. They differ for a surrogate loss,
            whose gradient is right but whose value means nothing.
        predict: (params, state, batch) -> {'output': (n, ...), 'label': (n, ...)}. Axis 0 counts
            examples or episodes.
        remember: (params, state, start) -> state. It is called once, before the first step and
            after the graft, and adds to the state what the loss must know of that moment, such as
            a frozen copy of the source network. Most methods remember nothing.
        final: (params) -> params that a finished run keeps, which `predict` takes as well. None:
            they are kept as they are trained.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> def loss(params, state, batch, tick):
    ...     return jnp.mean((batch['input'] - params['mean']) ** 2), (state, {})
    >>> method = Method(
    ...     init=lambda key, batch: ({'mean': jnp.zeros(())}, {}),
    ...     loss=loss,
    ...     predict=lambda params, state, batch: {'output': params['mean'] + 0 * batch['input']},
    ... )
    >>> batch = {'input': jnp.array([1.0, 3.0])}
    >>> params, state = method.init(jax.random.key(0), batch)
    >>> float(method.loss(params, state, batch, None)[0])  # the mean of 1 and 9
    5.0
    """

    init: Init
    loss: Loss
    predict: Predict
    remember: Remember = lambda params, state, start: state
    final: Callable[[Tree], Tree] | None = None


class Net(NamedTuple):
    """A network without its last layer. A method uses it to turn inputs into features.

    Attributes:
        init: (key, input) -> params, state.
        features: (params, state, input, key=None) -> taps, state. `taps` is {'stage1': ...,
            'features': (n, dim)}: every intermediate value by the name of its group. The compiler
            removes those that nobody uses. `key=None` means inference; a key means training
            (dropout, batch statistics).
        dim: int, width of `features`.
        groups: {name: regex over the network's own parameter paths}, shallow to deep. Together they
            cover every parameter.
        fingerprint: a text that identifies the function, used in cache keys. Two networks with one
            fingerprint compute the same function.
        published: {'name': ..., and keywords}: the row of `tljax.zoo.table` with this network's
            ImageNet weights; empty if there are none.
        whole: the network that this one is a part or a variant of, and whose weights it takes; None
            if there is no other.

    >>> from tljax.zoo import identity
    >>> net = identity(dim=3)
    >>> taps, _ = net.features({}, {}, np.ones((2, 3)))
    >>> net.dim, taps['features'].shape
    (3, (2, 3))
    """

    init: NetInit
    features: Features
    dim: int
    groups: dict[str, str]
    fingerprint: str = ''
    published: dict[str, Any] = {}  # noqa: RUF012
    whole: Net | None = None


class Task(NamedTuple):
    """What a data set asks of a model. Its loader sets it; `data.task` of a config overrides it.

    Attributes:
        kind: 'classes' (each example has one of several classes), 'labels' (each has any number of
            several labels), 'numbers' (regression), 'boxes' (each has any number of boxes, each of
            one class: `data.boxes`), 'unlabelled' (the labels are unknown and set to -1) or
            'tasks' (several tasks share the set).
        names: names of the classes or labels, in the order of the label values; empty for
            regression; names of the tasks for 'tasks'.
        tasks: for 'tasks', what each of them asks, in the order of `names`.

    >>> Task.of(('cat', 'dog')), Task.of(())
    (Task(kind='classes', names=('cat', 'dog')), Task(kind='numbers', names=()))
    """

    kind: str
    names: tuple[str, ...] = ()
    tasks: tuple[Task, ...] = ()

    def __repr__(self) -> str:  # of one task as before there were several: hashes of data use it
        tasks = f', tasks={self.tasks!r}' if self.tasks else ''
        return f'Task(kind={self.kind!r}, names={self.names!r}{tasks})'

    @classmethod
    def of(cls, classes: Sequence[str]) -> Task:
        """Returns the task of a set: 'classes', or 'numbers' if there are no classes.

        Args:
            classes: names of the classes.
        """
        return cls('classes', tuple(classes)) if len(classes) else cls('numbers')

    @classmethod
    def several(cls, tasks: dict[str, Task]) -> Task:
        """Returns the task of a set that several tasks share.

        Args:
            tasks: {name of a task: what it asks}.

        >>> Task.several({'age': Task.of(())}).by_name
        {'age': Task(kind='numbers', names=())}
        """
        return cls('tasks', tuple(tasks), tuple(tasks.values()))

    @property
    def by_name(self) -> dict[str, Task]:
        """The tasks that share a set, by name; empty for a single task."""
        return dict(zip(self.names, self.tasks, strict=True)) if self.tasks else {}


class Dataset(NamedTuple):
    """A labelled set that is read by index, so that pictures stay on disk until a batch needs them.

    Attributes:
        take: (index) -> {'input': (n, ...), 'label': (n,)} for an integer array `index`. Several
            threads call it at once. For several tasks 'label' is a dict by task.
        label: all labels, (size,) or (size, d), in memory. For several tasks a structured array
            with a field for each task, in which a label that an example lacks is -1 (a class) or
            NaN (`known`).
        task: what the set asks of a model.
        fingerprint: hash of the set's contents, used in cache keys.
        example: (key) -> one more example, made on the device, for sets whose examples are drawn
            rather than stored (episodes). Training then never sees an example twice.
        target: the set of another domain, whose unlabelled inputs are added to every batch.
        notes: choices that the loader made for the user, one line each.
        names: names of the examples, such as file paths, (size,) strings; empty if there are none.
        range: how pictures were scaled (`data.ranges.range_of`); empty if they were not.
        shares: (size, share of a batch) of the consecutive parts of a set of several tasks, each
            with epochs of its own; empty if all examples are drawn alike.

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
    shares: tuple[tuple[int, float], ...] = ()

    @property
    def size(self) -> int:
        """Number of examples."""
        return len(self.label)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the labels; empty for regression. Names of the
        tasks if there are several."""
        return self.task.names

    @property
    def packed(self) -> Take:
        """`take`, but pictures that the set stores as bytes are `packing.Bytes`."""
        return self.take.packed if isinstance(self.take, Unpacked) else self.take


class Start(NamedTuple):
    """What a method may learn from before its first step (`Method.remember`).

    Attributes:
        train: the examples that the seed is trained on, with the labels that it is trained on.
        validation: the validation split; None if there is none.
        teacher: (params, state) of the finished run that teaches; None if there is none.

    >>> from tljax.data import arrays
    >>> Start(arrays(np.arange(4.0), np.arange(4))).train.size
    4
    """

    train: Dataset
    validation: Dataset | None = None
    teacher: tuple[Tree, Tree] | None = None


def known(label: np.ndarray) -> dict[str, np.ndarray]:
    """Tells which examples have a label of each of several tasks.

    Args:
        label: structured (size,), as `Dataset.label` of several tasks.

    Returns:
        {task: (size,) booleans}; {} for the labels of a single task.

    >>> label = np.array([(3, np.nan), (-1, 0.5)], [('animal', 'i4'), ('weight', 'f4')])
    >>> known(label)
    {'animal': array([ True, False]), 'weight': array([False,  True])}
    """
    return {name: _is_known(label[name]) for name in label.dtype.names or ()}


def _is_known(column):
    if column.dtype.kind in 'iu':
        return column >= 0
    return ~np.isnan(column).reshape(len(column), -1).any(1)


class Stream(NamedTuple):
    """Where batches come from: a pure function of seed and step.

    It has no hidden state, as an iterator would, so that resuming and sharding need none either.

    Attributes:
        index: (seed, step) -> the examples of this step, an integer array (n, ...) or a tree of
            them. Every host computes it, so it must be cheap.
        take: (index) -> batch, in which pictures may be `packing.Bytes`. A host reads its own shard
            only.
        prepare: (batch of floats) -> batch, on the device inside the compiled step. It augments a
            batch, or makes one from keys.

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
        """Returns the whole batch of a step, as a single host sees it, with pictures as floats.

        Args:
            seed: seed of the run.
            step: number of the step, from 0.
        """
        return self.prepare(unpack(self.take(self.index(seed, step))))


class Tick(NamedTuple):
    """The moment of a step: `step`, int32 (), and `key`, which is `fold_in(key(seed), step)`.

    >>> import jax
    >>> tick = Tick(step=7, key=jax.random.fold_in(jax.random.key(0), 7))
    >>> jax.random.bernoulli(tick.key, 0.5, (2,)).shape  # a dropout mask of this step
    (2,)
    """

    step: jax.Array
    key: jax.Array


class TrainState(NamedTuple):
    """Everything that training changes, and everything that a checkpoint holds.

    Outside the step every leaf has a leading axis of seeds.

    >>> state = TrainState(step=0, params={'head': 1.0}, variables={}, opt_state=())
    >>> state._replace(step=1, params={'head': 0.5}).params
    {'head': 0.5}
    """

    step: jax.Array
    params: Tree
    variables: Tree  # state of the method, such as BatchNorm's statistics
    opt_state: Tree
