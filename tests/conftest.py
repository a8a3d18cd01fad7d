"""What all tests share: caches inside the checkout, so that compilations and rendered data are made
once, by whichever process is first."""

import gc
import os
from pathlib import Path

CACHE = Path(__file__).parents[1] / '.pytest_cache'
os.environ.setdefault('TLJAX_CACHE', str(CACHE / 'tljax'))
# Most of a test's time is compilation. `--xla_cpu_use_fusion_emitters=false` is quicker still, and
# wrong: after five steps of two seeds,
# parameters are up to 4e-3 away from those without it, on one device and on eight (jaxlib 0.10.2).
os.environ.setdefault('XLA_FLAGS', '--xla_backend_optimization_level=0')
os.environ.setdefault('KERAS_BACKEND', 'jax')
# the matrices are small, and the processes as many as the cores
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')

# JAX's own cache, also for processes that tests start: folders that a test sets as TLJAX_CACHE are
# empty
os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', str(CACHE / 'xla'))
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0')
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES', '-1')


def pytest_collection_finish():
    """What is imported by now stays, and is not looked through for garbage again; a fifth of the
    time of tracing was that."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
