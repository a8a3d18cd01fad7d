"""Choosing a model for a target domain without its labels. For all scores, larger is better.

No score can guarantee accuracy on the target: each prefers some bad models, and its docstring names
them. Scores can be compared between models on the same examples, but not between different sets of
examples.

Survey: Musgrave, Belongie and Lim, Unsupervised domain adaptation: a reality check, 2021
(https://arxiv.org/abs/2111.15672).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr, softmax, xlogy

from tljax.core import UserError

TOLERANCE = 1e-3  # largest difference from 1 of the sum of a row of probabilities
# rows whose similarities to all others are in memory at once: 120 MB an array for 60,000 rows
BLOCK = 250


def negative_entropy(probability: ArrayLike) -> float:
    """Minus the mean entropy of the predictions: how certain the model is. At most 0.

    It prefers models that are certain and wrong, and models that assign all examples to one class.
    Methods that minimise the entropy have an advantage, because they optimise the score itself.

    Args:
        probability: (n, c), softmax outputs for the target's examples.

    Returns:
        A float, in nats.

    Raises:
        UserError: for no rows, and for rows that are not probabilities.

    Source: Morerio, Cavazza and Murino, Minimal-entropy correlation alignment for unsupervised deep
    domain adaptation, 2018 (https://arxiv.org/abs/1711.10288).

    >>> negative_entropy([[1.0, 0.0], [0.0, 1.0]])  # certain
    0.0
    >>> round(negative_entropy([[0.5, 0.5], [1.0, 0.0]]), 4)
    -0.3466
    """
    probability = _as_probability(probability)
    return float(xlogy(probability, probability).sum(1).mean())


def information_maximisation(probability: ArrayLike) -> float:
    """Mutual information of example and predicted class, 0 to log(c).

    It is the entropy of the mean prediction minus the mean entropy. Unlike `negative_entropy`, it
    is low for a model that assigns all examples to one class. It assumes balanced classes: if those
    of the target are not (label shift), it prefers a model that balances them. It also prefers
    models that are certain, balanced and wrong.

    Args:
        probability: (n, c), softmax outputs for the target's examples.

    Returns:
        A float, in nats.

    Raises:
        UserError: as `negative_entropy`.

    Source: Shi and Sha, Information-theoretical learning of discriminative clusters for
    unsupervised domain adaptation, 2012 (https://arxiv.org/abs/1206.6438); as a score of models,
    Musgrave et al. 2021.

    >>> round(information_maximisation([[1.0, 0.0], [0.0, 1.0]]), 4)
    0.6931
    >>> information_maximisation([[1.0, 0.0], [1.0, 0.0]])  # one class for all
    0.0
    """
    probability = _as_probability(probability)
    return float(entr(probability.mean(0)).sum() - entr(probability).sum(1).mean())


def soft_neighbourhood_density(probability: ArrayLike, temperature: float = 0.05) -> float:
    """Mean entropy of an example's softmax similarities to all others, among the predictions.

    The entropy is large if an example has many neighbours. The score is low for models that split
    clusters, whatever class a cluster gets. A model with the same prediction everywhere reaches the
    maximum, log(n - 1).

    Args:
        probability: as for `negative_entropy`, with two rows or more. Time grows with n^2, and
            memory with BLOCK x n.
        temperature: temperature of the similarities, above 0; the default is the paper's.

    Returns:
        A float, in nats.

    Raises:
        UserError: as `negative_entropy`; for a single row, and for a temperature not above 0.

    Source: Saito et al., Tune it the right way: unsupervised validation of domain adaptation via
    soft neighborhood density, 2021 (https://arxiv.org/abs/2108.10860). An example's similarity to
    itself is left out; the authors' code sets it to -1.

    >>> same, split = [[1.0, 0.0]] * 4, [[1.0, 0.0]] * 2 + [[0.0, 1.0]] * 2
    >>> round(soft_neighbourhood_density(same), 4), round(soft_neighbourhood_density(split), 4)
    (1.0986, 0.0)
    """
    probability = _as_probability(probability)
    if len(probability) < 2 or not 0 < temperature < np.inf:
        raise UserError(
            f'{len(probability)} rows at temperature={temperature}: give two rows or more, and a '
            'temperature above 0'
        )
    unit = probability / np.linalg.norm(probability, axis=1, keepdims=True)
    total = 0.0
    for start in range(0, len(unit), BLOCK):
        similarity = unit[start : start + BLOCK] @ unit.T / temperature
        row = np.arange(len(similarity))
        similarity[row, start + row] = -np.inf
        total += entr(softmax(similarity, axis=1)).sum()
    return float(total / len(unit))


def importance_weighted_risk(loss: ArrayLike, weight: ArrayLike) -> float:
    """Minus the weighted mean loss over source examples.

    This is minus the target's risk under covariate shift.

    The estimate is unbiased if p(y | x) is the same in both domains, the weights are p_t(x) /
    p_s(x), and the source covers the target. It cannot check these conditions. A few large weights
    make it very noisy.

    Args:
        loss: (n,), losses of source examples that were not used for training.
        weight: (n,), density ratios, such as those of `tljax.shallow.instance`.

    Returns:
        A float.

    Raises:
        UserError: for no rows, different lengths, numbers that are not finite, and negative
            weights.

    Source: Sugiyama, Krauledat and Müller, Covariate shift adaptation by importance weighted cross
    validation, 2007 (https://jmlr.org/papers/v8/sugiyama07a.html).

    >>> importance_weighted_risk(loss=[1.0, 0.0], weight=[0.5, 1.5])
    -0.25
    """
    loss, weight = _as_loss_and_weight(loss, weight)
    return -float((weight * loss).mean())


def deep_embedded_validation(loss: ArrayLike, weight: ArrayLike) -> float:
    """Importance weighted risk with a control variate: -(mean(w l) + eta (mean(w) - 1)).

    Here eta = -Cov(w l, w) / Var(w). True weights average 1 over the source, so that the deviation
    of their mean from 1 predicts part of the risk's error. Other weaknesses of
    `importance_weighted_risk` remain. Weights scaled to average 1 over these rows, as those of
    `tljax.shallow.instance` are, leave nothing to correct. Weights that hardly vary around another
    mean make eta huge.

    Args:
        loss: (n,), losses of source examples that were not used for training.
        weight: (n,), unscaled density ratios. If all are equal, the result is the plain risk.

    Returns:
        A float.

    Raises:
        UserError: as `importance_weighted_risk`.

    Source: You et al., Towards accurate model selection in deep unsupervised domain adaptation,
    2019, algorithm 1 (https://proceedings.mlr.press/v97/you19a.html).

    >>> loss, weight = [1.0, 1.0], [1.0, 2.0]  # the true risk is 1, whatever the weights are
    >>> deep_embedded_validation(loss, weight), importance_weighted_risk(loss, weight)
    (-1.0, -1.5)
    """
    loss, weight = _as_loss_and_weight(loss, weight)
    weighted_loss, deviation = weight * loss, weight - weight.mean()
    eta = 0.0  # for weights that differ by rounding errors only
    if not np.allclose(weight, weight.mean()):
        eta = -(deviation @ weighted_loss) / (deviation @ deviation)
    return -float(weighted_loss.mean() + eta * (weight.mean() - 1))


def source_accuracy(logits: ArrayLike, label: ArrayLike) -> float:
    """Accuracy on source examples.

    It shows whether the model learnt the task, and nothing about the target.

    Args:
        logits: (n, c), for source examples that were not used for training.
        label: (n,) integers.

    Returns:
        A float from 0 to 1.

    Raises:
        UserError: for no rows, different lengths, and numbers that are not finite.

    >>> source_accuracy([[2.0, 1.0], [0.0, 3.0]], [0, 0])
    0.5
    """
    logits, label = np.asarray(logits, np.float64), np.asarray(label, np.float64)
    shapes = f'logits {logits.shape} and label {label.shape}'
    if logits.ndim != 2 or label.ndim != 1 or not logits.size or not label.size:
        raise UserError(f'{shapes}: give one row or more, (n, c) for logits and (n,) for label')
    _refuse_different_lengths(shapes, logits, label)
    _refuse_invalid('logits', ~np.isfinite(logits), 'not finite')
    _refuse_invalid('label', ~np.isfinite(label), 'not finite')
    return float((logits.argmax(1) == label).mean())


# scores of the target's predictions alone
SCORES = {
    score.__name__: score
    for score in (negative_entropy, information_maximisation, soft_neighbourhood_density)
}


def choose(scores: ArrayLike, names: Sequence[str] | None = None) -> str | int:
    """Returns the model with the best score; of equal ones, the first.

    A model whose score is infinite or NaN is never chosen.

    Args:
        scores: (models,) floats.
        names: names of the models, in the same order.

    Returns:
        The model's name, or its index if no names are given.

    Raises:
        UserError: if no score is finite, and for different numbers of names and scores.

    >>> choose([0.2, 0.1, float('nan')], names=['dann', 'cdan', 'mcd'])
    'dann'
    >>> choose([0.2, 0.7])
    1
    """
    scores = np.asarray(scores, float)
    if names is not None and len(names) != len(scores):
        raise UserError(f'{len(names)} names for {len(scores)} scores: give one name per score')
    if not np.isfinite(scores).any():
        raise UserError(
            f'none of {len(scores)} scores is finite: look for what made the runs diverge'
        )
    best = int(np.where(np.isfinite(scores), scores, -np.inf).argmax())
    return best if names is None else names[best]


def _as_probability(probability: ArrayLike) -> np.ndarray:
    """Returns probabilities in float64 whose rows sum to 1, or refuses what are none."""
    probability = np.asarray(probability, np.float64)
    if probability.ndim != 2 or not probability.size:
        raise UserError(f'probability {probability.shape}: give one row or more, (n, c)')
    invalid = ~np.isfinite(probability) | (probability < 0)
    _refuse_invalid('probability', invalid, 'not finite or below 0')
    total = probability.sum(1, keepdims=True)
    deviant = np.abs(total - 1) > TOLERANCE
    if deviant.any():
        raise UserError(
            f'{int(deviant.sum())} of {len(total)} rows of probability do not sum to 1: give '
            'softmax outputs, not logits'
        )
    return probability / total


def _as_loss_and_weight(loss: ArrayLike, weight: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Returns losses and weights in float64, or refuses those that do not pair."""
    loss, weight = np.asarray(loss, np.float64), np.asarray(weight, np.float64)
    shapes = f'loss {loss.shape} and weight {weight.shape}'
    if loss.ndim != 1 or weight.ndim != 1 or not loss.size or not weight.size:
        raise UserError(f'{shapes}: give one row or more, (n,) for both')
    _refuse_different_lengths(shapes, loss, weight)
    _refuse_invalid('loss', ~np.isfinite(loss), 'not finite')
    _refuse_invalid('weight', ~np.isfinite(weight) | (weight < 0), 'not finite or below 0')
    return loss, weight


def _refuse_different_lengths(shapes, a, b):
    if len(a) != len(b):
        raise UserError(f'{shapes} differ in length: give both of the same examples')


def _refuse_invalid(name, invalid, fault):
    """Refuses values that are marked as invalid."""
    if invalid.any():
        raise UserError(
            f'{name} has {int(invalid.sum())} values that are {fault}: look for where they come '
            'from'
        )
