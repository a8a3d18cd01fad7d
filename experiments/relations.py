"""Does a model of one domain's relations help to model those of another?

    python -m experiments.relations --config=configs/relations.py
    python -m experiments.relations --config=configs/relations.py:together

Clauses are learnt from the source's facts, and its predicates are mapped to the target's by an
exhaustive search. Models of the target's predicate are fitted on one fold of persons, and predict
it on the others: the mapped clauses, those that the fold alone suggests, and both. The tables show
the map and the area under precision over recall, with gains paired by cut. The page has a picture
of the map. The study writes results.json and report.html into the folder `--workdir`.
"""

from pathlib import Path

from experiments import command
from tljax import studies
from tljax.protocols import Config


def main(config: Config, workdir: Path) -> None:
    """Runs all cuts and prints the tables.

    Args:
        config: the config, a plain dict.
        workdir: folder of the run.
    """
    results = studies.relations.transfer(config, workdir)
    command.tell_study(results, studies.relations_report, workdir)


if __name__ == '__main__':
    command.run(main, 'relations')
