"""Which settings each dict of a config may have, and their types: its own keys, and the keywords of
the function that it names."""

import ast
import inspect
import re
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Union, get_args, get_origin

from tljax.configuration import (
    DATA,
    DEFAULTS,
    ELSEWHERE,
    GIVEN,
    METHODS,
    ZOO,
    function,
    merge,
    phases,
)
from tljax.core import Dataset, UserError, nearest_name
from tljax.doors import contents
from tljax.protocols import Config, Record, Setting

OPTIM, SHALLOW, PSEUDO = 'tljax.engine.optim', 'tljax.shallow', 'tljax.methods.pseudo_labels'
PACKAGES = {
    **ELSEWHERE,
    'data': DATA,
    'targets': DATA,
    'domains': DATA,
    'sets': DATA,
    'features': DATA,
    'pseudo': PSEUDO,
    'partition': OPTIM,
    'map': SHALLOW,
    'weights': SHALLOW,
    'learner': SHALLOW,
}  # {key: package of the functions that its value names}
LATER: dict[str | tuple[str, ...], set[str]] = {
    METHODS: {*GIVEN},
    ZOO: {'stored'},
    OPTIM: {'groups'},
    PSEUDO: {'features', 'logits'},
}  # {package: arguments that no config says}
EXTRA = {'data': {'task': str}}  # {key: settings that are no keywords of the function}
SOURCE = {'run': str, 'features': str, 'weights': str, 'size': int, 'top1': float}  # of a ranking
# Settings whose default does not tell their type.
TYPES = {
    'per_class': int | None,
    'most': int | None,
    'words': int | None,
    'seeds': Sequence[int],
    'label_seeds': Sequence[int],
    'withdrawn': str | Sequence[str],
}
Kind = Any  # a type as an annotation writes it: classes, unions and generics have no common type
WORDS: dict[Kind, str] = {
    int: 'a whole number',
    float: 'a number',
    str: 'a text',
    Path: 'a path',
    bool: 'True or False',
    None: 'None',
    types.NoneType: 'None',
}


class Place(NamedTuple):
    """A dict of a config.

    Attributes:
        takes: {setting: its type}; None where any key is allowed.
        holds: {setting: its value}, with all that the fit inherits.
        who: name of the function whose keywords they are; '' where there is none.

    >>> Place({'size': int}, {'size': 8}, 'digits').who
    'digits'
    """

    takes: dict[str, Kind] | None
    holds: dict[str, Any]
    who: str = ''


def place_at(config: Config, path: Sequence[str]) -> Place:
    """The settings that a dict of a config may have.

    Args:
        config: a plain dict, as `configuration.plain` makes it.
        path: keys from the config to the dict; [] for the config itself.

    Raises:
        UserError: a name on the path belongs to no function, phase or strategy.

    >>> config = {'data': {'name': 'digits'}, 'steps': 5, 'phases': {'head': {}}}
    >>> place_at(config, ['phases', 'head', 'data']).takes
    {'size': <class 'int'>, 'name': <class 'str'>, 'task': <class 'str'>}
    """
    settings, rest, defaults = _fit(config, list(path))
    package, optimizer = None, settings.get('optim', {}).get('name', '')
    takes = _types(settings, defaults)
    place = Place({**SOURCE, **takes} if 'sources' in path else takes, settings)
    for depth, key in enumerate(rest):
        kind = Any if place.takes is None else place.takes.get(key, Any)
        package = PACKAGES.get(key, package)
        settings, defaults = _dict_at(settings, key), _dict_at(defaults, key)
        if key == 'optim' or 'groups' in rest[:depth]:
            place = Place(_of_optimizer(optimizer), settings, optimizer)
        elif package and settings.get('name'):
            what = '.'.join([*path[: -len(rest)], *rest[: depth + 1]])
            types_of_function = keywords(package, settings['name'], what)
            takes = {**types_of_function, 'name': str, **EXTRA.get(key, {})}
            place = Place(takes, settings, settings['name'])
        elif place.who and not _names_a_function(kind) or key == 'groups':
            place = Place(None, settings)
        else:
            takes = _types(settings, defaults)
            place = Place({'name': str, **takes} if package else takes, settings)
    return place


def _dict_at(tree, key):
    """The dict under a key; {} where there is none."""
    value = (tree or {}).get(key)
    return value if isinstance(value, dict) else {}


def _fit(config: Config, path: list[str]) -> tuple[Record, list[str], Record]:
    """The fit that a path leads into, with all that it inherits; the rest of the path; the defaults
    of a fit."""
    study = config.get('study', {})
    for prefix, children in (
        (['phases'], config.get('phases', {})),
        (['study', 'strategies'], study.get('strategies', {})),
        (['study', 'members'], study.get('members', {})),
        (['study', 'sources'], study.get('sources', {})),
    ):
        depth = len(prefix)
        if path[:depth] != prefix or len(path) == depth:
            continue
        name, rest = path[depth], path[depth + 1 :]
        if name not in children:
            raise UserError(
                f'config.{".".join([*prefix, name])} is not there: {nearest_name(name, children)}'
            )
        if prefix == ['phases']:
            return dict(phases(config))[name], rest, DEFAULTS
        last_phase, changes = phases(config)[-1][1], children[name]
        is_source = prefix[1] == 'sources'
        return last_phase | changes if is_source else merge(last_phase, changes), rest, DEFAULTS
    return config, path, DEFAULTS if 'steps' in config else {}


def _types(settings: Record, defaults: Record) -> dict[str, Kind]:
    """The type of each setting, from its default or else from its value."""
    return {
        key: TYPES.get(key) or _kind(defaults.get(key, value))
        for key, value in {**defaults, **settings}.items()
    }


def _kind(value: Setting) -> Kind:
    if value is None:
        return Any
    return Sequence if isinstance(value, list | tuple) else type(value)


def _of_optimizer(name: str) -> dict[str, Kind]:
    """The settings of `optim` and of a group: those of `group_transform`, and the optimiser's."""
    module = sys.modules[function(OPTIM, 'full', 'optim').__module__]
    settings = _parameters(module.group_transform, {'optimizer', 'steps', 'options'})
    optimizer = getattr(module.optax, name) if name in module.OPTIMIZERS else module.optax.adam
    return {'name': str, **settings, **_parameters(optimizer, {'learning_rate'})}


def keywords(package: str | tuple[str, ...], name: str, what: str) -> dict[str, Kind]:
    """The keywords that a config may give to a function, with their types.

    Args:
        package: as `configuration.call_named` takes it.
        name: name of the function.
        what: key of the config, for errors.

    Raises:
        UserError: an unknown name; names the nearest one.

    >>> keywords('tljax.zoo', 'conv4', 'net')['size']
    <class 'int'>
    """
    parameters = _parameters(function(package, name, what), LATER.get(package, set()))
    first = next(iter(parameters), None)
    if first and _names_a_function(parameters[first]):
        return {'of': parameters[first], **parameters}
    return parameters


def _parameters(factory: Callable, later: set[str]) -> dict[str, Kind]:
    """{parameter: type} of a function, without those that come later."""
    return {
        key: Any if parameter.annotation is parameter.empty else parameter.annotation
        for key, parameter in inspect.signature(factory, eval_str=True).parameters.items()
        if key not in later
    }


def holds_keys(kind: Kind) -> bool:
    """Whether a value of the type may be a dict.

    Args:
        kind: the type.

    >>> holds_keys(dict | None), holds_keys(int)
    (True, False)
    """
    return is_of_type({'name': ''}, kind)


def _names_a_function(kind: Kind) -> bool:
    """Whether values of the type are configs of functions, such as a network, a set or a method."""
    return is_of_type({'name': ''}, kind) and not is_of_type({}, kind)


def parse_value(text: str | None, kind: Kind) -> Setting:
    """The value of a text on the command line.

    Args:
        text: a literal of Python, or a plain word; None for a flag without a value.
        kind: type of the setting.

    Raises:
        UserError: the text is no value of this type.

    >>> (
    ...     parse_value('1e-3', float),
    ...     parse_value('(4, 8)', int | Sequence[int]),
    ...     parse_value('None', int | None),
    ... )
    (0.001, (4, 8), None)
    >>> parse_value('big', int)
    Traceback (most recent call last):
    tljax.core.UserError: 'big' is not a whole number
    """
    if text is None and not is_of_type(True, kind):
        raise UserError('a value is missing')
    text = 'True' if text is None else text
    literal: Any
    try:
        literal = ast.literal_eval({'true': 'True', 'false': 'False'}.get(text, text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        literal = text
    as_list = () if text == '' else (literal,)
    readings: tuple[Any, ...] = (literal, as_list, text)  # text: a name such as 12
    for value in readings:
        if is_of_type(value, kind):
            return float(value) if kind is float else value
    if kind is bool:
        raise UserError(f'{text!r} is neither true nor false')
    raise UserError(f'{text!r} is not {_words(kind)}')


def is_of_type(value: Setting, kind: Kind) -> bool:
    """Whether a value is of a type, as the annotation of a keyword writes it.

    Args:
        value: the value.
        kind: the type.

    >>> is_of_type(3, float), is_of_type(True, int), is_of_type([1, 'a'], Sequence[int])
    (True, False, False)
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return any(is_of_type(value, part) for part in parts)
    if kind in (Any, object):
        return True
    if kind in (None, types.NoneType):
        return value is None
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if kind in (int, float):
        return isinstance(value, (int, float) if kind is float else int)
    if kind in (str, Path):
        return isinstance(value, str)
    if (origin or kind) in (Sequence, list, tuple):
        return isinstance(value, list | tuple) and all(
            _is_item(item, parts[0]) for item in value if parts
        )
    if kind is dict or origin is dict and parts[1] is not Dataset:
        return isinstance(value, dict)
    return isinstance(value, dict) and 'name' in value  # the config of a function


def _is_item(item, kind):
    """Whether an item of a list is of a type; names stand for functions."""
    return is_of_type(item, kind) or kind is Callable and isinstance(item, str)


def _words(kind: Kind) -> str:
    if get_origin(kind) in (Union, types.UnionType):
        return ' or '.join(dict.fromkeys(map(_words, get_args(kind))))
    if (get_origin(kind) or kind) in (Sequence, list, tuple):
        return 'a list, such as "(1, 2)"'
    return WORDS.get(kind, 'a dict: set its keys one by one')


def method_names(chapter: str = '') -> list[str]:
    """The names of all methods, or of the methods of a chapter, in alphabetical order.

    Their files are read, not imported, so that a config can use this.

    Args:
        chapter: a folder of `tljax/methods`; '' for all of them.

    >>> 'dann' in method_names(), 'dann' in method_names('few_shot')
    (True, False)
    """
    module_of = contents(METHODS, (chapter,) if chapter else ())
    states_batches = re.compile('^BATCHES = ', re.MULTILINE)
    return sorted(name for name in module_of if states_batches.search(_text(module_of[name])))


def method_takes(name: str, keyword: str) -> bool:
    """Whether a method takes a keyword. Its file is read, not imported.

    Args:
        name: name of the method.
        keyword: name of the keyword.

    >>> method_takes('dann', 'ramp'), method_takes('shot', 'ramp')
    (True, False)
    """
    body = ast.parse(_text(contents(METHODS)[name])).body
    factory = next(node for node in body if isinstance(node, ast.FunctionDef) and node.name == name)
    return keyword in (argument.arg for argument in factory.args.args)


def _text(module):
    path = Path(__file__).parents[1].joinpath(*module.split('.')).with_suffix('.py')
    return path.read_text(encoding='utf-8')
