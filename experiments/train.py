"""Trains the phases of a config, one after another.

    python -m experiments.train --config=configs/digits.py --config.optim.lr=3e-4 --workdir=runs/a

A restart skips finished phases and continues the interrupted one. With `--guard` the last phase is
also trained from scratch, with all parameters, on the same data, seeds and steps, and the gain or
harm of transfer is reported.
"""

import sys
from pathlib import Path

from absl import flags

from experiments import command
from tljax import studies
from tljax.files.console import console, say
from tljax.protocols import Config

GUARD = flags.DEFINE_bool(
    'guard', False, 'Also train the last phase from scratch, and report whether transfer helped.'
)


def main(config: Config, workdir: Path) -> None:
    """Fits every phase and prints the scores of the last.

    Args:
        config: the config, a plain dict.
        workdir: folder of the run.
    """
    results = studies.training.train(config, workdir, guarded=GUARD.value, arguments=sys.argv[1:])
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
