"""Networks that bring what they know, and what they make of a data set: its features, a data set of their own."""
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from tljax.configuration import ZOO, named, near, short, stated
from tljax.core import Dataset, Net, Refused, Tree
from tljax.data.formats.arrays import arrays
from tljax.engine.checkpoint import digest, load_final
from tljax.engine.devices import Compiled, compile_predict, make_mesh
from tljax.engine.evaluate import predictions
from tljax.files.cache import cache_dir, save_npz
from tljax.paths import first, flatten
from tljax.zoo.table import ROWS
from tljax.zoo.weights import keras, published

NAMES = ('extracted',)   # data sets of this module


def extracted(splits: dict[str, Dataset], net: Net, weights: str = 'imagenet') -> dict[str, Dataset]:
    """The splits of a data set, each picture as the features (dim,) of a network with ImageNet weights, float32.

    Args:
        splits: of a set of pictures, or of `domains` of them.
        net: the network.
        weights: as `read_weights` takes them.

    Raises:
        Refused: as `read_weights`; the set has no pictures of three channels.

    >>> from tljax.data import digits
    >>> from tljax.zoo import conv4
    >>> extracted(digits(), conv4())
    Traceback (most recent call last):
    tljax.core.Refused: this network has no published ImageNet weights: take one of python -m experiments.models
    """
    params, state = read_weights(net, weights, top=False)
    shape = np.shape(splits['train'].take(np.arange(1)).get('input'))[1:]
    if len(shape) != 3 or shape[2] != 3:
        raise Refused(f'data.of has inputs of shape {shape}, and the network takes pictures of three channels: lay '
                      "dict(name='resampled', size=..., channels=3) around it")
    return featured_splits(net, extractor(net), *jax.tree.map(lambda leaf: leaf[None], (params, state)), splits)


def read_weights(net: Net, path: str, top: bool = True) -> tuple[Tree, Tree]:
    """ImageNet weights of a network, or of the network that it is a part of.

    Args:
        net: a network of the zoo.
        path: a Keras weights file, or 'imagenet' for the published one, 'imagenet:160' for the one of that picture size.
        top: whether the published file is to have outputs.

    Returns:
        (params, state) of a method that has the network as its backbone; 'head' stands in `params` if the file has outputs.

    Raises:
        Refused: no weights are published for the network, or the weights do not fit.

    >>> from tljax.zoo import mobilenet
    >>> read_weights(mobilenet(), 'weights.h5')
    Traceback (most recent call last):
    tljax.core.Refused: weights.h5 does not exist: name a Keras weights file (.h5)
    """
    if not net.published:
        raise Refused('this network has no published ImageNet weights: take one of python -m experiments.models')
    row = ROWS[net.published['name']]

    def read(path):
        return keras.load(path, net.whole or net, row.size, row.top, net.published.get('older'))

    if name := published.NAME.fullmatch(str(path)):
        path = published.published(net.published, int(name[1] or 0), top, check=read)
    return read(path)


def pretrained(spec: dict, path: str, classes: Sequence[str] | None = None, top: bool = True) -> tuple[Tree, Tree, dict]:
    """A network of the zoo with ImageNet weights, as what a finished run saves.

    Args:
        spec: config of the network.
        path: as `read_weights` takes it.
        classes: names of the outputs; None numbers them.
        top: as `read_weights` takes it.

    Returns:
        (params, state, record) as `checkpoint.load_final` gives, with one seed.

    Raises:
        Refused: as `read_weights`; another number of classes; a network without published weights, with the nearest one.

    >>> pretrained({'name': 'resnet50v1'}, 'weights.h5')
    Traceback (most recent call last):
    tljax.core.Refused: net.name='resnet50v1' has no published ImageNet weights: did you mean resnet50v2?
    """
    if spec['name'] not in ROWS:
        raise Refused(f'net.name={spec["name"]!r} has no published ImageNet weights: {near(spec["name"], ROWS)}')
    row = ROWS[spec['name']]
    params, state = jax.tree.map(lambda leaf: leaf[None], read_weights(named(ZOO, spec, 'net'), path, top))
    count = params['head']['bias'].shape[1] if 'head' in params else 0
    classes = [str(i) for i in range(count)] if classes is None else list(classes)
    if count and len(classes) != count:
        raise Refused(f'{path} tells {count} classes apart, and {len(classes)} are named: take the class index that belongs to it')
    data = {'name': 'folder', 'size': row.size, 'resize': row.resize}
    return params, state, {'config': {'net': spec, 'method': {'name': 'finetune'}, 'data': data, 'weights': str(path)}, 'classes': classes,
                           'input': [row.size, row.size, 3], 'seeds': [0], 'scores': {}}


def extractor(net: Net) -> Compiled:
    """The compiled features of a network, for the parameters of any method that has it as its backbone.

    >>> from tljax.zoo.families.identity import identity
    >>> params = {'backbone': {}, 'head': np.zeros(1)}
    >>> extractor(identity(2)).run(params, {'backbone': {}}, {'input': np.ones((3, 2))})['features'].shape
    (1, 3, 2)
    """
    def features(params, state, batch):
        return {'features': net.features(params['backbone'], state['backbone'], batch['input'])[0]['features']}

    return compile_predict(features, make_mesh())


def featured(net: Net, extract: Compiled, params: Tree, state: Tree, dataset: Dataset, batch: int = 256) -> Dataset:
    """A data set of the features of one, extracted once: they are kept in the cache by network, weights and examples.

    Args:
        net: the network.
        extract: its `extractor`, which serves all sets.
        params: of a method that has the network as its backbone, with a leading axis of one seed.
        state: of the same method.
        dataset: set of examples.
        batch: examples at a time.

    >>> from tljax.zoo import identity
    >>> params = {'backbone': {}, 'head': np.zeros(1)}
    >>> featured(identity(2), extractor(identity(2)), params, {'backbone': {}}, arrays(np.eye(2), [0, 1])).size
    2
    """
    numbers = digest((params['backbone'], state['backbone']))
    key = hashlib.sha256(json.dumps([net.fingerprint, numbers, dataset.fingerprint]).encode()).hexdigest()
    path = cache_dir() / 'features' / f'{key}.npz'
    if jax.process_count() > 1 or not path.exists():   # processes extract together, whichever of them has the file
        save_npz(path, features=predictions(extract, params, state, dataset, batch,
                                            said=f'extracting features of {dataset.size} examples')['features'][0])
    with np.load(path, allow_pickle=False) as stored:
        return arrays(stored['features'], dataset.label, dataset.classes)._replace(task=dataset.task)


def featured_splits(net: Net, extract: Compiled, params: Tree, state: Tree, splits: dict[str, Dataset],
                    batch: int = 256) -> dict[str, Dataset]:
    """`featured` of every split that has examples; a target beside a training set stays there.

    >>> from tljax.zoo import identity
    >>> params = {'backbone': {}, 'head': np.zeros(1)}
    >>> splits = {'train': arrays(np.eye(2), [0, 1]), 'test': arrays(np.eye(2)[:0], [])}
    >>> list(featured_splits(identity(2), extractor(identity(2)), params, {'backbone': {}}, splits))
    ['train']
    """
    found = {name: featured(net, extract, params, state, split, batch) for name, split in splits.items() if split.size}
    if splits['train'].target:
        found['train'] = found['train']._replace(target=found.get('target', found['train']))
    return found


def donors_of(config: dict, donor_dir: str | Path | None, net: Net, labels: Tree, classes: Sequence[str]) -> list[tuple[Tree, Tree]] | None:
    """What a run is grafted from: a finished run, or a network's published weights.

    Args:
        config: config of the phase.
        donor_dir: a finished run, where the config names none by path.
        net: network of the run.
        labels: tree of labels like the parameters of the run.
        classes: names of the run's classes.

    Returns:
        [(params, state)], one for all seeds or one for each; None if there is no donor.

    Raises:
        Refused: the donor tells other classes apart and its head is asked for; it has another number of seeds; no phase has run yet.

    >>> donors_of({'init': {'path': '', 'phase': '', 'rules': []}}, None, None, {}, ())
    """
    init = config['init']
    place = init['path'] or donor_dir
    if not place:
        if init['phase']:
            raise Refused(f'init.phase={init["phase"]!r}: run all phases, or name a finished run by init.path')
        return None
    rules = [(pattern, 'taken') for pattern, _ in init['rules']]
    takes_head = any(path.startswith('head/') and first(rules, path) for path in flatten(labels))
    if Path(place).suffix in ('.h5', '.hdf5') or published.NAME.fullmatch(str(place)):
        donors = [read_weights(net, str(place), takes_head)]
        names = [str(i) for i in range(len(donors[0][0].get('head', {}).get('bias', ())))]
    else:
        params, state, record = load_final(place)
        donors = [jax.tree.map(lambda leaf, i=i: leaf[i], (params, state)) for i in range(len(record['seeds']))]
        names = record['classes']
    if (takes_head or config['pseudo']['name']) and tuple(names) != tuple(classes):
        raise Refused(f'the head of {place} knows the classes {short(names)}, this data has {short(classes)}: '
                      'graft the backbone alone (init.rules)')
    if len(donors) not in (1, len(config['seeds'])):
        raise Refused(f'{place} was trained with {len(donors)} seeds, this run has {len(config["seeds"])}: a donor has one, or as many')
    return donors


def pseudo_labels(config: dict, net: Net, donors: list | None, train: Dataset) -> dict[int, np.ndarray] | None:
    """Labels that the donor of each seed gives to the training set.

    Args:
        config: config of the phase.
        net: network of the run.
        donors: [(params, state)] as `donors_of` gives.
        train: the training set.

    Returns:
        {seed: (size,) labels}, or None if the run takes the labels of the data.

    Raises:
        Refused: the method takes pseudo-labels and the config makes none; there is no donor; the labels are changed in another way, too.

    >>> pseudo_labels({'method': {'name': 'finetune'}, 'pseudo': {'name': ''}}, None, None, None)
    """
    name = config['pseudo']['name']
    if stated(config['method'], 'PSEUDO', False) and not name:
        raise Refused(f'method.name={config["method"]["name"]!r} takes pseudo-labels: set pseudo.name=centroids and name a finished run by '
                      'init.phase or init.path')
    if name in ('', 'given'):
        return None
    if donors is None or train.target or config['shuffled'] or config['per_class']:
        raise Refused(f'pseudo.name={name!r} labels one set by a finished run: name it by init.phase or init.path, and leave shuffled, '
                      'per_class and data=domains alone')
    params, state = jax.tree.map(lambda *leaves: np.stack(leaves), *donors)
    features = predictions(extractor(net), params, state, train, config['eval_batch'])['features']
    logits = features @ params['head']['kernel'] + params['head']['bias'][:, None]
    labels = [named('tljax.methods.pseudo_labels', config['pseudo'], 'pseudo', features=each, logits=said)
              for each, said in zip(features, logits, strict=True)]
    return {seed: labels[i % len(labels)] for i, seed in enumerate(config['seeds'])}
