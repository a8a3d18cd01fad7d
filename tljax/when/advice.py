"""Advice for a new transfer, learnt from a pool of measured ones.

The advice is the expected gain of each strategy, with an interval.

A pool is what `experiments.rank --verify` writes: rows with 'source', 'target', 'labels_per_class',
'scores', 'without' and 'measured'. Ridge regression predicts the gain of a strategy over the
baseline from facts that need no training of the network. Intervals come from predictions of rows
whose source and target were both left out of the fit. They hold for sources and targets like those
of the pool, and for no others.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tljax.core import UserError
from tljax.protocols import Record
from tljax.when.gain import transfer_gain

PENALTIES = np.logspace(-3, 3, 13)
CLOSE = 0.01  # a strategy whose accuracy is this near to the best one counts as right
NEGATIVE = -0.01  # a mean gain below this counts as negative transfer
LARGE = 100  # a target with this many labels per class or more counts as large


class Prediction(NamedTuple):
    """An expected gain and the ends of its 95 % interval.

    >>> gain = Prediction(mean=0.1, low=-0.05, high=0.25)
    >>> gain.low > 0  # would transfer help for certain?
    False
    """

    mean: float
    low: float
    high: float


def facts(row: Record) -> np.ndarray:
    """Returns the regression's inputs for a row, (4,).

    They are log2 of the labels per class; the accuracy of a probe of the source's features, minus
    that of the same network untrained; the accuracy of the untrained network's probe, minus that of
    a probe of the inputs; and the accuracy of the nearest neighbour on the features. The untrained
    network stands for training from scratch: a source's gain depends on how well its network does
    without the source.

    Args:
        row: row of a pool, with 'labels_per_class', 'scores' and 'without'; 'measured' is not used.

    Raises:
        UserError: for a row without a number of labels per class, or without an untrained network.

    >>> row = {
    ...     'labels_per_class': 4,
    ...     'scores': {'probe': [0.9], 'nearest': [0.8]},
    ...     'without': {'inputs': [0.5], 'untrained': [0.75]},
    ... }
    >>> facts(row).round(2).tolist()
    [2.0, 0.15, 0.25, 0.8]
    """
    scores, controls = row['scores'], row.get('without', {})
    if not row['labels_per_class'] or 'untrained' not in controls:
        raise UserError(
            f'labels_per_class={row["labels_per_class"]}, probes without the source '
            f'{", ".join(controls) or "none"}: a pool has a number of labels per class, and a '
            'network for each source; experiments.rank makes one anew'
        )
    probe, nearest = np.mean(scores['probe']), np.mean(scores['nearest'])
    untrained, inputs = np.mean(controls['untrained']), np.mean(controls['inputs'])
    return np.array(
        [np.log2(row['labels_per_class']), probe - untrained, untrained - inputs, nearest]
    )


def gain_of(row: Record, strategy: str, baseline: str) -> float:
    """Returns the measured mean gain of a strategy over the baseline.

    Args:
        row: row of a pool, with 'measured'.
        strategy: a measured strategy.
        baseline: the measured strategy to compare with.

    >>> row = {'measured': {'scratch': [0.5, 0.75], 'finetune': [0.75, 1.0]}}
    >>> gain_of(row, 'finetune', 'scratch')
    0.25
    """
    return float(np.mean(row['measured'][strategy]) - np.mean(row['measured'][baseline]))


def held_out(pool: Sequence[Record], strategy: str, baseline: str) -> np.ndarray:
    """Predicts the gain of every row from the rows with another source and another target.

    Args:
        pool: rows, as described in the module.
        strategy: a measured strategy.
        baseline: the strategy that gains are over.

    Returns:
        Predicted gains, (rows,).

    Raises:
        UserError: if fewer than ten such rows are left for any row.

    >>> def row(source, target):
    ...     return dict(
    ...         source=source,
    ...         target=target,
    ...         labels_per_class=4,
    ...         without=dict(inputs=[0.5], untrained=[0.5]),
    ...         scores=dict(probe=[0.5 + source / 10], nearest=[0.5]),
    ...         measured=dict(scratch=[0.5], frozen=[0.5 + source / 10]),
    ...     )
    >>> pool = [row(source, target) for source in range(6) for target in range(3)]
    >>> held_out(pool, 'frozen', 'scratch')[[3, 9, 15]].round(1).tolist()
    [0.1, 0.3, 0.5]
    """
    x = np.stack([facts(row) for row in pool])
    gain = np.array([gain_of(row, strategy, baseline) for row in pool])
    prediction = np.empty(len(pool))
    pairs = [(row['source'], row['target']) for row in pool]
    # rows of one pair share their training rows, and so one fit
    for source, target in dict.fromkeys(pairs):
        train = [j for j, pair in enumerate(pairs) if pair[0] != source and pair[1] != target]
        if len(train) < 10:
            raise UserError(
                f'{len(train)} rows of the pool share neither source nor target with {source} on '
                f'{target}: measure three targets and five sources or more'
            )
        test = [i for i, pair in enumerate(pairs) if pair == (source, target)]
        prediction[test] = _model().fit(x[train], gain[train]).predict(x[test])
    return prediction


def predict(pool: Sequence[Record], row: Record, strategy: str, baseline: str) -> Prediction:
    """Predicts the gain of a strategy over the baseline for a row that was not measured.

    The interval is the mean plus the 2.5 % and 97.5 % quantiles of the errors of `held_out`. It
    assumes that the row is like those of the pool.

    Args:
        pool: rows, as described in the module.
        row: the new row, as for `facts`.
        strategy: a strategy that the pool has measured.
        baseline: the strategy that gains are over.

    Returns:
        A `Prediction`.

    >>> def row(source, target):
    ...     return dict(
    ...         source=source,
    ...         target=target,
    ...         labels_per_class=4,
    ...         without=dict(inputs=[0.5], untrained=[0.5]),
    ...         scores=dict(probe=[0.5 + source / 10], nearest=[0.5]),
    ...         measured=dict(scratch=[0.5], frozen=[0.5 + source / 10]),
    ...     )
    >>> pool = [row(source, target) for source in range(6) for target in range(3)]
    >>> new = {**row(7, 7), 'scores': dict(probe=[0.75], nearest=[0.5])}
    >>> round(predict(pool, new, 'frozen', 'scratch').mean, 2)
    0.25
    """
    x = np.stack([facts(pool_row) for pool_row in pool])
    gain = np.array([gain_of(pool_row, strategy, baseline) for pool_row in pool])
    mean = float(_model().fit(x, gain).predict(facts(row)[None])[0])
    error = gain - held_out(pool, strategy, baseline)
    low, high = np.quantile(error, [0.025, 0.975])
    return Prediction(mean, mean + float(low), mean + float(high))


def advised(predictions: dict[str, Prediction], baseline: str) -> str:
    """Returns the strategy with the largest expected gain, or the baseline if no gain is above 0.

    Args:
        predictions: {strategy: its predicted gain over the baseline}.
        baseline: name of the strategy that gains are over.

    >>> advised({'frozen': Prediction(0.1, 0, 0.2), 'finetune': Prediction(0.2, 0, 0.3)}, 'scratch')
    'finetune'
    >>> advised({'frozen': Prediction(-0.1, -0.2, 0)}, 'scratch')
    'scratch'
    """
    best = max(predictions, key=lambda strategy: predictions[strategy].mean)
    return best if predictions[best].mean > 0 else baseline


def judge(pool: Sequence[Record], baseline: str) -> Record:
    """Measures how good the advice is on the pool, with each row's source and target held out.

    Args:
        pool: rows, as described in the module.
        baseline: the strategy that gains are over.

    Returns:
        A dict. 'right' is the share of rows whose advised strategy is within one point of the best
        one, or not significantly worse (paired t, 95 %). 'always' is that share for each strategy,
        as if it were always advised. 'negative' counts the pairs of a row and a strategy with a
        gain below -1 point, and 'of' all pairs. 'precision' and 'recall' are those of predicting a
        negative pair by a predicted gain below 0. 'precision_at_recall_60' is the best precision
        over all thresholds with a recall of at least .6. A value that is undefined is None.

    >>> def row(source, target):
    ...     gain = source / 10 - 0.1  # negative transfer from source 0
    ...     return dict(
    ...         source=source,
    ...         target=target,
    ...         labels_per_class=4,
    ...         without=dict(inputs=[0.5], untrained=[0.5]),
    ...         scores=dict(probe=[0.5 + gain] * 2, nearest=[0.5]),
    ...         measured=dict(scratch=[0.5, 0.5], frozen=[0.5 + gain] * 2),
    ...     )
    >>> pool = [row(source, target) for source in range(6) for target in range(3)]
    >>> report = judge(pool, 'scratch')
    >>> report['right'], report['negative'], report['of'], report['recall']
    (1.0, 3, 18, 1.0)
    """
    strategies = [strategy for strategy in pool[0]['measured'] if strategy != baseline]
    predicted = {strategy: held_out(pool, strategy, baseline) for strategy in strategies}
    successes = []
    for i, row in enumerate(pool):
        predictions = {name: Prediction(gains[i], 0, 0) for name, gains in predicted.items()}
        successes.append(_as_good(row, advised(predictions, baseline)))
    gain = np.array([gain_of(row, strategy, baseline) for strategy in strategies for row in pool])
    negative = gain < NEGATIVE
    return dict(
        right=float(np.mean(successes)),
        always={
            strategy: float(np.mean([_as_good(row, strategy) for row in pool]))
            for strategy in (baseline, *strategies)
        },
        negative=int(negative.sum()),
        of=len(negative),
        **_detection(negative, np.concatenate([predicted[strategy] for strategy in strategies])),
    )


def _detection(negative, prediction):
    """How well predicted gains detect negative transfer: the last three entries of `judge`."""
    precision, recall = _precision_recall(negative, prediction < 0)
    curve = [
        _precision_recall(negative, prediction < threshold) for threshold in np.sort(prediction)[1:]
    ]
    candidates = [p for p, r in curve if p is not None and r is not None and r >= 0.6]
    return dict(
        precision=precision,
        recall=recall,
        precision_at_recall_60=max(candidates, default=None),
    )


def setting(labels: int, classes: Sequence[str], source_classes: Sequence[str]) -> str:
    """Names the setting of a transfer in the taxonomy of Pan and Yang 2010.

    Args:
        labels: number of labels of the target, over all classes.
        classes: names of the target's classes, which may be known without a single label.
        source_classes: names of the source's classes; () if the source has no labels.

    Source: Pan and Yang, A survey on transfer learning, 2010, table 2
    (https://doi.org/10.1109/TKDE.2009.191).

    >>> setting(0, ('a', 'b'), ('a', 'b')), setting(0, ('a',), ())
    ('transductive: the same task, labels in the source alone', 'unsupervised: no labels')
    >>> setting(20, ('a', 'b'), ('c',))
    'inductive: another task, labels in both'
    """
    shared = len({name.lower() for name in classes} & {name.lower() for name in source_classes})
    same = shared == len(classes) > 0
    if labels and not source_classes:
        return 'inductive: self-taught, no labels in the source'
    if labels and same:
        return 'inductive: the same task, labels in both'
    if labels and shared:
        return f'inductive: {shared} of {len(classes)} classes in common, labels in both'
    if labels:
        return 'inductive: another task, labels in both'
    if not source_classes:
        return 'unsupervised: no labels'
    if same:
        return 'transductive: the same task, labels in the source alone'
    return 'unsupervised: another task, no labels in the target'


def quadrant(labels_per_class: float, lead: float) -> tuple[str, str, str]:
    """Places a target in the square of size and similarity, and names the usual strategy there.

    Args:
        labels_per_class: labels per class of the target.
        lead: accuracy of a probe of the source's features minus that of a probe of the inputs. It
            stands for similarity: a source whose features separate the target's classes worse than
            the inputs do is not similar.

    Returns:
        (size, similarity, strategy).

    >>> quadrant(5, 0.2), quadrant(500, -0.1)
    (('small', 'similar', 'frozen'), ('large', 'different', 'scratch'))
    """
    size = 'large' if labels_per_class >= LARGE else 'small'
    similarity = 'similar' if lead > 0 else 'different'
    strategies = {
        ('small', 'similar'): 'frozen',
        ('small', 'different'): 'top',
        ('large', 'similar'): 'finetune',
        ('large', 'different'): 'scratch',
    }
    return size, similarity, strategies[size, similarity]


def _as_good(row, strategy):
    """Returns whether a strategy is nearly as good as a row's best, or not significantly worse."""
    measured = row['measured']
    best = max(measured, key=lambda name: np.mean(measured[name]))
    loss = transfer_gain(measured[best], measured[strategy])
    return loss.mean <= CLOSE or loss.low <= 0


def _precision_recall(label, prediction):
    hits = (label & prediction).sum()
    precision = float(hits / prediction.sum()) if prediction.any() else None
    recall = float(hits / label.sum()) if label.any() else None
    return precision, recall


def _model():
    return make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
