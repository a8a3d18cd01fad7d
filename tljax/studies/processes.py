"""The processes of one run: how they join, where they must agree, and what happens if one dies."""

import json
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import jax
import numpy as np
from jax.experimental import multihost_utils

from tljax.core import Stopped, UserError
from tljax.engine.cluster import WATCHERS, agree, tell_watcher
from tljax.files import watch
from tljax.files.leaving import leave_at_once
from tljax.protocols import Config, Record
from tljax.studies.provenance import data_prints, surroundings

MESSAGE = 512  # bytes with which process 0 tells where its watcher is


def agree_on(config: Config) -> None:
    """Checks that all processes of a run have the same config, code, packages and data.

    Args:
        config: the whole config, a plain dict.

    Raises:
        UserError: two processes differ; the message names both, and in what.

    >>> agree_on({})  # a run of one process agrees with itself
    """
    if jax.process_count() == 1:
        return
    here = surroundings()
    agree({'config': config, 'code': here['code'], 'packages': here['packages']})
    agree({'fingerprints': data_prints(config)})


@contextmanager
def joined(cluster: str, heartbeat: int = 30) -> Iterator[None]:
    """Joins the processes of a run while the context is open.

    If a process dies, fails, or does not answer for `heartbeat` seconds, all others end. The last
    line of each names that process, its host, and the step from which the same command goes on.

    Args:
        cluster: 'auto' on Slurm, Open MPI, Kubernetes, GKE or Cloud TPU, otherwise
            'COORDINATOR:PORT,PROCESSES,PROCESS'; '' for a run of one process.
        heartbeat: seconds without an answer after which a process is lost.

    Raises:
        UserError: `cluster` is none of these, or 'auto' finds no cluster.

    >>> with joined(''):
    ...     jax.process_count()
    1
    """
    if not cluster:
        yield
        return
    _initialize(cluster, heartbeat)
    if jax.process_count() == 1:
        yield
        return
    watcher = _start_watcher(cluster.rpartition(':')[0], heartbeat)
    WATCHERS.append(watcher)
    try:
        yield
    except Stopped:  # all processes stop together
        tell_watcher('bye')
        raise
    except UserError:
        _fail(2)
        raise
    except SystemExit as error:
        if error.code:
            _fail(error.code if isinstance(error.code, int) else 1)
        else:
            tell_watcher('bye')
        raise
    except Exception:
        # An operation between processes fails at once if one of them has died. The watcher names
        # it, and ends this process.
        threading.Event().wait(watch.LINGER + watch.GRACE)
        _fail(1)
        raise
    else:
        tell_watcher('bye')


def _fail(status: int) -> None:
    """Tells the others that this process has failed, and makes its end not wait for theirs."""
    tell_watcher('failed')
    leave_at_once(status)  # JAX would wait for the other processes


def _initialize(cluster: str, heartbeat: int) -> None:
    # The watcher is to find out first, since JAX ends a process without a word of Python's.
    keywords: Record = dict(heartbeat_timeout_seconds=2 * heartbeat)
    if cluster == 'auto':
        try:
            jax.distributed.initialize(**keywords)
        except ValueError as error:
            raise UserError(
                '--distributed=auto finds no cluster (Slurm, Open MPI, Kubernetes, GKE, Cloud '
                'TPU): give COORDINATOR:PORT,PROCESSES,PROCESS'
            ) from error
        return
    try:
        address, count, number = cluster.rsplit(',', 2)
        count, number = int(count), int(number)
    except ValueError:
        raise UserError(
            f'--distributed={cluster} is neither auto nor COORDINATOR:PORT,PROCESSES,PROCESS'
        ) from None
    if not 0 <= number < count:
        raise UserError(
            f'--distributed={cluster}: processes are numbered from 0 to {count - 1}, and this is '
            f'number {number}'
        )
    jax.distributed.initialize(address, count, number, **keywords)


def _start_watcher(coordinator: str, heartbeat: int) -> subprocess.Popen[str]:
    """Starts the watcher of this process."""
    token = secrets.token_hex(16)
    first = jax.process_index() == 0
    watcher = _popen((), token, heartbeat) if first else None
    message = np.zeros(MESSAGE, np.uint8)
    if watcher:
        assert watcher.stdout
        port = int(watcher.stdout.readline())
        hosts = dict.fromkeys([*_hosts(), *([coordinator] if coordinator else [])])
        text = json.dumps([[[host, port] for host in hosts], token]).encode()
        message[: len(text)] = np.frombuffer(text, np.uint8)
    message = multihost_utils.broadcast_one_to_all(message)
    if watcher is None:
        addresses, token = json.loads(bytes(np.asarray(message)).rstrip(b'\0'))
        watcher = _popen(addresses, token, heartbeat)
    threading.Thread(target=_end_when_lost, args=(watcher,), daemon=True).start()
    return watcher


def _popen(addresses, token, heartbeat):
    settings = watch.Settings(
        jax.process_index(), os.getpid(), jax.process_count(), heartbeat, addresses, token
    )
    return subprocess.Popen(
        # -I: the folder of the file is not looked through for the modules that it imports
        [sys.executable, '-I', watch.__file__],
        # others on this machine can read a command line, and not the environment
        env={**os.environ, watch.VARIABLE: json.dumps(settings)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _hosts():
    """Names and addresses of this machine, under which others may find it."""
    hosts = [socket.gethostname()]
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(('192.0.2.1', 9))  # sends nothing: it asks which address is used outwards
        hosts.append(probe.getsockname()[0])
    return hosts


def _end_when_lost(watcher):
    for line in watcher.stdout:
        if line.strip() == 'lost':
            # the main thread may wait for the lost process, and then it can't end itself
            os._exit(watch.LOST)
