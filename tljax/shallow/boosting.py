"""Boosting for transfer: a source with many labels helps a target with few.

In every round a learner is trained on the labelled rows of both domains. Rows of the source that it
gets wrong lose weight, because they contradict the target; rows of the target that it gets wrong
gain weight. `balanced` weights, by which both domains count alike, are the rival to try first.

If a learner makes no error on the target, no row of it gains weight, and if it makes none on the
source either, boosting changes nothing. A warning says so. Learners that fit all that they are
trained on, such as deep trees and weakly penalised linear models, are of no use here.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tljax.core import UserError
from tljax.shallow.learners import Fit, Learner, Pooled, Predictor, Rows, pool, weighted_fit


class Boosted(NamedTuple):
    """A committee of predictors, and how it was made.

    Attributes:
        predict: function of x (n, d) that returns predictions (n,).
        weights: weights of the labelled rows in each round, (rounds, n), the sources' rows first
            and the target's last; those of a round average 1.
        errors: error of each round's predictor on the target, (rounds,).
        votes: weight of each round's predictor in the committee, (rounds,).
    """

    predict: Predictor
    weights: np.ndarray
    errors: np.ndarray
    votes: np.ndarray


def balanced(ns: int, nt: int) -> np.ndarray:
    """Weights by which the source counts as much as the target.

    Args:
        ns: number of source rows.
        nt: number of target rows.

    Returns:
        Weights (ns + nt,) that average 1, the source's rows first.

    Raises:
        UserError: a domain has no rows.

    >>> balanced(4, 1).tolist()
    [0.625, 0.625, 0.625, 0.625, 2.5]
    """
    if ns < 1 or nt < 1:
        raise UserError(f'ns={ns}, nt={nt}: give each domain one row or more')
    return np.repeat([(ns + nt) / (2 * ns), (ns + nt) / (2 * nt)], [ns, nt])


def tradaboost(
    learner: Learner,
    xs: Rows,
    ys: ArrayLike,
    xt: Rows,
    yt: ArrayLike,
    rounds: int = 10,
    start: str | ArrayLike = 'balanced',
) -> Boosted:
    """TrAdaBoost: boosting that takes weight from source rows that contradict the target.

    The last half of the rounds vote. Boosting ends before the first predictor whose weighted error
    on the target is 1/2 or more. A predictor without error has an infinite vote: such predictors
    decide alone, each with one vote. A tie goes to the last class.

    Args:
        learner: an estimator with scikit-learn's `fit(x, y, sample_weight)`, or a function (x, y,
            weight) -> predictor (`tljax.shallow.learners`).
        xs: labelled rows of the source, (ns, d), an array or a sparse matrix.
        ys: classes of the source, (ns,).
        xt: labelled rows of the target, (nt, d).
        yt: classes of the target, (nt,).
        rounds: largest number of rounds.
        start: weights of the first round: 'balanced' (`balanced`), 'uniform', or (ns + nt,).

    Raises:
        UserError: rows, classes, weights or a learner that do not fit, or a learner whose first
            error on the target is 1/2 or more.

    Source: Dai, Yang, Xue and Yu, Boosting for transfer learning, 2007, algorithm 1
        (https://doi.org/10.1145/1273496.1273521). Its start is free.

    >>> from sklearn.tree import DecisionTreeClassifier
    >>> x = np.arange(6)[:, None]
    >>> ys, yt = [0, 0, 0, 1, 1, 0], [0, 1, 0, 1, 1, 1]
    >>> boosted = tradaboost(DecisionTreeClassifier(max_depth=1), x, ys, x, yt, rounds=2)
    >>> boosted.weights[1, :6].round(2).tolist()  # row 5 of the source was wrong
    [0.78, 0.78, 0.78, 0.78, 0.78, 0.33]
    >>> boosted.weights[1, 6:].round(2).tolist()  # row 1 of the target was wrong
    [0.78, 3.89, 0.78, 0.78, 0.78, 0.78]
    """
    return _boost(learner, [(xs, ys)], (xt, yt), rounds, start, last_half=True)


def multi_source_tradaboost(
    learner: Learner,
    sources: Sequence[tuple[Rows, ArrayLike]],
    xt: Rows,
    yt: ArrayLike,
    rounds: int = 10,
    start: str | ArrayLike = 'balanced',
) -> Boosted:
    """MultiSourceTrAdaBoost: in every round the target is helped by the source that fits it best.

    A round trains one predictor for each source, on its rows and the target's, and keeps the one
    with the smallest error on the target. This predictor changes the weights of all rows. All
    rounds vote. The rest is as in `tradaboost`.

    Args:
        learner: as in `tradaboost`.
        sources: pairs (xs, ys) of features (ns, d) and classes (ns,).
        xt: labelled rows of the target, (nt, d).
        yt: classes of the target, (nt,).
        rounds: largest number of rounds.
        start: weights of the first round: 'balanced' (all sources together count as much as the
            target), 'uniform', or (n,) for the rows of all sources and then of the target.

    Raises:
        UserError: as `tradaboost`.

    Source: Yao and Doretto, Boosting for transfer learning with multiple sources, 2010, algorithm 1
        (https://doi.org/10.1109/CVPR.2010.5539857).

    >>> from sklearn.tree import DecisionTreeClassifier
    >>> x, y = np.arange(6)[:, None], np.array([0, 0, 0, 1, 1, 1])
    >>> sources, yt = [(x, y), (x, 1 - y)], [0, 1, 0, 1, 1, 1]
    >>> boosted = multi_source_tradaboost(DecisionTreeClassifier(max_depth=1), sources, x, yt, 2)
    >>> boosted.weights[1].reshape(3, 6).mean(1).round(2).tolist()
    [0.64, 0.25, 2.12]
    """
    return _boost(learner, list(sources), (xt, yt), rounds, start, last_half=False)


def _boost(
    learner: Learner,
    sources: Sequence[tuple[Rows, ArrayLike]],
    target: tuple[Rows, ArrayLike],
    rounds: int,
    start: str | ArrayLike,
    last_half: bool,
) -> Boosted:
    """The committee of all rounds of boosting, or of their last half."""
    refuse_count('rounds', rounds, 1)
    rows, fit = pool(sources, *target), weighted_fit(learner)
    classes, weight = _classes(rows), start_weights(start, rows)
    _refuse_weightless(classes, rows.y, weight)
    of_target = rows.domain < 0
    beta = 1 / (1 + math.sqrt(2 * math.log((~of_target).sum()) / rounds))
    predictors, weights, errors = [], [], []
    for number in range(rounds):
        weight = weight / weight.mean()
        predict, error = _best_predictor(fit, rows, weight)
        wrong = predict(rows.x) != rows.y
        if number == 0:
            _refuse_unfit(error, wrong, of_target)
        if error >= 0.5:
            break
        predictors.append(predict)
        weights.append(weight)
        errors.append(error)
        rise = 1 / odds(error) if error else 1.0
        weight = weight * np.where(wrong, np.where(of_target, rise, beta), 1)
    votes = _votes(np.array(errors), last_half)
    predict = _committee(predictors, votes, classes)
    return Boosted(predict, np.stack(weights), np.array(errors), votes)


def _best_predictor(fit: Fit, rows: Pooled, weight: np.ndarray) -> tuple[Predictor, float]:
    """The predictor with the smallest weighted error on the target, of one for each source."""
    of_target = rows.domain < 0
    x, y, share = rows.x[of_target], rows.y[of_target], weight[of_target] / weight[of_target].sum()
    candidates = []
    for source in range(rows.domain.max() + 1):
        used = of_target | (rows.domain == source)
        predict = fit(rows.x[used], rows.y[used], weight[used])
        candidates.append((predict, float(share @ (predict(x) != y))))
    return min(candidates, key=lambda candidate: candidate[1])


def _votes(errors: np.ndarray, last_half: bool) -> np.ndarray:
    """The votes of the rounds: log(1 / beta_t), or 1 for those without error if there are any."""
    with np.errstate(divide='ignore'):
        votes = -np.log(odds(errors))
    if last_half:
        votes[: math.ceil(len(votes) / 2) - 1] = 0
    without_error = np.isinf(votes)
    return without_error.astype(float) if without_error.any() else votes


def _committee(predictors: list[Predictor], votes: np.ndarray, classes: np.ndarray) -> Predictor:
    """The function x -> class with the most votes; a tie goes to the last class."""

    def predict(x: Rows) -> np.ndarray:
        tally = sum(
            vote * (predictor(x)[:, None] == classes)
            for predictor, vote in zip(predictors, votes, strict=True)
            if vote
        )
        return classes[::-1][np.asarray(tally)[:, ::-1].argmax(1)]

    return predict


def _refuse_unfit(error: float, wrong: np.ndarray, of_target: np.ndarray) -> None:
    """Refuses a learner that is no better than chance, and warns of one without error.

    Args:
        error: weighted error on the target in the first round.
        wrong: which rows are predicted wrongly, (n,).
        of_target: which rows are the target's, (n,).
    """
    if error >= 0.5:
        raise UserError(
            f'the weighted error of the learner on the target is {error:.2f} in the first round, '
            'and must be below 1/2: give more labels of the target, or another learner'
        )
    if not wrong.any():
        warnings.warn(
            'the learner makes no error on any row, so boosting changes nothing: take a weaker '
            'learner, or the start weights without boosting',
            stacklevel=4,
        )
    elif error == 0:
        warnings.warn(
            f'the learner makes no error on the {of_target.sum()} labels of the target, so none '
            f'gains weight: boosting begins with {wrong.sum()} rows of the source that lose weight',
            stacklevel=4,
        )


def odds(error: Any) -> Any:
    """beta_t of boosting, error / (1 - error): its logarithm is minus the vote of a predictor.

    Args:
        error: weighted error of a predictor, from 0 to below 1, or an array of them.

    >>> odds(0.2)
    0.25
    """
    return error / (1 - error)


def start_weights(start: str | ArrayLike, rows: Pooled) -> np.ndarray:
    """Weights of the first round, (n,), that average 1.

    Args:
        start: 'balanced', 'uniform' or (n,) numbers of at least 0.
        rows: the labelled rows of all domains.

    Raises:
        UserError: an unknown name, another number of weights, weights that are negative or not
            finite, or a domain whose weights are all 0.

    >>> rows = pool([(np.zeros((3, 1)), [0, 1, 0])], np.zeros((1, 1)), [1])
    >>> start_weights('balanced', rows).tolist()
    [0.6666666666666666, 0.6666666666666666, 0.6666666666666666, 2.0]
    """
    of_target = rows.domain < 0
    if isinstance(start, str):
        if start not in ('balanced', 'uniform'):
            raise UserError(f'start={start!r}: give balanced, uniform or a weight for each row')
        if start == 'uniform':
            return np.ones(len(of_target))
        return balanced(int((~of_target).sum()), int(of_target.sum()))
    weight = np.asarray(start, np.float64)
    if weight.shape != of_target.shape:
        raise UserError(
            f'start has shape {weight.shape}: give a weight for each of the {len(of_target)} rows, '
            'the source first'
        )
    if not (np.isfinite(weight) & (weight >= 0)).all():
        raise UserError('start has weights that are negative or not finite: give others')
    for name, part in (('source', ~of_target), ('target', of_target)):
        if not weight[part].any():
            raise UserError(f'all weights of the {name} are 0 in start: give some above 0')
    return weight / weight.mean()


def refuse_count(name: str, count: int, least: int) -> None:
    """Refuses a setting that is no whole number, or too small.

    Args:
        name: name of the setting.
        count: value of the setting.
        least: smallest value.

    >>> refuse_count('rounds', 0, 1)
    Traceback (most recent call last):
    tljax.core.UserError: rounds=0: give a whole number from 1 up
    """
    if not isinstance(count, (int, np.integer)) or count < least:
        raise UserError(f'{name}={count}: give a whole number from {least} up')


def _classes(rows: Pooled) -> np.ndarray:
    """The classes of the rows; refuses numbers with fractions, and a single class."""
    if rows.y.dtype.kind == 'f' and (rows.y != rows.y.round()).any():
        raise UserError('labels have fractions: take tradaboost_r2, which predicts numbers')
    classes = np.unique(rows.y)
    if len(classes) < 2:
        raise UserError(f'all labels are {classes[0]}: give examples of two classes or more')
    return classes


def _refuse_weightless(classes: np.ndarray, y: np.ndarray, weight: np.ndarray) -> None:
    """Refuses start weights that are 0 for a whole class."""
    for name in classes:
        if not weight[y == name].any():
            raise UserError(f'all weights of class {name} are 0 in start: give some above 0')
