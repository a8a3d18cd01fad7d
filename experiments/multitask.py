"""Compares learning several tasks together with learning each alone, and every pair of tasks.

    python -m experiments.multitask --config=configs/multitask.py

Every task is trained alone, together with each other task, and after each other task; then all
tasks are trained together by every strategy of the config's study. The tables say which task gains
or loses by which other (negative transfer), with intervals paired by seed, and what each method of
joint training gains over training alone. A restart continues an interrupted study, which writes
results.json and report.html into the folder `--workdir`.
"""

import time
from pathlib import Path

from experiments import command
from tljax import studies
from tljax.protocols import Config


def main(config: Config, workdir: Path) -> None:
    """Runs the study and reports it.

    Args:
        config: the config, a plain dict.
        workdir: folder of the study.
    """
    start = time.monotonic()
    results = studies.multitask.compare_tasks(config, workdir)
    report = studies.multitask_report
    command.tell_study(results, report, workdir, report.reading, start)


if __name__ == '__main__':
    command.run(main, 'multitask')
