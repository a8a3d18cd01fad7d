"""Ranks sources of transfer without training on the target.

    python -m experiments.rank --config=configs/rank.py
    python -m experiments.rank --config=configs/rank.py --verify --workdir=runs/rank

Sources are runs, networks with published weights, or files of features (`study.sources`). The
features of the target's training examples are extracted once for each source and stored. `--verify`
also trains every source on the target by every strategy of `study.strategies`, and reports how well
the ranking of each score agrees with the measured scores. A restart continues an interrupted
ranking.
"""

from pathlib import Path

from absl import flags

from experiments import command
from tljax import studies
from tljax.protocols import Config

VERIFY = flags.DEFINE_bool(
    'verify',
    False,
    'Train every source on every target, and compare the rankings with the measured scores.',
)


def main(config: Config, workdir: Path) -> None:
    """Ranks the sources and prints the scores.

    Args:
        config: the config, a plain dict.
        workdir: folder of the run.
    """
    results = studies.ranking.rank(config, workdir, VERIFY.value)
    command.tell_study(results, studies.ranking_report, workdir)


if __name__ == '__main__':
    command.run(main, 'rank')
