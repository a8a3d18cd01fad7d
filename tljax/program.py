"""What is compiled: method, partition, optimiser and step, made from a part of a phase's config.

Fits that differ in data, seeds or donor alone share one program, and with it one compilation.
"""
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from tljax.configuration import METHODS, ZOO, Recent, innermost, named, near, stated
from tljax.core import Dataset, Method, Net, Refused, Tree
from tljax.data.streams import sampled
from tljax.engine import optim
from tljax.engine.devices import Compiled, compile_jit, compile_pmap, compile_predict, make_mesh
from tljax.engine.step import make_step, many, over_seeds
from tljax.methods import combinators
from tljax.nn import augment, convolution
from tljax.paths import flatten, label
from tljax.zoo import identity

PROGRAMS = Recent(most=32)
PARTS = ('net', 'method', 'penalty', 'partition', 'statistics', 'optim', 'groups', 'steps', 'augment', 'parallel')   # of a config


class Program(NamedTuple):
    """What all runs share that differ in data, seeds and donors alone.

    Attributes:
        method: what is minimised, without the penalty.
        penalty: what is added to it, or None.
        net: the network.
        labels: tree of labels like the parameters: the group that each belongs to, or 'frozen'.
        rates: {group: learning rate at its peak}.
        tx: the optimiser.
        prepare: (batch) -> batch, on the device.
        step: the compiled step.
        predict: the compiled prediction.

    >>> Program._fields[:3]
    ('method', 'penalty', 'net')
    """
    method: Method
    penalty: combinators.Penalty | None
    net: Net
    labels: Tree
    rates: dict[str, float]
    tx: optax.GradientTransformation
    prepare: Callable
    step: Compiled
    predict: Compiled


def program(config: dict, train: Dataset, width: int = 0) -> Program:
    """The program of a phase's config for a training set like `train`; one object for all configs that mean the same program.

    Args:
        config: a plain dict, one of `configuration.phases`.
        train: the training set.
        width: of cached features that take the frozen backbone's place; 0 for none.

    >>> from tljax.configuration import settings
    >>> from tljax.data import digits
    >>> config = settings(data={'name': 'digits'}, net={'name': 'conv4', 'width': 4})
    >>> program(config, digits()['train']).labels['head']
    {'bias': 'head', 'kernel': 'head'}
    """
    sample = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), train.take(np.arange(1)))
    shapes = {path: (leaf.shape, str(leaf.dtype)) for path, leaf in flatten(sample).items()}
    made = train.fingerprint if train.example else ''   # examples that are made on the device are made by the program
    key = {**{part: config[part] for part in PARTS}, 'classes': len(train.classes), 'width': width, 'sample': shapes, 'made': made}
    return PROGRAMS.get(key, lambda: _made(config, train, sample, width))


def _made(config: dict, train: Dataset, sample: Any, width: int) -> Program:
    spec, classes = config['method'], len(train.classes)
    groups = named(ZOO, config['net'], 'net').groups
    partition = named('tljax.engine.optim', config['partition'], 'partition', groups=groups)
    if frozen := stated(spec, 'FROZEN', ''):
        partition = partition._replace(rules=[(frozen, 'frozen'), *partition.rules])
    net = named(ZOO, config['net'], 'net', stored=optim.stored(partition, config['statistics']), **form(config['net'], spec))
    method = named(METHODS, spec, 'method', net=net, classes=classes)
    labels = label(jax.eval_shape(method.init, jax.random.key(0), sample)[0], partition.rules)
    if width:   # the same method on features of that width: what the backbone was is no longer there
        net = identity(width)
        method = named(METHODS, spec, 'method', net=net, classes=classes)
        labels = {**labels, 'backbone': {}}
    penalty = named('tljax.methods.penalties', config['penalty'], 'penalty') if config['penalty']['name'] else None
    settings = _groups(config, labels, partition)
    tx = optim.optimizer(labels, lambda name: optim.group(steps=config['steps'], **settings[name]))
    whole, prepare = combinators.with_penalty(method, penalty) if penalty else method, _prepare(config['augment'], train)
    step, predict = _compiled(whole, tx, labels, prepare, config['parallel'])
    rates = {name: group['lr'] * group['scale'] for name, group in settings.items()}
    return Program(method._replace(init=jax.jit(method.init)), penalty, net, labels, rates, tx, prepare, step, predict)


def form(net: dict, method: dict) -> dict[str, str]:
    """The keyword `form` of a network's factory, unless the config says it: the place where a method's convolutions run.

    >>> form({'name': 'conv4', 'form': 'dots'}, {'name': 'finetune'})
    {}
    """
    return {} if 'form' in innermost(net) else {'form': convolution.place(stated(method, 'LOOPED', False))}


def _groups(config: dict, labels: Tree, partition: optim.Partition) -> dict[str, dict]:
    """{label: keywords of its transform}: the optimiser's settings, then the player's, then the group's own; the last one wins."""
    names = sorted(set(flatten(labels).values()) - {'frozen'})
    for name in config['groups']:
        if name not in names and not any(other.split('.')[0] == name for other in names):
            raise Refused(f'groups.{name} is no group of this run: {near(name, names)}')
    found = {}
    for name in names:
        keywords = {'scale': 1., **config['optim'], **config['groups'].get(name.split('.')[0], {}), **config['groups'].get(name, {})}
        keywords['scale'] = keywords['scale'] * partition.scales.get(name, 1.)
        found[name] = {'optimizer': keywords.pop('name'), **keywords}
    return found


def _prepare(steps: list, train: Dataset) -> Callable:
    """What the compiled step does to a batch first: augmentation, or making the examples."""
    if train.example and steps:
        raise Refused(f'augment={steps}: the examples of this data are drawn afresh and not augmented: leave it empty')
    if train.example:
        return sampled(train.example, 1).prepare
    return augment.augmented(augment.made(steps)) if steps else lambda batch: batch


def _compiled(method: Method, tx: optax.GradientTransformation, labels: Tree, prepare: Callable,
              parallel: str) -> tuple[Compiled, Compiled]:
    if parallel not in ('jit', 'pmap'):
        raise Refused(f'parallel={parallel!r} is not jit or pmap')
    axis = 'data' if parallel == 'pmap' else None
    step = many(over_seeds(make_step(method, tx, labels, prepare, axis)))
    return compile_pmap(step) if axis else compile_jit(step, make_mesh()), compile_predict(method.predict, make_mesh())


def predictor(record: dict) -> Compiled:
    """The compiled `predict` of a finished run, or of a network with its weights, by its record.

    >>> predictor({'config': {'net': {'name': 'identity', 'dim': 2}, 'method': {'name': 'finetune'}}, 'classes': ['a', 'b']}).place(1)
    1
    """
    net, method = record['config']['net'], record['config']['method']
    return compile_predict(named(METHODS, method, 'method', net=named(ZOO, net, 'net', **form(net, method)),
                                 classes=len(record['classes'])).predict, make_mesh())
