"""Which source to transfer from, before anyone has paid for the training.

    python -m experiments.rank --config=configs/rank.py
    python -m experiments.rank --config=configs/rank.py --verify --workdir=runs/rank

Sources are runs, networks with published weights, or files of features (`study.sources`); features
of the target's training examples are extracted once for each and kept. `--verify` trains every
source on the target by every strategy of `study.strategies` and reports how well each score's
ranking agrees with what was measured. A restart goes on where it was cut off.
"""

from pathlib import Path

from absl import flags

from experiments import command
from tljax import studies
from tljax.files.console import say
from tljax.protocols import Config

VERIFY = flags.DEFINE_bool('verify', False, 'Train every source on every target and compare.')


def main(config: Config, workdir: Path) -> None:
    """Ranks the sources and reports.

    Args:
        config: the whole config, a plain dict.
        workdir: folder of the run.
    """
    results = studies.ranking.rank(config, workdir, VERIFY.value)
    command.tell(results, studies.ranking_report.tables(results))
    say(f'{workdir}/report.html, {workdir}/results.json')


if __name__ == '__main__':
    command.run(main, 'rank')
