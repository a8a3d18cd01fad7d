"""Evaluation of a model on a data set: predictions in padded batches, and scores."""

from collections.abc import Callable
from contextlib import closing

import jax
import numpy as np

from tljax.core import Dataset, Tree, known
from tljax.engine import scores
from tljax.engine.ahead import ahead
from tljax.engine.devices import Compiled, shard
from tljax.files.console import progress, watched


def predictions(
    compiled: Compiled,
    params: Tree,
    state: Tree,
    dataset: Dataset,
    batch: int = 256,
    text: str = '',
    keep: Callable[[dict[str, jax.Array]], dict[str, Tree]] = lambda outputs: outputs,
) -> dict[str, Tree]:
    """Returns the output of every example, in the order of the data set.

    Args:
        compiled: `devices.compile_predict` of a method's predict.
        params: parameters, with a leading axis of seeds.
        state: state of the method, with a leading axis of seeds.
        dataset: set of examples.
        batch: examples per call; the last batch is padded with copies of the first example, which
            are dropped from the result.
        text: name of the progress on the terminal; '' shows progress only if the prediction takes
            more than ten seconds.
        keep: ({'output', 'label'} of a batch) -> the tree that is stored for that batch. It saves
            memory where the outputs are large.

    Returns:
        {'output': (seeds, n, ...), 'label': (seeds, n, ...)}, or the tree that `keep` returns for
        all examples, in NumPy.

    >>> from tljax.data import arrays
    >>> from tljax.engine.devices import compile_predict, make_mesh
    >>> double = compile_predict(
    ...     lambda p, s, batch: {'output': p * batch['input'], 'label': batch['label']}, make_mesh()
    ... )
    >>> dataset = arrays(np.arange(3.0), np.arange(3))
    >>> predictions(double, np.array([2.0]), {}, dataset, batch=2)['output'].tolist()
    [[0.0, 2.0, 4.0]]
    """
    batch = max(min(batch, dataset.size) // jax.device_count(), 1) * jax.device_count()
    starts = range(0, dataset.size, batch)
    if text:
        shown = progress(starts, text)
    else:
        shown = watched(starts, f'predicting {dataset.size} examples')

    def make(start):
        rows = np.arange(start, start + batch)
        return compiled.place(dataset.packed(shard(np.where(rows < dataset.size, rows, 0))))

    parts, pending = [], None
    with closing(ahead(make, starts)) as batches:
        for start, (_, future) in zip(shown, batches, strict=True):
            # the device computes these outputs while threads make the next batches
            outputs = keep(compiled.run(params, state, future.result()))
            if start:
                parts.append(jax.device_get(pending))
            pending = outputs
    parts.append(jax.device_get(pending))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves, 1)[:, : dataset.size], *parts)


def score(
    compiled: Compiled,
    params: Tree,
    state: Tree,
    dataset: Dataset,
    batch: int = 256,
    text: str = '',
) -> dict[str, Tree]:
    """Scores a model on a data set.

    Only a few numbers per example are stored, so that memory does not grow with the ways, queries
    or classes.

    Args:
        compiled: as `predictions` takes it.
        params: parameters, with a leading axis of seeds.
        state: state of the method, with a leading axis of seeds.
        dataset: set of examples.
        batch: examples per call.
        text: as `predictions` takes it.

    Returns:
        {name: (seeds,)}, the scores of the data set's task (`tljax.engine.scores`). The first one
        decides. For several tasks {task: {name: (seeds,)}}, each over the examples with a label of
        the task; a task without such examples is left out.

    >>> from tljax.data import arrays
    >>> from tljax.engine.devices import compile_predict, make_mesh
    >>> scale = compile_predict(
    ...     lambda p, s, batch: {'output': p * batch['input'], 'label': batch['label']}, make_mesh()
    ... )
    >>> logits, label = np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([1, 0])
    >>> score(scale, np.array([1.0]), {}, arrays(logits, label, ('no', 'yes')))
    {'accuracy': array([0.5]), 'mean_class_accuracy': array([0.5])}
    """
    collect = scores.collector(dataset.task)
    values = predictions(compiled, params, state, dataset, batch, text, collect)
    return _totals(dataset, values)


def _totals(dataset, values):
    """The scores of a set, from the values of its examples."""
    if not dataset.task.tasks:
        return scores.total_scores(dataset.task, values, episodes=is_episodic(dataset))
    is_known = known(dataset.label)
    return {
        name: scores.total_scores(task, of_rows(values[name], is_known[name]))
        for name, task in dataset.task.by_name.items()
        if is_known[name].any()
    }


def of_rows(tree: Tree, rows: np.ndarray) -> Tree:
    """Returns some of the examples of values or predictions.

    Args:
        tree: arrays (seeds, n, ...).
        rows: (n,) booleans, or indices.

    >>> of_rows({'output': np.array([[3, 4, 5]])}, np.array([True, False, True]))
    {'output': array([[3, 5]])}
    """
    return jax.tree.map(lambda leaf: leaf[:, rows], tree)


def score_with_outputs(
    compiled: Compiled, params: Tree, state: Tree, dataset: Dataset, batch: int = 256
) -> tuple[dict[str, Tree], dict[str, np.ndarray]]:
    """Scores a model on a data set of examples (no episodes), and returns its outputs too.

    Args:
        compiled: as `predictions` takes it.
        params: parameters, with a leading axis of seeds.
        state: state of the method, with a leading axis of seeds.
        dataset: set of examples.
        batch: examples per call.

    Returns:
        The scores, as `score` returns them, and the outputs, as `predictions` returns them.

    >>> from tljax.data import arrays
    >>> from tljax.engine.devices import compile_predict, make_mesh
    >>> scale = compile_predict(
    ...     lambda p, s, batch: {'output': p * batch['input'], 'label': batch['label']}, make_mesh()
    ... )
    >>> toy = arrays(np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([1, 0]), ('no', 'yes'))
    >>> values, outputs = score_with_outputs(scale, np.array([1.0]), {}, toy)
    >>> values['accuracy'].tolist(), outputs['output'].tolist()
    ([0.5], [[[0.0, 1.0], [0.0, 1.0]]])
    """
    collect = scores.collector(dataset.task)
    both = predictions(
        compiled,
        params,
        state,
        dataset,
        batch,
        keep=lambda outputs: {'values': collect(outputs), 'outputs': outputs},
    )
    return _totals(dataset, both['values']), both['outputs']


def is_episodic(dataset: Dataset) -> bool:
    """Tells whether the examples of a set are episodes.

    Args:
        dataset: the set.

    >>> from tljax.data import digits
    >>> is_episodic(digits(size=8)['test'])
    False
    """
    return 'support' in dataset.take(np.arange(1))
