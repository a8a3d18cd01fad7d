"""Measures what it costs to withdraw examples from a trained model, by sharded training (SISA).

    python -m experiments.unlearning --config=configs/unlearning.py

A model is trained on each shard of the training set, and the predictions are averaged. When
examples are withdrawn, only the stages that have seen them are trained anew; the system is then
bit-equal to one that never had the examples. The tables tell the accuracy and the cost for each
number of shards. A restart continues an interrupted study, which writes results.json and
report.html into the folder `--workdir`.
"""

from pathlib import Path

from experiments import command
from tljax import studies
from tljax.protocols import Config


def main(config: Config, workdir: Path) -> None:
    """Runs the study and prints its tables.

    Args:
        config: the config, a plain dict.
        workdir: folder of the study.
    """
    results = studies.unlearning.unlearn(config, workdir)
    report = studies.unlearning_report
    command.tell_study(results, report, workdir, lambda _: report.READING)


if __name__ == '__main__':
    command.run(main, 'unlearning')
