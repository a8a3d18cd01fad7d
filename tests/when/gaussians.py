"""Samples of Gaussians with moments as asked for, and refusals in one line."""

import numpy as np

from tljax.core import UserError


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def with_moments(x, mean, covariance):
    """Rows moved to have exactly this mean and covariance, whose divisor is n - 1."""
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
    """Whether a call is refused, in one line with these words."""
    try:
        call()
    except UserError as refusal:
        assert '\n' not in str(refusal) and all(word in str(refusal) for word in words), str(
            refusal
        )
        return True
    return False
