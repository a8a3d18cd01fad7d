"""Passes over a folder of pictures, each side in a process of its own, with Pillow's decoder.

The environment of another library need not have tljax: this module wants NumPy and Pillow only.
"""

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

ROOT = Path(__file__).parents[1]
PAUSE = 0.05  # seconds between two readings of a side's memory


def load(path: str, size: int) -> np.ndarray:
    """Decodes a picture as PyTorch's tutorials do: to RGB, scaled by the short side, cropped.

    Args:
        path: of the file.
        size: side of the result.

    Returns:
        (size, size, 3) uint8.
    """
    with Image.open(path) as file:
        image = file.convert('RGB')
    return np.array(ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR))


def serve(make: Callable[..., Callable[[], Iterable[np.ndarray]]]) -> None:
    """Runs a pass over the pictures for each line of standard input, and prints its result.

    The arguments of the process are a file that lists the pictures, their side, the number of
    workers, the pictures of a batch, and further numbers that the side takes. A result is a line
    of JSON: the seconds of the pass, and the sum of all bytes of all pictures, which tells whether
    two sides have the same pictures.

    Args:
        make: (files, size, workers, batch, ...) -> a call that starts a pass and yields its
            batches.
    """
    files, results = Path(sys.argv[1]).read_text().splitlines(), sys.stdout
    batches = make(files, *map(int, sys.argv[2:]))
    for _ in sys.stdin:
        start, total = time.perf_counter(), 0
        for pictures in batches():
            total += int(np.asarray(pictures).sum(dtype=np.int64))
        seconds = time.perf_counter() - start
        print(json.dumps([seconds, total]), file=results, flush=True)


class Side:
    """The process of a side, which runs a pass when it is asked to.

    Attributes:
        total: sum of all bytes of the pictures of the last pass.
        seconds: seconds of all passes so far.
    """

    def __init__(self, python: str, module: str, arguments: Iterable[object]) -> None:
        """Starts the process.

        Args:
            python: interpreter of the side's environment.
            module: of this folder, which calls `serve`.
            arguments: as `serve` takes them.
        """
        self.total, self.seconds = 0, []
        self.process = subprocess.Popen(
            [python, '-m', f'benchmarks.{module}', *map(str, arguments)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self) -> None:
        """Runs one pass.

        Raises:
            RuntimeError: the process ended.
        """
        self.process.stdin.write('\n')
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f'{" ".join(self.process.args)} ended with {self.process.wait()}')
        seconds, self.total = json.loads(line)
        self.seconds.append(seconds)

    def peak(self) -> int:
        """The most bytes that the process and its workers hold at once during one pass."""
        most, done = 0, threading.Event()

        def watch():
            nonlocal most
            while not done.is_set():
                most = max(most, sum(map(_bytes, _family(self.process.pid))))
                done.wait(PAUSE)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            self.run()
        finally:
            done.set()
            watcher.join()
        return most

    def close(self) -> None:
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()


@contextlib.contextmanager
def sides(commands: dict[str, tuple], arguments: Iterable[object]) -> Iterator[dict[str, Side]]:
    """Starts one process for each side, and ends them all.

    Args:
        commands: {side: (interpreter, module, further arguments of its own)}.
        arguments: as `serve` takes them.
    """
    arguments = list(arguments)
    running = {
        name: Side(python, module, [*arguments, *own])
        for name, (python, module, *own) in commands.items()
    }
    try:
        yield running
    finally:
        for side in running.values():
            side.close()


def _family(pid):
    """A process and all that it has started, on Linux."""
    family = [pid]
    for task in Path(f'/proc/{pid}/task').glob('*/children'):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                family += _family(int(child))
    return family


def _bytes(pid):
    """The memory of a process, in which shared pages count in proportion to their users."""
    with contextlib.suppress(OSError):
        for line in Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines():
            if line.startswith('Pss:'):
                return 1024 * int(line.split()[1])
    return 0
