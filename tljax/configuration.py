"""What a config says: as a plain dict, with changes laid over it, phase by phase, and the functions that it names.

Configs are written with ml_collections; here they become dicts of numbers, strings and lists, as they stand in a JSON file, and `build`
makes objects of those. Nothing else reads one.
"""
import ast
import difflib
import importlib
import inspect
import json
import re
from pathlib import Path

from ml_collections import ConfigDict

from tljax.core import Refused


def plain(config):
    """A config as a plain dict of dicts, numbers, strings and lists, as it stands in a JSON file.

    >>> plain(ConfigDict({'seeds': (0, 1)}))
    {'seeds': [0, 1]}
    """
    return json.loads(json.dumps(config.to_dict() if isinstance(config, ConfigDict) else config))


def merge(config, changes, where='config'):
    """`config` with `changes` laid over it, key by key; a dict that names another thing (its 'name' differs) takes its place.

    Raises:
        Refused: for a key that the config does not have, with the nearest one.

    >>> merge({'net': {'name': 'a', 'width': 1}, 'steps': 1}, {'net': {'name': 'b'}})
    {'net': {'name': 'b'}, 'steps': 1}
    >>> merge({'steps': 1}, {'stepz': 2})
    Traceback (most recent call last):
    tljax.core.Refused: config.stepz is unknown: did you mean steps?
    """
    merged = dict(config)
    for key, value in changes.items():
        if key not in config and 'name' not in config and 'groups' not in where.split('.'):   # factories check their own
            raise Refused(f'{where}.{key} is unknown: {near(key, config)}')
        old = config.get(key)
        replaces = not isinstance(value, dict) or not isinstance(old, dict) or value.get('name', old.get('name')) != old.get('name')
        merged[key] = value if replaces else merge(old, value, f'{where}.{key}')
    return merged


def phases(config):
    """The fits that a config stands for, in their order: [(name, config without phases)].

    >>> [(name, each['steps']) for name, each in phases({'steps': 1, 'phases': {'first': {'steps': 5}, 'second': {}}, 'study': {}})]
    [('first', 5), ('second', 1)]
    """
    config = plain(config)
    single = {key: value for key, value in config.items() if key not in ('commands', 'phases', 'study')}
    return [(name, merge(single, changes)) for name, changes in config['phases'].items()] or [('train', single)]


def folder(workdir, names, name):
    """Where a phase lives: numbered, in the order of the phases.

    >>> str(folder('runs/a', ['pretrain', 'transfer'], 'transfer'))
    'runs/a/01-transfer'
    """
    if name not in names:
        raise Refused(f'init.phase={name!r} is no earlier phase: {near(name, names)}')
    return Path(workdir, f'{names.index(name):02d}-{name}')


def named(package, spec, what, **given):
    """Calls the function that `spec['name']` names with the rest of `spec` as keywords.

    `package` is a package with a module of the same name (or of the one that the package's NAMES gives), or a module with NAMES of
    functions.

    Raises:
        Refused: for an unknown name or keyword, with the nearest one.

    >>> named('tljax.zoo', {'name': 'conv5'}, 'net')
    Traceback (most recent call last):
    tljax.core.Refused: net.name='conv5' is unknown: did you mean conv4?
    """
    name, keywords = spec['name'], {key: value for key, value in spec.items() if key != 'name'}
    home = importlib.import_module(package)
    modules = getattr(home, 'NAMES', None) or {path.stem: path.stem for path in sorted(Path(home.__path__[0]).glob('[a-z]*.py'))}
    if name not in modules:
        raise Refused(f'{what}.name={name!r} is unknown: {near(name, modules)}')
    factory = getattr(importlib.import_module(f'{package}.{modules[name]}') if hasattr(home, '__path__') else home, name)
    accepted = [key for key in inspect.signature(factory).parameters if key not in given]
    for key in keywords:
        if key not in accepted:
            raise Refused(f'{what}.{key} is unknown to {name}: {near(key, accepted)}')
    try:
        inspect.signature(factory).bind(**given, **keywords)
    except TypeError as error:
        raise Refused(f'{what}: {name} {error}: give {what}.{str(error).split(": ")[-1].strip(chr(39))}') from None
    return factory(**given, **keywords)


def stated(spec: dict, what: str, default):
    """What the file of a method says of itself (`tljax.methods`), or the file of the method that it is made over.

    Args:
        spec: config of the method, {'name': ...}.
        what: name of the statement, 'BATCHES'.
        default: what holds where no file states it.

    >>> stated({'name': 'dann'}, 'BATCHES', 'labelled'), stated({'name': 'dann'}, 'LOOPED', False)
    ('domains', False)
    """
    module = importlib.import_module(f'tljax.methods.{spec["name"]}')
    if hasattr(module, what) or not isinstance(spec.get('method'), dict):
        return getattr(module, what, default)
    return stated(spec['method'], what, default)


def method_names(batches: str = '') -> list[str]:
    """The names of all methods, or of those whose files state that they take such batches.

    Files are read, not imported, so that a config may ask.

    Args:
        batches: 'labelled', 'domains' or 'episodes'; '' stands for any.

    Returns:
        Names in alphabetical order.

    >>> 'dann' in method_names('domains'), 'dann' in method_names('episodes')
    (True, False)
    """
    return sorted(name for name, path in _method_files().items()
                  if re.search(rf"^BATCHES = '{batches or '.*'}'", path.read_text(), re.MULTILINE))


def method_takes(name: str, keyword: str) -> bool:
    """Whether the factory of a method takes a keyword; its file is read, not imported.

    Args:
        name: of a method.
        keyword: of its factory.

    >>> method_takes('dann', 'ramp'), method_takes('shot', 'ramp')
    (True, False)
    """
    functions = [node for node in ast.parse(_method_files()[name].read_text()).body
                 if isinstance(node, ast.FunctionDef) and node.name == name]
    return any(keyword in (argument.arg for argument in (*each.args.args, *each.args.kwonlyargs))
               for each in functions)


def _method_files() -> dict[str, Path]:
    return {path.stem: path for path in Path(__file__).with_name('methods').rglob('[a-z]*.py')}


def near(name, names):
    """The remedy for a name that is not there: the nearest one, or all of them.

    >>> near('conv5', ['conv4', 'resnet'])
    'did you mean conv4?'
    """
    close = difflib.get_close_matches(str(name), [str(each) for each in names], 1, .5)
    return f'did you mean {close[0]}?' if close else f'there are {short(names)}'


def short(names, limit=12):
    """Names as one text, the first dozen of them.

    >>> short(range(20), limit=2)
    '0, 1 and 18 more'
    """
    names = [str(name) for name in names]
    return ', '.join(names[:limit]) + (f' and {len(names) - limit} more' if len(names) > limit else '') or 'none'
