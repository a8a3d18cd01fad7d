"""A study of weight averages: soups of fine-tuned networks, and WiSE-FT.

All members of a soup start from one linear probe, are trained on the same draw of labels, and
differ in the order of batches, and in augmentation, rate or other settings of the training. The
seeds of the study are those of the draws. All choices (the best member, the greedy soup, the weight
of WiSE-FT) are made on the validation split, for each draw separately.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import numpy as np

from tljax import build
from tljax.averages import greedy_soup, soup, wise_ft
from tljax.configuration import phases
from tljax.core import Dataset, UserError
from tljax.engine.checkpoint import load_final, save_final
from tljax.engine.choice import SPLIT
from tljax.engine.evaluate import score
from tljax.engine.scores import first_score
from tljax.files.console import say
from tljax.files.text import write
from tljax.protocols import Config, Record
from tljax.report.page import page
from tljax.studies.averages_report import sections
from tljax.studies.members import Members, Model, member_folder, member_settings, train_members
from tljax.when.gain import Gain, transfer_gain, verdicts

KEYS = {'members', 'baseline', 'weights'}


def compare_averages(config: Config, workdir: Path) -> Record | None:
    """Runs or resumes a study, and writes results.json, report.html and the averages.

    Args:
        config: plain dict, as `configs/soup.py` describes it. `study.members` has the changes of
            the last phase by member, `study.baseline` the member that is plain fine-tuning, and
            `study.weights` the weights that WiSE-FT chooses among.
        workdir: folder of the study. `soups/NAME` in it are finished runs.

    Returns:
        {'metric', 'rows': [{'model', 'trainings' (besides the linear probe), 'validation', 'test'
        (scores by draw), 'gain' over the baseline}], 'over_best': {soup: gain over the best
        member}, 'members': [{'member', 'changes', 'validation', 'test', 'chosen' (whether the
        greedy soup has it, by draw)}], 'curve': [{'weight', 'validation', 'test'}], 'weights' (the
        chosen one, by draw), 'seeds', 'config'}. A gain is {'mean', 'low', 'high', 'p', 'verdict'},
        paired by draw, and None for the baseline. The result is None on all processes but the
        first.

    Raises:
        UserError: the config has no valid study, its members do not share a start, or the data have
            no classes, validation split or test split.

    >>> compare_averages({'seeds': [0], 'phases': {}, 'study': {}}, Path('runs'))
    Traceback (most recent call last):
    tljax.core.UserError: study.baseline is missing, which a study of averages needs: see ...
    """
    _refuse_no_study(config)
    *earlier, (_, last) = phases(config)
    settings = member_settings(last, config['study']['members'])
    for name, changed in settings.items():
        build.refuse_other_config(changed, member_folder(workdir, name))
    _refuse_splits(build.splits_of(last))
    say(f'{len(settings)} trainings of {len(last["seeds"])} draws of labels, after the probe')
    members = train_members(earlier, last, settings, workdir)
    results = _results(members, config, workdir)
    if jax.process_index():
        return None
    write(workdir / 'results.json', json.dumps(results, indent=1) + '\n')
    page(workdir / 'report.html', 'Do averages of weights help?', sections(results))
    return results


def _refuse_no_study(config: Config) -> None:
    """Refuses a config without a study of averages."""
    study = config['study']
    if missing_keys := KEYS - set(study):
        raise UserError(
            f'study.{min(missing_keys)} is missing, which a study of averages needs: see '
            'configs/soup.py'
        )
    *earlier, (_, last) = phases(config)
    if not earlier or last['init']['phase'] != earlier[-1][0]:
        raise UserError(
            'a study of averages has a phase that trains a linear probe, and a last phase that '
            'starts from it (init.phase): see configs/soup.py'
        )
    probe = earlier[-1][1]
    if len(last['seeds']) < 2 or any(
        last[key] != probe[key] for key in ('seeds', 'label_seeds', 'per_class', 'shuffled')
    ):
        raise UserError(
            'a study of averages needs two seeds or more, and the same seeds, per_class and '
            'shuffled in its last two phases: each seed draws labels for the probe and all members'
        )
    if len(study['members']) < 2 or study['baseline'] not in study['members']:
        raise UserError(
            'study.members: give two or more, and the name of one of them as study.baseline'
        )
    weights = study['weights']
    if not weights or not all(0 <= weight <= 1 for weight in weights):
        raise UserError(f'study.weights={tuple(weights)}: give numbers from 0 to 1')


def _refuse_splits(splits: dict[str, Dataset]) -> None:
    """Refuses data without classes, or without a split that chooses or one that reports."""
    for name in (SPLIT, 'test'):
        if name not in splits or not splits[name].size:
            raise UserError(
                f'averages are chosen on a {SPLIT} split and reported on a test split, and this '
                f'data has no {name} split'
            )
    if not splits['train'].classes or splits['train'].task.tasks:
        raise UserError('a study of averages compares scores of classes: give data with classes')


def _results(members: Members, config: Config, workdir: Path) -> Record:
    """Makes, scores and writes the averages; returns the content of results.json.

    Args:
        members: the finished trainings.
        config: config of the study.
        workdir: folder of the study.
    """
    study = config['study']
    base = members.names.index(study['baseline'])
    every = np.ones_like(members.validation, bool)
    chosen, _ = greedy_soup(
        members.validation,
        lambda candidate: _score(members, _soup(members, candidate), SPLIT),
    )
    draws = len(members.run.seeds)
    curve = [
        dict(weight=weight, **_scores(members, _wise_ft(members, base, np.full(draws, weight))))
        for weight in study['weights']
    ]
    weights = best_weights(study['weights'], np.array([point[SPLIT] for point in curve]))
    averages = {
        'uniform soup': _soup(members, every),
        'greedy soup': _soup(members, chosen),
        'WiSE-FT': _wise_ft(members, base, weights),
    }
    scores = {name: _scores(members, model) for name, model in averages.items()}
    for name, model in averages.items():
        _save(members, name, model, scores[name], workdir)
    return dict(
        metric=first_score(members.run.task),
        **summarise(
            _scores(members, members.probe), members.validation, members.test, scores, base
        ),
        members=[
            dict(
                member=name,
                changes=study['members'][name],
                validation=members.validation[i].tolist(),
                test=members.test[i].tolist(),
                chosen=chosen[i].tolist(),
            )
            for i, name in enumerate(members.names)
        ],
        curve=curve,
        weights=weights.tolist(),
        seeds=config['seeds'],
        config=config,
    )


def best_weights(weights: Sequence[float], scores: np.ndarray) -> np.ndarray:
    """Returns the weight with the best score; of equal ones that nearest to 0.5.

    Args:
        weights: of WiSE-FT.
        scores: (weights, draws).

    Returns:
        (draws,) weights.

    >>> best_weights([0.0, 0.4, 1.0], np.array([[0.7, 0.6], [0.7, 0.6], [0.7, 0.8]])).tolist()
    [0.4, 1.0]
    """
    candidates = np.asarray(weights, float)
    order = np.argsort(np.abs(candidates - 0.5), kind='stable')
    return candidates[order][scores[order].argmax(0)]


def _soup(members: Members, chosen: np.ndarray) -> Model:
    """The soup of the chosen members, (members, draws) booleans."""
    return _with_statistics(members, soup(members.models, chosen), chosen.sum(0) > 1)


def _wise_ft(members: Members, base: int, weight: np.ndarray) -> Model:
    """The probe and a member with a weight, (draws,), between them."""
    model = wise_ft(members.probe, members.models[base], weight)
    return _with_statistics(members, model, (weight > 0) & (weight < 1))


def _with_statistics(members: Members, model: Model, mixed: np.ndarray) -> Model:
    """Estimates the statistics anew for the draws, (draws,) booleans, whose weights are averages.

    A model that is one of the trained networks keeps that network's statistics.
    """
    params, state = model
    networks = []
    for i in range(len(mixed)):
        weights, network = jax.tree.map(
            lambda leaf, i=i: leaf[i], (params['backbone'], state['backbone'])
        )
        if mixed[i]:
            network = members.estimate(weights, network, members.examples[i])
        networks.append(network)
    return params, {'backbone': jax.tree.map(lambda *leaves: np.stack(leaves), *networks)}


def _score(members: Members, model: Model, split: str) -> np.ndarray:
    """The first score of a model on a split, (draws,)."""
    run = members.run
    values = score(run.predict, *model, run.evals[split], run.eval_batch)
    return values[first_score(run.task)]


def _scores(members: Members, model: Model) -> dict[str, list[float]]:
    """The first score of a model on the validation and the test split, by draw."""
    return {split: _score(members, model, split).tolist() for split in (SPLIT, 'test')}


def _save(
    members: Members, name: str, model: Model, scores: dict[str, list[float]], workdir: Path
) -> None:
    """Writes an average as a finished run, which predicts and is transferred like any other."""
    _, _, record = load_final(member_folder(workdir, members.names[0]))
    metric = first_score(members.run.task)
    record = {key: value for key, value in record.items() if key != 'kept'} | {
        'average': {'name': name, 'members': members.names},
        'scores': {split: {metric: values} for split, values in scores.items()},
    }
    folder = name.lower().replace(' ', '_').replace('-', '_')
    save_final(workdir / 'soups' / folder, *model, record)


def summarise(
    probe: dict[str, list[float]],
    validation: np.ndarray,
    test: np.ndarray,
    averages: dict[str, dict[str, list[float]]],
    base: int,
) -> Record:
    """Returns the rows of the table of models, and gains.

    Args:
        probe: {'validation', 'test': scores of the linear probe by draw}.
        validation: scores of the members, (members, draws).
        test: the same on the test split.
        averages: {'uniform soup', 'greedy soup', 'WiSE-FT': as `probe`}.
        base: number of the member that is plain fine-tuning.

    Returns:
        {'rows', 'over_best'} of `compare_averages`.

    >>> scores = np.array([[0.5, 0.6], [0.7, 0.6]])
    >>> names = ('uniform soup', 'greedy soup', 'WiSE-FT')
    >>> flat = {'validation': [0.5, 0.5], 'test': [0.5, 0.5]}
    >>> for row in summarise(flat, scores, scores, dict.fromkeys(names, flat), base=0)['rows'][:4]:
    ...     print(row['model'], row['trainings'], np.round(row['test'], 2).tolist())
    linear probe 0 [0.5, 0.5]
    fine-tuning 1 [0.5, 0.6]
    mean member 1 [0.6, 0.6]
    best member 2 [0.7, 0.6]
    """
    count, draws = validation.shape
    best = validation.argmax(0), np.arange(draws)

    def scores(choose: Callable[[np.ndarray], np.ndarray]) -> dict[str, list[float]]:
        return {SPLIT: choose(validation).tolist(), 'test': choose(test).tolist()}

    models = {
        'linear probe': (0, probe),
        'fine-tuning': (1, scores(lambda values: values[base])),
        'mean member': (1, scores(lambda values: values.mean(0))),
        'best member': (count, scores(lambda values: values[best])),
        'uniform soup': (count, averages['uniform soup']),
        'greedy soup': (count, averages['greedy soup']),
        'WiSE-FT': (1, averages['WiSE-FT']),
    }

    def judged(names: list[str], rival: str) -> dict[str, Record]:
        gains = [transfer_gain(models[name][1]['test'], models[rival][1]['test']) for name in names]
        return dict(zip(names, map(_gain, gains, verdicts(gains)), strict=True))

    gains = judged([name for name in models if name != 'fine-tuning'], 'fine-tuning')
    rows = [
        dict(model=name, trainings=trainings, **values, gain=gains.get(name))
        for name, (trainings, values) in models.items()
    ]
    return dict(rows=rows, over_best=judged(['uniform soup', 'greedy soup'], 'best member'))


def _gain(gain: Gain, verdict: str) -> Record:
    return gain._asdict() | {'verdict': verdict}
