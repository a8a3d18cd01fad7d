"""The config that a command is given: its file, its arguments, and the settings laid over it."""
import importlib.util
import re
import sys
import traceback
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from absl import flags
from ml_collections import ConfigDict, config_flags

from tljax.configuration import merge, near, phases, plain
from tljax.core import Refused

MARK = 'a setting that is looked for'


def split(argv: list[str]) -> tuple[list[str], str | None]:
    """The arguments without `--config=FILE`, those of a --flagfile among them, and the FILE.

    >>> split(['train', '--config=configs/digits.py:smoke', '--config.steps=3'])
    (['train', '--config.steps=3'], 'configs/digits.py:smoke')
    """
    rest, given = [], None
    ahead = iter(flags.FLAGS.read_flags_from_files(list(argv), force_gnu=False))
    for argument in ahead:
        if argument in ('-config', '--config'):
            given = next(ahead, None)
        elif argument.startswith(('-config=', '--config=')):
            given = argument.partition('=')[2]
        else:
            rest.append(argument)
    return rest, given or None


def load(given: str) -> ConfigDict:
    """The locked config of a file.

    Args:
        given: path of the file, and behind a colon the argument of its `get_config`.

    Raises:
        Refused: for a file that is missing or raises an error, and an argument it does not take.

    >>> load('configs/digits.py:smoke').steps
    4
    >>> load('configs/digit.py')
    Traceback (most recent call last):
    tljax.core.Refused: configs/digit.py does not exist: did you mean digits.py?
    """
    path, *argument = given.split(':', 1)
    if not Path(path).is_file():
        names = sorted(file.name for file in Path(path).parent.glob('*.py') if file.stem[0] != '_')
        raise Refused(f'{path} does not exist: {near(Path(path).name, names)}' if names else
                      f'{path} does not exist: name a file of configs/')
    try:
        module = _module(path)
        if not hasattr(module, 'get_config'):
            raise Refused(f'{path} has no get_config(): see configs/digits.py')
        config = module.get_config(*argument)
    except ValueError as error:
        raise Refused(error) from None
    except Exception as error:   # whatever the file does wrong
        frames = [each for each in traceback.extract_tb(sys.exc_info()[2]) if each.filename == path]
        line = getattr(error, 'lineno', None) or (frames[-1].lineno if frames else 0)
        raise Refused(f'{path}, line {line}: {type(error).__name__}: {error}') from None
    if not isinstance(config, ConfigDict):
        raise Refused(f'get_config() of {path} returns no ConfigDict: see configs/digits.py')
    return config.lock()


def _module(path: str) -> ModuleType:
    loader = SourceFileLoader('config_file', path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader('config_file', loader))
    loader.exec_module(module)
    return module


def refuse_other_command(config: ConfigDict, given: str, name: str) -> None:
    """Refuses a config of other commands.

    Args:
        config: as `load` gives it.
        given: what `--config` says.
        name: of the command.

    Raises:
        Refused: names the command that the config is of.

    >>> refuse_other_command(load('configs/rank.py'), 'configs/rank.py', 'train')
    Traceback (most recent call last):
    tljax.core.Refused: configs/rank.py is a config of experiments.rank
    """
    path, commands = given.partition(':')[0], config.get('commands', ())
    if not commands:
        raise Refused(f'{path} states no `commands`: begin with base.get_config() of '
                      'configs/base.py')
    if name not in commands:
        raise Refused(f'{path} is a config of experiments.{commands[0]}')


def refuse_unknown(config: ConfigDict, given: str, argv: list[str]) -> None:
    """Refuses a `--config.a.b` that is no setting.

    Args:
        config: as `load` gives it.
        given: what `--config` says.
        argv: the command line.

    Raises:
        Refused: for the first such setting, with the nearest one.

    >>> refuse_unknown(load('configs/digits.py'), 'configs/digits.py', ['--config.optim.lrr=1'])
    Traceback (most recent call last):
    tljax.core.Refused: config.optim.lrr is no setting of configs/digits.py: did you mean lr?
    """
    for path in _changed(argv):
        place, passed = config, ['config']
        for key in path:
            if not isinstance(place, ConfigDict):
                name = '.'.join(passed)
                raise Refused(f'{name} is {place!r} in {given.partition(":")[0]}, which has no '
                              f'{key}: write --{name}=VALUE')
            passed.append(key)
            if key not in place:
                raise Refused(f'{".".join(passed)} is no setting of {given.partition(":")[0]}: '
                              f'{near(key, place)}')
            place = place[key]


def refuse_unread(config: ConfigDict, argv: list[str], name: str) -> None:
    """Refuses a `--config.a.b` that no fit of a training or a comparison would read.

    Args:
        config: as `load` gives it.
        argv: the command line.
        name: of the command.

    Raises:
        Refused: every phase or strategy says its own value, or the setting is another command's.

    >>> refuse_unread(load('configs/finetune.py'), ['--config.steps=3'], 'train')
    Traceback (most recent call last):
    tljax.core.Refused: --config.steps is read by no fit, as each has its own: set ...
    """
    if name not in ('train', 'compare'):
        return
    for path in _changed(argv):
        setting = '.'.join(path)
        if path[0] == 'study' and name == 'train':
            raise Refused(f'--config.{setting} is read by experiments.compare alone')
        if path == ['per_class'] and name == 'compare':
            raise Refused('--config.per_class is read by no fit: set --config.study.budgets')
        if path[0] in ('phases', 'study'):
            continue
        fits = _fits(_marked(plain(config), path), name, path)
        if fits and not any(_at(fit, path) == MARK for _, fit in fits):
            places = dict.fromkeys(f'--config.{place}.{setting}' for place, _ in fits)
            raise Refused(f'--config.{setting} is read by no fit, as each has its own: set '
                          + ', '.join([*places][:3]))


def refuse_two_lengths(config: dict, argv: list[str], name: str) -> None:
    """Refuses a `steps` of the command line that no fit goes by, as epochs take its place.

    Args:
        config: with what the command line sets.
        argv: the command line.
        name: of the command.

    Raises:
        Refused: names the setting.

    >>> config = plain(load('configs/digits.py')) | {'epochs': 2.}
    >>> refuse_two_lengths(config, ['--config.epochs=2', '--config.steps=9'], 'train')
    Traceback (most recent call last):
    tljax.core.Refused: --config.steps is read by no fit, as epochs take its place: leave one of ...
    """
    for *place, key in _changed(argv) if name in ('train', 'compare') else ():
        fits = [fit for setting, fit in _fits(config, name, ['steps'])
                if not place or setting == '.'.join(place)]
        if key == 'steps' and fits and all(fit['epochs'] for fit in fits):
            raise Refused(f'--config.{".".join([*place, key])} is read by no fit, as epochs take '
                          'its place: leave one of them, or set epochs of its phase to 0')


def _marked(config: dict, path: list[str]) -> dict:
    """The config with MARK for a setting."""
    *above, key = path
    place = config
    for each in above:
        place = place.setdefault(each, {})
    place[key] = MARK
    return config


def _at(config: object, path: list[str]) -> object:
    """What a config says of a setting; None where it has none."""
    for key in path:
        config = config.get(key) if isinstance(config, dict) else None
    return config


def _fits(config: dict, name: str, path: list[str]) -> list[tuple[str, dict]]:
    """The fits of a training or a comparison, and the place in the config that sets the setting of each."""
    fits = [(f'phases.{phase}', fit) for phase, fit in phases(config)]
    if name == 'train':
        return fits
    *earlier, (place, last) = fits
    own = _at(last, path) != MARK   # the phase sets it, whatever a strategy says
    return earlier + [(place if own else f'study.strategies.{each}', merge(last, changes))
                      for each, changes in config['study']['strategies'].items()]


def _changed(argv: list[str]) -> list[list[str]]:
    """The settings that a command line changes, as the keys on the way to each."""
    found = (re.match(r'--?(?:no)?config\.([\w.]+)', argument) for argument in argv)
    return [each[1].split('.') for each in found if each]


def define(config: ConfigDict, argv: list[str]) -> None:
    """Defines the flag `config`, and `config.a.b` for each of those on the command line."""
    config_flags.DEFINE_config_dict('config', config, 'The config.', sys_argv=argv)


def workdir(given: str) -> Path:
    """Where the run of a config goes by default: `runs/` and its name with its argument.

    >>> str(workdir('configs/digits.py:source=untrained,smoke'))
    'runs/digits-source-untrained-smoke'
    """
    path, _, argument = given.partition(':')
    parts = [part for part in argument.replace('=', '-').split(',') if part]
    return Path('runs', '-'.join([Path(path).stem, *parts]))
