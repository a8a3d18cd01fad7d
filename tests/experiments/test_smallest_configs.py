"""Every config runs at its smallest, and tells its command and result."""

import importlib
from pathlib import Path

import pytest
from commands import call

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(path.stem for path in (ROOT / 'configs').glob('[a-z]*.py') if path.stem != 'base')
COMMAND = {
    name: importlib.import_module(f'configs.{name}').get_config('smoke').commands[0]
    for name in CONFIGS
}


# others go the same way
LIKE = (
    'adapt',
    'baseline_plus_plus',
    'clusters',  # its parts in test_clusters.py and test_self_supervised.py
    'cuts',  # as in test_layers_and_cuts.py
    'detection',  # as in test_detection_study.py
    'efficient',
    'fixmatch',
    'handmade',  # as in test_handmade_study.py
    'matching',
    'metaoptnet',
    'more_classes',
    'multitask',
    'parameters',
    'pacs',
    'relation',
    'reptile',
    'reviews',
    'ridge',
    'siamese',
    'sine',
    'soup',  # as in test_averages_study.py
    'unlearning',  # as in test_unlearning.py
    'zero_shot',  # as in test_zero_shot_study.py
)


@pytest.mark.parametrize(
    'name',
    [  # test_rank.py runs those of rank
        pytest.param(name, marks=pytest.mark.slow) if name in LIKE else name
        for name in CONFIGS
        if COMMAND[name] != 'rank'
    ],
)
def test_every_config_runs_at_its_smallest(name, tmp_path):
    done = call(COMMAND[name], f'--config=configs/{name}.py:smoke', f'--workdir={tmp_path}')
    assert done.code == 0, done.err[-3000:]
    if COMMAND[name] != 'train':
        assert (tmp_path / 'report.html').exists() and (tmp_path / 'results.json').exists()


@pytest.mark.parametrize('name', CONFIGS)
def test_every_config_tells_its_command_and_result(name):
    said = (ROOT / 'configs' / f'{name}.py').read_text()
    assert f'--config=configs/{name}.py' in said and ('xpected' in said or 'ot yet run' in said)
