"""Donors of a transfer: finished runs, networks with published weights, and files of features."""

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

# the kinds of donors, and the keys of their configs
KINDS = {'features': {'features'}, 'run': {'run'}, 'weights': {'net', 'weights', 'size'}}


class Donor(NamedTuple):
    """A trained network.

    Attributes:
        net: config of the network.
        params: weights, with a leading axis of one seed.
        state: batch statistics, with a leading axis of one seed.
        classes: names of the outputs of the head; empty without a head.
        shape: shape of an input.
        place: the run, the file or the name of weights that are grafted.
        data: config of the training data; None if it is unknown.
    """

    net: Config
    params: Tree
    state: Tree
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    place: str
    data: Config | None


def donor(name: str, spec: Config, settings: Config, workdir: Path) -> Donor | Path:
    """Loads or trains a donor of a config's `study.sources`.

    Args:
        name: name of the donor in the config.
        spec: one of {'run': folder of a finished run}; {'net', 'weights': as `weights.pretrained`
            takes them, 'size'}; {'features': an .npz file}; or changes of `settings` for a run that
            is trained in `workdir`, unless it is finished there. Each may also have 'top1'.
        settings: config of one fit.
        workdir: folder of the donors that are trained.

    Returns:
        A `Donor`, or the path of the file of features.

    Raises:
        UserError: if the spec has unknown keys, or its run or file does not exist.

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
        return _published_donor(spec)
    if kind == 'run':
        foreign.refuse_no_run(spec['run'])
        return _donor_of_run(name, last_phase(Path(spec['run'])))
    run_settings = merge(
        settings, {'seeds': [100], 'init': {'path': '', 'phase': ''}, 'per_class': None}
    )
    fits = [(name, merge(run_settings, spec, f'study.sources.{name}'))]
    build.fit_phases(fits, workdir / name)
    return _donor_of_run(name, folder(workdir / name, [name], name))


def _features_file(name: str, spec: Config) -> Path:
    path = Path(spec['features']).expanduser()
    if not path.is_file():
        raise UserError(
            f'study.sources.{name}: {path} does not exist: give an .npz with features (n, d), in '
            'the order of the target, and probability (n, classes) if the source has classes'
        )
    return path


def _published_donor(spec: Config) -> Donor:
    net = innermost(spec['net'])
    params, state, record = pretrained(net, spec['weights'])
    # with dense layers between features and head, the head cannot classify the features
    if record['config']['net'] != net:
        params, state, record = pretrained(net, spec['weights'], top=False)
    size = spec.get('size', record['input'][0])
    classes = tuple(record['classes']) if 'head' in params else ()
    return Donor(spec['net'], params, state, classes, (size, size, 3), spec['weights'], None)


def _donor_of_run(name: str, run: Path) -> Donor:
    params, state, record = load_final(run)
    if len(record['seeds']) > 1:
        raise UserError(
            f'study.sources.{name}: {run} holds {len(record["seeds"])} networks, one per seed: '
            'name a run of one seed'
        )
    return Donor(
        record['config']['net'],
        params,
        state,
        tuple(record['classes']),
        tuple(record['input']),
        str(run),
        record['config']['data'],
    )


def top1(spec: Config) -> float | None:
    """Returns the ImageNet accuracy of a donor: its config's 'top1', or else the published one.

    Args:
        spec: as `donor` takes it.

    Returns:
        A fraction of 1; None if there is neither.

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


def fingerprint(donor: Donor | Path) -> str:
    """Returns a hash of a donor's weights and input shape, or of a file of features.

    Args:
        donor: a donor, or the path of a file of features.

    >>> donor = Donor({}, {}, {}, (), (8, 8, 1), '', None)
    >>> fingerprint(donor) == fingerprint(donor._replace(shape=(16, 16, 1)))
    False
    """
    if isinstance(donor, Path):
        return hashlib.sha256(donor.read_bytes()).hexdigest()
    text = json.dumps([donor.net, donor.shape, digest((donor.params, donor.state))])
    return hashlib.sha256(text.encode()).hexdigest()


def target_for(donor: Donor | Path, target: Config, most: int | None = None) -> Record:
    """Returns the config of a target's data, resampled to the input shape of a donor.

    Args:
        donor: a donor, or the path of a file of features, for which nothing is resampled.
        target: config of the data.
        most: maximal number of examples of a split; None: all.

    >>> donor = Donor({}, {}, {}, (), (32, 32, 3), '', None)
    >>> target_for(donor, {'name': 'digits'})
    {'name': 'resampled', 'of': {'name': 'digits'}, 'size': 32, 'channels': 3, 'most': None}
    """
    if isinstance(donor, Path) or len(donor.shape) != 3:
        return target
    return dict(
        name='resampled', of=target, size=donor.shape[0], channels=donor.shape[2], most=most
    )


def trained_on(donor: Donor, target: Config) -> bool:
    """Returns whether a donor was trained on the target's data.

    Args:
        donor: a donor.
        target: config of the target's data.

    >>> digits = {'name': 'digits'}
    >>> trained_on(Donor({}, {}, {}, (), (), '', {'name': 'resampled', 'of': digits}), digits)
    True
    """
    data = donor.data or {}
    return data.get('of', data) == target


def untrained_donor(donor: Donor) -> Donor:
    """Returns a donor with the same network, newly initialised.

    Args:
        donor: a donor.

    >>> donor = Donor({'name': 'identity', 'dim': 2}, {}, {}, (), (2,), 'runs/a', None)
    >>> untrained_donor(donor).params
    {'backbone': {}}
    """
    net = call_named(ZOO, donor.net, 'net')
    variables = net.init(jax.random.key(0), jnp.zeros((1, *donor.shape)))
    params, state = (
        {'backbone': jax.tree.map(lambda leaf: np.asarray(leaf)[None], tree)} for tree in variables
    )
    return donor._replace(params=params, state=state)


def transfer_settings(
    donor: Donor | Path, target: Config, row: Record, settings: Config, study: Config, strategy: str
) -> Record:
    """Returns the config of a run that trains a donor on a target.

    Args:
        donor: a donor.
        target: config of the target's data.
        row: {'source': name of the donor, 'labels_per_class'}.
        settings: config of one fit.
        study: the config's `study`.
        strategy: name of a strategy of `study.strategies`.

    Raises:
        UserError: if the donor is a file of features.

    >>> donor = Donor({'name': 'identity', 'dim': 64}, {}, {}, (), (64,), 'runs/a', None)
    >>> row = {'source': 'mine', 'labels_per_class': 5}
    >>> settings = dict(data={}, net={}, init={'path': ''}, per_class=None, steps=100)
    >>> study = {'most': None, 'strategies': {'short': {'steps': 10}}}
    >>> config = transfer_settings(donor, {'name': 'digits'}, row, settings, study, 'short')
    >>> config['init'], config['per_class'], config['steps']
    ({'path': 'runs/a'}, 5, 10)
    """
    if isinstance(donor, Path):
        raise UserError(
            f'study.sources.{row["source"]} is a file of features, which cannot be trained '
            'further: leave it out'
        )
    changes = {
        'data': target_for(donor, target, study['most']),
        'net': donor.net,
        'init': {'path': donor.place},
        'per_class': row['labels_per_class'],
    }
    start = merge(settings, changes)
    return merge(start, study['strategies'][strategy], f'study.strategies.{strategy}')
