"""Scores of a donor on a target before training: transferability scores and probes."""

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import numpy as np
from scipy.special import softmax

from tljax import build
from tljax.configuration import ZOO, call_named
from tljax.core import Dataset, UserError
from tljax.data.splits import per_class
from tljax.features import extractor, feature_dataset
from tljax.files.console import say
from tljax.protocols import Config, Record
from tljax.studies.donors import Donor, target_for, untrained_donor
from tljax.when.probes import knn_score, probe_score
from tljax.when.relatedness import task2vec
from tljax.when.transferability import OF_PREDICTIONS

PROBES = {'probe': functools.partial(probe_score, penalty=100.0), 'nearest': knn_score}


def donor_outputs(
    donor: Donor | Path, dataset: Dataset, name: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """Computes a donor's features of a data set, and the probabilities of its own classes.

    Features are computed once and then read from the cache.

    Args:
        donor: a donor, or the path of a file of features.
        dataset: n examples.
        name: name of the donor, for an error.

    Returns:
        Features (n, d), and probabilities (n, classes), or None without a head on the features.

    Raises:
        UserError: if features are not finite, or a file has another number of examples.

    >>> import tempfile
    >>> from tljax.data.formats.arrays import arrays
    >>> path = Path(tempfile.mkdtemp(), 'mine.npz')
    >>> np.savez(path, features=np.eye(2))
    >>> dataset = arrays(np.zeros((2, 1)), np.array([0, 1]), ('a', 'b'))
    >>> features, probability = donor_outputs(path, dataset, 'mine')
    >>> features.tolist(), probability
    ([[1.0, 0.0], [0.0, 1.0]], None)
    """
    if isinstance(donor, Path):
        x, probability = _file_outputs(donor, dataset)
    else:
        x, probability = _network_outputs(donor, dataset)
    if not np.isfinite(x).all():
        raise UserError(
            f'{name}: {int((~np.isfinite(x)).sum())} of {x.size} features of the target are not '
            'finite: leave this source out, or look for the run that diverged'
        )
    return x, probability


def _network_outputs(donor: Donor, dataset: Dataset) -> tuple[np.ndarray, np.ndarray | None]:
    network = call_named(ZOO, donor.net, 'net')
    features = feature_dataset(network, extractor(network), donor.params, donor.state, dataset)
    x = features.take(np.arange(dataset.size))['input']
    head = donor.params.get('head', {})
    if set(head) != {'kernel', 'bias'} or len(head['kernel'][0]) != x.shape[1]:
        return x, None
    return x, softmax(x @ head['kernel'][0] + head['bias'][0], -1)


def _file_outputs(path: Path, dataset: Dataset) -> tuple[np.ndarray, np.ndarray | None]:
    with np.load(path, allow_pickle=False) as file:
        if 'features' not in file:
            raise UserError(f'{path} has {", ".join(file)} and no features: name them so')
        x, probability = file['features'], file.get('probability')
    if len(x) != dataset.size:
        raise UserError(
            f'{path} has features of {len(x)} examples, and the target has {dataset.size}: extract '
            'those of its training split'
        )
    return x, probability


def scores_of_donor(
    donor: Donor | Path,
    target: Config,
    row: Record,
    seeds: list[int],
    most: int | None,
    scores: Mapping[str, Callable[[np.ndarray, np.ndarray], float]],
) -> tuple[Record, Record]:
    """Scores a donor on the labelled target examples that a training run would see.

    Args:
        donor: a donor, or the path of a file of features.
        target: config of the target's data.
        row: {'source', 'target', 'labels_per_class'}.
        seeds: seeds of the runs; each draws its own labelled examples.
        most: maximal number of examples of a split; None: all.
        scores: {name: function of features (n, d) and labels (n,)}. Scores of predictions are
            added if the donor has classes.

    Returns:
        {score: values by seed}, without scores that raised an error; and the accuracies of a probe
        without the donor, which show how much there is to gain: {'inputs': values by seed,
        'untrained': values by seed on features of the donor's network without training}.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'mine.npz')
    >>> np.savez(path, features=np.eye(2))
    >>> row = {'source': 'mine', 'target': 'digits', 'labels_per_class': 1}
    >>> target = {'name': 'digits', 'size': 8}
    >>> scores_of_donor(path, target, row, [0], None, {'nearest': knn_score})
    Traceback (most recent call last):
    tljax.core.UserError: ...mine.npz has features of 2 examples, and the target has 899: ...
    """
    data = target_for(donor, target, most)
    dataset = build.load(data)['train']
    x, probability = donor_outputs(donor, dataset, row['source'])
    untrained_x = None
    if not isinstance(donor, Path):
        untrained_x, _ = donor_outputs(untrained_donor(donor), dataset, row['source'])
    k = row['labels_per_class']
    values: dict[str, list[float]] = {}
    baselines = {'inputs': [_probe_of_inputs(json.dumps(data), k, seed) for seed in seeds]}
    for seed in seeds:
        index = per_class(dataset.label, k, seed)
        y = dataset.label[index]
        calls = {name: (score, x[index]) for name, score in scores.items()}
        if probability is not None:
            for name, score in OF_PREDICTIONS.items():
                calls[name] = score, probability[index]
        for name, (score, outputs) in calls.items():
            try:
                values.setdefault(name, []).append(score(outputs, y))
            except UserError as error:
                say(f'{row["target"]}, {row["source"]}: no {name}: {error}')
        if untrained_x is not None:
            accuracy = PROBES['probe'](untrained_x[index], y)
            baselines.setdefault('untrained', []).append(accuracy)
    complete_scores = {
        name: by_seed for name, by_seed in values.items() if len(by_seed) == len(seeds)
    }
    return complete_scores, baselines


@functools.lru_cache(maxsize=256)
def _probe_of_inputs(data: str, k: int | None, seed: int) -> float:
    """Accuracy of a probe on the inputs, cached: donors of one input shape share it."""
    dataset = build.load(json.loads(data))['train']
    index = per_class(dataset.label, k, seed)
    inputs = dataset.take(index)['input'].reshape(len(index), -1)
    return PROBES['probe'](inputs, dataset.label[index])


def embedding(
    probe: Donor, data: Config, k: int | None, most: int | None = None, classes: int = 20
) -> list[float]:
    """Computes the Task2Vec embedding of a data set's training split by a donor's network.

    Args:
        probe: the donor whose network embeds.
        data: config of the data.
        k: examples per class, or as many as the smallest class has if that is fewer; None: all.
        most: maximal number of examples of a split; None: all.
        classes: number of classes that are embedded, the first ones.

    >>> empty = {'backbone': {}}
    >>> probe = Donor({'name': 'identity', 'dim': 64}, empty, empty, (), (64,), '', None)
    >>> embedding(probe, {'name': 'nothing'}, 5)
    Traceback (most recent call last):
    tljax.core.UserError: data.name='nothing' is unknown: there are ...
    """
    dataset = build.load(target_for(probe, data, most))['train']
    smallest_class = np.unique(dataset.label, return_counts=True)[1].min()
    index = per_class(dataset.label, k and min(k, smallest_class), 0)
    index = index[dataset.label[index] < classes]
    params, state = jax.tree.map(
        lambda leaf: leaf[0], (probe.params['backbone'], probe.state['backbone'])
    )
    return task2vec(
        call_named(ZOO, probe.net, 'net'),
        params,
        state,
        dataset.take(index)['input'],
        dataset.label[index],
        penalty=100.0,
        block=4,
    ).tolist()
