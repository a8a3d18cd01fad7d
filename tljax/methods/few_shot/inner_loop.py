"""Parts of gradient-based meta-learning: gradient descent on a task's support, and means over tasks
whose gradients need the memory of one task.

Batches of episodes are those of `episodes`. Within a task, ways and shots are flattened to a
labelled set, which the loss of any `Method` takes.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from tljax.core import Net, Tick, Tree
from tljax.loops import in_loop
from tljax.paths import first, map_paths

# Up to this number of inner steps their intermediates stay in memory. Recomputing them costs a
# tenth of a step's time (Conv4-64, five steps).
STORED_STEPS = 5


def on_batch_statistics(net: Net) -> Net:
    """Returns the network with BatchNorm on batch statistics in training and in inference.

    No statistics are stored. MAML's authors do the same: the examples of a query set are then
    normalised together (transduction).

    Args:
        net: the network.

    >>> from tljax.zoo.families.mlp import mlp
    >>> net = on_batch_statistics(mlp((1,), norm='batch'))
    >>> x = jnp.array([[1.0], [3.0]])
    >>> params, state = jax.jit(net.init)(jax.random.key(0), x)
    >>> params['dense1']['kernel'] = jnp.ones((1, 1))
    >>> taps, _ = jax.jit(net.features)(params, state, x)
    >>> [round(value, 2) for value in taps['features'].ravel().tolist()]  # relu of -1 and 1
    [0.0, 1.0]
    """

    def features(params, state, input, key=None):
        training_key = jax.random.key(0) if key is None else key
        return net.features(params, state, input, training_key)[0], state

    return net._replace(features=features)


def flatten_shots(examples: Tree) -> Tree:
    """Flattens a task's set (ways, shots, ...) to a set of examples (ways * shots, ...).

    Args:
        examples: a tree of arrays (ways, shots, ...).

    >>> flatten_shots({'input': jnp.zeros((5, 2, 3))})['input'].shape
    (10, 3)
    """
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), examples)


def gradient_descent(
    loss: Callable[[Tree, ArrayLike], jax.Array],
    params: Tree,
    rates: Tree,
    steps: int,
    order: int = 2,
    moves: str = '.*',
) -> Tree:
    """Gradient descent that can itself be differentiated.

    It repeats phi <- phi - rate * gradient of loss(phi, step), `steps` times from phi = params.
    With more than STORED_STEPS steps, each step is recomputed when gradients pass through it, so
    that memory does not grow by every step's intermediates.

    Args:
        loss: (params, step) -> scalar.
        params: tree of parameters to start from.
        rates: a number, or a tree of numbers like params.
        steps: number of steps.
        order: 2 differentiates through the gradient, 1 takes it as a constant.
        moves: regex of the paths of the parameters that are updated.

    Returns:
        The parameters phi after the last step.

    >>> float(gradient_descent(lambda p, i: p['a'] ** 2, {'a': jnp.array(1.0)}, 0.25, steps=2)['a'])
    0.25
    """
    rates = rates if isinstance(rates, dict) else jax.tree.map(lambda _: rates, params)
    updated = map_paths(lambda path, _: bool(first([(moves, 'moves')], path)), params)

    def step(phi, i):
        grads = jax.grad(loss)(phi, i)
        if order == 1:
            grads = lax.stop_gradient(grads)
        new_phi = jax.tree.map(
            lambda p, g, rate, is_updated: p - rate * g if is_updated else p,
            phi,
            grads,
            rates,
            updated,
        )
        return new_phi, None

    if steps == 1:
        return step(params, 0)[0]
    body = step if steps <= STORED_STEPS else jax.checkpoint(step)
    return lax.scan(in_loop(body), params, jnp.arange(steps))[0]


def mean_over_tasks(
    function: Callable[[Tree, Tree], tuple[ArrayLike, Tree]],
    params: Tree,
    tasks: Tree,
    chunk: int = 1,
) -> tuple[jax.Array, Tree]:
    """Returns the mean over tasks of the value and the metrics of a function.

    The forward pass also sums the gradient with respect to params, chunk by chunk. The memory is
    therefore that of one chunk.

    Args:
        function: (params, task) -> (value, metrics).
        params: tree of parameters.
        tasks: a tree of arrays with a leading axis of tasks.
        chunk: number of tasks that are computed together; it divides the number of tasks.

    >>> def mean(p):
    ...     return mean_over_tasks(lambda p, t: (p * t, {}), p, jnp.array([1.0, 3.0]))[0]
    >>> value, gradient = jax.value_and_grad(mean)(5.0)
    >>> float(value), float(gradient)
    (10.0, 2.0)
    """
    count = len(jax.tree.leaves(tasks)[0])
    parts = jax.tree.map(lambda leaf: leaf.reshape(count // chunk, chunk, *leaf.shape[1:]), tasks)

    def chunk_mean(params, part):
        if chunk == 1:
            return function(params, jax.tree.map(lambda leaf: leaf[0], part))
        return jax.tree.map(lambda leaf: leaf.mean(0), jax.vmap(function, (None, 0))(params, part))

    @jax.custom_vjp
    def mean(params, parts):
        return jax.tree.map(
            lambda leaf: leaf.mean(0),
            lax.map(in_loop(functools.partial(chunk_mean, params)), parts),
        )

    def forward(params, parts):
        def add(total, part):
            outputs, grads = jax.value_and_grad(chunk_mean, has_aux=True)(params, part)
            return jax.tree.map(lambda a, b: a + b / (count // chunk), total, grads), outputs

        grads, outputs = lax.scan(in_loop(add), jax.tree.map(jnp.zeros_like, params), parts)
        return jax.tree.map(lambda leaf: leaf.mean(0), outputs), grads

    def backward(grads, cotangent):
        return jax.tree.map(lambda g: cotangent[0] * g, grads), None

    mean.defvjp(forward, backward)
    return mean(params, parts)


def inner_tick(tick: Tick, i: ArrayLike) -> Tick:
    """Returns the Tick of an inner step: the outer step's number, and a new random key.

    Args:
        tick: of the outer step.
        i: number of the inner step.

    >>> tick = Tick(3, jax.random.key(0))
    >>> inner_tick(tick, 1).step, bool(inner_tick(tick, 1).key == inner_tick(tick, 2).key)
    (3, False)
    """
    return Tick(tick.step, jax.random.fold_in(tick.key, i))
