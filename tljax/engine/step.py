"""One training step, and the ways to compile it: over a mesh by jit, over devices by pmap, for
several seeds, for several steps.

The step knows no method's name. Outside of it every leaf of the state has a leading axis of seeds,
and a batch has the axes (steps, seeds, examples, ...); `compile_jit` and `compile_pmap` take the
part of a batch that this process holds.
"""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
import optax
from jax import lax

from tljax.core import Method, Tick, TrainState, Tree
from tljax.protocols import Prepare, Step

Out = TypeVar('Out')  # a tree of arrays


def make_step(
    method: Method,
    tx: optax.GradientTransformation,
    labels: Tree,
    prepare: Prepare | None = None,
    axis: str | None = None,
) -> Step:
    """The engine: gradient of a method's loss, update of what is not frozen.

    Args:
        method: what is minimised.
        tx: optimiser of the method over the whole tree of parameters (`optim.optimizer`).
        labels: a tree like the parameters; leaves labelled 'frozen' are constants of the loss and
            stay bit-equal.
        prepare: `Stream.prepare`.
        axis: the name of a mapped axis over which gradients, statistics and metrics are averaged
            (pmap).

    Returns:
        `step(state, batch, seed) -> state, metrics` for one seed and one batch.

    >>> from tljax.core import Method
    >>> mean = Method(
    ...     lambda key, batch: None,
    ...     lambda p, s, b, tick: (jnp.mean((b - p['m']) ** 2), (s, {})),
    ...     None,
    ... )
    >>> tx = optax.sgd(0.5)
    >>> state = TrainState(
    ...     jnp.zeros((), int), {'m': jnp.zeros(())}, {}, tx.init({'m': jnp.zeros(())})
    ... )
    >>> float(make_step(mean, tx, {'m': 'head'})(state, jnp.array([1.0, 3.0]), 0)[0].params['m'])
    2.0
    """

    def trained(tree):
        return [
            leaf
            for leaf, label in zip(jax.tree.leaves(tree), jax.tree.leaves(labels), strict=True)
            if label != 'frozen'
        ]

    def average(leaf):
        return lax.pmean(leaf, axis) if axis and jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf

    def step(state, batch, seed):
        key = jax.random.fold_in(jax.random.key(seed), state.step)
        # a shard has noise of its own
        tick = Tick(state.step, jax.random.fold_in(key, lax.axis_index(axis)) if axis else key)
        batch = prepare(batch) if prepare else batch

        def loss(params):
            params = jax.tree.map(
                lambda label, p: lax.stop_gradient(p) if label == 'frozen' else p, labels, params
            )
            return method.loss(params, state.state, batch, tick)

        (value, (moved, metrics)), grads = jax.value_and_grad(loss, has_aux=True)(state.params)
        grads = jax.tree.map(lambda label, g: g if label == 'frozen' else average(g), labels, grads)
        # What the method hands back as it was (a starting point, stored statistics) is equal
        # everywhere and needs no average.
        moved = jax.tree.map(
            lambda new, old: new if new is old else average(new), moved, state.state
        )
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = jax.tree.map(
            lambda label, p, u: p if label == 'frozen' else p + u, labels, state.params, updates
        )
        metrics = {'loss': value, **metrics, 'gradient_norm': optax.tree.norm(trained(grads))}
        return TrainState(state.step + 1, params, moved, opt_state), jax.tree.map(average, metrics)

    return step


def over_seeds(function: Callable[..., Out]) -> Callable[..., Out]:
    """Maps a function over the leading axis of its arguments, the seeds: in one piece on an
    accelerator, in a loop on a CPU.

    A single seed runs as it is.

    Args:
        function: of trees of arrays, for one seed.

    >>> over_seeds(lambda a, b: a + b)(jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0])).tolist()
    [4.0, 6.0]
    """

    def mapped(*arguments):
        if jax.tree.leaves(arguments)[0].shape[0] == 1:
            out = function(*jax.tree.map(lambda leaf: leaf[0], arguments))
            return jax.tree.map(lambda leaf: leaf[None], out)
        if jax.default_backend() == 'cpu':
            return lax.map(lambda each: function(*each), arguments)
        return jax.vmap(function)(*arguments)

    return mapped


def many_steps(step: Step) -> Step:
    """Runs one step per entry of the batch's leading axis, in one compiled loop; metrics keep that
    axis.

    Args:
        step: one step, of one seed or of several.

    >>> many_steps(lambda state, batch, seed: (state + batch, state))(
    ...     jnp.zeros(()), jnp.array([1.0, 2.0]), 0
    ... )[0].tolist()
    3.0
    """

    def steps(state, batches, seeds):
        # a CPU takes one step a call: a loop would keep it from its best code
        if jax.tree.leaves(batches)[0].shape[0] == 1:
            state, metrics = step(state, jax.tree.map(lambda leaf: leaf[0], batches), seeds)
            return state, jax.tree.map(lambda leaf: leaf[None], metrics)
        return lax.scan(lambda state, batch: step(state, batch, seeds), state, batches)

    return steps
