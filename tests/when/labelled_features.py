"""Labelled features and predictions for the tests of scores."""

import numpy as np
import pytest


def labelled(n=90, d=6, c=3, separation=1.0, seed=0):
    """Gaussian classes of unequal sizes with features of unequal scales, not centred."""
    rng = np.random.default_rng(seed)
    y = rng.choice(c, n, p=np.arange(1, c + 1) / np.arange(1, c + 1).sum())
    y[: 2 * c] = np.arange(2 * c) % c
    f = rng.normal(size=(n, d)) + separation * rng.normal(size=(c, d))[y]
    return f * np.arange(1, d + 1) ** -0.5 + 0.3, y


def network_like(n=300, d=20, c=4, distance=1.0, seed=0):
    """Features as after a ReLU: nonnegative and correlated, of different lengths, with classes
    that overlap."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, c, n)
    hidden = rng.normal(size=(c, 8))[y] * distance + rng.normal(size=(n, 8))
    x = np.maximum(hidden @ rng.normal(size=(8, d)) + rng.normal(size=(n, d)), 0)
    return x * np.linspace(0.2, 3, d), y


def predictions(n=60, k=4, c=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, c, n)
    return rng.dirichlet(np.full(k, 0.4), n) * 0.5 + np.eye(k)[y % k] * 0.5, y


def cases():
    """Features of every shape and rank: (n, d), and labels."""
    f, y = labelled()
    low = np.random.default_rng(1).normal(size=(6, 20))
    return {
        'tall': (f, y),
        'wide': labelled(30, 50),
        'square': labelled(20, 20),
        'one column': (f[:, :1], y),
        'two classes': labelled(c=2),
        'low rank': (f @ low, y),
        'wide, low rank': (f[:15] @ low, y[:15]),
        'constant column': (np.c_[f, np.full(len(f), 2.0)], y),
        'zero column': (np.c_[f, np.zeros(len(f))], y),
        'duplicated column': (np.c_[f, f[:, 1]], y),
        'spectrum': (labelled(300, 40)[0] * np.arange(1, 41) ** -2.0 + 1, labelled(300, 40)[1]),
    }


every_case = pytest.mark.parametrize('case', cases())
