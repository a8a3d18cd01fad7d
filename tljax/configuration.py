"""What a config says: as a plain dict, with changes laid over it, phase by phase, and the functions
that it names.

Configs are written with ml_collections; here they become dicts of numbers, strings and lists, as
they stand in a JSON file, and `build` makes objects of those. Nothing else reads one.
"""

import importlib
import inspect
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ml_collections import ConfigDict

from tljax.core import UserError, nearest_name
from tljax.protocols import Config, Setting

# what a network makes of a data set is one, too
METHODS, DATA, ZOO = 'tljax.methods', ('tljax.data', 'tljax.features'), 'tljax.zoo'
AUGMENT, PENALTIES = 'tljax.nn.augment', METHODS  # penalties are a chapter of the methods' door
# keyword -> package of its configs
ELSEWHERE = {
    'net': ZOO,
    'method': METHODS,
    'penalty': PENALTIES,
    'weak': AUGMENT,
    'strong': AUGMENT,
}

T = TypeVar('T')
DEFAULTS: dict[str, Any] = dict(
    # one run each, trained together; a seed draws initialisation, labels, batches and noise
    seeds=[0],
    steps=1000,
    epochs=0.0,  # passes over the training set, in place of steps; 0: steps hold
    batch=64,  # examples per step and seed, over all devices
    data=dict(name=''),  # tljax.data; tljax.features: extracted
    # tljax.methods.pseudo_labels: labels by the run that `init` names, in place of the data's own
    pseudo=dict(name=''),
    per_class=None,  # labels per class, drawn by the seed; None: all
    shuffled=False,  # labels permuted over the examples: a control
    # of the loss: 'balanced' (every class counts alike), or a number for each class
    class_weights='',
    # names of tljax.nn.augment's functions with their default strengths, or configs of them
    augment=[],
    net=dict(name=''),  # tljax.zoo
    method=dict(name='finetune'),  # tljax.methods
    penalty=dict(name=''),  # tljax.methods.penalties
    # to graft from: a run, a Keras file, 'imagenet'; a phase
    init=dict(path='', phase='', rules=[['backbone/.*', None]]),
    partition=dict(name='full'),  # tljax.engine.optim: full, freeze, layerwise, by_path
    # BatchNorm of trained layers: follow (the batch's), stored, batch (frozen layers too)
    statistics='follow',
    optim=dict(name='adam', lr=1e-3, schedule='cosine', warmup=0, weight_decay=0.0, clip=0.0),
    # keywords of tljax.engine.optim.group by label: groups.backbone.scale=0.1
    groups={},
    # whether what is frozen is extracted once, and the rest trained on it
    cache=True,
    parallel='jit',  # or pmap
    chunk=0,  # steps per call; 0: one for a single seed on a CPU, else ten
    log_every=100,
    save_every=0,  # 0: at the end only
    eval_every=0,
    eval_batch=256,
    keep='last',  # or 'best': what finishes has the best validation score
    patience=0,  # evaluations without a better one before a run stops; 0: never
)


def settings(**changes: Setting) -> Config:
    """The config of one fit, as a plain dict: the defaults with changes laid over them.

    Args:
        **changes: values for keys of DEFAULTS.

    Raises:
        UserError: for a key that is no setting, with the nearest one.

    >>> settings(steps=5, optim={'lr': 0.1})['optim']['lr']
    0.1
    """
    return merge(DEFAULTS, plain(changes))


def plain(config: ConfigDict | Config) -> Config:
    """A config as a plain dict of dicts, numbers, strings and lists, as it stands in a JSON file.

    Args:
        config: as a file of `configs` makes it, or a dict.

    >>> plain(ConfigDict({'seeds': (0, 1)}))
    {'seeds': [0, 1]}
    """
    return json.loads(json.dumps(config.to_dict() if isinstance(config, ConfigDict) else config))


def merge(config: Config, changes: Config, where: str = 'config') -> Config:
    """`config` with `changes` laid over it, key by key; a dict that names another thing (its 'name'
    differs) takes its place.

    Args:
        config: a plain dict.
        changes: a plain dict of some of its keys.
        where: what the config is called in errors.

    Raises:
        UserError: for a key that the config does not have, with the nearest one.

    >>> merge({'net': {'name': 'a', 'width': 1}, 'steps': 1}, {'net': {'name': 'b'}})
    {'net': {'name': 'b'}, 'steps': 1}
    >>> merge({'steps': 1}, {'stepz': 2})
    Traceback (most recent call last):
    tljax.core.UserError: config.stepz is unknown: did you mean steps?
    """
    if not isinstance(changes, dict):
        raise UserError(f'{where}={changes!r} is no dict: set its keys one by one')
    merged = dict(config)
    for key, value in changes.items():
        # factories check their own
        if key not in config and 'name' not in config and 'groups' not in where.split('.'):
            raise UserError(f'{where}.{key} is unknown: {nearest_name(key, config)}')
        old = config.get(key)
        if (
            not isinstance(value, dict)
            or not isinstance(old, dict)
            or value.get('name', old.get('name')) != old.get('name')
        ):
            merged[key] = value
        else:
            merged[key] = merge(old, value, f'{where}.{key}')
    return merged


def phases(config: ConfigDict | Config) -> list[tuple[str, Config]]:
    """The fits that a config stands for, in their order: [(name, config without phases)].

    Args:
        config: as a file of `configs` makes it, or the same as a plain dict.

    >>> [
    ...     (name, each['steps'])
    ...     for name, each in phases(
    ...         {'steps': 1, 'phases': {'first': {'steps': 5}, 'second': {}}, 'study': {}}
    ...     )
    ... ]
    [('first', 5), ('second', 1)]
    """
    config = plain(config)
    for name, changes in config['phases'].items():
        if not isinstance(changes, dict):
            raise UserError(f'phases.{name}={changes!r} is no dict: set its keys one by one')
    single = {
        key: value for key, value in config.items() if key not in ('commands', 'phases', 'study')
    }
    return [(name, merge(single, changes)) for name, changes in config['phases'].items()] or [
        ('train', single)
    ]


def folder(workdir: str | Path, names: Sequence[str], name: str) -> Path:
    """Where a phase lives: numbered, in the order of the phases.

    Args:
        workdir: folder of the run.
        names: of all phases, in their order.
        name: of the phase.

    >>> str(folder('runs/a', ['pretrain', 'transfer'], 'transfer'))
    'runs/a/01-transfer'
    """
    if name not in names:
        raise UserError(f'init.phase={name!r} is no earlier phase: {nearest_name(name, names)}')
    return Path(workdir, f'{names.index(name):02d}-{name}')


def call_named(package: str | tuple[str, ...], spec: Config, what: str, **given: Any) -> Any:
    """Calls the function that a config names, with the rest of the config as keywords.

    A keyword whose value names a function itself is resolved first, from the inside out:
    `dict(name='truncated', of=dict(name='resnet50'), tap='conv1')` calls `truncated(resnet50(),
    tap='conv1')`. The key `of` stands for a function's first argument. A nested config is looked up
    in the package of the outer one, unless ELSEWHERE has its keyword.

    Args:
        package: dotted name of a package with a door (`tljax.doors`), or of a module with NAMES of
            functions; or several of them.
        spec: {'name': name of the function, keyword: value}.
        what: key of the config, for errors.
        given: arguments that the config does not say. They go to the innermost function of the
            package.

    Raises:
        UserError: for an unknown or a missing name or keyword, with the nearest one.

    >>> call_named(
    ...     'tljax.zoo',
    ...     {
    ...         'name': 'truncated',
    ...         'of': {'name': 'mobilenet', 'alpha': 0.25},
    ...         'tap': 'block3',
    ...         'size': 32,
    ...     },
    ...     'net',
    ... ).dim
    32
    >>> call_named('tljax.zoo', {'name': 'conv5'}, 'net')
    Traceback (most recent call last):
    tljax.core.UserError: net.name='conv5' is unknown: did you mean conv4?
    """
    return bind_named(package, spec, what, *given)(**given)


def bind_named(
    package: str | tuple[str, ...], spec: Config, what: str, *later: str
) -> Callable[..., Any]:
    """What `call_named` calls, as a function that waits for the arguments that the config does not
    say.

    Args:
        package: as `call_named` takes it.
        spec: as `call_named` takes it.
        what: as `call_named` takes it.
        later: names of the arguments that are given later; the function takes those of them that it
            needs.

    Raises:
        UserError: as `call_named`.

    >>> make = bind_named('tljax.zoo', {'name': 'mlp', 'widths': [3]}, 'net', 'norm')
    >>> make(norm='batch').dim
    3
    """
    if not isinstance(spec, dict) or not isinstance(spec.get('name'), str):
        raise UserError(f'{what}={spec!r} names no function: give {what}.name')
    name, made_by = spec['name'], function(package, spec['name'], what)
    parameters = inspect.signature(made_by).parameters
    accepted = [key for key in parameters if key not in later]
    keywords, inside = {}, {}
    for key, value in spec.items():
        if key == 'name':
            continue
        said, key = f'{what}.{key}', accepted[0] if key == 'of' and accepted else key
        if key not in accepted:
            raise UserError(f'{said} is unknown to {name}: {nearest_name(key, accepted)}')
        place = ELSEWHERE.get(key, package)
        if not isinstance(value, dict) or 'name' not in value:
            keywords[key] = (
                call_each(place, value, said)
                if key in ELSEWHERE and isinstance(value, list | tuple)
                else value
            )
        elif place == package:
            inside[key] = bind_named(place, value, said, *later)
        else:
            keywords[key] = call_named(place, value, said)
    # a function takes what it needs
    own = () if inside else [key for key in later if key in parameters]
    missing = [
        key
        for key, each in parameters.items()
        if each.default is each.empty and key not in {*own, *keywords, *inside}
    ]
    if missing:
        raise UserError(f'{what}: {name} needs {missing[0]}: give {what}.{missing[0]}')

    def make(**given):
        made = {key: inner(**given) for key, inner in inside.items()}
        return made_by(**(made or {key: given[key] for key in own if key in given}), **keywords)

    return make


def call_each(
    package: str | tuple[str, ...],
    specs: str | Config | None | Sequence[str | Config | None],
    what: str,
) -> list[Any]:
    """What `call_named` gives for each of several configs.

    A name alone stands for a function's defaults, None and 'none' for no function.

    Args:
        package: as `call_named` takes it.
        specs: the configs, or a single one.
        what: key of the config, for errors.

    >>> len(call_each('tljax.nn.augment', ['flip', {'name': 'crop', 'padding': 1}], 'augment'))
    2
    >>> call_each('tljax.nn.augment', [None], 'augment')
    []
    """
    several: list[Any] = list(specs) if isinstance(specs, list | tuple) else [specs]
    if several in ([None], ['none']):
        return []
    return [
        call_named(package, {'name': spec} if isinstance(spec, str) else spec, what)
        for spec in several
    ]


def function(package: str | tuple[str, ...], name: str, what: str) -> Callable[..., Any]:
    """The function of this name in a package, or in the first of several packages that has it.

    Args:
        package: as `call_named` takes it.
        name: of the function.
        what: key of the config, for errors.

    Raises:
        UserError: for an unknown name, with the nearest one.

    >>> function('tljax.methods', 'dann', 'method').__name__
    'dann'
    """
    homes = [
        importlib.import_module(each)
        for each in ([package] if isinstance(package, str) else package)
    ]
    names = {
        each: home for home in reversed(homes) for each in getattr(home, 'NAMES', None) or dir(home)
    }
    if name not in names:
        raise UserError(f'{what}.name={name!r} is unknown: {nearest_name(name, names)}')
    return getattr(names[name], name)


def takes_keyword(package: str | tuple[str, ...], name: str, keyword: str) -> bool:
    """Whether the function of this name takes a keyword.

    Args:
        package: as `call_named` takes it.
        name: of the function.
        keyword: name of the keyword.

    >>> takes_keyword(DATA, 'npz', 'task'), takes_keyword(DATA, 'digits', 'task')
    (True, False)
    """
    return keyword in inspect.signature(function(package, name, 'data')).parameters


def stated_by_method(spec: Config, what: str, default: T) -> T:
    """What the file of a method says of itself (`tljax.methods`), or the file of the method that it
    is made over.

    Args:
        spec: config of the method, {'name': ...}.
        what: name of the statement, 'BATCHES'.
        default: what holds where no file states it.

    >>> (
    ...     stated_by_method({'name': 'dann'}, 'BATCHES', 'labelled'),
    ...     stated_by_method({'name': 'dann'}, 'LOOPED', False),
    ... )
    ('domains', False)
    """
    module = sys.modules[function(METHODS, spec['name'], 'method').__module__]
    inner = spec.get('of', spec.get('method'))
    if hasattr(module, what) or not isinstance(inner, dict):
        return getattr(module, what, default)
    return stated_by_method(inner, what, default)


def innermost(spec: Config) -> Config:
    """The config of the function that others are made of.

    Args:
        spec: {'name': ..., 'of': the config of the function inside}.

    >>> innermost({'name': 'by_domain', 'of': {'name': 'lenet'}})
    {'name': 'lenet'}
    """
    while isinstance(spec.get('of'), dict):
        spec = spec['of']
    return spec
