"""What can be told of an adapted model without labels of the target."""

from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from tljax.configuration import ZOO, call_named
from tljax.core import Dataset
from tljax.data.splits import restrict
from tljax.engine.evaluate import predictions
from tljax.engine.train import Fitted
from tljax.features import extractor
from tljax.program import predictor
from tljax.protocols import Config
from tljax.shallow.instance import density_ratio
from tljax.when.distances import proxy_a_distance
from tljax.when.selection import SCORES, deep_embedded_validation, source_accuracy


class Judgement(NamedTuple):
    """What is told of each seed's model.

    Attributes:
        scores: {score: values by seed}, to choose a model by; larger is better.
        distances: proxy A-distance of the domains' features by seed, 0 to 2.
        features: of the source (n, d) and of the target (m, d), by the first seed.
        label: of the source's rows, (n,).

    >>> rows = np.zeros((1, 2))
    >>> Judgement({'entropy': [-0.2]}, [0.5], (rows, rows), np.array([0])).scores['entropy']
    [-0.2]
    """

    scores: dict[str, list[float]]
    distances: list[float]
    features: tuple[np.ndarray, np.ndarray]
    label: np.ndarray


def scores_of_target(
    settings: Config, fitted: Fitted, splits: dict[str, Dataset], rows: int = 2000
) -> dict[str, list[float]]:
    """The scores that need nothing but predictions for the target, {score: values by seed}.

    Args:
        settings: as `judge` takes it.
        fitted: as `judge` takes it.
        splits: 'train', which names the classes, and 'target'.
        rows: as `judge` takes it.

    >>> from tljax.data.formats.arrays import arrays
    >>> toy = arrays(np.eye(2, dtype='f'), np.arange(2), ('a', 'b'))
    >>> head = {'kernel': 50 * np.eye(2, dtype='f')[None], 'bias': np.zeros((1, 2), 'f')}
    >>> fitted = Fitted({'backbone': {}, 'head': head}, {'backbone': {}}, {})
    >>> settings = {'net': {'name': 'identity', 'dim': 2}, 'method': {'name': 'finetune'}}
    >>> found = scores_of_target(settings, fitted, {'train': toy, 'target': toy})
    >>> round(found['information_maximisation'][0], 4)
    0.6931
    """
    predict = predictor({'config': settings, 'classes': splits['train'].classes})
    said = predictions(predict, fitted.params, fitted.state, _some(splits['target'], rows))
    return {
        name: [score(probability) for probability in softmax(said['output'], -1)]
        for name, score in SCORES.items()
    }


def _some(split: Dataset, rows: int) -> Dataset:
    return restrict(split, np.random.default_rng(0).permutation(split.size)[:rows])


def judge(
    settings: Config, fitted: Fitted, splits: dict[str, Dataset], rows: int = 2000
) -> Judgement:
    """Judges a fitted model without labels of the target.

    Args:
        settings: config of the fit.
        fitted: what it ended with.
        splits: 'train' and 'validation' of the source, and 'target'.
        rows: how many examples of a split are looked at, drawn at random.

    >>> from tljax.data.formats.arrays import arrays
    >>> x, label = np.random.default_rng(0).normal(size=(3, 40, 2)).astype('f'), np.arange(40) % 2
    >>> splits = {
    ...     name: arrays(each, label, ('a', 'b'))
    ...     for name, each in zip(('train', 'validation', 'target'), x)
    ... }
    >>> head = {'kernel': np.ones((1, 2, 2), 'f'), 'bias': np.zeros((1, 2), 'f')}
    >>> fitted = Fitted({'backbone': {}, 'head': head}, {'backbone': {}}, {})
    >>> settings = {'net': {'name': 'identity', 'dim': 2}, 'method': {'name': 'finetune'}}
    >>> judge(settings, fitted, splits).features[0].shape
    (40, 2)
    """
    sets = {name: _some(split, rows) for name, split in splits.items()}
    predict = predictor({'config': settings, 'classes': splits['train'].classes})
    extract = extractor(call_named(ZOO, settings['net'], 'net'))
    target_side = fitted.params, fitted.state
    source_params, source_state = (
        {**tree, 'backbone': tree.get('source', tree['backbone'])} for tree in target_side
    )  # ADDA's source has an encoder of its own
    source_side = source_params, source_state
    source = predictions(predict, *source_side, sets['validation'])
    xs, xv, xt = (
        predictions(extract, *side, sets[name])['features']
        for side, name in (
            (source_side, 'train'),
            (source_side, 'validation'),
            (target_side, 'target'),
        )
    )
    scores = scores_of_target(settings, fitted, splits, rows)
    scores['source_accuracy'] = [
        source_accuracy(output, label)
        for output, label in zip(source['output'], source['label'], strict=True)
    ]
    wrong = source['output'].argmax(-1) != source['label']
    scores['deep_embedded_validation'] = [
        deep_embedded_validation(loss, density_ratio(a, b, x))
        for loss, a, b, x in zip(wrong, xs, xt, xv, strict=True)
    ]
    distances = [proxy_a_distance(a, b) for a, b in zip(xs, xt, strict=True)]
    return Judgement(scores, distances, (xs[0], xt[0]), sets['train'].label)
