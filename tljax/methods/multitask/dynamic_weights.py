"""Dynamic weight average: a task whose loss falls more slowly than the others' gets more weight.

Source: Liu, Johns and Davison 2019, End-to-end multi-task learning with attention, equation 7
(https://arxiv.org/abs/1803.10704).
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from tljax.core import Method, Net, UserError
from tljax.methods.multitask.joint_model import present, shared_trunk

BATCHES = 'tasks'


def dynamic_weights(
    net: Net,
    classes: Mapping[str, int],
    several: Mapping[str, bool] | None = None,
    window: int = 100,
    temperature: float = 2.0,
) -> Method:
    """Dynamic weight average: minimises the sum over tasks of lambda * loss.

    lambda_k = K exp(w_k / T) / sum_i exp(w_i / T), with w_k the mean loss of the last window over
    that of the window before, K the number of tasks and T the temperature. In the first two windows
    w_k is 1 for all tasks. The paper's windows are epochs.

    Args:
        net: the shared network.
        classes: {task: number of classes or labels; 0 for numbers}.
        several: {task: whether its examples have any number of labels}; None: no task's have.
        window: number of steps over which losses are averaged.
        temperature: of the softmax, above 0; a large one makes the weights equal.

    Returns:
        A Method with params {'backbone', 'head'}. Its state has the mean losses of the windows.

    Raises:
        UserError: a window below 1, or a temperature that is not above 0.

    >>> import jax
    >>> from tljax.core import Tick
    >>> from tljax.zoo import identity
    >>> method = dynamic_weights(identity(2), {'a': 2, 'b': 2})
    >>> label = {'a': jnp.array([0, 1]), 'b': jnp.array([1, 1])}
    >>> batch = {'input': jnp.eye(2), 'label': label}
    >>> params, state = method.init(jax.random.key(0), batch)
    >>> state['windows']['before'], state['windows']['last'] = jnp.array([[2.0, 2.0], [2.0, 1.0]])
    >>> _, (_, metrics) = method.loss(params, state, batch, Tick(0, jax.random.key(0)))
    >>> round(float(metrics['weight of a']), 3)  # 2 exp(1 / 2) / (exp(1 / 2) + exp(0.5 / 2))
    1.124
    """
    if window < 1 or not temperature > 0:
        raise UserError(
            f'method.window={window}, method.temperature={temperature}: give one step or more, and '
            'a temperature above 0'
        )
    model, tasks = shared_trunk(net, classes, several), list(classes)

    def init(key, batch):
        params, state = model.init(key, batch)
        # mean losses of two windows (0: not known), and sums and counts in the present one
        zeros = jnp.zeros(len(tasks))
        return params, {
            **state,
            'windows': dict(before=zeros, last=zeros, sum=zeros, count=zeros),
        }

    def loss(params, state, batch, tick):
        losses, (new_state, metrics) = model.losses(params, state, batch, tick)
        windows, values = state['windows'], jnp.stack([losses[task] for task in tasks])
        is_known = (windows['before'] > 0) & (windows['last'] > 0)
        w = jnp.where(is_known, windows['last'] / jnp.where(is_known, windows['before'], 1), 1)
        weights = len(tasks) * jax.nn.softmax(w / temperature)  # equation 7
        metrics |= {f'weight of {task}': weights[i] for i, task in enumerate(tasks)}
        counts = jnp.stack([present(batch, task) for task in tasks])
        windows = _next(windows, jax.lax.stop_gradient(values), counts, tick.step, window)
        return weights @ values, ({**new_state, 'windows': windows}, metrics)

    return Method(init, loss, model.predict)


def _next(windows, losses, counts, step, window):
    """The windows after a step, of which the last one in every window starts a new window."""
    total, count = windows['sum'] + losses, windows['count'] + counts
    mean = jnp.where(count > 0, total / jnp.maximum(count, 1e-6), windows['last'])
    ends = (step + 1) % window == 0
    return dict(
        before=jnp.where(ends, windows['last'], windows['before']),
        last=jnp.where(ends, mean, windows['last']),
        sum=jnp.where(ends, 0.0, total),
        count=jnp.where(ends, 0.0, count),
    )
