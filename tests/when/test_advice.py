"""Advice: predictions from a pool, the coverage of their intervals, and the pool's judgement."""

import numpy as np
import pytest
from sklearn.metrics import precision_score, recall_score

from tljax.core import UserError
from tljax.when import advice
from tljax.when.advice import advised, facts, gain_of, held_out, judge, predict, quadrant, setting


def pool(sources=8, targets=5, noise=0.02, seed=0, offset=-0.1):
    """Gains of frozen features that follow the probe's lead over the untrained network, with noise;
    fine-tuning is half of it and .02."""
    rng, rows = np.random.default_rng(seed), []
    for source in range(sources):
        for target in range(targets):
            for k in (5, 20):
                untrained, probe = rng.uniform(0.3, 0.8), rng.uniform(0.3, 0.95)
                gain = 0.6 * (probe - untrained) + offset + noise * rng.normal()
                seeds = 0.01 * rng.normal(size=3)
                rows.append(
                    dict(
                        source=source,
                        target=target,
                        labels_per_class=k,
                        without=dict(inputs=[rng.uniform(0.3, 0.8)] * 3, untrained=[untrained] * 3),
                        scores=dict(probe=[probe] * 3, nearest=[rng.uniform()] * 3),
                        measured=dict(
                            scratch=(0.5 + seeds).tolist(),
                            frozen=(0.5 + gain + seeds).tolist(),
                            finetune=(0.52 + gain / 2 + noise * rng.normal() + seeds).tolist(),
                        ),
                    )
                )
    return rows


def test_a_held_out_row_is_predicted_by_rows_of_other_sources_and_targets_alone():
    rows = pool(noise=0)
    prediction = held_out(rows, 'frozen', 'scratch')
    np.testing.assert_allclose(
        prediction, [gain_of(row, 'frozen', 'scratch') for row in rows], atol=0.02
    )
    # were they looked at, gains of a wild source or target would move its own predictions
    for row in rows:
        if row['source'] == 3 or row['target'] == 2:
            row['measured']['frozen'] = [5.0, 5.0, 5.0]
    new_prediction = held_out(rows, 'frozen', 'scratch')
    cell = [i for i, row in enumerate(rows) if row['source'] == 3 and row['target'] == 2]
    np.testing.assert_array_equal(new_prediction[cell], prediction[cell])


def test_intervals_cover_new_rows(monkeypatch):
    hits = []
    for seed in range(8):
        rows, new_rows = pool(noise=0.05, seed=seed), pool(noise=0.05, seed=100 + seed)[:12]
        pool_predictions = held_out(rows, 'frozen', 'scratch')
        # of one pool, whatever the new row
        monkeypatch.setattr(advice, 'held_out', lambda *pool, values=pool_predictions: values)
        predictions = [predict(rows, row, 'frozen', 'scratch') for row in new_rows]
        hits += [
            prediction.low <= gain_of(row, 'frozen', 'scratch') <= prediction.high
            for row, prediction in zip(new_rows, predictions, strict=True)
        ]
    assert 0.88 <= np.mean(hits) <= 1


def test_the_judgement_counts_as_scikit_learn_does():
    rows = pool(noise=0.05)
    report = judge(rows, 'scratch')
    label = np.concatenate(
        [
            [gain_of(row, strategy, 'scratch') < -0.01 for row in rows]
            for strategy in ('frozen', 'finetune')
        ]
    )
    prediction = np.concatenate(
        [held_out(rows, strategy, 'scratch') for strategy in ('frozen', 'finetune')]
    )
    assert report['negative'] == label.sum() >= 20 and report['of'] == len(label)
    assert report['precision'] == pytest.approx(precision_score(label, prediction < 0))
    assert report['recall'] == pytest.approx(recall_score(label, prediction < 0))
    precision = max(
        precision_score(label, prediction < threshold)
        for threshold in np.sort(prediction)[1:]
        if recall_score(label, prediction < threshold) >= 0.6
    )
    assert report['precision_at_recall_60'] == pytest.approx(precision)
    assert report['right'] >= max(report['always'].values()), (
        'advice that follows the facts is no worse than one strategy for all'
    )


def test_a_strategy_within_a_point_or_within_noise_is_as_good():
    def row(scratch, frozen):
        return dict(measured=dict(scratch=scratch, frozen=frozen))

    from tljax.when.advice import _as_good

    assert _as_good(row([0.5, 0.5, 0.5], [0.505, 0.506, 0.507]), 'scratch')  # half a point
    assert not _as_good(
        row([0.5, 0.5, 0.5], [0.55, 0.551, 0.552]), 'scratch'
    )  # five points, surely
    # seven points, by luck
    assert _as_good(row([0.5, 0.5, 0.5], [0.4, 0.7, 0.6]), 'scratch')


def test_advice_takes_the_largest_gain_and_refuses_small_pools():
    rows = pool()
    new_row = {
        **rows[0],
        'scores': dict(probe=[0.95], nearest=[0.5]),
        'without': dict(inputs=[0.3], untrained=[0.3]),
    }
    gains = {
        strategy: predict(rows, new_row, strategy, 'scratch') for strategy in ('frozen', 'finetune')
    }
    assert advised(gains, 'scratch') == 'frozen' and gains['frozen'].low > 0
    with pytest.raises(UserError, match='measure three targets and five sources or more'):
        held_out(pool(sources=2, targets=2), 'frozen', 'scratch')
    with pytest.raises(UserError, match='labels_per_class=None'):
        facts({**rows[0], 'labels_per_class': None})
    with pytest.raises(
        UserError, match='without the source inputs: a pool has a number of labels per class'
    ):
        facts({**rows[0], 'without': dict(inputs=[0.5])})


@pytest.mark.parametrize(
    'labels, classes, source_classes, expected',
    [
        (100, ('a', 'b'), ('A', 'B', 'c'), 'inductive: the same task, labels in both'),
        (100, ('a', 'b'), ('b', 'c'), 'inductive: 1 of 2 classes in common, labels in both'),
        (100, ('a', 'b'), ('x', 'y'), 'inductive: another task, labels in both'),
        (100, ('a', 'b'), (), 'inductive: self-taught, no labels in the source'),
        (0, ('a', 'b'), ('b', 'a'), 'transductive: the same task, labels in the source alone'),
        (0, ('a', 'b'), ('b', 'c'), 'unsupervised: another task, no labels in the target'),
        (0, ('a', 'b'), (), 'unsupervised: no labels'),
        (0, (), (), 'unsupervised: no labels'),
    ],
)
def test_the_setting_of_pan_and_yang(labels, classes, source_classes, expected):
    assert setting(labels, classes, source_classes) == expected


def test_the_square_of_size_and_similarity():
    assert [quadrant(k, lead)[2] for k in (20, 100) for lead in (0.1, -0.1)] == [
        'frozen',
        'top',
        'finetune',
        'scratch',
    ]
