"""What a model says of a data set: predictions in padded batches, accuracy with its interval, features to keep."""
import jax
import numpy as np
from scipy.stats import binomtest

from tljax.engine.devices import shard
from tljax.files.console import progress


def predictions(compiled, params, state, dataset, batch=256, said='', keep=lambda told: told):
    """The output of every example, in the order of the data set.

    Args:
        compiled: `step.compile_predict` of a method's predict. params, state: with a leading axis of seeds.
        batch: examples at a time; the last batch is filled up with copies of the first example, which are dropped again.
        said: what progress is called on the terminal; '' shows none. keep: what of a batch's output and labels is kept.

    Returns:
        {'output': (seeds, n, ...), 'label': (seeds, n, ...)}, or what `keep` makes of them, NumPy.

    >>> from tljax.data.formats.arrays import arrays
    >>> from tljax.engine.devices import compile_predict, make_mesh
    >>> double = compile_predict(lambda p, s, batch: {'output': p * batch['input'], 'label': batch['label']}, make_mesh())
    >>> predictions(double, np.array([2.]), {}, arrays(np.arange(3.), np.arange(3)), batch=2)['output'].tolist()
    [[0.0, 2.0, 4.0]]
    """
    batch = max(min(batch, dataset.size) // jax.device_count(), 1) * jax.device_count()
    parts, ahead = [], None
    starts = range(0, dataset.size, batch)
    for start in progress(starts, said) if said else starts:
        rows = np.arange(start, start + batch)
        local = dataset.take(shard(np.where(rows < dataset.size, rows, 0)))
        out = compiled.run(params, state, compiled.place(local))   # the device computes it while the next batch is read
        parts += [keep(jax.device_get(ahead))] if start else []
        ahead = out
    parts.append(keep(jax.device_get(ahead)))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves, 1)[:, :dataset.size], *parts)


def score(compiled, params, state, dataset, batch=256, said=''):
    """Accuracy per seed where there are classes, the root mean squared error where there are none: {name: (seeds,)}.

    Of episodes it is the mean over episodes, and half its 95 % interval (normal) comes with it. Arguments as `predictions`; of what the
    model says only a number for each example is kept, so that memory does not grow with ways, queries or classes.

    >>> from tljax.data.formats.arrays import arrays
    >>> from tljax.engine.devices import compile_predict, make_mesh
    >>> first = compile_predict(lambda p, s, batch: {'output': batch['input'] * p, 'label': batch['label']}, make_mesh())
    >>> score(first, np.array([1.]), {}, arrays(np.array([[0., 1.], [0., 1.]]), np.array([1, 0]), ('no', 'yes')))
    {'accuracy': array([0.5])}
    """
    each = predictions(compiled, params, state, dataset, batch, said, _right if dataset.classes else _squared_error)
    if not dataset.classes:
        return {'rmse': np.sqrt(each.mean(1))}
    accuracy = {'accuracy': each.mean(1)}
    if 'support' in dataset.take(np.arange(1)):
        accuracy['accuracy_ci95'] = 1.96 * each.std(1, ddof=1) / np.sqrt(each.shape[1])
    return accuracy


def _right(told):
    right = told['output'].argmax(-1) == told['label']
    return right.mean(tuple(range(2, right.ndim)))


def _squared_error(told):
    errors = (told['output'] - told['label'].reshape(told['output'].shape)) ** 2
    return errors.mean(tuple(range(2, errors.ndim)))


def proportion(correct, count):
    """An accuracy with its 95 % interval over examples (Wilson 1927), for one model: (mean, low, high).

    >>> [round(float(number), 3) for number in proportion(90, 100)]
    [0.9, 0.826, 0.945]
    """
    interval = binomtest(int(correct), int(count)).proportion_ci(.95, method='wilson')
    return correct / count, interval.low, interval.high
