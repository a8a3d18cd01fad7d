"""Features of domains: the inputs themselves, or features of a pretrained network."""

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
    """Features and labels of a domain.

    Attributes:
        source: (x (n, d), label (n,)) of the splits that are used when the domain is the source.
        target: (x (n, d), label (n,)) of the splits that are used when the domain is the target.
        classes: names of the classes.
    """

    source: tuple[np.ndarray, np.ndarray]
    target: tuple[np.ndarray, np.ndarray]
    classes: tuple[str, ...]


def domain_features(config: Config) -> dict[str, Domain]:
    """Returns the features of the domains that a config names, by name.

    Args:
        config: plain dict with 'domains', 'splits', 'net', 'init' and 'scale', as
            `configs.base.shallow` describes them.

    Raises:
        UserError: if a split, the weights or the scale do not exist, or the domains have different
            classes or dimensions.

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
    _refuse_different_domains(domains)
    return domains


def _extraction(config: Config) -> Callable[[Dataset], Dataset]:
    """Returns the function that computes features: the config's network, or the identity."""
    net = config['net']
    if not net['name']:
        return lambda dataset: dataset
    params, state, _ = pretrained(net, config['init']['path'], top=False)
    network = call_named(ZOO, net, 'net')
    extract = extractor(network)
    return lambda dataset: feature_dataset(network, extract, params, state, dataset)


def _domain(config: Config, name: str, extract: Callable[[Dataset], Dataset]) -> Domain:
    splits = call_named(DATA, config['domains'][name], f'domains.{name}')
    used_splits = {*config['splits']['source'], *config['splits']['target']}
    for split in used_splits - set(splits):
        raise UserError(f'splits: {name} has no {split!r}: {nearest_name(split, splits)}')
    features = {split: extract(splits[split]) for split in used_splits}
    scale = SCALES[config['scale']]
    sides = {}
    for side, names in config['splits'].items():
        parts = [features[split].take(np.arange(features[split].size)) for split in names]
        x = np.concatenate([part['input'] for part in parts])
        label = np.concatenate([part['label'] for part in parts])
        sides[side] = scale(x.reshape(len(x), -1).astype(np.float64)), label
    return Domain(**sides, classes=features[config['splits']['source'][0]].classes)


def _refuse_different_domains(domains: dict[str, Domain]) -> None:
    """Raises an error if the domains differ in their classes or in their number of features."""
    (first, domain), *others = domains.items()
    for name, other in others:
        if other.classes != domain.classes:
            difference = 'classes'
        elif other.source[0].shape[1] != domain.source[0].shape[1]:
            difference = 'columns'
        else:
            continue
        raise UserError(
            f'domains.{first} and domains.{name} differ in their {difference}: adaptation needs '
            'the same in all domains'
        )
