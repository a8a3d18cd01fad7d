"""A batch of two domains that several tests take."""

import numpy as np
import pytest


@pytest.fixture(scope='session')
def batch():
    rng = np.random.default_rng(0)
    return {
        'input': rng.normal(size=(12, 5)).astype('f'),
        'label': rng.integers(3, size=12),
        'target': {'input': rng.normal(1, 2, size=(12, 5)).astype('f')},
    }
