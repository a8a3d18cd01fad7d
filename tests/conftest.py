"""What all tests share: caches inside the checkout, so that compilations and rendered data are made once."""
import os
from pathlib import Path

CACHE = Path(__file__).parents[1] / '.pytest_cache'
os.environ.setdefault('TLJAX_CACHE', str(CACHE / 'tljax'))
os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', str(CACHE / 'xla'))
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0.1')
os.environ.setdefault('XLA_FLAGS', '--xla_backend_optimization_level=0')   # most of a test's time is compilation
os.environ.setdefault('KERAS_BACKEND', 'jax')
