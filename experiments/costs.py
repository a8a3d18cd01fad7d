"""Counts what training costs under each strategy of a study, beside the scores of the study.

    python -m experiments.compare --config=configs/efficient.py
    python -m experiments.costs   --config=configs/efficient.py

The table has trained parameters and their share of all parameters, the bytes of the optimiser's
state, and the bytes that a training step sums over devices, which are read in the program that is
compiled for `--devices` virtual devices of the CPU. Nothing is trained, and no weights are read.
Scores are those of the finished study in the folder `--workdir`, if there is one: means over seeds.
"""

from pathlib import Path

from absl import flags

from experiments import command
from tljax import studies
from tljax.protocols import Config

DEVICES = flags.DEFINE_integer('devices', 8, 'Number of virtual devices.', lower_bound=1)


def main(config: Config, workdir: Path) -> None:
    """Prints the costs of the strategies.

    Args:
        config: the config, a plain dict.
        workdir: folder of the study.
    """
    studies.dry_run.on_virtual_devices(DEVICES.value)
    rows = studies.costs.costs(config, workdir)
    command.tell(rows, [studies.costs.table(rows)])


if __name__ == '__main__':
    command.run(main, 'compare')
