"""Training steps of a run, as `fit` takes them."""

from collections.abc import Callable

import jax
import numpy as np

from tljax.core import Tree
from tljax.engine.devices import first_state
from tljax.engine.train import Run


def steps_of(run: Run) -> Callable[[], Tree]:
    """Returns a call that takes the next training step of a run and returns its metrics.

    Args:
        run: the run, as `build.build` returns it.
    """
    train_state = run.step.split(first_state(run.init, run.tx, run.seeds))
    seeds = np.asarray(run.seeds, np.uint32)
    count = 0

    def step():
        nonlocal train_state, count
        index = run.stream.take(run.stream.index(0, count))
        batch = run.step.place(jax.tree.map(lambda leaf: leaf[None, None], index))
        train_state, metrics = run.step.run(train_state, batch, seeds)
        count += 1
        return jax.block_until_ready(metrics)

    return step
