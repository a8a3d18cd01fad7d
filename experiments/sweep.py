"""Trains the members of a sweep: the changes of a config that its `get_sweep` lists.

    python -m experiments.sweep --config=configs/finetune.py --workdir=runs/rates --parallel=2
    python -m experiments.sweep --config=configs/finetune.py --print     # the commands alone
    python -m experiments.sweep --config=configs/finetune.py --slurm --slurm.partition=gpu

Each member is a run of experiments.train in its own folder below `--workdir`. The same command
trains what is missing: members that were killed continue, and finished ones are left alone. The
table names the best member by the split `--by`; test scores are shown and choose nothing. Settings
of the command line hold for all members. `--slurm` needs the package submitit (pip install
'tljax[slurm]'), and --slurm.KEY=VALUE are options of sbatch, the time in minutes.
"""

import shlex
import sys
from pathlib import Path

from absl import flags

from experiments import command, sweep_file
from experiments.config_file import Settings
from tljax import studies
from tljax.protocols import Config, Record

PARALLEL = flags.DEFINE_integer(
    'parallel',
    None,
    'Number of members that are trained at a time: 1 by default, and with --slurm as many as the '
    'cluster starts.',
    lower_bound=1,
)
BY = flags.DEFINE_string('by', 'validation', 'The split whose score names the best member.')
PRINT = flags.DEFINE_bool('print', False, 'Print the command of each member, and run none.')
SLURM = flags.DEFINE_bool('slurm', False, 'Submit the members as an array of Slurm, and wait.')


def main(config: Config, workdir: Path, file: str, settings: Settings, options: Record) -> None:
    """Trains the members and prints their table; the exit status is 1 if one failed.

    Args:
        config: the config, a plain dict.
        workdir: folder of the sweep.
        file: value of `--config`.
        settings: settings of the command line.
        options: keywords of `--slurm`.
    """
    listed = sweep_file.members(file, settings)
    members = [studies.sweep.member(*each, workdir) for each in listed]
    if PRINT.value:
        print('\n'.join(shlex.join(['python', *each.command]) for each in members))
        return
    launching = studies.launching
    launch = launching.locally(PARALLEL.value or 1)
    if SLURM.value:
        launch = launching.on_slurm(workdir / 'slurm', PARALLEL.value, options)
    results = studies.sweep.sweep(config, members, workdir, launch, BY.value)
    report = studies.sweep_report
    command.tell_study(results, report, workdir, report.reading)
    if any(each['error'] for each in results['members']):
        sys.exit(1)


if __name__ == '__main__':
    command.run_sweep(main)
