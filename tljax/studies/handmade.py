"""Deep features against hand-made ones: the same classifier on both, chosen in the same way.

A draw labels a few training pictures of each class. On every feature the same linear probe is
trained, and its scale of the features, its penalty, and the settings of the feature itself are
those with the best score on the validation split, in each draw anew. The best feature of a group is
chosen there as well. The margin is the test score of the best deep feature minus that of the best
hand-made one, paired by draw.
"""

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler, normalize

from tljax import build
from tljax.core import Dataset, Task, UserError, nearest_name
from tljax.data.splits import per_class
from tljax.engine.scores import first_score
from tljax.files.console import progress
from tljax.files.text import write
from tljax.protocols import Config, Record
from tljax.report.page import page
from tljax.studies.handmade_report import sections
from tljax.studies.stored import stored
from tljax.when.gain import share_interval, transfer_gain, verdicts
from tljax.when.logistic import linear_probe

METRIC = first_score(Task('classes'))
HANDMADE, DEEP = 'handmade', 'deep'  # the groups of features that the margin compares
SPLITS = ('train', 'validation', 'test')
Part = tuple[np.ndarray, np.ndarray]  # features (n, d) and labels (n,) of a split
Cell = tuple[str, str, str, int]  # set, group, feature, labels per class


def _standard(x: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    scaler, length = StandardScaler().fit(x), x.shape[1] ** 0.5
    return lambda rows: np.asarray(scaler.transform(rows)) / length


# {scale: training features -> function of features}; rows get a length of about 1, so that one grid
# of penalties suits features of any width
SCALES = {'unit': lambda x: normalize, 'standard': _standard}


def compare(config: Config, workdir: Path) -> Record:
    """Trains the probe on every feature in every draw, and writes results.json and report.html.

    Args:
        config: plain dict, as `configs/handmade.py` describes it.
        workdir: folder of the study; a restart continues an interrupted one.

    Returns:
        The result of `summarise`, and 'config'.

    Raises:
        UserError: a setting or a data set does not fit.

    >>> compare({'seeds': [5]}, Path('runs'))
    Traceback (most recent call last):
    tljax.core.UserError: seeds=[5]: the interval of a margin needs two draws or more
    """
    _refuse_settings(config)
    for name, data in config['sets'].items():
        _refuse_unfit(build.load(data), name, config['budgets'])
    features = [
        (name, group, feature)
        for name in config['sets']
        for group, members in config['features'].items()
        for feature in members
    ]
    draws: dict[Cell, list[Record]] = {}
    for cell in progress(features, f'{len(config["seeds"])} draws of labels'):
        for k, found in _answers(config, *cell, workdir).items():
            draws[*cell, k] = [best(candidates) for candidates in zip(*found, strict=True)]
    results = summarise(draws) | {'config': config}
    write(workdir / 'results.json', json.dumps(results, indent=1) + '\n')
    page(workdir / 'report.html', 'Are deep features better?', sections(results))
    return results


def summarise(draws: dict[Cell, list[Record]]) -> Record:
    """Summarises the answers of all draws: scores, the best feature of a group, and margins.

    Args:
        draws: {(set, group, feature, labels per class): [{'validation', 'test', and what was
            chosen} of each draw]}.

    Returns:
        {'rows': [{'set', 'group', 'feature', 'labels_per_class', 'metric', 'mean', 'ci95', 'values'
        by draw, 'draws'}], 'best': the same for the best feature of each group, whose 'draws' name
        the 'feature', 'margins': [{'set', 'labels_per_class', 'mean', 'low', 'high', 'verdict'}]}.
        'ci95' is half the width of the 95 % interval over draws.

    >>> answers = {'hog': ('handmade', 0.5), 'mobilenet': ('deep', 0.7)}
    >>> results = summarise(
    ...     {
    ...         ('photo', group, feature, 5): 2 * [dict(validation=test, test=test)]
    ...         for feature, (group, test) in answers.items()
    ...     }
    ... )
    >>> [(margin['set'], round(margin['mean'], 2)) for margin in results['margins']]
    [('photo', 0.2)]
    """
    groups: dict[tuple[str, str, int], list[list[Record]]] = {}
    for (name, group, feature, k), answers in draws.items():
        named = [{**answer, 'feature': feature} for answer in answers]
        groups.setdefault((name, group, k), []).append(named)
    chosen = {
        (name, group, f'best {group}', k): [best(answers) for answers in zip(*found, strict=True)]
        for (name, group, k), found in groups.items()
    }
    tests = {cell: [answer['test'] for answer in answers] for cell, answers in chosen.items()}
    gains = {
        (name, k): transfer_gain(
            tests[name, DEEP, f'best {DEEP}', k], tests[name, HANDMADE, f'best {HANDMADE}', k]
        )
        for name, group, _, k in chosen
        if group == DEEP
    }
    return dict(
        rows=[_row(cell, answers) for cell, answers in draws.items()],
        best=[_row(cell, answers) for cell, answers in chosen.items()],
        margins=[
            dict(
                set=name,
                labels_per_class=k,
                mean=gain.mean,
                low=gain.low,
                high=gain.high,
                verdict=verdict,
            )
            for ((name, k), gain), verdict in zip(
                gains.items(), verdicts(list(gains.values())), strict=True
            )
        ],
    )


def best(answers: tuple[Record, ...]) -> Record:
    """Returns the answer with the largest validation score, the first of equal ones.

    Args:
        answers: [{'validation', ...}].

    >>> best(({'validation': 0.5, 'test': 0.4}, {'validation': 0.5, 'test': 0.6}))['test']
    0.4
    """
    return max(answers, key=lambda answer: answer['validation'])


def probe(
    parts: dict[str, Part], k: int, seed: int, scales: list[str], penalties: list[float]
) -> Record:
    """Trains the linear probe in one draw of labels, and chooses its scale and its penalty.

    Of equal validation scores the first scale counts, and the largest penalty.

    Args:
        parts: {'train': (x (n, d), label (n,)), 'validation': ..., 'test': ...}.
        k: labels per class.
        seed: seed of the draw.
        scales: names in SCALES: 'unit' divides rows by their length, 'standard' standardises
            columns by the labelled pictures.
        penalties: as `linear_probe` takes them.

    Returns:
        {'validation', 'test': shares of right answers, 'scale', 'penalty'}.

    Raises:
        UserError: a class has fewer than k training pictures.

    >>> part = np.array([[0.0, 1.0], [2.0, 0.0], [0.0, 3.0]]), np.array([0, 1, 0])
    >>> probe(dict.fromkeys(SPLITS, part), 1, seed=0, scales=['unit'], penalties=[0.1, 1.0])
    {'validation': 1.0, 'test': 1.0, 'scale': 'unit', 'penalty': 1.0}
    """
    x, y = parts['train']
    rows = per_class(y, k, seed)
    classes, answers = np.unique(y[rows]), []
    for scale in scales:
        transform, model = SCALES[scale](x[rows]), None
        train, validation, test = (
            transform(part) for part in (x[rows], parts['validation'][0], parts['test'][0])
        )
        if train.shape[1] > len(train):  # once for all penalties, as `linear_probe` does for one
            span, _ = np.linalg.qr(train.T)
            train, validation, test = train @ span, validation @ span, test @ span
        for penalty in sorted(penalties, reverse=True):
            with warnings.catch_warnings():
                warnings.simplefilter('ignore', ConvergenceWarning)
                model = linear_probe(train, y[rows], penalty, start=model)
            answer = {
                split: float(
                    (classes[(z @ model[0] + model[1]).argmax(1)] == parts[split][1]).mean()
                )
                for split, z in (('validation', validation), ('test', test))
            }
            answers.append({**answer, 'scale': scale, 'penalty': penalty})
    return best(tuple(answers))


def _answers(
    config: Config, name: str, group: str, feature: str, workdir: Path
) -> dict[int, list[list[Record]]]:
    """The answers of a feature on a set: {labels per class: [those of all draws of a setting]}."""
    scales, penalties, seeds = (config[key] for key in ('scales', 'penalties', 'seeds'))
    answers: dict[int, list[list[Record]]] = {k: [] for k in config['budgets']}
    for setting, spec in config['features'][group][feature].items():
        splits = build.load({**spec, 'of': config['sets'][name]})
        parts = {split: _part(splits[split]) for split in SPLITS}
        prints = [splits[split].fingerprint for split in SPLITS]
        for k, of_settings in answers.items():
            of_draws = stored(
                workdir / 'draws',
                f'{name}-{group}-{feature}-{setting}-{k}',
                [prints, k, seeds, scales, penalties],
                lambda: [probe(parts, k, seed, scales, penalties) for seed in seeds],
            )
            of_settings.append([{**answer, 'setting': setting} for answer in of_draws])
    return answers


def _part(split: Dataset) -> Part:
    x = np.asarray(split.take(np.arange(split.size))['input'], np.float32)
    return x.reshape(len(x), -1), split.label


def _row(cell: Cell, answers: list[Record]) -> Record:
    """The score of a cell, with its interval over draws."""
    name, group, feature, k = cell
    values = [answer['test'] for answer in answers]
    mean, half = share_interval(values)
    return dict(
        set=name,
        group=group,
        feature=feature,
        labels_per_class=k,
        metric=METRIC,
        mean=mean,
        ci95=half,
        values=values,
        draws=answers,
    )


def _refuse_unfit(splits: dict[str, Dataset], name: str, budgets: list[int]) -> None:
    """Refuses a set without classes, without a split, or with too few pictures of a class."""
    train = splits['train']
    if train.task.kind != 'classes':
        raise UserError(f'sets.{name} asks for {train.task.kind}: give a set with classes')
    missing = [split for split in SPLITS if split not in splits or not splits[split].size]
    if missing:
        raise UserError(f'sets.{name} has no {missing[0]} split: give a set that has one')
    counts = np.bincount(train.label, minlength=len(train.classes))
    if counts.min() < max(budgets):
        raise UserError(
            f'budgets={budgets}: sets.{name} has {counts.min()} training pictures of '
            f'{train.classes[counts.argmin()]}: give at most that many'
        )


def _refuse_settings(config: Config) -> None:
    """Refuses settings that no draw can have."""
    if len(set(config['seeds'])) < 2:
        raise UserError(
            f'seeds={config["seeds"]}: the interval of a margin needs two draws or more'
        )
    if not config['sets']:
        raise UserError('sets is empty: name one or more')
    for group in (HANDMADE, DEEP):
        if not config['features'].get(group):
            raise UserError(f'features.{group} is empty: a margin needs features of both groups')
    for group, features in config['features'].items():
        for feature, settings in features.items():
            if not settings:
                raise UserError(f'features.{group}.{feature} is empty: give it one setting or more')
    for scale in config['scales']:
        if scale not in SCALES:
            raise UserError(f'scales={scale!r} is unknown: {nearest_name(scale, SCALES)}')
    for key in ('scales', 'penalties', 'budgets'):
        if not config[key]:
            raise UserError(f'{key} is empty: give one or more')
    if min(config['budgets']) < 1:
        raise UserError(f'budgets={config["budgets"]}: give labels per class, 1 or more each')
