"""Runs a finished training again from its record, and compares the scores number by number.

    python -m experiments.replay runs/a                          # in the new folder runs/a-replay
    python -m experiments.replay runs/a --out=runs/b --tolerance=1e-3

The record of a run is `run.json` in its folder: the config, the command line, the versions of code
and packages, the devices, and fingerprints of the data. What differs from it is printed before the
run starts; other data are refused. The exit status is 1 if numbers differ by more than
`--tolerance`. Runs of experiments.train are replayed, members of sweeps among them; studies are
not.
"""

import sys
from pathlib import Path

from absl import flags

from experiments import command
from tljax import studies
from tljax.core import UserError
from tljax.files.console import console

OUT = flags.DEFINE_string('out', None, 'The folder of the new run. The default is WORKDIR-replay.')
TOLERANCE = flags.DEFINE_float(
    'tolerance', 0.0, 'By how much two numbers may differ; 0: they are equal.', lower_bound=0.0
)


def main(rest: list[str]) -> None:
    """Replays a run and prints the table of its scores.

    Args:
        rest: the arguments that are no flags: the folder of the run.
    """
    if len(rest) != 1:
        raise UserError('name the folder of one run: python -m experiments.replay runs/a')
    workdir = Path(rest[0])
    out = Path(OUT.value) if OUT.value else workdir.with_name(f'{workdir.name}-replay')
    results = studies.replay.replay(workdir, out, TOLERANCE.value)
    if results is None:  # the first process reports
        return
    command.tell(results, studies.replay.tables(results))
    console.print(studies.replay.verdict(results, TOLERANCE.value), soft_wrap=True)
    if not results['agree']:
        sys.exit(1)


if __name__ == '__main__':
    command.run_on_arguments(main, 'json')
