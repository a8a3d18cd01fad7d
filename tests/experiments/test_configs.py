"""Every config runs at its smallest, and tells its command and result."""
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(path.stem for path in (ROOT / 'configs').glob('[a-z]*.py') if path.stem != 'base')


def commands(name):
    config = importlib.import_module(f'configs.{name}').get_config('smoke')
    if 'methods' in config:
        return ['adapt']
    if 'targets' in config.study:   # tests/experiments/test_rank.py runs these
        return []
    return ['compare'] if config.study.strategies else ['train']   # a study fits, too


@pytest.mark.parametrize('command, name', [(command, name) for name in CONFIGS for command in commands(name)])
def test_every_config_runs_at_its_smallest(command, name, tmp_path):
    done = subprocess.run([sys.executable, '-m', f'experiments.{command}', f'--config=configs/{name}.py:smoke', f'--workdir={tmp_path}'],
                          cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    if command != 'train':
        assert (tmp_path / 'report.html').exists() and (tmp_path / 'results.json').exists()


@pytest.mark.parametrize('name', CONFIGS)
def test_every_config_tells_its_command_and_result(name):
    said = (ROOT / 'configs' / f'{name}.py').read_text()
    assert f'--config=configs/{name}.py' in said and ('xpected' in said or 'ot yet run' in said)
