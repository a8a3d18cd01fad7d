"""One training step, and its extension to several seeds and to several steps per call.

The step does not depend on the method: it takes the gradient of any `Method.loss`. `make_step`
makes a step for one seed and one batch. Everywhere else, every leaf of the state has a leading axis
of seeds, and a batch has the axes (steps, seeds, examples, ...). If several processes train
together, each gives the functions of `compile_jit` and `compile_pmap` (`tljax.engine.devices`) its
own part of a batch.
"""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
import optax
from jax import lax

from tljax.core import Method, Tick, TrainState, Tree
from tljax.loops import in_loop
from tljax.packing import unpack
from tljax.platforms import is_for_cpu
from tljax.protocols import Prepare, Step

Out = TypeVar('Out')  # a tree of arrays


def make_step(
    method: Method,
    tx: optax.GradientTransformation,
    labels: Tree,
    prepare: Prepare | None = None,
    axis: str | None = None,
) -> Step:
    """Makes the training step: the gradient of the method's loss, then the optimiser's update.

    Pictures that arrive as bytes (`packing.Bytes`) become floats in it.

    Args:
        method: the method whose loss is minimised.
        tx: optimiser of the whole tree of parameters (`optim.optimizer`).
        labels: tree of strings with the structure of the parameters. Parameters with the label
            'frozen' are constants of the loss and stay bit-equal.
        prepare: changes a batch inside the step (`Stream.prepare`); None to use it unchanged.
        axis: name of the axis of devices over which gradients, statistics and metrics are averaged
            (pmap); None for no average.

    Returns:
        `step(state, batch, seed) -> state, metrics` for one seed and one batch.

    Gradient descent on a mean squared distance:

    >>> def loss(params, state, batch, tick):
    ...     return jnp.mean((batch - params['mean']) ** 2), (state, {})
    >>> tx, params = optax.sgd(0.25), {'mean': jnp.zeros(())}
    >>> step = make_step(Method(None, loss, None), tx, labels={'mean': 'head'})
    >>> state = TrainState(jnp.zeros((), int), params, {}, tx.init(params))
    >>> for _ in range(3):
    ...     state, metrics = step(state, jnp.array([1.0, 3.0]), 0)
    ...     print(float(metrics['loss']))
    5.0
    2.0
    1.25
    """

    def trainable_leaves(tree):
        pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(labels), strict=True)
        return [leaf for leaf, label in pairs if label != 'frozen']

    def average(leaf):
        return lax.pmean(leaf, axis) if axis and jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf

    def step(state, batch, seed):
        key = jax.random.fold_in(jax.random.key(seed), state.step)
        if axis:  # each device draws its own random numbers
            key = jax.random.fold_in(key, lax.axis_index(axis))
        tick = Tick(state.step, key)
        batch = unpack(batch)
        batch = prepare(batch) if prepare else batch
        variables = state.variables

        def loss(params):
            params = jax.tree.map(
                lambda label, p: lax.stop_gradient(p) if label == 'frozen' else p, labels, params
            )
            return method.loss(params, variables, batch, tick)

        (value, (new_variables, metrics)), grads = jax.value_and_grad(loss, has_aux=True)(
            state.params
        )
        grads = jax.tree.map(lambda label, g: g if label == 'frozen' else average(g), labels, grads)
        # A leaf that the method returns unchanged (such as stored statistics, or the parameters
        # from which training started) is equal on all devices and needs no average.
        new_variables = jax.tree.map(
            lambda new, old: new if new is old else average(new), new_variables, variables
        )
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = jax.tree.map(
            lambda label, p, u: p if label == 'frozen' else p + u, labels, state.params, updates
        )
        norm = optax.tree.norm(trainable_leaves(grads))
        metrics = jax.tree.map(average, {'loss': value, **metrics, 'gradient_norm': norm})
        return TrainState(state.step + 1, params, new_variables, opt_state), metrics

    return step


def over_seeds(function: Callable[..., Out]) -> Callable[..., Out]:
    """Maps a function for one seed over the leading axis of its arguments, the axis of seeds.

    An accelerator computes all seeds at once (`vmap`), and so does a program for any platform. A
    CPU computes one seed after the other, in a compiled loop. A single seed is computed without a
    map.

    Args:
        function: function for one seed; it takes and returns trees of arrays.

    >>> over_seeds(lambda a, b: a + b)(jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0])).tolist()
    [4.0, 6.0]
    """

    def mapped(*arguments):
        if jax.tree.leaves(arguments)[0].shape[0] == 1:
            out = function(*jax.tree.map(lambda leaf: leaf[0], arguments))
            return jax.tree.map(lambda leaf: leaf[None], out)
        if is_for_cpu():
            return lax.map(in_loop(lambda seed_arguments: function(*seed_arguments)), arguments)
        return jax.vmap(function)(*arguments)

    return mapped


def many_steps(step: Step) -> Step:
    """Runs one step per entry of the batch's leading axis, in one compiled loop.

    The metrics of the steps have the same leading axis.

    Args:
        step: a step for one seed or for several.

    >>> steps = many_steps(lambda state, batch, seed: (state + batch, state + batch))
    >>> state, metrics = steps(jnp.zeros(()), jnp.array([1.0, 2.0, 3.0]), 0)
    >>> float(state), metrics.tolist()
    (6.0, [1.0, 3.0, 6.0])
    """

    def steps(state, batches, seeds):
        # one step needs no loop, for whose body XLA compiles slower code on a CPU
        if jax.tree.leaves(batches)[0].shape[0] == 1:
            state, metrics = step(state, jax.tree.map(lambda leaf: leaf[0], batches), seeds)
            return state, jax.tree.map(lambda leaf: leaf[None], metrics)
        return lax.scan(in_loop(lambda state, batch: step(state, batch, seeds)), state, batches)

    return steps
