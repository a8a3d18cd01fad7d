"""What a phase's config says, as functions that wait for what it does not say. This is the only
file that reads a run's config."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tljax.configuration import (
    AUGMENT,
    DATA,
    METHODS,
    PENALTIES,
    ZOO,
    bind_named,
    call_each,
    call_named,
    innermost,
    stated_by_method,
    takes_keyword,
)
from tljax.core import Dataset, Net, Stream, Tree, UserError
from tljax.data.splits import refuse_nothing_to_learn
from tljax.data.streams import training_stream
from tljax.data.tasks import with_task
from tljax.features import Donors, donors_at, feature_splits, pseudo_labels
from tljax.paths import refuse_rules
from tljax.program import Program, program
from tljax.protocols import Config
from tljax.recent import Recent

LOADED: Recent[dict[str, Dataset]] = Recent(most=8)
MOST = {'batch': 2**20, 'eval_batch': 2**20}  # of a count; of others what an int32 holds
INT32 = 2**31 - 1
Splits = dict[str, Dataset]  # by name: 'train', 'validation', 'test'


class Parts(NamedTuple):
    """The functions that a config stands for, and what the file of its method states
    (`tljax.methods`).

    Attributes:
        program: (train, width=0) -> Program.
        donors: (net, top=) -> Donors, or None where the run starts from nothing.
        labels: (net, donors, train) -> pseudo-labels of each donor, or None where the labels of the
            data are taken.
        stream: (train, labels=, prepare=) -> Stream.
        features: (net, params, state, splits) -> splits of features.
        batches: which batches the method takes.
        several: whether it takes several labels for an example.
        cached: whether a frozen backbone may be run once: neither method, augmentation, statistics
            nor labels forbid it.

    >>> Parts._fields[:2]
    ('program', 'donors')
    """

    program: Callable[..., Program]
    donors: Callable[..., Donors] | None
    labels: Callable[[Net, Donors, Dataset], list[np.ndarray]] | None
    stream: Callable[..., Stream]
    features: Callable[[Net, Tree, Tree, Splits], Splits]
    batches: str
    several: bool
    cached: bool


def parts(config: Config, donor_dir: str | Path | None = None) -> Parts:
    """The functions that a phase's config stands for.

    Args:
        config: a plain dict, one of `configuration.phases`.
        donor_dir: a finished run to graft from, where the config names none by path.

    Raises:
        UserError: for names, keywords and numbers that do not fit.

    >>> from tljax.configuration import settings
    >>> parts(settings(net={'name': 'mlp'}, method={'name': 'dann'})).batches
    'domains'
    """
    _refuse_counts(config)
    method, pseudo, place = config['method'], config['pseudo'], config['init']['path'] or donor_dir
    if config['init']['phase'] and not place:
        raise UserError(
            f'init.phase={config["init"]["phase"]!r}: run all phases, or name a finished run by '
            'init.path'
        )
    _refuse_pseudo(config, stated_by_method(method, 'PSEUDO', False), place)
    makes = pseudo['name'] not in ('', 'given')
    return Parts(
        program=functools.partial(program, **_of_program(config)),
        donors=functools.partial(donors_at, str(place)) if place else None,
        labels=functools.partial(
            pseudo_labels,
            bind_named('tljax.methods.pseudo_labels', pseudo, 'pseudo', 'features', 'logits'),
            batch=config['eval_batch'],
        )
        if makes
        else None,
        stream=functools.partial(
            training_stream,
            batch=config['batch'],
            k=config['per_class'],
            shuffled=config['shuffled'],
            class_weights=config['class_weights'],
        ),
        features=functools.partial(feature_splits, batch=config['eval_batch']),
        batches=stated_by_method(method, 'BATCHES', 'labelled'),
        several=stated_by_method(method, 'SEVERAL', False),
        cached=bool(
            config['cache']
            and stated_by_method(method, 'CACHED', True)
            and not config['augment']
            and not pseudo['name']
            and config['statistics'] != 'batch'
        ),
    )


def load(data: Config) -> dict[str, Dataset]:
    """The splits of a data set by its config: {'train': Dataset, 'validation': Dataset, 'test':
    Dataset}.

    Args:
        data: {'name': ..., keyword: value}, and 'task' ('classes', 'labels' or 'numbers') where the
            loader's own task is not meant.

    >>> (
    ...     load({'name': 'digits'})['test'].size,
    ...     load({'name': 'digits', 'task': 'numbers'})['test'].task.kind,
    ... )
    (539, 'numbers')
    """
    _refuse_below(data)

    def make():
        later = 'task' in data and not takes_keyword(DATA, data['name'], 'task')
        splits = call_named(
            DATA, {key: value for key, value in data.items() if key != 'task' or not later}, 'data'
        )
        splits = with_task(splits, data['task']) if later else splits
        refuse_nothing_to_learn(splits['train'])
        return splits

    return LOADED.get([data, _stamps(data)], make)


def _refuse_below(data, said='data'):
    """Refuses pictures without pixels and seeds below 0, however deep the set lies that says so."""
    for key, value in data.items():
        if isinstance(value, dict):
            _refuse_below(value, f'{said}.{key}')
        elif key in ('size', 'resize', 'pixels') and type(value) is int and value < 1:
            raise UserError(f'{said}.{key}={value}: give a whole number, 1 or more')
        elif key == 'seed' and type(value) is int and not 0 <= value <= INT32:
            raise UserError(f'{said}.{key}={value}: give a whole number from 0 to {INT32}')


def _stamps(data):
    """What changes when the files that a set is read from do; files of a folder that are written
    over keep it."""
    if isinstance(data, dict):
        return [_stamps(value) for value in data.values()]
    if not isinstance(data, str):
        return ''
    place = Path(data).expanduser()
    try:
        held = place.exists()
    except (OSError, ValueError):  # no such name can be
        held = False
    if not held:
        return ''
    places = [place, *(folder for folder, _, _ in os.walk(place))] if place.is_dir() else [place]
    return [(str(each), os.stat(each).st_mtime_ns, os.stat(each).st_size) for each in places]


def _of_program(config):
    """The keywords of `program`."""
    net, method, penalty = config['net'], config['method'], config['penalty']
    form_is_open = 'form' not in innermost(net)
    return dict(
        net=bind_named(ZOO, net, 'net', *(('form', 'stored') if form_is_open else ('stored',))),
        method=bind_named(METHODS, method, 'method', 'net', 'classes', 'several'),
        partition=bind_named('tljax.engine.optim', config['partition'], 'partition', 'groups'),
        penalty=call_named(PENALTIES, penalty, 'penalty') if penalty['name'] else None,
        augment=call_each(AUGMENT, config['augment'], 'augment'),
        looped=stated_by_method(method, 'LOOPED', False) if form_is_open else None,
        frozen=stated_by_method(method, 'FROZEN', ''),
        **{key: config[key] for key in ('statistics', 'optim', 'groups', 'steps', 'parallel')},
        key={key: config[key] for key in ('net', 'method', 'partition', 'penalty', 'augment')},
    )


def _refuse_counts(config):
    counts = {
        'batch': 1,
        'steps': 0,
        'log_every': 0,
        'save_every': 0,
        'eval_every': 0,
        'eval_batch': 1,
        'patience': 0,
        'chunk': 0,
    }
    for key, least in counts.items():
        if type(config[key]) is not int or config[key] < least:
            raise UserError(f'config.{key}={config[key]}: give a whole number, {least} or more')
        if config[key] > MOST.get(key, INT32):
            raise UserError(f'config.{key}={config[key]}: give at most {MOST.get(key, INT32)}')
    epochs = config['epochs']
    if type(epochs) not in (int, float) or not 0 <= epochs < float('inf'):
        raise UserError(
            f'config.epochs={epochs}: give a number above 0, such as 10 or .5, or 0 where steps '
            'are to hold'
        )
    if config['keep'] not in ('last', 'best'):
        raise UserError(f'config.keep={config["keep"]!r} is not last or best')
    if any(not isinstance(seed, int) for seed in config['seeds']):
        raise UserError(f'config.seeds={config["seeds"]}: give whole numbers')
    if (
        not config['seeds']
        or len(set(config['seeds'])) < len(config['seeds'])
        or min(config['seeds']) < 0
    ):
        raise UserError(
            f'config.seeds={config["seeds"]}: give one or more, none negative, none twice'
        )
    if max(config['seeds']) > INT32:
        raise UserError(f'config.seeds={config["seeds"]}: give numbers of at most {INT32}')
    refuse_rules(config['init']['rules'], 'init.rules')
    _refuse_optimiser(config['optim'], config['groups'])


def _refuse_optimiser(optim, groups):
    """Refuses settings of optimisers that no training can go by."""
    if not isinstance(optim, dict) or not {'name', 'lr'} <= set(optim):
        raise UserError(f'optim={optim!r} says no name or no rate: give optim.name and optim.lr')
    for label, keywords in groups.items():
        if not isinstance(keywords, dict):
            raise UserError(
                f'groups.{label}={keywords!r} is no dict: set its keys, such as '
                f'groups.{label}.scale=.1'
            )
    named_groups = ((f'groups.{label}', groups[label]) for label in groups)
    for said, keywords in (('optim', optim), *named_groups):
        for key in ('lr', 'clip', 'weight_decay', 'scale'):
            given = keywords.get(key, 0.0)
            if type(given) not in (int, float) or not 0 <= given < float('inf'):
                raise UserError(f'{said}.{key}={given!r}: give a number, 0 or more')


def _refuse_pseudo(config, needed, place):
    """Refuses a method that takes pseudo-labels where none are made, and pseudo-labels that nobody
    can make."""
    name = config['pseudo']['name']
    if needed and not name:
        raise UserError(
            f'method.name={config["method"]["name"]!r} takes pseudo-labels: set '
            'pseudo.name=centroids and name a finished run by init.phase or init.path'
        )
    if name not in ('', 'given') and (not place or config['shuffled'] or config['per_class']):
        raise UserError(
            f'pseudo.name={name!r} labels one set by a finished run: name it by init.phase or '
            'init.path, and leave shuffled and per_class alone'
        )
