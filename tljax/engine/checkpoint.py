"""Checkpoints by orbax: training states for a restart, and the parameters of finished runs.

`checkpoints/` holds the last few states. Each is written to a temporary folder and then renamed, so
that a kill during a save leaves the previous checkpoint intact. `final/` holds the parameters and
the method state of a finished run, in the full layout of the network; grafts and predictions read
it.
"""

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from tljax.core import Tree, Unwritten, UserError
from tljax.engine.cluster import HASHES, named_leaves
from tljax.engine.log import read, unwritten
from tljax.engine.sharding import to_host
from tljax.files.console import say
from tljax.files.folders import refuse_file
from tljax.files.text import write
from tljax.protocols import Record

ROOM = 2**14  # bytes of the disk that an array of a checkpoint takes beside its own
UNWRITTEN = (OSError, ValueError)  # what orbax and its writers raise where a file can't be written
PHASES = 'phases.json'  # names of the folders of a run's phases
OLD_FORM = re.compile(r'net(\.of)*\.form')  # older runs named the form of their convolutions


class Checkpoints:
    """The checkpoints of one run, in `workdir/checkpoints`.

    Args:
        workdir: folder of the run.
        keep: number of checkpoints that stay on the disk, the newest ones.

    >>> import tempfile
    >>> with Checkpoints(tempfile.mkdtemp()) as checkpoints:
    ...     checkpoints.save(3, {'w': np.ones(2)})
    ...     checkpoints.restore({'w': np.zeros(2)})
    (3, {'w': array([1., 1.])})
    """

    def __init__(self, workdir: str | Path, keep: int = 2) -> None:
        self.workdir = Path(workdir)
        self.manager = ocp.CheckpointManager(
            Path(workdir, 'checkpoints').absolute(),
            options=ocp.CheckpointManagerOptions(max_to_keep=keep),
            item_handlers={
                'state': ocp.StandardCheckpointHandler(),
                'digest': ocp.JsonCheckpointHandler(),
            },
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind and issubclass(kind, Unwritten) and jax.process_count() > 1:
            return  # the other processes, which do not know, would be waited for
        with suppress(*UNWRITTEN) if kind else self._written():
            self.manager.close()

    @contextmanager
    def _written(self):
        """Where a checkpoint cannot be written, one line says so. Orbax tells it later than at the
        save that failed: at the next one, or at the end."""
        try:
            yield
        except UNWRITTEN as error:
            raise unwritten(self.workdir, error) from error

    def save(self, step: int, state: Tree) -> None:
        """Saves a state. It is copied before the call returns, and written in the background.

        Args:
            step: number of steps taken so far.
            state: a tree of arrays.

        Raises:
            Unwritten: this checkpoint, or one before, cannot be written.
        """
        if step not in self.manager.all_steps():
            with self._written():
                self._refuse_full_disk(state)
                self.manager.save(
                    step,
                    force=True,
                    args=ocp.args.Composite(
                        state=ocp.args.StandardSave(state),
                        digest=ocp.args.JsonSave({'sha256': digest(state)}),
                    ),
                )

    def _refuse_full_disk(self, state):
        """Raises an error before anything is written. Several processes would wait ten minutes for
        the one that can't write."""
        leaves = jax.tree.leaves(state)
        needed = sum(leaf.nbytes for leaf in leaves) + ROOM * len(leaves)
        if shutil.disk_usage(self.manager.directory).free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def restore(self, like: Tree) -> tuple[int, Tree] | None:
        """Returns (step, state) of the newest readable checkpoint; None if the run has none.

        A damaged checkpoint is reported and renamed to `damaged-<step>`.

        Args:
            like: a tree with the structure, shapes, dtypes and shardings of the state.

        Raises:
            UserError: there are checkpoints, but none can be read.
        """
        damaged = []
        for step in sorted(self.manager.all_steps(), reverse=True):
            try:
                items = self.manager.restore(
                    step,
                    args=ocp.args.Composite(
                        state=ocp.args.StandardRestore(
                            jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
                        ),
                        digest=ocp.args.JsonRestore(),
                    ),
                )
                if items['digest'] != {'sha256': digest(items['state'])}:
                    raise ValueError('its numbers are not those that were saved')
            except Exception as error:
                # orbax raises many kinds of errors for a truncated, missing or changed file
                reason = _first_line(error)
                say(f'checkpoint {step} in {self.manager.directory} cannot be read ({reason})')
                damaged.append(step)
                continue
            for damaged_step in damaged:
                self._set_aside(damaged_step)
            return step, items['state']
        if damaged:
            raise UserError(
                f'none of the checkpoints {damaged} in {self.manager.directory} can be read by '
                'this code: use the code that wrote them, or delete the workdir to start anew'
            )
        return None

    def _set_aside(self, step):
        if jax.process_index() == 0:
            folder = Path(self.manager.directory, str(step))
            target = folder.parents[1] / f'damaged-{step}'
            number = 2
            while target.exists():
                target = folder.parents[1] / f'damaged-{step}-{number}'
                number += 1
            folder.rename(target)
            say(f'checkpoint {step} was set aside as {target}; the one before it is used')
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices('damaged')
        self.manager.reload()

    def preempted(self, step: int) -> bool:
        """Tells whether the scheduler of a multi-process run has announced a preemption.

        All processes get the same answer at the same step.

        Args:
            step: number of steps taken so far.
        """
        return jax.process_count() > 1 and self.manager.reached_preemption(step)

    def last(self) -> int | None:
        """Returns the step of the newest checkpoint, after a save in the background has ended; None
        if the run has no checkpoint."""
        with self._written():
            self.manager.wait_until_finished()
        return self.manager.latest_step()


def digest(tree: Tree) -> str:
    """Hashes the bytes of every leaf, so that a flipped bit on the disk is detected.

    The hash does not depend on how the leaves are divided among devices. One leaf at a time is
    gathered. All processes call the function together.

    Args:
        tree: of arrays.

    Returns:
        The SHA-256 hash, hexadecimal.

    >>> digest({'w': np.zeros(2)}) == digest({'w': np.zeros(2)})
    True
    >>> digest({'w': np.zeros(2)}) == digest({'w': np.array([0.0, 1e-300])})
    False
    """
    sha256 = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        sha256.update(np.ascontiguousarray(to_host(leaf)).tobytes())
    return sha256.hexdigest()


def save_final(workdir: str | Path, params: Tree, state: Tree, record: Record) -> None:
    """Writes the product of a run: parameters, method state, and a record of their origin.

    Args:
        workdir: folder of the run.
        params: parameters, with a leading axis of seeds.
        state: state of the method, with a leading axis of seeds.
        record: config, classes and scores of the run, as JSON.

    Raises:
        Unwritten: the files cannot be written.

    >>> import tempfile
    >>> save_final(workdir := tempfile.mkdtemp(), {'head': np.ones(1)}, {}, {'classes': ['a']})
    >>> load_final(workdir)
    ({'head': array([1.])}, {}, {'classes': ['a']})
    """
    try:
        with _final_checkpointer() as checkpointer:
            checkpointer.save(
                Path(workdir, 'final').absolute(),
                force=True,
                args=ocp.args.Composite(
                    tree=ocp.args.PyTreeSave({'params': params, 'state': state}),
                    record=ocp.args.JsonSave(record),
                ),
            )
    except UNWRITTEN as error:
        raise unwritten(Path(workdir), error) from error


def load_final(workdir: str | Path) -> tuple[Tree, Tree, Record]:
    """Reads (params, state, record) of a finished run, as NumPy arrays.

    Args:
        workdir: folder of the run.

    Raises:
        UserError: `workdir` holds no finished run.

    >>> load_final('nowhere')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere holds no finished run (no final/): train it to its last step first
    """
    refuse_unfinished(workdir)
    path = Path(workdir, 'final').absolute()
    with _final_checkpointer() as checkpointer:
        as_numpy = jax.tree.map(
            lambda _: ocp.RestoreArgs(restore_type=np.ndarray),
            checkpointer.metadata(path).item_metadata['tree'],
        )
        items = checkpointer.restore(
            path,
            args=ocp.args.Composite(
                tree=ocp.args.PyTreeRestore(restore_args=as_numpy), record=ocp.args.JsonRestore()
            ),
        )
    config = items.record.get('config', {})
    if 'net' in config:
        config['net'] = _without_form(config['net'])
    return items.tree['params'], items.tree['state'], items.record


def refuse_unfinished(workdir: str | Path) -> None:
    """Refuses a folder without a finished run.

    Args:
        workdir: folder of the run.

    Raises:
        UserError: `workdir` holds no finished run.

    >>> refuse_unfinished('nowhere')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere holds no finished run (no final/): train it to its last step first
    """
    if Path(workdir, 'final').exists():
        return
    progress = _progress(Path(workdir))
    if progress:
        raise UserError(f'{workdir}{progress}: give the training command again')
    raise UserError(f'{workdir} holds no finished run (no final/): train it to its last step first')


def _without_form(net):
    """The config of a network without `form` (OLD_FORM)."""
    return {
        key: _without_form(value) if isinstance(value, dict) else value
        for key, value in net.items()
        if key != 'form'
    }


def write_plan(workdir: str | Path, folders: Sequence[str]) -> None:
    """Writes the list of a run's phases, so that an early phase is not read as the finished run.

    Args:
        workdir: folder of the run.
        folders: names of the folders of its phases, first to last.

    >>> import tempfile
    >>> write_plan(workdir := tempfile.mkdtemp(), ['00-head', '01-all'])
    >>> last_phase(Path(workdir))
    Traceback (most recent call last):
    tljax.core.UserError: ... is not finished: 00-head has not begun: ...
    """
    if jax.process_index() == 0:
        write(Path(workdir, PHASES), json.dumps(list(folders)) + '\n')


def last_phase(workdir: Path) -> Path:
    """Returns the folder of a run's last phase; the run's own folder if it has no phases.

    Args:
        workdir: folder of a run, of one phase or several.

    Raises:
        UserError: a phase of the run is not finished, or the folder is that of a study.

    >>> str(last_phase(Path('runs/nothing')))
    'runs/nothing'
    """
    if (workdir / 'final').exists():
        return workdir
    if cells := sorted((workdir / 'cells').glob('*/final')):
        raise UserError(
            f'{workdir} is a study of {len(cells)} fits: name one of them, such as '
            f'{cells[0].parent}'
        )
    phases = _phases(workdir)
    finished = [name for name in phases if (workdir / name / 'final').exists()]
    if finished == phases:
        return workdir / phases[-1] if phases else workdir
    pending = next(name for name in phases if name not in finished)
    remedy = 'give the training command again'
    if finished:
        remedy += f', or name {workdir / finished[-1]} for the phase before'
    progress = _progress(workdir / pending) or ' has not begun'
    raise UserError(f'{workdir} is not finished: {pending}{progress}: {remedy}')


def phase_folders(workdir: Path) -> list[Path]:
    """Returns the folders of a finished run's phases, first to last; its own if it has no phases.

    Args:
        workdir: folder of a run, of one phase or several.

    Raises:
        UserError: as `last_phase`.

    >>> [str(folder) for folder in phase_folders(Path('runs/nothing'))]
    ['runs/nothing']
    """
    last = last_phase(workdir)
    return [last] if last == workdir else [workdir / name for name in _phases(workdir)]


def _phases(workdir):
    """Names of the folders of a run's phases; older runs have no file that lists them."""
    plan = workdir / PHASES
    if plan.exists():
        return json.loads(plan.read_text())
    folders = workdir.glob('[0-9][0-9]-*')
    return sorted(path.name for path in folders if (path / 'config.json').exists())


def _progress(folder):
    """The step of a fit, from its own files, in words; '' if the fit has not begun."""
    config, records = folder / 'config.json', read(folder / 'log.jsonl')
    if not config.exists():
        return ''
    names = [path.name for path in (folder / 'checkpoints').glob('*')]
    checkpoint_steps = [int(name) for name in names if name.isdigit()]
    step = max([record['step'] for record in records] + checkpoint_steps, default=0)
    try:
        steps = json.loads(config.read_text())['steps']
    except (ValueError, LookupError, TypeError, RecursionError):
        raise UserError(f'{config} is no config of a run: name the folder of a run') from None
    return f' is at step {step} of {steps}'


def _final_checkpointer():
    return ocp.Checkpointer(
        ocp.CompositeCheckpointHandler(
            tree=ocp.PyTreeCheckpointHandler(), record=ocp.JsonCheckpointHandler()
        )
    )


def claim(
    workdir: str | Path,
    record: Record,
    compare_only: bool = False,
    ignored_keys: Sequence[str] = (),
) -> None:
    """Claims a workdir for one config: writes `config.json`, or compares with the one in it.

    Args:
        workdir: folder of the run.
        record: the config, as JSON.
        compare_only: compares and writes nothing.
        ignored_keys: keys of the record that are not compared, as their values are not known yet.

    Raises:
        UserError: the workdir belongs to another config. The message lists the differences; for a
            finished run of another length it says how to train on from it.

    >>> import tempfile
    >>> claim(workdir := tempfile.mkdtemp(), {'steps': 1})
    >>> claim(workdir, {'steps': 2})
    Traceback (most recent call last):
    tljax.core.UserError: ... belongs to another config (steps: 1 there, 2 now); take another ...
    """
    path = Path(workdir, 'config.json')
    refuse_file(workdir)
    new = named_leaves(json.loads(json.dumps(record)))
    if path.exists():
        old = named_leaves(_read_config(path))
        names = _differences(old, new, ignored_keys)
        if not names:
            return
        changes = '; '.join(dict.fromkeys(_change(name, old, new) for name in names[:8]))
        if set(names) <= {'steps', 'epochs'} and Path(workdir, 'final').exists():
            raise UserError(
                f'{workdir} is finished ({changes}): to train on from it, take another --workdir '
                f'and --config.init.path={workdir}'
            )
        raise UserError(
            f'{workdir} belongs to another config ({changes}); take another --workdir or the '
            'config it was made with'
        )
    if not compare_only and jax.process_index() == 0:  # a comparison leaves the devices alone
        write(path, json.dumps(record, indent=1, sort_keys=True) + '\n')


def _differences(old, new, ignored_keys):
    """Names of the leaves that differ between two records."""
    absent = object()
    return [
        name
        for name in sorted({*old, *new})
        if name.split('.')[0] not in ignored_keys
        and old.get(name, absent) != new.get(name, absent)
        and (name != 'examples' or name in old)  # older runs did not write this hash
        and not (name not in new and OLD_FORM.fullmatch(name))
    ]


def _read_config(path):
    try:
        config = json.loads(path.read_text())
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise UserError(f'{path} is no config of a run: take another --workdir')
    return config


def _change(name, old, new):
    """One difference between two records, in words."""
    key = 'examples' if name.startswith('data.fingerprints.') else name
    if key in HASHES:
        what, how = HASHES[key]
        return f'{what} have changed{how}'
    return f'{name}: {old.get(name, "absent")} there, {new.get(name, "absent")} now'


def _first_line(error):
    text = str(error).strip()
    return f'{type(error).__name__}: {text.splitlines()[0][:120] if text else "no text"}'
