"""Trains the phases of a config, one after another.

    python -m experiments.train --config=configs/digits.py --config.optim.lr=3e-4 --workdir=runs/a
    python -m experiments.train --config=configs/digits.py --dry_run --devices=256

A restart skips finished phases and continues the interrupted one. With `--guard` the last phase is
also trained from scratch, with all parameters, on the same data, seeds and steps, and the gain or
harm of transfer is reported. `--profile=20:30` traces steps 20 to 29 of the last phase into
`profile` in its folder. `--dry_run` trains nothing: it prints what is transferred, the memory that
each phase takes on a device, the operations of a step, and the bytes that devices exchange, here or
on as many devices as `--devices` says.
"""

import sys
from pathlib import Path

from absl import flags

from experiments import command
from tljax import studies
from tljax.core import UserError
from tljax.files.console import console, say
from tljax.protocols import Config

GUARD = flags.DEFINE_bool(
    'guard', False, 'Also train the last phase from scratch, and report whether transfer helped.'
)
PROFILE = flags.DEFINE_string(
    'profile', '', 'FIRST:LAST: trace steps FIRST to LAST - 1 of the last phase.'
)
DRY_RUN = flags.DEFINE_bool(
    'dry_run', False, 'Train nothing: print memory, operations and exchanged bytes of each phase.'
)
DEVICES = flags.DEFINE_integer(
    'devices', None, 'With --dry_run: number of devices of a machine elsewhere.', lower_bound=1
)


def main(config: Config, workdir: Path) -> None:
    """Fits every phase and prints the scores of the last, or what the phases would take.

    Args:
        config: the config, a plain dict.
        workdir: folder of the run.
    """
    if DRY_RUN.value:
        for name in ('guard', 'profile', 'distributed'):
            if flags.FLAGS[name].value:
                raise UserError(f'--{name} with --dry_run, which trains nothing: leave it out')
        if DEVICES.value:
            studies.dry_run.on_virtual_devices(DEVICES.value)
        records = studies.dry_run.dry_run(config, workdir, elsewhere=bool(DEVICES.value))
        command.tell(records, studies.dry_run.tables(records))
        return
    if DEVICES.value:
        raise UserError(f'--devices={DEVICES.value} needs --dry_run: a run takes what is there')
    results = studies.training.train(config, workdir, GUARD.value, sys.argv[1:], PROFILE.value)
    if results is None:  # the first process reports
        return
    if 'guard' in results:
        say(results['guard']['text'])
    command.tell(results, studies.training.tables(results))
    console.print(f'parameters in {results["folder"]}/final', soft_wrap=True)
    if results['page']:
        console.print(f'report in {results["page"]}', soft_wrap=True)


if __name__ == '__main__':
    command.run(main, 'train')
