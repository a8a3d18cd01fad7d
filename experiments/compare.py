"""A transfer study: does it help, from how few labels, by which strategy?

    python -m experiments.compare --config=configs/digits.py

Phases before the last are trained once; the last is repeated for every strategy and number of
labels per class of `config.study`, over all seeds. A restart goes on where it was cut off. The
folder `--workdir` holds results.json and report.html.
"""

import time
from pathlib import Path

from experiments import command
from tljax import studies
from tljax.files.console import console, say
from tljax.protocols import Config


def main(config: Config, workdir: Path) -> None:
    """Runs the study and reports it.

    Args:
        config: the whole config, a plain dict.
        workdir: folder of the run.
    """
    begun = time.monotonic()
    results = studies.comparison.compare(config, workdir)
    if results is None:  # another process tells
        return
    report = studies.comparison_report
    command.tell(results, report.tables(results))
    console.print(report.reading(results), soft_wrap=True)
    minutes = (time.monotonic() - begun) / 60
    say(f'{minutes:.1f} minutes; {workdir}/report.html, {workdir}/results.json')


if __name__ == '__main__':
    command.run(main, 'compare')
