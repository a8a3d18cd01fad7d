"""Sides of a comparison, each in a process of its own. They take turns, and one runs at a time.

`benchmarks.sides.protocol` describes how a command and a side converse.
"""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import flags

from benchmarks import machine
from tljax.core import UserError

ROOT = Path(__file__).parents[1]
OLD = '41e505e'  # the commit that tljax is compared with
ROUND = 0.1  # seconds; a call that takes less is repeated within a round
PAUSE = 0.05  # seconds between two looks at a side's memory
HUGE_PAGES = {'GLIBC_TUNABLES': 'glibc.malloc.hugetlb=1'}
PACKAGES = {'torch': 'torch==2.13.0', 'tensorflow': 'tensorflow-cpu==2.21.0'}


class Side:
    """A process that runs the calls of one library on request, and is stopped in between.

    A stopped process takes no processor time, so that threads which wait for work do not disturb
    the other sides. Use it in a `with` statement, which ends the process.

    Args:
        name: name of the side in tables.
        module: module of `benchmarks.sides`.
        settings: keywords of the module's `make`.
        huge_pages: whether the process asks the system for huge pages.
        python: interpreter that has the side's packages; '' for this one.
        source: folder with the code of tljax; None for this code.

    Attributes:
        name: as above.
        about: versions of the side's libraries.
        calls: names of its calls.

    Raises:
        UserError: the process ended before its calls were prepared.
    """

    def __init__(
        self,
        name: str,
        module: str,
        settings: dict,
        huge_pages: bool = True,
        python: str = '',
        source: Path | None = None,
    ) -> None:
        self.name = name
        source = source or ROOT
        environment = {**os.environ, 'PYTHONPATH': f'{source}{os.pathsep}{ROOT}'}
        if huge_pages:
            environment |= HUGE_PAGES
        self.python = python or sys.executable
        self._errors = tempfile.TemporaryFile('w+')  # noqa: SIM115 (closed by __exit__)
        try:
            self._process = subprocess.Popen(
                [self.python, '-m', f'benchmarks.sides.{module}', json.dumps(settings)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
                cwd=source,
                env=environment,
            )
        except OSError:  # nothing there, or nothing that runs
            raise UserError(f'{self.python} is no interpreter: name one that exists') from None
        ready = self._read()
        self.about, self.calls = ready['about'], ready['calls']
        self._process.send_signal(signal.SIGSTOP)

    def __enter__(self) -> 'Side':
        return self

    def __exit__(self, *error: object) -> None:
        if self._process.poll() is None:
            for number in machine.family(self._process.pid):  # stopped processes, too
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
        self._process.communicate()
        self._errors.close()

    def run(self, call: str, count: int = 1) -> float:
        """Runs a call and returns the seconds that each repetition took.

        Args:
            call: name of the call.
            count: number of repetitions.
        """
        return self._ask(call=call, count=count)['seconds'] / count

    def value(self, call: str) -> float:
        """Runs a call and returns the number that it returned.

        Args:
            call: name of the call.
        """
        return self._ask(call=call, count=1)['value']

    def processor_seconds(self) -> float:
        """Returns the processor seconds of the side's process and of those that it has started."""
        return sum(map(machine.process_seconds, machine.family(self._process.pid)))

    def memory(self) -> int:
        """Returns the largest memory that the process has held, in bytes."""
        return self._ask(memory=True)['bytes']

    def peak(self, call: str) -> tuple[int, float]:
        """Runs a call once, and watches the memory of the process and of those that it starts.

        Args:
            call: name of the call.

        Returns:
            The most bytes that they held at once, and the number that the call returned.
        """
        most, done = 0, threading.Event()

        def watch():
            nonlocal most
            while True:
                family = machine.family(self._process.pid)
                most = max(most, sum(map(machine.held_bytes, family)))
                if done.wait(PAUSE):
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            value = self.value(call)
        finally:
            done.set()
            watcher.join()
        return most, value

    def _ask(self, **request: object) -> dict:
        self._process.send_signal(signal.SIGCONT)
        stdin = self._process.stdin
        assert stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the process has ended; `_read` says why
            stdin.write(json.dumps(request) + '\n')
            stdin.flush()
        reply = self._read()
        self._process.send_signal(signal.SIGSTOP)
        return reply

    def _read(self) -> dict:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        self._process.wait()
        self._errors.seek(0)
        text = self._errors.read().strip()
        self._errors.close()
        if match := re.search(r"ModuleNotFoundError: No module named '(\w+)", text):
            raise UserError(
                f'the package {match[1]} is missing: {self.python} -m pip install {match[1]}'
            )
        last = text.rpartition('\n')[2] or f'status {self._process.returncode}'
        raise UserError(f'the side {self.name} ended: {last}')


class Turns(NamedTuple):
    """Times of sides that took turns.

    Attributes:
        seconds: {(side, call): (rounds,) seconds of a call}.
        load: what other programs took meanwhile.
    """

    seconds: dict[tuple[str, str], np.ndarray]
    load: machine.Load

    def median(self, side: str, call: str) -> float:
        """Returns the median seconds of a call.

        Args:
            side: name of the side.
            call: name of the call.
        """
        return float(np.median(self.seconds[side, call]))


def take_turns(
    sides: Sequence[Side],
    rounds: int,
    tasks: Sequence[str] = (),
    window: float = machine.WINDOW,
) -> Turns:
    """Times the calls of several sides, which take turns.

    Each call first runs twice, once to be compiled and once to see how long it takes.

    Args:
        sides: the sides.
        rounds: number of times that each call is timed.
        tasks: first words of the calls that are timed, such as 'step' for 'step' and
            'step channels_last'; empty for all calls.
        window: as `machine.Watch` takes it.
    """
    calls = [
        (side, call)
        for side in sides
        for call in side.calls
        if not tasks or call.split()[0] in tasks
    ]
    counts, seconds = {}, {}
    for side, call in calls:
        side.run(call)
        counts[side.name, call] = max(1, round(ROUND / side.run(call)))
        seconds[side.name, call] = []
    with machine.Watch(*(side.processor_seconds for side in sides), window=window) as watch:
        for _ in range(rounds):
            for side, call in calls:
                count = counts[side.name, call]
                seconds[side.name, call].append(side.run(call, count))
    return Turns({key: np.array(values) for key, values in seconds.items()}, watch.load)


@contextlib.contextmanager
def old_source(commit: str = OLD) -> Iterator[Path]:
    """Yields a temporary folder with the files of a commit.

    Args:
        commit: name of the commit.

    Raises:
        UserError: the commit is not in this clone.
    """
    archive = subprocess.run(
        ['git', '-C', ROOT, 'archive', '--format=tar', commit], capture_output=True
    )
    if archive.returncode:
        raise UserError(f'commit {commit} is not in {ROOT}: git fetch --unshallow')
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
            files.extractall(folder, filter='data')
        yield Path(folder)


def define_python(library: str) -> flags.FlagHolder:
    """Defines a flag such as `--torch_python`, the interpreter of an environment.

    Args:
        library: name of the library that the environment has.
    """
    name = f'{library}_python'
    text = f'Interpreter of an environment with {PACKAGES[library]}; the default is this one.'
    return flags.DEFINE_string(name, '', text, module_name=sys.argv[0])


def define_huge_pages() -> flags.FlagHolder:
    """Defines the flag `--huge_pages`, for the memory of all sides alike."""
    text = 'Ask the system for huge pages, for all sides alike (glibc.malloc.hugetlb=1).'
    return flags.DEFINE_bool('huge_pages', True, text, module_name=sys.argv[0])


def conditions(about: dict[str, str], huge_pages: bool) -> str:
    """Returns the text that says where and with what sides were measured.

    Args:
        about: {name of a side: versions of its libraries}.
        huge_pages: whether they asked for huge pages.
    """
    pages = 'huge pages on request' if huge_pages else "malloc's default pages"
    libraries = '; '.join(f'{name}: {versions}' for name, versions in about.items())
    return f'{machine.describe()}, {pages}; {libraries}'
