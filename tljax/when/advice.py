"""What a pool of measured transfers says of one that has not been measured: the gain to expect, how
sure of it one can be, what to do.

A pool is what `experiments.rank --verify` writes: rows with 'source', 'target', 'labels_per_class',
'scores', 'without' and 'measured'. The gain of a strategy over the baseline is predicted from facts
that cost no training, by ridge regression, and every interval comes from predictions of rows whose
source and whose target were both left out: it holds for sources and targets like the pool's, and no
others.
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
CLOSE = 0.01  # an advised strategy this near to the best one is as good
NEGATIVE = -0.01  # a mean gain below this counts as negative transfer
# labels per class from which a target counts as large in the square of size and similarity
LARGE = 100


class Prediction(NamedTuple):
    """A gain that is expected, and the ends of its 95 % interval.

    >>> Prediction(mean=0.1, low=0.05, high=0.2).mean
    0.1
    """

    mean: float
    low: float
    high: float


def facts(row: Record) -> np.ndarray:
    """What the regression looks at, (4,): log2 of the labels per class; how far the probe of the
    source's features is ahead of that of the same network untrained; how far that one is ahead of a
    probe of the inputs; the nearest neighbour's accuracy on the features.

    The untrained network stands for the scratch that one would train: what a source gains depends
    on how well its network would do alone.

    Args:
        row: of a pool, with 'labels_per_class', 'scores' and 'without'; 'measured' is not
            looked at.

    >>> row = {
    ...     'labels_per_class': 4,
    ...     'scores': {'probe': [0.9], 'nearest': [0.8]},
    ...     'without': {'inputs': [0.5], 'untrained': [0.75]},
    ... }
    >>> facts(row).round(2).tolist()
    [2.0, 0.15, 0.25, 0.8]
    """
    without = row.get('without', {})
    if not row['labels_per_class'] or 'untrained' not in without:
        raise UserError(
            f'labels_per_class={row["labels_per_class"]}, probes without the source '
            f'{", ".join(without) or "none"}: a pool has a number of labels per class, and a '
            'network for each source; experiments.rank makes one anew'
        )
    probe, nearest, untrained, inputs = (
        float(np.mean(each))
        for each in (
            row['scores']['probe'],
            row['scores']['nearest'],
            without['untrained'],
            without['inputs'],
        )
    )
    return np.array(
        [np.log2(row['labels_per_class']), probe - untrained, untrained - inputs, nearest]
    )


def gain_of(row: Record, strategy: str, baseline: str) -> float:
    """The measured mean gain of a strategy over the baseline.

    Args:
        row: of a pool, with 'measured'.
        strategy: one of those measured.
        baseline: another of them, which the gain is over.

    >>> gain_of(
    ...     {'measured': {'scratch': [0.5, 0.75], 'finetune': [0.75, 1.0]}}, 'finetune', 'scratch'
    ... )
    0.25
    """
    return float(np.mean(row['measured'][strategy]) - np.mean(row['measured'][baseline]))


def held_out(pool: Sequence[Record], strategy: str, baseline: str) -> np.ndarray:
    """The predicted gain of every row from the rows that share neither its source nor its target,
    (rows,).

    Args:
        pool: rows, as the module says.
        strategy: one of those measured.
        baseline: the strategy that gains are over.

    Raises:
        UserError: for a pool of which fewer than ten rows are left then.

    >>> ALONE = dict(inputs=[0.5], untrained=[0.5])
    >>> rows = [
    ...     dict(
    ...         source=s,
    ...         target=t,
    ...         labels_per_class=4,
    ...         without=ALONE,
    ...         scores=dict(probe=[s / 9], nearest=[0.5]),
    ...         measured=dict(scratch=[0.5], frozen=[0.5 + s / 9]),
    ...     )
    ...     for s in range(6)
    ...     for t in range(3)
    ... ]
    >>> bool(
    ...     abs(
    ...         held_out(rows, 'frozen', 'scratch') - [s / 9 for s in range(6) for t in range(3)]
    ...     ).max()
    ...     < 0.02
    ... )
    True
    """
    x, gain = (
        np.stack([facts(row) for row in pool]),
        np.array([gain_of(row, strategy, baseline) for row in pool]),
    )
    predicted = np.empty(len(pool))
    pairs = [(row['source'], row['target']) for row in pool]
    # rows of one pair are predicted from the same others
    for source, target in dict.fromkeys(pairs):
        apart = [j for j, pair in enumerate(pairs) if pair[0] != source and pair[1] != target]
        if len(apart) < 10:
            raise UserError(
                f'{len(apart)} rows of the pool share neither source nor target with {source} on '
                f'{target}: measure three targets and five sources or more'
            )
        rows = [i for i, pair in enumerate(pairs) if pair == (source, target)]
        predicted[rows] = _model().fit(x[apart], gain[apart]).predict(x[rows])
    return predicted


def predict(pool: Sequence[Record], row: Record, strategy: str, baseline: str) -> Prediction:
    """The gain of a strategy over the baseline for a row that is not measured: a `Prediction`.

    The interval is of the errors that predictions of held-out rows made, which assumes that the row
    is like those.

    Args:
        pool: rows, as the module says.
        row: as `facts` takes it.
        strategy: one of those that the pool has measured.
        baseline: the strategy that gains are over.

    >>> ALONE = dict(inputs=[0.5], untrained=[0.5])
    >>> rows = [
    ...     dict(
    ...         source=s,
    ...         target=t,
    ...         labels_per_class=4,
    ...         without=ALONE,
    ...         scores=dict(probe=[s / 9], nearest=[0.5]),
    ...         measured=dict(scratch=[0.5], frozen=[0.5 + s / 9]),
    ...     )
    ...     for s in range(6)
    ...     for t in range(3)
    ... ]
    >>> gain = predict(
    ...     rows, {**rows[0], 'scores': dict(probe=[0.5], nearest=[0.5])}, 'frozen', 'scratch'
    ... )
    >>> f'{gain.mean:.2f}'
    '0.50'
    """
    x, gain = (
        np.stack([facts(other) for other in pool]),
        np.array([gain_of(other, strategy, baseline) for other in pool]),
    )
    mean = float(_model().fit(x, gain).predict(facts(row)[None])[0])
    low, high = np.quantile(gain - held_out(pool, strategy, baseline), [0.025, 0.975])
    return Prediction(mean, mean + float(low), mean + float(high))


def advised(predictions: dict[str, Prediction], baseline: str) -> str:
    """The strategy with the largest expected gain, or the baseline where none is above 0.

    Args:
        predictions: {strategy: its gain over the baseline}.
        baseline: name of the strategy that gains are over.

    >>> advised({'frozen': Prediction(0.1, 0, 0.2), 'finetune': Prediction(0.2, 0, 0.3)}, 'scratch')
    'finetune'
    >>> advised({'frozen': Prediction(-0.1, -0.2, 0)}, 'scratch')
    'scratch'
    """
    best = max(predictions, key=lambda strategy: predictions[strategy].mean)
    return best if predictions[best].mean > 0 else baseline


def judge(pool: Sequence[Record], baseline: str) -> Record:
    """How good the advice is on the pool itself, every row's source and target held out.

    Args:
        pool: rows, as the module says.
        baseline: the strategy that gains are over.

    Returns:
        {'right': share of rows whose advised strategy is within a point of the best one, or not
        significantly worse (paired t, 95 %), 'always': that share for each strategy if it were
        always advised, 'negative': rows and strategies with a gain below -1 point, 'precision',
        'recall': of predicting those by a predicted gain below 0, 'precision_at_recall_60': the
        best precision among thresholds with a recall of .6 or more}; None where there is nothing to
        be right about.

    >>> ALONE = dict(inputs=[0.5], untrained=[0.5])
    >>> rows = [
    ...     dict(
    ...         source=s,
    ...         target=t,
    ...         labels_per_class=4,
    ...         without=ALONE,
    ...         scores=dict(probe=[s / 9], nearest=[0.5]),
    ...         measured=dict(scratch=[0.5, 0.5], frozen=[0.5 + s / 9, 0.5 + s / 9]),
    ...     )
    ...     for s in range(6)
    ...     for t in range(3)
    ... ]
    >>> found = judge(rows, 'scratch')
    >>> found['right'], found['negative']
    (1.0, 0)
    """
    strategies = [strategy for strategy in pool[0]['measured'] if strategy != baseline]
    expected = {strategy: held_out(pool, strategy, baseline) for strategy in strategies}
    picks = [
        advised(
            {strategy: Prediction(expected[strategy][i], 0, 0) for strategy in strategies}, baseline
        )
        for i in range(len(pool))
    ]
    measured = np.concatenate(
        [[gain_of(row, strategy, baseline) for row in pool] for strategy in strategies]
    )
    predicted = np.concatenate([expected[strategy] for strategy in strategies])
    negative = measured < NEGATIVE
    points = [
        _precision_recall(negative, predicted < threshold) for threshold in np.sort(predicted)[1:]
    ]
    precision, recall = _precision_recall(negative, predicted < 0)
    return dict(
        right=float(np.mean([_as_good(row, pick) for row, pick in zip(pool, picks, strict=True)])),
        always={
            strategy: float(np.mean([_as_good(row, strategy) for row in pool]))
            for strategy in (baseline, *strategies)
        },
        negative=int(negative.sum()),
        of=len(negative),
        precision=precision,
        recall=recall,
        precision_at_recall_60=max(
            (p for p, r in points if r is not None and p is not None and r >= 0.6), default=None
        ),
    )


def setting(labels: int, classes: Sequence[str], source_classes: Sequence[str]) -> str:
    """Which setting of Pan and Yang 2010, table 2 (https://doi.org/10.1109/TKDE.2009.191), a
    transfer is.

    Args:
        labels: number of labels of the target, in all.
        classes: names of the target's classes, which may be known without a single label.
        source_classes: names of the source's classes; () where it had no labels.

    >>> setting(0, ('a', 'b'), ('a', 'b')), setting(0, ('a',), ())
    ('transductive: the same task, labels in the source alone', 'unsupervised: no labels')
    >>> setting(20, ('a', 'b'), ('c',))
    'inductive: another task, labels in both'
    """
    shared = len({name.lower() for name in classes} & {name.lower() for name in source_classes})
    same = shared == len(classes) > 0
    if labels:
        task = (
            'the same task'
            if same
            else f'{shared} of {len(classes)} classes in common'
            if shared
            else 'another task'
        )
        return (
            f'inductive: {task}, labels in both'
            if source_classes
            else 'inductive: self-taught, no labels in the source'
        )
    if not source_classes:
        return 'unsupervised: no labels'
    return (
        'transductive: the same task, labels in the source alone'
        if same
        else 'unsupervised: another task, no labels in the target'
    )


def quadrant(labels_per_class: float, ahead: float) -> tuple[str, str, str]:
    """The cell of the square of size and similarity, and what is customary there.

    Args:
        labels_per_class: of the target.
        ahead: how far the probe of the source's features is above that of the inputs themselves,
            which stands for similarity: a source whose features tell the target's classes apart
            worse than the inputs do is no relative.

    >>> quadrant(5, 0.2), quadrant(500, -0.1)
    (('small', 'similar', 'frozen'), ('large', 'different', 'scratch'))
    """
    size, similarity = (
        ('large' if labels_per_class >= LARGE else 'small'),
        ('similar' if ahead > 0 else 'different'),
    )
    customary = {
        ('small', 'similar'): 'frozen',
        ('small', 'different'): 'top',
        ('large', 'similar'): 'finetune',
        ('large', 'different'): 'scratch',
    }
    return size, similarity, customary[size, similarity]


def _as_good(row, pick):
    best = max(row['measured'], key=lambda strategy: np.mean(row['measured'][strategy]))
    lost = transfer_gain(row['measured'][best], row['measured'][pick])
    return lost.mean <= CLOSE or lost.low <= 0


def _precision_recall(true, said):
    hits = (true & said).sum()
    return (float(hits / said.sum()) if said.any() else None), (
        float(hits / true.sum()) if true.any() else None
    )


def _model():
    return make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
