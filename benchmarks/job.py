"""Times the README's first study, from an empty cache, beside an older commit of tljax.

    python -m benchmarks.job

Both commits run the command as a user does, in processes, workdirs and caches of their own, one
after the other. Time is wall-clock time. `--rounds` is the number of runs of each, whose medians
are printed; `--config` names another config of `compare`, which both commits must have.

The load is what other programs took of a core before, during and after the runs. The ratio is
marked `busy` where it was above 0.3.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from absl import flags

from benchmarks import processes
from benchmarks.machine import Watch, describe
from benchmarks.timing import define_rounds
from experiments import command
from tljax.core import UserError
from tljax.report.page import table

CONFIG = flags.DEFINE_string('config', 'configs/digits.py', 'Config of `compare`.')
ROUNDS = define_rounds(1)


def main() -> None:
    """Prints the table."""
    with processes.old_source() as old, Watch() as watch:
        sources = (processes.ROOT, old)
        pairs = [[_seconds(source) for source in sources] for _ in range(ROUNDS.value)]
    ours, others = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
    ratio = watch.load.mark(f'{ours / others:.2f}')
    row = [CONFIG.value, f'{ours:.0f}', f'{others:.0f}', ratio, str(watch.load)]
    columns = ['compare', 'tljax, s', f'{processes.OLD}, s', 'tljax over it', 'load']
    table(columns, [row], f'The first study from an empty cache\n{describe()}')


def _seconds(source: Path) -> float:
    """Returns the seconds of the command in the files of a commit.

    Args:
        source: folder of the files.

    Raises:
        UserError: the command failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, 'PYTHONPATH': str(source), 'TLJAX_CACHE': f'{folder}/cache'}
        # a cache of JAX's own would be used in place of tljax's
        environment.pop('JAX_COMPILATION_CACHE_DIR', None)
        options = [f'--config={CONFIG.value}', f'--workdir={folder}/run']
        start = time.perf_counter()
        process = subprocess.run(
            [sys.executable, '-m', 'experiments.compare', *options],
            cwd=source,
            env=environment,
            capture_output=True,
            text=True,
        )
        seconds = time.perf_counter() - start
    if process.returncode:
        raise UserError(f'compare in {source}: {process.stderr.strip().splitlines()[-1]}')
    return seconds


if __name__ == '__main__':
    command.run_plain(main)
