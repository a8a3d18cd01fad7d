"""What a target may be taught from: finished runs, networks with published weights, runs to be trained first, and files of features."""
import functools
import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import softmax

from tljax import build
from tljax.checkpoint import digest, load_final
from tljax.configuration import folder, merge, named, near
from tljax.core import Refused
from tljax.data.arrays import per_class
from tljax.features import extractor, featured, pretrained
from tljax.log import say
from tljax.probes import knn_score, probe_score
from tljax.relatedness import task2vec
from tljax.studies.models import last
from tljax.transferability import OF_PREDICTIONS
from tljax.zoo import ROWS

PROBES = {'probe': functools.partial(probe_score, penalty=100.), 'nearest': knn_score}


class Source(NamedTuple):
    """A network that knows something: its config, weights (leading axis of one seed), the names it tells apart, the shape of its inputs,
    where its weights are grafted from, and the config of the data that it learnt from, where that is known."""
    net: dict
    params: dict
    state: dict
    classes: tuple
    shape: tuple
    place: str
    data: dict | None


def source(name, spec, settings, workdir):
    """The source that a config's `study.sources` names.

    Args:
        spec: {'run': folder of a finished run}; {'net', 'weights': as `features.pretrained` takes them, 'size'}; {'features': an .npz}; or
            what differs from `settings` in a run, which is trained under `workdir`, or found finished there. Any of them may have 'top1'.

    Returns:
        A `Source`, or the path of the features.
    """
    kinds = {'features': {'features'}, 'run': {'run'}, 'weights': {'net', 'weights', 'size'}}
    spec = {key: value for key, value in spec.items() if key != 'top1'}
    kind = next((kind for kind in kinds if kind in spec), None)
    if kind and (unknown := set(spec) - kinds[kind]):
        raise Refused(f'study.sources.{name}.{min(unknown)} is unknown beside {kind}: {near(min(unknown), kinds[kind])}')
    if kind == 'features':
        path = Path(spec['features']).expanduser()
        if not path.is_file():
            raise Refused(f'study.sources.{name}: {path} does not exist: give an .npz with features (n, d), in the order of the target, '
                          'and probability (n, classes) if the source has classes')
        return path
    if kind == 'weights':
        params, state, record = pretrained(spec['net'].get('of', spec['net']), spec['weights'])
        size = spec.get('size', record['input'][0])
        classes = tuple(record['classes']) if 'head' in params else ()
        return Source(spec['net'], params, state, classes, (size, size, 3), spec['weights'], None)
    if kind == 'run':
        place = last(Path(spec['run']))
    else:
        fresh = merge(settings, {'seeds': [100], 'init': {'path': '', 'phase': ''}, 'per_class': None}, 'config')
        build.fit_phases([(name, merge(fresh, spec, f'study.sources.{name}'))], workdir / name)
        place = folder(workdir / name, [name], name)
    params, state, record = load_final(place)
    if len(record['seeds']) > 1:
        raise Refused(f'study.sources.{name}: {place} holds {len(record["seeds"])} networks, one per seed: name a run of one seed')
    return Source(record['config']['net'], params, state, tuple(record['classes']), tuple(record['input']), str(place),
                  record['config']['data'])


def top1(spec):
    """The accuracy on ImageNet of a config's source: what it says, or what is published of just that network; None where neither is.

    >>> top1({'net': {'name': 'vgg16'}, 'weights': 'imagenet'})
    0.713
    """
    net = spec.get('net', {})
    row = ROWS.get(net.get('name'))
    if 'top1' in spec or row is None:
        return spec.get('top1')
    published = spec.get('weights') in ('imagenet', f'imagenet:{row.size}') and net.get('alpha', 1) == 1
    return row.top1 if published and spec.get('size', row.size) == row.size else None


def fingerprint(source):
    """A hash of a source, what it is shown included, or of a file of features: what is kept of a source is kept for that."""
    if isinstance(source, Path):
        return hashlib.sha256(source.read_bytes()).hexdigest()
    return hashlib.sha256(json.dumps([source.net, source.shape, digest((source.params, source.state))]).encode()).hexdigest()


def target_for(source, target, most=None):
    """The config of a target's data at the shape that a source takes, with at most so many examples of a split."""
    if isinstance(source, Path) or len(source.shape) != 3:
        return target
    return dict(name='resampled', of=target, size=source.shape[0], channels=source.shape[2], most=most)


def same_data(source, target):
    """Whether a source has learnt from what the target is.

    >>> same_data(Source({}, {}, {}, (), (), '', {'name': 'resampled', 'of': {'name': 'digits'}}), {'name': 'digits'})
    True
    """
    learnt = source.data or {}
    return learnt.get('of', learnt) == target


def seen_by(source, dataset, name):
    """(features (n, d), probabilities (n, classes) by the source's own head or None) of a labelled set; features are kept in the cache.

    Raises:
        Refused: for features that are not finite, by the name of the source.
    """
    x, probability = _stored(source, dataset) if isinstance(source, Path) else _extracted(source, dataset)
    if not np.isfinite(x).all():
        raise Refused(f'{name}: {int((~np.isfinite(x)).sum())} of {x.size} features of the target are not finite: leave this source out, '
                      'or look for the run that diverged')
    return x, probability


def _extracted(source, dataset):
    extract = extractor(named('tljax.zoo', source.net, 'net'))
    x = featured(source.net, extract, source.params, source.state, dataset).take(np.arange(dataset.size))['input']
    head = source.params.get('head', {})
    if set(head) != {'kernel', 'bias'} or len(head['kernel'][0]) != x.shape[1]:
        return x, None
    return x, softmax(x @ head['kernel'][0] + head['bias'][0], -1)


def _stored(path, dataset):
    with np.load(path, allow_pickle=False) as file:
        if 'features' not in file:
            raise Refused(f'{path} has {", ".join(file)} and no features: name them so')
        x, probability = file['features'], file.get('probability')
    if len(x) != dataset.size:
        raise Refused(f'{path} has features of {len(x)} examples, and the target has {dataset.size}: extract those of its training split')
    return x, probability


def scored(source, target, row, seeds, most, scores):
    """{score: (seeds,)} of the labelled examples that training with so many labels per class would see, and what a probe reaches without
    the source, which tells how much there is to gain: {'inputs': (seeds,), 'untrained': (seeds,) on the features of its network untrained}.

    Args:
        row: {'source', 'target', 'labels_per_class'}. scores: {name: function of features and labels}; those of predictions are added where
            the source has classes.
    """
    data = target_for(source, target, most)
    dataset = build.load(data)['train']
    x, probability = seen_by(source, dataset, row['source'])
    fresh = None if isinstance(source, Path) else seen_by(untrained(source), dataset, row['source'])[0]
    found, without = {}, {'inputs': [_probe_of_inputs(json.dumps(data), row['labels_per_class'], seed) for seed in seeds]}
    for seed in seeds:
        chosen = per_class(dataset.label, row['labels_per_class'], seed)
        y = dataset.label[chosen]
        asked = {**{name: (score, x[chosen]) for name, score in scores.items()},
                 **({} if probability is None else {name: (score, probability[chosen]) for name, score in OF_PREDICTIONS.items()})}
        for name, (score, given) in asked.items():
            try:
                found.setdefault(name, []).append(score(given, y))
            except Refused as refused:
                say(f'{row["target"]}, {row["source"]}: no {name}: {refused}')
        if fresh is not None:
            without.setdefault('untrained', []).append(PROBES['probe'](fresh[chosen], y))
    return {name: values for name, values in found.items() if len(values) == len(seeds)}, without


@functools.lru_cache(maxsize=256)
def _probe_of_inputs(data, k, seed):
    """What a probe reaches on the inputs themselves: the same for all sources that see them at one shape."""
    dataset = build.load(json.loads(data))['train']
    chosen = per_class(dataset.label, k, seed)
    return PROBES['probe'](dataset.take(chosen)['input'].reshape(len(chosen), -1), dataset.label[chosen])


def untrained(source):
    """The same network with weights that have learnt nothing."""
    fresh = named('tljax.zoo', source.net, 'net').init(jax.random.key(0), jnp.zeros((1, *source.shape)))
    params, state = ({'backbone': jax.tree.map(lambda leaf: np.asarray(leaf)[None], tree)} for tree in fresh)
    return source._replace(params=params, state=state)


def embedding(probe, data, k, most=None, classes=20):
    """Task2Vec of a data set's training examples by the network of a source, a list: k per class where all have so many, of the first
    `classes` alone."""
    dataset = build.load(target_for(probe, data, most))['train']
    chosen = per_class(dataset.label, k and min(k, np.unique(dataset.label, return_counts=True)[1].min()), 0)
    chosen = chosen[dataset.label[chosen] < classes]
    params, state = jax.tree.map(lambda leaf: leaf[0], (probe.params['backbone'], probe.state['backbone']))
    return task2vec(named('tljax.zoo', probe.net, 'net'), params, state, dataset.take(chosen)['input'], dataset.label[chosen],
                    penalty=100., block=4).tolist()


def trained_on(source, target, row, settings, study, strategy):
    """The config of a run that trains a source on a target by a strategy of the study."""
    if isinstance(source, Path):
        raise Refused(f'study.sources.{row["source"]} is a file of features, which cannot be trained further: leave it out')
    start = merge(settings, {'data': target_for(source, target, study['most']), 'net': source.net, 'init': {'path': source.place},
                             'per_class': row['labels_per_class']})
    return merge(start, study['strategies'][strategy], f'study.strategies.{strategy}')
