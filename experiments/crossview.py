"""Do labels of one feature space help in another: through pairs, or by a few labels?

    python -m experiments.crossview --config=configs/languages.py
    python -m experiments.crossview --config=configs/languages.py:target=javanese
    # without pairs: hand-made features of pictures, and those of a network
    python -m experiments.crossview --config=configs/by_labels.py

No column of the source means what a column of the target means, as for words of two languages. For
every task of the config, and as many random draws as it has seeds, methods learn from labels of the
source and from pairs without labels, or from a few labels of the target. Their rivals are the same
classifier on target labels, and on labels that are copied over the pairs. The tables show the
scores on the target, how many pairs are found in the common space, and gains, paired by draw. The
study writes results.json and report.html, with a picture of both spaces in the common one, into the
folder `--workdir`.
"""

from pathlib import Path

from experiments import command
from tljax import studies
from tljax.protocols import Config


def main(config: Config, workdir: Path) -> None:
    """Runs all draws and prints the tables.

    Args:
        config: the config, a plain dict.
        workdir: folder of the run.
    """
    results = studies.crossview.transfer(config, workdir)
    command.tell_study(results, studies.crossview_report, workdir)


if __name__ == '__main__':
    command.run(main, 'crossview')
