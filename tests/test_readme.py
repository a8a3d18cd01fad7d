"""What the README prints runs as it is printed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / 'README.md').read_text()
BLOCKS = re.findall(r'```python\n(.*?)```', README, re.DOTALL)
ADDED = {
    path: code
    for path, code in re.findall(
        r'`((?:tljax|configs)/\S+\.py)`:\n\n```python\n(.*?)```', README, re.DOTALL
    )
}


def test_a_method_in_five_lines_is_ddc():
    code = next(block for block in BLOCKS if 'def ddc' in block)
    assert len([line for line in code.partition('def ddc')[2].splitlines() if line.strip()]) <= 5
    space = {}
    exec(code, space)
    import jax

    import tljax
    from tljax.core import Tick

    batch = {
        'input': np.eye(3, dtype='f'),
        'label': np.arange(3),
        'target': {'input': 2 * np.eye(3, dtype='f')},
    }
    mine, theirs = (
        function(tljax.zoo.identity(3), 3) for function in (space['ddc'], tljax.methods.ddc)
    )
    params, state = theirs.init(jax.random.key(0), batch)
    tick = Tick(0, jax.random.key(0))
    np.testing.assert_allclose(
        *(method.loss(params, state, batch, tick)[0] for method in (mine, theirs)), rtol=1e-6
    )


def test_training_and_a_score_from_python(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(next(block for block in BLOCKS if 'tljax.train' in block), {})
    said = capsys.readouterr().out
    assert "{'accuracy': [0.9" in said and '(5, 64)' in said


@pytest.fixture(scope='module')
def copy(tmp_path_factory):
    """A copy of the project with the two files of 'Add a method', and nothing else changed."""
    root = tmp_path_factory.mktemp('copy') / 'project'
    for name in ('tljax', 'configs', 'experiments', 'tests'):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('setup.cfg', 'pyproject.toml', 'README.md'):
        shutil.copy(ROOT / name, root)
    assert sorted(ADDED) == ['configs/mcc.py', 'tljax/methods/adaptation/mcc.py']
    for path, code in ADDED.items():
        assert not (root / path).exists()
        (root / path).write_text(code)
    return root


def run(root, *command):
    done = subprocess.run(
        [sys.executable, '-m', *command],
        cwd=root,
        env={**os.environ, 'PYTHONPATH': str(root)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.mark.slow
def test_a_method_is_added_by_its_two_files_alone(copy):
    # which runs experiments.train
    tested = ('tests/methods/test_contract.py', 'tests/experiments/test_smallest_configs.py')
    said = run(copy, 'pytest', *tested, '-k', 'mcc', '-m', '', '-n', '0', '-q', '--no-header')
    assert re.search(r'\b1[0-2] passed', said), said[-500:]


@pytest.mark.slow
def test_an_added_method_stands_in_a_comparison(copy, tmp_path):
    said = run(
        copy,
        'experiments.compare',
        '--config=configs/adapt.py:method=mcc,smoke',
        f'--workdir={tmp_path}/compare',
    )
    assert 'mcc' in said and 'source_only' in said
