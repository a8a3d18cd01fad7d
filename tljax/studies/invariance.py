"""What a source network ignores, layer by layer, and whether a target needs it.

The layers are those that the network names (`Net.groups`), in inference: with the statistics of a
batch, BatchNorm would take out what a transformation does to the whole batch, and the features
would look more invariant than they are.
"""

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from tljax import build
from tljax.configuration import ZOO, call_named, phases
from tljax.core import Dataset, Net, Tree, UserError
from tljax.data.formats.arrays import arrays
from tljax.data.splits import cut, per_class
from tljax.data.wrappers.transformed import changed
from tljax.engine.devices import Compiled, compile_predict, make_mesh
from tljax.engine.evaluate import predictions
from tljax.files.console import progress
from tljax.nn.transformations import (
    Transformation,
    blur,
    brightness,
    grey,
    hue,
    mirror,
    rotate,
    saturation,
    scale,
    upend,
)
from tljax.protocols import Config, Record
from tljax.studies.picture_scores import named_pictures
from tljax.studies.pictures import Model, read_once
from tljax.trained import Trained
from tljax.when.invariance import IGNORED, advised_cut, feature_invariance, probe_change
from tljax.when.probes import choose_penalty

CELLS = 4  # a layer's map is averaged in cells x cells cells
VALIDATION = 0.3  # share of each class of a folder's pictures on which probes are tested
Families = dict[str, Sequence[Transformation]]
Features = dict[str, np.ndarray]  # (n, d) of each layer, from shallow to deep

FAMILIES: Families = {  # what is measured where the user names nothing else
    'left-right flip': (mirror(),),
    'upside-down flip': (upend(),),
    'rotation, 15 degrees': (rotate(-15), rotate(15)),
    'rotation, quarter turns': (rotate(90), rotate(180), rotate(270)),
    'scale': (scale(0.6), scale(0.8)),
    'hue': (hue(1 / 3), hue(2 / 3)),
    'saturation': (saturation(0.5),),
    'brightness': (brightness(0.6),),
    'grey': (grey(),),
    'blur': (blur(1 / 64),),
}
OF_COLOURS = ('hue', 'saturation', 'grey')  # they change no grey picture


def layer_extractor(net: Net, cells: int = CELLS) -> Compiled:
    """The compiled features of every layer of a network, in inference.

    A map is averaged in cells x cells cells, tokens over all of them. The layers are the groups
    among the network's intermediates; if the last group is not among them, the network's features
    stand for it.

    Args:
        net: the network.
        cells: number of cells along each side of a map; 1 averages over all positions.

    Returns:
        A function of the parameters and state of a method whose backbone is the network.

    >>> from tljax.zoo import identity
    >>> backbone, batch = {'backbone': {}, 'head': np.zeros(1)}, {'input': np.ones((3, 2))}
    >>> {
    ...     name: x.shape
    ...     for name, x in layer_extractor(identity(2)).run(*[backbone] * 2, batch).items()
    ... }
    {'000 features': (1, 3, 2)}
    """

    def features(params, state, batch):
        taps = net.features(params['backbone'], state['backbone'], batch['input'])[0]
        layers = [name for name in net.groups if name in taps]
        if not layers or layers[-1] != list(net.groups)[-1]:
            layers.append('features')
        # compiled functions return dicts sorted: the numbers keep the order of the layers
        return {f'{i:03d} {name}': _pooled(taps[name], cells) for i, name in enumerate(layers)}

    return compile_predict(features, make_mesh())


def layer_features(
    extract: Compiled, params: Tree, state: Tree, dataset: Dataset, batch: int = 64
) -> Features:
    """Returns the features of every layer of a network, in inference.

    Args:
        extract: `layer_extractor` of the network.
        params: parameters of a method with the network as its backbone, with a leading axis of
            seeds; the first seed is taken.
        state: state of the same method.
        dataset: the pictures.
        batch: pictures at a time.

    Returns:
        {layer: (n, d)}, from shallow to deep.

    >>> from tljax.zoo import identity
    >>> points = arrays(np.eye(2, dtype=np.float32), [0, 1])
    >>> backbone = {'backbone': {}, 'head': np.zeros(1)}
    >>> layer_features(layer_extractor(identity(2)), backbone, backbone, points)[
    ...     'features'
    ... ].tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    params, state = jax.tree.map(lambda leaf: leaf[:1], (params, state))
    outputs = predictions(extract, params, state, dataset, batch)
    return {name[4:]: outputs[name][0] for name in sorted(outputs)}


def _pooled(values, cells):
    """(n, d) of a map (n, height, width, c), tokens (n, tokens, c) or features (n, d)."""
    if values.ndim == 4:
        for axis in (1, 2):
            shares = jnp.array(_cells(values.shape[axis], cells), values.dtype)
            means = jnp.tensordot(shares, values, (1, axis), precision='highest')
            values = jnp.moveaxis(means, 0, axis)
    elif values.ndim == 3:
        values = values.mean(1)
    return values.reshape(len(values), -1).astype(jnp.float32)


def _cells(side, cells):
    """(cells, side): each row averages one cell. Cells of an odd side overlap by a pixel."""
    cells = min(cells, side)
    shares = np.zeros((cells, side))
    for i in range(cells):
        start, end = i * side // cells, -((i + 1) * side // -cells)
        shares[i, start:end] = 1 / (end - start)
    return shares


def measure(
    net: Net,
    params: Tree,
    state: Tree,
    splits: dict[str, Dataset],
    families: Families,
    k: int | None = None,
    seeds: Sequence[int] = (0,),
    cells: int = CELLS,
    batch: int = 64,
) -> Record:
    """Measures what a network ignores, whether a target needs it, and which layers to fine-tune.

    Invariance is measured on the training pictures, without labels. Probes are trained on k
    labelled training pictures per class and tested on the validation pictures. A family of several
    transformations has the mean invariance of these.

    Args:
        net: the network.
        params: as `layer_features` takes them.
        state: as `layer_features` takes it.
        splits: {'train', 'validation'} of the target; without 'validation', or without classes,
            only the invariance is measured.
        families: {name: transformations that one augmentation draws from}.
        k: labels per class; None for all.
        seeds: each draws its own labelled pictures; accuracies are means over them.
        cells: as `layer_extractor` takes it.
        batch: pictures at a time.

    Returns:
        {'layers', 'transformations', 'pictures', 'rows': [{'layer', 'transformation', 'invariance',
        'low', 'high'}]}, and with probes also 'probes' ({layer: of the plain probe}),
        'plain_on_changed', 'trained', 'trained_on_changed' and 'need' in each row, and 'advice'
        (of `advice`).

    >>> from tljax.zoo import identity
    >>> points = np.random.default_rng(0).normal(size=(30, 1, 4, 1)).astype('f')
    >>> flat = identity(4)._replace(
    ...     features=lambda p, s, x, key=None: ({'features': x.reshape(len(x), -1)}, s)
    ... )
    >>> backbone = {'backbone': {}, 'head': np.zeros(1)}
    >>> splits = {'train': arrays(points, np.zeros(30, int), ('a',))}
    >>> row = measure(flat, backbone, backbone, splits, {'flip': [mirror()]})['rows'][0]
    >>> row['layer'], abs(row['invariance']) < 0.3
    ('features', True)
    """
    extract = layer_extractor(net, cells)

    def features(split):
        return layer_features(extract, params, state, split, batch)

    plain = {
        name: features(split) for name, split in splits.items() if name in ('train', 'validation')
    }
    layers = list(plain['train'])
    probed = 'validation' in plain and splits['train'].task.kind == 'classes'
    subsets = [per_class(splits['train'].label, k, seed) for seed in seeds] if probed else []
    label = {name: np.asarray(splits[name].label) for name in plain}
    penalties = {
        layer: [
            choose_penalty(plain['train'][layer][rows], label['train'][rows]) for rows in subsets
        ]
        for layer in layers
    }
    rows = []
    for family, by in progress(list(families.items()), 'transforming pictures'):
        # only one family's features are in memory at a time
        members = {
            name: [
                features(changed(split, [function], np.ones(split.size, int))) for function in by
            ]
            for name, split in splits.items()
            if name in plain
        }
        for layer in layers:
            train = plain['train'][layer], [member[layer] for member in members['train']]
            row = dict(layer=layer, transformation=family, **_invariance(*train))
            if probed:
                test = plain['validation'][layer], [part[layer] for part in members['validation']]
                row |= _change(train, test, label, subsets, penalties[layer])
            rows.append(row)
    results: Record = dict(
        layers=layers, transformations=list(families), pictures=splits['train'].size, rows=rows
    )
    if probed:
        by_layer = {row['layer']: row['plain'] for row in rows}
        results['probes'] = {layer: by_layer[layer] for layer in layers}
        results['advice'] = advice(results)
    return results


def _invariance(features: np.ndarray, members: list[np.ndarray]) -> Record:
    """The mean invariance of a layer to the members of a family; None for a layer that is dead."""
    try:
        values = [feature_invariance(features, member) for member in members]
    except UserError:
        return dict(invariance=None, low=None, high=None)
    value, low, high = np.mean(values, 0)
    return dict(invariance=float(value), low=float(low), high=float(high))


def _change(
    train: tuple[np.ndarray, list[np.ndarray]],
    test: tuple[np.ndarray, list[np.ndarray]],
    label: dict[str, np.ndarray],
    subsets: list[np.ndarray],
    penalties: list[float],
) -> Record:
    """The mean accuracies of a layer's probes over labelled subsets, and the need."""
    changes = [
        probe_change(
            train[0][rows],
            label['train'][rows],
            [member[rows] for member in train[1]],
            test[0],
            label['validation'],
            test[1],
            [penalty],
        )
        for rows, penalty in zip(subsets, penalties, strict=True)
    ]
    means = {
        name: float(np.mean([getattr(change, name) for change in changes]))
        for name in changes[0]._fields
    }
    return {**means, 'need': float(np.mean([change.need for change in changes]))}


def table_of(results: Record, name: str) -> np.ndarray:
    """Returns a number of every layer and transformation, (layers, transformations); NaN for None.

    Args:
        results: as `measure` returns them.
        name: key of the rows, such as 'invariance' or 'need'.

    >>> rows = [dict(layer='a', transformation=name, need=0.1) for name in ('flip', 'blur')]
    >>> table_of(dict(layers=['a'], transformations=['flip', 'blur'], rows=rows), 'need').tolist()
    [[0.1, 0.1]]
    """
    values = {(row['layer'], row['transformation']): row[name] for row in results['rows']}
    return np.array(
        [
            [values[layer, name] for name in results['transformations']]
            for layer in results['layers']
        ],
        float,
    )


def advice(results: Record) -> Record:
    """Advises which layers to fine-tune, by `when.advised_cut`.

    A dead layer, whose features are the same for all pictures, ignores everything.

    Args:
        results: as `measure` returns them, with the accuracies of probes.

    Returns:
        {'frozen': number of layers, 'until': the deepest frozen layer ('' for none, 'backbone' for
        all), 'harmful' and 'helpful': names of transformations, 'sentence'}.

    >>> rows = [
    ...     dict(layer=layer, transformation='flip', invariance=value, need=0.3)
    ...     for layer, value in (('block1', 0.1), ('block2', 0.2), ('block3', 0.9))
    ... ]
    >>> layers = ['block1', 'block2', 'block3']
    >>> advice(dict(layers=layers, transformations=['flip'], rows=rows))['sentence']
    'Freeze block1 and train from block2 on: a probe of the target loses 30.0 points if it has ...'
    """
    layers, names = results['layers'], results['transformations']
    invariance = np.nan_to_num(table_of(results, 'invariance'), nan=1.0)
    need = table_of(results, 'need')
    cut = advised_cut(invariance, need)
    until, sentence = '', 'Train the whole network'
    if cut.frozen == len(layers):
        until, sentence = 'backbone', 'Freeze the whole backbone and train the head'
    elif cut.frozen:
        until = layers[cut.frozen - 1]
        below = until if cut.frozen == 1 else f'{layers[0]} to {until}'
        sentence = f'Freeze {below} and train from {layers[cut.frozen]} on'
    reason = 'what the network ignores makes no difference to a probe of the target'
    if cut.harmful:
        first = int((invariance[:, cut.harmful] >= IGNORED).any(1).argmax())
        depth = invariance[first, cut.harmful]
        worst = cut.harmful[int(depth.argmax())]
        reason = (
            f'a probe of the target loses {100 * need[:, worst].max():.1f} points if it has to '
            f'ignore {names[worst]}, and the network ignores it from {layers[first]} on '
            f'(invariance {depth.max():.2f})'
        )
    elif cut.helpful:
        best = min(cut.helpful, key=lambda i: need[:, i].min())
        reason = (
            f'a probe of the target gains {-100 * need[:, best].min():.1f} points by ignoring '
            f'{names[best]}, as the network does (invariance {invariance[-1, best]:.2f})'
        )
    return dict(
        frozen=cut.frozen,
        until=until,
        harmful=[names[i] for i in cut.harmful],
        helpful=[names[i] for i in cut.helpful],
        sentence=f'{sentence}: {reason}.',
    )


def measure_model(
    model: Model, splits: dict[str, Dataset], cells: int = CELLS, batch: int = 64
) -> Record:
    """`measure` of a loaded model and all FAMILIES that can change its pictures.

    Args:
        model: parameters, state and record, as `models.model` gives them.
        splits: as `measure` takes them.
        cells: as `layer_extractor` takes it.
        batch: pictures at a time.

    Raises:
        UserError: the model takes no pictures.

    >>> measure_model(({}, {}, {'input': [4], 'config': {}}), {})
    Traceback (most recent call last):
    tljax.core.UserError: this model takes inputs of shape [4], which are no pictures: name ...
    """
    params, state, record = model
    in_colour = _picture_shape(model)[2] == 3
    families = {name: by for name, by in FAMILIES.items() if in_colour or name not in OF_COLOURS}
    net = call_named(ZOO, record['config']['net'], 'net')
    return measure(net, params, state, splits, families, cells=cells, batch=batch)


def _picture_shape(model: Model) -> Sequence[int]:
    """The shape (height, width, channels) of a model's pictures."""
    shape = model[2]['input']
    if len(shape) != 3:
        raise UserError(
            f'this model takes inputs of shape {shape}, which are no pictures: name another model'
        )
    return shape


def splits_of_config(model: Model, config: Config, most: int | None) -> dict[str, Dataset]:
    """Returns the data of a config's last phase, at the picture size of a model.

    Args:
        model: as `measure_model` takes it.
        config: as a file of `configs` makes it, as a plain dict.
        most: the largest number of pictures of a split; None for all.

    Raises:
        UserError: the config names no data, or these are no pictures, or the model takes none.

    >>> config = {'data': {'name': 'digits'}, 'phases': {}}
    >>> splits = splits_of_config(({}, {}, {'input': [12, 12, 3]}), config, most=50)
    >>> splits['validation'].take(np.arange(2))['input'].shape, splits['train'].size
    ((2, 12, 12, 3), 50)
    """
    data = phases(config)[-1][1].get('data', {}) if 'phases' in config else {}
    if not data.get('name'):
        raise UserError('this config names no data: take one of experiments.train')
    size, _, channels = _picture_shape(model)
    return build.load(dict(name='resampled', of=data, size=size, channels=channels, most=most))


def splits_of_pictures(
    model: Model, paths: list[str], most: int | None, pixels: int | None = None
) -> tuple[dict[str, Dataset], int]:
    """Returns pictures as a target whose classes are the names of their folders.

    Args:
        model: as `measure_model` takes it.
        paths: pictures, folders and archives, or one table of pictures.
        most: the largest number of pictures, drawn at random; None for all. They are in memory.
        pixels: maximal number of pixels of a picture; None: the limit of the model's run.

    Returns:
        The splits, and the number of pictures that cannot be read. Pictures of a single class, or
        of classes with a single picture, give a training split alone.

    Raises:
        UserError: as `picture_scores.named_pictures`; fewer than three pictures can be read.

    >>> splits_of_pictures(({}, {}, {'input': [8, 8, 3]}), ['nowhere'], most=None)
    Traceback (most recent call last):
    tljax.core.UserError: nowhere does not exist: name a picture or a folder of pictures
    """
    files, names = named_pictures(paths)
    names = [Path(file.path).parent.name for file in files] if names is None else names
    if most is not None and len(files) > most:
        chosen = np.sort(np.random.default_rng(0).permutation(len(files))[:most])
        files, names = [files[i] for i in chosen], [names[i] for i in chosen]
    input, errors = read_once(
        Trained(*model), files, pixels, lambda data: data.take(np.arange(data.size))['input']
    )
    rows = [row for row in range(len(files)) if row not in errors]
    if input is None or len(rows) < 3:
        raise UserError(
            f'{len(rows)} of {len(files)} pictures can be read: give three or more, better hundreds'
        )
    classes = sorted({names[row] for row in rows})
    dataset = arrays(input[rows], [names[row] for row in rows], tuple(classes))
    if len(classes) < 2 or np.bincount(dataset.label).min() < 3:
        return {'train': dataset}, len(errors)
    return cut(dataset, {'validation': VALIDATION}), len(errors)
