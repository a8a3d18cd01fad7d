"""What a model says of a data set: predictions in padded batches, and scores."""

from collections.abc import Callable

import jax
import numpy as np

from tljax.core import Dataset, Tree
from tljax.engine import scores
from tljax.engine.devices import Compiled, shard
from tljax.files.console import progress, watched


def predictions(
    compiled: Compiled,
    params: Tree,
    state: Tree,
    dataset: Dataset,
    batch: int = 256,
    said: str = '',
    keep: Callable[[dict[str, jax.Array]], dict[str, Tree]] = lambda told: told,
) -> dict[str, Tree]:
    """The output of every example, in the order of the data set.

    Args:
        compiled: `devices.compile_predict` of a method's predict.
        params: with a leading axis of seeds.
        state: with a leading axis of seeds.
        dataset: set of examples.
        batch: examples at a time; the last batch is filled up with copies of the first example,
            which are dropped again.
        said: what progress is called on the terminal; '' tells of it only where it takes more than
            ten seconds.
        keep: (output and labels of a batch) -> what is kept of them.

    Returns:
        {'output': (seeds, n, ...), 'label': (seeds, n, ...)}, or what `keep` makes of them, NumPy.

    >>> from tljax.data import arrays
    >>> from tljax.engine.devices import compile_predict, make_mesh
    >>> double = compile_predict(
    ...     lambda p, s, batch: {'output': p * batch['input'], 'label': batch['label']}, make_mesh()
    ... )
    >>> predictions(double, np.array([2.0]), {}, arrays(np.arange(3.0), np.arange(3)), batch=2)[
    ...     'output'
    ... ].tolist()
    [[0.0, 2.0, 4.0]]
    """
    batch = max(min(batch, dataset.size) // jax.device_count(), 1) * jax.device_count()
    parts, ahead = [], None
    starts = range(0, dataset.size, batch)
    quietly = watched(starts, f'predicting {dataset.size} examples')
    for start in progress(starts, said) if said else quietly:
        rows = np.arange(start, start + batch)
        local = dataset.take(shard(np.where(rows < dataset.size, rows, 0)))
        # the device computes it while the next batch is read
        out = keep(compiled.run(params, state, compiled.place(local)))
        parts += [jax.device_get(ahead)] if start else []
        ahead = out
    parts.append(jax.device_get(ahead))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves, 1)[:, : dataset.size], *parts)


def score(
    compiled: Compiled,
    params: Tree,
    state: Tree,
    dataset: Dataset,
    batch: int = 256,
    said: str = '',
) -> dict[str, np.ndarray]:
    """The scores of the data set's task (`tljax.engine.scores`), {name: (seeds,)}; the first name
    is the one that decides.

    Of what the model says only numbers for each example are kept, so that memory does not grow with
    ways, queries or classes.

    Args:
        compiled: as `predictions` takes it.
        params: with a leading axis of seeds.
        state: with a leading axis of seeds.
        dataset: set of examples.
        batch: examples at a time.
        said: as `predictions` takes it.

    >>> from tljax.data import arrays
    >>> from tljax.engine.devices import compile_predict, make_mesh
    >>> first = compile_predict(
    ...     lambda p, s, batch: {'output': batch['input'] * p, 'label': batch['label']}, make_mesh()
    ... )
    >>> score(
    ...     first,
    ...     np.array([1.0]),
    ...     {},
    ...     arrays(np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([1, 0]), ('no', 'yes')),
    ... )
    {'accuracy': array([0.5]), 'mean_class_accuracy': array([0.5])}
    """
    kept = predictions(
        compiled, params, state, dataset, batch, said, scores.collector(dataset.task)
    )
    return scores.total_scores(dataset.task, kept, episodes=is_episodic(dataset))


def score_and_tell(
    compiled: Compiled, params: Tree, state: Tree, dataset: Dataset, batch: int = 256
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """As `score`, and what the model says of every example, as `predictions` gives it.

    Args:
        compiled: as `predictions` takes it.
        params: with a leading axis of seeds.
        state: with a leading axis of seeds.
        dataset: set of examples.
        batch: examples at a time.

    >>> from tljax.data import arrays
    >>> from tljax.engine.devices import compile_predict, make_mesh
    >>> first = compile_predict(
    ...     lambda p, s, batch: {'output': batch['input'] * p, 'label': batch['label']}, make_mesh()
    ... )
    >>> toy = arrays(np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([1, 0]), ('no', 'yes'))
    >>> score_and_tell(first, np.array([1.0]), {}, toy)[1]['output'].shape
    (1, 2, 2)
    """
    keep = scores.collector(dataset.task)
    kept = predictions(
        compiled,
        params,
        state,
        dataset,
        batch,
        keep=lambda told: {'kept': keep(told), 'told': told},
    )
    return scores.total_scores(dataset.task, kept['kept']), kept['told']


def is_episodic(dataset: Dataset) -> bool:
    """Whether an example of the set is an episode.

    Args:
        dataset: the set.

    >>> from tljax.data import digits
    >>> is_episodic(digits(size=8)['test'])
    False
    """
    return 'support' in dataset.take(np.arange(1))
