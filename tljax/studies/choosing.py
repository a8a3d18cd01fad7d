"""Settings of methods, chosen on a validation split before the methods are compared.

Every method has the same number of settings, and every setting is trained with every number of
labels per class of the config's `study`. The test split is never read.
"""

import json
from pathlib import Path

import jax
import numpy as np

from tljax import build
from tljax.configuration import merge, phases
from tljax.core import Dataset, UserError
from tljax.engine.choice import SPLIT
from tljax.engine.train import fit
from tljax.files.text import write
from tljax.paths import flatten
from tljax.protocols import Config, Record
from tljax.report.page import page
from tljax.studies.tables import Table, budget_text, section


def choose(config: Config, workdir: Path) -> Record | None:
    """Tries the settings of every method, and writes results.json and report.html.

    A method whose `teacher` is an earlier method is taught by that method's best setting, with as
    many labels.

    Args:
        config: a plain dict. `study.settings` has the settings of each method, {method: [changes of
            the last phase]}, and `study.budgets` the labels per class.
        workdir: folder of the study; a restart continues an interrupted one.

    Returns:
        {'rows': [{'method', 'setting' (its number, from 1), 'changes', 'metric', 'mean', 'values'
        ({labels per class: validation score by seed})}], 'chosen': {method: number of the setting
        with the best mean}, 'seeds', 'config'}. None on all processes but the first.

    Raises:
        UserError: the methods have no settings or unequal numbers of them, or the data has no
            validation split.

    >>> choose({'phases': {}, 'study': {'settings': {'a': [{}], 'b': []}}}, Path('runs'))
    Traceback (most recent call last):
    tljax.core.UserError: study.settings: a has 1, b has 0: give every method as many, one or more
    """
    *earlier, (_, last) = phases(config)
    settings = config['study']['settings']
    _refuse_unequal(settings)
    splits = {name: split for name, split in build.splits_of(last).items() if name != 'test'}
    if SPLIT not in splits or not splits[SPLIT].size:
        raise UserError(f'settings are chosen on the {SPLIT} split, and this data has none')
    build.fit_phases(earlier, workdir)
    names, rows, chosen = [name for name, _ in earlier], [], {}
    for method, candidates in settings.items():
        for number, changes in enumerate(candidates, 1):
            row: Record = dict(method=method, setting=number, changes=changes, values={})
            cell = merge(last, changes, f'study.settings.{method}')
            for k in config['study']['budgets']:
                scores = _scores(merge(cell, {'per_class': k}), row, splits, chosen, names, workdir)
                row['metric'] = next(iter(scores))
                row['values'][budget_text(k)] = scores[row['metric']]
            row['mean'] = float(np.mean([*row['values'].values()]))
            rows.append(row)
        means = [row['mean'] for row in rows if row['method'] == method]
        chosen[method] = int(np.argmax(means)) + 1
    if jax.process_index():
        return None
    results = dict(rows=rows, chosen=chosen, seeds=last['seeds'], config=config)
    write(workdir / 'results.json', json.dumps(results, indent=1) + '\n')
    every = section('Every setting', *tables(results), text=reading(results))
    code = section('How it was run', code=json.dumps(config, indent=1))
    page(workdir / 'report.html', 'Settings', [every, code])
    return results


def _refuse_unequal(settings: dict[str, list[Config]]) -> None:
    """Raises an error unless all methods have the same number of settings."""
    counts = {method: len(candidates) for method, candidates in settings.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        numbers = ', '.join(f'{method} has {count}' for method, count in counts.items())
        raise UserError(f'study.settings: {numbers}: give every method as many, one or more')


def _scores(
    settings: Config,
    row: Record,
    splits: dict[str, Dataset],
    chosen: dict[str, int],
    names: list[str],
    workdir: Path,
) -> Record:
    """Trains a setting with a number of labels and returns its scores on the validation split.

    Args:
        settings: config of the fit.
        row: method and number of the setting.
        splits: the data without the test split.
        chosen: {method: number of its best setting}, of the methods before.
        names: names of the phases before the last.
        workdir: folder of the study.
    """
    k, teacher = settings['per_class'], settings['teacher']
    teacher_dir = build.teacher(settings, workdir, names)
    if teacher in chosen:
        teacher_dir = _folder(workdir, teacher, chosen[teacher], k)
    run = build.build(
        settings,
        f'{row["method"]} {row["setting"]}, {budget_text(k)}',
        build.donor(settings, workdir, names),
        splits,
        teacher_dir,
    )
    return fit(run, _folder(workdir, row['method'], row['setting'], k)).scores[SPLIT]


def tables(results: Record) -> list[Table]:
    """Returns the table of all settings.

    Args:
        results: as `choose` returns them.

    >>> row = dict(
    ...     method='bss',
    ...     setting=1,
    ...     changes={'method': {'k': 1}},
    ...     values={'5 labels': [0.5]},
    ...     mean=0.5,
    ...     metric='accuracy',
    ... )
    >>> tables(dict(rows=[row], chosen={'bss': 1}, seeds=[0]))[0].rows
    [['bss', '1', 'method.k=1', '50.0', '50.0', 'chosen']]
    """
    rows, chosen = results['rows'], results['chosen']
    body = [
        [
            row['method'],
            str(row['setting']),
            ', '.join(f'{k.replace("/", ".")}={v}' for k, v in flatten(row['changes']).items()),
            *(f'{100 * np.mean(values):.1f}' for values in row['values'].values()),
            f'{100 * row["mean"]:.1f}',
            'chosen' if chosen[row['method']] == row['setting'] else '',
        ]
        for row in rows
    ]
    columns = ['method', 'setting', 'changes', *rows[0]['values'], 'mean', '']
    seeds = ', '.join(map(str, results['seeds']))
    title = f'{rows[0]["metric"]} % on the {SPLIT} split, seeds {seeds}'
    return [Table(columns, body, title)]


def reading(results: Record) -> str:
    """Explains how to read the table.

    Args:
        results: as `choose` returns them.

    >>> reading({'chosen': {'bss': 1}})
    'Chosen by the mean over all numbers of labels: bss 1. The test split was not read.'
    """
    chosen = ', '.join(f'{method} {number}' for method, number in results['chosen'].items())
    return f'Chosen by the mean over all numbers of labels: {chosen}. The test split was not read.'


def _folder(workdir: Path, method: str, number: int, k: int | None) -> Path:
    """The folder of one fit."""
    return workdir / 'settings' / f'{method}-{number}-{k or "all"}'
