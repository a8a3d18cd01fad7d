"""Label-free scores of an adapted model: what can be measured without labels of the target."""

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
from tljax.protocols import Config, Tree
from tljax.when.selection import SCORES, deep_embedded_validation, source_accuracy


class Judgement(NamedTuple):
    """Label-free scores of the model of each seed.

    Attributes:
        scores: {score: values by seed}, to choose a model by; larger is better.
        distances: proxy A-distance of the two domains' features by seed, 0 to 2.
        features: features of the source (n, d) and of the target (m, d), by the first seed.
        label: labels of the source's features, (n,).
    """

    scores: dict[str, list[float]]
    distances: list[float]
    features: tuple[np.ndarray, np.ndarray]
    label: np.ndarray


def scores_of_target(
    settings: Config, fitted: Fitted, splits: dict[str, Dataset], rows: int = 2000
) -> dict[str, list[float]]:
    """Computes the scores that need only predictions for the target: {score: values by seed}.

    Args:
        settings: config of the fit.
        fitted: result of the fit.
        splits: 'train', which names the classes, and 'target'.
        rows: maximal number of target examples, drawn at random.

    >>> from tljax.data.formats.arrays import arrays
    >>> toy = arrays(np.eye(2, dtype='f'), np.arange(2), ('a', 'b'))
    >>> head = {'kernel': 50 * np.eye(2, dtype='f')[None], 'bias': np.zeros((1, 2), 'f')}
    >>> fitted = Fitted({'backbone': {}, 'head': head}, {'backbone': {}}, {})
    >>> settings = {'net': {'name': 'identity', 'dim': 2}, 'method': {'name': 'finetune'}}
    >>> scores = scores_of_target(settings, fitted, {'train': toy, 'target': toy})
    >>> round(scores['information_maximisation'][0], 4)
    0.6931
    """
    predict = predictor({'config': settings, 'classes': splits['train'].classes})
    target = _sample(splits['target'], rows)
    logits = predictions(predict, fitted.params, fitted.state, target)['output']
    probability = softmax(logits, -1)
    return {
        name: [score(seed_probability) for seed_probability in probability]
        for name, score in SCORES.items()
    }


def _sample(split: Dataset, rows: int) -> Dataset:
    return restrict(split, np.random.default_rng(0).permutation(split.size)[:rows])


def judge(
    settings: Config, fitted: Fitted, splits: dict[str, Dataset], rows: int = 2000
) -> Judgement:
    """Scores a fitted model without labels of the target.

    Args:
        settings: config of the fit.
        fitted: result of the fit.
        splits: 'train' and 'validation' of the source, and 'target'.
        rows: maximal number of examples of a split, drawn at random.

    >>> from tljax.data.formats.arrays import arrays
    >>> x, label = np.random.default_rng(0).normal(size=(3, 40, 2)).astype('f'), np.arange(40) % 2
    >>> splits = {
    ...     name: arrays(inputs, label, ('a', 'b'))
    ...     for name, inputs in zip(('train', 'validation', 'target'), x)
    ... }
    >>> head = {'kernel': np.ones((1, 2, 2), 'f'), 'bias': np.zeros((1, 2), 'f')}
    >>> fitted = Fitted({'backbone': {}, 'head': head}, {'backbone': {}}, {})
    >>> settings = {'net': {'name': 'identity', 'dim': 2}, 'method': {'name': 'finetune'}}
    >>> judge(settings, fitted, splits).scores['source_accuracy']
    [0.5]
    """
    # imported late, for a quick start
    from tljax.shallow.instance import density_ratio
    from tljax.when.distances import proxy_a_distance

    samples = {name: _sample(split, rows) for name, split in splits.items()}
    predict = predictor({'config': settings, 'classes': splits['train'].classes})
    extract = extractor(call_named(ZOO, settings['net'], 'net'))
    source_params, source_state = _source_side(fitted.params), _source_side(fitted.state)
    source = predictions(predict, source_params, source_state, samples['validation'])
    xs = predictions(extract, source_params, source_state, samples['train'])['features']
    xv = predictions(extract, source_params, source_state, samples['validation'])['features']
    xt = predictions(extract, fitted.params, fitted.state, samples['target'])['features']
    scores = scores_of_target(settings, fitted, splits, rows)
    scores['source_accuracy'] = [
        source_accuracy(output, label)
        for output, label in zip(source['output'], source['label'], strict=True)
    ]
    errors = source['output'].argmax(-1) != source['label']
    scores['deep_embedded_validation'] = [
        deep_embedded_validation(loss, density_ratio(train, target, validation))
        for loss, train, target, validation in zip(errors, xs, xt, xv, strict=True)
    ]
    distances = [proxy_a_distance(train, target) for train, target in zip(xs, xt, strict=True)]
    return Judgement(scores, distances, (xs[0], xt[0]), samples['train'].label)


def _source_side(tree: Tree) -> Tree:
    """Parameters or state with the source's encoder as backbone; ADDA has one of its own."""
    return {**tree, 'backbone': tree.get('source', tree['backbone'])}
