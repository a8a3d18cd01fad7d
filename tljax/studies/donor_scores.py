"""What a donor's features of a target say before anything is trained: scores and probes."""

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
    known: Donor | Path, dataset: Dataset, name: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """Features of a labelled set, kept in the cache, and probabilities by the donor's own head.

    Args:
        known: the donor.
        dataset: n examples.
        name: of the donor, for an error.

    Returns:
        Features (n, d), and probabilities (n, classes) or None.

    Raises:
        UserError: for features that are not finite, and a file of another number of examples.

    >>> import tempfile
    >>> from tljax.data.formats.arrays import arrays
    >>> path = Path(tempfile.mkdtemp(), 'mine.npz')
    >>> np.savez(path, features=np.eye(2))
    >>> donor_outputs(path, arrays(np.zeros((2, 1)), np.array([0, 1]), ('a', 'b')), 'mine')[
    ...     0
    ... ].tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    x, probability = (
        _stored(known, dataset) if isinstance(known, Path) else _extracted(known, dataset)
    )
    if not np.isfinite(x).all():
        raise UserError(
            f'{name}: {int((~np.isfinite(x)).sum())} of {x.size} features of the target are not '
            'finite: leave this source out, or look for the run that diverged'
        )
    return x, probability


def _extracted(known: Donor, dataset: Dataset) -> tuple[np.ndarray, np.ndarray | None]:
    network = call_named(ZOO, known.net, 'net')
    features = feature_dataset(network, extractor(network), known.params, known.state, dataset)
    x = features.take(np.arange(dataset.size))['input']
    head = known.params.get('head', {})
    if set(head) != {'kernel', 'bias'} or len(head['kernel'][0]) != x.shape[1]:
        return x, None
    return x, softmax(x @ head['kernel'][0] + head['bias'][0], -1)


def _stored(path: Path, dataset: Dataset) -> tuple[np.ndarray, np.ndarray | None]:
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
    known: Donor | Path,
    target: Config,
    row: Record,
    seeds: list[int],
    most: int | None,
    scores: Mapping[str, Callable[[np.ndarray, np.ndarray], float]],
) -> tuple[Record, Record]:
    """Scores of the labelled examples that training with so many labels would see.

    Args:
        known: the donor.
        target: config of the data.
        row: {'source', 'target', 'labels_per_class'}.
        seeds: each draws its own labelled examples.
        most: examples of a split that are looked at; None: all.
        scores: {name: function of features (n, d) and labels (n,)}; those of predictions are added
            where the donor has classes.

    Returns:
        {score: values by seed}; and what a probe reaches without the donor, which tells how much
        there is to gain: {'inputs': values by seed, 'untrained': on the features of its network
        untrained}.

    >>> row = {'source': 'mine', 'target': 'digits', 'labels_per_class': 1}
    >>> scores_of_donor(Path('nowhere.npz'), {'name': 'digits', 'size': 8}, row, [0], None, {})
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'nowhere.npz'
    """
    data = target_for(known, target, most)
    dataset = build.load(data)['train']
    x, probability = donor_outputs(known, dataset, row['source'])
    fresh = (
        None
        if isinstance(known, Path)
        else donor_outputs(untrained_donor(known), dataset, row['source'])[0]
    )
    k, found = row['labels_per_class'], {}
    without = {'inputs': [_probe_of_inputs(json.dumps(data), k, seed) for seed in seeds]}
    for seed in seeds:
        chosen = per_class(dataset.label, k, seed)
        y = dataset.label[chosen]
        asked = {name: (score, x[chosen]) for name, score in scores.items()}
        if probability is not None:
            asked |= {name: (score, probability[chosen]) for name, score in OF_PREDICTIONS.items()}
        for name, (score, given) in asked.items():
            try:
                found.setdefault(name, []).append(score(given, y))
            except UserError as refused:
                say(f'{row["target"]}, {row["source"]}: no {name}: {refused}')
        if fresh is not None:
            without.setdefault('untrained', []).append(PROBES['probe'](fresh[chosen], y))
    return {name: values for name, values in found.items() if len(values) == len(seeds)}, without


@functools.lru_cache(maxsize=256)
def _probe_of_inputs(data: str, k: int | None, seed: int) -> float:
    """What a probe reaches on the inputs: the same for all donors that see them at one shape."""
    dataset = build.load(json.loads(data))['train']
    chosen = per_class(dataset.label, k, seed)
    inputs = dataset.take(chosen)['input'].reshape(len(chosen), -1)
    return PROBES['probe'](inputs, dataset.label[chosen])


def embedding(
    probe: Donor, data: Config, k: int | None, most: int | None = None, classes: int = 20
) -> list[float]:
    """Task2Vec of a data set's training examples by a donor's network.

    Args:
        probe: the donor.
        data: config of the data.
        k: examples per class, where all classes have so many; None: all.
        most: examples of a split that are looked at; None: all.
        classes: how many of the classes are looked at, the first ones.

    >>> empty = {'backbone': {}}
    >>> probe = Donor({'name': 'identity', 'dim': 64}, empty, empty, (), (64,), '', None)
    >>> embedding(probe, {'name': 'nothing'}, 5)
    Traceback (most recent call last):
    tljax.core.UserError: data.name='nothing' is unknown: there are ...
    """
    dataset = build.load(target_for(probe, data, most))['train']
    fewest = np.unique(dataset.label, return_counts=True)[1].min()
    chosen = per_class(dataset.label, k and min(k, fewest), 0)
    chosen = chosen[dataset.label[chosen] < classes]
    params, state = jax.tree.map(
        lambda leaf: leaf[0], (probe.params['backbone'], probe.state['backbone'])
    )
    return task2vec(
        call_named(ZOO, probe.net, 'net'),
        params,
        state,
        dataset.take(chosen)['input'],
        dataset.label[chosen],
        penalty=100.0,
        block=4,
    ).tolist()
