"""Whether a ranking was right: weighted Kendall tau of every score with what was measured."""

import numpy as np

from tljax.protocols import Config, Record
from tljax.when.relatedness import rank_agreement

OTHERS = 'chosen by the other targets'  # the score that one would have taken for a target


def agreement(rows: list[Record], study: Config) -> list[Record]:
    """How well each score's ranking agrees with what was measured.

    Args:
        rows: as `ranking.rank` makes them; without 'measured' there is no agreement.
        study: {'budgets', 'strategies', 'baseline', 'controls'}.

    Returns:
        [{'labels_per_class', 'strategy', 'sources': which of them, 'score', 'tau': {target: tau},
        'mean'}]. The last row of a block is the score that one would have chosen for a target by
        the other targets.

    >>> rows = [
    ...     dict(
    ...         target='t',
    ...         source=s,
    ...         labels_per_class=5,
    ...         scores=dict(good=[s]),
    ...         measured=dict(finetune=[s]),
    ...     )
    ...     for s in (1, 2, 3)
    ... ]
    >>> study = dict(budgets=[5], strategies=['finetune'], baseline='scratch', controls=[])
    >>> [(row['score'], row['tau']['t']) for row in agreement(rows, study)][:1]
    [('good', 1.0)]
    """
    found = []
    for k in study['budgets'] if 'measured' in rows[0] else ():
        for strategy in study['strategies']:
            if strategy == study['baseline']:
                continue
            for block, inside in _blocks(rows, study['controls']).items():
                mine = [row for row in inside if row['labels_per_class'] == k]
                for score, taus in _taus(mine, strategy).items():
                    found.append(
                        dict(
                            labels_per_class=k,
                            strategy=strategy,
                            sources=block,
                            score=score,
                            tau=taus,
                            mean=float(np.mean(list(taus.values()))),
                        )
                    )
    return found


def _blocks(rows: list[Record], controls: list[str]) -> dict[str, list[Record]]:
    real = [row for row in rows if row['source'] not in controls]
    return {
        'all': rows,
        **({'no controls': real} if controls else {}),
        'of known data': [row for row in real if 'task2vec' in row['scores']],
    }


def _taus(rows: list[Record], strategy: str) -> dict[str, Record]:
    """{score: {target: tau}} of the scores that every row has."""
    if not rows:
        return {}
    by_score = {score: _by_target(rows, score, strategy) for score in rows[0]['scores']}
    by_score = {score: taus for score, taus in by_score.items() if taus}
    targets = list(next(iter(by_score.values()), {}))
    if len(targets) > 1:
        by_score[OTHERS] = {target: by_score[_best(by_score, target)][target] for target in targets}
    return by_score


def _by_target(rows: list[Record], score: str, strategy: str) -> Record:
    """{target: weighted tau} of a score that every source has; {} of one that some source lacks."""
    if any(score not in row['scores'] for row in rows):
        return {}
    by_target = {}
    for target in dict.fromkeys(row['target'] for row in rows):
        mine = [row for row in rows if row['target'] == target]
        predicted = [np.mean(row['scores'][score]) for row in mine]
        measured = [np.mean(row['measured'][strategy]) for row in mine]
        if len(mine) > 2 and np.ptp(measured):  # two, or all the same in the end, are no ranking
            by_target[target] = rank_agreement(predicted, measured)
    return by_target


def _best(by_score: dict[str, Record], target: object) -> str:
    """The score with the largest mean tau on the other targets."""
    return max(
        by_score,
        key=lambda score: np.mean(
            [tau for other, tau in by_score[score].items() if other != target]
        ),
    )
