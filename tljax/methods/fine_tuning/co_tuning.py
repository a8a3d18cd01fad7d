"""Co-Tuning: You, Kou, Long and Wang 2020, section 3,
https://proceedings.neurips.cc/paper/2020/hash/c8067ad1937f728f51288b3eb986afaa-Abstract.html"""

from typing import Any

import jax
import numpy as np
import optax
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from tljax.core import Method, Net, UserError
from tljax.losses import linear, weighted_mean
from tljax.methods.fine_tuning.source_network import (
    batches_of,
    frozen_copy,
    linear_classifier,
    refuse_numbers,
    refuse_temperature,
    regularised,
    source_taps,
)

BATCHES = 'labelled'
SOURCE = 'head'
INVERSE_PENALTIES = 10.0 ** np.arange(4, -5, -1)  # tried on the validation split


def co_tuning(
    net: Net,
    classes: int,
    source_classes: int = 1000,
    weight: float = 2.3,
    approach: str = 'reverse',
    temperature: float = 1.0,
) -> Method:
    """Co-Tuning: the source's classifier goes on learning, from the target's labels in its words.

    The loss is CE(label, head) + weight * CE(p(y_s | y_t = label), source's head), the mean over
    examples. The relation of categories p(y_s | y_t) is learnt once, before the first step, from
    the source network's predictions for the training examples (`category_relation`).

    Args:
        net: the backbone.
        classes: number of the target's classes.
        source_classes: number of the source's classes.
        weight: the paper's lambda; the authors' value.
        approach: 'reverse' learns p(y_t | y_s), calibrates it, and turns it by Bayes' rule. It
            reads the labels of the validation split, if there is one. 'direct' takes the mean
            prediction of each class, and reads no labels but those of the training examples.
        temperature: of the source's predictions, which calibrates them; chosen on data of the
            source (for their ResNet-50 the authors have 1.13).

    Returns:
        A Method as `source_network.regularised` makes it.

    Raises:
        UserError: the data has no classes, the approach is unknown, or the temperature is not above
            0.

    >>> import jax.numpy as jnp
    >>> from tljax.core import Start
    >>> from tljax.data import arrays
    >>> from tljax.zoo.families.identity import identity
    >>> method = co_tuning(identity(3), 2, source_classes=3, approach='direct')
    >>> train = arrays(np.eye(3, dtype='f'), np.array([0, 0, 1]), ('a', 'b'))
    >>> params, state = jax.jit(method.init)(jax.random.key(0), train.take(np.arange(3)))
    >>> params['source_head']['kernel'] = 9 * jnp.eye(3)
    >>> method.remember(params, state, Start(train))['relation'].round(2).tolist()
    [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]
    """
    refuse_numbers('co_tuning', classes)
    refuse_temperature(temperature)
    if approach not in ('reverse', 'direct'):
        raise UserError(f'method.approach={approach!r} is not reverse or direct')

    @jax.jit
    def logits(source, input):
        return source_taps(net, source, input)['logits']

    def remember(params, state, start):
        source = frozen_copy(params, state)

        def predictions(dataset):
            batches = [*batches_of(dataset)]
            rows = np.concatenate([logits(source, batch['input']) for batch in batches])
            label = np.concatenate([batch['label'] for batch in batches])
            return softmax(rows.astype(float) / temperature, -1), label

        train, validation = predictions(start.train), None
        if approach == 'direct':
            relation = mean_predictions(*train, classes)
        else:
            if start.validation is not None and start.validation.size:
                validation = predictions(start.validation)
            relation = category_relation(*train, classes, validation)
        return {**state, 'relation': relation.astype(np.float32)}

    def term(params, state, taps, batch):
        translated = state['relation'][batch['label']]
        outputs = linear(params['source_head'], taps['features'])
        return weight * weighted_mean(optax.softmax_cross_entropy(outputs, translated), batch)

    return regularised(net, classes, term, remember, source_classes)


def mean_predictions(probability: np.ndarray, label: np.ndarray, classes: int) -> np.ndarray:
    """The direct approach: p(y_s | y_t) is the mean prediction of the examples of class y_t.

    Args:
        probability: the source's predictions, (n, source classes).
        label: target's classes, (n,).
        classes: number of the target's classes. One without an example gets the mean of all.

    Returns:
        The relation, (classes, source classes); rows sum to 1.

    >>> mean_predictions(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 0]), classes=1).tolist()
    [[0.75, 0.25]]
    """
    membership = np.eye(classes)[label].T  # (classes, n)
    counts = membership.sum(1, keepdims=True)
    means = membership @ probability / np.maximum(counts, 1)
    return np.where(counts > 0, means, probability.mean(0))


def category_relation(
    probability: np.ndarray,
    label: np.ndarray,
    classes: int,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """The reverse approach: p(y_s | y_t) from a classifier p(y_t | y_s), by Bayes' rule.

    The classifier is a logistic regression of the target's classes on the source's predictions. As
    in the authors' code its penalty is the one of the best accuracy on the validation split, and
    its logits are then multiplied by the number that gives the smallest cross-entropy there, which
    calibrates it. p(y_s) is the mean prediction.

    Args:
        probability: the source's predictions for the training examples, (n, source classes).
        label: the target's classes, (n,).
        classes: number of the target's classes.
        validation: the same two for the validation split; None for C=1, without calibration.
            Examples of classes that the training examples lack are left out.

    Returns:
        The relation, (classes, source classes); rows sum to 1.

    >>> relation = category_relation(np.eye(2), np.array([0, 1]), classes=2)
    >>> bool(relation[0, 0] > 0.5), relation.sum(1).round(6).tolist()
    (True, [1.0, 1.0])
    """
    rows, truth = validation or (probability[:0], label[:0])
    marginal = np.concatenate([probability, rows]).mean(0)
    known = np.isin(truth, label)
    rows, truth, scale = rows[known], truth[known], 1.0
    heads = [
        linear_classifier(probability, label, classes, inverse_penalty, intercept=False)
        for inverse_penalty in (INVERSE_PENALTIES if len(rows) else [1.0])
    ]
    head = heads[0]
    if len(rows):
        shares = [np.mean(linear(head, rows).argmax(-1) == truth) for head in heads]
        head = heads[int(np.argmax(shares))]
        scale = calibration(linear(head, rows), truth)
    conditional = softmax(scale * linear(head, np.eye(len(marginal))), -1)  # p(y_t | y_s)
    joint = (conditional * marginal[:, None]).T
    total = joint.sum(1, keepdims=True)
    return np.where(total > 0, joint / np.where(total > 0, total, 1), marginal)


def calibration(logits: np.ndarray, label: np.ndarray) -> float:
    """The number by which logits are multiplied for the smallest cross-entropy.

    It is one over the temperature of Guo et al. 2017 (https://arxiv.org/abs/1706.04599, section 4).

    Args:
        logits: (n, classes).
        label: (n,).

    Returns:
        A number from exp(-7) to exp(7).

    >>> logits = np.array([[1.0, 0.0]] * 4)
    >>> round(calibration(logits, np.array([0, 0, 0, 1])), 3)  # log 3: a probability of 3 / 4
    1.099
    """

    def error(power):
        return -log_softmax(np.exp(power) * logits, -1)[np.arange(len(label)), label].mean()

    best: Any = minimize_scalar(error, bounds=(-7, 7), method='bounded')
    return float(np.exp(best.x))
