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
x, kernel = jnp.ones((1 << 16, 256)), jnp.ones((256, 256))
step = jax.jit(lambda x: jnp.max(jnp.sin(x @ kernel) @ kernel))
faults = []
for _ in range(8):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step(x).block_until_ready()
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(min(faults))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='for glibc')
def test_a_step_takes_the_memory_of_the_step_before():
    """64 MB of an intermediate are 16,000 pages of 4 kB, each of which would be a fault."""
    done = subprocess.run([sys.executable, '-c', STEPS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1000
