"""Boosting for transfer of regression: two-stage TrAdaBoost.R2.

Pardoe and Stone, Boosting for regression transfer, 2010, algorithm 3
(https://www.cs.utexas.edu/~dpardoe/papers/ICML10.pdf). The error of a row is its absolute error
over the largest one (`adjusted_error`), so that a single outlier makes all other rows look good:
look for outliers first.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from sklearn.model_selection import KFold

from tljax.core import UserError
from tljax.shallow.boosting import Boosted, odds, refuse_count, start_weights
from tljax.shallow.learners import Fit, Learner, Pooled, Predictor, Rows, pool, weighted_fit


def tradaboost_r2(
    learner: Learner,
    xs: Rows,
    ys: ArrayLike,
    xt: Rows,
    yt: ArrayLike,
    steps: int = 10,
    rounds: int = 10,
    folds: int = 5,
    start: str | ArrayLike = 'uniform',
    seed: int = 0,
) -> Boosted:
    """Two-stage TrAdaBoost.R2: boosting for regression, with a source that fades out.

    Each step trains a model on both domains by AdaBoost.R2 in `rounds` rounds, which change the
    weights of the target's rows alone. Then rows of the source lose weight by their error, so much
    that the target's share of all weights rises by equal amounts, from its share at the start to 1
    in the last step. The model of the step with the smallest cross-validation error is kept. All
    in all steps * (1 + rounds * (1 + folds)) fits.

    Args:
        learner: as in `boosting.tradaboost`, for numbers.
        xs: labelled rows of the source, (ns, d), an array or a sparse matrix.
        ys: numbers of the source, (ns,).
        xt: labelled rows of the target, (nt, d), two or more.
        yt: numbers of the target, (nt,).
        steps: number of steps, two or more.
        rounds: largest number of rounds of AdaBoost.R2.
        folds: number of folds of the target's rows; each row is one if there are fewer.
        start: weights of the first step: 'uniform' as in the paper, 'balanced', or (ns + nt,).
        seed: of the folds.

    Returns:
        `Boosted`, whose rounds are the steps: `errors` has the mean absolute errors in
        cross-validation, and `votes` is 1 for the step that was kept.

    Raises:
        UserError: rows, numbers, weights or a learner that do not fit, or a learner that fits all
            rows without error in the first step, as nothing is left to boost.

    Source: as the module says. The paper leaves open which error is compared in
        cross-validation, and that the target keeps its share when a fold is left out.

    >>> from sklearn.linear_model import LinearRegression
    >>> x, y = np.arange(8.0)[:, None], 2.0 * np.arange(8)
    >>> ys, yt = y + [0, 0, 0, 0, 0, 0, 0, 9], [2.1, 5.9, 10.1, 11.9]
    >>> learner, rows = LinearRegression(), [1, 3, 5, 6]
    >>> boosted = tradaboost_r2(learner, x, ys, x[rows], yt, steps=4, rounds=3, folds=2)
    >>> boosted.weights[:, [0, 7]].round(2).tolist()  # row 7 of the source is an outlier
    [[1.0, 1.0], [0.54, 0.0], [0.04, 0.0], [0.0, 0.0]]
    >>> boosted.predict(x[[7]]).round(1).tolist()
    [14.0]
    """
    for name, count, least in (('steps', steps, 2), ('rounds', rounds, 1), ('folds', folds, 2)):
        refuse_count(name, count, least)
    rows, fit = pool([(xs, ys)], xt, yt), weighted_fit(learner)
    if rows.y.dtype.kind not in 'biuf':
        raise UserError(f'labels are names ({rows.y[0]}): take tradaboost, which predicts classes')
    of_target = rows.domain < 0
    if of_target.sum() < 2:
        raise UserError('the target has one labelled row: cross-validation needs two or more')
    weight = start_weights(start, rows)
    first_share = weight[of_target].sum() / weight.sum()
    models, weights, errors = [], [], []
    for step in range(1, steps + 1):
        weight = weight / weight.mean()
        models.append(_adaboost_r2(fit, rows, weight, rounds))
        weights.append(weight)
        errors.append(_validation_error(fit, rows, weight, rounds, folds, seed))
        if step == steps:
            break
        error = adjusted_error(fit(rows.x, rows.y, weight)(rows.x), rows.y)
        if not error.any():
            raise UserError(
                f'the learner fits all rows without error in step {step}, so no row of the source '
                'stands out: take a weaker learner'
            )
        share = first_share + step / (steps - 1) * (1 - first_share)
        weight = _faded(weight, error, of_target, share)
    kept = int(np.argmin(errors))
    return Boosted(models[kept], np.stack(weights), np.array(errors), np.eye(steps)[kept])


def adjusted_error(prediction: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Absolute errors over the largest of them, (n,) from 0 to 1; all 0 if there is no error.

    Args:
        prediction: (n,).
        y: the true numbers, (n,).

    Source: Drucker, Improving regressors using boosting techniques, 1997, linear loss.

    >>> adjusted_error(np.array([1.0, 2.0, 5.0]), np.array([1.0, 3.0, 1.0])).tolist()
    [0.0, 0.25, 1.0]
    """
    error = np.abs(prediction - y)
    return error / (error.max() or 1)


def _faded(
    weight: np.ndarray, error: np.ndarray, of_target: np.ndarray, share: float
) -> np.ndarray:
    """Weights whose source rows are multiplied by beta ** error, and others unchanged.

    Beta is chosen such that the target's share of all weights is `share`. It is 0 if the source's
    rows without error alone have more than the rest.
    """
    goal = weight[of_target].sum() * (1 - share) / share

    def faded(fall: float) -> np.ndarray:  # beta is exp(-fall), as it can be very small
        return weight[~of_target] * np.exp(-fall * error[~of_target])

    if weight[~of_target & (error == 0)].sum() >= goal:
        return np.where(of_target | (error == 0), weight, 0)
    highest = 1.0
    while faded(highest).sum() > goal:
        highest *= 2
    changed = weight.copy()
    fall: Any = brentq(lambda fall: faded(fall).sum() - goal, 0, highest)
    changed[~of_target] = faded(fall)
    return changed


def _adaboost_r2(fit: Fit, rows: Pooled, weight: np.ndarray, rounds: int) -> Predictor:
    """AdaBoost.R2 that changes the target's weights alone, and keeps their sum.

    It ends before the first predictor with an average adjusted error of 1/2 or more, but keeps at
    least one. A predictor without error decides alone.
    """
    of_target = rows.domain < 0
    share = weight / weight.sum()
    predictors, votes = [], []
    for _ in range(rounds):
        predict = fit(rows.x, rows.y, share)
        error = adjusted_error(predict(rows.x), rows.y)
        average = share @ error
        if average == 0 or average >= 0.5 and not predictors:
            return predict
        if average >= 0.5:
            break
        predictors.append(predict)
        votes.append(-np.log(odds(average)))
        changed = share[of_target] * odds(average) ** (1 - error[of_target])
        share = share.copy()
        share[of_target] = changed / changed.sum() * share[of_target].sum()
    return lambda x: weighted_median(np.stack([each(x) for each in predictors]), np.array(votes))


def weighted_median(predictions: np.ndarray, votes: np.ndarray) -> np.ndarray:
    """The smallest predictions that have, with all smaller ones, half of the votes.

    Args:
        predictions: (predictors, n).
        votes: of the predictors, (predictors,), above 0.

    Returns:
        (n,).

    >>> weighted_median(np.array([[1.0], [5.0], [2.0]]), np.array([1.0, 3.0, 1.0])).tolist()
    [5.0]
    """
    order = predictions.argsort(0)
    enough = votes[order].cumsum(0) >= votes.sum() / 2
    middle = np.take_along_axis(order, enough.argmax(0)[None], 0)
    return np.take_along_axis(predictions, middle, 0)[0]


def _validation_error(
    fit: Fit, rows: Pooled, weight: np.ndarray, rounds: int, folds: int, seed: int
) -> float:
    """The mean absolute error on the target of AdaBoost.R2 in cross-validation.

    The target's rows that remain have the weight of all of them.
    """
    of_target = rows.domain < 0
    places = np.flatnonzero(of_target)
    splits = KFold(min(folds, len(places)), shuffle=True, random_state=seed).split(places)
    errors = []
    for _, test in splits:
        kept = np.ones(len(weight), bool)
        kept[places[test]] = False
        scale = weight[of_target].sum() / weight[of_target & kept].sum()
        part = Pooled(rows.x[kept], rows.y[kept], rows.domain[kept])
        part_weight = np.where(of_target, scale * weight, weight)[kept]
        predict = _adaboost_r2(fit, part, part_weight, rounds)
        errors.append(np.abs(predict(rows.x[~kept]) - rows.y[~kept]))
    return float(np.concatenate(errors).mean())
