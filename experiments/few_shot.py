"""Measures a few-shot run on new classes, by ways and shots, or on Omniglot's official runs.

    python -m experiments.few_shot --workdir=runs/protonet --ways=5,20 --shots=1,5 --count=1000
    python -m experiments.few_shot --workdir=runs/protonet --runs=all_runs.zip
    python -m experiments.few_shot --workdir=runs/maml --split=validation --inner_steps=1

Episodes are drawn from the run's test classes, or with --split=validation from its validation
classes, by which hyper-parameters may be chosen. The draw is seeded and the same for every method.
An episode has `--queries` examples of each class to classify; `--batch` episodes are computed at a
time. The 20 official one-shot runs are of evaluation alphabets: only a run trained with
config.data.of.split=official has seen none of their characters.
"""

from pathlib import Path

from absl import flags

from experiments import command
from experiments.flag_types import define_list
from tljax import studies
from tljax.core import UserError

WAYS = define_list('ways', [5, 20], 'Number of classes of an episode.', int)
SHOTS = define_list('shots', [1, 5], 'Number of labelled examples of each class.', int)
QUERIES = flags.DEFINE_integer(
    'queries', 15, 'Number of examples of each class to classify.', lower_bound=1
)
COUNT = flags.DEFINE_integer('count', 600, 'Number of episodes.', lower_bound=2)
SPLIT = flags.DEFINE_enum(
    'split', 'test', ['validation', 'test'], 'The split whose classes are used.'
)
INNER = flags.DEFINE_integer(
    'inner_steps',
    None,
    "Gradient steps on an episode's examples; by default the run's own number.",
    lower_bound=1,
)
RUNS = flags.DEFINE_string(
    'runs', None, "Omniglot's all_runs.zip: measure the 20 official one-shot runs instead."
)
BATCH = flags.DEFINE_integer('batch', 4, 'Number of episodes at a time.', lower_bound=1)


def main() -> None:
    """Prints the accuracies."""
    if not flags.FLAGS.workdir:
        raise UserError('--workdir is missing: name a finished few-shot run')
    episodes = studies.episodes
    plan = episodes.Plan(
        tuple(WAYS.value), tuple(SHOTS.value), QUERIES.value, COUNT.value, SPLIT.value
    )
    workdir = Path(flags.FLAGS.workdir)
    results = episodes.measure(workdir, plan, RUNS.value, INNER.value, BATCH.value)
    command.tell(results, [episodes.table(results)])


if __name__ == '__main__':
    command.run_plain(main, 'workdir', 'json')
