"""Loads the config of a command: its file, its arguments, and the settings of the command line."""

import importlib.util
import inspect
import re
import sys
import traceback
from collections import deque
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from absl import flags
from ml_collections import ConfigDict

from tljax import keywords
from tljax.configuration import merge, phases, plain
from tljax.core import UserError, abbreviated, nearest_name
from tljax.files.console import say
from tljax.protocols import Config, Record

MARK = 'the value of a setting, to see which fits read it'
EXAMPLES = {  # function of a config file -> a file that has it
    'get_config': 'configs/digits.py',
    'get_sweep': 'configs/finetune.py',
}
# commands whose data are those of fits, from which examples can be withdrawn
WITHDRAWING = 'train', 'compare', 'soup', 'multitask', 'graphs'
Settings = list[tuple[list[str], str | None]]  # path of keys to a setting, and its text


def split(argv: list[str]) -> tuple[list[str], str | None, Settings]:
    """Splits a command line, with the flags of its --flagfile, into config and other arguments.

    Args:
        argv: the command line.

    Returns:
        The other arguments; FILE of `--config=FILE`, None without it; and the settings
        `--config.KEY=VALUE`.

    >>> split(['train', '--config=configs/digits.py:smoke', '--config.optim.lr=3', '--json'])
    (['train', '--json'], 'configs/digits.py:smoke', [(['optim', 'lr'], '3')])
    """
    rest, file, settings = [], None, []
    arguments = deque(flags.FLAGS.read_flags_from_files(list(argv), force_gnu=False))
    while arguments:
        argument = arguments.popleft()
        match = re.fullmatch(r'--?(no)?config(?:\.([\w.]+))?(?:=(.*))?', argument, re.DOTALL)
        negation, key, text = match.groups() if match else (None, None, None)
        if not match or negation and not key:
            rest.append(argument)
            continue
        if negation:
            text = 'False'
        if text is None and arguments and not re.match('--?[a-zA-Z]', arguments[0]):
            text = arguments.popleft()
        if key:
            settings.append((key.split('.'), text))
        else:
            file = text
    return rest, file or None, settings


def load(file: str) -> ConfigDict:
    """Loads the config of a file, and locks it.

    Args:
        file: path of the file, and after a colon the argument of its `get_config`.

    Raises:
        UserError: the file does not exist, raises an error, or does not take the argument.

    >>> load('configs/digits.py:smoke').steps
    4
    >>> load('configs/digit.py')
    Traceback (most recent call last):
    tljax.core.UserError: configs/digit.py does not exist: did you mean digits.py?
    """
    config = call(file, 'get_config')
    if not isinstance(config, ConfigDict):
        path = file.partition(':')[0]
        raise UserError(
            f'get_config() of {path} returns no ConfigDict: see {EXAMPLES["get_config"]}'
        )
    return config.lock()


def call(file: str, name: str) -> object:
    """Calls a function of a config file.

    Args:
        file: as `load` takes it. The argument after the colon is left out if the function takes no
            argument, unless the function is `get_config`.
        name: name of the function, a key of EXAMPLES.

    Raises:
        UserError: the file does not exist, lacks the function or raises an error.

    >>> len(call('configs/finetune.py:smoke', 'get_sweep'))
    2
    """
    path, *argument = file.split(':', 1)
    if not Path(path).is_file():
        files = [file for file in Path(path).parent.glob('*.py') if file.stem[0] != '_']
        remedy = 'name a file of configs/'
        if files:
            remedy = nearest_name(Path(path).name, sorted(file.name for file in files))
        raise UserError(f'{path} does not exist: {remedy}')
    try:
        module = _module(path)
        function = getattr(module, name, None)
        if function is None:
            raise UserError(f'{path} has no {name}(): see {EXAMPLES[name]}')
        if name != 'get_config' and not inspect.signature(function).parameters:
            argument = []
        return function(*argument)
    except ValueError as error:
        raise UserError(error) from None
    except Exception as error:  # any error of the file's own code
        frames = traceback.extract_tb(sys.exc_info()[2])
        frames = [frame for frame in frames if frame.filename == path]
        line = getattr(error, 'lineno', None) or (frames[-1].lineno if frames else 0)
        raise UserError(f'{path}, line {line}: {type(error).__name__}: {error}') from None


def _module(path: str) -> ModuleType:
    """Imports a config file as a module."""
    loader = SourceFileLoader('config_file', path)
    spec = importlib.util.spec_from_loader('config_file', loader)
    assert spec is not None  # as it has a loader
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def refuse_other_command(config: ConfigDict, file: str, name: str) -> None:
    """Refuses a config that belongs to another command.

    Args:
        config: as `load` returns it.
        file: value of `--config`.
        name: name of the command.

    Raises:
        UserError: the config belongs to another command, which the error names.

    >>> refuse_other_command(load('configs/rank.py'), 'configs/rank.py', 'train')
    Traceback (most recent call last):
    tljax.core.UserError: configs/rank.py is a config of experiments.rank
    """
    path, commands = file.partition(':')[0], config.get('commands', ())
    if not commands:
        raise UserError(
            f'{path} states no `commands`: begin with base.get_config() of configs/base.py'
        )
    if name not in commands:
        raise UserError(f'{path} is a config of experiments.{commands[0]}')


def apply_settings(config: ConfigDict, file: str, settings: Settings) -> None:
    """Sets the settings of a command line in a config, names of functions first.

    If a setting names another function, keywords that this function does not take are removed.

    Args:
        config: as `load` returns it; changed.
        file: value of `--config`.
        settings: as `split` returns them.

    Raises:
        UserError: a setting does not exist (the error names the nearest one), or a value has
            another type.

    >>> config = load('configs/digits.py')
    >>> apply_settings(config, 'configs/digits.py', [(['optim', 'lr'], '1e-3')])
    >>> config.optim.lr
    0.001
    >>> apply_settings(config, 'configs/digits.py', [(['optim', 'lrr'], '1')])
    Traceback (most recent call last):
    tljax.core.UserError: config.optim.lrr is no setting of configs/digits.py: did you mean lr? ...
    """
    file = file.partition(':')[0]
    for path, text in sorted(settings, key=_names_first):
        kind, name = _kind(config, file, path), '.'.join(path)
        if text == 'None' and kind in (str, Path, str | Path):
            raise UserError(
                f'--config.{name}=None: None is no name: write nothing after = for none, or ./None'
            )
        try:
            value = keywords.parse_value(text, kind)
        except UserError as error:
            assignment = name if text is None else f'{name}={text}'
            raise UserError(f'--config.{assignment}: {error}') from None
        _set(config, path, value)
        if path[-1] == 'name':
            _remove_unknown_keywords(config, path[:-1])


def _names_first(setting: tuple[list[str], str | None]) -> tuple[bool, int]:
    """Sorts settings that name a function before others, and outer settings before inner ones."""
    path, _ = setting
    return path[-1] != 'name', len(path)


def _kind(config: ConfigDict, file: str, path: list[str]) -> object:
    """Returns the type of a setting, and refuses a setting that does not exist.

    Args:
        config: the config.
        file: path of the config file, for errors.
        path: keys on the way to the setting, its own key last.
    """
    plain_config, kind = plain(config), dict
    for depth, key in enumerate(path):
        place = keywords.place_at(plain_config, path[:depth])
        parent = '.'.join(['config', *path[:depth]])
        if place.takes is not None and key not in place.takes:
            remedy = nearest_name(key, place.takes)
            if place.who and remedy.endswith('?'):
                remedy += f' ({place.who} takes {abbreviated(place.takes)})'
            raise UserError(f'{parent}.{key} is no setting of {file}: {remedy}')
        kind = object if place.takes is None else place.takes[key]
        inner_keys = path[depth + 1 :]
        if inner_keys and not keywords.holds_keys(kind):
            value = place.holds.get(key)
            value = tuple(value) if isinstance(value, list) else value
            raise UserError(
                f'{parent}.{key} is {value!r} in {file}, which has no {inner_keys[0]}: write '
                f'--{parent}.{key}=VALUE'
            )
    return kind


def _set(config: ConfigDict, path: list[str], value: object) -> None:
    """Sets a setting, which may be new; a reference to another setting is replaced."""
    with config.ignore_type(), config.unlocked():
        place = config
        for key in path[:-1]:
            if not isinstance(place.get(key), ConfigDict):
                place[key] = ConfigDict()
            place = place[key]
        if len(path) > 1 and path[-1] in place:
            del place[path[-1]]
        place[path[-1]] = tuple(value) if isinstance(value, list) else value


def _remove_unknown_keywords(config: ConfigDict, path: list[str]) -> None:
    """Removes the keywords that the function named at a place of the config does not take."""
    place, known_keywords = config, keywords.place_at(plain(config), path).takes
    for key in path:
        place = place[key]
    for key in [key for key in place if key not in (known_keywords or place)]:
        name = '.'.join(['config', *path, key])
        say(f'{name}={place[key]!r} is removed: {place.name} does not take it')
        with config.unlocked():
            del place[key]


def refuse_unread(config: ConfigDict, settings: Settings, name: str) -> None:
    """Refuses a setting that no fit of a training or a comparison would read.

    Args:
        config: as `load` returns it.
        settings: as `split` returns them.
        name: name of the command.

    Raises:
        UserError: every phase or strategy has its own value, or the setting is of another command.

    >>> refuse_unread(load('configs/finetune.py'), [(['steps'], '3')], 'train')
    Traceback (most recent call last):
    tljax.core.UserError: --config.steps is read by no fit, as each fit has its own value: set ...
    """
    for path, _ in settings:
        if path[-1] == 'withdrawn' and name not in WITHDRAWING:
            raise UserError(
                f'--config.{".".join(path)}: experiments.{name} also reads data outside of fits: '
                'take the examples out of the files'
            )
    if name not in ('train', 'compare', 'soup'):
        return
    for path, _ in settings:
        setting = '.'.join(path)
        if path[0] == 'commands':
            raise UserError(f'--config.{setting} says which commands take the config: leave it out')
        if path[0] == 'study' and name == 'train':
            raise UserError(f'--config.{setting} is read by experiments.compare only')
        if path == ['per_class'] and name == 'compare':
            raise UserError('--config.per_class is read by no fit: set --config.study.budgets')
        if path[0] in ('phases', 'study'):
            continue
        fits = _fits(_marked(plain(config), path), name, path)
        if fits and not any(_at(fit, path) == MARK for _, fit in fits):
            places = dict.fromkeys(f'--config.{place}.{setting}' for place, _ in fits)
            raise UserError(
                f'--config.{setting} is read by no fit, as each fit has its own value: set '
                + ', '.join([*places][:3])
            )


def refuse_two_lengths(config: Config, settings: Settings, name: str) -> None:
    """Refuses `steps` on the command line where every fit counts epochs instead.

    Args:
        config: a plain dict, with the settings of the command line.
        settings: as `split` returns them.
        name: name of the command.

    Raises:
        UserError: no fit reads the setting, which the error names.

    >>> config = plain(load('configs/digits.py')) | {'epochs': 2.0}
    >>> refuse_two_lengths(config, [(['epochs'], '2'), (['steps'], '9')], 'train')
    Traceback (most recent call last):
    tljax.core.UserError: --config.steps is read by no fit, as epochs take its place: ...
    """
    for (*place, key), _ in settings if name in ('train', 'compare', 'soup') else ():
        fits = [
            fit
            for setting, fit in _fits(config, name, ['steps'])
            if not place or place[0] == 'study' or setting == '.'.join(place)
        ]
        if key == 'steps' and fits and all(fit['epochs'] for fit in fits):
            raise UserError(
                f'--config.{".".join([*place, key])} is read by no fit, as epochs take its place: '
                'leave one of them, or set epochs of its phase to 0'
            )


def _marked(config: Config, path: list[str]) -> Record:
    """Returns the config with MARK as the value of a setting."""
    *parents, key = path
    place = config
    for parent in parents:
        place = place.setdefault(parent, {})
    place[key] = MARK
    return config


def _at(config: object, path: list[str]) -> object:
    """Returns the value of a setting in a config; None where the config lacks it."""
    for key in path:
        config = config.get(key) if isinstance(config, dict) else None
    return config


def _fits(config: Config, name: str, path: list[str]) -> list[tuple[str, Config]]:
    """Returns the fits of a training or a comparison: (key of the fit in the config, its config).

    The key is the one below which the setting of that fit can be set.

    Args:
        config: a plain dict, in which MARK may stand for the setting.
        name: name of the command.
        path: keys on the way to the setting.
    """
    fits = [(f'phases.{phase}', fit) for phase, fit in phases(config)]
    if name != 'compare':
        return fits
    *earlier, (phase, last) = fits
    set_by_phase = _at(last, path) != MARK  # then no strategy matters
    for strategy, changes in config['study']['strategies'].items():
        place = f'study.strategies.{strategy}'
        earlier.append((phase if set_by_phase else place, merge(last, changes, place)))
    return earlier


def workdir(file: str) -> Path:
    """Returns the default folder of a config's run: `runs/` and the config's name and argument.

    Args:
        file: value of `--config`.

    >>> str(workdir('configs/digits.py:source=untrained,smoke'))
    'runs/digits-source-untrained-smoke'
    """
    path, _, argument = file.partition(':')
    parts = [re.sub(r'[^\w.+]+', '-', part).strip('-') for part in argument.split(',')]
    return Path('runs', '-'.join([Path(path).stem, *filter(None, parts)]))
