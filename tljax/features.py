"""Networks that bring what they know, and what they make of a data set: its features, a data set of their own."""
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from tljax.configuration import ZOO, named
from tljax.core import Dataset, Net, Refused, Tree, near, short
from tljax.data.formats.arrays import arrays
from tljax.engine.checkpoint import digest, last, load_final
from tljax.engine.devices import Compiled, compile_predict, make_mesh
from tljax.engine.evaluate import predictions
from tljax.files.cache import cache_dir, save_npz
from tljax.files.console import say
from tljax.zoo.table import ROWS
from tljax.zoo.weights import foreign, keras, published

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
    return featured_splits(net, *jax.tree.map(lambda leaf: leaf[None], (params, state)), splits)


def read_weights(net: Net, path: str, top: bool = True) -> tuple[Tree, Tree]:
    """ImageNet weights of a network, or of the network that it is a part of.

    Args:
        net: a network of the zoo.
        path: a Keras weights file, or 'imagenet' for the published one, 'imagenet:160' for the one of that picture size.
        top: whether a head is asked for. Without, what lies above the network is left, and said.

    Returns:
        (params, state) of a method that has the network as its backbone; 'head' stands in `params`
        if it is asked for and the file has one.

    Raises:
        Refused: no weights are published for the network, or the weights do not fit; what lies
            above the network is no linear head on its features, and one is asked for.

    >>> from tljax.zoo import mobilenet
    >>> read_weights(mobilenet(), 'weights.h5')
    Traceback (most recent call last):
    tljax.core.Refused: weights.h5 does not exist: name a Keras weights file (.h5)
    """
    found, over = _loaded(net, path, top), 'above1' in net.groups   # over dense layers of its own
    if top and (found.above.why or found.above.dense and not over):
        why = found.above.why or f'it stands on {short(found.above.names[:-1])}'
        raise Refused(f'{path} has no linear head on the features of the network ({why}): '
                      'graft the backbone alone (init.rules)')
    return _with_dense(found) if over else found.params, found.state


def _loaded(net: Net, path: str, top: bool) -> keras.Loaded:
    """As `read_weights`, with what lies between the features and the head."""
    if not net.published:
        raise Refused('this network has no published ImageNet weights: take one of python -m experiments.models')
    row = ROWS[net.published['name']]

    def read(path):
        return keras.load(path, net.whole or net, row.size, row.top, net.published.get('older'))

    if name := published.NAME.fullmatch(str(path)):
        path = published.published(net.published, int(name[1] or 0), top, check=read)
    found = read(path)
    if found.prepared:
        say(f'{path}: {short(found.prepared)} may scale pictures otherwise than '
            f'{net.published["name"]} does, which is what holds here')
    if not top:
        found = found._replace(params={'backbone': found.params['backbone']})
    elif found.above.head and found.above.head['bias'].size == 1:
        say(f'{path} has one output: it is taken for the log-odds of the second of two classes, '
            'as a sigmoid does')
    taken = found.above.names if top or 'above1' in net.groups else ()
    if left := [layer for layer in found.spare if layer not in (*row.top, *taken)]:
        why = f' ({found.above.why})' if top and found.above.why else ''
        say(f'{path}: what lies above the network is left: {short(left)}{why}')
    return found


def _with_dense(found: keras.Loaded) -> Tree:
    """The parameters, with those of the dense layers below the head (`zoo.with_layers`)."""
    dense = {f'above{i}': layer for i, layer in enumerate(found.above.dense, 1)}
    return {**found.params, 'backbone': {**found.params['backbone'], **dense}}


def pretrained(spec: dict, path: str, classes: Sequence[str] | None = None, top: bool = True) -> tuple[Tree, Tree, dict]:
    """A network of the zoo with ImageNet weights, as what a finished run saves.

    Args:
        spec: config of the network.
        path: as `read_weights` takes it.
        classes: names of the outputs; None numbers them.
        top: as `read_weights` takes it.

    Returns:
        (params, state, record) as `checkpoint.load_final` gives, with one seed. Where dense layers
        lie between the features and the head, the record's network has them (`zoo.with_layers`).
        Where layers lie above that are no head, there is none, and `record['left']` says why.

    Raises:
        Refused: as `read_weights`; another number of classes; a network without published weights, with the nearest one.

    >>> pretrained({'name': 'resnet50v1'}, 'weights.h5')
    Traceback (most recent call last):
    tljax.core.Refused: net.name='resnet50v1' has no published ImageNet weights: did you mean resnet50v2?
    """
    if spec['name'] not in ROWS:
        raise Refused(f'net.name={spec["name"]!r} has no published ImageNet weights: {near(spec["name"], ROWS)}')
    row = ROWS[spec['name']]
    found = _loaded(named(ZOO, spec, 'net'), path, top)
    taken = _with_dense(found) if top else found.params
    params, state = jax.tree.map(lambda leaf: leaf[None], (taken, found.state))
    if top and found.above.dense:
        widths = [layer['bias'].size for layer in found.above.dense]
        layers = [list(layer) for layer in zip(widths, found.above.activations, strict=True)]
        spec = {'name': 'with_layers', 'of': spec, 'layers': layers}
    if found.above.guessed and 'head' in params:
        say(f'{path}: weights alone do not tell what {found.above.names[0]} stands on: it is taken for a '
            'softmax on the mean of the features')
    count = params['head']['bias'].shape[1] if 'head' in params else 0
    classes = [str(i) for i in range(count)] if classes is None else list(classes)
    if count and len(classes) != count:
        raise Refused(f'{path} tells {count} classes apart, and {len(classes)} are named: take the class index that belongs to it')
    size = _size(found, row.size, path)
    data = {'name': 'folder', 'size': size, 'resize': round(size * row.resize / row.size)}
    return params, state, {'config': {'net': spec, 'method': {'name': 'finetune'}, 'data': data, 'weights': str(path)}, 'classes': classes,
                           'input': [size, size, 3], 'seeds': [0], 'scores': {},
                           'left': found.above.why and f'{path} has no head that answers '
                           f'({found.above.why}): train one on its backbone (init.path)'}


def _size(found: keras.Loaded, size: int, path: str) -> int:
    """The side of the pictures that a whole saved model is made for, or else `size`."""
    sides = set(found.shape[:2])
    side = min(sides) if len(sides) == 1 else None
    if not isinstance(side, int) or side < 1 or side == size:
        return size
    say(f'{path} is made for pictures of {side} pixels, in place of {size}')
    return side


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
        return arrays(stored['features'], dataset.label)._replace(
            task=dataset.task, notes=dataset.notes, names=dataset.names)


def featured_splits(net: Net, params: Tree, state: Tree, splits: dict[str, Dataset], batch: int = 256) -> dict[str, Dataset]:
    """`featured` of every split that has examples; a target beside a training set stays there.

    >>> from tljax.zoo import identity
    >>> params = {'backbone': {}, 'head': np.zeros(1)}
    >>> splits = {'train': arrays(np.eye(2), [0, 1]), 'test': arrays(np.eye(2)[:0], [])}
    >>> list(featured_splits(identity(2), params, {'backbone': {}}, splits))
    ['train']
    """
    extract = extractor(net)
    found = {name: featured(net, extract, params, state, split, batch) for name, split in splits.items() if split.size}
    if splits['train'].target:
        found['train'] = found['train']._replace(target=found.get('target', found['train']))
    return found


def run_at(place: str | Path) -> tuple[Tree, Tree, dict]:
    """(params, state, record) of a finished run, or of the last phase of one.

    Args:
        place: folder of the run.

    Raises:
        Refused: the folder holds no finished run, or the model of another program.

    >>> run_at('nowhere')
    Traceback (most recent call last):
    tljax.core.Refused: nowhere holds no finished run (no final/): train it to its last step first
    """
    foreign.refuse_folder(place)
    return load_final(last(Path(place)))


class Donors(NamedTuple):
    """What a run is grafted from.

    Attributes:
        trees: [(params, state)], one for all seeds or one for each.
        classes: names that the heads tell apart.
        place: where they come from.

    >>> Donors([], (), 'runs/a').place
    'runs/a'
    """
    trees: list[tuple[Tree, Tree]]
    classes: tuple[str, ...]
    place: str


def donors_at(place: str, net: Net | None, top: bool = False) -> Donors:
    """The donors at a place: a finished run or the last phase of one, or weights of the network.

    Args:
        place: folder of a finished run, or as `read_weights` takes it.
        net: network of the run that is grafted; not looked at where the place is a run.
        top: whether the head is asked for.

    Raises:
        Refused: as `read_weights`; the folder holds no finished run.

    >>> donors_at('nowhere', None)
    Traceback (most recent call last):
    tljax.core.Refused: nowhere holds no finished run (no final/): train it to its last step first
    """
    if published.NAME.fullmatch(place) or foreign.named_as_weights(place):
        params, state = read_weights(net, place, top)
        return Donors([(params, state)], tuple(str(i) for i in range(len(params.get('head', {}).get('bias', ())))), place)
    params, state, record = run_at(place)
    trees = [jax.tree.map(lambda leaf, i=i: leaf[i], (params, state)) for i in range(len(record['seeds']))]
    return Donors(trees, tuple(record['classes']), place)


def pseudo_labels(make: Callable, net: Net, donors: Donors, train: Dataset, batch: int = 256) -> list[np.ndarray]:
    """Labels that each donor gives to a training set.

    Args:
        make: (features=, logits=) -> labels of one donor.
        net: network of the donors.
        donors: trained on the same classes.
        train: the training set.
        batch: examples at a time.

    Returns:
        [(size,) labels], one for each donor.

    >>> from tljax.zoo import identity
    >>> donors = Donors([({'backbone': {}, 'head': {'kernel': np.eye(2), 'bias': np.zeros(2)}}, {'backbone': {}})], ('a', 'b'), '')
    >>> largest = lambda features, logits: logits.argmax(-1)
    >>> pseudo_labels(largest, identity(2), donors, arrays(np.eye(2), [0, 1]))[0].tolist()
    [0, 1]
    """
    params, state = jax.tree.map(lambda *leaves: np.stack(leaves), *donors.trees)
    features = predictions(extractor(net), params, state, train, batch)['features']
    logits = features @ params['head']['kernel'] + params['head']['bias'][:, None]
    return [make(features=each, logits=said) for each, said in zip(features, logits, strict=True)]
