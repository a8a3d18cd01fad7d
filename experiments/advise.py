"""What to transfer, when and how: advice on each target and source of a config.

    python -m experiments.advise --config=configs/rank.py --pool=runs/rank/results.json

Every piece stands beside the facts that it rests on. `--pool` is what a verified ranking measured
(`experiments.rank` with its flag verify): the expected gain of every strategy, and its interval,
come from there; without it there is the customary advice by size and similarity alone. A number of
labels per class of 0 in `study.budgets` stands for a target without labels. For each advice a
config is written that the next command runs. `--judge` tells instead how good the advice would have
been on the pool itself, each row's source and target held out.
"""

from pathlib import Path

from absl import flags

from experiments import command
from tljax import studies
from tljax.core import UserError
from tljax.files.console import say
from tljax.protocols import Config

POOL = flags.DEFINE_string('pool', None, 'results.json of a verified ranking.')
JUDGE = flags.DEFINE_bool('judge', False, 'Judge the advice on the pool instead of giving any.')


def main(config: Config, workdir: Path) -> None:
    """Advises on every pair of the config, or judges the advice.

    Args:
        config: the whole config, a plain dict.
        workdir: folder of the run.
    """
    if JUDGE.value and not POOL.value:
        raise UserError(
            '--judge needs --pool=results.json of a verified ranking: python -m experiments.rank '
            '--verify'
        )
    pool = studies.recommendation.read_pool(POOL.value) if POOL.value else []
    if JUDGE.value:
        found = studies.recommendation.judge_pool(pool, config['study']['baseline'])
        command.tell(found, [studies.recommendation.judgement_table(found)])
        return
    found = studies.recommendation.advise(config, workdir, pool)
    command.tell(found['advice'], found['tables'])
    say(f'{workdir}/advice.html, {workdir}/advice.json')


if __name__ == '__main__':
    command.run(main, 'advise')
