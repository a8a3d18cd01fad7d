"""Many tasks whose weights come from one Gaussian."""

import numpy as np

MEAN = np.array([1.0, -2.0])
COVARIANCE = np.array([[1.0, 0.6], [0.6, 0.8]])


def linear_tasks(tasks=40, noise=0.5, sizes=(3, 9), seed=0):
    """Examples with a column of ones, labels, and the weights of each task."""
    rng = np.random.default_rng(seed)
    weights = rng.multivariate_normal(MEAN, COVARIANCE, tasks)
    counts = rng.integers(*sizes, tasks)
    xs = [np.column_stack([rng.normal(size=n), np.ones(n)]) for n in counts]
    ys = [x @ w + noise * rng.normal(size=len(x)) for x, w in zip(xs, weights, strict=True)]
    return xs, ys, weights


def class_tasks(tasks=40, sizes=(6, 12), seed=0):
    """The same with labels 0 and 1; tasks of a single class are left out."""
    xs, _, weights = linear_tasks(tasks, sizes=sizes, seed=seed)
    rng = np.random.default_rng([seed, 1])
    ys = [
        (rng.random(len(x)) < 1 / (1 + np.exp(-x @ w))).astype(int)
        for x, w in zip(xs, weights, strict=True)
    ]
    kept = [i for i, y in enumerate(ys) if 0 < y.sum() < len(y)]
    return [xs[i] for i in kept], [ys[i] for i in kept], weights[kept]
