"""Whether a finished model was trained without some examples, from its record and its data."""

from pathlib import Path

from tljax import build
from tljax.core import Dataset, UserError
from tljax.data.splits import signature
from tljax.data.withdrawal import facts, ids_of, read_ids, without
from tljax.engine.checkpoint import load_final, phase_folders
from tljax.engine.train import WITHDRAWN
from tljax.protocols import Record
from tljax.studies.tables import Table

LEARNT = ('train', 'validation', 'target')  # splits that parameters, or the choice of them, see
WITHDRAWN_BY_RUN = 'withdrawn before the run was trained'


def check(workdir: Path, withdrawn: str) -> Record:
    """Tells for ids whether a finished run was trained without them.

    Every phase of the run is checked, and the runs that it starts from or learns from. An id that
    the run did not withdraw is looked for in its data, if these still have the number, the names
    and the labels of the examples that it was trained on.

    Args:
        workdir: folder of the run.
        withdrawn: ids joined by commas, or the path of a text file with one id a line.

    Returns:
        {'without': whether the run is known to be trained without all of them, 'rows': [{'run',
        'id', 'without', 'reason'}], 'unknown': weights that no record tells about}.

    Raises:
        UserError: there is no finished run, no ids are given, or the data of a run were given in
            Python.

    >>> check(Path('nowhere'), 'a.png')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere holds no finished run (no final/): train it to its last step first
    """
    ids = read_ids(withdrawn if Path(withdrawn).expanduser().is_file() else withdrawn.split(','))
    if not ids:
        raise UserError('--ids is missing: name ids, joined by commas, or a file of one id a line')
    rows, unknown, places, done = [], [], [workdir], set()
    while places:
        for folder in phase_folders(places.pop(0)):
            if folder.absolute() in done:
                continue
            done.add(folder.absolute())
            config = load_final(folder)[2].get('config', {})
            if 'data' not in config:  # weights of a file
                unknown.append(str(folder))
                continue
            rows += [{'run': str(folder), **row} for row in _rows(folder, config, ids)]
            init, teacher = config['init'], config.get('teacher', '')
            if init['phase'] and not init['path']:
                places.append(folder.parent)
            for origin in filter(None, (init['path'], teacher)):
                if Path(origin).is_dir():
                    places.append(Path(origin))
                else:
                    unknown.append(origin)
    is_without = bool(rows) and all(row['without'] for row in rows)
    return {'without': is_without, 'rows': rows, 'unknown': unknown}


def _rows(folder: Path, config: Record, ids: tuple[str, ...]) -> list[Record]:
    """What the record and the data of one phase say about each id."""
    left_out = _left_out(folder, config)
    if {*ids} <= {*left_out}:
        return [{'id': name, 'without': True, 'reason': WITHDRAWN_BY_RUN} for name in ids]
    if config['data']['name'] == 'arrays':
        raise UserError(f'{folder} was trained on arrays that Python gave: its data are not here')
    splits = build.load(config['data'])
    held = _held(splits)
    here = [name for name in left_out if any(name in part for part in held.values())]
    is_same = signature(without(splits, here)) == config.get('examples')
    rows = []
    for name in ids:
        parts = [split for split, part in held.items() if name in part]
        text = ', '.join(parts)
        if name in left_out:
            answer = True, WITHDRAWN_BY_RUN
        elif not is_same:
            answer = False, 'not known: the data have changed since the run was trained'
        elif not parts:
            answer = True, 'in no split of its data'
        elif {*parts} & {*LEARNT}:
            answer = False, f'in {text}'
        else:
            answer = True, f'in {text} alone, which is scored and not learnt'
        rows.append({'id': name, 'without': answer[0], 'reason': answer[1]})
    return rows


def _left_out(folder: Path, config: Record) -> tuple[str, ...]:
    """The ids that the run left out, as its folder lists them and its record confirms."""
    if 'withdrawn' not in config:
        return ()
    path = folder / WITHDRAWN
    ids = read_ids(str(path)) if path.is_file() else ()
    if facts(ids) != config['withdrawn']:
        raise UserError(
            f'{path} is not the list of {config["withdrawn"]["count"]} ids that the run was '
            'trained without: put the list back'
        )
    return ids


def _held(splits: dict[str, Dataset]) -> dict[str, set[str]]:
    """The ids of each split, and of the target of `domains`."""
    held = {name: {*ids_of(split, name).tolist()} for name, split in splits.items()}
    target = splits['train'].target
    if target:
        held['target'] = {*ids_of(target, 'target').tolist()}
    return held


def table(result: Record) -> Table:
    """Returns the answers of `check` as a table.

    Args:
        result: as `check` returns it.

    >>> row = {'run': 'runs/a', 'id': 'a.png', 'without': False, 'reason': 'in train'}
    >>> table({'rows': [row]}).rows
    [['runs/a', 'a.png', 'no', 'in train']]
    """
    rows = [
        [row['run'], row['id'], 'yes' if row['without'] else 'no', row['reason']]
        for row in result['rows']
    ]
    return Table(['run', 'id', 'trained without it', 'why'], rows)
