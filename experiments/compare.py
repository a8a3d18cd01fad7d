"""Runs a transfer study: does transfer help, with how few labels, and by which strategy?

    python -m experiments.compare --config=configs/digits.py

Phases before the last are trained once. The last phase is trained with every strategy and number of
labels per class of `config.study`, over all seeds. A restart continues an interrupted study. The
study writes results.json and report.html into the folder `--workdir`.

A config whose study has `settings` chooses among them, for every method, on the validation split:

    python -m experiments.compare --config=configs/parameters.py:choose
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
        workdir: folder of the run.
    """
    start = time.monotonic()
    if config['study'].get('settings'):
        results = studies.choosing.choose(config, workdir)
        report = studies.choosing
    else:
        results = studies.comparison.compare(config, workdir)
        report = studies.comparison_report
    command.tell_study(results, report, workdir, report.reading, start)


if __name__ == '__main__':
    command.run(main, 'compare')
