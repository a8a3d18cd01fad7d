"""Hard parameter sharing: one network for all tasks, a head for each, and fixed weights.

Source: Caruana 1993 and 1997, Multitask learning (https://doi.org/10.1023/A:1007379606734). With
equal weights and a tuned learning rate it is the rival of every method that chooses weights or
directions: Kurin et al. 2022 (https://arxiv.org/abs/2201.04122) and Xin et al. 2022
(https://arxiv.org/abs/2209.11379) find that it is hard to beat.
"""

from collections.abc import Mapping

import jax.numpy as jnp

from tljax.core import Method, Net
from tljax.methods.multitask.joint_model import shared_trunk, task_weights

BATCHES = 'tasks'


def hard_sharing(
    net: Net,
    classes: Mapping[str, int],
    several: Mapping[str, bool] | None = None,
    weights: dict[str, float] | None = None,
) -> Method:
    """Hard sharing: minimises the sum over tasks of weight * loss.

    Args:
        net: the shared network.
        classes: {task: number of classes or labels; 0 for numbers}.
        several: {task: whether its examples have any number of labels}; None: no task's have.
        weights: {task: weight}, scaled to sum to the number of tasks; a task that is not named has
            1 before the scaling, and None gives all tasks 1.

    Returns:
        A Method with params {'backbone', 'head': {task: ...}}. Its predict returns {task: outputs}.

    Raises:
        UserError: an unknown task in `weights`, or weights of 0 for all tasks.

    >>> import jax
    >>> from tljax.core import Tick
    >>> from tljax.zoo import identity
    >>> method = hard_sharing(identity(2), {'a': 2, 'b': 4}, weights={'a': 3})
    >>> label = {'a': jnp.array([0, 1]), 'b': jnp.array([3, 2])}
    >>> batch = {'input': jnp.eye(2), 'label': label}
    >>> params, state = method.init(jax.random.key(0), batch)
    >>> value, _ = method.loss(params, state, batch, Tick(0, jax.random.key(0)))
    >>> round(float(value), 3)  # 1.5 log 2 + 0.5 log 4
    1.733
    """
    model, fixed = shared_trunk(net, classes, several), task_weights(weights, classes)

    def loss(params, state, batch, tick):
        losses, rest = model.losses(params, state, batch, tick)
        return sum((fixed[task] * losses[task] for task in losses), jnp.zeros(())), rest

    return Method(model.init, loss, model.predict)
