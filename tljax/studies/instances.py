"""Instance transfer: do labelled examples of a source help a target with few labels?

A draw labels some examples of the target at random and scores on all others. The same learner is
trained on the target's labels, on the source's, on both together, on both with balanced weights,
and by TrAdaBoost. All see the same draw, so that differences are paired. Wrong labels of the source
(`flipped`) show what boosting is for: it should find them.
"""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import MultinomialNB
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from tljax import build
from tljax.core import UserError, nearest_name
from tljax.data.purposes import Purpose
from tljax.data.wrappers.tfidf import fitted_vectorizer
from tljax.files.console import progress
from tljax.files.text import write
from tljax.protocols import Config, Record
from tljax.report.page import page
from tljax.shallow.boosting import Boosted, balanced, tradaboost
from tljax.shallow.learners import Rows, weighted_fit
from tljax.studies.instances_report import sections
from tljax.when.gain import Gain, mean_interval, transfer_gain, verdicts

LEARNERS: dict[str, Callable[[], Any]] = {
    'naive_bayes': lambda: MultinomialNB(alpha=0.1),
    'logistic': lambda: LogisticRegression(max_iter=1000),
    'svm': lambda: LinearSVC(dual='auto'),
    'stump': lambda: DecisionTreeClassifier(max_depth=1, random_state=0),
}
BOOSTING = 'TrAdaBoost'
RIVALS = ('target only', 'source only', 'pooled', 'balanced')


class Domain(NamedTuple):
    """All examples of a domain: inputs, labels (n,) and names of the classes."""

    input: np.ndarray
    label: np.ndarray
    classes: tuple[str, ...]

    @property
    def has_texts(self) -> bool:
        """Whether inputs are texts, and not numbers."""
        return self.input.dtype.kind == 'O'


class Draw(NamedTuple):
    """Features of one draw: the source, and the target's labelled and remaining examples."""

    xs: Rows
    xt: Rows
    yt: np.ndarray
    x: Rows
    y: np.ndarray


def transfer(config: Config, workdir: Path) -> Record:
    """Runs all draws of all tasks, and writes results.json and report.html.

    Args:
        config: plain dict, as `configs/newsgroups.py` describes it.
        workdir: folder of the study.

    Returns:
        {'rows': rows of `summarise`, 'config'}.

    Raises:
        UserError: a learner, a number or a domain does not fit.

    >>> transfer({'learner': 'knn'}, Path('runs'))
    Traceback (most recent call last):
    tljax.core.UserError: learner='knn' is unknown: there are naive_bayes, logistic, svm, stump
    """
    _refuse_settings(config)
    rows = []
    cells = [(task, labels) for task in config['tasks'] for labels in config['labels']]
    for task, labels in progress(cells, f'{len(config["seeds"])} draws of each task'):
        source, target = _domains(config['tasks'][task], task)
        _refuse_unfit(config['learner'], labels, source, target)
        draws = [_draw(source, target, labels, seed, config['words']) for seed in config['seeds']]
        for flipped in config['flipped']:
            row = _cell(config, draws, source, flipped)
            rows.append(dict(task=task, labels=labels, flipped=flipped, **row))
    results = dict(rows=summarise(rows), config=config)
    write(workdir / 'results.json', json.dumps(results, indent=1) + '\n')
    page(workdir / 'report.html', 'Do examples of the source help?', sections(results))
    return results


def summarise(rows: list[Record]) -> list[Record]:
    """Adds means with intervals to the errors of cells, and gains of TrAdaBoost with verdicts.

    Args:
        rows: [{'errors': {method: error in each draw}, 'ratios': weight of flipped over clean
            source examples in each draw, or [], and further keys}].

    Returns:
        The rows with 'means' {method: [mean, half width]}, 'ratio' [mean, half width] or None, and
        'gains' {rival: {'mean', 'low', 'high', 'verdict'}}: the error of the rival minus that of
        TrAdaBoost, paired by draw. Half widths and intervals are of 95 %; verdicts are corrected
        over all gains.

    >>> errors = {'TrAdaBoost': [0.1, 0.2, 0.1], 'pooled': [0.3, 0.4, 0.4]}
    >>> row = summarise([{'errors': errors, 'ratios': []}])[0]
    >>> round(row['gains']['pooled']['mean'], 2), row['gains']['pooled']['verdict']
    (0.23, 'positive')
    """
    gains: list[dict[str, Gain]] = []
    for row in rows:
        errors = row['errors']
        gains.append(
            {
                rival: transfer_gain(errors[rival], errors[BOOSTING])
                for rival in errors
                if rival != BOOSTING
            }
        )
    answers = iter(verdicts([gain for of_row in gains for gain in of_row.values()]))
    return [
        dict(
            row,
            means={method: mean_interval(errors) for method, errors in row['errors'].items()},
            ratio=mean_interval(row['ratios']) if row['ratios'] else None,
            gains={
                rival: dict(mean=gain.mean, low=gain.low, high=gain.high, verdict=next(answers))
                for rival, gain in of_row.items()
            },
        )
        for row, of_row in zip(rows, gains, strict=True)
    ]


def _cell(config: Config, draws: list[Draw], source: Domain, flipped: float) -> Record:
    """Errors of all methods in all draws, and what boosting made of flipped labels."""
    errors: dict[str, list[float]] = {method: [] for method in (*RIVALS, BOOSTING)}
    ratios, fitted = [], 0
    for seed, draw in zip(config['seeds'], draws, strict=True):
        ys, is_flipped = _flip(source.label, len(source.classes), flipped, seed)
        predictors, boosted = _train(config, draw, ys)
        for method, predict in predictors.items():
            errors[method].append(float((predict(draw.x) != draw.y).mean()))
        fitted += bool(boosted.errors[0] == 0)
        if is_flipped.any():
            weight = boosted.weights[-1, : len(ys)]
            ratios.append(float(weight[is_flipped].mean() / weight[~is_flipped].mean()))
    counts = np.bincount(draws[0].y)
    return dict(
        errors=errors, ratios=ratios, fitted=fitted, largest=float(1 - counts.max() / counts.sum())
    )


def _train(config: Config, draw: Draw, ys: np.ndarray) -> tuple[dict[str, Any], Boosted]:
    """The predictor of each method, and TrAdaBoost with its weights."""
    learner = LEARNERS[config['learner']]()
    fit, ns, nt = weighted_fit(learner), len(ys), len(draw.yt)
    stack = sparse.vstack if sparse.issparse(draw.xs) else np.concatenate
    x, y = stack([draw.xs, draw.xt]), np.concatenate([ys, draw.yt])
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of a learner without error: `fitted` counts it
        boosted = tradaboost(
            learner, draw.xs, ys, draw.xt, draw.yt, config['rounds'], config['start']
        )
    return {
        'target only': fit(draw.xt, draw.yt, np.ones(nt)),
        'source only': fit(draw.xs, ys, np.ones(ns)),
        'pooled': fit(x, y, np.ones(ns + nt)),
        'balanced': fit(x, y, balanced(ns, nt)),
        BOOSTING: boosted.predict,
    }, boosted


def _flip(
    label: np.ndarray, classes: int, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Labels of which a share is replaced by other classes, and which ones those are."""
    rng = np.random.default_rng([Purpose.FLIPPED, seed])
    is_flipped = rng.permutation(len(label)) < round(share * len(label))
    other = (label + rng.integers(1, classes, len(label))) % classes
    return np.where(is_flipped, other, label), is_flipped


def _draw(source: Domain, target: Domain, labels: int, seed: int, words: int) -> Draw:
    """The features of a draw, with as large a share of each class as the target has.

    Texts become TF-IDF vectors of the words of the source and of the labelled texts.
    """
    rows = np.arange(len(target.label))
    labelled, rest = train_test_split(
        rows, train_size=labels, stratify=target.label, random_state=seed
    )
    parts = source.input, target.input[labelled], target.input[rest]
    if source.has_texts:
        vectorizer = fitted_vectorizer(np.concatenate(parts[:2]), words)
        parts = [vectorizer.transform(part) for part in parts]
    xs, xt, x = parts
    return Draw(xs, xt, target.label[labelled], x, target.label[rest])


def _domains(task: Config, name: str) -> tuple[Domain, Domain]:
    """Source and target of a task, if they have the same classes and kind of inputs."""
    source, target = (_domain(task[side], f'tasks.{name}.{side}') for side in ('source', 'target'))
    if source.classes != target.classes:
        raise UserError(
            f'tasks.{name}: the source has the classes {source.classes} and the target '
            f'{target.classes}: give both the same'
        )
    kinds = [(domain.has_texts, domain.input.shape[1:]) for domain in (source, target)]
    if kinds[0] != kinds[1]:
        raise UserError(f'tasks.{name}: source and target have inputs of different kinds')
    return source, target


def _refuse_unfit(learner: str, labels: int, source: Domain, target: Domain) -> None:
    """Refuses a learner that cannot take the inputs, and labels that cannot be drawn."""
    is_negative = not source.has_texts and min(source.input.min(), target.input.min()) < 0
    if learner == 'naive_bayes' and is_negative:
        raise UserError('learner=naive_bayes takes no negative inputs: take logistic')
    counts = np.bincount(target.label, minlength=len(target.classes))
    if counts.min() < 2 or not len(counts) <= labels <= len(target.label) - len(counts):
        raise UserError(
            f'labels={labels}: give from {len(counts)} to {len(target.label) - len(counts)}, of a '
            f'target with two examples of each class or more ({counts.min()} of the smallest)'
        )


def _domain(data: Config, what: str) -> Domain:
    """All splits of a data set together."""
    splits = build.load(data)
    task = splits['train'].task
    if task.kind != 'classes':
        raise UserError(f'{what} asks for {task.kind}: give a set with one class per example')
    parts = [split.take(np.arange(split.size)) for split in splits.values()]
    input, label = (np.concatenate([part[key] for part in parts]) for key in ('input', 'label'))
    if input.ndim > 2:
        input = input.reshape(len(input), -1)
    return Domain(input, label, task.names)


def _refuse_settings(config: Config) -> None:
    """Refuses settings that no draw can have."""
    if config['learner'] not in LEARNERS:
        raise UserError(
            f'learner={config["learner"]!r} is unknown: {nearest_name(config["learner"], LEARNERS)}'
        )
    if len(config['seeds']) < 2:
        raise UserError(f'seeds={config["seeds"]}: intervals need two draws or more')
    for share in config['flipped']:
        if not 0 <= share < 1:
            raise UserError(f'flipped={share}: give shares from 0 to below 1')
