"""The config that a command is given: its file, its arguments, and the settings laid over it."""

import importlib.util
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

MARK = 'a setting that is looked for'
Settings = list[tuple[list[str], str | None]]  # keys on the way to a setting, and its text


def split(argv: list[str]) -> tuple[list[str], str | None, Settings]:
    """Takes a command line apart, and the flags of a --flagfile on it.

    Args:
        argv: the command line.

    Returns:
        (the arguments that are not about the config, FILE of `--config=FILE`, the settings).

    >>> split(['train', '--config=configs/digits.py:smoke', '--config.optim.lr=3', '--json'])
    (['train', '--json'], 'configs/digits.py:smoke', [(['optim', 'lr'], '3')])
    """
    rest, given, settings = [], None, []
    ahead = deque(flags.FLAGS.read_flags_from_files(list(argv), force_gnu=False))
    while ahead:
        argument = ahead.popleft()
        found = re.fullmatch(r'--?(no)?config(?:\.([\w.]+))?(?:=(.*))?', argument, re.DOTALL)
        if not found or found[1] and not found[2]:
            rest.append(argument)
            continue
        text = 'False' if found[1] else found[3]
        if text is None and ahead and not re.match('--?[a-zA-Z]', ahead[0]):
            text = ahead.popleft()
        if found[2]:
            settings.append((found[2].split('.'), text))
        else:
            given = text
    return rest, given or None, settings


def load(given: str) -> ConfigDict:
    """The locked config of a file.

    Args:
        given: path of the file, and behind a colon the argument of its `get_config`.

    Raises:
        UserError: for a file that is missing or raises an error, and an argument it does not take.

    >>> load('configs/digits.py:smoke').steps
    4
    >>> load('configs/digit.py')
    Traceback (most recent call last):
    tljax.core.UserError: configs/digit.py does not exist: did you mean digits.py?
    """
    path, *argument = given.split(':', 1)
    if not Path(path).is_file():
        names = sorted(file.name for file in Path(path).parent.glob('*.py') if file.stem[0] != '_')
        raise UserError(
            f'{path} does not exist: {nearest_name(Path(path).name, names)}'
            if names
            else f'{path} does not exist: name a file of configs/'
        )
    try:
        module = _module(path)
        if not hasattr(module, 'get_config'):
            raise UserError(f'{path} has no get_config(): see configs/digits.py')
        config = module.get_config(*argument)
    except ValueError as error:
        raise UserError(error) from None
    except Exception as error:  # whatever the file does wrong
        frames = [each for each in traceback.extract_tb(sys.exc_info()[2]) if each.filename == path]
        line = getattr(error, 'lineno', None) or (frames[-1].lineno if frames else 0)
        raise UserError(f'{path}, line {line}: {type(error).__name__}: {error}') from None
    if not isinstance(config, ConfigDict):
        raise UserError(f'get_config() of {path} returns no ConfigDict: see configs/digits.py')
    return config.lock()


def _module(path: str) -> ModuleType:
    loader = SourceFileLoader('config_file', path)
    spec = importlib.util.spec_from_loader('config_file', loader)
    assert spec is not None  # there is a loader
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def refuse_other_command(config: ConfigDict, given: str, name: str) -> None:
    """Refuses a config of other commands.

    Args:
        config: as `load` gives it.
        given: what `--config` says.
        name: of the command.

    Raises:
        UserError: names the command that the config is of.

    >>> refuse_other_command(load('configs/rank.py'), 'configs/rank.py', 'train')
    Traceback (most recent call last):
    tljax.core.UserError: configs/rank.py is a config of experiments.rank
    """
    path, commands = given.partition(':')[0], config.get('commands', ())
    if not commands:
        raise UserError(
            f'{path} states no `commands`: begin with base.get_config() of configs/base.py'
        )
    if name not in commands:
        raise UserError(f'{path} is a config of experiments.{commands[0]}')


def lay(config: ConfigDict, given: str, settings: Settings) -> None:
    """Lays the settings of a command line over a config, names of functions first.

    A keyword that another function took, and the one that is named now does not, is left out.

    Args:
        config: as `load` gives it.
        given: what `--config` says.
        settings: as `split` gives them.

    Raises:
        UserError: for what is no setting, with the nearest one, and for a value of another type.

    >>> lay(load('configs/digits.py'), 'configs/digits.py', [(['optim', 'lrr'], '1')])
    Traceback (most recent call last):
    tljax.core.UserError: config.optim.lrr is no setting of configs/digits.py: did you mean lr? ...
    """
    file = given.partition(':')[0]
    for path, text in sorted(settings, key=lambda each: (each[0][-1] != 'name', len(each[0]))):
        kind, name = _kind(config, file, path), '.'.join(path)
        if text == 'None' and kind in (str, Path, str | Path):
            raise UserError(
                f'--config.{name}=None: None is no name: write nothing behind = for none, or ./None'
            )
        try:
            found = keywords.parse_value(text, kind)
        except UserError as refused:
            raise UserError(
                f'--config.{name}{"" if text is None else f"={text}"}: {refused}'
            ) from None
        _put(config, path, found)
        if path[-1] == 'name':
            _leave_out(config, path[:-1])


def _kind(config: ConfigDict, file: str, path: list[str]) -> object:
    """The type of a setting."""
    whole, kind = plain(config), dict
    for depth, key in enumerate(path):
        place, passed = keywords.place_at(whole, path[:depth]), '.'.join(['config', *path[:depth]])
        if place.takes is not None and key not in place.takes:
            remedy = nearest_name(key, place.takes)
            if place.who and remedy.endswith('?'):
                remedy += f' ({place.who} takes {abbreviated(place.takes)})'
            raise UserError(f'{passed}.{key} is no setting of {file}: {remedy}')
        kind = object if place.takes is None else place.takes[key]
        below = path[depth + 1 : depth + 2]
        if below and not keywords.holds_keys(kind):
            held = place.holds.get(key)
            held = tuple(held) if isinstance(held, list) else held
            raise UserError(
                f'{passed}.{key} is {held!r} in {file}, which has no {below[0]}: write '
                f'--{passed}.{key}=VALUE'
            )
    return kind


def _put(config: ConfigDict, path: list[str], found: object) -> None:
    """Sets a setting, which may be new; what follows another one follows it no longer."""
    with config.ignore_type(), config.unlocked():
        place = config
        for key in path[:-1]:
            if not isinstance(place.get(key), ConfigDict):
                place[key] = ConfigDict()
            place = place[key]
        if len(path) > 1 and path[-1] in place:
            del place[path[-1]]
        place[path[-1]] = tuple(found) if isinstance(found, list) else found


def _leave_out(config: ConfigDict, path: list[str]) -> None:
    """Leaves out the keywords that the function named now does not take."""
    place, taken = config, keywords.place_at(plain(config), path)
    for key in path:
        place = place[key]
    for key in [key for key in place if key not in (taken.takes or place)]:
        name = '.'.join(['config', *path, key])
        say(f'{name}={place[key]!r} is left out: {place.name} does not take it')
        with config.unlocked():
            del place[key]


def refuse_unread(config: ConfigDict, settings: Settings, name: str) -> None:
    """Refuses a setting that no fit of a training or a comparison would read.

    Args:
        config: as `load` gives it.
        settings: as `split` gives them.
        name: of the command.

    Raises:
        UserError: every phase or strategy says its own value, or the setting is another command's.

    >>> refuse_unread(load('configs/finetune.py'), [(['steps'], '3')], 'train')
    Traceback (most recent call last):
    tljax.core.UserError: --config.steps is read by no fit, as each has its own: set ...
    """
    if name not in ('train', 'compare'):
        return
    for path, _ in settings:
        setting = '.'.join(path)
        if path[0] == 'commands':
            raise UserError(f'--config.{setting} says whose config it is: leave it out')
        if path[0] == 'study' and name == 'train':
            raise UserError(f'--config.{setting} is read by experiments.compare alone')
        if path == ['per_class'] and name == 'compare':
            raise UserError('--config.per_class is read by no fit: set --config.study.budgets')
        if path[0] in ('phases', 'study'):
            continue
        fits = _fits(_marked(plain(config), path), name, path)
        if fits and not any(_at(fit, path) == MARK for _, fit in fits):
            places = dict.fromkeys(f'--config.{place}.{setting}' for place, _ in fits)
            raise UserError(
                f'--config.{setting} is read by no fit, as each has its own: set '
                + ', '.join([*places][:3])
            )


def refuse_two_lengths(config: Config, settings: Settings, name: str) -> None:
    """Refuses a `steps` of the command line that no fit goes by, as epochs take its place.

    Args:
        config: with what the command line sets.
        settings: as `split` gives them.
        name: of the command.

    Raises:
        UserError: names the setting.

    >>> config = plain(load('configs/digits.py')) | {'epochs': 2.0}
    >>> refuse_two_lengths(config, [(['epochs'], '2'), (['steps'], '9')], 'train')
    Traceback (most recent call last):
    tljax.core.UserError: --config.steps is read by no fit, as epochs take its place: ...
    """
    for (*place, key), _ in settings if name in ('train', 'compare') else ():
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


def _fits(config: Config, name: str, path: list[str]) -> list[tuple[str, Config]]:
    """The fits of a training or a comparison, and the place in the config that sets the setting of
    each."""
    fits = [(f'phases.{phase}', fit) for phase, fit in phases(config)]
    if name == 'train':
        return fits
    *earlier, (place, last) = fits
    own = _at(last, path) != MARK  # the phase sets it, whatever a strategy says
    return earlier + [
        (
            place if own else f'study.strategies.{each}',
            merge(last, changes, f'study.strategies.{each}'),
        )
        for each, changes in config['study']['strategies'].items()
    ]


def workdir(given: str) -> Path:
    """Where the run of a config goes by default: `runs/` and its name with its argument.

    Args:
        given: what `--config` says.

    >>> str(workdir('configs/digits.py:source=untrained,smoke'))
    'runs/digits-source-untrained-smoke'
    """
    path, _, argument = given.partition(':')
    parts = [re.sub(r'[^\w.+]+', '-', part).strip('-') for part in argument.split(',')]
    return Path('runs', '-'.join([Path(path).stem, *filter(None, parts)]))
