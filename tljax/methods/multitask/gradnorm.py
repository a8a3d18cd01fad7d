"""GradNorm: weights of tasks that balance how fast the tasks train.

Source: Chen, Badrinarayanan, Lee and Rabinovich 2018, GradNorm: gradient normalization for adaptive
loss balancing in deep multitask networks, equations 1 and 2 (https://arxiv.org/abs/1711.02257).
"""

import re
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax
from flax.traverse_util import unflatten_dict
from jax import lax

from tljax.core import Method, Net, UserError, nearest_name
from tljax.methods.multitask.joint_model import present, shared_trunk
from tljax.paths import flatten

BATCHES = 'tasks'
CACHED = False  # gradients of a shared layer are needed
AVERAGING_ONE = 'weights'


def gradnorm(
    net: Net,
    classes: Mapping[str, int],
    several: Mapping[str, bool] | None = None,
    alpha: float = 1.5,
    layer: str = '',
) -> Method:
    """GradNorm: minimises sum_t w_t L_t over the network, and L_grad over the weights w.

    G_t is the norm of the gradient of w_t L_t with respect to a shared layer, and r_t is the ratio
    of L_t to its first value, divided by the mean of these ratios. The weights minimise L_grad =
    sum_t |G_t - mean(G) r_t^alpha|, in which the second term is a constant. No gradient of L_grad
    reaches the network, and no gradient of the weighted losses reaches the weights. The weights are
    a group of parameters with a rate of its own (`groups.weights.lr`). After each update they are
    cut at 0 and scaled to sum to the number of tasks.

    If a batch is divided among devices, jit takes norms of the whole batch's gradients. pmap takes
    them of each device's own part.

    Args:
        net: the shared network.
        classes: {task: number of classes or labels; 0 for numbers}.
        several: {task: whether its examples have any number of labels}; None: no task's have.
        alpha: strength of the pull towards equal training rates, 0 or more; 0 makes the norms
            equal.
        layer: group of the network whose gradients are balanced; '' for the last one, as in the
            paper.

    Returns:
        A Method with params {'backbone', 'head', 'weights': {task: w}}. Its state has the first
        losses.

    Raises:
        UserError: a negative alpha, or a layer that the network does not have.

    >>> from tljax.core import Tick
    >>> from tljax.zoo import mlp
    >>> method = gradnorm(mlp((3,)), {'a': 2, 'b': 4}, alpha=0.0)
    >>> label = {'a': jnp.array([0, 1]), 'b': jnp.array([3, 2])}
    >>> batch = {'input': jnp.eye(2), 'label': label}
    >>> params, state = method.init(jax.random.key(0), batch)
    >>> params['head']['a']['kernel'] = jnp.ones((3, 2)).at[:, 1].set(-1.0)
    >>> tick = Tick(0, jax.random.key(1))
    >>> gradient, _ = jax.jit(jax.grad(method.loss, has_aux=True))(params, state, batch, tick)
    >>> bool(gradient['weights']['a'] > 0)  # the norm of task b is 0: the weight of a falls
    True
    """
    if not alpha >= 0:
        raise UserError(f'method.alpha={alpha}: give a number, 0 or more')
    pattern = _pattern(net, layer)
    model, tasks = shared_trunk(net, classes, several), list(classes)

    def init(key, batch):
        params, state = model.init(key, batch)
        first = {task: jnp.zeros(()) for task in tasks}  # 0: not known
        weights = {task: jnp.ones(()) for task in tasks}
        return {**params, 'weights': weights}, {**state, 'first_losses': first}

    def loss(params, state, batch, tick):
        losses, (new_state, metrics) = model.losses(params, state, batch, tick)
        values = lax.stop_gradient(losses)
        first = {
            task: jnp.where(state['first_losses'][task] > 0, state['first_losses'][task], value)
            for task, value in values.items()
        }
        weights = params['weights']
        norms = _norms(lambda p: model.losses(p, state, batch, tick)[0], params, pattern)
        here = jnp.stack([present(batch, task) for task in tasks])
        rates = jnp.stack([values[t] / jnp.where(first[t] > 0, first[t], 1) for t in tasks])
        norms = jnp.stack([weights[task] * norms[task] for task in tasks])
        balance = jnp.sum(here * jnp.abs(norms - _target(norms, rates, here, alpha)))
        value = sum(lax.stop_gradient(weights[task]) * losses[task] for task in tasks)
        metrics |= {f'weight of {task}': weights[task] for task in tasks}
        return value + balance, ({**new_state, 'first_losses': first}, metrics)

    return Method(init, loss, model.predict)


def _pattern(net, layer):
    """The regex of the parameters of a group."""
    if not net.groups:
        raise UserError(
            'gradnorm balances gradients of a shared layer, and this network has none: take another'
        )
    layer = layer or list(net.groups)[-1]
    if layer not in net.groups:
        raise UserError(
            f'method.layer={layer!r} is no group of the network: {nearest_name(layer, net.groups)}'
        )
    return net.groups[layer]


def _norms(losses, params, pattern):
    """The norm of the gradient of each task's loss with respect to a layer, a constant."""
    params = lax.stop_gradient(params)
    leaves = flatten(params['backbone'])
    layer = {path: leaf for path, leaf in leaves.items() if re.fullmatch(pattern, path)}

    def of_layer(layer):
        return losses({**params, 'backbone': unflatten_dict({**leaves, **layer}, sep='/')})

    values, pull = jax.vjp(of_layer, layer)
    units = {task: jnp.zeros_like(value) for task, value in values.items()}
    norms = {}
    for task, value in values.items():
        (gradient,) = pull({**units, task: jnp.ones_like(value)})
        norms[task] = optax.tree.norm(gradient)
    return lax.stop_gradient(norms)


def _target(norms, rates, here, alpha):
    """mean(G) r^alpha, equation 2, over the tasks of the batch; a constant."""
    count = jnp.maximum(here.sum(), 1e-6)
    mean_norm, mean_rate = (norms * here).sum() / count, (rates * here).sum() / count
    return lax.stop_gradient(mean_norm * (rates / jnp.maximum(mean_rate, 1e-12)) ** alpha)
