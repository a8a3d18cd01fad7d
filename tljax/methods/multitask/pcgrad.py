"""PCGrad, projecting conflicting gradients: a task's gradient loses what points against another's.

Source: Yu, Kumar, Gupta, Levine, Hausman and Finn 2020, Gradient surgery for multi-task learning,
algorithm 1 (https://arxiv.org/abs/2001.06782).
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from tljax.core import Method, Net
from tljax.methods.multitask.joint_model import shared_trunk
from tljax.paths import flatten

BATCHES = 'tasks'


def pcgrad(
    net: Net,
    classes: Mapping[str, int],
    several: Mapping[str, bool] | None = None,
    frozen: Callable[[str], bool] = lambda path: False,
) -> Method:
    """PCGrad: the direction of the shared parameters is the sum of the projected gradients.

    The gradient of each task loses its component along the gradient of every other task with which
    it has a negative inner product. The other tasks follow one another in a random order, drawn for
    each task and step. Heads belong to one task each, and get its own gradient. The method is no
    gradient of a loss: its surrogate is sum(stop_gradient(direction) * params).

    Each step computes a gradient for each task. If a batch is divided among devices, jit projects
    the gradients of the whole batch. pmap projects, on each device, those of the device's own part,
    and then averages the directions.

    Args:
        net: the shared network.
        classes: {task: number of classes or labels; 0 for numbers}.
        several: {task: whether its examples have any number of labels}; None: no task's have.
        frozen: (path) -> whether a parameter is frozen; it then has no part in inner products.

    Returns:
        A Method with params {'backbone', 'head'}. The metric 'loss' is the sum of the losses.

    Two tasks that contradict each other: what one gradient adds, the other takes away, and nothing
    is left of either:

    >>> from tljax.core import Tick
    >>> from tljax.methods.multitask.hard_sharing import hard_sharing
    >>> from tljax.zoo import mlp
    >>> batch = {'input': jnp.eye(2), 'label': {'a': jnp.array([0, 1]), 'b': jnp.array([1, 0])}}
    >>> for factory in (hard_sharing, pcgrad):
    ...     method = factory(mlp((2,)), {'a': 2, 'b': 2})
    ...     params, state = method.init(jax.random.key(0), batch)
    ...     params['backbone']['dense1']['kernel'] = jnp.eye(2)
    ...     params['head']['a']['kernel'], params['head']['b']['kernel'] = (
    ...         jnp.eye(2),
    ...         3 * jnp.eye(2),
    ...     )
    ...     tick = Tick(0, jax.random.key(1))
    ...     gradient, _ = jax.jit(jax.grad(method.loss, has_aux=True))(params, state, batch, tick)
    ...     print(round(float(abs(gradient['backbone']['dense1']['kernel']).max()), 2))
    1.29
    0.0
    """
    model, tasks = shared_trunk(net, classes, several), list(classes)

    def loss(params, state, batch, tick):
        def losses(params):
            values, rest = model.losses(params, state, batch, tick)
            return jnp.stack([values[task] for task in tasks]), rest

        _, pull, rest = jax.vjp(losses, lax.stop_gradient(params), has_aux=True)
        gradients = [pull(row)[0] for row in jnp.eye(len(tasks))]  # of each task
        shared = [gradient.pop('backbone') for gradient in gradients]
        weights = projected_weights(_inner_products(shared, frozen), tick.key)
        direction = jax.tree.map(lambda *leaves: sum(leaves), *gradients)
        direction['backbone'] = jax.tree.map(
            lambda *leaves: sum(w * leaf for w, leaf in zip(weights, leaves, strict=True)), *shared
        )
        return _inner_product(direction, params), rest

    return Method(model.init, loss, model.predict)


def _inner_product(direction, params):
    """The surrogate: its gradient is the direction, which is a constant."""
    products = jax.tree.map(lambda d, p: jnp.sum(lax.stop_gradient(d) * p), direction, params)
    return sum(jax.tree.leaves(products), jnp.zeros(()))


def _inner_products(gradients, frozen):
    """The inner products (T, T) of T gradients, over the parameters that are not frozen."""
    products = jnp.zeros((len(gradients), len(gradients)))
    for leaves in zip(*(flatten(gradient).items() for gradient in gradients), strict=True):
        if not frozen(f'backbone/{leaves[0][0]}'):
            matrix = jnp.stack([leaf.ravel() for _, leaf in leaves])
            products += jnp.matmul(matrix, matrix.T, precision='highest')
    return products


def projected_weights(products: ArrayLike, key: jax.Array) -> jax.Array:
    """Returns the weights w for which sum_t w_t g_t is the sum of the projected gradients.

    A projected gradient is a combination of all gradients, so that inner products are all that
    algorithm 1 needs.

    Args:
        products: inner products of the gradients, (T, T).
        key: of the random orders.

    Returns:
        (T,).

    Two gradients (1, 0) and (-1, 1), whose inner product is -1: the first becomes (1/2, 1/2), the
    second (0, 1). Their sum (1/2, 3/2) is 2 (1, 0) + 3/2 (-1, 1):

    >>> products = jnp.array([[1.0, -1.0], [-1.0, 2.0]])
    >>> projected_weights(products, jax.random.key(0)).tolist()
    [2.0, 1.5]
    """
    products = jnp.asarray(products)
    count = len(products)

    def project(task, key):
        def subtract(weights, other):
            product = weights @ products[:, other]
            conflict = (other != task) & (product < 0)
            share = jnp.where(conflict, product / jnp.where(conflict, products[other, other], 1), 0)
            return weights.at[other].add(-share), None

        own = jax.nn.one_hot(task, count, dtype=products.dtype)
        return lax.scan(subtract, own, jax.random.permutation(key, count))[0]

    return jax.vmap(project)(jnp.arange(count), jax.random.split(key, count)).sum(0)
