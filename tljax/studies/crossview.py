"""Transfer between feature spaces: do labels of one space help in another?

With `pairs`, a draw takes examples that both spaces have at random: some are labelled, and only in
the source; others are pairs without labels. No example is both. Methods map both spaces into a
common one, where a classifier of the source's labels predicts the target, or predict it otherwise.
Their rivals are the same classifier on as many target labels, and on labels that are copied over
the pairs. Without pairs, a draw labels a few target examples of each class, and methods learn from
these and the labels of all other source examples. All see the same draw: differences are paired.

What a method is given follows from its arguments, which `tljax.studies.crossview_draws` names.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from tljax.configuration import bind_named, takes_keyword
from tljax.core import Task, UserError, nearest_name
from tljax.engine.scores import first_score
from tljax.files.console import progress
from tljax.files.text import write
from tljax.protocols import Config, Record
from tljax.report.drawing import svg
from tljax.report.figures import two_domains
from tljax.report.page import page
from tljax.shallow.pairs import Views, copied_labels, found_pairs, unit_rows
from tljax.studies.crossview_draws import GIVEN, Draw, Sides, draw, loaded
from tljax.studies.crossview_report import sections
from tljax.when.gain import mean_interval, share_interval, transfer_gain, verdicts

SHALLOW = 'tljax.shallow'
METRIC = first_score(Task('classes'))
DUAL: Any = True  # scikit-learn's stubs know texts alone
CLASSIFIERS: dict[str, Callable[[float], Any]] = {
    'logistic': lambda c: LogisticRegression(C=c, max_iter=2000),
    'svm': lambda c: LinearSVC(C=c, dual=DUAL, max_iter=20_000, random_state=0),
}
OWN, COPIED, SHARED = 'target labels', 'labels copied over pairs', 'source classifier'
Answer = tuple[np.ndarray, float | None]  # predictions, and the share of pairs that are found


def transfer(config: Config, workdir: Path) -> Record:
    """Runs all draws of all tasks, and writes results.json and report.html.

    Args:
        config: plain dict, as `configs/languages.py` and `configs/by_labels.py` describe it.
        workdir: folder of the study.

    Returns:
        The results of `summarise`, and 'config'.

    Raises:
        UserError: a method, a number or a data set does not fit.

    >>> transfer({'seeds': [5]}, Path('runs'))
    Traceback (most recent call last):
    tljax.core.UserError: seeds=[5]: intervals need two draws or more
    """
    _refuse_settings(config)
    answers: dict[tuple[str, str], list[Answer]] = {}
    truth: dict[str, list[np.ndarray]] = {}
    pictures = {}
    for task in progress(list(config['tasks']), f'{len(config["seeds"])} draws of each task'):
        sides = loaded(config['tasks'][task], task, config['split'])
        for seed in config['seeds']:
            one = draw(sides, config, seed, task)
            truth.setdefault(task, []).append(one.y)
            for name, answer in _rivals(config, sides, one).items():
                answers.setdefault((task, name), []).append(answer)
            for name, spec in config['methods'].items():
                answer, mapped = _answer(config, name, spec, one)
                answers.setdefault((task, name), []).append(answer)
                if mapped and len(truth) == 1:
                    pictures.setdefault(name, (mapped, one.ys))
    results = summarise(answers, truth, list(config['methods'])) | {'config': config}
    write(workdir / 'results.json', json.dumps(results, indent=1) + '\n')
    title = 'Do labels of another feature space help?'
    page(workdir / 'report.html', title, sections(results, _figure(pictures)))
    return results


def summarise(
    answers: dict[tuple[str, str], list[Answer]],
    truth: dict[str, list[np.ndarray]],
    methods: list[str],
) -> Record:
    """Summarises the answers of all draws: scores, pairs that were found, gains with verdicts.

    Args:
        answers: {(task, rival or method): [(predictions (n,), share of found pairs or None) of each
            draw]}.
        truth: {task: [labels (n,) of each draw]}.
        methods: names that are methods; all others are their rivals.

    Returns:
        {'rows': [{'task', 'method', 'metric', 'values' by draw, 'mean', 'ci95', 'found' [mean, half
        width] or None}], 'gains': [{'task', 'method', 'over', 'mean', 'low', 'high', 'verdict'}]}.
        Half widths and intervals are of 95 %; verdicts are corrected over all gains.

    >>> y, right, wrong = np.array([0, 1]), np.array([0, 1]), np.array([1, 1])
    >>> answers = {('a', 'target labels'): [(wrong, None)] * 2, ('a', 'lsi'): [(right, 0.5)] * 2}
    >>> results = summarise(answers, {'a': [y, y]}, ['lsi'])
    >>> [(row['method'], row['mean']) for row in results['rows']]
    [('target labels', 0.5), ('lsi', 1.0)]
    >>> [(gain['over'], gain['mean'], gain['verdict']) for gain in results['gains']]
    [('target labels', 0.5, 'positive')]
    """
    scores = {
        (task, name): [
            float((predictions == y).mean())
            for (predictions, _), y in zip(found, truth[task], strict=True)
        ]
        for (task, name), found in answers.items()
    }
    rows = []
    for (task, name), values in scores.items():
        mean, half = share_interval(values)
        found = [share for _, share in answers[task, name] if share is not None]
        rows.append(
            dict(
                task=task,
                method=name,
                metric=METRIC,
                values=values,
                mean=mean,
                ci95=half,
                found=mean_interval(found) if found else None,
            )
        )
    gains = {
        (task, name, rival): transfer_gain(values, scores[task, rival])
        for (task, name), values in scores.items()
        if name in methods
        for other, rival in scores
        if other == task and rival not in methods
    }
    return dict(
        rows=rows,
        gains=[
            dict(
                task=task,
                method=name,
                over=rival,
                mean=gain.mean,
                low=gain.low,
                high=gain.high,
                verdict=verdict,
            )
            for ((task, name, rival), gain), verdict in zip(
                gains.items(), verdicts(list(gains.values())), strict=True
            )
        ],
    )


def _answer(config: Config, name: str, spec: Config, one: Draw) -> tuple[Answer, Any]:
    """Predictions of a method for the target, and the mapped rows of both spaces or None."""
    made = bind_named(SHALLOW, spec, f'methods.{name}', *GIVEN)(**one.given(spec))
    if not isinstance(made, Views):
        return (
            made.predict(one.own.x if takes_keyword(SHALLOW, spec['name'], 'yt') else one.x),
            None,
        ), None
    zs, zt = unit_rows(made.source(one.xs)), unit_rows(made.target(one.x))
    classifier = CLASSIFIERS[config['classifier']](config['strength']).fit(zs, one.ys)
    found = None if one.halves is None else found_pairs(made.source(one.halves), zt)
    return (classifier.predict(zt), found), (zs, zt)


def _rivals(config: Config, sides: Sides, one: Draw) -> dict[str, Answer]:
    """Predictions of the rivals for the target."""
    learner = CLASSIFIERS[config['classifier']](config['rival_strength'])
    own = one.own
    rivals = {OWN: learner.fit(own.xt, own.yt).predict(own.x)}
    if config['pairs']:
        rivals[COPIED] = copied_labels(learner, one.xs, one.ys, one.ps, one.pt)(one.x)
    if one.shared is not None:
        rivals[SHARED] = learner.fit(one.xs, one.ys).predict(one.shared)
    return {name: (predictions, None) for name, predictions in rivals.items()}


def _figure(pictures: dict[str, Any]) -> str:
    """A drawing of both spaces in the common one, in the first draw of the first task; or ''."""
    if not pictures:
        return ''
    label = next(iter(pictures.values()))[1]
    return svg(two_domains({name: mapped for name, (mapped, _) in pictures.items()}, label))


def _refuse_settings(config: Config) -> None:
    """Refuses settings that no draw can have."""
    if len(set(config['seeds'])) < 2:
        raise UserError(f'seeds={config["seeds"]}: intervals need two draws or more')
    name = config['classifier']
    if name not in CLASSIFIERS:
        raise UserError(f'classifier={name!r} is unknown: {nearest_name(name, CLASSIFIERS)}')
    for key in ('strength', 'rival_strength'):
        if not 0 < config[key] < np.inf:
            raise UserError(f'{key}={config[key]}: give a positive number')
    for key in ('tasks', 'methods'):
        if not config[key]:
            raise UserError(f'{key} is empty: name one or more')
    for method, spec in config['methods'].items():
        rival = {OWN, COPIED, SHARED} & {method}
        if rival:
            raise UserError(f'methods.{method} has the name of a rival: give it another')
        bind_named(SHALLOW, spec, f'methods.{method}', *GIVEN)
        if takes_keyword(SHALLOW, spec['name'], 'ps') and not config['pairs']:
            raise UserError(
                f'methods.{method}: {spec["name"]} learns from pairs, and pairs=0: give pairs, or '
                'take a method by labels, such as hfa'
            )
