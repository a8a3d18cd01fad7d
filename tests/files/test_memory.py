"""Memory of steps."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import tiny

from tljax import build, program
from tljax.engine.train import fit

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


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='for Linux')
def test_programs_are_dropped_before_their_maps_are_too_many(monkeypatch, tmp_path):
    """Maps of ten programs, of which no more are kept than there is room for."""
    counts = []
    room = 1000 + _maps()
    monkeypatch.setattr(program.PROGRAMS, 'is_full', lambda: _maps() > room)
    for width in range(4, 14):
        run = build.build(tiny({'net': {'width': width}, 'steps': 1}))
        fit(run, tmp_path / str(width))
        counts.append(_maps())
    assert max(counts) < room + 1500  # one program has some 450, and compiling takes others


def _maps():
    return Path('/proc/self/maps').read_bytes().count(b'\n')
