"""Judges the advice which layers to fine-tune, by training from every cut.

    python -m experiments.cuts --config=configs/cuts.py

Source networks are trained with augmentations. For every source and target `experiments.invariance`
advises which layers to freeze, and then the target is trained with each choice of `study.cuts`. The
report compares the advised cut with the best one, and with the best single cut for all pairs. A
restart continues an interrupted study, which writes results.json and report.html into the folder
`--workdir`.
"""

from pathlib import Path

from experiments import command
from tljax import studies
from tljax.protocols import Config


def main(config: Config, workdir: Path) -> None:
    """Runs the study and prints its tables and its verdict.

    Args:
        config: the config, a plain dict.
        workdir: folder of the study.
    """
    results = studies.cuts.judge_cuts(config, workdir)
    report = studies.cuts_report
    command.tell_study(results, report, workdir, report.verdict)


if __name__ == '__main__':
    command.run(main, 'cuts')
