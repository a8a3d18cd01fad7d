"""A training of all phases of a config: its scores, its page, and whether transfer helped."""

import json
from pathlib import Path

import jax
import numpy as np

from tljax import build
from tljax.configuration import folder, merge, phases
from tljax.core import Task, UserError
from tljax.engine import scores
from tljax.engine.answers import ANSWERS, read_answers
from tljax.engine.log import read
from tljax.engine.train import Fitted, fit
from tljax.protocols import Config, Record
from tljax.report.drawing import svg
from tljax.report.figures import training_curves
from tljax.report.page import page
from tljax.studies import mistakes
from tljax.studies.label_free import scores_of_target
from tljax.studies.tables import Table, data, section, transfer_table
from tljax.when.gain import mean_interval, transfer_gain, verdicts

LISTED = 20  # classes that a terminal has room for
READING = {
    'positive': 'transfer helps',
    'negative': 'transfer hurts',
    'none detected': 'neither gain nor harm detected',
}


def train(config: Config, workdir: Path, guarded: bool = False) -> Record | None:
    """Fits every phase of a config, or goes on where it was cut off.

    Args:
        config: plain dict, as `configs/base.py` describes it.
        workdir: folder of the run.
        guarded: whether the last phase is also trained from scratch.

    Returns:
        {'phase', 'seeds', 'folder', 'page', 'transferred', 'scores': {split: {name: values by
        seed}}, 'rows': [{'split', 'metric', 'mean', 'low', 'high'}], 'kept': as `Fitted` has it,
        'by_class': the table of every class, and 'guard', as `guard` gives it}; 'page' is None
        without classes. None on all processes but the first.

    Raises:
        UserError: for a config that does not fit.

    >>> train({'phases': {'a': {'stepz': 1}}, 'steps': 1}, Path('nowhere'))
    Traceback (most recent call last):
    tljax.core.UserError: config.stepz is unknown: did you mean steps?
    """
    fits = phases(config)
    run, fitted = build.fit_phases(fits, workdir)
    if run is None or fitted is None:
        raise UserError('config.phases holds no phase: name one or more')
    guarding = guard(fits[-1][1], fitted.scores, workdir / 'guard') if guarded else None
    label_free = _label_free(fits[-1][1], fitted)  # by all processes together
    if jax.process_index():
        return None
    folders = [folder(workdir, [name for name, _ in fits], name) for name, _ in fits]
    place = folders[-1]
    sizes = {split: dataset.size for split, dataset in run.evals.items()}
    rows = scores.score_rows(fitted.scores, sizes, mean_interval) + label_free
    found = dict(
        phase=run.name,
        seeds=list(run.seeds),
        folder=str(place),
        page=None,
        transferred=[group._asdict() for group in run.transferred],
        scores=fitted.scores,
        rows=rows,
        kept=fitted.kept,
    )
    if guarding:
        found['guard'] = guarding
    if run.classes:
        found['page'] = str(place / 'report.html')
        records = read(place / 'log.jsonl')
        shown = records if _measured_twice(records, run.evals) else []
        judged = _judged(read_answers(place / ANSWERS), fits[-1][1], run.task)
        found['by_class'] = judged[0]._asdict() if judged else None
        page(
            place / 'report.html',
            run.name,
            _sections(found, shown, config, data(folders), judged[1] if judged else []),
        )
    return found


def _judged(
    answers: dict[str, list[Record]], settings: Config, task: Task
) -> tuple[Table, list[Record]] | None:
    """The table of every class and the sections of the page, of the test split or else of
    validation; None where there are no answers."""
    split = next((split for split in ('test', 'validation') if split in answers), None)
    if split is None:
        return None
    rows = answers[split]
    table = mistakes.by_class(rows, task)
    return table._replace(title=f'{table.title}, {split} split'), mistakes.sections(
        rows, task, split, build.load(settings['data'])[split]
    )


def tables(found: Record) -> list[Table]:
    """What `train` found, as tables: the scores, and class by class where a terminal has room for
    that.

    Args:
        found: as `train` gives it.

    >>> row = {'split': 'test', 'metric': 'rmse', 'mean': 0.5, 'low': None, 'high': None}
    >>> [each.title for each in tables({'phase': 'train', 'seeds': [0], 'rows': [row]})]
    ['train']
    """
    by_class = found.get('by_class')
    if by_class and len(by_class['rows']) <= LISTED:
        return [table(found), Table(**by_class)]
    return [table(found)]


def _label_free(settings: Config, fitted: Fitted) -> list[Record]:
    """What is told of a target without labels, as rows; [] where there is no such target."""
    splits = build.load(settings['data'])
    if 'target' not in splits or splits['target'].task.kind != 'unlabelled':
        return []
    found = []
    for name, values in scores_of_target(settings, fitted, splits).items():
        mean, half = mean_interval(values)
        low, high = (None, None) if half is None else (mean - half, mean + half)
        found.append(dict(split='target', metric=name, mean=float(mean), low=low, high=high))
    return found


def table(found: Record) -> Table:
    """The scores that `train` found, as a table.

    Args:
        found: as `train` gives it.

    >>> row = {'split': 'test', 'metric': 'rmse', 'mean': 0.5, 'low': None, 'high': None}
    >>> table({'phase': 'train', 'seeds': [0], 'rows': [row]}).rows
    [['test', 'rmse', '0.5000', '']]
    """
    seeds = len(found['seeds'])
    over = f'{seeds} seeds' if seeds > 1 else 'episodes or examples'
    rows = [
        [
            row['split'],
            row['metric'],
            f'{row["mean"]:.4f}',
            '' if row['low'] is None else f'{row["low"]:.4f} to {row["high"]:.4f}',
        ]
        for row in found['rows']
    ]
    return Table(['split', 'metric', 'mean', f'95 % interval over {over}'], rows, found['phase'])


def guard(settings: Config, transferred: Record, workdir: Path) -> Record:
    """Trains from scratch what a phase describes, and says what transfer gained.

    Args:
        settings: config of the phase.
        transferred: {split: {name: values by seed}} of the phase as it was trained; the validation
            split is compared, or the test split without one.
        workdir: folder of the training from scratch.

    Returns:
        {'split', 'metric', 'gain', 'low', 'high', 'verdict', 'text'}; the last three numbers and
        the verdict are None for a single seed.

    Raises:
        UserError: for a phase without transfer, and data without a split to compare.

    >>> guard({'init': {'path': '', 'phase': ''}}, {}, Path('nowhere'))
    Traceback (most recent call last):
    tljax.core.UserError: --guard compares transfer with scratch, and the last phase starts from ...
    """
    if not settings['init']['path'] and not settings['init']['phase']:
        raise UserError(
            '--guard compares transfer with scratch, and the last phase starts from scratch: give '
            'it init.path or init.phase'
        )
    alone = merge(
        settings,
        {'init': {'path': '', 'phase': ''}, 'partition': {'name': 'full'}, 'statistics': 'follow'},
    ) | {'groups': {}}
    build.refuse_other_config(alone, workdir)
    run = build.build(alone, 'scratch')
    split = next((split for split in ('validation', 'test') if transferred.get(split)), None)
    if split is None or not run.classes:
        raise UserError(
            '--guard compares transfer with scratch on a validation or test split with classes, '
            'and this data has none'
        )
    metric = next(iter(transferred[split]))
    scratch = fit(run, workdir).scores[split][metric]
    transfer = transferred[split][metric]
    mean = float(np.mean(transfer) - np.mean(scratch))
    text = f'{100 * mean:+.1f} points over scratch on the {split} split'
    found = dict(split=split, metric=metric, gain=mean, low=None, high=None, verdict=None)
    if len(scratch) < 2:
        return found | {
            'text': f'transfer: {text}; one seed has no interval: give --config.seeds="(0,1,2)"'
        }
    gain = transfer_gain(transfer, scratch)
    verdict = verdicts([gain])[0]
    text = (
        f'{READING[verdict]}: {text}, 95 % interval {100 * gain.low:+.1f} to '
        f'{100 * gain.high:+.1f} over {len(scratch)} seeds'
    )
    return found | dict(low=gain.low, high=gain.high, verdict=verdict, text=text)


def _measured_twice(records: list[Record], evals: Record) -> bool:
    return sum(record['kind'] in evals for record in records) > len(evals)


def _sections(
    found: Record, records: list[Record], config: Config, told: list[Record], judged: list[Record]
) -> list[Record]:
    seeds = len(found['seeds'])
    parts = [f'Means and 95 % intervals over {seeds} seeds.'] * (seeds > 2)
    kept = [found['kept']['text'].capitalize() + '.'] if found['kept'] else []
    curves = (
        [
            section(
                'Accuracy over training',
                text=' '.join(parts + kept),
                svg=svg(training_curves(records)),
            )
        ]
        if records
        else []
    )
    return [
        *curves,
        section('At the end', table(found), text=' '.join(kept)),
        *judged,
        *told,
        section('What was transferred', transfer_table({found['phase']: found['transferred']})),
        section('How it was run', code=json.dumps(config, indent=1)),
    ]
