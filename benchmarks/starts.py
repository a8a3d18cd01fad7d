"""Times the start of commands, with an empty cache and with what the first start has left in it.

    python -m benchmarks.starts

Each command runs twice in processes of its own, each time in a new workdir. The runs are as short
as they can be, so that almost all of their time is the start: imports, tracing, compilation. Time
is processor time, user and system, of the process and of those that it started. `--rounds` is the
number of pairs of starts, whose medians are printed; `--only` selects commands.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.timing import define_only, define_rounds
from experiments import command
from tljax.core import UserError
from tljax.report.page import table

STARTS = {  # name: (command, config)
    'digits': ('train', 'configs/digits.py:smoke'),
    'maml': ('train', 'configs/maml.py:smoke'),
    'protonet': ('train', 'configs/protonet.py:smoke'),
    'adapt': ('train', 'configs/adapt.py:train=dann,smoke'),
    'study': ('compare', 'configs/digits.py:smoke'),
}
ONLY = define_only(STARTS)
ROUNDS = define_rounds(3)


def main() -> None:
    """Prints the table."""
    rows = []
    for name in ONLY.value:
        pairs = [_pair(*STARTS[name]) for _ in range(ROUNDS.value)]
        first, second = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
        ratio = statistics.median(after / before for before, after in pairs)
        label = f'{STARTS[name][0]} {STARTS[name][1]}'
        rows.append([label, f'{first:.1f}', f'{second:.1f}', f'{ratio:.2f}'])
    table(['command', 'first start, processor s', 'second start', 'ratio'], rows)


def _pair(name: str, config: str) -> list[float]:
    """Returns the processor seconds of the first and of the second start of a command."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, 'TLJAX_CACHE': str(Path(folder, 'cache'))}
        # a cache of JAX's own would be used in place of tljax's
        environment.pop('JAX_COMPILATION_CACHE_DIR', None)
        return [
            _processor_seconds(name, config, Path(folder, workdir), environment)
            for workdir in ('first', 'second')
        ]


def _processor_seconds(name: str, config: str, workdir: Path, environment: dict[str, str]) -> float:
    """Returns the processor seconds of one process, and of those that it has started.

    Raises:
        UserError: the command failed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.run(
        [sys.executable, '-m', f'experiments.{name}', f'--config={config}', f'--workdir={workdir}'],
        env=environment,
        capture_output=True,
        text=True,
    )
    if process.returncode:
        raise UserError(f'{name} {config}: {process.stderr.strip().splitlines()[-1]}')
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == '__main__':
    command.run_plain(main)
