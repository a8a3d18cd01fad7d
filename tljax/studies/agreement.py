"""Agreement of score rankings with measured transfer, by the weighted Kendall tau."""

import numpy as np

from tljax.protocols import Config, Record
from tljax.when.relatedness import rank_agreement

OTHERS = 'chosen by the other targets'  # the score with the best mean tau on the other targets


def agreement(rows: list[Record], study: Config) -> list[Record]:
    """Computes how well the ranking of each score agrees with the measured scores.

    Args:
        rows: as `ranking.rank` returns them. Rows without 'measured' give no agreement.
        study: {'budgets', 'strategies', 'baseline', 'controls'}.

    Returns:
        [{'labels_per_class', 'strategy', 'sources': name of the set of sources, 'score', 'tau':
        {target: tau}, 'mean'}]. The last row of each set is the score with the best mean tau on
        the other targets, chosen for each target.

    >>> scores = {'good': [1, 2, 3], 'poor': [2, 1, 3]}
    >>> rows = [
    ...     dict(
    ...         target='digits',
    ...         source=source,
    ...         labels_per_class=5,
    ...         scores={name: [values[i]] for name, values in scores.items()},
    ...         measured={'finetune': [0.6 + 0.1 * i]},
    ...     )
    ...     for i, source in enumerate(['usps', 'mnist', 'letters'])
    ... ]
    >>> study = dict(budgets=[5], strategies=['finetune'], baseline='scratch', controls=[])
    >>> for row in agreement(rows, study):
    ...     print(row['score'], round(row['mean'], 2))
    good 1.0
    poor 0.55
    """
    if 'measured' not in rows[0]:
        return []
    agreements = []
    strategies = [strategy for strategy in study['strategies'] if strategy != study['baseline']]
    for k in study['budgets']:
        for strategy in strategies:
            for block, block_rows in _blocks(rows, study['controls']).items():
                budget_rows = [row for row in block_rows if row['labels_per_class'] == k]
                for score, taus in _taus(budget_rows, strategy).items():
                    agreements.append(
                        dict(
                            labels_per_class=k,
                            strategy=strategy,
                            sources=block,
                            score=score,
                            tau=taus,
                            mean=float(np.mean(list(taus.values()))),
                        )
                    )
    return agreements


def _blocks(rows: list[Record], controls: list[str]) -> dict[str, list[Record]]:
    """The rows of each set of sources: {name of the set: rows}."""
    rows_without_controls = [row for row in rows if row['source'] not in controls]
    blocks = {'all': rows}
    if controls:
        blocks['no controls'] = rows_without_controls
    blocks['of known data'] = [row for row in rows_without_controls if 'task2vec' in row['scores']]
    return blocks


def _taus(rows: list[Record], strategy: str) -> dict[str, Record]:
    """{score: {target: tau}} of the scores that every row has."""
    if not rows:
        return {}
    by_score = {}
    for score in rows[0]['scores']:
        taus = _tau_by_target(rows, score, strategy)
        if taus:
            by_score[score] = taus
    targets = list(next(iter(by_score.values()), {}))
    if len(targets) > 1:
        by_score[OTHERS] = {
            target: by_score[_best_on_others(by_score, target)][target] for target in targets
        }
    return by_score


def _tau_by_target(rows: list[Record], score: str, strategy: str) -> Record:
    """{target: weighted tau} of a score; {} if a source lacks the score."""
    if any(score not in row['scores'] for row in rows):
        return {}
    by_target = {}
    for target in dict.fromkeys(row['target'] for row in rows):
        target_rows = [row for row in rows if row['target'] == target]
        estimates = [np.mean(row['scores'][score]) for row in target_rows]
        measurements = [np.mean(row['measured'][strategy]) for row in target_rows]
        # two sources, or equal measured values, give no ranking
        if len(target_rows) > 2 and np.ptp(measurements):
            by_target[target] = rank_agreement(estimates, measurements)
    return by_target


def _best_on_others(by_score: dict[str, Record], target: object) -> str:
    """The score with the largest mean tau on the other targets."""
    means = {
        score: np.mean([tau for other, tau in taus.items() if other != target])
        for score, taus in by_score.items()
    }
    return max(means, key=lambda score: means[score])
