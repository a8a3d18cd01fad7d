"""Do labels of one network's nodes help to class the nodes of another?

    python -m experiments.graphs --config=configs/graphs.py
    python -m experiments.graphs --config=configs/graphs.py:source=acmv9,target=citationv1

Every ordered pair of the config's networks is a task; an argument of the config may name a single
one. All strategies see inputs that were propagated over the same hops. Gains are those over the
same network trained on the source alone, paired by seed. The study writes results.json and
report.html into the folder `--workdir`.
"""

from pathlib import Path

from experiments import command
from tljax import studies
from tljax.protocols import Config


def main(config: Config, workdir: Path) -> None:
    """Runs or resumes the study and prints the table.

    Args:
        config: the config, a plain dict.
        workdir: folder of the run.
    """
    results = studies.graphs.adapt(config, workdir)
    command.tell_study(results, studies.graphs_report, workdir)


if __name__ == '__main__':
    command.run(main, 'graphs')
