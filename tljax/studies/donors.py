"""What a target may be taught from: runs, networks with published weights, files of features."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tljax import build
from tljax.configuration import ZOO, call_named, folder, innermost, merge
from tljax.core import UserError, nearest_name
from tljax.engine.checkpoint import digest, last_phase, load_final
from tljax.protocols import Config, Record, Tree
from tljax.weights import pretrained
from tljax.zoo.table import ROWS
from tljax.zoo.weights import foreign

KINDS = {'features': {'features'}, 'run': {'run'}, 'weights': {'net', 'weights', 'size'}}


class Donor(NamedTuple):
    """A trained network.

    Attributes:
        net: config of the network.
        params: its weights, with a leading axis of one seed.
        state: its batch statistics, likewise.
        classes: names of the outputs of its head; empty without a head.
        shape: of its inputs.
        place: run, file or name that its weights are grafted from.
        data: config of the data that it was trained on; None where that is not known.

    >>> Donor({'name': 'identity', 'dim': 2}, {}, {}, ('a', 'b'), (2,), 'runs/a', None).classes
    ('a', 'b')
    """

    net: Config
    params: Tree
    state: Tree
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    place: str
    data: Config | None


def donor(name: str, spec: Config, settings: Config, workdir: Path) -> Donor | Path:
    """The donor that a config's `study.sources` names.

    Args:
        name: of the donor in the config.
        spec: {'run': folder of a finished run}; {'net', 'weights': as `weights.pretrained` takes
            them, 'size'}; {'features': an .npz}; or what differs from `settings` in a run that is
            trained under `workdir`, or found finished there. Any of them may have 'top1'.
        settings: config of one fit.
        workdir: folder of the runs.

    Returns:
        A `Donor`, or the path of the features.

    Raises:
        UserError: for a spec that names no donor.

    >>> donor('mine', {'features': 'nowhere.npz'}, {}, Path('runs'))
    Traceback (most recent call last):
    tljax.core.UserError: study.sources.mine: nowhere.npz does not exist: give an .npz with ...
    """
    spec = {key: value for key, value in spec.items() if key != 'top1'}
    kind = next((kind for kind in KINDS if kind in spec), None)
    if kind and (unknown := set(spec) - KINDS[kind]):
        raise UserError(
            f'study.sources.{name}.{min(unknown)} is unknown beside {kind}: '
            f'{nearest_name(min(unknown), KINDS[kind])}'
        )
    if kind == 'features':
        return _features_file(name, spec)
    if kind == 'weights':
        return _published(spec)
    if kind == 'run':
        foreign.refuse_no_run(spec['run'])
        return _finished(name, last_phase(Path(spec['run'])))
    fresh = merge(settings, {'seeds': [100], 'init': {'path': '', 'phase': ''}, 'per_class': None})
    fits = [(name, merge(fresh, spec, f'study.sources.{name}'))]
    build.fit_phases(fits, workdir / name)
    return _finished(name, folder(workdir / name, [name], name))


def _features_file(name: str, spec: Config) -> Path:
    path = Path(spec['features']).expanduser()
    if not path.is_file():
        raise UserError(
            f'study.sources.{name}: {path} does not exist: give an .npz with features (n, d), in '
            'the order of the target, and probability (n, classes) if the source has classes'
        )
    return path


def _published(spec: Config) -> Donor:
    net = innermost(spec['net'])
    params, state, record = pretrained(net, spec['weights'])
    # dense layers lie below the head: it is none on the features
    if record['config']['net'] != net:
        params, state, record = pretrained(net, spec['weights'], top=False)
    size = spec.get('size', record['input'][0])
    classes = tuple(record['classes']) if 'head' in params else ()
    return Donor(spec['net'], params, state, classes, (size, size, 3), spec['weights'], None)


def _finished(name: str, place: Path) -> Donor:
    params, state, record = load_final(place)
    if len(record['seeds']) > 1:
        raise UserError(
            f'study.sources.{name}: {place} holds {len(record["seeds"])} networks, one per seed: '
            'name a run of one seed'
        )
    return Donor(
        record['config']['net'],
        params,
        state,
        tuple(record['classes']),
        tuple(record['input']),
        str(place),
        record['config']['data'],
    )


def top1(spec: Config) -> float | None:
    """The accuracy on ImageNet of a donor: what its config says, or what is published of it.

    Args:
        spec: as for `donor`.

    Returns:
        A share, or None where neither is known.

    >>> top1({'net': {'name': 'vgg16'}, 'weights': 'imagenet'})
    0.713
    """
    net = spec.get('net', {})
    row = ROWS.get(net.get('name'))
    if 'top1' in spec or row is None:
        return spec.get('top1')
    published = spec.get('weights') in ('imagenet', f'imagenet:{row.size}')
    as_published = net.get('alpha', 1) == 1 and spec.get('size', row.size) == row.size
    return row.top1 if published and as_published else None


def fingerprint(known: Donor | Path) -> str:
    """A hash of a donor and of the shape of its inputs, or of a file of features.

    Args:
        known: the donor, or the path of a file of features.

    >>> len(fingerprint(Donor({}, {}, {}, (), (8, 8, 1), '', None)))
    64
    """
    if isinstance(known, Path):
        return hashlib.sha256(known.read_bytes()).hexdigest()
    text = json.dumps([known.net, known.shape, digest((known.params, known.state))])
    return hashlib.sha256(text.encode()).hexdigest()


def target_for(known: Donor | Path, target: Config, most: int | None = None) -> Record:
    """The config of a target's data at the shape that a donor takes.

    Args:
        known: the donor.
        target: config of the data.
        most: examples of a split at most.

    >>> target_for(Path('mine.npz'), {'name': 'digits'})
    {'name': 'digits'}
    """
    if isinstance(known, Path) or len(known.shape) != 3:
        return target
    return dict(
        name='resampled', of=target, size=known.shape[0], channels=known.shape[2], most=most
    )


def trained_on(known: Donor, target: Config) -> bool:
    """Whether a donor was trained on the target's data.

    Args:
        known: the donor.
        target: config of the target's data.

    >>> digits = {'name': 'digits'}
    >>> trained_on(Donor({}, {}, {}, (), (), '', {'name': 'resampled', 'of': digits}), digits)
    True
    """
    trained_on = known.data or {}
    return trained_on.get('of', trained_on) == target


def untrained_donor(known: Donor) -> Donor:
    """The same network with weights that have learnt nothing.

    Args:
        known: the donor.

    >>> untrained_donor(Donor({'name': 'identity', 'dim': 2}, {}, {}, (), (2,), '', None)).params
    {'backbone': {}}
    """
    net = call_named(ZOO, known.net, 'net')
    fresh = net.init(jax.random.key(0), jnp.zeros((1, *known.shape)))
    params, state = (
        {'backbone': jax.tree.map(lambda leaf: np.asarray(leaf)[None], tree)} for tree in fresh
    )
    return known._replace(params=params, state=state)


def transfer_settings(
    known: Donor | Path, target: Config, row: Record, settings: Config, study: Config, strategy: str
) -> Record:
    """The config of a run that trains a donor on a target.

    Args:
        known: the donor.
        target: config of the data.
        row: {'source': name of the donor, 'labels_per_class'}.
        settings: config of one fit.
        study: the config's `study`.
        strategy: one of `study.strategies`.

    Raises:
        UserError: for a file of features.

    >>> transfer_settings(Path('mine.npz'), {}, {'source': 'mine'}, {}, {}, 'frozen')
    Traceback (most recent call last):
    tljax.core.UserError: study.sources.mine is a file of features, which cannot be trained ...
    """
    if isinstance(known, Path):
        raise UserError(
            f'study.sources.{row["source"]} is a file of features, which cannot be trained '
            'further: leave it out'
        )
    start = merge(
        settings,
        {
            'data': target_for(known, target, study['most']),
            'net': known.net,
            'init': {'path': known.place},
            'per_class': row['labels_per_class'],
        },
    )
    return merge(start, study['strategies'][strategy], f'study.strategies.{strategy}')
