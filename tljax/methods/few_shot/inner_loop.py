"""What gradient-based meta-learning shares: descent on a task's support, and means over tasks whose
gradients cost the memory of one.

Batches of episodes are those of `episodes`; within a task, ways and shots are flattened to the
plain labelled set that any `Method`'s loss takes.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from tljax.core import Net, Tick, Tree
from tljax.paths import first, map_paths

# inner steps whose intermediates are kept: recomputing costs a tenth of a step's time (Conv4-64,
# five steps)
KEPT = 5


def on_batch_statistics(net: Net) -> Net:
    """The network with BatchNorm on the statistics of whatever it is given, also at inference, and
    none stored.

    It is what MAML's authors do: a query set is then normalised together (transduction).

    Args:
        net: the network.

    >>> from tljax.zoo.families.identity import identity
    >>> on_batch_statistics(identity(2)).dim
    2
    """

    def features(params, state, input, key=None):
        return net.features(params, state, input, jax.random.key(0) if key is None else key)[
            0
        ], state

    return net._replace(features=features)


def flatten_shots(examples: Tree) -> Tree:
    """A task's set (ways, shots, ...) as one of examples: (ways * shots, ...).

    Args:
        examples: arrays with two leading axes, in a tree.

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
    """Gradient descent as a function that can be differentiated: phi <- phi - rate * gradient of
    loss(phi, step), `steps` times.

    Beyond KEPT steps, each is recomputed when gradients pass through it, so that memory does not
    grow with what a step keeps.

    Args:
        loss: (params, step) -> scalar.
        params: tree of parameters to start from.
        rates: a number, or a tree of numbers like params.
        steps: number of steps.
        order: 2 differentiates through the gradient, 1 takes it as a constant.
        moves: regex of the paths that move.

    >>> float(gradient_descent(lambda p, i: p['a'] ** 2, {'a': jnp.array(1.0)}, 0.25, steps=2)['a'])
    0.25
    """
    rates = rates if isinstance(rates, dict) else jax.tree.map(lambda _: rates, params)
    moving = map_paths(lambda path, _: bool(first([(moves, 'moves')], path)), params)

    def step(phi, i):
        grads = jax.grad(loss)(phi, i)
        if order == 1:
            grads = lax.stop_gradient(grads)
        return jax.tree.map(
            lambda p, g, rate, move: p - rate * g if move else p, phi, grads, rates, moving
        ), None

    if steps == 1:
        return step(params, 0)[0]
    return lax.scan(step if steps <= KEPT else jax.checkpoint(step), params, jnp.arange(steps))[0]


def mean_over_tasks(
    function: Callable[[Tree, Tree], tuple[ArrayLike, Tree]],
    params: Tree,
    tasks: Tree,
    chunk: int = 1,
) -> tuple[jax.Array, Tree]:
    """The mean over tasks of function(params, task) -> (value, metrics), `chunk` tasks at a time.

    Its gradient with respect to params is summed up task by task on the way forward: the memory is
    that of one chunk.

    Args:
        function: (params, task) -> (value, metrics).
        params: tree of parameters.
        tasks: a tree with a leading axis of tasks, which `chunk` divides.
        chunk: tasks at a time.

    >>> value, _ = mean_over_tasks(lambda p, t: (p * t, {}), 2.0, jnp.array([1.0, 3.0]))
    >>> (
    ...     float(value),
    ...     float(
    ...         jax.grad(
    ...             lambda p: mean_over_tasks(lambda p, t: (p * t, {}), p, jnp.array([1.0, 3.0]))[0]
    ...         )(5.0)
    ...     ),
    ... )
    (4.0, 2.0)
    """
    count = len(jax.tree.leaves(tasks)[0])
    parts = jax.tree.map(lambda leaf: leaf.reshape(count // chunk, chunk, *leaf.shape[1:]), tasks)

    def of_chunk(params, part):
        if chunk == 1:
            return function(params, jax.tree.map(lambda leaf: leaf[0], part))
        return jax.tree.map(lambda leaf: leaf.mean(0), jax.vmap(function, (None, 0))(params, part))

    @jax.custom_vjp
    def mean(params, parts):
        return jax.tree.map(
            lambda leaf: leaf.mean(0), lax.map(lambda part: of_chunk(params, part), parts)
        )

    def forward(params, parts):
        def add(total, part):
            found, grads = jax.value_and_grad(of_chunk, has_aux=True)(params, part)
            return jax.tree.map(lambda a, b: a + b / (count // chunk), total, grads), found

        grads, found = lax.scan(add, jax.tree.map(jnp.zeros_like, params), parts)
        return jax.tree.map(lambda leaf: leaf.mean(0), found), grads

    def backward(grads, cotangent):
        return jax.tree.map(lambda g: cotangent[0] * g, grads), None

    mean.defvjp(forward, backward)
    return mean(params, parts)


def inner_tick(tick: Tick, i: ArrayLike) -> Tick:
    """The Tick of an inner step: its own key.

    Args:
        tick: of the outer step.
        i: number of the inner step.

    >>> inner_tick(Tick(3, jax.random.key(0)), 1).step
    3
    """
    return Tick(tick.step, jax.random.fold_in(tick.key, i))
