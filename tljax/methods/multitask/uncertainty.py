"""Weights of tasks from their uncertainty, which is learnt with the network.

Source: Kendall, Gal and Cipolla 2018, Multi-task learning using uncertainty to weigh losses,
equations 7 and 10 (https://arxiv.org/abs/1705.07115).
"""

from collections.abc import Mapping

import jax.numpy as jnp

from tljax.core import Method, Net
from tljax.methods.multitask.joint_model import present, shared_trunk

BATCHES = 'tasks'


def uncertainty(
    net: Net, classes: Mapping[str, int], several: Mapping[str, bool] | None = None
) -> Method:
    """Uncertainty weighting: minimises the sum over tasks of loss / (c sigma^2) + log sigma.

    c is 2 for numbers, whose loss is the squared error of a Gaussian likelihood, and 1 for classes
    and labels, whose likelihood is a softmax at the temperature sigma^2. What is learnt is s = log
    sigma^2, so that sigma^2 stays positive: exp(-s) loss / c + s / 2. For a fixed loss the optimum
    is sigma^2 = 2 loss / c.

    Args:
        net: the shared network.
        classes: {task: number of classes or labels; 0 for numbers}.
        several: {task: whether its examples have any number of labels}; None: no task's have.

    Returns:
        A Method with params {'backbone', 'head', 'uncertainty': {task: s}}, where s starts at 0.

    >>> import jax
    >>> from tljax.core import Tick
    >>> from tljax.zoo import identity
    >>> method = uncertainty(identity(2), {'a': 2, 'b': 0})
    >>> label = {'a': jnp.array([0, 1]), 'b': jnp.array([3.0, 3.0])}
    >>> batch = {'input': jnp.eye(2), 'label': label}
    >>> params, state = method.init(jax.random.key(0), batch)
    >>> value, _ = method.loss(params, state, batch, Tick(0, jax.random.key(0)))
    >>> round(float(value), 3)  # log 2 + 9 / 2
    5.193
    """
    model = shared_trunk(net, classes, several)

    def init(key, batch):
        params, state = model.init(key, batch)
        return {**params, 'uncertainty': {task: jnp.zeros(()) for task in classes}}, state

    def loss(params, state, batch, tick):
        losses, (state, metrics) = model.losses(params, state, batch, tick)
        value = jnp.zeros(())
        for task, count in classes.items():
            s, c = params['uncertainty'][task], 1 if count else 2
            value += jnp.exp(-s) * losses[task] / c + present(batch, task) * s / 2
            metrics[f'weight of {task}'] = jnp.exp(-s) / c
        return value, (state, metrics)

    return Method(init, loss, model.predict)
