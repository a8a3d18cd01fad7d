"""Shallow domain adaptation: weights and maps of features, every method beside the source alone.

    python -m experiments.shallow --config=configs/office_caltech.py
    python -m experiments.shallow --config=configs/pacs_shallow.py:source=photo,target=sketch

All ordered pairs of the config's domains are tasks, or the one that its argument names. A method
has a classifier, and a map or weights; its gain is over the same classifier on the source as it is.
Features are the inputs, or what a network with pretrained weights makes of them, extracted once.
The target's labels choose nothing: beside the table stands what each label-free score would have
chosen, and, marked as such, the oracle. The folder `--workdir` holds results.json and report.html.
"""

from pathlib import Path

from experiments import command
from tljax import studies
from tljax.files.console import say
from tljax.protocols import Config


def main(config: Config, workdir: Path) -> None:
    """Runs every method on every task and reports.

    Args:
        config: the whole config, a plain dict.
        workdir: folder of the run.
    """
    results = studies.shallow.adapt(config, workdir)
    command.tell(results, studies.shallow_report.tables(results))
    say(f'{workdir}/report.html, {workdir}/results.json')


if __name__ == '__main__':
    command.run(main, 'shallow')
