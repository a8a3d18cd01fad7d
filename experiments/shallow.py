"""Compares methods of shallow domain adaptation, which map features or weight source examples.

    python -m experiments.shallow --config=configs/office_caltech.py
    python -m experiments.shallow --config=configs/pacs_shallow.py:source=photo,target=sketch

Every ordered pair of the config's domains is a task; an argument of the config may name a single
task. A method has a classifier, and a map of the features or weights of the source's examples. Its
gain is measured over the same classifier trained on the unchanged source. Features are the inputs,
or the features of a network with pretrained weights, extracted once. No method is chosen by the
target's labels: a second table shows the method that each label-free score chooses, and, marked as
such, the choice of an oracle with these labels. The study writes results.json and report.html into
the folder `--workdir`.
"""

from pathlib import Path

from experiments import command
from tljax import studies
from tljax.protocols import Config


def main(config: Config, workdir: Path) -> None:
    """Runs every method on every task and prints the accuracies.

    Args:
        config: the config, a plain dict.
        workdir: folder of the run.
    """
    results = studies.shallow.adapt(config, workdir)
    command.tell_study(results, studies.shallow_report, workdir)


if __name__ == '__main__':
    command.run(main, 'shallow')
