"""How well a few-shot run does on new classes, by ways and shots, and on the 20 official one-shot runs of Omniglot.

    python -m experiments.few_shot --workdir=runs/protonet --ways=5,20 --shots=1,5 --count=1000
    python -m experiments.few_shot --workdir=runs/protonet --runs=all_runs.zip
    python -m experiments.few_shot --workdir=runs/maml --split=validation --inner_steps=1

Episodes are drawn from the classes that the run kept for its test, or for its validation, to choose by; seeded, the same for every method.
The official runs are of evaluation alphabets: only a run trained with --config.data.of.split=official has seen none of their characters.
"""
import numpy as np
from absl import flags

from experiments import command
from experiments.model import last
from tljax import build
from tljax.core import Dataset, Refused
from tljax.data.sets.omniglot import one_shot_runs
from tljax.data.wrappers.episodes import classes_apart, of_episodes
from tljax.engine.checkpoint import load_final
from tljax.engine.evaluate import score
from tljax.program import predictor
from tljax.report.page import table
from tljax.when.gain import mean_interval

WAYS = flags.DEFINE_list('ways', ['5', '20'], 'Classes of an episode.')
SHOTS = flags.DEFINE_list('shots', ['1', '5'], 'Labelled examples of each.')
QUERIES = flags.DEFINE_integer('queries', 15, 'Examples of each that are to be told.', lower_bound=1)
COUNT = flags.DEFINE_integer('count', 600, 'Episodes.', lower_bound=2)
SPLIT = flags.DEFINE_enum('split', 'test', ['validation', 'test'], 'Whose classes.')
INNER = flags.DEFINE_integer('inner_steps', None, "Gradient steps on an episode's examples; the run's own by default.", lower_bound=1)
RUNS = flags.DEFINE_string('runs', None, "Omniglot's all_runs.zip: the 20 official one-shot runs instead.")
BATCH = flags.DEFINE_integer('batch', 4, 'Episodes at a time.', lower_bound=1)


def main(spec, rest):
    """Prints the table."""
    if rest or spec:
        raise Refused('name a finished few-shot run by --workdir=FOLDER, and nothing else')
    if not command.WORKDIR.value:
        raise Refused('--workdir is missing: name a finished few-shot run')
    params, state, record = load_final(last(command.workdir()))
    data = record['config']['data']
    if data['name'] != 'episodes':
        raise Refused(f'{command.workdir()} was not trained on episodes but on {data["name"]}: take a few-shot run')
    if INNER.value:
        if 'test_steps' not in (method := record['config']['method']):
            raise Refused(f'--inner_steps={INNER.value}: {method["name"]} takes no gradient steps in a test')
        method['test_steps'] = INNER.value
    if RUNS.value:
        cells = [['official runs', *_measured(record, params, state, _official(RUNS.value), 20)]]
    else:
        apart = classes_apart(build.load(data['of']), data.get('by_class'), data.get('seed', 0))
        if SPLIT.value not in apart:
            raise Refused(f'--split={SPLIT.value}: this run kept no classes for it, only for {", ".join(apart)}')
        turned = {**data, **(data.get('test') or {})}.get('rotations', False)
        cells = [[f'{ways}-way {shots}-shot', *_measured(record, params, state, of_episodes(
            apart[SPLIT.value], ways, shots, QUERIES.value, turned, COUNT.value, (data.get('seed', 0), 2)), ways)]
            for ways in map(int, WAYS.value) for shots in map(int, SHOTS.value)]
    over = f'{len(record["seeds"])} seeds' if len(record['seeds']) > 1 else 'episodes'
    classes = 'the official runs' if RUNS.value else f'{SPLIT.value} classes'
    table(['episodes', 'accuracy %', f'± (95 %, over {over})'], cells,
          title=f'{record["config"]["method"]["name"]} on {classes}, {command.workdir()}')


def _measured(record, params, state, dataset, ways):
    outputs = params.get('head', {}).get('bias')
    if 'support' in dataset.take(np.arange(1)) and outputs is not None and outputs.ndim == 2 and outputs.shape[1] != ways:
        raise Refused(f'this model tells {outputs.shape[1]} classes apart, not {ways}: ask for --ways={outputs.shape[1]}')
    found = score(predictor(record), params, state, dataset, BATCH.value, said=f'{ways} ways')
    mean, half = mean_interval(found['accuracy'])
    return [f'{100 * mean:.2f}', f'{100 * (found["accuracy_ci95"][0] if half is None else half):.2f}']


def _official(path):
    training, test, label = one_shot_runs(path)

    def take(index):
        order = np.argsort(label[index], 1)   # the test picture of each class, in the order of the classes
        queries = np.take_along_axis(test[index], order[..., None, None, None], 1)
        ways = np.broadcast_to(np.arange(20)[:, None], (len(index), 20, 1))
        return {part: {'input': pictures[:, :, None].astype(np.float32), 'label': ways}
                for part, pictures in (('support', training[index]), ('query', queries))}
    return Dataset(take, np.zeros(20), tuple(map(str, range(20))), 'official')


if __name__ == '__main__':
    command.run_on_model(main)
