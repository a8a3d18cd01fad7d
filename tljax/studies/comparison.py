"""A transfer study: whether transfer helps, from how few labels, and by which strategy.

The phases before the last are trained once. The last phase is trained for every strategy and every
number of labels per class in the config's `study`, over all seeds. Gains are paired by seed
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
from tljax.report.page import page
from tljax.studies.choices import choices_by_score
from tljax.studies.comparison_report import sections
from tljax.studies.label_free import Judgement, judge
from tljax.studies.tables import budget_text, data
from tljax.when.gain import labels_needed, share_interval, transfer_gain, verdicts
from tljax.when.label_efficiency import fit_curve, labels_for

Cell = tuple[str, int | None]  # a strategy, and labels per class


class Measured(NamedTuple):
    """Scores of the cells of a study.

    Attributes:
        metric: name of the score.
        values: {(strategy, labels per class): score on the test split by seed}.
        judgements: {(strategy, labels per class): label-free scores}; {} without a target domain.
        one_source: True if all seeds start from one source network, False if each seed has its own.
        labelled: True if `values` are of a test split. False if the target has no labels; then
            `values` are of the source's validation split.
        transferred: {strategy: groups of parameters with their donors and learning rates}.
        mean_class: as `values`, for the mean accuracy over classes; {} if classes are balanced.
    """

    metric: str
    values: dict[Cell, np.ndarray]
    judgements: dict[Cell, Judgement]
    one_source: bool
    labelled: bool = True
    transferred: dict[str, Sequence[Group]] = {}  # noqa: RUF012
    mean_class: dict[Cell, np.ndarray] = {}  # noqa: RUF012


def compare(config: Config, workdir: Path) -> Record | None:
    """Runs or resumes a study, and writes results.json and report.html.

    Args:
        config: plain dict, as `configs/base.py` describes it. A config of one seed runs with three.
        workdir: folder of the study.

    Returns:
        The content of results.json: 'rows' (of `summarise`), 'labelled' (whether they are of a test
        split), 'chosen' (of `chosen_by_budget`), 'transferred' ({strategy: groups of parameters}),
        'goal', 'labels_for_goal', 'labels_for_goal_by_curve', 'seeds', 'intervals_cover' and
        'config'. None on all processes but the first.

    Raises:
        UserError: if the config has no valid study, or the data has no classes or no test split.

    >>> study = dict(strategies={}, budgets=[], baseline='scratch')
    >>> compare({'seeds': [0, 1], 'phases': {}, 'study': study}, Path('runs'))
    Traceback (most recent call last):
    tljax.core.UserError: a study needs two seeds or more, budgets, and its baseline among its ...
    """
    config = _of_several_seeds(config)
    *earlier, (_, last) = phases(config)
    study = config['study']
    _refuse_no_study(last, study)
    measurements = _measure(earlier, last, study, workdir)
    if jax.process_index():
        return None
    transferred = {
        strategy: [group._asdict() for group in groups]
        for strategy, groups in measurements.transferred.items()
    }
    results = summarise(measurements, config) | {
        'chosen': chosen_by_budget(measurements),
        'transferred': transferred,
    }
    write(workdir / 'results.json', json.dumps(results, indent=1) + '\n')
    names = [name for name, _ in earlier]
    folders = [folder(workdir, names, name) for name in names]
    folders += [_cell_folder(workdir, *cell) for cell in measurements.values]
    page_sections = sections(results, _domain_figure(measurements.judgements), data(folders))
    page(workdir / 'report.html', 'Does transfer help?', page_sections)
    return results


def _refuse_no_study(last: Record, study: Config) -> None:
    """Raises an error if the seeds, the baseline or the budgets of a study are invalid."""
    strategies, budgets = study['strategies'], study['budgets']
    if len(last['seeds']) < 2 or study['baseline'] not in strategies or not budgets:
        raise UserError(
            'a study needs two seeds or more, budgets, and its baseline among its strategies: see '
            'configs/digits.py'
        )
    wrong_budgets = [k for k in budgets if k is not None and (type(k) is not int or k < 1)]
    if wrong_budgets or len(set(budgets)) < len(budgets):
        raise UserError(
            f'study.budgets={tuple(budgets)}: give labels per class, each 1 or more or None for '
            'all, none twice'
        )
    for i, (strategy, changes) in enumerate(strategies.items()):
        teacher = changes.get('teacher', '')
        if teacher in [*strategies][i:]:
            raise UserError(
                f'study.strategies.{strategy}.teacher={teacher!r} is trained later: name an '
                'earlier strategy'
            )


def _domain_figure(judgements: dict[Cell, Judgement]) -> str | None:
    """An SVG of the source's and the target's features in every cell; None without a target."""
    if not judgements:
        return None
    # imported late, for a quick start
    from tljax.report.drawing import svg
    from tljax.report.figures import two_domains

    features = {
        f'{strategy}, {budget_text(k)}': judgement.features
        for (strategy, k), judgement in judgements.items()
    }
    label = next(iter(judgements.values())).label
    return svg(two_domains(features, label))


def _of_several_seeds(config: Config) -> Record:
    """Gives a config of one seed two more, because the gain of one seed has no interval."""
    if len(config['seeds']) != 1:
        return config
    first, study = config['seeds'][0], config['study']
    seeds = [first, first + 1, first + 2]
    fits = len(seeds) * len(study['strategies']) * len(study['budgets'])
    say(
        f'one seed has no interval: the study takes the seeds {", ".join(map(str, seeds))}, '
        f'{fits} trainings in all after those of earlier phases; name others by '
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
    cells = _cell_settings(last, study)
    _refuse_other_configs(earlier, cells, workdir)
    splits = build.splits_of(last)
    if 'target' in splits and 'validation' not in splits:
        raise UserError(
            'the source has no validation split, which a study of adaptation judges by: name '
            'another as data.source'
        )
    build.fit_phases(earlier, workdir)
    names = [name for name, _ in earlier]
    metric, labelled, has_unbalanced_classes = '', True, unbalanced(splits['train'])
    values, mean_class, judgements, transferred, source_counts = {}, {}, {}, {}, set()
    for number, (cell, settings) in enumerate(cells.items(), 1):
        strategy, k = cell
        name = f'{number}/{len(cells)} {strategy}, {budget_text(k)}'
        donor_dir = build.donor(settings, workdir, names)
        teacher_dir = _teacher(settings, study, k, workdir, names)
        run = build.build(settings, name, donor_dir, teacher_dir=teacher_dir)
        labelled = 'test' in run.evals
        if run.task.tasks:
            raise UserError('this data has several tasks: experiments.multitask compares those')
        if not run.classes or not (labelled or 'target' in splits):
            raise UserError(
                'a study compares scores on a test split: give data with classes and a test split'
            )
        source_counts.add(run.donors)
        transferred[strategy] = run.transferred
        fitted = fit(run, _cell_folder(workdir, strategy, k))
        scores = fitted.scores['test' if labelled else 'validation']
        metric = next(iter(scores))
        values[cell] = np.array(scores[metric])
        if has_unbalanced_classes and labelled and MEAN_CLASS in scores:
            mean_class[cell] = np.array(scores[MEAN_CLASS])
        if 'target' in splits:
            judgements[cell] = judge(settings, fitted, splits)
    return Measured(
        metric, values, judgements, 1 in source_counts, labelled, transferred, mean_class
    )


def _teacher(
    settings: Config, study: Config, k: int | None, workdir: Path, names: list[str]
) -> Path | None:
    """The folder of the cell or the earlier phase that teaches a cell; None if it is neither.

    Args:
        settings: config of the cell that is taught.
        study: the config's `study`. A strategy teaches with as many labels as the cell has.
        k: labels per class of the cell.
        workdir: folder of the study.
        names: names of the phases before the last.
    """
    if settings['teacher'] in study['strategies']:
        return _cell_folder(workdir, settings['teacher'], k)
    return build.teacher(settings, workdir, names)


def _cell_settings(last: Record, study: Config) -> dict[Cell, Record]:
    """The config of the last phase for every strategy and number of labels per class."""
    settings = {}
    for strategy, changes in study['strategies'].items():
        strategy_settings = merge(last, changes, f'study.strategies.{strategy}')
        for k in study['budgets']:
            settings[strategy, k] = merge(strategy_settings, {'per_class': k})
    return settings


def _refuse_other_configs(earlier: list, cells: dict[Cell, Record], workdir: Path) -> None:
    """Raises an error if a folder of the study holds a run of another config."""
    names = [name for name, _ in earlier]
    for name, settings in earlier:
        build.refuse_other_config(settings, folder(workdir, names, name))
    for cell, settings in cells.items():
        build.refuse_other_config(settings, _cell_folder(workdir, *cell))


def _cell_folder(workdir: Path, strategy: str, k: int | None) -> Path:
    return workdir / 'cells' / f'{strategy}-{k or "all"}'


def summarise(measurements: Measured, config: Config) -> Record:
    """Returns the scores, gains and verdicts of a study, as results.json holds them.

    Args:
        measurements: scores of all cells.
        config: config of the study.

    Returns:
        The dict that `compare` returns, without 'chosen' and 'transferred'. A row is {'strategy',
        'labels_per_class', 'metric', 'mean', 'ci95' (half width; None over two seeds),
        'mean_class_accuracy' ({'mean', 'ci95', 'values'}, if the classes are unbalanced),
        'gain_mean', 'gain_low', 'gain_high', 'p', 'verdict' (these five are None for the baseline),
        'values' by seed}.

    >>> values = {('scratch', 5): np.array([0.5, 0.6]), ('frozen', 5): np.array([0.7, 0.8])}
    >>> study = dict(baseline='scratch', budgets=[5], strategies=dict(scratch={}, frozen={}))
    >>> measurements = Measured('accuracy', values, {}, True)
    >>> rows = summarise(measurements, dict(study=study, seeds=[0, 1]))['rows']
    >>> [(row['strategy'], round(row['mean'], 2), row['verdict']) for row in rows]
    [('scratch', 0.55, None), ('frozen', 0.75, 'positive')]
    """
    values, study = measurements.values, config['study']
    baseline, budgets = study['baseline'], study['budgets']
    rows = _rows(measurements, baseline)
    largest_budget = None if None in budgets else max(budgets)
    goal = 0.9 * float(values[baseline, largest_budget].mean())
    labels_for_goal, labels_by_curve = {}, {}
    for strategy in study['strategies']:
        means = [row['mean'] for row in rows if row['strategy'] == strategy]
        labels_for_goal[strategy] = labels_needed(budgets, means, goal)
        counts = [k for k in budgets if k]
        labels_by_curve[strategy] = _labels_by_curve(counts, values, strategy, goal)
    intervals_cover = 'seeds of the target run and of the source, one source network per seed'
    if measurements.one_source:
        intervals_cover = (
            'seeds of the target run only: they hold for the one source network trained'
        )
    return dict(
        rows=rows,
        labelled=measurements.labelled,
        goal=goal,
        labels_for_goal=labels_for_goal,
        labels_for_goal_by_curve=labels_by_curve,
        seeds=config['seeds'],
        config=config,
        intervals_cover=intervals_cover,
    )


def _rows(measurements: Measured, baseline: str) -> list[Record]:
    """The rows of `summarise`, one for each cell."""
    gains, cell_verdicts = {}, {}
    if measurements.labelled:
        gains = {
            (strategy, k): transfer_gain(by_seed, measurements.values[baseline, k])
            for (strategy, k), by_seed in measurements.values.items()
            if strategy != baseline
        }
        cell_verdicts = dict(zip(gains, verdicts(list(gains.values())), strict=True))
    rows = []
    for cell, by_seed in measurements.values.items():
        (mean, half), gain = share_interval(by_seed), gains.get(cell)
        if gain:  # scores of classes lie between 0 and 1
            gain = gain._replace(low=max(gain.low, -1.0), high=min(gain.high, 1.0))
        row: Record = dict(
            strategy=cell[0],
            labels_per_class=cell[1],
            metric=measurements.metric,
            mean=mean,
            ci95=half,
            gain_mean=gain and gain.mean,
            gain_low=gain and gain.low,
            gain_high=gain and gain.high,
            p=gain and gain.p,
            verdict=cell_verdicts.get(cell),
            values=by_seed.tolist(),
        )
        if cell in measurements.mean_class:
            by_class = measurements.mean_class[cell]
            mean, half = share_interval(by_class)
            row[MEAN_CLASS] = dict(mean=mean, ci95=half, values=by_class.tolist())
        rows.append(row)
    return rows


def _labels_by_curve(
    budgets: list[int], values: dict[Cell, np.ndarray], strategy: str, goal: float
) -> str:
    """The labels per class at which a fitted learning curve reaches the goal.

    'VALUE (LOW to HIGH)' with the 95 % interval, or the reason why there is no curve.
    """
    try:
        curve = fit_curve(budgets, [values[strategy, k] for k in budgets])
        labels = labels_for(curve, goal)
    except UserError as error:
        return str(error).partition(':')[0]
    value, low, high = (
        f'{number:.1f}' if np.isfinite(number) else 'never' for number in labels[:3]
    )
    suffix = ', beyond what was measured' if labels.extrapolated else ''
    return f'{value} ({low} to {high}){suffix}'


def chosen_by_budget(measurements: Measured) -> Record:
    """Finds the strategy that each label-free score chooses, by number of labels and by seed.

    Args:
        measurements: scores of all cells, with and without labels.

    Returns:
        {'rows': [{'score', 'labels_per_class', 'picks', 'mean', 'ci95'}], 'scores': {cell: {score:
        values by seed}}, 'proxy_a_distance': {cell: values by seed}}. The last row of each number
        of labels is the oracle, which sees the test labels. Without test labels there is no oracle,
        and 'mean' and 'ci95' are None.

    >>> features = np.zeros((2, 2)), np.zeros((2, 2))
    >>> judgements = {
    ...     (strategy, 5): Judgement({'entropy': scores}, [0.5, 0.5], features, np.zeros(2))
    ...     for strategy, scores in (('scratch', [0.1, 0.4]), ('frozen', [0.2, 0.3]))
    ... }
    >>> values = {('scratch', 5): np.array([0.5, 0.6]), ('frozen', 5): np.array([0.7, 0.8])}
    >>> for row in chosen_by_budget(Measured('accuracy', values, judgements, True))['rows']:
    ...     print(row['score'], row['picks'], round(row['mean'], 2))
    entropy ['frozen', 'scratch'] 0.65
    oracle ['frozen', 'frozen'] 0.75
    """
    rows, judgements = [], measurements.judgements
    for k in dict.fromkeys(k for _, k in judgements):
        names = [strategy for strategy, budget in judgements if budget == k]
        scores = {
            score: np.array([judgements[name, k].scores[score] for name in names]).T
            for score in judgements[names[0], k].scores
        }
        truth = None
        if measurements.labelled:
            truth = np.array([measurements.values[name, k] for name in names]).T
        for row in choices_by_score(scores, names, truth):
            mean, half = None, None
            if measurements.labelled:
                mean, half = share_interval(row['values'])
            rows.append(
                dict(
                    score=row['score'], labels_per_class=k, picks=row['picks'], mean=mean, ci95=half
                )
            )
    cells = {
        f'{strategy}, {budget_text(k)}': judgement
        for (strategy, k), judgement in judgements.items()
    }
    return dict(
        rows=rows,
        scores={name: judgement.scores for name, judgement in cells.items()},
        proxy_a_distance={name: judgement.distances for name, judgement in cells.items()},
    )
