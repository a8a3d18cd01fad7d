"""A sweep: trainings of one config with different settings, compared on a split that is no test.

Each member is trained by a process of its own, in a folder whose name is made of its changes, so
that a sweep may grow: members that are finished are never trained again.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from tljax import build
from tljax.configuration import folder, phases
from tljax.core import UserError, abbreviated
from tljax.engine.scores import score_named
from tljax.files.console import say
from tljax.files.text import write
from tljax.protocols import Config, Record, Setting
from tljax.report.page import page
from tljax.studies.launching import Launch, Member
from tljax.studies.sweep_report import sections
from tljax.studies.training import RESULTS

MEMBERS = 'members'  # the folder of the members' folders
LETTERS = 80  # of a folder's name that tell the changes


def member(changes: Config, config: Config, command: Sequence[str], workdir: Path) -> Member:
    """Returns a member of a sweep, with its folder.

    Args:
        changes: {dotted key: value}: in what the member differs from the config.
        config: config of the member, a plain dict.
        command: arguments of `python` that train it, without --workdir.
        workdir: folder of the sweep.

    >>> made = member({'optim.lr': 0.001}, {}, ['-m', 'experiments.train'], Path('runs/a'))
    >>> made.name
    'optim.lr=0.001-5dbb8b'
    >>> made.command[2] == f'--workdir=runs/a/members/{made.name}'
    True
    """
    text = ','.join(f'{key}={value}' for key, value in changes.items())
    digest = hashlib.sha256(json.dumps(changes).encode()).hexdigest()[:6]
    words = re.sub(r'[^\w.+=,]+', '-', text)[:LETTERS].strip('-') or 'unchanged'
    name = f'{words}-{digest}'
    place = workdir / MEMBERS / name
    return Member(name, changes, config, [*command, f'--workdir={place}'], place)


def sweep(
    config: Config, members: Sequence[Member], workdir: Path, launch: Launch, by: str = 'validation'
) -> Record:
    """Trains the members that are not finished, and writes results.json and report.html.

    Args:
        config: the config that the members change, a plain dict.
        members: the members.
        workdir: folder of the sweep; a restart trains what is missing.
        launch: starts members (`launching.locally`, `launching.on_slurm`).
        by: split whose first score chooses the best member.

    Returns:
        The content of results.json: 'by', 'metric', 'best' (name of a member; None if no member is
        finished), 'tied' (names of others with the same score), 'config', and 'members', a list of
        {'name', 'changes', 'settings' (its values of all keys that a member changes), 'folder',
        'seeds', 'rows' (of `training.train`), 'error' (a line for those that failed)}.

    Raises:
        UserError: the split would be a test or does not exist, a folder belongs to another config,
            members have different scores, or another process runs the sweep.

    >>> sweep({}, [], Path('nowhere'), lambda members, ended: None, by='test')
    Traceback (most recent call last):
    tljax.core.UserError: --by=test: test scores choose nothing: name another split, such as ...
    """
    if by.split(' ')[0] == 'test':
        raise UserError(
            f'--by={by}: test scores choose nothing: name another split, such as validation'
        )
    for each in members:
        _refuse_other_config(each)
    workdir.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(workdir / '.lock', timeout=0):
            errors = _train(members, launch, by)
    except Timeout:
        raise UserError(
            f'another process runs the sweep in {workdir}: wait for it, or take another --workdir'
        ) from None
    keys = list(dict.fromkeys(key for each in members for key in each.changes))
    rows = [_row(each, keys, errors.get(each.name)) for each in members]
    results = {**_best(rows, by), 'members': rows, 'config': config}
    write(workdir / RESULTS, json.dumps(results, indent=1) + '\n')
    page(workdir / 'report.html', 'Sweep', sections(results))
    return results


def _refuse_other_config(each: Member) -> None:
    """Refuses a folder that holds a run with another config."""
    fits = phases(each.config)
    for name, settings in fits:
        build.refuse_other_config(settings, folder(each.folder, [name for name, _ in fits], name))


def _train(members: Sequence[Member], launch: Launch, by: str) -> dict[str, str]:
    """Trains what is not finished. Returns {member: why it failed}."""
    pending = [each for each in members if _results(each) is None]
    for each in members:
        _refuse_no_split(each, by)
    finished, errors = len(members) - len(pending), {}
    if finished:
        say(f'{finished} of {len(members)} members are finished')

    def ended(each: Member, line: str) -> None:
        if _results(each) is None:
            errors[each.name] = line or f'no results: see {each.output}'
            say(f'{each.name}  failed: {errors[each.name]}')
            return
        nonlocal finished
        finished += 1
        say(f'{each.name}  finished, {finished} of {len(members)}')
        _refuse_no_split(each, by)

    if pending:
        launch(pending, ended)
    return errors


def _results(each: Member) -> Record | None:
    """Returns what `training.train` wrote; None if the member is not finished."""
    names = [name for name, _ in phases(each.config)]
    path = folder(each.folder, names, names[-1]) / RESULTS
    return json.loads(path.read_text()) if path.exists() else None


def _refuse_no_split(each: Member, by: str) -> None:
    """Refuses a split that a finished member has no scores of."""
    results = _results(each)
    if results is not None and not results['scores'].get(by):
        splits = [split for split in results['scores'] if split.split(' ')[0] != 'test']
        raise UserError(
            f'--by={by}: {each.folder} has no scores of such a split: name one of '
            f'{abbreviated(splits)}'
        )


def _row(each: Member, keys: Sequence[str], error: str | None) -> Record:
    results = _results(each)
    return dict(
        name=each.name,
        changes=each.changes,
        settings={key: _at(each.config, key) for key in keys},
        folder=str(each.folder),
        seeds=results['seeds'] if results else [],
        rows=results['rows'] if results else [],
        error=error,
    )


def _at(config: Config, key: str) -> Setting:
    """Returns the value of a setting; None where the config lacks it."""
    place: Config | Setting = config
    for part in key.split('.'):
        place = place.get(part) if isinstance(place, dict) else None
    return place


def _best(rows: list[Record], by: str) -> Record:
    """Returns {'by', 'metric', 'best', 'tied'} by the mean of a split's first score."""
    firsts = {
        row['name']: next(score for score in row['rows'] if score['split'] == by)
        for row in rows
        if row['rows']
    }
    metrics = sorted({score['metric'] for score in firsts.values()})
    if len(metrics) > 1:
        raise UserError(
            f'members are measured by different scores ({abbreviated(metrics)}), of which none is '
            'best: sweep each task on its own'
        )
    if not firsts:
        return dict(by=by, metric=None, best=None, tied=[])
    sign = 1 if score_named(metrics[0]).more_is_better else -1
    highest = max(sign * score['mean'] for score in firsts.values())
    best, *tied = [name for name, score in firsts.items() if sign * score['mean'] == highest]
    return dict(by=by, metric=metrics[0], best=best, tied=tied)
