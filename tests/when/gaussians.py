"""Samples with exact means and covariances, and a check that a call is refused in one line."""

import numpy as np

from tljax.core import UserError


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def with_moments(x, mean, covariance):
    """Maps rows linearly so that they have this mean and covariance (divisor n - 1)."""
    white = np.linalg.solve(
        np.linalg.cholesky(np.atleast_2d(np.cov(x, rowvar=False))), (x - x.mean(0)).T
    ).T
    return mean + white @ np.linalg.cholesky(covariance).T


def sample(mean, covariance, n, seed=0):
    return with_moments(normal(n, len(mean), seed=seed), mean, covariance)


def covariance(d, seed):
    x = normal(2 * d, d, seed=seed)
    return x.T @ x / d


def refused(call, *words):
    """Returns whether a call is refused with one line that contains these words."""
    try:
        call()
    except UserError as refusal:
        assert '\n' not in str(refusal) and all(word in str(refusal) for word in words), str(
            refusal
        )
        return True
    return False
