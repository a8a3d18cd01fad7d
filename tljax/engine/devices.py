"""Where a step runs: compiled by jit over a mesh or by pmap over devices, for several seeds, on one
process or many.

Outside of the step every leaf of the state has a leading axis of seeds, and a batch has the axes
(steps, seeds, examples, ...); `compile_jit` and `compile_pmap` take the part of a batch that this
process holds.
"""

import ctypes
import functools
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from tljax.core import TrainState, Tree, UserError
from tljax.engine.step import over_seeds
from tljax.protocols import Batch, Predict, Step


@functools.cache
def release_memory_after_compiling() -> None:
    """From now on, memory that a long compilation has freed goes back to the system before the
    program runs.

    XLA takes gigabytes to compile a large network for a CPU, and glibc would keep them beside what
    a step needs. Elsewhere than on glibc nothing is done.

    >>> release_memory_after_compiling()
    """
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None) if sys.platform == 'linux' else None
    if trim is None:
        return

    def compiled(event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event.endswith('backend_compile_duration') and duration_secs > 1:
            trim(0)

    jax.monitoring.register_event_duration_secs_listener(compiled)


def compilation_cache(folder: str | Path, shortest: float = 0.0) -> dict[str, str]:
    """From now on, this process keeps compiled programs in a folder and takes from there what any
    process has compiled before.

    Many processes may share the folder at once. JAX keys a program by its text, the version of
    jaxlib, the flags of XLA, the number of devices and what the machine's processor can do: a
    program of another machine is never taken. What a killed process has left half written is
    compiled anew at each start, with a warning.

    Args:
        folder: where programs are kept; made if it is missing.
        shortest: seconds of compilation below which a program is not kept. By default all are, as
            to read one takes a tenth of the time, and a run has hundreds of small ones.

    Returns:
        The same as environment variables, for processes that this one starts.

    >>> compilation_cache('/tmp/programs')['JAX_COMPILATION_CACHE_DIR']  # doctest: +SKIP
    '/tmp/programs'
    """
    options = {
        'jax_compilation_cache_dir': str(Path(folder).absolute()),
        'jax_persistent_cache_min_compile_time_secs': shortest,
        'jax_persistent_cache_min_entry_size_bytes': -1,
    }  # -1: however small
    for name, value in options.items():
        jax.config.update(name, value)
    return {name.upper(): str(value) for name, value in options.items()}


class Compiled(NamedTuple):
    """A compiled function, and how what it works on is laid out.

    `run(state, batch, seeds)`; `place(batch)` puts the part of a batch that this process holds onto
    its devices; `split(state)` turns a state as others see it, with its axis of seeds, into what
    `run` takes and returns, and `join(parts, axis)` turns that back.

    >>> Compiled(lambda x: x, lambda batch: batch).split(1)
    1
    """

    run: Callable[..., Any]
    place: Callable[[Batch], Batch]
    split: Callable[[Tree], Tree] = lambda state: state
    join: Callable[[Tree, int], Tree] = lambda parts, axis: parts


def map_seeds_on_threads(compiled: Compiled, count: int) -> Compiled:
    """The same for several seeds on a CPU: a call for each seed and step, as many seeds at a time
    as there are cores.

    One call for all seeds takes longer than that (`benchmarks.engine`): small steps leave cores
    idle, and a loop in a program keeps XLA from its best code. Elsewhere, and for a single seed,
    `compiled` as it is.

    Args:
        compiled: a step, by `compile_jit` or `compile_pmap`.
        count: of seeds.

    >>> each = map_seeds_on_threads(
    ...     Compiled(lambda state, batch, seeds: (2 * state, state[None]), lambda batch: batch), 3
    ... )
    >>> parts, metrics = each.run(
    ...     each.split(np.arange(3.0)), each.place(np.zeros((2, 3, 4))), np.arange(3)
    ... )
    >>> each.join(parts, 0).tolist(), each.join(metrics, 1).tolist()
    ([0.0, 4.0, 8.0], [[0.0, 1.0, 2.0], [0.0, 2.0, 4.0]])
    """
    if count == 1 or jax.default_backend() != 'cpu':
        return compiled

    def split(state):
        return tuple(jax.tree.map(lambda leaf, i=i: leaf[i : i + 1], state) for i in range(count))

    def place(batch):
        steps = len(jax.tree.leaves(batch)[0])
        return [
            [
                compiled.place(
                    jax.tree.map(lambda leaf, i=i, k=k: leaf[k : k + 1, i : i + 1], batch)
                )
                for k in range(steps)
            ]
            for i in range(count)
        ]

    def run(states, batches, seeds):
        def one(state, steps, seed):
            metrics = []
            for batch in steps:
                state, found = compiled.run(state, batch, seed)
                metrics.append(found)
            return state, jax.tree.map(lambda *leaves: np.concatenate(leaves), *metrics)

        done = list(_threads().map(one, states, batches, [seeds[i : i + 1] for i in range(count)]))
        return tuple(state for state, _ in done), tuple(metrics for _, metrics in done)

    def join(parts, axis):
        return jax.tree.map(
            lambda *leaves: (np if isinstance(leaves[0], np.ndarray) else jnp).concatenate(
                leaves, axis
            ),
            *parts,
        )

    return Compiled(run, place, split, join)


@functools.cache
def _threads():
    # Programs that talk across devices must start in one order on all of them, which threads would
    # not keep.
    return ThreadPoolExecutor(os.cpu_count() if jax.device_count() == 1 else 1)


def make_mesh() -> Mesh:
    """All devices of all processes along one axis, 'data'.

    >>> make_mesh().axis_names
    ('data',)
    """
    # in the order of the processes, as `shard` needs
    return Mesh(np.array(jax.devices()), ('data',), axis_types=(AxisType.Auto,))


def first_state(
    init: Callable[[int], tuple[Tree, Tree]], tx: optax.GradientTransformation, seeds: Sequence[int]
) -> TrainState:
    """The state before the first step: one initialisation per seed along a leading axis, on every
    device.

    Args:
        init: (seed) -> params, state.
        tx: the optimiser.
        seeds: one run each.

    >>> first_state(lambda seed: ({'head': np.full(2, seed)}, {}), optax.sgd(1.0), (3, 4)).params[
    ...     'head'
    ... ].tolist()
    [[3, 3], [4, 4]]
    """
    params, state = jax.tree.map(
        lambda *leaves: np.stack(leaves), *(jax.device_get(init(seed)) for seed in seeds)
    )
    opt_state = jax.device_get(jax.jit(jax.vmap(tx.init))(params))
    everywhere = NamedSharding(make_mesh(), PartitionSpec())
    begun = (np.zeros(len(seeds), np.int32), params, state, opt_state)
    return TrainState(*jax.device_put(begun, everywhere))


def compile_jit(step: Step, mesh: Mesh) -> Compiled:
    """Compiles over a mesh: state on every device, the examples of a batch (its third axis) spread
    over them.

    A loss that couples the examples of a batch (MMD, BatchNorm) sees the whole of it.

    Args:
        step: of several steps and seeds, as `step.many` gives it.
        mesh: of devices, with one axis 'data'.

    >>> compile_jit(lambda state, batch, seeds: (state, batch.sum()), make_mesh()).run(
    ...     jnp.zeros(()), jnp.ones((1, 1, 8)), 0
    ... )[1].item()
    8.0
    """
    release_memory_after_compiling()
    whole, rows = (
        NamedSharding(mesh, PartitionSpec()),
        NamedSharding(mesh, PartitionSpec(None, None, 'data')),
    )
    run = jax.jit(step, in_shardings=(whole, rows, whole), out_shardings=whole, donate_argnums=0)
    return Compiled(run, lambda batch: _spread(batch, rows))


def compile_pmap(step: Step) -> Compiled:
    """Compiles one program per device; `step` was made with `axis='data'`.

    A loss that couples the examples of a batch sees the part on its own device.

    Args:
        step: of several steps and seeds, as `step.many` gives it.

    >>> from jax import lax
    >>> step = lambda state, batch, seeds: (state, lax.pmean(batch.sum(), 'data'))
    >>> compiled = compile_pmap(step)
    >>> compiled.run(jnp.zeros(()), compiled.place(np.ones((1, 1, jax.local_device_count()))), 0)[
    ...     1
    ... ].item()
    1.0
    """

    def place(batch):
        devices = jax.local_device_count()
        return jax.tree.map(
            lambda leaf: np.moveaxis(
                leaf.reshape(*leaf.shape[:2], devices, -1, *leaf.shape[3:]), 2, 0
            ),
            batch,
        )

    release_memory_after_compiling()
    mapped = jax.pmap(step, 'data', in_axes=(None, 0, None), out_axes=None, donate_argnums=0)
    if jax.process_count() == 1:
        return Compiled(mapped, place)
    # pmap's outputs belong to one process; checkpoints need those of all
    whole = NamedSharding(make_mesh(), PartitionSpec())

    def joined(leaf):
        return jax.make_array_from_single_device_arrays(
            leaf.shape, whole, [shard.data for shard in leaf.addressable_shards]
        )

    return Compiled(lambda *arguments: jax.tree.map(joined, mapped(*arguments)), place)


def compile_predict(predict: Predict, mesh: Mesh) -> Compiled:
    """Compiles `predict(params, state, batch)` over the seeds of params and state, for a batch
    (examples, ...) that all seeds share.

    The outputs, (seeds, examples, ...), are whole on every process.

    Args:
        predict: of one seed.
        mesh: of devices, with one axis 'data'.

    >>> predict = compile_predict(
    ...     lambda params, state, batch: {'output': params * batch}, make_mesh()
    ... )
    >>> predict.run(jnp.array([1.0, 2.0]), {}, predict.place(np.ones(1)))['output'].tolist()
    [[1.0], [2.0]]
    """
    release_memory_after_compiling()
    whole, rows = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec('data'))
    run = jax.jit(
        lambda params, state, batch: over_seeds(
            lambda params, state: predict(params, state, batch)
        )(params, state),
        in_shardings=(whole, whole, rows),
        out_shardings=whole,
    )
    return Compiled(run, lambda batch: _spread(batch, rows))


def _spread(batch, rows):
    # the host's memory is the device's: a call takes it as it is
    if jax.device_count() == 1 and jax.default_backend() == 'cpu':
        return batch
    return jax.tree.map(lambda leaf: jax.make_array_from_process_local_data(rows, leaf), batch)


def shard(index: Tree) -> Tree:
    """This process's part of a step's index tree: an equal share of axis 0, in the order of the
    processes.

    Args:
        index: an integer array (n, ...), or a tree of them.

    >>> shard(np.arange(4)).tolist()
    [0, 1, 2, 3]
    """

    def part(leaf):
        share, rest = divmod(len(leaf), jax.device_count())
        if rest:
            raise UserError(
                f'batch={len(leaf)} does not divide over {jax.device_count()} devices: take a '
                'multiple'
            )
        share *= jax.local_device_count()
        return leaf[jax.process_index() * share : (jax.process_index() + 1) * share]

    return jax.tree.map(part, index)
