"""What may be set at each place of a config: the keys there, the keywords of the function that it
names, and the type of each."""

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
    'pseudo': PSEUDO,
    'partition': OPTIM,
    'map': SHALLOW,
    'weights': SHALLOW,
}  # key -> where its names are
LATER: dict[str | tuple[str, ...], set[str]] = {
    METHODS: {'net', 'classes', 'several'},
    ZOO: {'stored'},
    OPTIM: {'groups'},
    PSEUDO: {'features', 'logits'},
}  # arguments that no config says
OWN = {'data': {'task': str}}  # what else is read beside the keywords of a function
SOURCE = {'run': str, 'features': str, 'weights': str, 'size': int, 'top1': float}  # of a ranking
SINGLE = {'per_class': int | None, 'most': int | None, 'seeds': Sequence[int]}  # no default tells
Kind = Any  # a type, as an annotation says it: classes, unions and generics share no type
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
        takes: {key: type of its value}; None where any key may stand.
        holds: {key: its value}, as the fit that the place belongs to reads them.
        who: the function that takes them; '' where there is none.

    >>> Place({'size': int}, {'size': 8}, 'digits').who
    'digits'
    """

    takes: dict[str, Kind] | None
    holds: dict[str, Any]
    who: str = ''


def place_at(config: Config, path: Sequence[str]) -> Place:
    """What may stand in the dict at a place of a config.

    Args:
        config: a plain dict, as `configuration.plain` makes it.
        path: keys on the way to the dict; [] for the config itself.

    Raises:
        UserError: a name on the way is no function's, no phase's or no strategy's.

    >>> config = {'data': {'name': 'digits'}, 'steps': 5, 'phases': {'head': {}}}
    >>> place_at(config, ['phases', 'head', 'data']).takes
    {'size': <class 'int'>, 'name': <class 'str'>, 'task': <class 'str'>}
    """
    here, rest, default = _fit(config, list(path))
    package, optimiser = None, here.get('optim', {}).get('name', '')
    values = _of_values(here, default)
    found = Place({**SOURCE, **values} if 'sources' in path else values, here)
    for depth, key in enumerate(rest):
        kind = Any if found.takes is None else found.takes.get(key, Any)
        package = PACKAGES.get(key, package)
        here, default = ((each or {}).get(key) for each in (here, default))
        here, default = (each if isinstance(each, dict) else {} for each in (here, default))
        if key == 'optim' or 'groups' in rest[:depth]:
            found = Place(_of_optimiser(optimiser), here, optimiser)
        elif package and here.get('name'):
            what = '.'.join([*path[: -len(rest)], *rest[: depth + 1]])
            taken = keywords(package, here['name'], what)
            found = Place({**taken, 'name': str, **OWN.get(key, {})}, here, here['name'])
        elif found.who and not _names_a_function(kind) or key == 'groups':
            found = Place(None, here)
        else:
            taken = _of_values(here, default)
            found = Place({'name': str, **taken} if package else taken, here)
    return found


def _fit(config: Config, path: list[str]) -> tuple[Record, list[str], Record]:
    """The fit that a place belongs to, with all that it inherits; the way there; its defaults."""
    study = config.get('study', {})
    for above, among in (
        (['phases'], config.get('phases', {})),
        (['study', 'strategies'], study.get('strategies', {})),
        (['study', 'sources'], study.get('sources', {})),
    ):
        name, rest = path[len(above) : len(above) + 1], path[len(above) + 1 :]
        if path[: len(above)] != above or not name:
            continue
        if name[0] not in among:
            raise UserError(
                f'config.{".".join([*above, *name])} is not there: {nearest_name(name[0], among)}'
            )
        if above == ['phases']:
            return dict(phases(config))[name[0]], rest, DEFAULTS
        last, changes = phases(config)[-1][1], among[name[0]]
        return last | changes if above[1] == 'sources' else merge(last, changes), rest, DEFAULTS
    return config, path, DEFAULTS if 'steps' in config else {}


def _of_values(here: Record, default: Record) -> dict[str, Kind]:
    """The keys of a dict, with the types of their defaults or of their values."""
    return {
        key: SINGLE.get(key) or _kind(default.get(key, parse_value))
        for key, parse_value in {**default, **here}.items()
    }


def _kind(value: Setting) -> Kind:
    if value is None:
        return Any
    return Sequence if isinstance(value, list | tuple) else type(value)


def _of_optimiser(name: str) -> dict[str, Kind]:
    """What `optim` and a group take: keywords of ours, and the optimiser's own."""
    module = sys.modules[function(OPTIM, 'full', 'optim').__module__]
    ours = _parameters(module.group_transform, {'optimizer', 'steps', 'options'})
    own = getattr(module.optax, name) if name in module.OPTIMIZERS else module.optax.adam
    return {'name': str, **ours, **_parameters(own, {'learning_rate'})}


def keywords(package: str | tuple[str, ...], name: str, what: str) -> dict[str, Kind]:
    """The keywords that a config may give to a function, with their types.

    Args:
        package: as `configuration.named` takes it.
        name: of the function.
        what: key of the config, for errors.

    Raises:
        UserError: for an unknown name, with the nearest one.

    >>> keywords('tljax.zoo', 'conv4', 'net')['size']
    <class 'int'>
    """
    found = _parameters(function(package, name, what), LATER.get(package, set()))
    first = next(iter(found), None)
    return {'of': found[first], **found} if first and _names_a_function(found[first]) else found


def _parameters(made_by: Callable, later: set[str]) -> dict[str, Kind]:
    return {
        key: Any if each.annotation is each.empty else each.annotation
        for key, each in inspect.signature(made_by, eval_str=True).parameters.items()
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
    """Whether a value of the type is a config of a function: of a network, a set, a method."""
    return is_of_type({'name': ''}, kind) and not is_of_type({}, kind)


def parse_value(text: str | None, kind: Kind) -> Setting:
    """What a text of the command line stands for.

    Args:
        text: as a literal of Python, or as it is; None where a flag has no value.
        kind: the type that is asked for.

    Raises:
        UserError: another type, in words.

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
    found: Any
    try:
        found = ast.literal_eval({'true': 'True', 'false': 'False'}.get(text, text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        found = text
    several = () if text == '' else (found,)
    meant: tuple[Any, ...] = (found, several, text)  # a list of one; a name like 12
    for each in meant:
        if is_of_type(each, kind):
            return float(each) if kind is float else each
    if kind is bool:
        raise UserError(f'{text!r} is neither true nor false')
    raise UserError(f'{text!r} is not {_words(kind)}')


def is_of_type(found: Setting, kind: Kind) -> bool:
    """Whether a value is of a type, as the annotation of a keyword says it.

    Args:
        found: the value.
        kind: the type.

    >>> is_of_type(3, float), is_of_type(True, int), is_of_type([1, 'a'], Sequence[int])
    (True, False, False)
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return any(is_of_type(found, part) for part in parts)
    if kind in (Any, object):
        return True
    if kind in (None, types.NoneType):
        return found is None
    if kind in (bool, int, float):
        return isinstance(found, (int, float) if kind is float else kind) and isinstance(
            found, bool
        ) == (kind is bool)
    if kind in (str, Path):
        return isinstance(found, str)
    if (origin or kind) in (Sequence, list, tuple):
        return isinstance(found, list | tuple) and all(
            is_of_type(each, parts[0]) or parts[0] is Callable and isinstance(each, str)
            for each in found
            if parts
        )
    if kind is dict or origin is dict and parts[1] is not Dataset:
        return isinstance(found, dict)
    return isinstance(found, dict) and set(found) >= {'name'}  # a config of a function


def _words(kind: Kind) -> str:
    if get_origin(kind) in (Union, types.UnionType):
        return ' or '.join(dict.fromkeys(map(_words, get_args(kind))))
    if (get_origin(kind) or kind) in (Sequence, list, tuple):
        return 'a list, such as "(1, 2)"'
    return WORDS.get(kind, 'a dict: set its keys one by one')


def method_names(chapter: str = '') -> list[str]:
    """The names of all methods, or of those of one chapter, in alphabetical order.

    Files are read, not imported, so that a config may ask.

    Args:
        chapter: a folder of `tljax/methods`; '' stands for all of them.

    >>> 'dann' in method_names(), 'dann' in method_names('few_shot')
    (True, False)
    """
    found = contents(METHODS, (chapter,) if chapter else ())
    return sorted(
        name for name in found if re.search('^BATCHES = ', _text(found[name]), re.MULTILINE)
    )


def method_takes(name: str, keyword: str) -> bool:
    """Whether the factory of a method takes a keyword; its file is read, not imported.

    Args:
        name: of the method.
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
