"""Recognises classes of which there is no example, by their descriptions.

    python -m experiments.zero_shot --config=configs/zero_shot.py

A network learns the seen classes. Methods of zero-shot learning then connect its features with the
descriptions of a knowledge base, which lists all classes, and recognise the unseen ones. Settings,
method and knowledge base are chosen on held classes among the seen ones. The tables have the right
answers among the unseen classes and among all classes, beside chance and a few labelled examples.
The study writes results.json and report.html into the folder `--workdir`; the same command
continues a study that was interrupted.
"""

import time
from pathlib import Path

from experiments import command
from tljax import studies
from tljax.protocols import Config


def main(config: Config, workdir: Path) -> None:
    """Runs the study and prints the tables.

    Args:
        config: the config, a plain dict.
        workdir: folder of the study.
    """
    start = time.monotonic()
    results = studies.zero_shot.recognise(config, workdir)
    report = studies.zero_shot_report
    command.tell_study(
        results, report, workdir, lambda found: '\n'.join(report.notes(found)), start
    )


if __name__ == '__main__':
    command.run(main, 'zero_shot')
