"""Commands import what they use: large libraries cost a second of every start."""

import subprocess
import sys

import pytest

LARGE = (
    'sklearn',
    'pandas',
    'scipy.stats',
    'statsmodels',
    'matplotlib',
    'tensorflow_datasets',
    'pyfive',
    'requests',
    'keras',
    'tensorflow',
)
WITHOUT_JAX = ('jax', 'flax', 'optax', 'orbax', *LARGE)


@pytest.mark.parametrize(
    'modules, unused',
    [
        ('experiments.train experiments.compare experiments.predict', WITHOUT_JAX),
        ('tljax', WITHOUT_JAX),
        (
            'tljax.studies.training tljax.studies.comparison tljax.studies.episodes '
            'tljax.studies.pictures tljax.trained tljax.data.sets.digits tljax.data.sets.glyphs',
            LARGE,
        ),
    ],
)
def test_a_start_imports_no_large_library_that_it_does_not_use(modules, unused):
    imports = '\n'.join(f'import {module}' for module in modules.split())
    code = f'import sys\n{imports}\nprint(*set({unused!r}) & sys.modules.keys())'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
