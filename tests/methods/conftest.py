"""A batch of two domains that several tests take."""
import jax.numpy as jnp
import numpy as np
import pytest


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return {'input': jnp.asarray(rng.normal(size=(12, 5)), jnp.float32), 'label': jnp.asarray(rng.integers(3, size=12)),
            'target': {'input': jnp.asarray(rng.normal(1, 2, size=(12, 5)), jnp.float32)}}
