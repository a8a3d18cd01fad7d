"""Choosing a model for a target domain without its labels: scores of models, of which larger is
better for all.

None can vouch for the accuracy on the target: each takes some bad models for good, and its
docstring says which. Scores compare models on the same examples; beside those of other examples
they mean nothing.

Survey: Musgrave, Belongie and Lim, Unsupervised domain adaptation: a reality check, 2021
(https://arxiv.org/abs/2111.15672).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr, softmax, xlogy

from tljax.core import UserError

TOLERANCE = 1e-3  # how far from 1 a row of probabilities may sum
# rows whose similarities to all others are in memory at once: 120 MB an array for 60,000 rows
BLOCK = 250
AXES = {'probability': 2, 'logits': 2}
NOT_NEGATIVE = ('probability', 'weight')


def negative_entropy(probability: ArrayLike) -> float:
    """Minus the mean entropy of the predictions, at most 0: how sure the model is.

    A model that is surely wrong fools it, and so does one that gives all examples to one class.
    Methods that minimise the entropy win by what they minimise.

    Args:
        probability: (n, c), softmax outputs for the target's examples.

    Returns:
        A float, in nats.

    Raises:
        UserError: for no rows, and rows that are no probabilities.

    Source: Morerio, Cavazza and Murino, Minimal-entropy correlation alignment for unsupervised deep
    domain adaptation, 2018 (https://arxiv.org/abs/1711.10288).

    >>> (
    ...     negative_entropy([[1.0, 0.0], [0.0, 1.0]]),
    ...     round(negative_entropy([[0.5, 0.5], [1.0, 0.0]]), 4),
    ... )
    (0.0, -0.3466)
    """
    (probability,) = _checked(probability=probability)
    return float(xlogy(probability, probability).sum(1).mean())


def information_maximisation(probability: ArrayLike) -> float:
    """Entropy of the mean prediction minus the mean entropy, 0 to log(c): the mutual information of
    example and predicted class.

    It sees that all examples go to one class, which `negative_entropy` does not. It takes even
    classes for right: where the target's are not even (label shift), it prefers a model that evens
    them out. One that is surely wrong in even shares fools it, too.

    Args:
        probability: (n, c), softmax outputs for the target's examples.

    Returns, Raises: as `negative_entropy`.

    Source: Shi and Sha, Information-theoretical learning of discriminative clusters for
    unsupervised domain adaptation, 2012 (https://arxiv.org/abs/1206.6438); as a score of models,
    Musgrave et al. 2021.

    >>> (
    ...     round(information_maximisation([[1.0, 0.0], [0.0, 1.0]]), 4),
    ...     information_maximisation([[1.0, 0.0], [1.0, 0.0]]),
    ... )
    (0.6931, 0.0)
    """
    (probability,) = _checked(probability=probability)
    return float(entr(probability.mean(0)).sum() - entr(probability).sum(1).mean())


def soft_neighbourhood_density(probability: ArrayLike, temperature: float = 0.05) -> float:
    """The mean entropy of an example's softmax similarities to all others: how many neighbours it
    has among the predictions.

    It sees clusters that a model tears apart, not which class a cluster gets; a model that predicts
    the same everywhere reaches the maximum, log(n - 1).

    Args:
        probability: as `negative_entropy`, but two rows or more, in time of n^2 and memory of
            BLOCK x n.
        temperature: of the similarities, above 0; the default is the paper's.

    Returns, Raises: as `negative_entropy`.

    Source: Saito et al., Tune it the right way: unsupervised validation of domain adaptation via
    soft neighborhood density, 2021 (https://arxiv.org/abs/2108.10860). An example's similarity to
    itself is left out; the authors' code sets it to -1.

    >>> round(soft_neighbourhood_density([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]), 4)
    0.6931
    """
    (probability,) = _checked(probability=probability)
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
    """Minus the mean of weight * loss over source examples: minus the target's risk under covariate
    shift.

    Unbiased where p(y | x) is common to both domains, the weights are p_t(x) / p_s(x), and the
    source lies wherever the target does; it cannot tell where one of these fails. A few large
    weights make it a lottery.

    Args:
        loss: (n,) of source examples that were not trained on.
        weight: (n,), density ratios as of `tljax.shallow.instance`.

    Returns:
        A float.

    Raises:
        UserError: for no rows, lengths that differ, numbers that are not finite, and negative
            weights.

    Source: Sugiyama, Krauledat and Müller, Covariate shift adaptation by importance weighted cross
    validation, 2007 (https://jmlr.org/papers/v8/sugiyama07a.html).

    >>> importance_weighted_risk([1.0, 0.0], [0.5, 1.5])
    -0.25
    """
    loss, weight = _checked(loss=loss, weight=weight)
    return -float((weight * loss).mean())


def deep_embedded_validation(loss: ArrayLike, weight: ArrayLike) -> float:
    """The weighted risk with a control variate: -(mean(w l) + eta (mean(w) - 1)), eta = -Cov(w l,
    w) / Var(w).

    True weights average 1 over the source; what chance makes of their average tells what it makes
    of the risk. The rest of what the plain risk cannot tell remains. Weights that were scaled to
    average 1 over these very rows, as those of `tljax.shallow.instance` are, leave nothing to
    correct; weights that hardly vary around another average make eta huge.

    Args:
        loss: (n,) of source examples that were not trained on.
        weight: (n,), density ratios, unscaled. Where all of them are equal the result is the plain
            risk.

    Returns, Raises: as `importance_weighted_risk`.

    Source: You et al., Towards accurate model selection in deep unsupervised domain adaptation,
    2019, algorithm 1 (https://proceedings.mlr.press/v97/you19a.html).

    >>> (
    ...     deep_embedded_validation([1.0, 1.0], [1.0, 2.0]),
    ...     importance_weighted_risk([1.0, 1.0], [1.0, 2.0]),
    ... )
    (-1.0, -1.5)
    """
    loss, weight = _checked(loss=loss, weight=weight)
    weighted, centred = weight * loss, weight - weight.mean()
    # what varies by rounding alone has a meaningless eta
    equal = np.allclose(weight, weight.mean())
    eta = 0.0 if equal else -(centred @ weighted) / (centred @ centred)
    return -float(weighted.mean() + eta * (weight.mean() - 1))


def source_accuracy(logits: ArrayLike, label: ArrayLike) -> float:
    """The share of source examples that the model gets right: whether it learnt the task at all,
    and nothing about the target.

    Args:
        logits: (n, c) of source examples that were not trained on.
        label: (n,) integers.

    Returns:
        A float.

    Raises:
        UserError: for no rows, lengths that differ, and numbers that are not finite.

    >>> source_accuracy([[2.0, 1.0], [0.0, 3.0]], [0, 0])
    0.5
    """
    logits, label = _checked(logits=logits, label=label)
    return float((logits.argmax(1) == label).mean())


# those that need nothing but the target's predictions
SCORES = {
    each.__name__: each
    for each in (negative_entropy, information_maximisation, soft_neighbourhood_density)
}


def choose(scores: ArrayLike, names: Sequence[str] | None = None) -> str | int:
    """The best model by one score: the first of equals, and none whose score is not finite.

    Args:
        scores: (models,) floats.
        names: of the models, in the same order.

    Returns:
        Its name, or its index where no names are given.

    Raises:
        UserError: where no score is finite, or names and scores do not pair.

    >>> choose([0.2, np.nan, 0.7]), choose([0.2, 0.1], ['dann', 'cdan'])
    (2, 'dann')
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


def _checked(**columns: ArrayLike) -> list[np.ndarray]:
    """The columns in float64, once they are of the same rows, at least one, and hold what their
    names say."""
    arrays = {name: np.asarray(column, np.float64) for name, column in columns.items()}
    shapes = ' and '.join(f'{name} {column.shape}' for name, column in arrays.items())
    if any(column.ndim != AXES.get(name, 1) or not column.size for name, column in arrays.items()):
        raise UserError(
            f'{shapes}: give one row or more, (n, c) for probability and logits, (n,) for all else'
        )
    if len({len(column) for column in arrays.values()}) > 1:
        raise UserError(f'{shapes} differ in length: give both of the same examples')
    for name, column in arrays.items():
        wrong = ~np.isfinite(column) | ((column < 0) & (name in NOT_NEGATIVE))
        if wrong.any():
            raise UserError(
                f'{name} has {int(wrong.sum())} values that are not '
                f'finite{" or below 0" * (name in NOT_NEGATIVE)}: look for where they come from'
            )
    if 'probability' in arrays:
        total = arrays['probability'].sum(1, keepdims=True)
        if (wrong := np.abs(total - 1) > TOLERANCE).any():
            raise UserError(
                f'{int(wrong.sum())} of {len(total)} rows of probability do not sum to 1: give '
                'softmax outputs, not logits'
            )
        arrays['probability'] = arrays['probability'] / total
    return list(arrays.values())
