"""Advises what to transfer, when and how, for each target and source of a config.

    python -m experiments.advise --config=configs/rank.py --pool=runs/rank/results.json

`--pool` names the results of a verified ranking (`experiments.rank` with its flag verify). From
these measured transfers `advise` reports, for a new source and target: the transfer setting (Pan
and Yang 2010), the expected gain of each strategy with a 95 % interval, and the next command, each
with its evidence. Without a pool the advice follows the customary rule, by size and similarity. In
`study.budgets`, 0 labels per class stands for a target without labels. Each advised training has a
config, which the next command runs. `--judge` instead measures how good the advice is on the pool,
with each row's source and target held out.
"""

from pathlib import Path

from absl import flags

from experiments import command
from tljax import studies
from tljax.core import UserError
from tljax.files.console import say
from tljax.protocols import Config

POOL = flags.DEFINE_string('pool', None, 'The file results.json of a verified ranking.')
JUDGE = flags.DEFINE_bool(
    'judge', False, 'Measure how good the advice is on the pool, instead of giving advice.'
)


def main(config: Config, workdir: Path) -> None:
    """Advises on every pair of the config, or judges the advice on the pool.

    Args:
        config: the config, a plain dict.
        workdir: folder of the run.
    """
    if JUDGE.value and not POOL.value:
        raise UserError(
            '--judge needs --pool=results.json of a verified ranking: python -m experiments.rank '
            '--verify'
        )
    pool = studies.recommendation.read_pool(POOL.value) if POOL.value else []
    if JUDGE.value:
        judgement = studies.recommendation.judge_pool(pool, config['study']['baseline'])
        command.tell(judgement, [studies.recommendation.judgement_table(judgement)])
        return
    results = studies.recommendation.advise(config, workdir, pool)
    command.tell(results['advice'], results['tables'])
    say(f'{workdir}/advice.html, {workdir}/advice.json')


if __name__ == '__main__':
    command.run(main, 'advise')
