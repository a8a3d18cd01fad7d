"""The entrance of commands: an error is one line, --help is complete, --json is JSON alone."""

import ast
import importlib.util
import re
import sys

import pytest
from commands import ROOT, call, call_apart, error

COMMANDS = (
    'train',
    'compare',
    'rank',
    'advise',
    'shallow',
    'tasks',
    'few_shot',
    'predict',
    'evaluate',
    'convert',
    'export',
    'withdrawn',
    'unlearning',
    'features',
    'models',
    'multitask',
    'shape_bias',
    'invariance',
    'costs',
    'cuts',
    'instances',
    'soup',
    'handmade',
    'crossview',
    'zero_shot',
    'clusters',
    'relations',
    'graphs',
    'sweep',
    'replay',
)
BENCHMARKS = (
    'benchmarks.accelerator',
    'benchmarks.detection',
    'benchmarks.engine',
    'benchmarks.growth',
    'benchmarks.input',
    'benchmarks.job',
    'benchmarks.networks',
    'benchmarks.graphs',
    'benchmarks.torch_episodes',
    'benchmarks.peers',
    'benchmarks.scores',
    'benchmarks.starts',
)
WITH_CONFIG = (
    'train',
    'compare',
    'rank',
    'advise',
    'shallow',
    'tasks',
    'cuts',
    'unlearning',
    'instances',
    'handmade',
    'costs',
    'multitask',
    'soup',
    'crossview',
    'zero_shot',
    'clusters',
    'relations',
    'graphs',
)


@pytest.mark.parametrize(
    'name, flags, said',
    [
        (
            'train',
            ['--config=configs/digits.py:source=moon'],
            'config argument source=moon is not one of glyphs, untrained, shuffled',
        ),
        (
            'train',
            ['--config=configs/digits.py:sourse=glyphs'],
            "config argument 'sourse' is unknown: this config takes source, smoke",
        ),
        (
            'train',
            ['--config=configs/digits.py', '--config.optim.lrr=1'],
            'config.optim.lrr is no setting of configs/digits.py: did you mean lr?',
        ),
        (
            'train',
            ['--config=configs/digits.py', '--config.optin.lr=1'],
            'config.optin is no setting of configs/digits.py: did you mean optim?',
        ),
        (
            'train',
            ['--config=configs/digits.py', '--config.optim.lr', 'much'],
            "--config.optim.lr=much: 'much' is not a number",
        ),
        (
            'train',
            ['--config=configs/digits.py', '--config.steps=many'],
            "--config.steps=many: 'many' is not a whole number",
        ),
        (
            'train',
            ['--config=configs/digits.py', '--config.optim.lr.x=1'],
            'config.optim.lr is 0.002 in configs/digits.py, which has no x',
        ),
        (
            'train',
            ['--config=configs/digits.py', '--config.per_class.x=1'],
            'config.per_class is None in configs/digits.py, which has no x',
        ),
        (
            'train',
            ['--config=configs/digits.py', '--config.seeds.x=1'],
            'config.seeds is (0, 1, 2, 3, 4, 5, 6, 7) in configs/digits.py, which has no x',
        ),
        (
            'train',
            ['--config=configs/digits.py', '--config.cache=maybe'],
            "--config.cache=maybe: 'maybe' is neither true nor false",
        ),
        (
            'train',
            ['--config=configs/digits.py', '--config.net=5'],
            "--config.net=5: '5' is not a dict: set its keys one by one",
        ),
        (
            'train',
            ['--config=configs/finetune.py', '--config.steps=3'],
            '--config.steps is read by no fit, as each fit has its own value: set '
            '--config.phases.head.steps, --config.phases.all.steps',
        ),
        (
            'compare',
            ['--config=configs/finetune.py', '--config.optim.lr=1'],
            '--config.optim.lr is read by no fit, as each fit has its own value: set '
            '--config.phases.head.optim.lr, --config.phases.all.optim.lr',
        ),
        (
            'compare',
            ['--config=configs/digits.py', '--config.per_class=3'],
            '--config.per_class is read by no fit: set --config.study.budgets',
        ),
        (
            'rank',
            ['--config=configs/rank.py', '--config.withdrawn=gone.txt'],
            '--config.withdrawn: experiments.rank also reads data outside of fits: take the '
            'examples out of the files',
        ),
        (
            'train',
            ['--config=configs/digits.py', '--config.study.budgets=(1,)'],
            '--config.study.budgets is read by experiments.compare only',
        ),
        (
            'train',
            ['--config=configs/nothing.py'],
            'configs/nothing.py does not exist: did you mean',
        ),
        (
            'train',
            ['--config=nowhere/nothing.py'],
            'nowhere/nothing.py does not exist: name a file',
        ),
        ('train', [], '--config is missing: name a file of configs/'),
        ('train', ['--config'], '--config is missing: name a file of configs/'),
        ('train', ['--config=configs/digits.py:smoke', 'stray'], "'stray' is not a flag"),
        ('train', ['--config=configs/digits.py:smoke', '--steps=3'], "flag 'steps'"),
        (
            'shallow',
            ['--config=configs/adapt.py'],
            'configs/adapt.py is a config of experiments.compare',
        ),
        (
            'train',
            ['--config=configs/office_caltech.py'],
            'configs/office_caltech.py is a config of experiments.shallow',
        ),
        (
            'compare',
            ['--config=configs/office_caltech.py'],
            'configs/office_caltech.py is a config of experiments.shallow',
        ),
        (
            'compare',
            ['--config=configs/maml.py'],
            'configs/maml.py is a config of experiments.train',
        ),
        (
            'train',
            ['--config=configs/school.py'],
            'configs/school.py is a config of experiments.tasks',
        ),
        ('train', ['--config=configs/rank.py'], 'configs/rank.py is a config of experiments.rank'),
        (
            'rank',
            ['--config=configs/digits.py'],
            'configs/digits.py is a config of experiments.compare',
        ),
        ('models', ['--workdir=x'], "Unknown command line flag 'workdir'"),
        ('models', ['all'], "'all' is not a flag"),
        ('few_shot', ['--ways=five'], "--ways=five: 'five' is not a whole number"),
        ('few_shot', [], '--workdir is missing'),
        ('few_shot', ['--workdir=nowhere'], 'nowhere holds no finished run'),
        ('few_shot', ['--workdir=setup.cfg'], 'setup.cfg is a file, and a run is a folder'),
        (
            'train',
            ['--config=configs/digits.py:smoke', '--workdir=setup.cfg'],
            '--workdir=setup.cfg is a file, and a run is a folder',
        ),
        (
            'rank',
            ['--config=configs/rank.py:smoke', '--workdir=setup.cfg/a'],
            '--workdir=setup.cfg/a lies in setup.cfg, which is a file',
        ),
        ('predict', ['--model.alpha=1', 'a.png'], '--model.alpha is given without --model'),
        ('predict', ['--workdir=nowhere'], 'name pictures, or folders of pictures'),
        ('predict', ['--workdir=nowhere', 'nothing.png'], 'nothing.png does not exist'),
        ('predict', ['--top=0'], '--top=0'),
        ('evaluate', ['--workdir=nowhere'], 'name folders of pictures'),
        ('invariance', ['--workdir=nowhere'], 'name folders of pictures, or --config=FILE'),
        (
            'invariance',
            ['--workdir=nowhere', '--config=configs/digits.py', 'pictures'],
            'name folders of pictures, or --config=FILE',
        ),
        ('invariance', ['--workdir=nowhere', '--config=configs/digit.py'], 'did you mean digits.'),
        (
            'invariance',
            ['--workdir=nowhere', '--page=/', 'pictures'],
            '--page=/ is a folder: name a file in it',
        ),
        ('invariance', ['--most=2', 'pictures'], '--most=2'),
        ('cuts', ['--config=configs/rank.py'], 'configs/rank.py is a config of experiments.rank'),
        ('convert', ['--model=mobilenet'], 'name the network, its file and where to write'),
        (
            'advise',
            ['--config=configs/rank.py:smoke', '--judge'],
            '--judge needs --pool=results.json',
        ),
        (
            'advise',
            ['--config=configs/rank.py:smoke', '--pool=nowhere.json'],
            'nowhere.json does not exist: name results.json of a verified ranking',
        ),
        (
            'advise',
            ['--config=configs/rank.py:smoke', '--pool=setup.cfg'],
            'setup.cfg is not a results.json of experiments.rank',
        ),
        (
            'benchmarks.engine',
            ['--only=nothing'],
            "--only=nothing: 'nothing' is not one of forms, frozen, cached, seeds",
        ),
        ('benchmarks.scores', ['--only=logme,nothing'], "'nothing' is not one of logme, probe"),
        ('benchmarks.networks', ['--networks=mobilnet'], "'mobilnet' is not one of xception"),
        ('benchmarks.peers', ['--rounds=0'], '--rounds=0'),
        (
            'train',
            ['--config=configs/digits.py:smoke', '--distributed=me'],
            '--distributed=me is neither auto nor COORDINATOR:PORT,PROCESSES,PROCESS',
        ),
    ],
)
def test_what_does_not_fit_is_one_clear_line(name, flags, said, tmp_path):
    line = error(call(name, *flags))
    assert said in line, line
    assert not re.search(r'\\n|config_config|literal|KeyError', line), line


def test_a_command_of_its_own_process_ends_the_same(tmp_path):
    done = call_apart('train', '--config=configs/digits.py:source=moon', f'--workdir={tmp_path}/a')
    assert 'source=moon is not one of glyphs' in error(done)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'text, said',
    [
        ('def get_config(:', 'line 1: SyntaxError'),
        ('def get_config(arg=None):\n    return missing', "line 2: NameError: name 'missing'"),
        ('x = 1', 'has no get_config()'),
        ('def get_config(arg=None):\n    return {}', 'returns no ConfigDict'),
        (
            'from ml_collections import ConfigDict\n\n\ndef get_config():\n    return ConfigDict()',
            'states no `commands`',
        ),
    ],
)
def test_a_config_file_of_ones_own_that_fails_is_located(text, said, tmp_path):
    (tmp_path / 'mine.py').write_text(text)
    line = error(call('train', f'--config={tmp_path}/mine.py'))
    assert said in line and 'mine.py' in line, line


def test_a_peer_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'adapt', None)  # as if it were not installed
    line = error(call('benchmarks.peers'))
    assert line == 'error: the package adapt is missing: python -m pip install adapt'
    assert call('benchmarks.peers', '--help').out


@pytest.mark.parametrize('name', [*COMMANDS, *BENCHMARKS])
def test_help_shows_every_flag_that_the_docstring_names(name):
    path = name.replace('.', '/') if '.' in name else f'experiments/{name}'
    text = (ROOT / f'{path}.py').read_text()
    named = set(re.findall(r'(?<![\w-])--([a-z_]+)', ast.get_docstring(ast.parse(text))))
    named |= {'json'} if name in COMMANDS else {'rounds'}
    named |= {'config', 'workdir', 'distributed'} if name in WITH_CONFIG else set()
    named |= {'model', 'weights', 'classes', 'workdir'} if 'run_on_model' in text else set()
    # a start of each command
    done = call_apart(name, '--help') if name in COMMANDS else call(name, '--help')
    shown = set(re.findall(r'^\s+--(?:\[no\])?([a-z_]+):', done.out, re.MULTILINE))
    named -= {'xla_force_host_platform_device_count'}  # of XLA_FLAGS
    assert named <= shown, (named - shown, done)


def test_every_config_states_commands_that_take_it():
    from configs import base

    assert base.get_config().commands[0] == 'train' and base.shallow().commands == ('shallow',)
    for path in (ROOT / 'configs').glob('[a-z]*.py'):
        if path.stem != 'base':
            spec = importlib.util.spec_from_file_location(path.stem, path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            commands = module.get_config().commands
            assert commands and set(commands) <= set(WITH_CONFIG)
            assert f'experiments.{commands[0]} ' in module.__doc__, path


def test_the_models_command_prints_a_table():
    assert 'ImageNet networks' in call('models').out  # its document: tests/zoo/test_table.py
