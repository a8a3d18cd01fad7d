"""What is compiled: method, partition, optimiser and step. Fits that differ in data, seeds or donor
alone share one program."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypedDict, Unpack

import jax
import numpy as np
import optax

from tljax.configuration import METHODS, ZOO, call_named, innermost, stated_by_method
from tljax.core import Dataset, Method, Net, Tree, UserError
from tljax.data.streams import device_stream
from tljax.engine.devices import Compiled, compile_jit, compile_pmap, compile_predict, make_mesh
from tljax.engine.optim import Partition, join_groups, uses_stored_statistics
from tljax.engine.step import make_step, many_steps, over_seeds
from tljax.methods import combinators
from tljax.nn import convolution
from tljax.nn.augment import prepare_batch
from tljax.paths import flatten, label
from tljax.protocols import Config, Prepare, Record
from tljax.recent import Recent
from tljax.zoo import identity

PROGRAMS: Recent['Program'] = Recent(most=32)
Begin = Callable[..., tuple[Tree, Tree]]  # (seed, batch, donor=None, rules=()) -> params, state
Augment = Callable[[jax.Array, jax.Array], jax.Array]  # (key, input) -> input


class Program(NamedTuple):
    """What all runs share that differ in data, seeds and donors alone.

    Attributes:
        method: what is minimised, without a penalty.
        init: (seed, batch, donor, rules) -> params, state before the first step: fresh, grafted
            from the donor where there is one, and remembered by a penalty.
        net: the network.
        shapes: tree of the parameters' shapes.
        labels: tree of labels like the parameters: the group that each belongs to, or 'frozen'.
        rates: {group: learning rate at its peak}.
        tx: the optimiser.
        prepare: (batch) -> batch, on the device; None where batches stay as they are.
        step: the compiled step.
        predict: the compiled prediction.

    >>> Program._fields[:3]
    ('method', 'init', 'net')
    """

    method: Method
    init: Begin
    net: Net
    shapes: Tree
    labels: Tree
    rates: dict[str, float]
    tx: optax.GradientTransformation
    prepare: Prepare | None
    step: Compiled
    predict: Compiled


class Described(TypedDict):
    """What the config of a phase says of its program: the keywords of `make_program`.

    >>> sorted(Described.__annotations__)[:2]
    ['augment', 'frozen']
    """

    net: Callable[..., Net]
    method: Callable[..., Method]
    partition: Callable[..., Partition]
    penalty: combinators.Penalty | None
    augment: list[Augment]
    looped: bool | None
    frozen: str
    statistics: str
    optim: Config
    groups: Config
    steps: int
    parallel: str


def program(
    train: Dataset, width: int = 0, *, key: Config, **described: Unpack[Described]
) -> Program:
    """The program of a phase for a training set like `train`; one object for all configs that mean
    the same program.

    Args:
        train: the training set.
        width: of cached features that take the frozen backbone's place; 0 for none.
        key: the part of the config that functions in `described` were made of.
        **described: as `make_program` takes them.

    >>> from tljax.configuration import settings
    >>> from tljax.data import digits
    >>> from tljax.parts import parts
    >>> parts(settings(net={'name': 'conv4', 'width': 4})).program(digits()['train']).labels['head']
    {'bias': 'head', 'kernel': 'head'}
    """
    sample = train.take(np.arange(1))
    shapes = {path: (leaf.shape, str(leaf.dtype)) for path, leaf in flatten(sample).items()}
    numbers = {
        name: value
        for name, value in described.items()
        if name in ('statistics', 'optim', 'groups', 'steps', 'parallel')
    }
    # examples that are made on the device are made by the program
    made = train.fingerprint if train.example else ''
    key = {
        **key,
        **numbers,
        'task': train.task.kind,
        'classes': len(train.classes),
        'width': width,
        'sample': shapes,
        'made': made,
    }
    return PROGRAMS.get(key, lambda: make_program(train, width, **described))


def make_program(
    train: Dataset,
    width: int,
    net: Callable[..., Net],
    method: Callable[..., Method],
    partition: Callable[..., Partition],
    penalty: combinators.Penalty | None,
    augment: list[Augment],
    looped: bool | None,
    frozen: str,
    statistics: str,
    optim: Config,
    groups: Config,
    steps: int,
    parallel: str,
) -> Program:
    """Compiles (at the first call) what a phase trains with.

    Args:
        train: the training set.
        width: as `program` takes it.
        net: (stored=, form=) -> Net.
        method: (net=, classes=, several=) -> Method.
        partition: (groups=) -> Partition.
        penalty: what is added to the loss, or None.
        augment: functions (key, input) -> input.
        looped: whether the network runs inside a loop, which chooses the form of its convolutions;
            None where the form is chosen.
        frozen: regex over the parameters that the method never trains; '' for none.
        statistics: as `optim.uses_stored_statistics` takes it.
        optim: as `optim.joined` takes it.
        groups: as `optim.joined` takes it.
        steps: of the run.
        parallel: 'jit' or 'pmap'.

    Raises:
        UserError: for what does not fit the data or the network.
    """
    axis = {'jit': None, 'pmap': 'data'}.get(parallel, '')
    if axis == '':
        raise UserError(f'parallel={parallel!r} is not jit or pmap')
    place = {} if looped is None else {'form': convolution.place_of_run(looped)}
    parted = partition(groups=net(stored=None, **place).groups)
    if frozen:
        parted = parted._replace(rules=[(frozen, 'frozen'), *parted.rules])
    network = net(stored=uses_stored_statistics(parted, statistics), **place)
    asked = dict(classes=len(train.classes), several=train.task.kind == 'labels')
    minimised = method(net=network, **asked)
    sample = jax.eval_shape(lambda: train.take(np.arange(1)))
    shapes = jax.eval_shape(minimised.init, jax.random.key(0), sample)[0]
    labels = label(shapes, parted.rules)
    # the same method on features of that width: what the backbone was is no longer there
    if width:
        network, labels = identity(width), {**labels, 'backbone': {}}
        minimised = method(net=network, **asked)
    tx, rates = join_groups(labels, parted, steps, optim, groups)
    prepare = _prepare(augment, train)
    whole = combinators.with_penalty(minimised, penalty) if penalty else minimised
    step = many_steps(over_seeds(make_step(whole, tx, labels, prepare, axis)))
    minimised = minimised._replace(init=jax.jit(minimised.init))
    compiled = compile_pmap(step) if axis else compile_jit(step, make_mesh())
    return Program(
        minimised,
        _init(minimised, penalty),
        network,
        shapes,
        labels,
        rates,
        tx,
        prepare,
        compiled,
        compile_predict(whole.predict, make_mesh()),
    )


def _init(method: Method, penalty: combinators.Penalty | None) -> Begin:
    def init(
        seed: int, batch: Tree, donor: tuple[Tree, Tree] | None = None, rules: Sequence = ()
    ) -> tuple[Tree, Tree]:
        begun = combinators.with_graft(method, *donor, rules) if donor else method
        begun = combinators.with_penalty(begun, penalty) if penalty else begun
        return begun.init(jax.random.key(seed), batch)

    return init


def _prepare(augmentations: list[Augment], train: Dataset) -> Prepare | None:
    """What the compiled step does to a batch first: augmentation, or making the examples."""
    if train.example and augmentations:
        raise UserError(
            'augment: the examples of this data are drawn afresh and not augmented: leave it empty'
        )
    if train.example:
        return device_stream(train.example, 1).prepare
    return prepare_batch(augmentations) if augmentations else None


def form(net: Config, method: Config) -> dict[str, str]:
    """The keyword `form` of a network's function, unless the config says it: the place where a
    method's convolutions run.

    Args:
        net: config of the network.
        method: config of the method.

    >>> form({'name': 'conv4', 'form': 'dots'}, {'name': 'finetune'})
    {}
    """
    return (
        {}
        if 'form' in innermost(net)
        else {'form': convolution.place_of_run(stated_by_method(method, 'LOOPED', False))}
    )


def predictor(record: Record) -> Compiled:
    """The compiled `predict` of a finished run, or of a network with its weights, by its record.

    Args:
        record: as `checkpoint.load_final` gives it; its config and its classes count.

    >>> predictor(
    ...     {
    ...         'config': {'net': {'name': 'identity', 'dim': 2}, 'method': {'name': 'finetune'}},
    ...         'classes': ['a', 'b'],
    ...     }
    ... ).place(1)
    1
    """
    spec, method = record['config']['net'], record['config']['method']
    net = call_named(ZOO, spec, 'net', **form(spec, method))
    return compile_predict(
        call_named(METHODS, method, 'method', net=net, classes=len(record['classes'])).predict,
        make_mesh(),
    )
