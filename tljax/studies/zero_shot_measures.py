"""What networks recognise in a study of zero-shot learning: on held classes, and on targets."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tljax import build
from tljax.configuration import settings
from tljax.core import Dataset
from tljax.data.class_splits import join_splits, select_classes
from tljax.engine.train import fit
from tljax.features import run_at
from tljax.knowledge import Knowledge
from tljax.protocols import Config, Record
from tljax.shallow.generalised import (
    calibration_curve,
    choice,
    class_mean,
    harmonic_mean,
    stacked,
)
from tljax.studies.zero_shot_models import Examples, Task, scores
from tljax.trained import Trained

POINTS = 41  # of a calibration curve in the results
REACH = (-3.0, 6.0)  # of its shifts, in standard deviations of the scores
Splits = dict[str, Dataset]


def fold_scores(
    config: Config,
    data: Splits,
    bases: dict[str, Knowledge],
    held: np.ndarray,
    seed: int,
    folder: Path,
) -> list[Record]:
    """Scores of every setting of every method on classes that its network has not learnt.

    Args:
        config: as `zero_shot.recognise` takes it.
        data: splits of the seen classes.
        bases: knowledge bases by name.
        held: labels of the held classes.
        seed: of the network.
        folder: for the network.

    Returns:
        [{'base', 'method', 'values', 'score': right answers among the held classes, 'shift': with
        the largest harmonic mean where all seen classes may be chosen}].
    """
    classes = data['train'].classes
    kept = np.setdiff1d(np.arange(len(classes)), held)
    splits = {name: select_classes(split, kept) for name, split in data.items()}
    model = network(config, splits, seed, folder / f'network-{seed}')
    new = join_splits({name: select_classes(split, held) for name, split in data.items()})
    seen, again, unseen = (examples(model, part) for part in (splits['train'], splits['test'], new))
    answers = []
    for name, base in bases.items():
        rows = base.rows(classes)
        task = _task(
            config,
            name,
            base,
            rows[kept],
            seen,
            [again.numbered(rows[kept]), unseen.numbered(rows[held])],
            seed,
        )
        place = np.full(len(base.classes), -1)
        place[rows] = np.arange(len(rows))  # of each class among all that may be chosen
        for method, values in _candidates(config):
            found = scores(task, method, **values)
            right = choice(found[len(again.label) :], rows[held])
            curve = calibration_curve(
                found[:, rows], place[task.new.label], np.isin(np.arange(len(rows)), kept)
            )
            answers.append(
                dict(
                    base=name,
                    method=method,
                    values=values,
                    score=class_mean(right, rows[held][unseen.label]),
                    shift=curve.best,
                )
            )
    return answers


def measured(
    config: Config,
    data: Splits,
    targets: dict[str, Splits],
    bases: dict[str, Knowledge],
    choices: list[Record],
    seed: int,
    workdir: Path,
) -> Record:
    """What the network of a seed recognises of every target.

    Args:
        config: as `zero_shot.recognise` takes it.
        data: splits of the seen classes.
        targets: splits of the unseen classes, by the name of the target.
        bases: knowledge bases by name.
        choices: as `zero_shot.choose` returns them.
        seed: of the network.
        workdir: for the network.

    Returns:
        {'scores': [{target: {measure: number}} of each choice], 'rivals': {target: {rival:
        number}}, and of the best choice 'curves': {target: [[shift, seen, unseen, harmonic mean],
        ...]} and 'confusion': {target: {class: {answer: share}}}}.
    """
    model = network(config, data, seed, workdir / f'network-{seed}')
    seen, again = (examples(model, data[split]) for split in ('train', 'test'))
    tests = {name: examples(model, target['test']) for name, target in targets.items()}
    found: Record = dict(scores=[], rivals={}, curves={}, confusion={})
    for chosen in choices:
        base = bases[chosen['base']]
        rows = base.rows(data['train'].classes)
        of_target = {name: base.rows(target['test'].classes) for name, target in targets.items()}
        new = [test.numbered(of_target[name]) for name, test in tests.items()]
        task = _task(config, chosen['base'], base, rows, seen, [*new, again.numbered(rows)], seed)
        ends = np.cumsum([len(part.label) for part in new])
        *parts, of_seen = np.split(scores(task, chosen['method'], **chosen['values']), ends)
        is_seen = np.isin(np.arange(len(base.classes)), rows)
        measures = {}
        for name, part, test in zip(targets, parts, new, strict=True):
            both = np.concatenate([part, of_seen])
            label = np.concatenate([test.label, rows[again.label]])
            measures[name] = dict(
                unseen=class_mean(choice(part, of_target[name]), test.label),
                **_of_all(both, label, is_seen, 0.0, ''),
                **_of_all(both, label, is_seen, chosen['shift'], 'calibrated '),
            )
            if chosen['chosen']:
                found['curves'][name] = _points(both, label, is_seen)
                answer = stacked(part, is_seen, chosen['shift']).argmax(1)
                found['confusion'][name] = _confusion(answer, test.label, base.classes)
        found['scores'].append(measures)
    for name, target in targets.items():
        labelled, tested = examples(model, target['train']).scaled(seen), tests[name].scaled(seen)
        found['rivals'][name] = {
            str(shots): _nearest_mean(labelled, tested, shots, config['draws'], seed)
            for shots in config['shots']
        }
    return found


def network(config: Config, splits: Splits, seed: int, folder: Path) -> Trained:
    """A network that has learnt some classes; a finished one is read.

    Args:
        config: with 'fit', the settings of the network and its training.
        splits: splits of the classes.
        seed: of the network.
        folder: of its run.
    """
    run = build.build(settings(**config['fit'], seeds=[seed]), folder.name, splits=splits)
    fit(run, folder)
    return Trained(*run_at(folder))


def examples(model: Trained, dataset: Dataset) -> Examples:
    """What a network says of a set.

    Args:
        model: the network.
        dataset: the set, whose labels number its own classes.
    """
    return Examples(
        model.features(dataset, batch=256).astype(float),
        model.predict(dataset, batch=256).astype(float),
        np.asarray(dataset.label),
    )


def _task(
    config: Config,
    name: str,
    base: Knowledge,
    rows: np.ndarray,
    seen: Examples,
    new: Sequence[Examples],
    seed: int,
) -> Task:
    """A task with scaled features, whose new examples are those of several sets."""
    joined = Examples(*map(np.concatenate, zip(*new, strict=True)))
    spec = config['knowledge'][name]
    return Task(seen.scaled(seen).numbered(rows), joined.scaled(seen), base, spec, rows, seed)


def _candidates(config: Config) -> list[tuple[str, Record]]:
    """Every method with every combination of its settings."""
    return [
        (method, dict(zip(grid, values, strict=True)))
        for method, grid in config['methods'].items()
        for values in itertools.product(*grid.values())
    ]


def _of_all(
    values: np.ndarray, label: np.ndarray, is_seen: np.ndarray, shift: float, prefix: str
) -> dict[str, float]:
    """Right answers for seen and unseen classes where all may be chosen, and their mean."""
    answer, of_seen = stacked(values, is_seen, shift).argmax(1), is_seen[label]
    seen, unseen = (class_mean(answer[mask], label[mask]) for mask in (of_seen, ~of_seen))
    mean = float(harmonic_mean(seen, unseen))
    return {f'{prefix}seen': seen, f'{prefix}unseen among all': unseen, f'{prefix}mean': mean}


def _points(values: np.ndarray, label: np.ndarray, is_seen: np.ndarray) -> list[list[float]]:
    """[[shift in standard deviations of the scores, seen, unseen, their harmonic mean], ...]."""
    curve, scale = calibration_curve(values, label, is_seen), values.std()
    shifts = np.linspace(*REACH, POINTS)
    seen, unseen = curve.at(shifts * scale)
    return np.stack([shifts, seen, unseen, harmonic_mean(seen, unseen)], 1).tolist()


def _confusion(answer: np.ndarray, label: np.ndarray, classes: Sequence[str]) -> Record:
    """{class: {answer: share}} of the examples of each class, without shares of 0."""
    table: Record = {}
    for row in np.unique(label):
        share = np.bincount(answer[label == row], minlength=len(classes)) / (label == row).sum()
        answers = {classes[int(i)]: float(share[i]) for i in np.flatnonzero(share)}
        table[classes[int(row)]] = answers
    return table


def _nearest_mean(labelled: Examples, tested: Examples, shots: int, draws: int, seed: int) -> float:
    """Right answers by the nearest mean of a few labelled examples of each class, in the same
    features, as a mean over draws of these."""
    rng, classes, found = np.random.default_rng(seed), np.unique(labelled.label), []
    for _ in range(draws):
        picks = [rng.permutation(np.flatnonzero(labelled.label == c))[:shots] for c in classes]
        means = np.stack([labelled.features[pick].mean(0) for pick in picks])
        distance = (means**2).sum(1) - 2 * tested.features @ means.T
        found.append(class_mean(classes[distance.argmin(1)], tested.label))
    return float(np.mean(found))
