"""Memory of steps."""

import platform
import subprocess
import sys

import pytest

STEPS = """
import resource
from tljax.files.memory import keep_freed_memory
keep_freed_memory()
import jax, jax.numpy as jnp
from jax import lax
x = jnp.ones((64, 1 << 20))
step = jax.jit(lambda x: lax.sort(lax.sort(x * 2, dimension=0)[:, ::-1] + 1, dimension=0).sum())
for _ in range(3):
    step(x).block_until_ready()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step(x).block_until_ready()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='for glibc')
def test_a_step_takes_the_memory_of_the_step_before():
    """256 MB of intermediates are 65,000 pages of 4 kB, each of which would be a fault."""
    done = subprocess.run([sys.executable, '-c', STEPS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1000
