"""Features of a data set as a data set of their own, and the donors that a run starts from."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tljax.core import Dataset, Net, Tree, UserError
from tljax.data.several_tasks import with_inputs
from tljax.data.splits import each_split
from tljax.engine.checkpoint import digest, last_phase, load_final
from tljax.engine.devices import Compiled, compile_predict, make_mesh
from tljax.engine.evaluate import predictions
from tljax.files.cache import cached_arrays
from tljax.paths import flatten
from tljax.protocols import Record
from tljax.weights import read_weights
from tljax.zoo.weights import foreign, published
from tljax.zoo.weights.slim_file import is_for

NAMES = ('extracted',)  # data sets of this module


def extracted(
    splits: dict[str, Dataset], net: Net, weights: str = 'imagenet'
) -> dict[str, Dataset]:
    """The splits of a data set, with the features (dim,) of a frozen network for pictures.

    Args:
        splits: splits of pictures, or of `domains` of pictures.
        net: the network.
        weights: as `weights.read_weights` takes them; '' leaves the network untrained, with the
            initial parameters of seed 0, as a control.

    Raises:
        UserError: as `read_weights`, and for a set without pictures of three channels.

    >>> from tljax.data import digits
    >>> from tljax.zoo import conv4
    >>> extracted(digits(), conv4())
    Traceback (most recent call last):
    tljax.core.UserError: this network has no published ImageNet weights: take one of python -m ...
    """
    loaded = read_weights(net, weights, top=False) if weights else None
    shape = np.shape(splits['train'].take(np.arange(1)).get('input'))[1:]
    if len(shape) != 3 or shape[2] != 3:
        raise UserError(
            f'data.of has inputs of shape {shape}, and the network takes pictures of '
            'three channels: lay '
            "dict(name='resampled', size=..., channels=3) around it"
        )
    params, state = jax.tree.map(lambda leaf: leaf[None], loaded or _untrained(net, shape))
    return feature_splits(net, params, state, splits)


def _untrained(net: Net, shape: tuple[int, ...]) -> tuple[Tree, Tree]:
    """The parameters and state of a method with an untrained network as its backbone."""
    params, state = net.init(jax.random.key(0), jnp.zeros((1, *shape)))
    return jax.tree.map(np.asarray, ({'backbone': params}, {'backbone': state}))


def extractor(net: Net) -> Compiled:
    """The compiled features of a network.

    Args:
        net: the network.

    Returns:
        A function of the parameters and state of a method whose backbone is the network.

    >>> from tljax.zoo.families.identity import identity
    >>> params = {'backbone': {}, 'head': np.zeros(1)}
    >>> extractor(identity(2)).run(params, {'backbone': {}}, {'input': np.ones((3, 2))})[
    ...     'features'
    ... ].shape
    (1, 3, 2)
    """

    def features(params, state, batch):
        return {
            'features': net.features(params['backbone'], state['backbone'], batch['input'])[0][
                'features'
            ]
        }

    return compile_predict(features, make_mesh())


def feature_dataset(
    net: Net, extract: Compiled, params: Tree, state: Tree, dataset: Dataset, batch: int = 256
) -> Dataset:
    """A data set of features, which are extracted once and kept in the cache.

    Network, weights and examples are the key of the cache.

    Args:
        net: the network.
        extract: `extractor` of the network.
        params: parameters of a method with the network as its backbone, with a leading axis of one
            seed.
        state: state of the same method.
        dataset: the examples.
        batch: examples per call.

    >>> from tljax.data import arrays
    >>> from tljax.zoo import identity
    >>> params = {'backbone': {}, 'head': np.zeros(1)}
    >>> feature_dataset(
    ...     identity(2), extractor(identity(2)), params, {'backbone': {}}, arrays(np.eye(2), [0, 1])
    ... ).size
    2
    """
    text = f'extracting features of {dataset.size} examples'
    numbers = digest((params['backbone'], state['backbone']))
    held = cached_arrays(
        [net.fingerprint, numbers, dataset.fingerprint],
        lambda: {
            'features': predictions(extract, params, state, dataset, batch, text)['features'][0]
        },
        # all processes take part in an extraction, even those that have the file
        anew=jax.process_count() > 1,
    )
    return with_inputs(dataset, held['features'])


def feature_splits(
    net: Net, params: Tree, state: Tree, splits: dict[str, Dataset], batch: int = 256
) -> dict[str, Dataset]:
    """`feature_dataset` of every split that has examples, and of the training set's target.

    Args:
        net: the network.
        params: as `feature_dataset` takes them.
        state: as `feature_dataset` takes it.
        splits: splits of a data set.
        batch: examples per call.

    >>> from tljax.data import arrays
    >>> from tljax.zoo import identity
    >>> params = {'backbone': {}, 'head': np.zeros(1)}
    >>> splits = {'train': arrays(np.eye(2), [0, 1]), 'test': arrays(np.eye(2)[:0], [])}
    >>> list(feature_splits(identity(2), params, {'backbone': {}}, splits))
    ['train']
    """
    extract = extractor(net)
    return each_split(
        splits, lambda split: feature_dataset(net, extract, params, state, split, batch)
    )


def run_at(place: str | Path) -> tuple[Tree, Tree, Record]:
    """(params, state, record) of a finished run; of its last phase if it has several.

    Args:
        place: folder of the run.

    Raises:
        UserError: the folder holds no finished run, or a model of another library.

    >>> run_at('nowhere')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere holds no finished run (no final/): train it to its last step first
    """
    foreign.refuse_no_run(place)
    return load_final(last_phase(Path(place)))


class Donors(NamedTuple):
    """The networks that a run takes parameters from.

    Attributes:
        trees: [(params, state)], one for all seeds, or one for each seed.
        classes: names of the classes of their heads.
        place: run, file or name that they come from.
        tasks: {task: {'task': kind, 'classes': names}} of a run of several tasks.
        are_read: False if the trees have the shapes of the networks and not their numbers.

    >>> Donors([], (), 'runs/a').place
    'runs/a'
    """

    trees: list[tuple[Tree, Tree]]
    classes: tuple[str, ...]
    place: str
    tasks: Record = {}  # noqa: RUF012
    are_read: bool = True


def donors_at(place: str, net: Net | None, top: bool = False) -> Donors:
    """The donors at a place: the networks of a finished run, or weights of a network.

    Args:
        place: folder of a finished run, or as `weights.read_weights` takes it.
        net: network of the new run, whose weights a file holds; None if the place must be a run.
        top: whether the head is needed, too.

    Raises:
        UserError: as `read_weights`, for a folder without a finished run, and for weights where the
            place must be a run.

    >>> donors_at('nowhere', None)
    Traceback (most recent call last):
    tljax.core.UserError: nowhere holds no finished run (no final/): train it to its last step first
    """
    is_file = foreign.named_as_weights(place) or net is not None and is_for(net, place)
    if published.is_name(place) or is_file:
        if net is None:
            raise UserError(
                f'{place} are weights of a network: python -m experiments.convert makes a run of '
                'them'
            )
        params, state = read_weights(net, place, top)
        outputs = len(params.get('head', {}).get('bias', ()))  # of a detector's head it has none
        return Donors([(params, state)], tuple(map(str, range(outputs))), place)
    params, state, record = run_at(place)
    trees = [
        jax.tree.map(lambda leaf, i=i: leaf[i], (params, state))
        for i in range(len(record['seeds']))
    ]
    return Donors(trees, tuple(record['classes']), place, record.get('tasks', {}))


def refuse_channels(donors: Donors, shapes: Tree, rules: Sequence[tuple[str, str | None]]) -> None:
    """Refuses donors that were trained on pictures of another number of channels.

    Then exactly one kernel differs in its shape, and only in the number of input channels.

    Args:
        donors: the donors.
        shapes: tree of the parameters' shapes in the new run.
        rules: rules of the graft, as `paths.graft` takes them.

    Raises:
        UserError: names both numbers of channels.

    >>> shapes, kernel = [{'backbone': {'conv1': np.ones((3, 3, n, 8))}} for n in (1, 3)]
    >>> refuse_channels(Donors([(kernel, {})], (), 'w.h5'), shapes, [('backbone/.*', None)])
    Traceback (most recent call last):
    tljax.core.UserError: w.h5 takes pictures of 3 channels, and the data have 1: ...
    """
    patterns = [pattern for pattern, path in rules if path is None]  # same path in both networks
    run_shapes = {
        path: leaf.shape
        for path, leaf in flatten(shapes).items()
        if path.startswith('backbone/') and any(re.fullmatch(rule, path) for rule in patterns)
    }
    donor_shapes = {path: np.shape(leaf) for path, leaf in flatten(donors.trees[0][0]).items()}
    differences = [
        (donor_shapes[path], shape)
        for path, shape in run_shapes.items()
        if donor_shapes.get(path, shape) != shape
    ]
    if len(differences) != 1 or {len(shape) for shape in differences[0]} != {4}:
        return
    donor, run = differences[0]  # kernels (height, width, channels, features)
    if (*run[:2], run[3]) == (*donor[:2], donor[3]):
        grey = ', as grey ones are read, too' if donor[2] == 3 else ''
        raise UserError(
            f'{donors.place} takes pictures of {donor[2]} channels, and the data have {run[2]}: '
            f'give data.channels={donor[2]}{grey}, or lay '
            f"dict(name='resampled', size=..., channels={donor[2]}) around the data"
        )


def pseudo_labels(
    make: Callable[..., np.ndarray], net: Net, donors: Donors, train: Dataset, batch: int = 256
) -> list[np.ndarray]:
    """Labels of a training set by each donor.

    Args:
        make: (features=, logits=) -> labels by one donor.
        net: network of the donors.
        donors: networks that were trained on the same classes.
        train: the training set.
        batch: examples per call.

    Returns:
        [(size,) labels], one array for each donor.

    >>> from tljax.data import arrays
    >>> from tljax.zoo import identity
    >>> donors = Donors(
    ...     [
    ...         (
    ...             {'backbone': {}, 'head': {'kernel': np.eye(2), 'bias': np.zeros(2)}},
    ...             {'backbone': {}},
    ...         )
    ...     ],
    ...     ('a', 'b'),
    ...     '',
    ... )
    >>> largest = lambda features, logits: logits.argmax(-1)
    >>> pseudo_labels(largest, identity(2), donors, arrays(np.eye(2), [0, 1]))[0].tolist()
    [0, 1]
    """
    params, state = jax.tree.map(lambda *leaves: np.stack(leaves), *donors.trees)
    features = predictions(extractor(net), params, state, train, batch)['features']
    logits = features @ params['head']['kernel'] + params['head']['bias'][:, None]
    return [
        make(features=donor_features, logits=donor_logits)
        for donor_features, donor_logits in zip(features, logits, strict=True)
    ]
