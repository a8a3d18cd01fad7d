"""How well a few-shot run does on classes that it has not seen."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from tljax import build
from tljax.configuration import innermost, stated_by_method
from tljax.core import Dataset, Task, UserError, abbreviated
from tljax.data.archives import File
from tljax.data.finding import find
from tljax.data.pictures import pictures
from tljax.data.sets.omniglot import one_shot_runs
from tljax.data.wrappers.episodes import disjoint_classes, episode_dataset
from tljax.engine.evaluate import predictions, score
from tljax.features import run_at
from tljax.files.console import say
from tljax.program import predictor
from tljax.protocols import Batch, Config, Record, Tree
from tljax.studies.pictures import answers, read_once
from tljax.studies.tables import Table
from tljax.trained import Trained, picture_config
from tljax.when.gain import share_interval

INK = ('digits', 'glyphs', 'mnist', 'omniglot', 'usps')  # sets whose strokes are 1 and paper 0


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


def measure(
    workdir: Path,
    plan: Plan,
    runs: str | None = None,
    inner_steps: int | None = None,
    batch: int = 4,
) -> Record:
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
        UserError: for a run that is not finished or not few-shot, and episodes that cannot be
            drawn.

    >>> measure(Path('nowhere'), Plan())
    Traceback (most recent call last):
    tljax.core.UserError: nowhere holds no finished run (no final/): train it to its last step first
    """
    params, state, record = run_at(workdir)
    data, method = record['config']['data'], record['config']['method']
    if data['name'] != 'episodes':
        raise UserError(
            f'{workdir} was not trained on episodes but on {data["name"]}: take a few-shot run'
        )
    if inner_steps:
        if 'test_steps' not in method:
            raise UserError(
                f'--inner_steps={inner_steps}: {method["name"]} takes no gradient steps in a test'
            )
        method['test_steps'] = inner_steps
    rows = []
    for name, dataset, ways in _sets(data, plan, runs):
        _refuse_other_ways(method, params, ways, '--ways=')
        found = score(predictor(record), params, state, dataset, batch, text=f'{ways} ways')
        metric = next(iter(found))
        mean, half = share_interval(found[metric])
        if len(found[metric]) == 1:
            half = float(found[f'{metric}_ci95'][0])
        rows.append(dict(episodes=name, metric=metric, mean=mean, ci95=half))
    seeds = len(record['seeds'])
    return dict(
        method=method['name'],
        workdir=str(workdir),
        rows=rows,
        classes='the official runs' if runs else f'{plan.split} classes',
        over=f'{seeds} seeds' if seeds > 1 else 'episodes',
    )


def predict(
    model: tuple[Tree, Tree, Record],
    support: str,
    files: list[File],
    top: int = 5,
    batch: int = 32,
    pixels: int | None = None,
) -> list[Record]:
    """The most probable of the classes that a folder of labelled pictures shows.

    Args:
        model: parameters, state and record of a few-shot run, as `models.model` gives them.
        support: the folder; it holds one folder for each class, with a few pictures. Of each class
            as many are taken as the smallest has.
        files: the pictures.
        top: how many classes of each.
        batch: pictures at a time, which together are the query of an episode.
        pixels: the most that a picture may have; None: the run's own limit.

    Returns:
        As `pictures.predict`. Probabilities are the softmax of what the method says; scores of a
        relation network are none, and their order alone counts.

    Raises:
        UserError: for a run that is not few-shot, another number of classes than its head has, and
            folders without pictures.

    >>> predict(({}, {}, {'config': {'data': {'name': 'folder'}}}), 'labelled', [])
    Traceback (most recent call last):
    tljax.core.UserError: --support: this run was not trained on episodes but on folder: take a ...
    """
    params, state, record = model
    data = record['config']['data']
    if data['name'] != 'episodes' or not record['classes']:
        raise UserError(
            f'--support: this run was not trained on episodes but on {data["name"]}: take a '
            'few-shot run that tells classes apart'
        )
    if not record['input']:
        raise UserError(
            '--support: this run does not say the shape of its pictures: train it again'
        )
    method = record['config']['method']
    classes, labelled = _support(Path(support).expanduser())
    _refuse_other_ways(method, params, len(classes), '', f' folders in --support={support}')
    if stated_by_method(method, 'LOOPED', False):  # `inner_loop.on_batch_statistics`
        say(f'{method["name"]} normalises the pictures that are asked together, {batch} at a time')

    def ask(asked: Dataset) -> np.ndarray:
        dataset = _asked(data, tuple(record['input']), classes, labelled, asked, batch, pixels)
        output = predictions(predictor(record), params, state, dataset, 1)['output']
        output = output.reshape(len(output), -1, len(classes))[:, : len(files)]
        return softmax(output, -1).mean(0)

    return answers(files, *read_once(Trained(*model), files, pixels, ask), classes, top)


def _support(root: Path) -> tuple[list[str], list[list[File]]]:
    """The classes that a folder shows, and as many pictures of each."""
    inside = sorted(root.iterdir()) if root.is_dir() else []
    inside = [each for each in inside if each.is_dir() and each.name[0] not in '._']
    if len(inside) < 2:
        raise UserError(
            f'--support={root} holds {len(inside)} folders: give it one for each of two classes or '
            'more, with a few pictures in each'
        )
    found = {each.name: find([each]) for each in inside}
    shots = min(map(len, found.values()))
    more = [f'{name} {len(files)}' for name, files in found.items() if len(files) > shots]
    if more:
        say(
            f'support: {shots} of each class, as many as the smallest has; there are more of '
            f'{abbreviated(more)}'
        )
    return list(found), [files[:shots] for files in found.values()]


def _asked(
    data: Config,
    shape: tuple[int, ...],
    classes: list[str],
    labelled: list[list[File]],
    asked: Dataset,
    batch: int,
    pixels: int | None,
) -> Dataset:
    """Episodes of one support, whose queries are the pictures asked for, so many at a time."""
    resize = picture_config(data).get('resize')
    shown = pictures([file for each in labelled for file in each], shape, resize, pixels=pixels)
    shown = shown.take(np.arange(shown.size))['input']
    inverted = innermost(data)['name'] in INK and np.median(shown) > 0.5
    if inverted:
        say(
            f'the pictures are dark on light, those of {innermost(data)["name"]} light on dark: '
            'they are inverted'
        )
    ways = len(classes)
    rows = np.resize(np.arange(asked.size), (-(-asked.size // batch), min(batch, asked.size)))
    shown = (1 - shown if inverted else shown).reshape(1, ways, -1, *shape)
    label = np.broadcast_to(np.arange(ways)[:, None], shown.shape[1:3])

    def take(index: np.ndarray) -> Batch:
        input = np.stack([asked.take(rows[i])['input'] for i in index])[:, None]
        return {
            'support': {
                'input': np.repeat(shown, len(index), 0),
                'label': np.repeat(label[None], len(index), 0),
            },
            'query': {
                'input': 1 - input if inverted else input,
                'label': np.zeros(input.shape[:3], np.int32),
            },
        }

    return Dataset(take, np.zeros(len(rows), np.int32), Task.of(classes), asked.fingerprint)


def table(found: Record) -> Table:
    """What `measure` found, as a table.

    Args:
        found: as `measure` gives it.

    >>> row = {'episodes': '5-way 1-shot', 'metric': 'accuracy', 'mean': 0.5, 'ci95': 0.01}
    >>> table({'method': 'a', 'workdir': 'b', 'classes': 'c', 'over': 'd', 'rows': [row]}).rows
    [['5-way 1-shot', '50.00', '1.00']]
    """
    metric = found['rows'][0]['metric']
    rows = [
        [
            row['episodes'],
            f'{100 * row["mean"]:.2f}',
            '' if row['ci95'] is None else f'{100 * row["ci95"]:.2f}',
        ]
        for row in found['rows']
    ]
    return Table(
        ['episodes', f'{metric} %', f'± (95 %, over {found["over"]})'],
        rows,
        f'{found["method"]} on {found["classes"]}, {found["workdir"]}',
    )


def _sets(data: Config, plan: Plan, runs: str | None) -> list[tuple[str, Dataset, int]]:
    """The episodes to measure: [(name, Dataset of episodes, ways)]."""
    if runs:
        return [('official runs', _official(runs), 20)]
    apart = disjoint_classes(build.load(data['of']), data.get('by_class'), data.get('seed', 0))
    if plan.split not in apart:
        raise UserError(
            f'--split={plan.split}: this run kept no classes for it, only for {", ".join(apart)}'
        )
    rotations = {**data, **(data.get('test') or {})}.get('rotations', False)
    return [
        (
            f'{ways}-way {shots}-shot',
            episode_dataset(
                apart[plan.split],
                ways,
                shots,
                plan.queries,
                rotations,
                plan.count,
                (data.get('seed', 0), 2),
            ),
            ways,
        )
        for ways in plan.ways
        for shots in plan.shots
    ]


def _refuse_other_ways(
    method: Config, params: Tree, ways: int, before: str, after: str = ''
) -> None:
    """Refuses episodes of more or fewer classes than a model's head has outputs."""
    bias = params.get('head', {}).get('bias')
    if (
        stated_by_method(method, 'BATCHES', 'labelled') != 'episodes'
        or bias is None
        or bias.ndim != 2
    ):
        return  # a head of base classes is not asked in episodes
    if bias.shape[1] != ways:
        raise UserError(
            f'this model tells {bias.shape[1]} classes apart, not {ways}: ask for '
            f'{before}{bias.shape[1]}{after}'
        )


def _official(path: str) -> Dataset:
    """The 20 official one-shot runs as episodes of 20 ways."""
    training, test, label = one_shot_runs(path)

    def take(index: np.ndarray) -> Batch:
        order = np.argsort(label[index], 1)  # the test picture of each class, in class order
        queries = np.take_along_axis(test[index], order[..., None, None, None], 1)
        ways = np.broadcast_to(np.arange(20)[:, None], (len(index), 20, 1))
        parts = (('support', training[index]), ('query', queries))
        return {
            part: {'input': pictures[:, :, None].astype(np.float32), 'label': ways}
            for part, pictures in parts
        }

    return Dataset(take, np.zeros(20), Task.of(tuple(map(str, range(20)))), 'official')
