"""Compares ways to learn many tasks of regression, by the variance of new labels that they explain.

A split cuts the examples of each task at random into training and test examples. A method learns
from the training examples of all tasks, and predicts the test examples of each. If some tasks are
new, a method learns from all examples of the others, and then gets the training examples of each
new one.

Penalties are chosen by further cuts of the training examples. The test labels choose nothing.
"""

import json
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tljax.configuration import DATA, call_named
from tljax.core import UserError, abbreviated, nearest_name
from tljax.files.console import progress
from tljax.files.text import write
from tljax.protocols import Config, Record
from tljax.report.page import page
from tljax.studies.many_tasks_report import sections
from tljax.when.gain import Gain, mean_interval, transfer_gain, verdicts

LEARNERS = 'tljax.shallow'
METRIC = 'explained variance'
INNER_SHARE = 0.8  # of the training examples, in the cuts that choose a penalty
Examples = tuple[np.ndarray, np.ndarray]  # (n, d), (n,)
Errors = dict[tuple[str, int], dict[int, float]]  # {(method, seed): {task: sum of squares}}


class Cut(NamedTuple):
    """One split of many tasks.

    Attributes:
        source: examples of the tasks that are learnt from.
        targets: {index of a task: (its training examples, its test examples)}.
    """

    source: list[Examples]
    targets: dict[int, tuple[Examples, Examples]]


def compare(config: Config, workdir: Path) -> Record:
    """Runs every method on every split, and writes results.json and report.html.

    Args:
        config: plain dict, as `configs.base.many_tasks` describes it.
        workdir: folder of the study.

    Returns:
        The contents of results.json: 'rows' and 'gains' of `summarise`, 'tasks' and 'config'.

    Raises:
        UserError: a set, a method or a share does not fit.

    >>> compare({'sets': {}}, Path('runs'))
    Traceback (most recent call last):
    tljax.core.UserError: sets names 0 tasks: give three or more
    """
    tasks = load_tasks(config['sets'])
    _check(config)
    errors, runs = {}, {}  # squared errors {(method, seed): {task: float}}, and other facts
    totals = {}  # squared deviations of all test labels {seed: float}
    for seed in progress(config['seeds'], f'{len(config["methods"])} methods on each split'):
        cut = make_cut(tasks, config['share'], config['new'], np.random.default_rng([seed, 0]))
        labels = np.concatenate([test[1] for _, test in cut.targets.values()])
        totals[seed] = ((labels - labels.mean()) ** 2).sum()
        for name, method in config['methods'].items():
            start = time.perf_counter()
            learner = _with_penalty(method, name, cut.source, config, seed)
            errors[name, seed] = squared_errors(learner, f'methods.{name}.learner', cut)
            runs[name, seed] = learner.get('penalty'), time.perf_counter() - start
    results = summarise(errors, totals, runs, config['baselines'])
    results |= {'tasks': len(tasks), 'examples': sum(len(y) for _, y in tasks), 'config': config}
    write(workdir / 'results.json', json.dumps(results, indent=1) + '\n')
    page(workdir / 'report.html', 'What do tasks learn from each other?', sections(results))
    return results


def load_tasks(sets: Config) -> list[Examples]:
    """Loads the examples of each task, those of all its splits together, in float64.

    A column of ones is added if the tasks have none.

    Args:
        sets: {name of the task: config of a set of `tljax.data`}.

    Raises:
        UserError: for fewer than three tasks, and a set without labels that are single numbers.

    >>> tasks = load_tasks({f'line{i}': dict(name='lines', number=i) for i in range(3)})
    >>> [x.shape for x, _ in tasks]
    [(20, 3), (20, 3), (20, 3)]
    """
    if len(sets) < 3:
        raise UserError(f'sets names {len(sets)} tasks: give three or more')
    tasks = []
    for name, spec in sets.items():
        splits = call_named(DATA, spec, f'sets.{name}').values()
        parts = [split.take(np.arange(split.size)) for split in splits]
        x, y = (np.concatenate([part[key] for part in parts]) for key in ('input', 'label'))
        if any(split.task.kind != 'numbers' for split in splits) or y.size != len(y):
            raise UserError(f'sets.{name} has no single numbers as labels: give a regression')
        tasks.append((x.reshape(len(x), -1).astype(float), y.ravel().astype(float)))
    if not all((x == 1).all(0).any() for x, _ in tasks):
        tasks = [(np.column_stack([x, np.ones(len(x))]), y) for x, y in tasks]
    return tasks


def make_cut(tasks: list[Examples], share: float, new: float, rng: np.random.Generator) -> Cut:
    """Cuts tasks at random into what is learnt from and what is predicted.

    Labels are centred: the mean of those that are learnt from is subtracted from all.

    Args:
        tasks: the tasks.
        share: of a task's examples that are trained on; at least one, and not all.
        new: share of the tasks that are new. With 0, all tasks are learnt from and predicted.
        rng: random generator.

    >>> tasks = [(np.ones((4, 1)), np.arange(4.0) + i) for i in range(4)]
    >>> cut = make_cut(tasks, share=0.5, new=0.25, rng=np.random.default_rng(0))
    >>> len(cut.source), {i: (len(x), len(new)) for i, ((x, _), (new, _)) in cut.targets.items()}
    (3, {2: (2, 2)})
    """
    order = rng.permutation(len(tasks))
    predicted = sorted(order[: round(new * len(tasks))] if new else order)
    targets = {}
    for i in predicted:
        x, y = tasks[i]
        rows = rng.permutation(len(y))
        count = min(max(round(share * len(y)), 1), len(y) - 1)
        train, test = rows[:count], rows[count:]
        targets[int(i)] = (x[train], y[train]), (x[test], y[test])
    if new:
        source = [task for i, task in enumerate(tasks) if i not in targets]
    else:
        source = [train for train, _ in targets.values()]
    centre = np.concatenate([y for _, y in source]).mean()
    return Cut(
        [(x, y - centre) for x, y in source],
        {
            i: ((x, y - centre), (new_x, new_y - centre))
            for i, ((x, y), (new_x, new_y)) in targets.items()
        },
    )


def squared_errors(learner: Config, what: str, cut: Cut) -> dict[int, float]:
    """Sum of squared errors of a method on the test examples of each task.

    Args:
        learner: config of a function of `tljax.shallow` that takes xs and ys.
        what: key of the config, for errors.
        cut: the split.

    >>> tasks = [(np.ones((4, 1)), np.full(4, float(i))) for i in range(3)]
    >>> cut = make_cut(tasks, 0.5, 0.0, np.random.default_rng(0))
    >>> squared_errors(dict(name='pooled_ridge', penalty=1.0), 'learner', cut)
    {0: 2.0, 1: 0.0, 2: 2.0}
    """
    xs, ys = zip(*cut.source, strict=True)
    learnt = call_named(LEARNERS, learner, what, xs=xs, ys=ys)
    errors = {}
    for i, ((x, y), (new, truth)) in cut.targets.items():
        predicted = learnt.predict(x, y, new)
        if isinstance(predicted, tuple):  # mean and deviation
            predicted = predicted[0]
        errors[i] = float(((predicted - truth) ** 2).sum())
    return errors


def _with_penalty(
    method: Config, name: str, source: list[Examples], config: Config, seed: int
) -> Config:
    """Returns the learner of a method, with the penalty that has the smallest error on cuts of the
    source's own examples if the method has several."""
    learner, penalties = method['learner'], method.get('penalties')
    if not penalties:
        return learner
    new, share = config['new'], config['share'] if config['new'] else INNER_SHARE
    cuts = [
        make_cut(source, share, new, np.random.default_rng([seed, 1, i]))
        for i in range(config['choices'])
    ]

    def error(penalty):
        candidate, what = {**learner, 'penalty': penalty}, f'methods.{name}.learner'
        return sum(sum(squared_errors(candidate, what, cut).values()) for cut in cuts)

    return {**learner, 'penalty': min(penalties, key=error)}


def summarise(
    errors: Errors,
    totals: dict[int, float],
    runs: dict[tuple[str, int], tuple[float | None, float]],
    baselines: list[str],
) -> Record:
    """Summarises squared errors: the explained variance of each method, and gains over baselines.

    Args:
        errors: {(method, seed): {task: sum of squared errors}}.
        totals: {seed: sum of squared deviations of all test labels from their mean}.
        runs: {(method, seed): (penalty or None, seconds)}.
        baselines: names of methods.

    Returns:
        {'rows': [{'method', 'metric', 'mean', 'half', 'values', 'penalties', 'seconds'}], 'gains':
        [{'method', 'baseline', 'mean', 'low', 'high', 'task_low', 'task_high', 'verdict'}]}. 'half'
        is half the width of the 95 % interval over splits. 'low' and 'high' are the interval of a
        gain over splits, 'task_low' and 'task_high' that over tasks.

    >>> errors = {
    ...     (name, seed): {0: squares, 1: squares}  # of two tasks
    ...     for name, squares in (('a', 4.0), ('b', 2.0))
    ...     for seed in (0, 1)
    ... }
    >>> results = summarise(errors, {0: 16.0, 1: 16.0}, dict.fromkeys(errors, (None, 1.0)), ['a'])
    >>> [row['mean'] for row in results['rows']], results['gains'][0]['mean']
    ([0.5, 0.75], 0.25)
    """
    methods, seeds = dict.fromkeys(name for name, _ in errors), list(totals)
    values = {
        name: [1 - sum(errors[name, seed].values()) / totals[seed] for seed in seeds]
        for name in methods
    }
    rows = []
    for name in methods:
        mean, half = mean_interval(values[name])
        penalties, seconds = zip(*(runs[name, seed] for seed in seeds), strict=True)
        rows.append(
            dict(
                method=name,
                metric=METRIC,
                mean=mean,
                half=half,
                values=values[name],
                penalties=list(penalties),
                seconds=float(np.mean(seconds)),
            )
        )
    gains = {
        (name, baseline): (
            transfer_gain(values[name], values[baseline]),
            task_gain(errors, totals, name, baseline),
        )
        for baseline in baselines
        for name in methods
        if name not in baselines
    }
    answers = verdicts([over_tasks for _, over_tasks in gains.values()])
    return dict(
        rows=rows,
        gains=[
            dict(
                method=name,
                baseline=baseline,
                mean=over_splits.mean,
                low=over_splits.low,
                high=over_splits.high,
                task_low=over_tasks.low,
                task_high=over_tasks.high,
                verdict=verdict,
            )
            for ((name, baseline), (over_splits, over_tasks)), verdict in zip(
                gains.items(), answers, strict=True
            )
        ],
    )


def task_gain(errors: Errors, totals: dict[int, float], method: str, baseline: str) -> Gain:
    """Gain of a method with its interval over tasks, by the paired t test.

    Splits of the same examples are not independent, and tasks are. A task's part of the gain is its
    reduction of squared errors, in total variances times the number of tasks, averaged over the
    splits.

    Args:
        errors: as `summarise` takes them.
        totals: as `summarise` takes them.
        method: name of the method.
        baseline: name of the baseline.

    >>> errors = {('a', 0): {0: 4.0, 1: 2.0}, ('b', 0): {0: 3.0, 1: 2.0}}
    >>> task_gain(errors, {0: 10.0}, 'b', 'a').mean  # one of ten
    0.1
    """
    parts = {}
    for seed, total in totals.items():
        own, other = errors[method, seed], errors[baseline, seed]
        for task in own:
            part = len(own) * (other[task] - own[task]) / total
            parts.setdefault(task, []).append(part)
    means = np.array([np.mean(part) for part in parts.values()])
    return transfer_gain(means, np.zeros(len(means)))


def _check(config: Config) -> None:
    """Raises an error for settings of a study that do not fit."""
    if not 0 < config['share'] < 1:
        raise UserError(f'share={config["share"]}: give a number between 0 and 1')
    if not 0 <= config['new'] < 1:
        raise UserError(f'new={config["new"]}: give a number from 0 to below 1')
    if len(set(config['seeds'])) < 2:
        raise UserError(f'seeds={config["seeds"]}: an interval needs two splits or more')
    if config['choices'] < 1:
        raise UserError(f'choices={config["choices"]}: give 1 or more')
    for name in config['baselines']:
        if name not in config['methods']:
            raise UserError(
                f'baselines={name!r} is no method: {nearest_name(name, config["methods"])}'
            )
    for name, method in config['methods'].items():
        if not {'learner'} <= set(method) <= {'learner', 'penalties'}:
            raise UserError(f'methods.{name} has {abbreviated(method)}: give learner and penalties')
