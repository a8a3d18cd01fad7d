"""The machine of a measurement: its processor, and what other programs take of it."""

import contextlib
import os
import platform
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

BUSY = 0.3  # load of a core above which a ratio is marked
WINDOW = 1.0  # seconds over which the load before and after a measurement is averaged
STAT = Path('/proc/stat')
CPUINFO = Path('/proc/cpuinfo')
VENDORS = {'AuthenticAMD': 'AMD', 'GenuineIntel': 'Intel', 'ARM': 'Arm'}
# instructions that decide how fast matrix products are, by the names of Linux
INSTRUCTIONS = {'avx2': 'AVX2', 'avx512f': 'AVX-512', 'amx_tile': 'AMX'}


class Load(NamedTuple):
    """What other programs took of a core, on average over all cores: 0 none, 1 everything.

    It is NaN where the system does not tell it.

    Attributes:
        before: over a moment before a measurement.
        during: over the measurement.
        after: over a moment after it.

    >>> load = Load(before=0.02, during=0.4, after=0.01)
    >>> load.busy, str(load), load.mark('1.50')
    (True, '0.02 0.40 0.01', '1.50 busy')
    """

    before: float
    during: float
    after: float

    @property
    def busy(self) -> bool:
        """Whether other programs took more than BUSY at one of the times."""
        return any(load > BUSY for load in self)

    def mark(self, ratio: str) -> str:
        """Returns the text of a ratio, with `busy` behind it if other programs disturbed it.

        Args:
            ratio: the text.
        """
        return f'{ratio} busy' if self.busy else ratio

    def __str__(self) -> str:
        return ' '.join(f'{load:.2f}' for load in self)


class Watch:
    """Measures the `Load` of a measurement, the body of a `with` statement.

    The load before and after is that of short pauses, in which the measurement itself is idle.
    What this process, its ended children and `others` take is subtracted from what all programs
    take.

    Args:
        *others: return the processor seconds so far of other processes of the measurement.
        window: length of a pause, seconds.

    >>> with Watch(window=0.1) as watch:
    ...     total = sum(range(1000))
    >>> len(watch.load)
    3
    """

    load: Load

    def __init__(self, *others: Callable[[], float], window: float = WINDOW) -> None:
        self.others = others
        self.window = window

    def __enter__(self) -> 'Watch':
        self.before = self._pause()
        self.start = self._now()
        return self

    def __exit__(self, *error: object) -> None:
        during = self._since(self.start)
        self.load = Load(self.before, during, self._pause())

    def _pause(self) -> float:
        start = self._now()
        time.sleep(self.window)
        return self._since(start)

    def _now(self) -> tuple[float, float, float]:
        own = sum(os.times()[:4]) + sum(seconds() for seconds in self.others)
        return time.perf_counter(), busy_seconds(), own

    def _since(self, start: tuple[float, float, float]) -> float:
        """Returns the load of other programs since a result of `_now`."""
        seconds, busy, own = (now - then for now, then in zip(self._now(), start, strict=True))
        # rounding may leave less than nothing; NaN, which comes first, stays NaN
        return max(busy - own, 0.0) / seconds / (os.cpu_count() or 1)


def busy_seconds() -> float:
    """Returns the processor seconds of all programs since the machine started, over all cores.

    Time that the host of a virtual machine gave to other machines counts as busy. The result is
    NaN where the system does not tell it.

    >>> busy_seconds() > 0 or not STAT.exists()
    True
    """
    if not STAT.exists():
        return float('nan')
    # columns: user, nice, system, idle, iowait, irq, softirq, steal
    ticks = [int(text) for text in STAT.read_text().split('\n')[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf('SC_CLK_TCK')


def process_seconds(number: int) -> float:
    """Returns the processor seconds of a process and of its children that have ended.

    Args:
        number: number of the process.

    >>> process_seconds(os.getpid()) >= 0
    True
    """
    stat = Path(f'/proc/{number}/stat')
    if not stat.exists():
        return float('nan')
    fields = stat.read_text().rpartition(')')[2].split()
    return sum(int(text) for text in fields[11:15]) / os.sysconf('SC_CLK_TCK')


def family(number: int) -> list[int]:
    """Returns the numbers of a process and of those that it has started and that still run.

    Only Linux tells them; elsewhere the process is alone.

    Args:
        number: number of the process.

    >>> family(os.getpid())[0] == os.getpid()
    True
    """
    numbers = [number]
    with contextlib.suppress(OSError):  # a process ends meanwhile
        for children in Path(f'/proc/{number}/task').glob('*/children'):
            for child in children.read_text().split():
                numbers += family(int(child))
    return numbers


def held_bytes(number: int) -> int:
    """Returns the memory of a process; a page that processes share is divided among them.

    The result is 0 where the system does not tell it.

    Args:
        number: number of the process.

    >>> held_bytes(os.getpid()) > 0 or not STAT.exists()
    True
    """
    with contextlib.suppress(OSError):
        for line in Path(f'/proc/{number}/smaps_rollup').read_text().splitlines():
            if line.startswith('Pss:'):
                return 1024 * int(line.split()[1])
    return 0


def describe(cpuinfo: Path = CPUINFO) -> str:
    """Returns the processor, its vendor, its instructions for matrices, and its number of cores.

    Args:
        cpuinfo: file in which Linux describes the processor.

    >>> describe(Path('nowhere')).endswith(f'{os.cpu_count()} cores')
    True
    """
    cores = f'{os.cpu_count()} cores'
    if not cpuinfo.exists():
        return f'{platform.processor() or platform.machine()}, {cores}'
    facts = dict(re.findall(r'^([\w ]+?)\s*:\s*(.*)$', cpuinfo.read_text(), re.MULTILINE))
    model = facts.get('model name', platform.machine())
    vendor = facts.get('vendor_id', '')
    vendor = VENDORS.get(vendor, vendor)
    name = model if vendor in model else f'{vendor} {model}'
    words = set(facts.get('flags', '').split())
    found = [text for word, text in INSTRUCTIONS.items() if word in words]
    return ', '.join([name, *found, cores])
