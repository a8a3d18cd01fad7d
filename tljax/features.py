"""Networks that bring what they know, and what they make of a data set: its features, a data set of their own."""
import hashlib
import json
import sys

import jax
import numpy as np

from tljax import zoo
from tljax.configuration import named, near
from tljax.core import Refused
from tljax.data.formats.arrays import arrays
from tljax.engine.checkpoint import digest
from tljax.engine.devices import compile_predict, make_mesh
from tljax.engine.evaluate import predictions
from tljax.files.cache import cache_dir, save_npz
from tljax.zoo.table import ROWS
from tljax.zoo.weights import keras, published

NAMES = {'extracted': 'extracted'}   # data sets of this module


def extracted(of, net, weights='imagenet'):
    """The splits of a data set, each picture as the features (dim,) of a network with ImageNet weights, float32.

    Args:
        of: config of a set of pictures, or of `domains` of them. net, weights: as `pretrained` takes them.

    Raises:
        Refused: as `pretrained`, and for a set that is no pictures of three channels.

    >>> extracted({'name': 'digits'}, {'name': 'resnet50v1'})
    Traceback (most recent call last):
    tljax.core.Refused: net.name='resnet50v1' has no published ImageNet weights: did you mean resnet50v2?
    """
    params, state, _ = pretrained(net, weights, top=False)
    splits = named('tljax.data', of, 'data.of')
    shape = np.shape(splits['train'].take(np.arange(1)).get('input'))[1:]
    if len(shape) != 3 or shape[2] != 3:
        raise Refused(f'data.of.name={of["name"]!r} has inputs of shape {shape}, and {net["name"]} takes pictures of three channels: lay '
                      "dict(name='resampled', size=..., channels=3) around it")
    return featured_splits(net, extractor(named('tljax.zoo', net, 'data.net')), params, state, splits)


def pretrained(net, path, classes=None, top=True):
    """A network of the zoo with ImageNet weights, as what a finished run saves.

    Args:
        net: its config. path: a Keras weights file, or 'imagenet' for the published one, 'imagenet:160' for the one of that picture size.
        classes: the names of the outputs; None numbers them. top: whether the published file is to have outputs.

    Returns:
        (params, state, record) as `checkpoint.load_final` gives, with one seed.

    Raises:
        Refused: for a network without published weights, weights that do not fit, and another number of classes.

    >>> pretrained({'name': 'resnet50v1'}, 'weights.h5')
    Traceback (most recent call last):
    tljax.core.Refused: net.name='resnet50v1' has no published ImageNet weights: did you mean resnet50v2?
    """
    if net['name'] not in ROWS:
        raise Refused(f'net.name={net["name"]!r} has no published ImageNet weights: {near(net["name"], ROWS)}')
    row = ROWS[net['name']]
    older = getattr(sys.modules[getattr(zoo, net['name']).__module__], 'PUBLISHED', {})

    def read(path):
        return keras.load(path, named('tljax.zoo', net, 'net'), row.size, row.top, older)

    if name := published.NAME.fullmatch(str(path)):
        path = published.published(net, int(name[1] or 0), top, check=read)
    params, state = jax.tree.map(lambda leaf: leaf[None], read(path))
    count = params['head']['bias'].shape[1] if 'head' in params else 0
    classes = [str(i) for i in range(count)] if classes is None else list(classes)
    if count and len(classes) != count:
        raise Refused(f'{path} tells {count} classes apart, and {len(classes)} are named: take the class index that belongs to it')
    data = {'name': 'folder', 'size': row.size, 'resize': row.resize}
    return params, state, {'config': {'net': net, 'method': {'name': 'finetune'}, 'data': data, 'weights': str(path)}, 'classes': classes,
                           'input': [row.size, row.size, 3], 'seeds': [0], 'scores': {}}


def extractor(net):
    """The compiled features of a network, for the parameters of any method that has it as its backbone.

    >>> from tljax.zoo.families.identity import identity
    >>> params = {'backbone': {}, 'head': np.zeros(1)}
    >>> extractor(identity(2)).run(params, {'backbone': {}}, {'input': np.ones((3, 2))})['features'].shape
    (1, 3, 2)
    """
    def features(params, state, batch):
        return {'features': net.features(params['backbone'], state['backbone'], batch['input'])[0]['features']}

    return compile_predict(features, make_mesh())


def featured(spec, extract, params, state, dataset, batch=256):
    """A data set of the features of one, extracted once: they are kept in the cache by network, weights and examples.

    Args:
        spec: the config of a network. extract: its `extractor`, which serves all sets. params, state: of a method that has it as its
            backbone, with a leading axis of one seed. batch: examples at a time.

    >>> from tljax.zoo.families.identity import identity
    >>> params = {'backbone': {}, 'head': np.zeros(1)}
    >>> featured({'name': 'identity', 'dim': 2}, extractor(identity(2)), params, {'backbone': {}}, arrays(np.eye(2), [0, 1])).size
    2
    """
    numbers = digest((params['backbone'], state['backbone']))
    held = hashlib.sha256(json.dumps([spec, numbers, dataset.fingerprint]).encode()).hexdigest()
    path = cache_dir() / 'features' / f'{held}.npz'
    if jax.process_count() > 1 or not path.exists():   # processes extract together, whichever of them has the file
        save_npz(path, features=predictions(extract, params, state, dataset, batch,
                                            said=f'extracting features of {dataset.size} examples')['features'][0])
    with np.load(path, allow_pickle=False) as stored:
        return arrays(stored['features'], dataset.label, dataset.classes)


def featured_splits(spec, extract, params, state, splits, batch=256):
    """`featured` of every split that has examples; a target beside a training set stays there.

    >>> from tljax.zoo.families.identity import identity
    >>> params = {'backbone': {}, 'head': np.zeros(1)}
    >>> splits = {'train': arrays(np.eye(2), [0, 1]), 'test': arrays(np.eye(2)[:0], [])}
    >>> list(featured_splits({'name': 'identity', 'dim': 2}, extractor(identity(2)), params, {'backbone': {}}, splits))
    ['train']
    """
    found = {name: featured(spec, extract, params, state, split, batch) for name, split in splits.items() if split.size}
    if splits['train'].target:
        found['train'] = found['train']._replace(target=found.get('target', found['train']))
    return found
