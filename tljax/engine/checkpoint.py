"""Checkpoints by orbax: the training state to go on from, and the finished parameters that others
start from.

`checkpoints/` holds the last few states, written beside and then renamed, so that a kill leaves the
one before whole. `final/` holds parameters and method state alone, of a finished run, in the full
layout of the network; grafts and predictions read it.
"""

import hashlib
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from tljax.core import Tree, UserError
from tljax.engine.log import read
from tljax.files.console import say
from tljax.files.folders import refuse_file
from tljax.files.text import write
from tljax.protocols import Record

PHASES = 'phases.json'  # names of the folders of a run's phases
# keys of a record that are hashes -> what it means that they differ
HASHED = {
    'donor': 'the weights that it starts from have changed',
    'examples': 'the data have changed: other examples, labels or classes',
}


class Checkpoints:
    """The states of one run, newest last, in `workdir/checkpoints`.

    Args:
        workdir: folder of the run.
        keep: how many states are kept.

    >>> import tempfile
    >>> with Checkpoints(tempfile.mkdtemp()) as checkpoints:
    ...     checkpoints.save(3, {'w': np.ones(2)})
    ...     checkpoints.restore({'w': np.zeros(2)})
    (3, {'w': array([1., 1.])})
    """

    def __init__(self, workdir: str | Path, keep: int = 2) -> None:
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

    def __exit__(self, *_: object) -> None:
        self.manager.close()

    def save(self, step: int, state: Tree) -> None:
        """Saves without waiting for the disk; a state is copied before this returns.

        Args:
            step: number of the steps that have been taken.
            state: a tree of arrays.
        """
        if step not in self.manager.all_steps():
            self.manager.save(
                step,
                force=True,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(state),
                    digest=ocp.args.JsonSave({'sha256': digest(state)}),
                ),
            )

    def restore(self, like: Tree) -> tuple[int, Tree] | None:
        """(step, state) of the newest checkpoint that can be read, or None where there is none.

        A damaged one is reported and set aside under `damaged-<step>`.

        Args:
            like: a tree of the shapes and dtypes that are expected.

        Raises:
            UserError: where there are checkpoints but none can be read.
        """
        damaged = []
        for step in sorted(self.manager.all_steps(), reverse=True):
            try:
                found = self.manager.restore(
                    step,
                    args=ocp.args.Composite(
                        state=ocp.args.StandardRestore(
                            jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
                        ),
                        digest=ocp.args.JsonRestore(),
                    ),
                )
                if found['digest'] != {'sha256': digest(found['state'])}:
                    raise ValueError('its numbers are not those that were saved')
            except Exception as error:
                # orbax raises many kinds for a file that is cut, missing or changed
                say(
                    f'checkpoint {step} in {self.manager.directory} cannot be read ({_line(error)})'
                )
                damaged.append(step)
                continue
            for other in damaged:
                self._set_aside(other)
            return step, found['state']
        if damaged:
            raise UserError(
                f'none of the checkpoints {damaged} in {self.manager.directory} can be read by '
                'this code: use the code that wrote them, or delete the workdir to start anew'
            )
        return None

    def _set_aside(self, step):
        if jax.process_index() == 0:
            place = Path(self.manager.directory, str(step))
            names = itertools.chain(
                [f'damaged-{step}'], (f'damaged-{step}-{again}' for again in itertools.count(2))
            )
            target = next(
                path for path in (place.parents[1] / name for name in names) if not path.exists()
            )
            place.rename(target)
            say(f'checkpoint {step} was set aside as {target}; the one before it is used')
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices('damaged')
        self.manager.reload()

    def preempted(self, step: int) -> bool:
        """Whether the scheduler of a multi-process run has asked it to stop, on all processes at
        the same step.

        Args:
            step: number of the steps that have been taken.
        """
        return jax.process_count() > 1 and self.manager.reached_preemption(step)

    def last(self) -> int | None:
        """The newest step, waiting for a save that is under way; None where there is none."""
        self.manager.wait_until_finished()
        return self.manager.latest_step()


def digest(tree: Tree) -> str:
    """A hash of every leaf's bytes: a flipped bit on the disk reads as another number, and tells
    itself by this.

    Args:
        tree: of arrays.

    >>> digest({'w': np.zeros(2)}) == digest({'w': np.zeros(2)}) != digest({'w': np.ones(2)})
    True
    """
    total = hashlib.sha256()
    for leaf in jax.tree.leaves(jax.device_get(tree)):
        total.update(np.ascontiguousarray(leaf).tobytes())
    return total.hexdigest()


def save_final(workdir: str | Path, params: Tree, state: Tree, record: Record) -> None:
    """Writes the product of a run: parameters, method state, and a JSON record (config, classes) of
    where they come from.

    Args:
        workdir: folder of the run.
        params: parameters, with a leading axis of seeds.
        state: state of the method, with a leading axis of seeds.
        record: what a JSON file can hold.

    >>> import tempfile
    >>> save_final(workdir := tempfile.mkdtemp(), {'head': np.ones(1)}, {}, {'classes': ['a']})
    >>> load_final(workdir)
    ({'head': array([1.])}, {}, {'classes': ['a']})
    """
    with _final_files() as files:
        files.save(
            Path(workdir, 'final').absolute(),
            force=True,
            args=ocp.args.Composite(
                tree=ocp.args.PyTreeSave({'params': params, 'state': state}),
                record=ocp.args.JsonSave(record),
            ),
        )


def load_final(workdir: str | Path) -> tuple[Tree, Tree, Record]:
    """(params, state, record) of a finished run, as NumPy arrays.

    Args:
        workdir: folder of the run.

    Raises:
        UserError: where `workdir` holds no finished run.

    >>> load_final('nowhere')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere holds no finished run (no final/): train it to its last step first
    """
    path = Path(workdir, 'final').absolute()
    if not path.exists():
        begun = _progress(Path(workdir))
        raise UserError(
            f'{workdir}{begun}: give the training command again'
            if begun
            else f'{workdir} holds no finished run (no final/): train it to its last step first'
        )
    with _final_files() as files:
        as_numpy = jax.tree.map(
            lambda _: ocp.RestoreArgs(restore_type=np.ndarray),
            files.metadata(path).item_metadata['tree'],
        )
        found = files.restore(
            path,
            args=ocp.args.Composite(
                tree=ocp.args.PyTreeRestore(restore_args=as_numpy), record=ocp.args.JsonRestore()
            ),
        )
    return found.tree['params'], found.tree['state'], found.record


def write_plan(workdir: str | Path, folders: Sequence[str]) -> None:
    """Writes which phases a run has, so that none of them is taken for the whole.

    Args:
        workdir: folder of the run.
        folders: names of the folders of its phases, in their order.

    >>> import tempfile
    >>> write_plan(workdir := tempfile.mkdtemp(), ['00-head', '01-all'])
    >>> last_phase(Path(workdir))
    Traceback (most recent call last):
    tljax.core.UserError: ... is not finished: 00-head has not begun: ...
    """
    if jax.process_index() == 0:
        write(Path(workdir, PHASES), json.dumps(list(folders)) + '\n')


def last_phase(workdir: Path) -> Path:
    """The folder of the last phase of a run, or the folder itself.

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
    written = workdir / PHASES
    folders = (
        json.loads(written.read_text())
        if written.exists()
        else sorted(
            path.name for path in workdir.glob('[0-9][0-9]-*') if (path / 'config.json').exists()
        )
    )
    finished = [name for name in folders if (workdir / name / 'final').exists()]
    if finished == folders:
        return workdir / folders[-1] if folders else workdir
    pending = next(name for name in folders if name not in finished)
    before = f', or name {workdir / finished[-1]} for the phase before' if finished else ''
    raise UserError(
        f'{workdir} is not finished: {pending}{_progress(workdir / pending) or " has not begun"}: '
        f'give the training command again{before}'
    )


def _progress(folder):
    """How far a fit is, from its own files; '' where none has begun."""
    config, records = folder / 'config.json', read(folder / 'log.jsonl')
    if not config.exists():
        return ''
    saved = (int(path.name) for path in (folder / 'checkpoints').glob('*') if path.name.isdigit())
    step = max((*(record['step'] for record in records), *saved), default=0)
    try:
        steps = json.loads(config.read_text())['steps']
    except (ValueError, LookupError, TypeError, RecursionError):
        raise UserError(f'{config} is no config of a run: name the folder of a run') from None
    return f' is at step {step} of {steps}'


def _final_files():
    return ocp.Checkpointer(
        ocp.CompositeCheckpointHandler(
            tree=ocp.PyTreeCheckpointHandler(), record=ocp.JsonCheckpointHandler()
        )
    )


def claim(
    workdir: str | Path, record: Record, look: bool = False, open: Sequence[str] = ()
) -> None:
    """Makes a workdir this run's own: writes `config.json`, or compares it where it is.

    Args:
        workdir: folder of the run.
        record: what its config says.
        look: whether to compare only.
        open: keys of the record that are not known yet and are not compared.

    Raises:
        UserError: lists what differs where the workdir belongs to another config; for a finished
            run of another length, how to go on.

    >>> import tempfile
    >>> claim(workdir := tempfile.mkdtemp(), {'steps': 1})
    >>> claim(workdir, {'steps': 2})
    Traceback (most recent call last):
    tljax.core.UserError: ... belongs to another config (steps: 1 there, 2 now); take another ...
    """
    path = Path(workdir, 'config.json')
    refuse_file(workdir)
    new = _leaves(json.loads(json.dumps(record)))
    if path.exists():
        old = _leaves(_written(path))
        differs = [
            name
            for name in sorted({*old, *new})
            if name.split('.')[0] not in open
            and old.get(name, path) != new.get(name, path)
            and (name != 'examples' or name in old)
        ]  # older runs did not keep them
        changed = '; '.join(dict.fromkeys(_changed(name, old, new) for name in differs[:8]))
        if differs and set(differs) <= {'steps', 'epochs'} and Path(workdir, 'final').exists():
            raise UserError(
                f'{workdir} is finished ({changed}): to train on from it, take another --workdir '
                f'and --config.init.path={workdir}'
            )
        if differs:
            raise UserError(
                f'{workdir} belongs to another config ({changed}); take another --workdir or the '
                'config it was made with'
            )
    elif jax.process_index() == 0 and not look:
        write(path, json.dumps(record, indent=1, sort_keys=True) + '\n')


def _written(path):
    try:
        found = json.loads(path.read_text())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UserError(f'{path} is no config of a run: take another --workdir')
    return found


def _changed(name, old, new):
    """What differs, in words."""
    hashed = 'examples' if name.startswith('data.fingerprints.') else name
    return (
        HASHED.get(hashed)
        or f'{name}: {old.get(name, "absent")} there, {new.get(name, "absent")} now'
    )


def _leaves(tree, prefix=''):
    if not isinstance(tree, dict):
        return {prefix: tree}
    return {
        name: leaf
        for key, value in tree.items()
        for name, leaf in _leaves(value, f'{prefix}.{key}'.lstrip('.')).items()
    }


def _line(error):
    text = str(error).strip()
    return f'{type(error).__name__}: {text.splitlines()[0][:120] if text else "no text"}'
