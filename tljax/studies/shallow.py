"""Compares methods of shallow domain adaptation over pairs of domains.

A method has a classifier, and it maps the features or weights the source's examples. Its gain is
measured over the same classifier trained on the unchanged source. No method and no hyper-parameter
is chosen by the target's labels.
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
METRIC = first_score(Task('classes'))
METHOD_KEYS = {'classifier', 'map', 'weights', 'by_task'}
Pair = tuple[str, str]  # source, target
ByCell = dict[tuple[str, Pair], Any]  # {(method, task): value}


def adapt(config: Config, workdir: Path) -> Record:
    """Runs every method on every task, and writes results.json and report.html.

    Args:
        config: plain dict, as `configs.base.shallow` describes it.
        workdir: folder of the study.

    Returns:
        The contents of results.json: 'rows' and 'chosen' of `summarise`, and 'config'.

    Raises:
        UserError: a task, a method or a domain does not fit.

    >>> adapt({'tasks': (), 'domains': {'a': {}}}, Path('runs'))
    Traceback (most recent call last):
    tljax.core.UserError: domains names 1 of them: adaptation needs two or more
    """
    tasks = _tasks(config['tasks'], list(config['domains']))
    methods = _methods(config['methods'])
    domains = domain_features(config)
    hits, scores, mapped_features = {}, {}, {}
    for task in progress(tasks, f'{len(methods)} methods on {len(tasks)} tasks'):
        (xs, ys), (xt, yt) = domains[task[0]].source, domains[task[1]].target
        for name, method in methods.items():
            zs, zt, probability, classes = _fit_and_predict(method, '-'.join(task), xs, ys, xt)
            hits[name, task] = classes[probability.argmax(1)] == yt
            scores[name, task] = {
                score: function(probability) for score, function in SCORES.items()
            }
            if task == tasks[0] and 'map' in method:
                mapped_features[name] = zs, zt
    results = summarise(hits, scores, methods, tasks) | {'config': config}
    write(workdir / 'results.json', json.dumps(results, indent=1) + '\n')
    figure = _figure(domains, tasks[0], mapped_features)
    page(workdir / 'report.html', 'Does adaptation help?', sections(results, figure))
    return results


def summarise(hits: ByCell, scores: ByCell, methods: Config, tasks: list[Pair]) -> Record:
    """Summarises the predictions: accuracies, gains, and the choice of each label-free score.

    Args:
        hits: {(method, task): (n,) whether the prediction for each target example is right}.
        scores: {(method, task): {label-free score: value}}.
        methods: {name: config of the method}.
        tasks: pairs (source, target).

    Returns:
        {'rows': [{'method', 'source', 'target', 'metric', 'mean', 'low', 'high'}], 'chosen':
        [{'score', 'mean', 'picks': {'source-target': method}}]}. Rows of a method that adapts also
        have 'gain', 'gain_low', 'gain_high' and 'verdict'.

    >>> methods = {'source only, svm': {'classifier': 'svm'}}
    >>> hits = {('source only, svm', ('a', 'b')): np.array([True, False])}
    >>> scores = {('source only, svm', ('a', 'b')): dict.fromkeys(SCORES, 0.0)}
    >>> summarise(hits, scores, methods, [('a', 'b')])['rows'][0]['mean']
    0.5
    """
    rows, gains = {}, {}
    for name, method in methods.items():
        baseline = source_only(method['classifier'])
        for task in tasks:
            values = hits[name, task]
            mean, low, high = proportion(values.sum(), len(values))
            rows[name, task] = dict(
                method=name,
                source=task[0],
                target=task[1],
                metric=METRIC,
                mean=float(mean),
                low=low,
                high=high,
            )
            if name != baseline:
                gain = transfer_gain(values.astype(float), hits[baseline, task].astype(float))
                gains[name, task] = gain
                rows[name, task].update(gain=gain.mean, gain_low=gain.low, gain_high=gain.high)
    for cell, verdict in zip(gains, verdicts(list(gains.values())), strict=True):
        rows[cell]['verdict'] = verdict
    return dict(rows=list(rows.values()), chosen=_choices(rows, scores, methods, tasks))


def _choices(rows: ByCell, scores: ByCell, methods: Config, tasks: list[Pair]) -> list[Record]:
    """Returns the method that each label-free score chooses for each task.

    A nearest neighbour predicts every class with probability 1, so that these scores cannot grade
    it: its methods are no candidates where there are others.

    Args:
        rows: {(method, task): row with its 'mean'}.
        scores: {(method, task): {label-free score: value}}.
        methods: {name: config of the method}.
        tasks: pairs (source, target).
    """
    candidates = [name for name, method in methods.items() if method['classifier'] != 'nearest']
    candidates = candidates or list(methods)
    values = {
        score: np.array([[scores[name, task][score] for name in candidates] for task in tasks])
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
        for row in choices_by_score(values, candidates, truth, list(methods))
    ]


def source_only(classifier: str) -> str:
    """Returns the name of the baseline of a classifier, which is trained on the unchanged source.

    Args:
        classifier: one of `CLASSIFIERS`.

    >>> source_only('nearest')
    'source only, nearest'
    """
    return f'source only, {classifier}'


def _tasks(names: Sequence[str], domains: Sequence[str]) -> list[Pair]:
    """Returns the pairs (source, target) of the named tasks, or of all tasks without names."""
    if len(domains) < 2:
        raise UserError(f'domains names {len(domains)} of them: adaptation needs two or more')
    tasks = {
        f'{source}-{target}': (source, target)
        for source in domains
        for target in domains
        if source != target
    }
    for name in names:
        if name not in tasks:
            raise UserError(
                f'tasks={name!r} is no source-target of this config: {nearest_name(name, tasks)}'
            )
    return [tasks[name] for name in names or tasks]


def _methods(methods: Config) -> Config:
    """Returns the methods of a config after the source-only baselines of their classifiers."""
    for name, method in methods.items():
        for key in set(method) - METHOD_KEYS:
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
                f'methods.{name}: a nearest neighbour cannot use weights: take logistic or svm'
            )
    classifiers = dict.fromkeys(method['classifier'] for method in methods.values())
    return {**{source_only(name): {'classifier': name} for name in classifiers}, **methods}


def _fit_and_predict(
    method: Config, task: str, xs: np.ndarray, ys: np.ndarray, xt: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Trains a method's classifier on the source, and predicts the target.

    Args:
        method: config of the method.
        task: 'source-target'.
        xs: features of the source (ns, d).
        ys: labels of the source (ns,).
        xt: features of the target (nt, d).

    Returns:
        Mapped features of source and target, probabilities of the target's classes (nt, c), and
        the classes (c,).
    """
    zs, zt = _map_features(method, task, xs, ys, xt)
    keywords = {}
    if 'weights' in method:
        keywords['sample_weight'] = call_named(
            'tljax.shallow.instance', method['weights'], 'weights', xs=xs, xt=xt
        )
    classifier = CLASSIFIERS[method['classifier']]()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', ConvergenceWarning)
        classifier.fit(zs, ys, **keywords)
    return zs, zt, _probabilities(classifier, zt), np.asarray(classifier.classes_)


def _map_features(
    method: Config, task: str, xs: np.ndarray, ys: np.ndarray, xt: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the features of source and target as a method's map makes them, if it has a map."""
    if 'map' not in method:
        return xs, xt
    spec = {**method['map'], **method.get('by_task', {}).get(task, {})}
    function = getattr(mapping, spec['name'], None)  # `call_named` refuses an unknown name
    labels = {}
    if function and 'ys' in inspect.signature(function).parameters:
        labels['ys'] = ys
    return call_named('tljax.shallow.mapping', spec, 'map', xs=xs, xt=xt, **labels)


def _probabilities(classifier: Classifier, x: np.ndarray) -> np.ndarray:
    """Returns probabilities (n, c); those of an SVM are the softmax of its margins."""
    if not isinstance(classifier, LinearSVC):
        return np.asarray(classifier.predict_proba(x))
    margin = classifier.decision_function(x)
    return softmax(np.stack([-margin, margin], 1) / 2 if margin.ndim == 1 else margin, 1)


def _figure(domains: dict[str, Domain], task: Pair, mapped_features: Record) -> str:
    """Draws source and target of a task: their own features, and those of each map."""
    (xs, ys), (xt, _) = domains[task[0]].source, domains[task[1]].target
    return svg(two_domains({'as they are': (xs, xt), **mapped_features}, ys))
