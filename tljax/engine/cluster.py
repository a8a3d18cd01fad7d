"""What the processes of one run tell each other: values on which they must agree, and where its
checkpoints are."""

import json
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from tljax.core import UserError
from tljax.protocols import Record

# names in a record that are hashes -> what differs where two hashes do, and in what
OTHER_DATA = ('the data', ': other examples, labels or classes')
HASHES = {
    'fingerprints': OTHER_DATA,
    'examples': OTHER_DATA,
    'donor': ('the weights that it starts from', ''),
    'teacher_weights': ('the weights of its teacher', ''),
}
WATCHERS: list[subprocess.Popen[str]] = []  # that of this process, if it is one of several


def tell_watcher(text: str) -> None:
    """Tells the watcher of this process something; one that has ended is not told.

    Args:
        text: one line, as `files.watch` reads it.

    >>> tell_watcher('bye')  # a run of one process has no watcher
    """
    for watcher in WATCHERS:
        with suppress(OSError):
            assert watcher.stdin
            watcher.stdin.write(f'{text}\n')
            watcher.stdin.flush()


def watch_folder(folder: str | Path) -> None:
    """Tells where the checkpoints of the fit that begins are.

    Args:
        folder: of the fit.

    >>> watch_folder('runs/a')
    """
    tell_watcher(f'folder {folder}')


def agree(record: Record) -> None:
    """Checks that all processes of a run have the same values.

    Args:
        record: JSON: a config, versions, hashes of data.

    Raises:
        UserError: the value of a name differs between two processes; all processes raise it.

    >>> agree({'steps': 5})  # a run of one process agrees with itself
    """
    if jax.process_count() == 1:
        return
    own = json.dumps({'host': socket.gethostname(), 'record': record}, sort_keys=True).encode()
    lengths = np.asarray(multihost_utils.process_allgather(np.int32(len(own))))
    padded = np.zeros(lengths.max(), np.uint8)
    padded[: len(own)] = np.frombuffer(own, np.uint8)
    rows = np.asarray(multihost_utils.process_allgather(padded))
    texts = [json.loads(row[:length].tobytes()) for row, length in zip(rows, lengths, strict=True)]
    first, *others = [named_leaves(text['record']) for text in texts]
    for number, other in enumerate(others, 1):
        for name in dict.fromkeys([*first, *other]):
            if first.get(name) != other.get(name):
                raise UserError(_difference(number, texts[number]['host'], name, first, other))


def _difference(number, host, name, first, other):
    who = f'process {number} on {host} differs from process 0'
    what = ''.join(HASHES.get(name.split('.')[0], ()))
    if what:
        return f'{who} in {what}: give all processes the same files'
    here, there = (_short(record.get(name, 'absent')) for record in (other, first))
    return f'{who} in {name}: {here} there, {there} in process 0: start all with the same'


def _short(value):
    text = str(value)
    return text if len(text) <= 60 else f'{text[:60]}...'


def named_leaves(tree: object, prefix: str = '') -> Record:
    """Returns the leaves of a nested dict by their dotted names.

    Args:
        tree: a dict of dicts; anything else is a leaf.
        prefix: name of the tree.

    >>> named_leaves({'optim': {'lr': 0.1}, 'steps': 5})
    {'optim.lr': 0.1, 'steps': 5}
    """
    if not isinstance(tree, dict):
        return {prefix: tree}
    return {
        name: leaf
        for key, value in tree.items()
        for name, leaf in named_leaves(value, f'{prefix}.{key}'.lstrip('.')).items()
    }
