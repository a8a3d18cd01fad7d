"""Averages the weights of networks that were fine-tuned from one start: soups, and WiSE-FT.

    python -m experiments.soup --config=configs/soup.py

A linear probe is trained, and from it each member of `study.members`, on the same labels. The table
compares the average of all members (uniform soup), of those that improve the validation score
(greedy soup), and of the probe and the fine-tuned network (WiSE-FT) with the members, beside the
number of trainings that each takes. A restart continues an interrupted study, which writes
results.json and report.html into the folder `--workdir`. Its folders soups/uniform_soup,
soups/greedy_soup and soups/wise_ft are finished runs:

    python -m experiments.predict --workdir=runs/soup/soups/greedy_soup new_pictures/
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
    results = studies.averages.compare_averages(config, workdir)
    report = studies.averages_report
    command.tell_study(results, report, workdir, report.reading, start)


if __name__ == '__main__':
    command.run(main, 'soup')
