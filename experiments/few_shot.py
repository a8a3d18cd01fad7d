"""How well a few-shot run does on new classes, by ways and shots, or on Omniglot's official runs.

    python -m experiments.few_shot --workdir=runs/protonet --ways=5,20 --shots=1,5 --count=1000
    python -m experiments.few_shot --workdir=runs/protonet --runs=all_runs.zip
    python -m experiments.few_shot --workdir=runs/maml --split=validation --inner_steps=1

Episodes are drawn from the classes that the run kept for its test, or for its validation, to choose
by; they are seeded and the same for every method. `--queries` of each class are to be told,
`--batch` episodes at a time. The 20 official one-shot runs are of evaluation alphabets: only a run
trained with config.data.of.split=official has seen none of their characters.
"""

from pathlib import Path

from absl import flags

from experiments import command
from experiments.flag_types import define_list
from tljax import studies
from tljax.core import UserError

WAYS = define_list('ways', [5, 20], 'Classes of an episode.', int)
SHOTS = define_list('shots', [1, 5], 'Labelled examples of each class.', int)
QUERIES = flags.DEFINE_integer(
    'queries', 15, 'Examples of each class that are to be told.', lower_bound=1
)
COUNT = flags.DEFINE_integer('count', 600, 'Episodes.', lower_bound=2)
SPLIT = flags.DEFINE_enum('split', 'test', ['validation', 'test'], 'Whose classes.')
INNER = flags.DEFINE_integer(
    'inner_steps',
    None,
    "Gradient steps on an episode's examples; the run's own by default.",
    lower_bound=1,
)
RUNS = flags.DEFINE_string(
    'runs', None, "Omniglot's all_runs.zip: the 20 official one-shot runs instead."
)
BATCH = flags.DEFINE_integer('batch', 4, 'Episodes at a time.', lower_bound=1)


def main() -> None:
    """Prints the table."""
    if not flags.FLAGS.workdir:
        raise UserError('--workdir is missing: name a finished few-shot run')
    episodes = studies.episodes
    plan = episodes.Plan(
        tuple(WAYS.value), tuple(SHOTS.value), QUERIES.value, COUNT.value, SPLIT.value
    )
    found = episodes.measure(Path(flags.FLAGS.workdir), plan, RUNS.value, INNER.value, BATCH.value)
    command.tell(found, [episodes.table(found)])


if __name__ == '__main__':
    command.run_plain(main, 'workdir', 'json')
