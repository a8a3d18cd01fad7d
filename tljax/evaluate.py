"""What a model says of a data set: predictions in padded batches, accuracy with its interval, features to keep."""
import jax
import numpy as np
from scipy.stats import binomtest

from tljax.log import progress
from tljax.step import shard


def predictions(compiled, params, state, dataset, batch=256, said=''):
    """The output of every example, in the order of the data set.

    Args:
        compiled: `step.compile_predict` of a method's predict. params, state: with a leading axis of seeds.
        batch: examples at a time; the last batch is filled up with copies of the first example, which are dropped again.
        said: what progress is called on the terminal; '' shows none.

    Returns:
        {'output': (seeds, n, ...), 'label': (seeds, n, ...)}, NumPy.

    >>> from tljax.data.arrays import arrays
    >>> from tljax.step import compile_predict, make_mesh
    >>> double = compile_predict(lambda p, s, batch: {'output': p * batch['input'], 'label': batch['label']}, make_mesh())
    >>> predictions(double, np.array([2.]), {}, arrays(np.arange(3.), np.arange(3)), batch=2)['output'].tolist()
    [[0.0, 2.0, 4.0]]
    """
    batch = max(min(batch, dataset.size) // jax.device_count(), 1) * jax.device_count()
    parts = []
    starts = range(0, dataset.size, batch)
    for start in progress(starts, said) if said else starts:
        rows = np.arange(start, start + batch)
        local = dataset.take(shard(np.where(rows < dataset.size, rows, 0)))
        parts.append(jax.device_get(compiled.run(params, state, compiled.place(local))))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves, 1)[:, :dataset.size], *parts)


def score(predicted, classes):
    """Accuracy per seed where there are classes, the root mean squared error where there are none: {name: (seeds,)}.

    Of episodes, labels (seeds, episodes, queries), it is the mean over episodes, and half its 95 % interval (normal) comes with it.

    >>> score({'output': np.array([[[0., 1.], [0., 1.]]]), 'label': np.array([[1, 0]])}, classes=2)
    {'accuracy': array([0.5])}
    """
    output, label = predicted['output'], predicted['label']
    if classes and label.ndim == 3:
        right = (output.argmax(-1) == label).mean(-1)
        return {'accuracy': right.mean(1), 'accuracy_ci95': 1.96 * right.std(1, ddof=1) / np.sqrt(right.shape[1])}
    if classes:
        return {'accuracy': np.mean(output.argmax(-1) == label, tuple(range(1, label.ndim)))}
    errors = (output - label.reshape(output.shape)) ** 2
    return {'rmse': np.sqrt(errors.mean(tuple(range(1, errors.ndim))))}


def proportion(correct, count):
    """An accuracy with its 95 % interval over examples (Wilson 1927), for one model: (mean, low, high).

    >>> [round(float(number), 3) for number in proportion(90, 100)]
    [0.9, 0.826, 0.945]
    """
    interval = binomtest(int(correct), int(count)).proportion_ci(.95, method='wilson')
    return correct / count, interval.low, interval.high
