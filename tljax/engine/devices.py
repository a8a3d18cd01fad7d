"""Compilation of a step by jit over a mesh or by pmap over devices, for one process or many.

Outside of the step every leaf of the state has a leading axis of seeds, and a batch has the axes
(steps, seeds, examples, ...). `compile_jit` and `compile_pmap` take the part of a batch that this
process holds.
"""

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from tljax.core import TrainState, Tree, UserError
from tljax.engine.sharding import make_mesh, replicated
from tljax.engine.step import over_seeds
from tljax.files.process import prepare_process
from tljax.packing import unpack
from tljax.protocols import Batch, Predict, Step


class Compiled(NamedTuple):
    """A compiled function, with the functions that convert its arguments and results.

    Attributes:
        run: the compiled function: (state, batch, seeds) for a step, (params, state, batch) for a
            prediction.
        place: (batch) -> batch on this process's devices, from the part that the process holds.
        split: (state with its axis of seeds) -> state as `run` takes and returns it.
        join: (parts, axis) -> tree; undoes `split`: joins the parts along the axis of seeds.
        shardings: (state with its axis of seeds) -> tree of shardings: how a step divides it among
            the devices.
        copies: number of devices that each run the program of `run` on their own part of a batch;
            1 if one program spans all devices.
    """

    run: Callable[..., Any]
    place: Callable[[Batch], Batch]
    split: Callable[[Tree], Tree] = lambda state: state
    join: Callable[[Tree, int], Tree] = lambda parts, axis: parts
    shardings: Callable[[Tree], Tree] = replicated
    copies: int = 1


def map_seeds_on_threads(compiled: Compiled, count: int) -> Compiled:
    """Runs each seed in its own call, one thread per core, instead of all seeds in one compiled
    loop (CPU only).

    One call for all seeds takes longer (`benchmarks.engine`), because small steps leave cores idle.
    The steps of a seed are one call, so that threads do not wait for Python. On an accelerator, and
    for a single seed, the function returns `compiled` unchanged.

    Args:
        compiled: a step, by `compile_jit` or `compile_pmap`.
        count: number of seeds.

    >>> add = Compiled(
    ...     run=lambda state, batch, seeds: (state + batch.sum(0), batch), place=lambda batch: batch
    ... )
    >>> add = map_seeds_on_threads(add, 3)
    >>> two_steps = add.place(np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]))
    >>> parts, metrics = add.run(add.split(np.zeros(3)), two_steps, np.arange(3))
    >>> add.join(parts, 0).tolist(), add.join(metrics, 1).tolist()
    ([3.0, 5.0, 7.0], [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
    """
    if count == 1 or jax.default_backend() != 'cpu':
        return compiled

    def state_of(state, seed):
        return jax.tree.map(lambda leaf: leaf[seed : seed + 1], state)

    def batches_of(batch, seed):
        return compiled.place(jax.tree.map(lambda leaf: leaf[:, seed : seed + 1], batch))

    def split(state):
        return tuple(state_of(state, seed) for seed in range(count))

    def place(batch):
        return [batches_of(batch, seed) for seed in range(count)]

    is_compiled = False

    def run(states, batches, seeds):
        nonlocal is_compiled
        seed_parts = [seeds[i : i + 1] for i in range(count)]
        calls = list(zip(states, batches, seed_parts, strict=True))
        alone = 0 if is_compiled else 1  # the first call compiles; each thread would do it again
        results = [compiled.run(*call) for call in calls[:alone]]
        results += _threads().map(lambda call: compiled.run(*call), calls[alone:])
        is_compiled = True
        return tuple(state for state, _ in results), tuple(metrics for _, metrics in results)

    def join(parts, axis):
        def concatenate(*leaves):
            library = np if isinstance(leaves[0], np.ndarray) else jnp
            return library.concatenate(leaves, axis)

        return jax.tree.map(concatenate, *parts)

    return compiled._replace(run=run, place=place, split=split, join=join)


@functools.cache
def _threads():
    # Programs that communicate across devices must start in the same order on all devices. Threads
    # would not keep that order, so several devices get one thread.
    return ThreadPoolExecutor(os.cpu_count() if jax.device_count() == 1 else 1)


def first_state(
    init: Callable[[int], tuple[Tree, Tree]],
    tx: optax.GradientTransformation,
    seeds: Sequence[int],
    shardings: Callable[[Tree], Tree] = replicated,
) -> TrainState:
    """Makes the state before the first step, on the devices.

    Args:
        init: (seed) -> params, state.
        tx: the optimiser.
        seeds: each gets its own initialisation, along a leading axis.
        shardings: how the state is divided among the devices, `Compiled.shardings` of the step. No
            device holds more of the optimiser's state than its part.

    >>> init = lambda seed: ({'head': np.full(2, seed)}, {})
    >>> first_state(init, optax.sgd(1.0), seeds=(3, 4)).params['head'].tolist()
    [[3, 3], [4, 4]]
    """
    start = jax.tree.map(
        lambda *leaves: np.stack(leaves), *(jax.device_get(init(seed)) for seed in seeds)
    )
    start = np.zeros(len(seeds), np.int32), *start
    steps, params, variables = jax.device_put(start, shardings(start))
    init_all = jax.vmap(tx.init)
    sharded = shardings(jax.eval_shape(init_all, params))
    opt_state = jax.jit(init_all, out_shardings=sharded)(params)
    return TrainState(steps, params, variables, opt_state)


def compile_jit(
    step: Step, mesh: Mesh, shardings: Callable[[Tree, Mesh], Tree] = replicated
) -> Compiled:
    """Compiles a step over a mesh.

    The examples of a batch, its third axis, are divided among the devices. A loss that couples the
    examples of a batch (MMD, BatchNorm) still computes over the whole batch.

    Args:
        step: of several steps and seeds, as `step.many_steps` returns it.
        mesh: of devices, with one axis 'data'.
        shardings: how the state is divided among the devices: `sharding.replicated`, where every
            device holds all of it, or `sharding.fully_sharded`, if the step's method gathers what
            it uses (`sharding.gather_at_use`). The results are the same.

    >>> total = compile_jit(lambda state, batch, seeds: (state, batch.sum()), make_mesh())
    >>> total.run(jnp.zeros(()), jnp.ones((1, 1, 8)), 0)[1].item()
    8.0
    """
    prepare_process()
    whole = NamedSharding(mesh, PartitionSpec())
    by_example = NamedSharding(mesh, PartitionSpec(None, None, 'data'))

    def steps(state, batch, seeds):
        state, metrics = step(state, batch, seeds)
        return lax.with_sharding_constraint((state, metrics), (shardings(state, mesh), whole))

    run = jax.jit(steps, in_shardings=(None, by_example, whole), donate_argnums=0)
    return Compiled(
        run,
        lambda batch: _place_examples(batch, by_example),
        shardings=lambda state: shardings(state, mesh),
    )


def compile_pmap(step: Step) -> Compiled:
    """Compiles one program per device; `step` was made with `axis='data'`.

    A loss that couples the examples of a batch computes over the part on its own device.

    Args:
        step: of several steps and seeds, as `step.many_steps` returns it.

    >>> from jax import lax
    >>> mean = compile_pmap(lambda state, batch, seeds: (state, lax.pmean(batch.sum(), 'data')))
    >>> batch = mean.place(np.ones((1, 1, jax.local_device_count())))
    >>> mean.run(jnp.zeros(()), batch, 0)[1].item()
    1.0
    """

    def split_examples(leaf):
        steps, seeds, _, *shape = leaf.shape
        parts = leaf.reshape(steps, seeds, jax.local_device_count(), -1, *shape)
        return np.moveaxis(parts, 2, 0)

    def place(batch):
        return jax.tree.map(split_examples, batch)

    prepare_process()
    mapped = jax.pmap(step, 'data', in_axes=(None, 0, None), out_axes=None, donate_argnums=0)
    if jax.process_count() == 1:
        return Compiled(mapped, place, copies=jax.device_count())
    # pmap's outputs belong to one process; checkpoints need those of all
    whole = NamedSharding(make_mesh(), PartitionSpec())

    def global_array(leaf):
        return jax.make_array_from_single_device_arrays(
            leaf.shape, whole, [shard.data for shard in leaf.addressable_shards]
        )

    return Compiled(lambda *arguments: jax.tree.map(global_array, mapped(*arguments)), place)


def compile_predict(predict: Predict, mesh: Mesh) -> Compiled:
    """Compiles `predict(params, state, batch)` for all seeds of params and state.

    All seeds share the batch, (examples, ...), whose pictures may be `packing.Bytes`. Every process
    gets all outputs, (seeds, examples, ...). Parameters and state may be divided among the devices
    in any way.

    Args:
        predict: for one seed.
        mesh: of devices, with one axis 'data'.

    >>> scale = compile_predict(
    ...     lambda params, state, batch: {'output': params * batch}, make_mesh()
    ... )
    >>> scale.run(jnp.array([1.0, 2.0]), {}, scale.place(np.ones(1)))['output'].tolist()
    [[1.0], [2.0]]
    """
    prepare_process()
    whole = NamedSharding(mesh, PartitionSpec())
    by_example = NamedSharding(mesh, PartitionSpec('data'))

    def of_all_seeds(params, state, batch):
        params, state = lax.with_sharding_constraint((params, state), whole)
        batch = unpack(batch)
        return over_seeds(lambda params, state: predict(params, state, batch))(params, state)

    run = jax.jit(of_all_seeds, in_shardings=(None, None, by_example), out_shardings=whole)
    return Compiled(run, lambda batch: _place_examples(batch, by_example))


def _place_examples(batch, sharding):
    # a single CPU device computes in the host's own memory: no copy is needed
    if jax.device_count() == 1 and jax.default_backend() == 'cpu':
        return batch
    return jax.tree.map(lambda leaf: jax.make_array_from_process_local_data(sharding, leaf), batch)


def shard(index: Tree) -> Tree:
    """Returns this process's part of a step's index tree.

    Axis 0 is cut into equal shares, in the order of the processes.

    Args:
        index: an integer array (n, ...), or a tree of them.

    Raises:
        UserError: n is not a multiple of the number of devices.

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
