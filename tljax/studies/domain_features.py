"""The features of domains: the inputs themselves, or what a pretrained network makes of them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.preprocessing import StandardScaler, normalize

from tljax.configuration import DATA, ZOO, call_named
from tljax.core import Dataset, UserError, nearest_name
from tljax.features import extractor, feature_dataset
from tljax.protocols import Config
from tljax.weights import pretrained

SCALES = {'none': lambda x: x, 'standard': StandardScaler().fit_transform, 'unit': normalize}


class Domain(NamedTuple):
    """A domain's features and labels.

    Attributes:
        source: (x (n, d), label (n,)) of the splits that stand for it where it is the source.
        target: the same where it is the target.
        classes: their names.

    >>> rows = np.zeros((2, 3)), np.array([0, 1])
    >>> Domain(rows, rows, ('cup', 'mouse')).classes
    ('cup', 'mouse')
    """

    source: tuple[np.ndarray, np.ndarray]
    target: tuple[np.ndarray, np.ndarray]
    classes: tuple[str, ...]


def domain_features(config: Config) -> dict[str, Domain]:
    """The domains of a config by name.

    Args:
        config: plain dict with 'domains', 'splits', 'net', 'init' and 'scale', as
            `configs.base.shallow` describes them.

    Raises:
        UserError: for splits, weights and scales that do not exist, and domains that do not pair.

    >>> digits = {'name': 'digits', 'size': 8}
    >>> config = dict(
    ...     domains={'a': digits},
    ...     splits=dict(source=['train'], target=['test']),
    ...     net={'name': ''},
    ...     scale='standard',
    ... )
    >>> domain_features(config)['a'].source[0].shape
    (899, 64)
    """
    if config['scale'] not in SCALES:
        raise UserError(f'scale={config["scale"]!r} is not one of {", ".join(SCALES)}')
    extract = _extraction(config)
    domains = {name: _domain(config, name, extract) for name in config['domains']}
    _refuse_unlike(domains)
    return domains


def _extraction(config: Config) -> Callable[[Dataset], Dataset]:
    """Dataset -> Dataset of its features, by the config's network, or as it is."""
    net = config['net']
    if not net['name']:
        return lambda dataset: dataset
    params, state, _ = pretrained(net, config['init']['path'], top=False)
    network = call_named(ZOO, net, 'net')
    extract = extractor(network)
    return lambda dataset: feature_dataset(network, extract, params, state, dataset)


def _domain(config: Config, name: str, extract: Callable[[Dataset], Dataset]) -> Domain:
    splits = call_named(DATA, config['domains'][name], f'domains.{name}')
    used = {*config['splits']['source'], *config['splits']['target']}
    for split in used - set(splits):
        raise UserError(f'splits: {name} has no {split!r}: {nearest_name(split, splits)}')
    splits = {split: extract(splits[split]) for split in used}
    sides = {}
    for side, names in config['splits'].items():
        parts = [splits[split].take(np.arange(splits[split].size)) for split in names]
        x, label = (np.concatenate([part[key] for part in parts]) for key in ('input', 'label'))
        rows = x.reshape(len(x), -1).astype(np.float64)
        sides[side] = SCALES[config['scale']](rows), label
    return Domain(**sides, classes=splits[config['splits']['source'][0]].classes)


def _refuse_unlike(domains: dict[str, Domain]) -> None:
    first, *others = domains
    one = domains[first]
    for name in others:
        other = domains[name]
        columns = one.source[0].shape[1], other.source[0].shape[1]
        for what, unlike in (
            ('classes', one.classes != other.classes),
            ('columns', columns[0] != columns[1]),
        ):
            if unlike:
                raise UserError(
                    f'domains.{first} and domains.{name} differ in their {what}: adaptation needs '
                    'the same in all domains'
                )
