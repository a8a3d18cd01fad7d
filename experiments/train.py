"""Trains what a config describes, phase by phase.

    python -m experiments.train --config=configs/digits.py --config.optim.lr=3e-4 --workdir=runs/a

A restart skips finished phases and goes on with the one that was cut off. With `--guard` the last
phase is also trained from scratch, everything moving, with the same data, seeds and steps, and the
gain of transfer is told, or its harm.
"""

from pathlib import Path

from absl import flags

from experiments import command
from tljax import studies
from tljax.files.console import console, say
from tljax.protocols import Config

GUARD = flags.DEFINE_bool(
    'guard', False, 'Train the last phase from scratch, too, and say whether transfer helped.'
)


def main(config: Config, workdir: Path) -> None:
    """Fits every phase and prints the scores of the last.

    Args:
        config: the whole config, a plain dict.
        workdir: folder of the run.
    """
    found = studies.training.train(config, workdir, guarded=GUARD.value)
    if found is None:  # another process tells
        return
    if 'guard' in found:
        say(found['guard']['text'])
    command.tell(found, studies.training.tables(found))
    console.print(f'parameters in {found["folder"]}/final', soft_wrap=True)
    if found['page']:
        console.print(f'report in {found["page"]}', soft_wrap=True)


if __name__ == '__main__':
    command.run(main, 'train')
