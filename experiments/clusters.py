"""Does an unlabelled source help to find the classes of an unlabelled target?

    python -m experiments.clusters --config=configs/clusters.py
    python -m experiments.clusters --config=configs/clusters.py:target=usps

Networks are trained without labels on the target, on the source, and on the source and then the
target. The same algorithms cluster the target by the features of each, and by the inputs as they
are; the same classifier learns from few labels. The tables show how well clusters and classes
agree, and what transfer gains over the same method on the target alone, paired by seed. Labels
score and choose nothing. The study writes results.json and report.html into the folder `--workdir`.
"""

from pathlib import Path

from experiments import command
from tljax import studies
from tljax.protocols import Config


def main(config: Config, workdir: Path) -> None:
    """Runs or resumes the study and prints the tables.

    Args:
        config: the config, a plain dict.
        workdir: folder of the run.
    """
    results = studies.clusters.compare(config, workdir)
    command.tell_study(results, studies.clusters_report, workdir)


if __name__ == '__main__':
    command.run(main, 'clusters')
