"""A study of several tasks: does learning them together help each, and which pairs conflict?

Every task is first trained alone. Then it is trained together with every other task, and after
every other task: the first gain is that of sharing a network, the second that of starting from the
other task's network. At last all tasks are trained together by every strategy of the config. Gains
are paired by seed (`tljax.when.gain`) with training alone. In every training a step has as many
examples of a task, on average, as when the task is trained alone.

The rate of each kind of training is chosen on the validation split, on seeds of its own.
"""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from tljax import build
from tljax.configuration import merge, phases
from tljax.core import Task, UserError, abbreviated, known
from tljax.engine.scores import first_score, more_is_better, task_split
from tljax.engine.train import fit
from tljax.files.console import say
from tljax.files.text import write
from tljax.protocols import Config, Record
from tljax.report.page import page
from tljax.studies.multitask_report import sections
from tljax.when.gain import mean_interval, transfer_gain, verdicts

KINDS = ('alone', 'together', 'after')  # of trainings, beside the strategies of joint training
KEYS = {'strategies', 'sequence', 'rates', 'choosing'}
Scores = dict[str, np.ndarray]  # {task: values by seed}, larger is better
Key = tuple[str, ...]  # of a training among those of its kind: names of tasks, in order


class Training(NamedTuple):
    """One of the trainings of a study.

    Attributes:
        tasks: names of the tasks that are trained together.
        changes: settings that differ from the config.
        before: name of the task whose network it starts from; '' for a fresh one.
    """

    tasks: tuple[str, ...]
    changes: Config = {}  # noqa: RUF012
    before: str = ''


class Setup(NamedTuple):
    """What all trainings of a study share.

    Attributes:
        settings: config of one fit.
        tasks: {name: task}.
        batches: {names of tasks: number of examples in a batch}.
        workdir: folder of the study.
    """

    settings: Config
    tasks: dict[str, Task]
    batches: dict[tuple[str, ...], int]
    workdir: Path


def compare_tasks(config: Config, workdir: Path) -> Record | None:
    """Runs or resumes a study, and writes results.json and report.html.

    Args:
        config: plain dict, as `configs/multitask.py` describes it.
        workdir: folder of the study.

    Returns:
        The content of results.json: 'tasks' ({task: its first score, whether more is better, number
        of training labels}), 'rates' ({kind of training: rate}), 'choices' ({kind: {rate: mean
        improvement over the first rate, on validation}}), 'rows' of `summarise`, 'seeds' and
        'config'. None on all processes but the first.

    Raises:
        UserError: the config has no valid study, or its data no several tasks or no test split.

    >>> study = dict(strategies={}, sequence={}, rates=[], choosing=[])
    >>> compare_tasks({'seeds': [0], 'phases': {}, 'study': study}, Path('runs'))
    Traceback (most recent call last):
    tljax.core.UserError: a study of tasks needs two seeds or more, and a strategy or more: see ...
    """
    _refuse_no_study(config)
    setup = _setup(config, workdir)
    kinds = _trainings(setup, config['study'])
    fits = sum(len(trainings) for trainings in kinds.values())
    say(f'{fits} trainings of {len(config["seeds"])} seeds, after those that choose the rates')
    rates, choices = _rates(setup, config['study'], kinds)
    scores = {
        kind: {
            key: _scores(setup, kind, key, training, rates, 'test')
            for key, training in trainings.items()
        }
        for kind, trainings in kinds.items()
    }
    if jax.process_index():
        return None
    results = dict(
        tasks=_facts(setup),
        rates=rates,
        choices=choices,
        **summarise(scores, setup.tasks),
        seeds=config['seeds'],
        config=config,
    )
    write(workdir / 'results.json', json.dumps(results, indent=1) + '\n')
    page(workdir / 'report.html', 'Do the tasks help each other?', sections(results))
    return results


def _refuse_no_study(config: Config) -> None:
    """Refuses a config without a study of tasks."""
    study = config['study']
    if missing_keys := KEYS - set(study):
        raise UserError(
            f'study.{min(missing_keys)} is missing, which a study of tasks needs: see '
            'configs/multitask.py'
        )
    if len(config['seeds']) < 2 or not study['strategies']:
        raise UserError(
            'a study of tasks needs two seeds or more, and a strategy or more: see '
            'configs/multitask.py'
        )
    if taken := set(study['strategies']) & {*KINDS}:
        raise UserError(f'study.strategies.{min(taken)} is a kind of training: take another name')
    if common := set(config['seeds']) & set(study['choosing']):
        raise UserError(
            f'study.choosing has the seeds {abbreviated(sorted(common))} of the report: choose the '
            'rates on others'
        )
    if len(study['rates']) > 1 and not study['choosing']:
        raise UserError('study.rates: give study.choosing, the seeds that choose among them')


def _setup(config: Config, workdir: Path) -> Setup:
    """Loads the data of a study."""
    _, settings = phases(config)[-1]
    splits = build.splits_of(settings)
    train = splits['train']
    if not train.task.tasks or len(train.task.tasks) < 2:
        raise UserError("this data has a single task: give data=dict(name='joint_tasks', of=...)")
    if not {'validation', 'test'} <= set(splits):
        raise UserError(
            'a study of tasks chooses on a validation split and reports on a test split'
        )
    tasks, batches, is_known = train.task.by_name, {}, known(train.label)
    for count in (1, 2, len(tasks)):
        for names in itertools.combinations(tasks, count):
            examples = np.any([is_known[name] for name in names], 0).sum()
            labels = np.mean([is_known[name].sum() for name in names])
            batches[names] = round(settings['batch'] * examples / labels)
    return Setup(settings, tasks, batches, workdir)


def _trainings(setup: Setup, study: Config) -> dict[str, dict[Key, Training]]:
    """All trainings: {kind: {key: training}}; one rate is chosen for all trainings of a kind."""
    tasks = tuple(setup.tasks)
    return {
        'alone': {(task,): Training((task,)) for task in tasks},
        'together': {pair: Training(pair) for pair in itertools.combinations(tasks, 2)},
        'after': {  # the second task, after the first
            (a, b): Training((b,), study['sequence'], before=a)
            for a, b in itertools.permutations(tasks, 2)
        },
        **{
            strategy: {('all',): Training(tasks, changes)}
            for strategy, changes in study['strategies'].items()
        },
    }


def _rates(
    setup: Setup, study: Config, kinds: dict[str, dict[Key, Training]]
) -> tuple[dict[str, float], Record]:
    """The rate of each kind of training, and what chose it."""
    if len(study['rates']) < 2:
        rate = [*study['rates'], setup.settings['optim']['lr']][0]
        return {kind: rate for kind in kinds}, {}
    rates: dict[str, float] = {}
    choices = {}
    choosing = setup._replace(
        settings=merge(setup.settings, {'seeds': list(study['choosing'])}),
        workdir=setup.workdir / 'choice',
    )
    for kind, trainings in kinds.items():
        by_rate = {
            rate: [
                _scores(choosing, kind, key, training, {**rates, kind: rate}, 'validation')
                for key, training in trainings.items()
            ]
            for rate in study['rates']
        }
        first = by_rate[study['rates'][0]]
        means = {}
        for rate, scores in by_rate.items():
            pairs = zip(scores, first, strict=True)
            means[rate] = float(np.mean([improvement(*pair, setup.tasks) for pair in pairs]))
        rates[kind] = max(means, key=lambda rate: means[rate])
        choices[kind] = {str(rate): mean for rate, mean in means.items()}
    return rates, choices


def _scores(
    setup: Setup, kind: str, key: Key, training: Training, rates: dict[str, float], split: str
) -> Scores:
    """Trains, or loads what is trained, and returns the first score of every task.

    Args:
        setup: of the study.
        kind: kind of the training.
        key: key of the training.
        training: the training.
        rates: {kind: rate}.
        split: the split that is scored.
    """
    folder = _folder(setup, kind, key, rates)
    tasks = list(training.tasks)
    changes = {
        'data': {'name': 'chosen_tasks', 'of': setup.settings['data'], 'tasks': tasks},
        'batch': setup.batches[training.tasks],
        'optim': {'lr': rates[kind]},
    }
    if training.before:
        donor = _folder(setup, 'alone', (training.before,), rates)
        changes['init'] = {'path': str(donor)}
    settings = merge(merge(setup.settings, training.changes), changes)
    build.refuse_other_config(settings, folder)
    scores = fit(build.build(settings, f'{kind} {" ".join(key)}'), folder).scores
    return {
        task: _sign(setup.tasks[task])
        * np.array(scores[task_split(split, task)][first_score(setup.tasks[task])])
        for task in tasks
    }


def _folder(setup, kind, key, rates):
    return setup.workdir / 'cells' / '-'.join([kind, *key, f'{rates[kind]:g}'])


def _sign(task):
    """1 if more of the first score is better, otherwise -1."""
    return 1 if more_is_better(task) else -1


def _facts(setup: Setup) -> Record:
    """What results.json says of the tasks."""
    is_known = known(build.splits_of(setup.settings)['train'].label)
    return {
        name: dict(
            metric=first_score(task),
            more_is_better=more_is_better(task),
            labels=int(is_known[name].sum()),
        )
        for name, task in setup.tasks.items()
    }


def improvement(scores: Scores, baseline: Scores, tasks: dict[str, Task]) -> np.ndarray:
    """Returns the mean over tasks of score - baseline, (seeds,).

    If the scores are of different kinds, each difference is first divided by the baseline.

    Args:
        scores: {task: (seeds,)}, larger is better.
        baseline: the same of other trainings, perhaps of more tasks.
        tasks: {name: task}.

    >>> classes, numbers = Task.of(('a', 'b')), Task.of(())
    >>> scores, baseline = {'x': np.array([0.6]), 'y': np.array([-2.0])}, None
    >>> baseline = {'x': np.array([0.5]), 'y': np.array([-4.0])}
    >>> improvement(scores, baseline, {'x': classes, 'y': numbers}).round(2).tolist()
    [0.35]
    """
    relative = len({first_score(tasks[task]) for task in tasks}) > 1
    differences = []
    for task, values in scores.items():
        difference = values - baseline[task]
        differences.append(difference / np.abs(baseline[task]) if relative else difference)
    return np.mean(differences, 0)


def summarise(scores: dict[str, dict[Key, Scores]], tasks: dict[str, Task]) -> Record:
    """Returns the scores, gains and verdicts of a study.

    Args:
        scores: {kind of training: {key: scores}}: 'alone' by (task,), 'together' by (task, task),
            'after' by (first task, second task), and every strategy by ('all',).
        tasks: {name: task}.

    Returns:
        {'alone': {task: {'mean', 'ci95', 'values'}}, 'pairs': [{'task', 'other', 'how' ('together'
        or 'after'), 'gain'}], 'joint': [{'strategy', 'scores': {task: as in 'alone'}, 'gains':
        {task: gain}, 'mean': gain of the mean over tasks}], 'relative'}. A gain is {'mean', 'low',
        'high', 'p', 'verdict'}, positive if training alone is worse, in units of the score; 'mean'
        is of relative gains if 'relative' is True. The verdicts of 'pairs' are one family of
        Holm's correction, and so are those of 'joint'.

    >>> tasks = dict.fromkeys(('a', 'b'), Task.of(('x', 'y')))
    >>> alone = {('a',): {'a': np.array([0.5, 0.6])}, ('b',): {'b': np.array([0.5, 0.6])}}
    >>> both = {'a': np.array([0.6, 0.7]), 'b': np.array([0.5, 0.6])}
    >>> scores = {'alone': alone, 'together': {('a', 'b'): both}, 'after': {}}
    >>> for pair in summarise(scores, tasks)['pairs']:
    ...     print(
    ...         pair['task'], pair['other'], round(pair['gain']['mean'], 2), pair['gain']['verdict']
    ...     )
    a b 0.1 positive
    b a 0.0 none detected
    """
    alone = {task: scores['alone'][task,][task] for task in tasks}
    pairs, joint = [], []
    for how in ('together', 'after'):
        for key, by_task in scores[how].items():
            for task, values in by_task.items():
                (other,) = set(key) - {task}
                gain = transfer_gain(values, alone[task])
                pairs.append(dict(task=task, other=other, how=how, gain=gain))
    for strategy, by_key in scores.items():
        if strategy in KINDS:
            continue
        by_task = by_key['all',]
        change = improvement(by_task, alone, tasks)
        joint.append(
            dict(
                strategy=strategy,
                scores={task: _mean(values, tasks[task]) for task, values in by_task.items()},
                gains={task: transfer_gain(by_task[task], alone[task]) for task in tasks},
                mean=transfer_gain(change, np.zeros_like(change)),
            )
        )
    _judge([(pair, 'gain') for pair in pairs])
    places = [(row['gains'], task) for row in joint for task in tasks]
    _judge([*places, *((row, 'mean') for row in joint)])
    return dict(
        alone={task: _mean(values, tasks[task]) for task, values in alone.items()},
        pairs=pairs,
        joint=joint,
        relative=len({first_score(task) for task in tasks.values()}) > 1,
    )


def _judge(places: Sequence[tuple[Record, str]]) -> None:
    """Replaces gains by dicts with their verdicts, of one family.

    Args:
        places: pairs (dict, key of a gain in it).
    """
    judged = verdicts([place[key] for place, key in places])
    for (place, key), verdict in zip(places, judged, strict=True):
        place[key] = place[key]._asdict() | {'verdict': verdict}


def _mean(values, task):
    """Mean and interval of a score in its own direction."""
    values = _sign(task) * values
    mean, half = mean_interval(values)
    return dict(mean=mean, ci95=half, values=values.tolist())
