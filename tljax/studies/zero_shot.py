"""Zero-shot recognition: a network learns some classes, and recognises others by their descriptions
alone.

Every choice is made on the seen classes. They are cut into folds. For each fold a network learns
the other classes, and every setting of every model is scored on the classes of the fold, which the
network has not seen. The best settings of each model, the best model with its knowledge base, and
the shift of calibrated stacking are those with the best mean over the folds. Networks of other
seeds then learn all seen classes, and are scored on the unseen ones of each target.
"""

import json
from pathlib import Path

import numpy as np

from tljax import build
from tljax.configuration import KNOWLEDGE, call_named
from tljax.core import UserError
from tljax.files.console import progress
from tljax.files.text import write
from tljax.knowledge import Knowledge
from tljax.protocols import Config, Record
from tljax.report.page import page
from tljax.studies.stored import stored
from tljax.studies.zero_shot_measures import Splits, fold_scores, measured
from tljax.studies.zero_shot_models import refuse_unknown
from tljax.studies.zero_shot_report import sections
from tljax.when.gain import share_interval


def recognise(config: Config, workdir: Path) -> Record:
    """Chooses on the seen classes, scores on the unseen ones, and writes results.json and
    report.html.

    Args:
        config: plain dict, as `configs/zero_shot.py` describes it.
        workdir: folder of the study; a restart continues an interrupted one.

    Returns:
        {'rows': a dict for each knowledge base and method (`summarise`), 'rivals', 'curves',
        'confusion', 'seen', 'unseen', 'notes', 'config'}.

    Raises:
        UserError: a setting, a set or a knowledge base does not fit.

    >>> recognise({'seeds': [5]}, Path('runs'))
    Traceback (most recent call last):
    tljax.core.UserError: seeds=[5]: the interval of a score needs three seeds or more
    """
    _refuse_settings(config)
    data = build.load(config['data'])
    targets = {name: build.load(spec) for name, spec in config['targets'].items()}
    bases = {
        name: call_named(KNOWLEDGE, spec, f'knowledge.{name}')
        for name, spec in config['knowledge'].items()
    }
    _refuse_unfit(data, targets, bases)
    choices = choose(config, data, bases, workdir)
    draws = [
        measured(config, data, targets, bases, choices, seed, workdir)
        for seed in progress(config['seeds'], f'{len(config["seeds"])} networks of all classes')
    ]
    results = summarise(choices, draws) | dict(
        seen=list(data['train'].classes),
        unseen={name: list(target['test'].classes) for name, target in targets.items()},
        notes=[note for split in data.values() for note in split.notes],
        config=config,
    )
    write(workdir / 'results.json', json.dumps(results, indent=1) + '\n')
    page(workdir / 'report.html', 'Classes without examples', sections(results))
    return results


def choose(
    config: Config, data: Splits, bases: dict[str, Knowledge], workdir: Path
) -> list[Record]:
    """Chooses the settings of every method on every knowledge base, by folds of the seen classes.

    Args:
        config: as `recognise` takes it.
        data: splits of the seen classes.
        bases: knowledge bases by name.
        workdir: folder of the study.

    Returns:
        [{'base', 'method', 'values', 'validation': mean over folds, 'shift': of calibrated
        stacking, 'chosen': whether it is the best of all}].
    """
    found: dict[str, list[Record]] = {}
    folds = folds_of(len(data['train'].classes), config['folds'])
    for seed, held in enumerate(progress(folds, f'{len(folds)} folds of the seen classes')):
        answers = stored(
            workdir / 'folds',
            f'fold-{seed}',
            [config[key] for key in ('data', 'fit', 'knowledge', 'methods', 'folds')],
            lambda: fold_scores(config, data, bases, held, seed, workdir / 'folds'),
        )
        for answer in answers:
            key = json.dumps([answer[name] for name in ('base', 'method', 'values')])
            found.setdefault(key, []).append(answer)
    means = [
        dict(
            base=answers[0]['base'],
            method=answers[0]['method'],
            values=answers[0]['values'],
            validation=float(np.mean([answer['score'] for answer in answers])),
            shift=float(np.mean([answer['shift'] for answer in answers])),
        )
        for answers in found.values()
    ]
    best: dict[tuple[str, str], Record] = {}
    for row in means:
        kept = best.setdefault((row['base'], row['method']), row)
        if row['validation'] > kept['validation']:
            best[row['base'], row['method']] = row
    top = max(best.values(), key=lambda row: row['validation'])
    return [dict(row, chosen=row is top) for row in best.values()]


def folds_of(classes: int, folds: int) -> list[np.ndarray]:
    """Cuts classes at random into folds, each sorted.

    Args:
        classes: number of classes.
        folds: number of folds.

    >>> [len(fold) for fold in folds_of(26, 4)]
    [7, 7, 6, 6]
    """
    order = np.random.default_rng(0).permutation(classes)
    return [np.sort(fold) for fold in np.array_split(order, folds)]


def summarise(choices: list[Record], draws: list[Record]) -> Record:
    """Summarises the networks of all seeds.

    Args:
        choices: as `choose` returns them.
        draws: as `zero_shot_measures.measured` returns them, one for each seed.

    Returns:
        {'rows': [the choice with 'targets': {target: {measure: {'mean', 'ci95', 'values'}}}],
        'rivals': {target: {rival: the same}}, and 'curves' and 'confusion' as means over seeds}.

    >>> draw = dict(scores=[{'mnist': {'unseen': 0.5}}], rivals={}, curves={}, confusion={})
    >>> results = summarise([{'base': 'codes', 'method': 'dap'}], [draw] * 3)
    >>> results['rows'][0]['targets']['mnist']['unseen']['mean']
    0.5
    """
    rows = []
    for i, chosen in enumerate(choices):
        measured = [draw['scores'][i] for draw in draws]
        rows.append(dict(chosen, targets=_intervals(measured)))
    curves = {
        target: np.mean([draw['curves'][target] for draw in draws], 0).tolist()
        for target in draws[0]['curves']
    }
    confusion: dict[str, dict[str, dict[str, float]]] = {}
    for draw in draws:
        for target, table in draw['confusion'].items():
            for label, shares in table.items():
                cells = confusion.setdefault(target, {}).setdefault(label, {})
                for answer, share in shares.items():
                    cells[answer] = cells.get(answer, 0) + share / len(draws)
    rivals = _intervals([draw['rivals'] for draw in draws])
    return dict(rows=rows, rivals=rivals, curves=curves, confusion=confusion)


def _intervals(measured: list[dict[str, dict[str, float]]]) -> Record:
    """{target: {measure: {'mean', 'ci95', 'values'}}} of the numbers of each seed."""
    return {
        target: {
            measure: dict(
                zip(
                    ('mean', 'ci95', 'values'),
                    (*share_interval(values), values),
                    strict=True,
                )
            )
            for measure in measures
            for values in [[each[target][measure] for each in measured]]
        }
        for target, measures in measured[0].items()
    }


def _refuse_unfit(data: Splits, targets: dict[str, Splits], bases: dict[str, Knowledge]) -> None:
    """Refuses sets without classes or splits, a class that is both seen and unseen, and a knowledge
    base that lacks a class."""
    for name, splits in {'data': data, **targets}.items():
        missing = [split for split in ('train', 'test') if split not in splits]
        if missing or splits['train'].task.kind != 'classes':
            raise UserError(f'{name}: give a set with classes, and the splits train and test')
    seen = set(data['train'].classes)
    for name, splits in targets.items():
        leaked = [label for label in splits['test'].classes if label in seen]
        if leaked:
            raise UserError(
                f'targets.{name} has the class {leaked[0]!r}, which is trained on, so that it is '
                'not unseen: take it out of one of them'
            )
    for base in bases.values():
        for splits in (data, *targets.values()):
            base.rows(splits['train'].classes)  # refuses a class that the base lacks


def _refuse_settings(config: Config) -> None:
    """Refuses settings that no study can have."""
    if len(set(config['seeds'])) < 3:
        raise UserError(
            f'seeds={config["seeds"]}: the interval of a score needs three seeds or more'
        )
    if config['folds'] < 2:
        raise UserError(f'folds={config["folds"]}: settings are chosen by two folds or more')
    clash = [seed for seed in config['seeds'] if seed < config['folds']]
    if clash:
        raise UserError(
            f'seeds={config["seeds"]}: {clash[0]} is the seed of a fold, which chooses: give others'
        )
    for key in ('targets', 'knowledge', 'methods'):
        if not config[key]:
            raise UserError(f'{key} is empty: name one or more')
    for name, grid in config['methods'].items():
        refuse_unknown(name, grid)
        for key, values in grid.items():
            if not isinstance(values, list) or not values:
                raise UserError(f'methods.{name}.{key}={values!r}: give a list of values to try')
