"""From a phase's config to the functions that it names.

The functions still take what the config does not say, such as the training set. This is the only
file that reads a run's config.
"""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tljax.configuration import (
    AUGMENT,
    AUGMENT_BOXES,
    DATA,
    GIVEN,
    METHODS,
    PENALTIES,
    ZOO,
    bind_named,
    call_each,
    call_named,
    stated_by_method,
    takes_keyword,
)
from tljax.core import Dataset, Net, Stream, Tree, UserError
from tljax.data.splits import refuse_nothing_to_learn
from tljax.data.streams import examples_of, training_stream
from tljax.data.tasks import with_task
from tljax.features import Donors, donors_at, feature_splits, pseudo_labels
from tljax.files.process import prepare_process
from tljax.paths import refuse_rules
from tljax.program import SETTINGS, Program, program
from tljax.protocols import Config
from tljax.recent import Recent

LOADED: Recent[dict[str, Dataset]] = Recent(most=8)
INT32 = 2**31 - 1
LARGEST = {'batch': 2**20, 'eval_batch': 2**20}  # {setting: largest value}; of the others INT32
SMALLEST = {  # {setting: smallest value}
    'batch': 1,
    'steps': 0,
    'log_every': 0,
    'save_every': 0,
    'eval_every': 0,
    'eval_batch': 1,
    'patience': 0,
    'chunk': 0,
}
# as `tljax.methods` explains them
BATCHES = ('labelled', 'domains', 'episodes', 'tasks', 'unlabelled', 'boxes')
Splits = dict[str, Dataset]  # by name: 'train', 'validation', 'test'


class Parts(NamedTuple):
    """The functions of a config, and the facts that the file of its method states.

    Attributes:
        program: (train, width=0) -> Program.
        donors: (net, top=) -> Donors; None for a run that starts from no other network.
        source: what the method keeps of the network that it starts from: 'backbone', 'head' or ''.
        teacher: () -> Donors; None for a method without a teacher.
        labels: (net, donors, train) -> pseudo-labels by each donor; None for a run on the labels of
            the data.
        stream: (train, labels=, prepare=) -> Stream.
        examples: (train, seed, labels=) -> the examples that a seed trains on.
        features: (net, params, state, splits) -> splits of features.
        batches: kind of batches that the method takes, one of BATCHES.
        several: whether the method takes several labels for an example.
        cached: whether features of a frozen backbone may be cached. Methods, augmentation, batch
            statistics and pseudo-labels can forbid it.
    """

    program: Callable[..., Program]
    donors: Callable[..., Donors] | None
    source: str
    teacher: Callable[[], Donors] | None
    labels: Callable[[Net, Donors, Dataset], list[np.ndarray]] | None
    stream: Callable[..., Stream]
    examples: Callable[..., Dataset]
    features: Callable[[Net, Tree, Tree, Splits], Splits]
    batches: str
    several: bool
    cached: bool


def parts(
    config: Config,
    donor_dir: str | Path | None = None,
    teacher_dir: str | Path | None = None,
) -> Parts:
    """The functions of a phase's config.

    Args:
        config: a plain dict, one of `configuration.phases`.
        donor_dir: finished run whose weights this one starts from, unless the config names another
            by `init.path`.
        teacher_dir: finished run that teaches this one; None for the one that the config names.

    Raises:
        UserError: names, keywords and numbers that do not fit.

    >>> from tljax.configuration import settings
    >>> parts(settings(net={'name': 'mlp'}, method={'name': 'dann'})).batches
    'domains'
    """
    _refuse_counts(config)
    method, pseudo = config['method'], config['pseudo']
    donor = config['init']['path'] or donor_dir
    if config['init']['phase'] and not donor:
        raise UserError(
            f'init.phase={config["init"]["phase"]!r}: run all phases, or name a finished run by '
            'init.path'
        )
    _refuse_pseudo(config, stated_by_method(method, 'PSEUDO', False), donor)
    teacher, source = str(teacher_dir or config['teacher']), stated_by_method(method, 'SOURCE', '')
    _refuse_no_source(method, source, donor, teacher)
    _refuse_statistics(method, config['statistics'])
    batches = stated_by_method(method, 'BATCHES', '')
    if batches not in BATCHES:
        raise UserError(
            f'method.name={method["name"]!r}: its file has BATCHES={batches!r}: state there '
            f'{", ".join(map(repr, BATCHES[:-1]))} or {BATCHES[-1]!r}'
        )
    draws = dict(zip(config['seeds'], config['label_seeds'], strict=False))
    labels = None
    if pseudo['name'] not in ('', 'given'):
        make = bind_named('tljax.methods.pseudo_labels', pseudo, 'pseudo', 'features', 'logits')
        labels = functools.partial(pseudo_labels, make, batch=config['eval_batch'])
    can_cache = (
        config['cache']
        and stated_by_method(method, 'CACHED', True)
        and not config['augment']
        and not pseudo['name']
        and config['statistics'] != 'batch'
    )
    return Parts(
        program=functools.partial(program, **_program_keywords(config)),
        donors=functools.partial(donors_at, str(donor)) if donor else None,
        source=source,
        teacher=functools.partial(donors_at, teacher, None) if teacher else None,
        labels=labels,
        stream=functools.partial(
            training_stream,
            batch=config['batch'],
            k=config['per_class'],
            shuffled=config['shuffled'],
            class_weights=config['class_weights'],
            draws=draws,
        ),
        examples=functools.partial(
            examples_of, k=config['per_class'], shuffled=config['shuffled'], draws=draws
        ),
        features=functools.partial(feature_splits, batch=config['eval_batch']),
        batches=batches,
        several=stated_by_method(method, 'SEVERAL', False),
        cached=bool(can_cache),
    )


def load(data: Config) -> dict[str, Dataset]:
    """The splits of a data set, {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    Args:
        data: its config, {'name': ..., keyword: value}. 'task' ('classes', 'labels' or 'numbers')
            replaces the task that the loader finds.

    Raises:
        UserError: an unknown name or keyword, data that the loader refuses, and labels with nothing
            to learn.

    >>> (
    ...     load({'name': 'digits'})['test'].size,
    ...     load({'name': 'digits', 'task': 'numbers'})['test'].task.kind,
    ... )
    (539, 'numbers')
    """
    _refuse_below(data)
    prepare_process()  # sets that make their examples on the device compile a program for it

    def make():
        if 'task' not in data or takes_keyword(DATA, data['name'], 'task'):
            splits = call_named(DATA, data, 'data')
        else:
            without_task = {key: value for key, value in data.items() if key != 'task'}
            splits = with_task(call_named(DATA, without_task, 'data'), data['task'])
        refuse_nothing_to_learn(splits['train'])
        return splits

    return LOADED.get([data, _stamps(data)], make)


def _refuse_below(data, setting='data'):
    """Refuses picture sizes below 1 and seeds below 0, in a set and in the sets inside it."""
    for key, value in data.items():
        if isinstance(value, dict):
            _refuse_below(value, f'{setting}.{key}')
        elif key in ('size', 'resize', 'pixels') and type(value) is int and value < 1:
            raise UserError(f'{setting}.{key}={value}: give a whole number, 1 or more')
        elif key == 'seed' and type(value) is int and not 0 <= value <= INT32:
            raise UserError(f'{setting}.{key}={value}: give a whole number from 0 to {INT32}')


def _stamps(data):
    """Names, times and sizes of the files that a config names, so that a set that has changed is
    read again. Of a folder only the folders inside are looked at: a file that is overwritten in
    place goes unnoticed."""
    if isinstance(data, dict):
        return [_stamps(value) for value in data.values()]
    if not isinstance(data, str):
        return ''
    path = Path(data).expanduser()
    try:
        if not path.exists():
            return ''
    except (OSError, ValueError):  # no file can have this name
        return ''
    paths = [path]
    if path.is_dir():
        paths += [folder for folder, _, _ in os.walk(path)]
    stats = [(str(name), os.stat(name)) for name in paths]
    return [(name, stat.st_mtime_ns, stat.st_size) for name, stat in stats]


def _program_keywords(config):
    """The keywords of `program`."""
    net, method, penalty = config['net'], config['method'], config['penalty']
    is_detector = stated_by_method(method, 'BATCHES', '') == 'boxes'
    return dict(
        net=bind_named(ZOO, net, 'net', 'stored'),
        method=bind_named(METHODS, method, 'method', *GIVEN),
        partition=bind_named('tljax.engine.optim', config['partition'], 'partition', 'groups'),
        penalty=call_named(PENALTIES, penalty, 'penalty') if penalty['name'] else None,
        augment=call_each(AUGMENT_BOXES if is_detector else AUGMENT, config['augment'], 'augment'),
        frozen=stated_by_method(method, 'FROZEN', ''),
        averaging_one=stated_by_method(method, 'AVERAGING_ONE', ''),
        **{key: config[key] for key in SETTINGS},
        key={key: config[key] for key in ('net', 'method', 'partition', 'penalty', 'augment')},
    )


def _refuse_counts(config):
    """Refuses numbers that no run can go by."""
    for key, smallest in SMALLEST.items():
        if type(config[key]) is not int or config[key] < smallest:
            raise UserError(f'config.{key}={config[key]}: give a whole number, {smallest} or more')
        largest = LARGEST.get(key, INT32)
        if config[key] > largest:
            raise UserError(f'config.{key}={config[key]}: give at most {largest}')
    epochs = config['epochs']
    if type(epochs) not in (int, float) or not 0 <= epochs < float('inf'):
        raise UserError(
            f'config.epochs={epochs}: give a number above 0, such as 10 or .5, or 0 where steps '
            'are to hold'
        )
    if type(config['remat']) is not bool:
        raise UserError(f'config.remat={config["remat"]!r} is not True or False')
    if config['keep'] not in ('last', 'best'):
        raise UserError(f'config.keep={config["keep"]!r} is not last or best')
    _refuse_seeds(config['seeds'])
    _refuse_label_seeds(config['label_seeds'], config['seeds'])
    refuse_rules(config['init']['rules'], 'init.rules')
    _refuse_optimiser(config['optim'], config['groups'])


def _refuse_seeds(seeds):
    """Refuses seeds that are no different whole numbers from 0 to INT32."""
    if any(not isinstance(seed, int) for seed in seeds):
        raise UserError(f'config.seeds={seeds}: give whole numbers')
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise UserError(f'config.seeds={seeds}: give one or more, none negative, none twice')
    if max(seeds) > INT32:
        raise UserError(f'config.seeds={seeds}: give numbers of at most {INT32}')


def _refuse_label_seeds(label_seeds, seeds):
    """Refuses seeds of the draw of labels that are not one whole number for each seed."""
    if label_seeds and len(label_seeds) != len(seeds):
        raise UserError(
            f'config.label_seeds={label_seeds}: give one for each of the {len(seeds)} seeds, or '
            'none, where the seeds draw the labels'
        )
    if any(type(seed) is not int or not 0 <= seed <= INT32 for seed in label_seeds):
        raise UserError(f'config.label_seeds={label_seeds}: give whole numbers from 0 to {INT32}')


def _refuse_optimiser(optim, groups):
    """Refuses optimiser settings without a name or a rate, and rates that are no finite numbers."""
    if not isinstance(optim, dict) or not {'name', 'lr'} <= set(optim):
        raise UserError(f'optim={optim!r} says no name or no rate: give optim.name and optim.lr')
    for label, keywords in groups.items():
        if not isinstance(keywords, dict):
            raise UserError(
                f'groups.{label}={keywords!r} is no dict: set its keys, such as '
                f'groups.{label}.scale=.1'
            )
    settings = {'optim': optim} | {f'groups.{label}': groups[label] for label in groups}
    for name, keywords in settings.items():
        for key in ('lr', 'clip', 'weight_decay', 'scale'):
            value = keywords.get(key, 0.0)
            if type(value) not in (int, float) or not 0 <= value < float('inf'):
                raise UserError(f'{name}.{key}={value!r}: give a number, 0 or more')


def _refuse_pseudo(config, required, donor):
    """Refuses a method without the pseudo-labels that it takes, and pseudo-labels without a donor
    that makes them."""
    name = config['pseudo']['name']
    if required and not name:
        raise UserError(
            f'method.name={config["method"]["name"]!r} takes pseudo-labels: set '
            'pseudo.name=centroids and name a finished run by init.phase or init.path'
        )
    if name not in ('', 'given') and (not donor or config['shuffled'] or config['per_class']):
        raise UserError(
            f'pseudo.name={name!r} labels one set by a finished run: name it by init.phase or '
            'init.path, and do not set shuffled or per_class'
        )


def _refuse_no_source(method, source, donor, teacher):
    """Refuses a method without the source network or the teacher that it needs, and a teacher whom
    the method does not ask."""
    name = f'method.name={method["name"]!r}'
    if source and not donor:
        raise UserError(
            f'{name} keeps a copy of the source network, and this run starts from none: name a '
            'finished run or weights by init.path or init.phase'
        )
    needs_teacher = stated_by_method(method, 'TEACHER', False)
    if needs_teacher and not teacher:
        raise UserError(f'{name} learns from a teacher: name a finished run by teacher')
    if teacher and not needs_teacher:
        raise UserError(f'teacher={teacher!r}: {name} asks no teacher: leave it out')


def _refuse_statistics(method, statistics):
    """Refuses statistics that the method does not work with."""
    allowed = stated_by_method(method, 'STATISTICS', (statistics,))
    if statistics not in allowed:
        raise UserError(
            f'method.name={method["name"]!r} does not work with statistics={statistics!r}: set '
            f'statistics={allowed[0]!r}'
        )
