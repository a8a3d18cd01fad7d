"""Two domains with classes, and comparisons of what maps make of them."""

import numpy as np
from sklearn.metrics import pairwise_distances


def samples(ns=40, nt=30, d=12, classes=3, seed=0):
    """Classes around common centres; the target is shifted, stretched and noisier."""
    rng = np.random.default_rng(seed)
    centres, stretch = rng.normal(0, 2, (classes, d)), rng.uniform(0.5, 1.5, d)
    ys, yt = rng.integers(classes, size=ns), rng.integers(classes, size=nt)
    xs = centres[ys] + rng.normal(size=(ns, d))
    xt = (centres[yt] + rng.normal(size=(nt, d)) * 1.5) * stretch + rng.normal(size=d)
    return xs, xt, ys, yt


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def nearest(zs, ys, zt):
    return ys[pairwise_distances(zt, zs).argmin(1)]


def equal_but_for_signs(a, b, tolerance=1e-6):
    """Each column's sign is free."""
    np.testing.assert_allclose(a * np.sign((a * b).sum(0)), b, atol=tolerance)
