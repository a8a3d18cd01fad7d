"""How well a few-shot run does on classes that it has not seen."""
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tljax import build
from tljax.core import Dataset, Refused, Task
from tljax.data.sets.omniglot import one_shot_runs
from tljax.data.wrappers.episodes import classes_apart, of_episodes
from tljax.engine.checkpoint import last, load_final
from tljax.engine.evaluate import score
from tljax.program import predictor
from tljax.studies.tables import Table
from tljax.when.gain import share_interval


class Plan(NamedTuple):
    """Which episodes are drawn: every number of ways with every number of shots.

    Attributes:
        ways: classes of an episode.
        shots: labelled examples of each class.
        queries: examples of each class that are to be told.
        count: episodes.
        split: whose classes, 'validation' or 'test'.

    >>> Plan(ways=(5,), shots=(1,)).queries
    15
    """
    ways: tuple[int, ...] = (5, 20)
    shots: tuple[int, ...] = (1, 5)
    queries: int = 15
    count: int = 600
    split: str = 'test'


def measure(workdir: Path, plan: Plan, runs: str | None = None, inner_steps: int | None = None,
            batch: int = 4) -> dict:
    """Scores of a finished few-shot run on new classes.

    Args:
        workdir: folder of the run.
        plan: which episodes.
        runs: path of Omniglot's all_runs.zip; its 20 one-shot runs take the place of the plan.
        inner_steps: gradient steps on an episode's examples; None: as many as the run's own test.
        batch: episodes at a time.

    Returns:
        {'method', 'workdir', 'classes', 'over', 'rows': [{'episodes', 'metric', 'mean', 'ci95'}]},
        where the half width 'ci95' of a 95 % interval is over what 'over' says, and None over two
        seeds.

    Raises:
        Refused: for a run that is not finished or not few-shot, and episodes that cannot be drawn.

    >>> measure(Path('nowhere'), Plan())
    Traceback (most recent call last):
    tljax.core.Refused: nowhere holds no finished run (no final/): train it to its last step first
    """
    params, state, record = load_final(last(workdir))
    data, method = record['config']['data'], record['config']['method']
    if data['name'] != 'episodes':
        raise Refused(f'{workdir} was not trained on episodes but on {data["name"]}: take a '
                      'few-shot run')
    if inner_steps:
        if 'test_steps' not in method:
            raise Refused(f'--inner_steps={inner_steps}: {method["name"]} takes no gradient steps '
                          'in a test')
        method['test_steps'] = inner_steps
    rows = []
    for name, dataset, ways in _sets(data, plan, runs):
        _refuse_other_ways(params, dataset, ways)
        found = score(predictor(record), params, state, dataset, batch, said=f'{ways} ways')
        metric = next(iter(found))
        mean, half = share_interval(found[metric])
        if len(found[metric]) == 1:
            half = float(found[f'{metric}_ci95'][0])
        rows.append(dict(episodes=name, metric=metric, mean=mean, ci95=half))
    seeds = len(record['seeds'])
    return dict(method=method['name'], workdir=str(workdir), rows=rows,
                classes='the official runs' if runs else f'{plan.split} classes',
                over=f'{seeds} seeds' if seeds > 1 else 'episodes')


def table(found: dict) -> Table:
    """What `measure` found, as a table.

    >>> row = {'episodes': '5-way 1-shot', 'metric': 'accuracy', 'mean': .5, 'ci95': .01}
    >>> table({'method': 'a', 'workdir': 'b', 'classes': 'c', 'over': 'd', 'rows': [row]}).rows
    [['5-way 1-shot', '50.00', '1.00']]
    """
    metric = found['rows'][0]['metric']
    rows = [[row['episodes'], f'{100 * row["mean"]:.2f}',
             '' if row['ci95'] is None else f'{100 * row["ci95"]:.2f}']
            for row in found['rows']]
    return Table(['episodes', f'{metric} %', f'± (95 %, over {found["over"]})'], rows,
                 f'{found["method"]} on {found["classes"]}, {found["workdir"]}')


def _sets(data: dict, plan: Plan, runs: str | None) -> list[tuple[str, Dataset, int]]:
    """The episodes to measure: [(name, Dataset of episodes, ways)]."""
    if runs:
        return [('official runs', _official(runs), 20)]
    apart = classes_apart(build.load(data['of']), data.get('by_class'), data.get('seed', 0))
    if plan.split not in apart:
        raise Refused(f'--split={plan.split}: this run kept no classes for it, only for '
                      f'{", ".join(apart)}')
    rotations = {**data, **(data.get('test') or {})}.get('rotations', False)
    return [(f'{ways}-way {shots}-shot', of_episodes(
        apart[plan.split], ways, shots, plan.queries, rotations, plan.count,
        (data.get('seed', 0), 2)), ways) for ways in plan.ways for shots in plan.shots]


def _refuse_other_ways(params: dict, dataset: Dataset, ways: int) -> None:
    """Refuses episodes of more or fewer classes than a model's head has outputs."""
    bias = params.get('head', {}).get('bias')
    if 'support' not in dataset.take(np.arange(1)) or bias is None or bias.ndim != 2:
        return
    if bias.shape[1] != ways:
        raise Refused(f'this model tells {bias.shape[1]} classes apart, not {ways}: ask for '
                      f'--ways={bias.shape[1]}')


def _official(path: str) -> Dataset:
    """The 20 official one-shot runs as episodes of 20 ways."""
    training, test, label = one_shot_runs(path)

    def take(index: np.ndarray) -> dict:
        order = np.argsort(label[index], 1)   # the test picture of each class, in class order
        queries = np.take_along_axis(test[index], order[..., None, None, None], 1)
        ways = np.broadcast_to(np.arange(20)[:, None], (len(index), 20, 1))
        parts = (('support', training[index]), ('query', queries))
        return {part: {'input': pictures[:, :, None].astype(np.float32), 'label': ways}
                for part, pictures in parts}
    return Dataset(take, np.zeros(20), Task.of(tuple(map(str, range(20)))), 'official')
