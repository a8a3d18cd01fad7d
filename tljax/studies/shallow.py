"""Shallow domain adaptation: every method beside the source alone, over pairs of domains.

A method has a classifier, and a map or weights of the features; its gain is over the same
classifier on the source as it is. The target's labels choose nothing.
"""

import inspect
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

from tljax.configuration import call_named, nearest_name
from tljax.core import Task, UserError
from tljax.engine.scores import first_score, proportion
from tljax.files.console import progress
from tljax.files.text import write
from tljax.protocols import Config, Record
from tljax.report.drawing import svg
from tljax.report.figures import two_domains
from tljax.report.page import page
from tljax.shallow import mapping
from tljax.studies.choices import choices_by_score
from tljax.studies.domain_features import Domain, domain_features
from tljax.studies.shallow_report import sections
from tljax.when.gain import transfer_gain, verdicts
from tljax.when.selection import SCORES

Classifier = KNeighborsClassifier | LogisticRegression | LinearSVC
CLASSIFIERS: dict[str, Callable[[], Classifier]] = {
    'nearest': lambda: KNeighborsClassifier(1),
    'logistic': lambda: LogisticRegression(max_iter=1000),
    'svm': lambda: LinearSVC(dual='auto'),
}
METRIC = first_score(Task('classes'))  # a classifier is scored
KEYS = {'classifier', 'map', 'weights', 'by_task'}  # of a method
Pair = tuple[str, str]  # source, target
OfCells = dict[tuple[str, Pair], Any]  # {(method, task): what was measured}


def adapt(config: Config, workdir: Path) -> Record:
    """Runs every method on every task, and writes results.json and report.html.

    Args:
        config: plain dict, as `configs.base.shallow` describes it.
        workdir: folder of the study.

    Returns:
        What results.json holds: 'rows' and 'chosen' (of `summarise`), and 'config'.

    Raises:
        UserError: for tasks, methods and domains that do not fit.

    >>> adapt({'tasks': (), 'domains': {'a': {}}}, Path('runs'))
    Traceback (most recent call last):
    tljax.core.UserError: domains has 1 of them: adaptation needs two or more
    """
    tasks = _tasks(config['tasks'], list(config['domains']))
    methods = _methods(config['methods'])
    domains = domain_features(config)
    right, scores, mapped = {}, {}, {}
    for task in progress(tasks, f'{len(methods)} methods on {len(tasks)} tasks'):
        (xs, ys), (xt, yt) = domains[task[0]].source, domains[task[1]].target
        for name, method in methods.items():
            zs, zt, probability, classes = _adapted(method, '-'.join(task), xs, ys, xt)
            right[name, task] = classes[probability.argmax(1)] == yt
            scores[name, task] = {
                score: function(probability) for score, function in SCORES.items()
            }
            if task == tasks[0] and 'map' in method:
                mapped[name] = zs, zt
    results = summarise(right, scores, methods, tasks) | {'config': config}
    write(workdir / 'results.json', json.dumps(results, indent=1) + '\n')
    figure = _figure(domains, tasks[0], mapped)
    page(workdir / 'report.html', 'Does adaptation help?', sections(results, figure))
    return results


def summarise(right: OfCells, scores: OfCells, methods: Config, tasks: list[Pair]) -> Record:
    """What results.json holds of the answers.

    Args:
        right: {(method, task): whether each example of the target is told right}.
        scores: {(method, task): {score without labels: value}}.
        methods: {name: its config}.
        tasks: pairs (source, target).

    Returns:
        {'rows': [{'method', 'source', 'target', 'metric', 'mean', 'low', 'high', and except for the
        source alone 'gain', 'gain_low', 'gain_high', 'verdict'}], 'chosen': [{'score', 'mean',
        'picks': {'source-target': method}}]}.

    >>> methods = {'source only, svm': {'classifier': 'svm'}}
    >>> answers = {('source only, svm', ('a', 'b')): np.array([True, False])}
    >>> scores = {('source only, svm', ('a', 'b')): dict.fromkeys(SCORES, 0.0)}
    >>> summarise(answers, scores, methods, [('a', 'b')])['rows'][0]['mean']
    0.5
    """
    rows, gains = {}, {}
    for name, method in methods.items():
        alone = source_only(method['classifier'])
        for task in tasks:
            answers = right[name, task]
            mean, low, high = proportion(answers.sum(), len(answers))
            rows[name, task] = dict(
                method=name,
                source=task[0],
                target=task[1],
                metric=METRIC,
                mean=float(mean),
                low=low,
                high=high,
            )
            if name != alone:
                gain = transfer_gain(answers.astype(float), right[alone, task].astype(float))
                gains[name, task] = gain
                rows[name, task].update(gain=gain.mean, gain_low=gain.low, gain_high=gain.high)
    for cell, verdict in zip(gains, verdicts(list(gains.values())), strict=True):
        rows[cell]['verdict'] = verdict
    return dict(rows=list(rows.values()), chosen=_chosen(rows, scores, methods, tasks))


def _chosen(rows: OfCells, scores: OfCells, methods: Config, tasks: list[Pair]) -> list[Record]:
    """What each score would have chosen for each task, among classifiers that are not always
    sure."""
    graded = [name for name, method in methods.items() if method['classifier'] != 'nearest']
    graded = graded or list(methods)
    values = {
        score: np.array([[scores[name, task][score] for name in graded] for task in tasks])
        for score in SCORES
    }
    truth = np.array([[rows[name, task]['mean'] for name in methods] for task in tasks])
    names = ['-'.join(task) for task in tasks]
    return [
        dict(
            score=row['score'],
            mean=float(np.mean(row['values'])),
            picks=dict(zip(names, row['picks'], strict=True)),
        )
        for row in choices_by_score(values, graded, truth, list(methods))
    ]


def source_only(classifier: str) -> str:
    """The name of a classifier that is trained on the source as it is.

    Args:
        classifier: one of `CLASSIFIERS`.

    >>> source_only('nearest')
    'source only, nearest'
    """
    return f'source only, {classifier}'


def _tasks(asked: Sequence[str], domains: Sequence[str]) -> list[Pair]:
    if len(domains) < 2:
        raise UserError(f'domains has {len(domains)} of them: adaptation needs two or more')
    tasks = {
        f'{source}-{target}': (source, target)
        for source in domains
        for target in domains
        if source != target
    }
    for task in asked:
        if task not in tasks:
            raise UserError(
                f'tasks={task!r} is no source-target of this config: {nearest_name(task, tasks)}'
            )
    return [tasks[task] for task in asked or tasks]


def _methods(methods: Config) -> Config:
    """The methods, each classifier on the source alone ahead of them."""
    for name, method in methods.items():
        for key in set(method) - KEYS:
            raise UserError(
                f'methods.{name}.{key} is unknown: a method has a classifier, and a map, with '
                'by_task, or weights'
            )
        if method['classifier'] not in CLASSIFIERS:
            raise UserError(
                f'methods.{name}.classifier={method["classifier"]!r}: '
                f'{nearest_name(method["classifier"], CLASSIFIERS)}'
            )
        if 'weights' in method and method['classifier'] == 'nearest':
            raise UserError(
                f'methods.{name}: a nearest neighbour has no use for weights: take logistic or svm'
            )
    used = dict.fromkeys(method['classifier'] for method in methods.values())
    return {**{source_only(name): {'classifier': name} for name in used}, **methods}


def _adapted(method: Config, task: str, xs: np.ndarray, ys: np.ndarray, xt: np.ndarray) -> tuple:
    """Mapped rows of source and target, probabilities of the target's (nt, c), classes (c,)."""
    zs, zt, keywords = xs, xt, {}
    if 'map' in method:
        spec = {**method['map'], **method.get('by_task', {}).get(task, {})}
        function = getattr(
            mapping, spec['name'], lambda: None
        )  # `call_named` refuses an unknown name
        labels = {'ys': ys} if 'ys' in inspect.signature(function).parameters else {}
        zs, zt = call_named('tljax.shallow.mapping', spec, 'map', xs=xs, xt=xt, **labels)
    if 'weights' in method:
        keywords['sample_weight'] = call_named(
            'tljax.shallow.instance', method['weights'], 'weights', xs=xs, xt=xt
        )
    classifier = CLASSIFIERS[method['classifier']]()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', ConvergenceWarning)
        classifier.fit(zs, ys, **keywords)
    return zs, zt, _probabilities(classifier, zt), classifier.classes_


def _probabilities(classifier: Classifier, x: np.ndarray) -> np.ndarray:
    if not isinstance(classifier, LinearSVC):
        return np.asarray(classifier.predict_proba(x))
    margin = classifier.decision_function(x)
    return softmax(np.stack([-margin, margin], 1) / 2 if margin.ndim == 1 else margin, 1)


def _figure(domains: dict[str, Domain], task: Pair, mapped: Record) -> str:
    """Source and target of a task, as they are and as each map makes them."""
    (xs, ys), (xt, _) = domains[task[0]].source, domains[task[1]].target
    return svg(two_domains({'as they are': (xs, xt), **mapped}, ys))
