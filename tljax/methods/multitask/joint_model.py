"""Models of several tasks: features for each task, a linear head for each task, and a loss for each
task.

A batch is one set of n examples, in which labels and weights are dicts by task: {'input': (n, ...),
'label': {task: (n, ...)}, 'weight': {task: (n,)}}. The weights of a task average 1 over the whole
batch. An example without a label of a task has the weight 0 for it. If the whole batch has none,
the task is absent: its loss is 0, and no gradient of it reaches any parameter.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from tljax.core import Batch, Method, Net, Tick, Tree, UserError, abbreviated, nearest_name
from tljax.losses import (
    cross_entropy,
    linear,
    sigmoid_cross_entropy,
    squared_error,
    weighted_mean,
)

Losses = dict[str, jax.Array]  # {task: loss}
Rest = tuple[Tree, dict[str, jax.Array]]  # what a `Method.loss` returns beside its value


class Joint(NamedTuple):
    """A model of several tasks. It is a `Method`, but for a loss of each task in place of one.

    Attributes:
        init: as `Method.init`.
        losses: (params, state, batch, tick) -> {task: loss}, (new state, metrics). The metrics are
            'loss', the sum of the losses, 'loss of TASK' for each task, and 'accuracy', the mean
            over the tasks of classes.
        predict: as `Method.predict`, with outputs {task: (n, ...)}.
    """

    init: Callable[[jax.Array, Batch], tuple[Tree, Tree]]
    losses: Callable[[Tree, Tree, Batch, Tick], tuple[Losses, Rest]]
    predict: Callable[[Tree, Tree, Batch], dict[str, Any]]


def joint(
    init: Callable[[jax.Array, jax.Array], tuple[Tree, Tree]],
    features: Callable[[Tree, Tree, jax.Array, jax.Array | None], tuple[dict[str, Any], Tree]],
    dim: int,
    classes: Mapping[str, int],
    several: Mapping[str, bool] | None = None,
) -> Joint:
    """Adds a linear head and a loss for each task to features for each task.

    The loss of a task is the cross-entropy of its classes, the squared error of its numbers, or the
    mean sigmoid cross-entropy of its labels, averaged over the examples that have its label.

    Args:
        init: (key, input) -> params, state of what computes the features.
        features: (params, state, input, key) -> {task: (n, dim)}, state; a key means training.
        dim: width of the features.
        classes: {task: number of classes or labels; 0 for numbers}.
        several: {task: whether its examples have any number of labels}; None: no task's have.

    >>> model = joint(
    ...     lambda key, input: ({}, {}),
    ...     lambda params, state, input, key: (dict.fromkeys(('a', 'b'), input), state),
    ...     dim=2,
    ...     classes={'a': 4, 'b': 0},
    ... )
    >>> label = {'a': jnp.array([1, 0]), 'b': jnp.array([0.0, 3.0])}
    >>> weight = {'a': jnp.array([2.0, 0.0]), 'b': jnp.array([0.0, 2.0])}
    >>> batch = {'input': jnp.ones((2, 2)), 'label': label, 'weight': weight}
    >>> params, state = model.init(jax.random.key(0), batch)
    >>> losses, _ = model.losses(params, state, batch, Tick(0, jax.random.key(0)))
    >>> {task: round(float(loss), 2) for task, loss in losses.items()}  # log 4 and 3^2
    {'a': 1.39, 'b': 9.0}
    """
    if not isinstance(classes, Mapping):
        raise UserError('a method of several tasks needs data of several tasks (joint_tasks)')

    def init_all(key, batch):
        params, state = init(key, batch['input'])
        head = {}
        for task, count in classes.items():
            label = batch['label'][task]
            width = count or label.reshape(len(label), -1).shape[1]
            head[task] = {'kernel': jnp.zeros((dim, width)), 'bias': jnp.zeros(width)}
        return {**params, 'head': head}, state

    def outputs(params, state, input, key):
        by_task, state = features(params, state, input, key)
        return {task: linear(params['head'][task], by_task[task]) for task in classes}, state

    def losses(params, state, batch, tick):
        output, new_state = outputs(params, state, batch['input'], tick.key)
        values, correct = {}, {}
        for task, count in classes.items():
            label, weight = batch['label'][task], weight_of(batch, task)
            if several and several[task]:
                each = sigmoid_cross_entropy(output[task], label)
            elif count:
                each = cross_entropy(output[task], label)
                correct[task] = weighted_mean(output[task].argmax(-1) == label, weight)
            else:
                each = squared_error(output[task], label)
            values[task] = weighted_mean(each, weight)
        metrics = {'loss': sum(values.values(), jnp.zeros(()))}
        if correct:  # absent tasks do not count
            counted = sum(present(batch, task) for task in correct)
            metrics['accuracy'] = sum(correct.values()) / jnp.maximum(counted, 1e-6)
        metrics |= {f'loss of {task}': value for task, value in values.items()}
        return values, (new_state, metrics)

    def predict(params, state, batch):
        output, _ = outputs(params, state, batch['input'], None)
        return {'output': output, 'label': batch['label']}

    return Joint(init_all, losses, predict)


def shared_trunk(
    net: Net, classes: Mapping[str, int], several: Mapping[str, bool] | None = None
) -> Joint:
    """Returns the model in which all tasks share a network, and each has its own linear head.

    Args:
        net: the network, whose parameters are the player 'backbone'.
        classes: as `joint` takes them.
        several: as `joint` takes it.

    >>> from tljax.zoo import mlp
    >>> model = shared_trunk(mlp((4,)), {'a': 2, 'b': 3})
    >>> batch = {'input': jnp.ones((1, 5)), 'label': {'a': jnp.zeros(1), 'b': jnp.zeros(1)}}
    >>> params, state = model.init(jax.random.key(0), batch)
    >>> params['head']['b']['kernel'].shape
    (4, 3)
    """

    def init(key, input):
        params, state = net.init(key, input)
        return {'backbone': params}, {'backbone': state}

    def features(params, state, input, key):
        taps, backbone = net.features(params['backbone'], state['backbone'], input, key)
        return dict.fromkeys(classes, taps['features']), {**state, 'backbone': backbone}

    return joint(init, features, net.dim, classes, several)


def summed(model: Joint) -> Method:
    """Returns the method that minimises the sum of the losses of all tasks.

    Args:
        model: the model of the tasks.

    >>> from tljax.zoo import identity
    >>> method = summed(shared_trunk(identity(2), {'a': 2, 'b': 4}))
    >>> batch = {'input': jnp.eye(2), 'label': dict.fromkeys(('a', 'b'), jnp.arange(2))}
    >>> params, state = method.init(jax.random.key(0), batch)
    >>> value, _ = method.loss(params, state, batch, Tick(0, jax.random.key(0)))
    >>> round(float(value), 2)  # log 2 + log 4
    2.08
    """

    def loss(params, state, batch, tick):
        _, rest = model.losses(params, state, batch, tick)
        return rest[1]['loss'], rest

    return Method(model.init, loss, model.predict)


def weight_of(batch: Batch, task: str) -> Batch:
    """Returns the weights of a task as a batch of one task; empty if the batch has no weights.

    Args:
        batch: of several tasks.
        task: name of the task.

    >>> weight_of({'weight': {'a': jnp.ones(2)}}, 'a')['weight'].tolist(), weight_of({}, 'a')
    ([1.0, 1.0], {})
    """
    return {'weight': batch['weight'][task]} if 'weight' in batch else {}


def present(batch: Batch, task: str) -> jax.Array:
    """Returns 1 if the batch has a label of a task, and 0 if not.

    A shard of a batch gives its share of that 1: the mean over the shards is the value of the whole
    batch.

    Args:
        batch: of several tasks.
        task: name of the task.

    >>> float(present({'weight': {'a': jnp.zeros(2)}}, 'a')), float(present({}, 'a'))
    (0.0, 1.0)
    """
    return weighted_mean(jnp.ones(()), weight_of(batch, task))


def task_weights(
    weights: Mapping[str, float] | None, classes: Mapping[str, int]
) -> dict[str, float]:
    """Returns the weights of the tasks in a sum of losses, scaled to sum to the number of tasks.

    Args:
        weights: {task: weight, 0 or more}; a task that is not named has 1; None: all tasks have 1.
        classes: {task: ...} of all tasks.

    Raises:
        UserError: an unknown task, a negative weight, or weights of 0 for all tasks.

    >>> task_weights({'a': 3.0}, {'a': 2, 'b': 2})
    {'a': 1.5, 'b': 0.5}
    >>> task_weights({'c': 3.0}, {'a': 2, 'b': 2})
    Traceback (most recent call last):
    tljax.core.UserError: method.weights.c is no task: there are a, b
    """
    weights = weights or {}
    for task, weight in weights.items():
        if task not in classes:
            raise UserError(f'method.weights.{task} is no task: {nearest_name(task, classes)}')
        if not 0 <= weight < float('inf'):
            raise UserError(f'method.weights.{task}={weight}: give a number, 0 or more')
    full = {task: float(weights.get(task, 1.0)) for task in classes}
    total = sum(full.values())
    if not total:
        raise UserError(
            f'method.weights is 0 for all tasks ({abbreviated(classes)}): nothing would be learnt'
        )
    return {task: weight * len(full) / total for task, weight in full.items()}
