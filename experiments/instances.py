"""Does a labelled source help a target with few labels, and does boosting find its bad examples?

    python -m experiments.instances --config=configs/newsgroups.py
    python -m experiments.instances --config=configs/newsgroups.py:pair=rec-talk,flipped=.2
    python -m experiments.instances --config=configs/newsgroups.py:spam

For every task of the config, number of labels and share of flipped source labels, the same learner
is trained on the target's labels, on the source, on both together, on both with balanced weights,
and by TrAdaBoost, in as many random draws as the config has seeds. The tables show the errors on
the rest of the target, and what TrAdaBoost gains over each, paired by draw. The study writes
results.json and report.html into the folder `--workdir`.
"""

from pathlib import Path

from experiments import command
from tljax import studies
from tljax.protocols import Config


def main(config: Config, workdir: Path) -> None:
    """Runs all draws and prints the tables.

    Args:
        config: the config, a plain dict.
        workdir: folder of the run.
    """
    results = studies.instances.transfer(config, workdir)
    command.tell_study(results, studies.instances_report, workdir)


if __name__ == '__main__':
    command.run(main, 'instances')
