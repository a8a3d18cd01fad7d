"""Starts trainings as processes: the members of a sweep, here or on Slurm, or the parts of one run.

The process that starts them leaves the devices to them: it asks JAX for none.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import NamedTuple

from tljax.core import UserError
from tljax.engine.signals import caught_signal, stop_exception
from tljax.files.console import say
from tljax.files.text import write
from tljax.files.watch import LOST
from tljax.protocols import Config, Record

# exit status of a process that ends because another one has (by JAX, by its watcher): how sure
# that is
CONSEQUENCES = {-signal.SIGABRT: 1, LOST: 2}
PAUSE = 0.2  # seconds between two looks at the processes
GRACE = 15  # seconds in which a process may end before it is killed
HOURS = 12  # of a job, unless `time` says otherwise
RAISED = 'submitit.core.utils.FailedJobError: '  # before the last line of a failed member
JOBS = 'jobs.json'  # names of members and their jobs, in the folder of the jobs


class Member(NamedTuple):
    """A member of a sweep.

    Attributes:
        name: name of its folder.
        changes: {dotted key: value}: in what it differs from the config.
        config: its config, a plain dict.
        command: arguments of `python` that train it.
        folder: folder of its run.

    >>> Member('a', {}, {}, ['-m', 'experiments.train'], Path('runs/sweep/members/a')).output.name
    'a.txt'
    """

    name: str
    changes: Config
    config: Config
    command: list[str]
    folder: Path

    @property
    def output(self) -> Path:
        """The file of what the member prints."""
        return self.folder.with_name(f'{self.name}.txt')


# Starts members and waits for them: (members, called with each that has ended and with the line
# that tells why it failed, or '')
Launch = Callable[[Sequence[Member], Callable[[Member, str], None]], None]


def locally(parallel: int = 1) -> Launch:
    """Returns a function that runs members on this machine.

    After SIGTERM or Ctrl-C the members save and stop, as they do after an error of `ended`.

    Args:
        parallel: number of processes at a time.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> member = Member('a', {}, {}, ['-c', 'import sys; sys.exit("error: no data")'], folder / 'a')
    >>> locally()([member], lambda member, line: print(member.name, line))
    a error: no data
    """

    def launch(members: Sequence[Member], ended: Callable[[Member, str], None]) -> None:
        waiting, running = deque(members), []
        with caught_signal() as received_signal:
            try:
                while waiting or running:
                    while waiting and len(running) < parallel:
                        member = waiting.popleft()
                        running.append((member, _start(member)))
                    time.sleep(PAUSE)
                    if number := received_signal():
                        raise stop_exception('stopped: the same command goes on from there', number)
                    for pair in list(running):
                        member, process = pair
                        if process.poll() is not None:
                            running.remove(pair)
                            ended(member, _why(process.returncode, member.output))
            finally:
                for _, process in running:
                    process.terminate()
                for _, process in running:
                    process.wait()

    return launch


def _start(member: Member) -> subprocess.Popen:
    member.output.parent.mkdir(parents=True, exist_ok=True)
    with member.output.open('w') as output:
        return subprocess.Popen(
            [sys.executable, *member.command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C goes to this process, which stops the members once
        )


def _why(status: int, output: Path) -> str:
    """Returns the line that tells why a process failed; '' for one that did not."""
    if not status:
        return ''
    line = last_line(output)
    if status > 0:
        return line or f'exit status {status}'
    return f'killed by {signal.Signals(-status).name}' + (f', after: {line}' if line else '')


def last_line(path: Path) -> str:
    """Returns the last line with text of a file; '' without the file or such a line.

    Args:
        path: path of the file.

    >>> last_line(Path('nowhere.txt'))
    ''
    """
    lines = path.read_text(errors='replace').splitlines() if path.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), '')


def on_slurm(folder: Path, parallel: int | None = None, options: Record | None = None) -> Launch:
    """Returns a function that runs members as an array of jobs, by submitit.

    It waits for the jobs. A second call waits for those that are still queued or running, and
    submits the others. submitit keeps its own files, pickles among them, in `folder`, which both
    this machine and the cluster must see; nothing here reads them.

    Args:
        folder: folder of the jobs' files.
        parallel: number of jobs at a time; None for as many as Slurm starts.
        options: options of sbatch, such as {'partition': 'gpu', 'gres': 'gpu:1', 'time': 60};
            `time` is in minutes, 12 hours by default.

    Raises:
        UserError: this is no Slurm cluster, or an option is unknown.
    """
    import submitit  # imported late: an extra

    try:
        executor = submitit.SlurmExecutor(folder, max_num_timeout=0)
        limit = {} if parallel is None else {'array_parallelism': parallel}
        executor.update_parameters(**{'time': 60 * HOURS, **limit, **(options or {})})
    except (RuntimeError, ValueError) as error:
        raise UserError(f'--slurm: {str(error).splitlines()[0]}') from None

    def launch(members: Sequence[Member], ended: Callable[[Member, str], None]) -> None:
        path = folder / JOBS
        numbers = json.loads(path.read_text()) if path.exists() else {}
        jobs = {
            member.name: submitit.SlurmJob(folder, numbers[member.name])
            for member in members
            if member.name in numbers
        }
        jobs = {name: job for name, job in jobs.items() if not job.done()}
        new = [member for member in members if member.name not in jobs]
        with executor.batch() if new else nullcontext():
            submitted = [executor.submit(_command_function(member)) for member in new]
        jobs |= {member.name: job for member, job in zip(new, submitted, strict=True)}
        write(path, json.dumps(numbers | {name: job.job_id for name, job in jobs.items()}))
        say(f'{len(new)} jobs submitted, {len(jobs) - len(new)} were queued or running: waiting')
        waiting = {member.name: member for member in members}
        while waiting:
            for name in [name for name in waiting if jobs[name].done()]:
                line = last_line(Path(jobs[name].paths.stderr))
                ended(waiting.pop(name), line.removeprefix(RAISED))
            time.sleep(PAUSE)

    def _command_function(member: Member):
        return submitit.helpers.CommandFunction([sys.executable, *member.command], verbose=True)

    return launch


class Failed(NamedTuple):
    """A process of a run that failed.

    Attributes:
        number: of the process.
        status: its exit status; 128 and the number of the signal if it was killed.
        text: how it ended, in words.

    >>> Failed(1, 2, 'failed with status 2').number
    1
    """

    number: int
    status: int
    text: str


def processes(count: int, flags: Sequence[str]) -> list[list[str]]:
    """Returns the arguments of `python` for each process of one run on this machine.

    Args:
        count: number of processes.
        flags: flags of `experiments.train`.

    >>> first, second = processes(2, ['--config=configs/digits.py'])
    >>> first[:3], second[3].startswith('--distributed=127.0.0.1:'), second[3][-4:]
    (['-m', 'experiments.train', '--config=configs/digits.py'], True, ',2,1')
    """
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    return [
        ['-m', 'experiments.train', *flags, f'--distributed=127.0.0.1:{port},{count},{number}']
        for number in range(count)
    ]


def together(commands: Sequence[Sequence[str]]) -> Failed | None:
    """Runs processes that need each other; when one fails, the others are ended.

    After SIGTERM or Ctrl-C all of them get SIGTERM, and save and stop.

    Args:
        commands: arguments of `python`.

    Returns:
        The first process that failed; None if none did.

    Raises:
        Stopped: after a signal, when all have ended.

    >>> together([['-c', 'import time; time.sleep(60)'], ['-c', 'raise SystemExit(3)']])
    Failed(number=1, status=3, text='failed with status 3')
    """
    processes = [
        subprocess.Popen([sys.executable, *command], start_new_session=True) for command in commands
    ]
    running, stopping = dict(enumerate(processes)), 0
    with caught_signal() as received_signal:
        try:
            while running:
                time.sleep(PAUSE)
                if not stopping and (stopping := received_signal()):
                    for process in running.values():
                        process.terminate()
                ended = [number for number in running if running[number].poll() is not None]
                statuses = {number: running.pop(number).returncode for number in ended}
                failed = [number for number, status in statuses.items() if status]
                if failed and not stopping:
                    # those that end because of another one have a status of their own
                    first = min(failed, key=lambda number: CONSEQUENCES.get(statuses[number], 0))
                    return _failed(first, statuses[first])
        finally:
            _end(running.values())
            _wait_for_watchers(processes)
    if stopping:
        raise stop_exception('stopped: the same command goes on from there', stopping)
    return None


def _wait_for_watchers(processes: Iterable[subprocess.Popen]) -> None:
    """Waits until the processes that were started by these have ended: they write the last line."""
    deadline = time.monotonic() + GRACE
    for process in processes:
        with suppress(ProcessLookupError):  # no process of the group is left
            while time.monotonic() < deadline:
                os.killpg(process.pid, 0)
                time.sleep(0.05)


def _failed(number: int, status: int) -> Failed:
    if status > 0:
        return Failed(number, status, f'failed with status {status}')
    return Failed(number, 128 - status, f'was killed by {signal.Signals(-status).name}')


def _end(running: Iterable[subprocess.Popen]) -> None:
    """Ends processes: those that wait for one that has failed may not heed SIGTERM."""
    for process in running:
        process.terminate()
    deadline = time.monotonic() + GRACE
    for process in running:
        try:
            process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
