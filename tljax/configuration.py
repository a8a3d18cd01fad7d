"""Configs as plain dicts: their defaults, changes to them, their phases, and the functions that
they name.

The files of `configs` use ml_collections. Here a config becomes a dict of dicts, numbers, strings
and lists, as JSON holds it. `tljax.parts` turns its names into functions.
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

# Packages of the functions that a config names.
METHODS = 'tljax.methods'
PENALTIES = METHODS  # a chapter of tljax.methods
DATA = ('tljax.data', 'tljax.features')  # features of a data set are a data set, too
ZOO = 'tljax.zoo'
AUGMENT = 'tljax.nn.augment'
AUGMENT_BOXES = 'tljax.nn.augment_boxes'
TRANSFORMATIONS = 'tljax.nn.transformations'
# arguments of a method that no config says
GIVEN = ('net', 'classes', 'several', 'frozen', 'stored')
KNOWLEDGE = 'tljax.data.knowledge'
GRAPHS = 'tljax.data.graph_sources'
# {keyword: package of the functions that its value names}, in any config
ELSEWHERE = {
    'net': ZOO,
    'method': METHODS,
    'teacher': ZOO,
    'tail': ZOO,
    'penalty': PENALTIES,
    'weak': AUGMENT,
    'strong': AUGMENT,
    'views': AUGMENT,
    'by': TRANSFORMATIONS,
    'picture': AUGMENT,
    'anchors': 'tljax.methods.detection.anchoring',
    'predictor': 'tljax.methods.detection.predictors',
    'criterion': 'tljax.methods.detection.criteria',
    'knowledge': KNOWLEDGE,
    'graph': GRAPHS,
}

T = TypeVar('T')
DEFAULTS: dict[str, Any] = dict(
    # Length
    steps=1000,
    epochs=0.0,  # passes over the training set, instead of steps; 0: as many steps as `steps` says
    batch=64,  # examples per step and seed, over all devices
    # Seeds: one run each, trained together. A seed draws initialisation, labels, batches and noise.
    seeds=[0],
    label_seeds=[],  # those that draw the labels, one for each of `seeds`; []: the seeds themselves
    # Data
    data=dict(name=''),  # a function of tljax.data, or tljax.features.extracted
    withdrawn=[],  # ids of examples to leave out of all splits, or a text file of one id a line
    # labels per class, or pictures with boxes or examples without labels, drawn by the seed
    per_class=None,  # None: all
    shuffled=False,  # whether labels are permuted over the examples: a control
    class_weights='',  # in the loss: 'balanced' (classes count alike), or a number for each class
    # functions of tljax.nn.augment, or augment_boxes for boxes: names, or configs with keywords
    augment=[],
    pseudo=dict(name=''),  # tljax.methods.pseudo_labels: labels by the run that `init` names
    # Network, and where its parameters come from
    net=dict(name=''),  # a function of tljax.zoo
    init=dict(
        path='',  # a finished run, a Keras file, or 'imagenet'
        phase='',  # or an earlier phase of this run
        rules=[['backbone/.*', None]],  # which parameters are taken: (pattern, path in the source)
    ),
    # Method
    method=dict(name='finetune'),  # a function of tljax.methods
    penalty=dict(name=''),  # a function of tljax.methods.penalties
    # of a method that learns from a teacher: a finished run, an earlier phase of this run, or an
    # earlier strategy of a study
    teacher='',
    # BatchNorm of trained layers uses the batch's statistics (follow) or the stored ones (stored);
    # with 'batch' frozen layers use the batch's, too
    statistics='follow',
    # Optimiser
    partition=dict(name='full'),  # of tljax.engine.optim: full, freeze, layerwise, by_path
    optim=dict(
        name='adam',
        lr=1e-3,
        schedule='cosine',
        warmup=0,
        weight_decay=0.0,
        clip=0.0,
    ),
    groups={},  # optimiser settings of one group of parameters: groups.backbone.scale=0.1
    # Evaluation and choice of the step
    eval_every=0,  # steps; 0: at the end only
    eval_batch=256,
    keep='last',  # or 'best': the parameters with the best validation score
    patience=0,  # evaluations without a better score before a run stops; 0: it never stops early
    # Running
    cache=True,  # whether features of a frozen backbone are extracted once, and the head trained
    parallel='jit',  # or 'pmap', or 'fsdp', which divides the training state among the devices
    remat=False,  # whether the gradient computes the network's blocks again, to save memory
    chunk=0,  # steps per call; 0: one for a single seed on a CPU, otherwise ten
    log_every=100,
    save_every=0,  # steps; 0: at the end only
)


def settings(**changes: Setting) -> Config:
    """The config of one fit: DEFAULTS with changes, as a plain dict.

    Args:
        **changes: values for keys of DEFAULTS.

    Raises:
        UserError: a key that is no setting; names the nearest one.

    >>> settings(steps=5, optim={'lr': 0.1})['optim']['lr']
    0.1
    """
    return merge(DEFAULTS, plain(changes))


def plain(config: ConfigDict | Config) -> Config:
    """A config as a dict of dicts, numbers, strings and lists, as JSON holds it.

    Args:
        config: a ConfigDict, as the files of `configs` make it, or a dict.

    >>> plain(ConfigDict({'seeds': (0, 1)}))
    {'seeds': [0, 1]}
    """
    return json.loads(json.dumps(config.to_dict() if isinstance(config, ConfigDict) else config))


def merge(config: Config, changes: Config, where: str = 'config') -> Config:
    """`config` with changes, key by key.

    A nested dict is merged, too, unless it names another function (its 'name' differs): then it
    replaces the old one.

    Args:
        config: a plain dict.
        changes: a plain dict with some of its keys.
        where: name of the config in errors.

    Raises:
        UserError: a key that the config does not have; names the nearest one.

    >>> merge({'net': {'name': 'a', 'width': 1}, 'steps': 1}, {'net': {'name': 'b'}})
    {'net': {'name': 'b'}, 'steps': 1}
    >>> merge({'steps': 1}, {'stepz': 2})
    Traceback (most recent call last):
    tljax.core.UserError: config.stepz is unknown: did you mean steps?
    """
    if not isinstance(changes, dict):
        raise UserError(f'{where}={changes!r} is no dict: set its keys one by one')
    # the keywords of a function and the settings of a group are checked where they are used
    open_to_new_keys = 'name' in config or 'groups' in where.split('.')
    merged = dict(config)
    for key, value in changes.items():
        if key not in config and not open_to_new_keys:
            raise UserError(f'{where}.{key} is unknown: {nearest_name(key, config)}')
        old = config.get(key)
        merged[key] = value
        if not isinstance(value, dict) or not isinstance(old, dict):
            continue
        if value.get('name', old.get('name')) == old.get('name'):
            merged[key] = merge(old, value, f'{where}.{key}')
    return merged


def phases(config: ConfigDict | Config) -> list[tuple[str, Config]]:
    """The fits of a config in order: [(name, config of the fit)].

    Args:
        config: as a file of `configs` makes it, or the same as a plain dict.

    Raises:
        UserError: a phase that is no dict, or that changes what is no setting.

    >>> config = {'steps': 1, 'phases': {'first': {'steps': 5}, 'second': {}}, 'study': {}}
    >>> phases(config)
    [('first', {'steps': 5}), ('second', {'steps': 1})]
    """
    config = plain(config)
    for name, changes in config['phases'].items():
        if not isinstance(changes, dict):
            raise UserError(f'phases.{name}={changes!r} is no dict: set its keys one by one')
    fit = {
        key: value for key, value in config.items() if key not in ('commands', 'phases', 'study')
    }
    if not config['phases']:
        return [('train', fit)]
    return [(name, merge(fit, changes)) for name, changes in config['phases'].items()]


def folder(workdir: str | Path, names: Sequence[str], name: str) -> Path:
    """The folder of a phase, numbered in the order of the phases.

    Args:
        workdir: folder of the run.
        names: names of all phases, in order.
        name: name of the phase.

    Raises:
        UserError: no phase has this name.

    >>> str(folder('runs/a', ['pretrain', 'transfer'], 'transfer'))
    'runs/a/01-transfer'
    """
    if name not in names:
        raise UserError(f'init.phase={name!r} is no earlier phase: {nearest_name(name, names)}')
    return Path(workdir, f'{names.index(name):02d}-{name}')


def call_named(package: str | tuple[str, ...], spec: Config, what: str, **given: Any) -> Any:
    """Calls the function that a config names, with the other keys of the config as keywords.

    A value that names a function itself is resolved first: `dict(name='truncated',
    of=dict(name='resnet50'), tap='conv1')` calls `truncated(resnet50(), tap='conv1')`. The key `of`
    stands for a function's first argument. The inner function is looked up in the package of the
    outer one, unless ELSEWHERE has the keyword. A value may also be a dict of such configs.

    Args:
        package: dotted name of a package with a door (`tljax.doors`), or of a module with NAMES of
            functions; or several of them.
        spec: {'name': name of the function, keyword: value}.
        what: key of the config, for errors.
        **given: arguments that no config says. The innermost function of the package takes them, as
            `bind_named` tells.

    Raises:
        UserError: an unknown or a missing name or keyword; names the nearest one.

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
    """The call of `call_named` as a function of the arguments that the config does not say.

    Of a function inside a function, the inner one gets them: `dict(name='with_lora',
    method=dict(name='finetune'))` calls `with_lora(finetune(net, classes))`. An outer function that
    takes them itself, as `maml` takes a network, gets the inner one as a function of them. Of two
    inner functions only that of the outer one's first argument gets them.

    A network that a method takes beside its backbone, such as `tail`, gets `statistics(keyword)` as
    its `stored`, if the call has a keyword `statistics`.

    Args:
        package: as `call_named` takes it.
        spec: as `call_named` takes it.
        what: as `call_named` takes it.
        *later: names of those arguments. The result ignores those that the function does not take.

    Returns:
        A function of keywords, or of values in the order of `later`, that calls the function of the
        config.

    Raises:
        UserError: as `call_named`.

    >>> make = bind_named('tljax.zoo', {'name': 'mlp', 'widths': [3]}, 'net', 'norm')
    >>> make(norm='batch').dim
    3
    """
    if not isinstance(spec, dict) or not isinstance(spec.get('name'), str):
        raise UserError(f'{what}={spec!r} names no function: give {what}.name')
    name = spec['name']
    factory = function(package, name, what)
    parameters = inspect.signature(factory).parameters
    accepted = [key for key in parameters if key not in later]
    keywords, inner_factories, others = {}, {}, {}
    for key, value in spec.items():
        if key == 'name':
            continue
        setting = f'{what}.{key}'
        if key == 'of' and accepted:
            key = accepted[0]
        if key not in accepted:
            raise UserError(f'{setting} is unknown to {name}: {nearest_name(key, accepted)}')
        home = ELSEWHERE.get(key, package)
        if isinstance(value, dict) and 'name' in value:
            if home == package:
                inner_factories[key] = bind_named(home, value, setting, *later)
            else:
                others[key] = bind_named(home, value, setting, 'stored')
        elif _are_specs(value):
            keywords[key] = {
                name: call_named(home, spec, f'{setting}.{name}') for name, spec in value.items()
            }
        elif key in ELSEWHERE and isinstance(value, list | tuple):
            keywords[key] = call_each(home, value, setting)
        else:
            keywords[key] = value
    late = [key for key in later if key in parameters]
    for key, parameter in parameters.items():
        required = parameter.default is parameter.empty
        if required and key not in {*late, *keywords, *inner_factories, *others}:
            raise UserError(f'{what}: {name} needs {key}: give {what}.{key}')

    def make(*values, **given):
        given = {**dict(zip(later, values, strict=False)), **given}
        inner = dict(inner_factories)
        if not late:
            for key, inner_factory in inner.items():
                inner[key] = inner_factory(**given) if key == accepted[0] else inner_factory()
        stored = given.get('statistics', lambda key: None)
        inner |= {key: other(stored=stored(key)) for key, other in others.items()}
        return factory(**inner, **{key: given[key] for key in late if key in given}, **keywords)

    return make


def _are_specs(value):
    """Whether a value is {name: config of a function}, such as the sets of several tasks."""
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(spec, dict) and 'name' in spec for spec in value.values())
    )


def call_each(
    package: str | tuple[str, ...],
    specs: str | Config | None | Sequence[str | Config | None],
    what: str,
) -> list[Any]:
    """The results of `call_named` for several configs.

    A name alone stands for a function with its defaults; None and 'none' stand for no function.

    Args:
        package: as `call_named` takes it.
        specs: the configs, or a single one.
        what: key of the config, for errors.

    >>> len(call_each('tljax.nn.augment', ['flip', {'name': 'crop', 'padding': 1}], 'augment'))
    2
    >>> call_each('tljax.nn.augment', [None], 'augment')
    []
    """
    configs: list[Any] = list(specs) if isinstance(specs, list | tuple) else [specs]
    if configs in ([None], ['none']):
        return []
    return [
        call_named(package, {'name': spec} if isinstance(spec, str) else spec, what)
        for spec in configs
    ]


def function(package: str | tuple[str, ...], name: str, what: str) -> Callable[..., Any]:
    """The function of a name in a package, or in the first of several packages that has it.

    Args:
        package: as `call_named` takes it.
        name: name of the function.
        what: key of the config, for errors.

    Raises:
        UserError: an unknown name; names the nearest one.

    >>> function('tljax.methods', 'dann', 'method').__name__
    'dann'
    """
    packages = [package] if isinstance(package, str) else package
    modules = [importlib.import_module(dotted) for dotted in packages]
    module_of = {}
    for module in reversed(modules):
        module_of.update(dict.fromkeys(getattr(module, 'NAMES', None) or dir(module), module))
    if name not in module_of:
        raise UserError(f'{what}.name={name!r} is unknown: {nearest_name(name, module_of)}')
    return getattr(module_of[name], name)


def takes_keyword(package: str | tuple[str, ...], name: str, keyword: str) -> bool:
    """Whether the function of a name takes a keyword.

    Args:
        package: as `call_named` takes it.
        name: name of the function.
        keyword: name of the keyword.

    >>> takes_keyword(DATA, 'npz', 'task'), takes_keyword(DATA, 'digits', 'task')
    (True, False)
    """
    return keyword in inspect.signature(function(package, name, 'data')).parameters


def stated_by_method(spec: Config, what: str, default: T) -> T:
    """A constant in the file of a method, such as BATCHES (`tljax.methods` lists them).

    If the file does not have it, the file of the method inside it is asked.

    Args:
        spec: config of the method, {'name': ...}.
        what: name of the constant, 'BATCHES'.
        default: value where no file has it.

    >>> (
    ...     stated_by_method({'name': 'dann'}, 'BATCHES', 'labelled'),
    ...     stated_by_method({'name': 'dann'}, 'TRANSDUCTIVE', False),
    ... )
    ('domains', False)
    """
    module = sys.modules[function(METHODS, spec['name'], 'method').__module__]
    inner = spec.get('of', spec.get('method'))
    if hasattr(module, what) or not isinstance(inner, dict):
        return getattr(module, what, default)
    return stated_by_method(inner, what, default)


def innermost(spec: Config) -> Config:
    """The innermost config of nested ones.

    Args:
        spec: {'name': ..., 'of': the config inside}.

    >>> innermost({'name': 'by_domain', 'of': {'name': 'lenet'}})
    {'name': 'lenet'}
    """
    while isinstance(spec.get('of'), dict):
        spec = spec['of']
    return spec
