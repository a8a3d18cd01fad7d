"""The compiled part of a run: method, partition, optimiser and step.

Fits that differ only in data, seeds or donor share one program.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypedDict, Unpack

import jax
import numpy as np
import optax

from tljax import exported
from tljax.configuration import GIVEN, METHODS, ZOO, bind_named, call_named
from tljax.core import Dataset, Method, Net, Start, Task, Tree, UserError
from tljax.data.streams import device_stream
from tljax.engine.devices import Compiled, compile_jit, compile_pmap, compile_predict, make_mesh
from tljax.engine.optim import Partition, join_groups, uses_stored_statistics
from tljax.engine.sharding import fully_sharded, gather_at_use, replicated
from tljax.engine.step import make_step, many_steps, over_seeds
from tljax.files.memory import has_many_maps
from tljax.files.process import prepare_process
from tljax.methods import combinators
from tljax.nn.augment import prepare_batch
from tljax.nn.augment_boxes import prepare_boxes
from tljax.nn.rematerialisation import rematerialised
from tljax.packing import unpack
from tljax.paths import first, flatten, label
from tljax.protocols import Config, Predict, Prepare, Record
from tljax.recent import Recent
from tljax.zoo import identity

# settings of a config that are keywords of `make_program` as they are
SETTINGS = ('statistics', 'optim', 'groups', 'steps', 'parallel', 'remat')
KEYS = ('classes', 'several')  # arguments of a method that the task decides
PROGRAMS: Recent['Program'] = Recent(most=32, is_full=has_many_maps)
# (seed, batch, start, donor=None, rules=()) -> params, state
Begin = Callable[..., tuple[Tree, Tree]]
Augment = Callable[..., Any]  # (key, input) -> input, or (key, input, boxes) -> (input, boxes)


class Program(NamedTuple):
    """The compiled part of a run.

    Attributes:
        method: the method, without a penalty.
        init: (seed, batch, start, donor, rules) -> params, state before the first step. Parameters
            are fresh, or taken from the donor by the rules; then the method and the penalty
            remember them.
        net: the network.
        shapes: tree of the parameters' shapes.
        labels: tree like the parameters: the group of each parameter, or 'frozen'.
        rates: {group: highest learning rate}.
        tx: the optimiser.
        prepare: (batch) -> batch on the device, such as augmentation; None where there is nothing
            to prepare.
        step: the compiled step.
        predict: the compiled prediction.
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


class ProgramKeywords(TypedDict):
    """The keywords of `make_program` that a phase's config says."""

    net: Callable[..., Net]
    method: Callable[..., Method]
    partition: Callable[..., Partition]
    penalty: combinators.Penalty | None
    augment: list[Augment]
    frozen: str
    averaging_one: str
    statistics: str
    optim: Config
    groups: Config
    steps: int
    parallel: str
    remat: bool


def program(
    train: Dataset, width: int = 0, *, key: Config, **keywords: Unpack[ProgramKeywords]
) -> Program:
    """The program of a phase for a training set like `train`.

    Equal configs, and data of equal shapes, task and number of classes, share one program.

    Args:
        train: the training set.
        width: width of cached features that replace a frozen backbone; 0: there are none.
        key: the part of the config that the functions in `keywords` were made from.
        **keywords: as `make_program` takes them.

    >>> from tljax.configuration import settings
    >>> from tljax.data import digits
    >>> from tljax.parts import parts
    >>> parts(settings(net={'name': 'conv4', 'width': 4})).program(digits()['train']).labels['head']
    {'bias': 'head', 'kernel': 'head'}
    """
    sample = train.take(np.arange(1))
    shapes = {path: (leaf.shape, str(leaf.dtype)) for path, leaf in flatten(sample).items()}
    values = {name: value for name, value in keywords.items() if name in SETTINGS}
    key = {
        **key,
        **values,
        'task': [(task.kind, len(task.names)) for task in (train.task, *train.task.tasks)],
        'tasks': train.task.names if train.task.tasks else (),
        'width': width,
        'sample': shapes,
        # a set that makes its examples on the device is part of the program
        'made': train.fingerprint if train.example else '',
    }
    return PROGRAMS.get(key, lambda: make_program(train, width, **keywords))


def make_program(
    train: Dataset,
    width: int,
    net: Callable[..., Net],
    method: Callable[..., Method],
    partition: Callable[..., Partition],
    penalty: combinators.Penalty | None,
    augment: list[Augment],
    frozen: str,
    averaging_one: str,
    statistics: str,
    optim: Config,
    groups: Config,
    steps: int,
    parallel: str,
    remat: bool,
) -> Program:
    """The program of a phase. Its step and its prediction are compiled when they are first called.

    Args:
        train: the training set.
        width: as `program` takes it.
        net: (stored=) -> Net.
        method: (net=, classes=, several=, frozen=, stored=, statistics=) -> Method.
        partition: (groups=) -> Partition.
        penalty: a penalty that is added to the loss, or None.
        augment: functions (key, input) -> input, of boxes (key, input, boxes) -> (input, boxes).
        frozen: regex of the parameters that the method never trains; '' for none.
        averaging_one: as `optim.join_groups` takes it.
        statistics: as `optim.uses_stored_statistics` takes it.
        optim: as `optim.join_groups` takes it.
        groups: as `optim.join_groups` takes it.
        steps: number of steps of the run.
        parallel: 'jit', 'fsdp' or 'pmap'.
        remat: whether the method's network is `rematerialised`.

    Raises:
        UserError: settings that do not fit the data or the network.
    """
    if parallel not in ('jit', 'fsdp', 'pmap'):
        raise UserError(f'parallel={parallel!r} is not jit, fsdp or pmap')
    prepare_process()
    axis = 'data' if parallel == 'pmap' else None
    scheme = partition(groups=net(stored=None).groups)
    if frozen:
        scheme = scheme._replace(rules=[(frozen, 'frozen'), *scheme.rules])
    network = net(stored=uses_stored_statistics(scheme, statistics))
    make = functools.partial(
        method,
        **outputs_of(train.task),
        frozen=lambda path: first(scheme.rules, path) == 'frozen',
        stored=uses_stored_statistics(scheme, statistics, 'head'),
        statistics=functools.partial(uses_stored_statistics, scheme, statistics),
    )
    base_method = make(net=rematerialised(network) if remat else network)
    sample = jax.eval_shape(lambda: train.take(np.arange(1)))
    shapes = jax.eval_shape(base_method.init, jax.random.key(0), sample)[0]
    labels = label(shapes, scheme.rules)
    if width:  # the method on cached features, in which the backbone has no parameters
        network, labels = identity(width), {**labels, 'backbone': {}}
        base_method = make(net=network)
    tx, rates = join_groups(labels, scheme, steps, optim, groups, averaging_one)
    prepare = _prepare(augment, train)
    base_method = base_method._replace(init=jax.jit(base_method.init))
    whole = combinators.with_penalty(base_method, penalty) if penalty else base_method
    shardings = fully_sharded if parallel == 'fsdp' else replicated
    trained = gather_at_use(whole, make_mesh()) if parallel == 'fsdp' else whole
    step = many_steps(over_seeds(make_step(trained, tx, labels, prepare, axis)))
    compiled = compile_pmap(step) if axis else compile_jit(step, make_mesh(), shardings)
    return Program(
        base_method,
        _init(whole),
        network,
        shapes,
        labels,
        rates,
        tx,
        prepare,
        compiled,
        compile_predict(whole.predict, make_mesh()),
    )


def outputs_of(task: Task) -> Record:
    """The arguments `classes` and `several` of a method; for several tasks dicts by task.

    Args:
        task: of the training set.

    >>> outputs_of(Task.several({'animal': Task.of(('cat', 'dog')), 'age': Task.of(())}))
    {'classes': {'animal': 2, 'age': 0}, 'several': {'animal': False, 'age': False}}
    """
    if task.tasks:
        parts = {name: outputs_of(part) for name, part in task.by_name.items()}
        return {key: {name: part[key] for name, part in parts.items()} for key in KEYS}
    return {'classes': len(task.names), 'several': task.kind == 'labels'}


def _init(method: Method) -> Begin:
    def init(
        seed: int,
        batch: Tree,
        start: Start,
        donor: tuple[Tree, Tree] | None = None,
        rules: Sequence = (),
    ) -> tuple[Tree, Tree]:
        grafted = combinators.with_graft(method, *donor, rules) if donor else method
        params, state = grafted.init(jax.random.key(seed), batch)
        return params, method.remember(params, state, start)

    return init


def _prepare(augmentations: list[Augment], train: Dataset) -> Prepare | None:
    """The first part of the compiled step: it augments a batch, or makes its examples."""
    if train.example and augmentations:
        raise UserError(
            'augment: the examples of this data are drawn afresh and not augmented: leave it empty'
        )
    if train.example:
        return device_stream(train.example, 1).prepare
    if not augmentations:
        return None
    prepare = prepare_boxes if train.task.kind == 'boxes' else prepare_batch
    return prepare(augmentations)


def predictor(record: Record) -> Compiled:
    """The compiled `predict` of a finished run, of a network with weights, or of an exported file.

    Args:
        record: as `prediction` takes it; that of an exported file has its path, 'exported'.

    >>> predictor(
    ...     {
    ...         'config': {'net': {'name': 'identity', 'dim': 2}, 'method': {'name': 'finetune'}},
    ...         'classes': ['a', 'b'],
    ...     }
    ... ).place(1)
    1
    """
    if 'exported' in record:
        return _exported_predictor(exported.load(record['exported']))
    return compile_predict(prediction(record), make_mesh())


def _exported_predictor(model):
    """The predictions of an exported program, which has its parameters with it."""

    def run(params, state, batch):
        output = model.outputs(model.parameters, batch['input'])
        return {'output': output, 'label': np.broadcast_to(batch['label'], output.shape[:2])}

    return Compiled(run, unpack)


def prediction(record: Record) -> Predict:
    """The `predict` of a finished run, or of a network with weights.

    Args:
        record: as `checkpoint.load_final` gives it. Only its config and classes are used, and for
            several tasks its 'tasks', and the one that `trained.for_task` chose.

    >>> config = {'net': {'name': 'identity', 'dim': 1}, 'method': {'name': 'finetune'}}
    >>> predict = prediction({'config': config, 'classes': ['a']})
    >>> params = {'backbone': {}, 'head': {'kernel': np.full((1, 1), 3.0), 'bias': np.zeros(1)}}
    >>> batch = {'input': np.ones((1, 1)), 'label': np.zeros(1, int)}
    >>> predict(params, {'backbone': {}}, batch)['output'].tolist()
    [[3.0]]
    """
    spec, method = record['config']['net'], record['config']['method']
    net, tasks = call_named(ZOO, spec, 'net'), record.get('tasks')
    make = bind_named(METHODS, method, 'method', *GIVEN)
    if not tasks:
        return make(net=net, classes=len(record['classes'])).predict
    counts = {name: len(task['classes']) for name, task in tasks.items()}
    predict_all = make(net=net, classes=counts, several=dict.fromkeys(counts, False)).predict
    name = record.get('answers', '')
    return _for_one_task(predict_all, name) if name else predict_all


def _for_one_task(predict, name):
    """The prediction for one of several tasks; an input carries no label of the others."""

    def predict_one(params, state, batch):
        return {**batch, 'output': predict(params, state, batch)['output'][name]}

    return predict_one
