"""Are deep features better than hand-made ones? The same classifier on both, chosen alike.

    python -m experiments.handmade --config=configs/handmade.py
    python -m experiments.handmade --config=configs/handmade.py:data=sketch

Hand-made features are HOG and bags of visual words of SIFT and ORB (`pip install
'tljax[handmade]'`); deep ones are the features of frozen networks. In every draw of a few labels a
linear probe is trained on each, and the settings of the feature, its scale and the penalty are
those with the best score on the validation split. The table has the scores on the test split, and
the margin of the best deep feature over the best hand-made one, paired by draw. The study writes
results.json and report.html into the folder `--workdir`; the same command continues a study that
was interrupted.
"""

from pathlib import Path

from experiments import command
from tljax import studies
from tljax.protocols import Config


def main(config: Config, workdir: Path) -> None:
    """Runs all draws and prints the table.

    Args:
        config: the config, a plain dict.
        workdir: folder of the study.
    """
    results = studies.handmade.compare(config, workdir)
    command.tell_study(results, studies.handmade_report, workdir)


if __name__ == '__main__':
    command.run(main, 'handmade')
