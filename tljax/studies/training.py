"""Trains all phases of a config, reports scores, and measures whether transfer helped."""

import json
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from tljax import build
from tljax.configuration import folder, merge, phases, stated_by_method
from tljax.core import Task, UserError, known
from tljax.data.splits import of_task
from tljax.engine import scores
from tljax.engine.answers import ANSWERS, read_answers
from tljax.engine.log import read
from tljax.engine.train import Fitted, Run, fit
from tljax.files.text import write
from tljax.protocols import Config, Record
from tljax.report.page import page
from tljax.studies import mistakes
from tljax.studies.label_free import scores_of_target
from tljax.studies.provenance import RECORD, write_record
from tljax.studies.tables import Table, data, section, transfer_table
from tljax.when.gain import mean_interval, transfer_gain, verdicts

RESULTS = 'results.json'  # in the folder of the last phase
PRINTED_CLASSES = 20  # the most classes that a terminal has room for
READING = {
    'positive': 'transfer helps',
    'negative': 'transfer hurts',
    'none detected': 'neither gain nor harm detected',
}


def train(
    config: Config,
    workdir: Path,
    guarded: bool = False,
    arguments: Sequence[str] = (),
    profile: str = '',
) -> Record | None:
    """Fits every phase of a config; a restart continues an interrupted run.

    The record of the run is written to `run.json` (`tljax.studies.provenance`), and what the
    function returns to `results.json` in the folder of the last phase.

    Args:
        config: plain dict, as `configs/base.py` describes it.
        workdir: folder of the run.
        guarded: whether the last phase is also trained from scratch, to measure what transfer
            gained.
        arguments: the command line as typed, for the record.
        profile: as `build.fit_phases` takes it.

    Returns:
        {'phase', 'seeds', 'folder', 'page', 'transferred', 'scores': {split: {name: values by
        seed}} (for several tasks a split is a `scores.task_split`), 'rows': [{'split', 'metric',
        'mean', 'low', 'high'}], 'kept': as in `Fitted`, 'by_class': table of accuracies by class,
        'guard': as `guard` returns it}; 'page' is None without classes. None on all processes but
        the first.

    Raises:
        UserError: the config has no phases, or one that cannot be trained.

    >>> train({'phases': {'a': {'stepz': 1}}, 'steps': 1}, Path('nowhere'))
    Traceback (most recent call last):
    tljax.core.UserError: config.stepz is unknown: did you mean steps?
    """
    fits = phases(config)
    run, fitted = build.fit_phases(
        fits, workdir, lambda: write_record(config, workdir, arguments), profile
    )
    if run is None or fitted is None:
        raise UserError('config.phases holds no phase: name one or more')
    guard_record = guard(fits[-1][1], fitted.scores, workdir / 'guard') if guarded else None
    target_rows = _label_free_rows(fits[-1][1], fitted)  # computed by all processes together
    if jax.process_index():
        return None
    folders = [folder(workdir, [name for name, _ in fits], name) for name, _ in fits]
    sizes = {}
    for split, dataset in run.evals.items():
        sizes[split] = dataset.size
        for name, is_known in known(dataset.label).items():
            sizes[scores.task_split(split, name)] = int(is_known.sum())
    results = dict(
        phase=run.name,
        seeds=list(run.seeds),
        folder=str(folders[-1]),
        page=None,
        transferred=[group._asdict() for group in run.transferred],
        scores=fitted.scores,
        rows=scores.score_rows(fitted.scores, sizes, mean_interval) + target_rows,
        kept=fitted.kept,
    )
    if guard_record:
        results['guard'] = guard_record
    if run.classes:
        _write_page(results, run, fits[-1][1], folders, config)
    write(folders[-1] / RESULTS, json.dumps(results, indent=1) + '\n')
    return results


def _write_page(
    results: Record, run: Run, settings: Config, folders: list[Path], config: Config
) -> None:
    """Writes report.html of the last phase, and adds 'page' and 'by_class' to the results.

    Args:
        results: as `train` returns them; changed.
        run: the run of the last phase.
        settings: config of the last phase.
        folders: folders of all phases.
        config: the whole config.
    """
    path = folders[-1] / 'report.html'
    records = read(folders[-1] / 'log.jsonl')
    if not _has_curves(records, results['scores']):
        records = []
    answers = read_answers(folders[-1] / ANSWERS)
    if run.task.tasks:
        by_class, class_sections = None, _by_task(answers, settings, run.task)
    else:
        by_class, class_sections = _by_class(answers, settings, run.task)
    results['page'] = str(path)
    results['by_class'] = by_class._asdict() if by_class else None
    record = folders[-1].parent / RECORD
    starts = json.loads(record.read_text())['starts'] if record.exists() else []
    sections = _sections(results, records, config, starts, data(folders), class_sections)
    page(path, run.name, sections)


def _by_class(
    answers: dict[str, list[Record]], settings: Config, task: Task
) -> tuple[Table | None, list[Record]]:
    """Returns the table of classes and sections of a page, of the test or else validation split.

    Args:
        answers: {split: answers}, as `read_answers` gives them; without answers there is no table
            and no section.
        settings: config of the phase.
        task: task of its data.
    """
    split = next((split for split in ('test', 'validation') if split in answers), None)
    if split is None:
        return None, []
    rows = answers[split]
    table = mistakes.by_class(rows, task)
    dataset = build.splits_of(settings)[split]
    return (
        table._replace(title=f'{table.title}, {split} split'),
        mistakes.sections(rows, task, split, dataset),
    )


def _by_task(answers: dict[str, list[Record]], settings: Config, task: Task) -> list[Record]:
    """Returns the sections of a page of each of several tasks, as `_by_class` does for one."""
    parts, splits = [], build.splits_of(settings)
    for name, part in task.by_name.items():
        for split in ('test', 'validation'):
            title = scores.task_split(split, name)
            if title in answers and part.names:
                dataset = of_task(splits[split], name)
                parts += mistakes.sections(answers[title], part, title, dataset)
                break
    return parts


def tables(results: Record) -> list[Table]:
    """Returns the results of `train` as tables: the scores, and the accuracy of each class.

    The second table is left out where a terminal has no room for all classes.

    Args:
        results: as `train` returns them.

    >>> row = {'split': 'test', 'metric': 'rmse', 'mean': 0.5, 'low': None, 'high': None}
    >>> [table.title for table in tables({'phase': 'train', 'seeds': [0], 'rows': [row]})]
    ['train']
    """
    by_class = results.get('by_class')
    if by_class and len(by_class['rows']) <= PRINTED_CLASSES:
        return [table(results), Table(**by_class)]
    return [table(results)]


def _label_free_rows(settings: Config, fitted: Fitted) -> list[Record]:
    """Returns rows of label-free scores of an unlabelled target; [] without such a target."""
    splits = build.splits_of(settings)
    if 'target' not in splits or splits['target'].task.kind != 'unlabelled':
        return []
    if stated_by_method(settings['method'], 'BATCHES', '') == 'unlabelled':
        return []  # its outputs are no classes
    rows = []
    for name, values in scores_of_target(settings, fitted, splits).items():
        mean, half = mean_interval(values)
        low, high = (None, None) if half is None else (mean - half, mean + half)
        rows.append(dict(split='target', metric=name, mean=float(mean), low=low, high=high))
    return rows


def table(results: Record) -> Table:
    """Returns the scores of `train` as a table.

    Args:
        results: as `train` returns them.

    >>> row = {'split': 'test', 'metric': 'rmse', 'mean': 0.5, 'low': None, 'high': None}
    >>> table({'phase': 'train', 'seeds': [0], 'rows': [row]}).rows
    [['test', 'rmse', '0.5000', '']]
    """
    seeds = len(results['seeds'])
    over = f'{seeds} seeds' if seeds > 1 else 'episodes or examples'
    rows = [
        [
            row['split'],
            row['metric'],
            f'{row["mean"]:.4f}',
            '' if row['low'] is None else f'{row["low"]:.4f} to {row["high"]:.4f}',
        ]
        for row in results['rows']
    ]
    return Table(['split', 'metric', 'mean', f'95 % interval over {over}'], rows, results['phase'])


def guard(settings: Config, transfer_scores: Record, workdir: Path) -> Record:
    """Trains a phase from scratch and compares it with the phase as it was trained.

    Args:
        settings: config of the phase.
        transfer_scores: {split: {name: values by seed}} of the phase as it was trained; the
            validation split is compared, or without one the test split.
        workdir: folder of the training from scratch.

    Returns:
        {'split', 'metric', 'gain', 'low', 'high', 'verdict', 'text'}; 'low', 'high' and 'verdict'
        are None for a single seed.

    Raises:
        UserError: the phase does not transfer, or its data have no split to compare.

    >>> guard({'init': {'path': '', 'phase': ''}}, {}, Path('nowhere'))
    Traceback (most recent call last):
    tljax.core.UserError: --guard compares transfer with scratch, and the last phase starts from ...
    """
    if not settings['init']['path'] and not settings['init']['phase']:
        raise UserError(
            '--guard compares transfer with scratch, and the last phase starts from scratch: give '
            'it init.path or init.phase'
        )
    scratch_settings = merge(
        settings,
        {'init': {'path': '', 'phase': ''}, 'partition': {'name': 'full'}, 'statistics': 'follow'},
    ) | {'groups': {}, 'teacher': ''}
    # a method that asks a source or a teacher has none here
    if any(stated_by_method(settings['method'], need, '') for need in ('SOURCE', 'TEACHER')):
        scratch_settings['method'] = {'name': 'finetune'}
    build.refuse_other_config(scratch_settings, workdir)
    run = build.build(scratch_settings, 'scratch')
    split = next((split for split in ('validation', 'test') if transfer_scores.get(split)), None)
    if split is None or not run.classes:
        raise UserError(
            '--guard compares transfer with scratch on a validation or test split with classes, '
            'and this data has none'
        )
    metric = next(iter(transfer_scores[split]))
    scratch = fit(run, workdir).scores[split][metric]
    transfer = transfer_scores[split][metric]
    mean = float(np.mean(transfer) - np.mean(scratch))
    text = f'{100 * mean:+.1f} points over scratch on the {split} split'
    record = dict(split=split, metric=metric, gain=mean, low=None, high=None, verdict=None)
    if len(scratch) < 2:
        return record | {
            'text': f'transfer: {text}; one seed has no interval: give --config.seeds="(0,1,2)"'
        }
    gain = transfer_gain(transfer, scratch)
    verdict = verdicts([gain])[0]
    text = (
        f'{READING[verdict]}: {text}, 95 % interval {100 * gain.low:+.1f} to '
        f'{100 * gain.high:+.1f} over {len(scratch)} seeds'
    )
    return record | dict(low=gain.low, high=gain.high, verdict=verdict, text=text)


def _has_curves(records: list[Record], split_scores: Record) -> bool:
    """Returns whether a log holds more than one evaluation of each split, so that curves exist."""
    return sum(record['kind'] in split_scores for record in records) > len(split_scores)


def _sections(
    results: Record,
    records: list[Record],
    config: Config,
    starts: list[Record],
    data_sections: list[Record],
    class_sections: list[Record],
) -> list[Record]:
    """Returns the sections of report.html.

    Args:
        results: as `train` returns them.
        records: the log, from which curves are drawn; [] for no curves.
        config: the whole config.
        starts: entries of the run's record; [] for an older run, which has none.
        data_sections: sections that describe the data.
        class_sections: sections of the accuracy by class.
    """
    seeds = len(results['seeds'])
    kept_text = results['kept']['text'].capitalize() + '.' if results['kept'] else ''
    sections = []
    if records:
        # imported late, for a quick start
        from tljax.report.drawing import svg
        from tljax.report.figures import training_curves

        texts = [f'Means and 95 % intervals over {seeds} seeds.'] if seeds > 2 else []
        if kept_text:
            texts.append(kept_text)
        curves = svg(training_curves(records))
        sections.append(section('Accuracy over training', text=' '.join(texts), svg=curves))
    sections.append(section('At the end', table(results), text=kept_text))
    sections += class_sections + data_sections
    transferred = transfer_table({results['phase']: results['transferred']})
    sections.append(section('What was transferred', transferred))
    sections.append(section('How it was run', code=json.dumps(config, indent=1)))
    if starts:
        sections.append(section('Where it was run', code=json.dumps(starts, indent=1)))
    return sections
