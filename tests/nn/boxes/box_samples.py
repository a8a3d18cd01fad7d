"""Inputs that the box functions and the TensorFlow Object Detection API are both given."""

import numpy as np

MAPS = [(5, 5), (3, 3), (2, 2), (1, 1)]


def boxes(n, seed, smallest=0.05):
    """Boxes in the unit square, (n, 4) float32, of sides up to about a half."""
    rng = np.random.default_rng(seed)
    corner, sides = rng.uniform(0, 0.6, (n, 2)), rng.uniform(smallest, 0.5, (n, 2))
    return np.concatenate([corner, corner + sides], 1).round(3).astype(np.float32)


def repeated(n, seed):
    """Boxes of which many overlap: a few boxes, each several times with small shifts."""
    rng = np.random.default_rng(seed)
    shifts = rng.normal(0, 0.02, (n, 4))
    return (boxes(6, seed)[rng.integers(0, 6, n)] + shifts).round(3).astype(np.float32)


def numbers(shape, seed, scale=1.0):
    """Normal numbers of three decimals, float32."""
    return np.random.default_rng(seed).normal(0, scale, shape).round(3).astype(np.float32)


def scores(shape, seed):
    """Scores in [0, 1] of two decimals, so that some are equal, float32."""
    return np.random.default_rng(seed).uniform(0, 1, shape).round(2).astype(np.float32)
