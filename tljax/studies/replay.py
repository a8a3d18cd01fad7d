"""Runs a finished training again from its record, and compares the scores number by number."""

import json
import math
from pathlib import Path

from tljax.configuration import DEFAULTS, folder, phases
from tljax.core import UserError, abbreviated
from tljax.engine.checkpoint import last_phase, load_final
from tljax.files.console import say
from tljax.files.folders import refuse_file
from tljax.protocols import Config, Record
from tljax.studies import training
from tljax.studies.provenance import RECORD, data_prints, differences, surroundings
from tljax.studies.tables import Table

GUARD = 'guard'  # folder of a training from scratch (`training.guard`)
STUDY = 'results.json'  # in the folder of a study


def replay(workdir: Path, out: Path, tolerance: float = 0.0) -> Record | None:
    """Runs a finished training again in a new folder.

    What differs in code, packages, devices and data is printed before it starts.

    Args:
        workdir: folder of a finished run of `experiments.train`.
        out: folder of the new run; a restart continues an interrupted replay.
        tolerance: by how much two numbers may differ and still agree.

    Returns:
        {'rows': [{'phase', 'split', 'score', 'seed', 'recorded', 'replayed', 'difference'}],
        'agree': whether all numbers do, 'differences': [line], 'folder': the new one}. A number is
        None where only the other run has the score. None on all processes but the first.

    Raises:
        UserError: the folder holds no finished run with a record, its data have changed, or `out`
            is in use.

    >>> replay(Path('nowhere'), Path('out'))
    Traceback (most recent call last):
    tljax.core.UserError: nowhere holds no finished run (no run.json): name the --workdir of ...
    """
    record = _read_record(workdir)
    config = DEFAULTS | record['config']  # a newer version may have more settings
    _refuse_out(workdir, out)
    lines = _tell_differences(record)
    _refuse_other_data(config, record['data'], workdir)
    guarded = (workdir / GUARD / 'final').exists()
    arguments = record['starts'][-1]['arguments']
    if training.train(config, out, guarded, arguments) is None:
        return None
    rows = []
    for name in _folders(config, guarded):
        old, new = (load_final(place / name)[2] for place in (workdir, out))
        if old['config'].get('donor') != new['config'].get('donor'):
            lines.append(f'{name} starts from other weights')
            say(lines[-1])
        rows += [{'phase': name, **row} for row in _rows(old, new)]
    agree = all(_agree(row, tolerance) for row in rows)
    return dict(rows=rows, agree=agree, differences=lines, folder=str(out))


def _read_record(workdir: Path) -> Record:
    """Returns the record of a finished run, or refuses the folder."""
    refuse_file(workdir)
    path = workdir / RECORD
    if not path.exists():
        parent = workdir.absolute().parent
        if (parent / RECORD).exists():
            raise UserError(f'{workdir} is a phase of a run: name its folder {parent}')
        if (workdir / STUDY).exists() or (workdir / 'cells').exists():
            raise UserError(
                f'{workdir} is a study, which is not replayed: give its command again with another '
                '--workdir, or name a run of experiments.train, such as a member of a sweep'
            )
        if (workdir / 'final').exists() or any(workdir.glob('[0-9][0-9]-*/final')):
            raise UserError(
                f'{workdir} has no record (no {RECORD}): it is no run of experiments.train, or of '
                'an older version: give its command again with another --workdir'
            )
        raise UserError(
            f'{workdir} holds no finished run (no {RECORD}): name the --workdir of a run of '
            'experiments.train'
        )
    last_phase(workdir)  # refuses a run that is not finished
    return json.loads(path.read_text())


def _refuse_out(workdir: Path, out: Path) -> None:
    """Refuses a folder for the replay that holds a finished run, or something else."""
    refuse_file(out)
    if out.resolve() == workdir.resolve():
        raise UserError(f'--out={out} is the folder of the run itself: name a new one')
    if not out.exists() or not any(out.iterdir()):
        return
    if not (out / RECORD).exists() or _is_finished(out):
        raise UserError(f'--out={out} is in use: name a new folder')


def _is_finished(out: Path) -> bool:
    try:
        last_phase(out)
    except UserError:
        return False
    return True


def _tell_differences(record: Record) -> list[str]:
    """Prints in what the record and this process differ. Returns the lines."""
    starts, here = record['starts'], surroundings()
    lines = differences(starts[-1], here)
    for old, new in zip(starts, starts[1:], strict=False):
        if changes := differences(old, new):
            say(f'the recorded run was continued with changes: {abbreviated(changes)}')
    for line in lines:
        say(line)
    if any(start['code']['dirty'] for start in starts):
        say('the recorded run had changes of the code that no commit has')
    if not lines:
        say('code, packages and devices are those of the record')
    return lines


def _refuse_other_data(config: Config, recorded: Record, workdir: Path) -> None:
    """Refuses data whose fingerprints are not those of the record."""
    found = data_prints(config)
    changed = [
        f'{split} of {phase}'
        for phase in found
        for split in dict.fromkeys([*recorded.get(phase, {}), *found[phase]])
        if recorded.get(phase, {}).get(split) != found[phase].get(split)
    ]
    if changed:
        raise UserError(
            f'the data of {workdir} have changed ({abbreviated(changed)}): bring back the same '
            'examples, or the versions of packages that read or draw them, or train anew'
        )
    say('the data are those of the record')


def _folders(config: Config, guarded: bool) -> list[str]:
    names = [name for name, _ in phases(config)]
    return [folder('', names, name).name for name in names] + [GUARD] * guarded


def _rows(old: Record, new: Record) -> list[Record]:
    """Returns a row for each number of the scores of two runs."""
    numbers = []
    for record in (old, new):
        numbers.append(
            {
                (split, score, seed): value
                for split, scores in record['scores'].items()
                for score, values in scores.items()
                for seed, value in zip(record['seeds'], values, strict=True)
            }
        )
    rows = []
    for key in dict.fromkeys([*numbers[0], *numbers[1]]):
        recorded, replayed = (each.get(key) for each in numbers)
        names = dict(zip(('split', 'score', 'seed'), key, strict=True))
        difference = _difference(recorded, replayed)
        rows.append(dict(**names, recorded=recorded, replayed=replayed, difference=difference))
    return rows


def _difference(recorded: float | None, replayed: float | None) -> float | None:
    if recorded is None or replayed is None:
        return None
    if recorded == replayed or math.isnan(recorded) and math.isnan(replayed):
        return 0.0
    return replayed - recorded


def _agree(row: Record, tolerance: float) -> bool:
    difference = row['difference']
    return difference is not None and abs(difference) <= tolerance  # not where it is NaN


def tables(results: Record) -> list[Table]:
    """Returns the table that is printed: a row for each number.

    Args:
        results: as `replay` returns them.

    >>> row = dict(phase='00-train', split='test', score='rmse', seed=0)
    >>> row |= dict(recorded=0.5, replayed=0.25, difference=-0.25)
    >>> tables({'rows': [row]})[0].rows
    [['00-train', 'test', 'rmse', '0', '0.5', '0.25', '-0.25']]
    """
    columns = ['phase', 'split', 'score', 'seed', 'recorded', 'replayed', 'difference']
    rows = []
    for row in results['rows']:
        names = [str(row[column]) for column in columns[:4]]
        numbers = [row[column] for column in columns[4:]]
        rows.append(names + ['' if number is None else f'{number:.9g}' for number in numbers])
    return [Table(columns, rows, 'Scores of the record and of the replay')]


def verdict(results: Record, tolerance: float) -> str:
    """Returns in words whether the numbers agree.

    Args:
        results: as `replay` returns them.
        tolerance: as `replay` takes it.

    >>> verdict({'rows': [{'difference': -0.25}, {'difference': 0.0}], 'agree': False}, 0.1)
    '1 of 2 numbers differ by more than 0.1'
    """
    count = len(results['rows'])
    if results['agree']:
        return f'all {count} numbers agree' + (f' within {tolerance:g}' if tolerance else '')
    apart = sum(not _agree(row, tolerance) for row in results['rows'])
    return f'{apart} of {count} numbers differ' + (
        f' by more than {tolerance:g}' if tolerance else ''
    )
