"""One training step, and the ways to compile it: over a mesh by jit, over devices by pmap, for several seeds, for several steps.

The step knows no method's name. Outside of it every leaf of the state has a leading axis of seeds, and a batch has the axes
(steps, seeds, examples, ...); `compile_jit` and `compile_pmap` take the part of a batch that this process holds.
"""
import ctypes
import functools
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from tljax.core import Refused, Tick, TrainState


def make_step(method, tx, labels, prepare=lambda batch: batch, axis=None):
    """The engine: gradient of a method's loss, update of what is not frozen.

    Args:
        method: a Method. tx: its optimiser over the whole tree of parameters (`optim.optimizer`).
        labels: a tree like the parameters; leaves labelled 'frozen' are constants of the loss and stay bit-equal.
        prepare: `Source.prepare`. axis: the name of a mapped axis over which gradients, statistics and metrics are averaged (pmap).

    Returns:
        `step(state, batch, seed) -> state, metrics` for one seed and one batch.

    >>> from tljax.core import Method
    >>> mean = Method(lambda key, batch: None, lambda p, s, b, tick: (jnp.mean((b - p['m']) ** 2), (s, {})), None)
    >>> tx = optax.sgd(.5)
    >>> state = TrainState(jnp.zeros((), int), {'m': jnp.zeros(())}, {}, tx.init({'m': jnp.zeros(())}))
    >>> float(make_step(mean, tx, {'m': 'head'})(state, jnp.array([1., 3.]), 0)[0].params['m'])
    2.0
    """
    def trained(tree):
        return [leaf for leaf, label in zip(jax.tree.leaves(tree), jax.tree.leaves(labels), strict=True) if label != 'frozen']

    def average(leaf):
        return lax.pmean(leaf, axis) if axis and jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf

    def step(state, batch, seed):
        key = jax.random.fold_in(jax.random.key(seed), state.step)
        tick = Tick(state.step, jax.random.fold_in(key, lax.axis_index(axis)) if axis else key)   # a shard has noise of its own
        batch = prepare(batch)

        def loss(params):
            params = jax.tree.map(lambda label, p: lax.stop_gradient(p) if label == 'frozen' else p, labels, params)
            return method.loss(params, state.state, batch, tick)

        (value, (moved, metrics)), grads = jax.value_and_grad(loss, has_aux=True)(state.params)
        grads = jax.tree.map(lambda label, g: g if label == 'frozen' else average(g), labels, grads)
        # What the method hands back as it was (a starting point, stored statistics) is equal everywhere and needs no average.
        moved = jax.tree.map(lambda new, old: new if new is old else average(new), moved, state.state)
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = jax.tree.map(lambda label, p, u: p if label == 'frozen' else p + u, labels, state.params, updates)
        metrics = {'loss': value, **metrics, 'gradient_norm': optax.tree.norm(trained(grads))}
        return TrainState(state.step + 1, params, moved, opt_state), jax.tree.map(average, metrics)

    return step


def over_seeds(function):
    """Maps a function over the leading axis of its arguments, the seeds: in one piece on an accelerator, in a loop on a CPU.

    A single seed runs as it is.

    >>> over_seeds(lambda a, b: a + b)(jnp.array([1., 2.]), jnp.array([3., 4.])).tolist()
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


def many(step):
    """Runs one step per entry of the batch's leading axis, in one compiled loop; metrics keep that axis.

    >>> many(lambda state, batch, seed: (state + batch, state))(jnp.zeros(()), jnp.array([1., 2.]), 0)[0].tolist()
    3.0
    """
    def steps(state, batches, seeds):
        if jax.tree.leaves(batches)[0].shape[0] == 1:   # a CPU takes one step a call: a loop would keep it from its best code
            state, metrics = step(state, jax.tree.map(lambda leaf: leaf[0], batches), seeds)
            return state, jax.tree.map(lambda leaf: leaf[None], metrics)
        return lax.scan(lambda state, batch: step(state, batch, seeds), state, batches)
    return steps


@functools.cache
def give_back_after_compiling():
    """From now on, memory that a long compilation has freed goes back to the system before the program runs.

    XLA takes gigabytes to compile a large network for a CPU, and glibc would keep them beside what a step needs. Elsewhere than on glibc
    nothing is done.

    >>> give_back_after_compiling()
    """
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None) if sys.platform == 'linux' else None

    def compiled(event, seconds, **_):
        if event.endswith('backend_compile_duration') and seconds > 1:
            trim(0)
    if trim is not None:
        jax.monitoring.register_event_duration_secs_listener(compiled)


class Compiled(NamedTuple):
    """A compiled function, and how what it works on is laid out.

    `run(state, batch, seeds)`; `place(batch)` puts the part of a batch that this process holds onto its devices; `split(state)` turns
    a state as others see it, with its axis of seeds, into what `run` takes and returns, and `join(parts, axis)` turns that back.

    >>> Compiled(lambda x: x, lambda batch: batch).split(1)
    1
    """
    run: Callable
    place: Callable
    split: Callable = lambda state: state
    join: Callable = lambda parts, axis: parts


def each_by_itself(compiled, count):
    """The same for several seeds on a CPU: a call for each seed and step, as many seeds at a time as there are cores.

    One call for all seeds takes longer than that (`benchmarks.engine`): small steps leave cores idle, and a loop in a program keeps
    XLA from its best code. Elsewhere, and for a single seed, `compiled` as it is.

    >>> each = each_by_itself(Compiled(lambda state, batch, seeds: (2 * state, state[None]), lambda batch: batch), 3)
    >>> parts, metrics = each.run(each.split(np.arange(3.)), each.place(np.zeros((2, 3, 4))), np.arange(3))
    >>> each.join(parts, 0).tolist(), each.join(metrics, 1).tolist()
    ([0.0, 4.0, 8.0], [[0.0, 1.0, 2.0], [0.0, 2.0, 4.0]])
    """
    if count == 1 or jax.default_backend() != 'cpu':
        return compiled
    def split(state):
        return tuple(jax.tree.map(lambda leaf, i=i: leaf[i:i + 1], state) for i in range(count))

    def place(batch):
        steps = len(jax.tree.leaves(batch)[0])
        return [[compiled.place(jax.tree.map(lambda leaf, i=i, k=k: leaf[k:k + 1, i:i + 1], batch)) for k in range(steps)]
                for i in range(count)]

    def run(states, batches, seeds):
        def one(state, steps, seed):
            metrics = []
            for batch in steps:
                state, found = compiled.run(state, batch, seed)
                metrics.append(found)
            return state, jax.tree.map(lambda *leaves: np.concatenate(leaves), *metrics)

        done = list(_threads().map(one, states, batches, [seeds[i:i + 1] for i in range(count)]))
        return tuple(state for state, _ in done), tuple(metrics for _, metrics in done)

    def join(parts, axis):
        return jax.tree.map(lambda *leaves: (np if isinstance(leaves[0], np.ndarray) else jnp).concatenate(leaves, axis), *parts)

    return Compiled(run, place, split, join)


@functools.cache
def _threads():
    # Programs that talk across devices must start in one order on all of them, which threads would not keep.
    return ThreadPoolExecutor(os.cpu_count() if jax.device_count() == 1 else 1)


def make_mesh():
    """All devices of all processes along one axis, 'data'.

    >>> make_mesh().axis_names
    ('data',)
    """
    return Mesh(np.array(jax.devices()), ('data',), axis_types=(AxisType.Auto,))   # in the order of the processes, as `shard` needs


def compile_jit(step, mesh):
    """Compiles over a mesh: state on every device, the examples of a batch (its third axis) spread over them.

    A loss that couples the examples of a batch (MMD, BatchNorm) sees the whole of it.

    >>> compile_jit(lambda state, batch, seeds: (state, batch.sum()), make_mesh()).run(jnp.zeros(()), jnp.ones((1, 1, 8)), 0)[1].item()
    8.0
    """
    give_back_after_compiling()
    whole, rows = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec(None, None, 'data'))
    run = jax.jit(step, in_shardings=(whole, rows, whole), out_shardings=whole, donate_argnums=0)
    return Compiled(run, lambda batch: _spread(batch, rows))


def compile_pmap(step):
    """Compiles one program per device; `step` was made with `axis='data'`.

    A loss that couples the examples of a batch sees the part on its own device.

    >>> step = lambda state, batch, seeds: (state, lax.pmean(batch.sum(), 'data'))
    >>> compiled = compile_pmap(step)
    >>> compiled.run(jnp.zeros(()), compiled.place(np.ones((1, 1, jax.local_device_count()))), 0)[1].item()
    1.0
    """
    def place(batch):
        devices = jax.local_device_count()
        return jax.tree.map(lambda leaf: np.moveaxis(leaf.reshape(*leaf.shape[:2], devices, -1, *leaf.shape[3:]), 2, 0), batch)

    give_back_after_compiling()
    mapped = jax.pmap(step, 'data', in_axes=(None, 0, None), out_axes=None, donate_argnums=0)
    if jax.process_count() == 1:
        return Compiled(mapped, place)
    whole = NamedSharding(make_mesh(), PartitionSpec())   # pmap's outputs belong to one process; checkpoints need those of all

    def joined(leaf):
        return jax.make_array_from_single_device_arrays(leaf.shape, whole, [shard.data for shard in leaf.addressable_shards])

    return Compiled(lambda *arguments: jax.tree.map(joined, mapped(*arguments)), place)


def compile_predict(predict, mesh):
    """Compiles `predict(params, state, batch)` over the seeds of params and state, for a batch (examples, ...) that all seeds share.

    The outputs, (seeds, examples, ...), are whole on every process.

    >>> predict = compile_predict(lambda params, state, batch: {'output': params * batch}, make_mesh())
    >>> predict.run(jnp.array([1., 2.]), {}, predict.place(np.ones(1)))['output'].tolist()
    [[1.0], [2.0]]
    """
    give_back_after_compiling()
    whole, rows = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec('data'))
    run = jax.jit(lambda params, state, batch: over_seeds(lambda params, state: predict(params, state, batch))(params, state),
                  in_shardings=(whole, whole, rows), out_shardings=whole)
    return Compiled(run, lambda batch: _spread(batch, rows))


def _spread(batch, rows):
    if jax.device_count() == 1 and jax.default_backend() == 'cpu':   # the host's memory is the device's: a call takes it as it is
        return batch
    return jax.tree.map(lambda leaf: jax.make_array_from_process_local_data(rows, leaf), batch)


def shard(index):
    """This process's part of a step's index tree: an equal share of axis 0, in the order of the processes.

    >>> shard(np.arange(4)).tolist()
    [0, 1, 2, 3]
    """
    def part(leaf):
        share, rest = divmod(len(leaf), jax.device_count())
        if rest:
            raise Refused(f'batch={len(leaf)} does not divide over {jax.device_count()} devices: take a multiple')
        share *= jax.local_device_count()
        return leaf[jax.process_index() * share:(jax.process_index() + 1) * share]
    return jax.tree.map(part, index)
