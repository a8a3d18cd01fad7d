"""Relations: does a model of one domain's relations help to model those of another?

A model of every predicate of the source is learnt from all its facts. The target's facts are cut
into folds of disjoint persons. On each fold in turn the source's predicates are mapped to the
target's, and three models of the target's predicate are fitted: the clauses that the fold alone
suggests, the mapped clauses, and the mapped clauses with those that the fold adds. All predict the
predicate for every row of the other folds, where all other predicates are known. Each is scored by
the area under the curve of precision over recall.
"""

import json
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score

from tljax.configuration import call_named
from tljax.core import UserError
from tljax.data.atoms import Atoms
from tljax.data.person_folds import person_folds
from tljax.files.console import progress
from tljax.files.text import write
from tljax.protocols import Config, Record
from tljax.report.drawing import svg
from tljax.report.figures import matched_names
from tljax.report.page import page
from tljax.shallow.clauses import Clause, Table
from tljax.shallow.relational import (
    RelationalModel,
    examples_of,
    fit_clauses,
    learn_clauses,
    map_predicates,
    mapped_clause,
)
from tljax.studies.relations_report import sections
from tljax.when.gain import mean_interval, transfer_gain, verdicts

ATOMS = ('tljax.data.atoms', 'tljax.data.made_atoms')
ALONE, MAPPED, EXTENDED = 'fold alone', 'mapped', 'mapped and extended'


def transfer(config: Config, workdir: Path) -> Record:
    """Runs all cuts, and writes results.json and report.html.

    Args:
        config: plain dict, as `configs/relations.py` describes it.
        workdir: folder of the study.

    Returns:
        The result of `summarise`, with 'map' (that of all facts of the target), 'score', 'parts'
        ({mapped clause: what it explains}), 'source' ({predicate: [[weight, clause]]}), 'found'
        (how many folds give each entry of `config.expected`), 'folds' (facts of the predicate, and
        facts dropped, by cut) and 'config'.

    Raises:
        UserError: a set, a predicate or a number does not fit.

    >>> transfer({'seeds': [5]}, Path('runs'))
    Traceback (most recent call last):
    tljax.core.UserError: seeds=[5]: intervals need two cuts or more
    """
    if len(config['seeds']) < 2:
        raise UserError(f'seeds={config["seeds"]}: intervals need two cuts or more')
    source, target = (call_named(ATOMS, config[side], side) for side in ('source', 'target'))
    predicate = config['predicate']
    kind = target.type_of(f'{predicate}.1')
    models = source_models(source, config)
    whole = map_predicates(models, source.types, Table(target.facts, target.types))
    scores: dict[str, list[list[float]]] = {name: [] for name in (ALONE, MAPPED, EXTENDED)}
    cuts, found = [], dict.fromkeys(config['expected'], 0)
    for seed in progress(config['seeds'], f'{config["folds"]} folds of each cut'):
        folds = person_folds(target, f'{predicate}.1', config['folds'], seed, config['together'])
        cuts.append(
            dict(
                seed=seed,
                persons=[len(fold.constants(kind)) for fold in folds],
                facts=[len(fold.facts[predicate]) for fold in folds],
                dropped=dict(folds[0].dropped),
            )
        )
        _refuse_empty(folds, predicate, seed)
        tables = [Table(fold.facts, fold.types) for fold in folds]
        of_cut: dict[str, list[float]] = {name: [] for name in scores}
        for i, table in enumerate(tables):
            map_of = map_predicates(models, source.types, table, seed=seed)[0]
            for name, other in config['expected'].items():
                found[name] += map_of.get(name) == other
            others = tables[:i] + tables[i + 1 :]
            clauses = mapped_to(models, map_of, predicate)
            for name, model in _fitted(table, clauses, config, seed).items():
                of_cut[name].append(
                    float(np.mean([precision(model, other, predicate) for other in others]))
                )
        for name, values in of_cut.items():
            scores[name].append(values)
    results = summarise(scores) | dict(
        map=whole[0],
        score=whole[1],
        parts=whole[2],
        source={
            name: [[float(w), str(c)] for c, w in zip(model.clauses, model.weights, strict=True)]
            for name, model in models.items()
        },
        found=found,
        folds=cuts,
        config=config,
    )
    write(workdir / 'results.json', json.dumps(results, indent=1) + '\n')
    picture = svg(matched_names(whole[0], sorted(source.facts), sorted(target.facts)))
    page(workdir / 'report.html', 'Do relations transfer?', sections(results, picture))
    return results


def summarise(scores: dict[str, list[list[float]]]) -> Record:
    """Adds means with intervals over cuts, and gains over the fold alone with verdicts.

    Args:
        scores: {model: [[score of each training fold] of each cut]}.

    Returns:
        {'rows': [{'model', 'mean', 'ci95', 'values' by cut, 'folds': all scores, and for models
        that transfer 'gain', 'low', 'high', 'verdict'}]}. A cut counts by the mean of its folds,
        and gains are paired by cut.

    >>> rows = summarise({ALONE: [[0.1, 0.2], [0.1, 0.1]], MAPPED: [[0.3, 0.4], [0.3, 0.3]]})[
    ...     'rows'
    ... ]
    >>> [round(row['mean'], 3) for row in rows], round(rows[1]['gain'], 2)
    ([0.125, 0.325], 0.2)
    """
    rows, gains = [], []
    values = {name: [float(np.mean(cut)) for cut in cuts] for name, cuts in scores.items()}
    for name, of_cut in values.items():
        mean, half = mean_interval(of_cut)
        rows.append(
            dict(model=name, mean=float(mean), ci95=half, values=of_cut, folds=scores[name])
        )
        if name != ALONE:
            gains.append(transfer_gain(of_cut, values[ALONE]))
    transferred = [row for row in rows if row['model'] != ALONE]
    for row, gain, verdict in zip(transferred, gains, verdicts(gains), strict=True):
        row.update(gain=gain.mean, low=gain.low, high=gain.high, verdict=verdict)
    return dict(rows=rows)


def source_models(source: Atoms, config: Config) -> dict[str, RelationalModel]:
    """Learns a model of every predicate of the source.

    Args:
        source: its facts.
        config: 'most', 'penalty', 'length' and 'negatives' are read.
    """
    table = Table(source.facts, source.types)
    return {
        name: learn_clauses(
            table,
            name,
            examples_of(table, name, config['negatives']),
            config['most'],
            config['penalty'],
            config['length'],
        )
        for name in source.facts
    }


def mapped_to(
    models: dict[str, RelationalModel], map_of: dict[str, str], predicate: str
) -> list[Clause]:
    """Returns the source's clauses that a map turns into clauses about a predicate.

    Args:
        models: {predicate of the source: its model}.
        map_of: {predicate of the source: predicate of the target}.
        predicate: of the target.

    >>> clause = Clause(('p', ('A',)), (('q', ('A',)),))
    >>> models = {'p': RelationalModel((clause,), np.ones(1), 0.0)}
    >>> [str(each) for each in mapped_to(models, {'p': 'r', 'q': 's'}, 'r')]
    ['r(A) :- s(A)']
    """
    heads = [name for name, other in map_of.items() if other == predicate and name in models]
    return [
        mapped_clause(clause, map_of)
        for head in heads
        for clause in models[head].clauses
        if {*clause.predicates} <= {*map_of}
    ]


def precision(model: RelationalModel, table: Table, predicate: str) -> float:
    """Returns the average precision of a model over all rows of a predicate.

    Args:
        model: the model.
        table: the facts, which also say which rows are right.
        predicate: the predicate.
    """
    exam = examples_of(table, predicate, negatives=0)
    return float(average_precision_score(exam.label, model.logits(table, exam.rows)))


def _fitted(
    table: Table, clauses: list[Clause], config: Config, seed: int
) -> dict[str, RelationalModel]:
    """The three models of a fold."""
    predicate, penalty = config['predicate'], config['penalty']
    examples = examples_of(table, predicate, config['negatives'], seed)
    settings = (config['most'], penalty, config['length'])
    return {
        ALONE: learn_clauses(table, predicate, examples, *settings),
        MAPPED: fit_clauses(table, clauses, examples, penalty),
        EXTENDED: learn_clauses(table, predicate, examples, *settings, start=clauses),
    }


def _refuse_empty(folds: list[Atoms], predicate: str, seed: int) -> None:
    """Refuses a cut with a fold that has no fact to learn from or to score by."""
    for number, fold in enumerate(folds):
        if not fold.facts[predicate]:
            raise UserError(
                f'fold {number} of seed {seed} has no fact of {predicate}: give fewer folds, '
                'another seed, or keep its persons together'
            )
