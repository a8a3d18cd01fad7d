"""A transfer study: does it help, from how few labels, by which strategy?

Phases before the last are trained once; the last is repeated for every strategy and number of
labels per class of the config's `study`, over all seeds. Gains are paired by seed
(`tljax.when.gain`).
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from tljax import build
from tljax.configuration import folder, merge, phases
from tljax.core import UserError
from tljax.data.summary import unbalanced
from tljax.engine.scores import MEAN_CLASS
from tljax.engine.train import fit
from tljax.files.console import say
from tljax.files.text import write
from tljax.paths import Group
from tljax.protocols import Config, Record
from tljax.report.drawing import svg
from tljax.report.figures import two_domains
from tljax.report.page import page
from tljax.studies.choices import choices_by_score
from tljax.studies.comparison_report import sections
from tljax.studies.label_free import Judgement, judge
from tljax.studies.tables import budget_text, data
from tljax.when.gain import labels_needed, share_interval, transfer_gain, verdicts
from tljax.when.label_efficiency import fit_curve, labels_for

Cell = tuple[str, int | None]  # a strategy, and labels per class


class Measured(NamedTuple):
    """What the cells of a study have reached.

    Attributes:
        metric: name of the score.
        values: {(strategy, labels per class): score on the test split by seed}.
        judgements: the same for what is told without the target's labels; {} without a target.
        one_source: whether one network was transferred, rather than one for each seed.
        labelled: whether the values are of a test split, rather than of the source's validation
            split where the target has no labels.
        transferred: {strategy: groups of parameters, where they come from and how fast they move}.
        mean_class: the same as `values` for the mean over classes; {} where these are balanced.

    >>> Measured('accuracy', {('scratch', 5): np.array([0.6, 0.8])}, {}, one_source=False).values[
    ...     'scratch', 5
    ... ].mean()
    np.float64(0.7)
    """

    metric: str
    values: dict[Cell, np.ndarray]
    judgements: dict[Cell, Judgement]
    one_source: bool
    labelled: bool = True
    transferred: dict[str, Sequence[Group]] = {}  # noqa: RUF012
    mean_class: dict[Cell, np.ndarray] = {}  # noqa: RUF012


def compare(config: Config, workdir: Path) -> Record | None:
    """Runs a study, or goes on where it was cut off, and writes results.json and report.html.

    Args:
        config: plain dict, as `configs/base.py` describes it; of one seed it makes three.
        workdir: folder of the study.

    Returns:
        What results.json holds: 'rows' (of `summarise`), 'labelled' (whether they are of a test
        split), 'chosen' (of `chosen_by_budget`),
        'transferred' ({strategy: groups of parameters}), 'goal',
        'labels_for_goal', 'labels_for_goal_by_curve', 'seeds', 'intervals_cover' and 'config'.
        None on all processes but the first.

    Raises:
        UserError: for a config without a study, and data that has no test split with classes.

    >>> study = dict(strategies={}, budgets=[], baseline='scratch')
    >>> compare({'seeds': [0, 1], 'phases': {}, 'study': study}, Path('runs'))
    Traceback (most recent call last):
    tljax.core.UserError: a study needs two seeds or more, budgets, and its baseline among its ...
    """
    config = _of_several_seeds(config)
    *earlier, (_, last) = phases(config)
    study = config['study']
    strategies, budgets = study['strategies'], study['budgets']
    if len(last['seeds']) < 2 or study['baseline'] not in strategies or not budgets:
        raise UserError(
            'a study needs two seeds or more, budgets, and its baseline among its strategies: see '
            'configs/digits.py'
        )
    wrong = [k for k in budgets if k is not None and (type(k) is not int or k < 1)]
    if wrong or len(set(budgets)) < len(budgets):
        raise UserError(
            f'study.budgets={tuple(budgets)}: give labels per class, each 1 or more or None for '
            'all, none twice'
        )
    measured = _measure(earlier, last, study, workdir)
    if jax.process_index():
        return None
    transferred = {
        strategy: [group._asdict() for group in groups]
        for strategy, groups in measured.transferred.items()
    }
    results = summarise(measured, config) | {
        'chosen': chosen_by_budget(measured),
        'transferred': transferred,
    }
    write(workdir / 'results.json', json.dumps(results, indent=1) + '\n')
    domains = {
        f'{name}, {budget_text(k)}': judgement.features
        for (name, k), judgement in measured.judgements.items()
    }
    figure = None
    if domains:
        figure = svg(two_domains(domains, next(iter(measured.judgements.values())).label))
    named = [folder(workdir, [each for each, _ in earlier], name) for name, _ in earlier]
    told = data([*named, *(_place(workdir, *cell) for cell in measured.values)])
    page(workdir / 'report.html', 'Does transfer help?', sections(results, figure, told))
    return results


def _of_several_seeds(config: Config) -> Record:
    """A config of one seed with three: gains of a single seed have no interval."""
    if len(config['seeds']) != 1:
        return config
    first, study = config['seeds'][0], config['study']
    seeds, fits = [first, first + 1, first + 2], len(study['strategies']) * len(study['budgets'])
    say(
        f'one seed has no interval: the study takes the seeds {", ".join(map(str, seeds))}, '
        f'{3 * fits} trainings in all after those of earlier phases; name others by '
        f'--config.seeds="({first},{first + 1})"'
    )
    return config | {'seeds': seeds}


def _measure(earlier: list, last: Record, study: Config, workdir: Path) -> Measured:
    """Trains every cell of a study.

    Args:
        earlier: the phases before the last, [(name, config)].
        last: config of the last phase.
        study: strategies and budgets.
        workdir: folder of the study.
    """
    cells = {
        (strategy, k): merge(merge(last, changes, f'study.strategies.{strategy}'), {'per_class': k})
        for strategy, changes in study['strategies'].items()
        for k in study['budgets']
    }
    names = [name for name, _ in earlier]
    places = {folder(workdir, names, name): settings for name, settings in earlier}
    places |= {_place(workdir, *cell): settings for cell, settings in cells.items()}
    for place, settings in places.items():
        build.refuse_other_config(settings, place)
    splits = build.load(last['data'])
    if 'target' in splits and 'validation' not in splits:
        raise UserError(
            'the source has no validation split, which a study of adaptation judges by: name '
            'another as data.source'
        )
    build.fit_phases(earlier, workdir)
    values, judgements, transferred, donors, metric, labelled = {}, {}, {}, set(), '', True
    mean_class, accuracy_alone = {}, not unbalanced(splits['train'])
    for i, ((strategy, k), settings) in enumerate(cells.items()):
        donor = build.donor(settings, workdir, names)
        run = build.build(settings, f'{i + 1}/{len(cells)} {strategy}, {budget_text(k)}', donor)
        labelled = 'test' in run.evals
        if not run.classes or not (labelled or 'target' in splits):
            raise UserError(
                'a study compares scores on a test split: give data with classes and a test split'
            )
        donors.add(run.donors)
        transferred[strategy] = run.transferred
        fitted = fit(run, _place(workdir, strategy, k))
        split = 'test' if labelled else 'validation'
        metric = next(iter(fitted.scores[split]))
        values[strategy, k] = np.array(fitted.scores[split][metric])
        if not accuracy_alone and labelled and MEAN_CLASS in fitted.scores[split]:
            mean_class[strategy, k] = np.array(fitted.scores[split][MEAN_CLASS])
        if 'target' in splits:
            judgements[strategy, k] = judge(settings, fitted, splits)
    return Measured(metric, values, judgements, 1 in donors, labelled, transferred, mean_class)


def _place(workdir: Path, strategy: str, k: int | None) -> Path:
    return workdir / 'cells' / f'{strategy}-{k or "all"}'


def summarise(measured: Measured, config: Config) -> Record:
    """What results.json holds of the measured values.

    Args:
        measured: values of all cells.
        config: of the study.

    Returns:
        As `compare`, without 'chosen'. A row is {'strategy', 'labels_per_class', 'metric', 'mean',
        'ci95' (half width; None over two seeds), 'mean_class_accuracy' ({'mean', 'ci95', 'values'},
        where the classes are unbalanced), 'gain_mean', 'gain_low', 'gain_high', 'p',
        'verdict' (these five are None for the baseline), 'values' by seed}.

    >>> values = {('scratch', 5): np.array([0.5, 0.6]), ('frozen', 5): np.array([0.7, 0.8])}
    >>> study = dict(baseline='scratch', budgets=[5], strategies=dict(scratch={}, frozen={}))
    >>> measured = Measured('accuracy', values, {}, True)
    >>> rows = summarise(measured, dict(study=study, seeds=[0, 1]))['rows']
    >>> [(row['strategy'], round(row['mean'], 2), row['verdict']) for row in rows]
    [('scratch', 0.55, None), ('frozen', 0.75, 'positive')]
    """
    values, study = measured.values, config['study']
    baseline, budgets = study['baseline'], study['budgets']
    compared = [cell for cell in values if cell[0] != baseline and measured.labelled]
    paired = {cell: transfer_gain(values[cell], values[baseline, cell[1]]) for cell in compared}
    found = dict(zip(compared, verdicts([paired[cell] for cell in compared]), strict=True))
    rows = []
    for cell, by_seed in values.items():
        (mean, half), gain = share_interval(by_seed), paired.get(cell)
        if gain:  # scores of classes lie between 0 and 1
            gain = gain._replace(low=max(gain.low, -1.0), high=min(gain.high, 1.0))
        rows.append(
            dict(
                strategy=cell[0],
                labels_per_class=cell[1],
                metric=measured.metric,
                mean=mean,
                ci95=half,
                gain_mean=gain and gain.mean,
                gain_low=gain and gain.low,
                gain_high=gain and gain.high,
                p=gain and gain.p,
                verdict=found.get(cell),
                values=by_seed.tolist(),
            )
        )
        if cell in measured.mean_class:
            mean, half = share_interval(measured.mean_class[cell])
            rows[-1][MEAN_CLASS] = dict(
                mean=mean, ci95=half, values=measured.mean_class[cell].tolist()
            )
    goal = 0.9 * float(values[baseline, None if None in budgets else max(budgets)].mean())
    needed, by_curve = {}, {}
    for strategy in study['strategies']:
        means = [row['mean'] for row in rows if row['strategy'] == strategy]
        needed[strategy] = labels_needed(budgets, means, goal)
        by_curve[strategy] = _by_curve([k for k in budgets if k], values, strategy, goal)
    return dict(
        rows=rows,
        labelled=measured.labelled,
        goal=goal,
        labels_for_goal=needed,
        labels_for_goal_by_curve=by_curve,
        seeds=config['seeds'],
        config=config,
        intervals_cover=(
            'seeds of the target run only: they hold for the one source network trained'
            if measured.one_source
            else 'seeds of the target run and of the source, one source network per seed'
        ),
    )


def _by_curve(
    budgets: list[int], values: dict[Cell, np.ndarray], strategy: str, goal: float
) -> str:
    """The labels per class that a fitted learning curve needs for the goal.

    'VALUE (LOW to HIGH)', at 95 %, or why there is none.
    """
    try:
        curve = fit_curve(budgets, [values[strategy, k] for k in budgets])
        found = labels_for(curve, goal)
    except UserError as refused:
        return str(refused).partition(':')[0]
    value, low, high = (f'{each:.1f}' if np.isfinite(each) else 'never' for each in found[:3])
    beyond = ', beyond what was measured' if found.extrapolated else ''
    return f'{value} ({low} to {high}){beyond}'


def chosen_by_budget(measured: Measured) -> Record:
    """What each label-free score would have chosen among the strategies, seed by seed.

    Args:
        measured: values of all cells, and what is told without labels.

    Returns:
        {'rows': [{'score', 'labels_per_class', 'picks', 'mean', 'ci95'}], 'scores': {cell: {score:
        values by seed}}, 'proxy_a_distance': {cell: values by seed}}; the oracle, which sees the
        test's labels, is the last score. Without labels there is none, and no 'mean' and 'ci95'.

    >>> chosen_by_budget(Measured('accuracy', {}, {}, True))
    {'rows': [], 'scores': {}, 'proxy_a_distance': {}}
    """
    rows, judgements = [], measured.judgements
    for k in dict.fromkeys(k for _, k in judgements):
        names = [strategy for strategy, budget in judgements if budget == k]
        first = judgements[names[0], k]
        scores = {
            score: np.array([judgements[name, k].scores[score] for name in names]).T
            for score in first.scores
        }
        truth = np.array([measured.values[name, k] for name in names]).T
        for row in choices_by_score(scores, names, truth if measured.labelled else None):
            mean, half = share_interval(row['values']) if measured.labelled else (None, None)
            rows.append(
                dict(
                    score=row['score'], labels_per_class=k, picks=row['picks'], mean=mean, ci95=half
                )
            )
    cells = {f'{name}, {budget_text(k)}': each for (name, k), each in judgements.items()}
    return dict(
        rows=rows,
        scores={name: each.scores for name, each in cells.items()},
        proxy_a_distance={name: each.distances for name, each in cells.items()},
    )
