"""Scores and predictions of a few-shot run on new classes."""

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

INK = ('digits', 'glyphs', 'mnist', 'omniglot', 'usps')  # sets with strokes of 1 on paper of 0


class Plan(NamedTuple):
    """The episodes to draw: `count` episodes for every pair of ways and shots.

    Attributes:
        ways: numbers of classes of an episode.
        shots: numbers of labelled examples of each class.
        queries: number of examples of each class to classify.
        count: number of episodes.
        split: split of the classes, 'validation' or 'test'.
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
    """Scores a finished few-shot run on new classes.

    Args:
        workdir: folder of the run.
        plan: episodes to draw.
        runs: path of Omniglot's all_runs.zip, to score its 20 one-shot runs instead of the plan.
        inner_steps: gradient steps on an episode's support; None: as in the run's own test.
        batch: number of episodes in a batch.

    Returns:
        {'method', 'workdir', 'classes', 'over', 'rows': [{'episodes', 'metric', 'mean', 'ci95'}]}.
        'ci95' is the half width of a 95 % interval over seeds or over episodes, as 'over' says. It
        is None over two seeds.

    Raises:
        UserError: if the run is not finished or not few-shot, or the episodes cannot be drawn.

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
    episode_sets = _episode_sets(data, plan, runs)
    head_ways = _head_ways(method, params)
    rows = []
    for name, dataset, ways in episode_sets:
        if head_ways is not None and head_ways != ways:
            raise UserError(
                f'this model tells {head_ways} classes apart, not {ways}: ask for '
                f'--ways={head_ways}'
            )
        scores = score(predictor(record), params, state, dataset, batch, text=f'{ways} ways')
        metric = next(iter(scores))
        mean, half = share_interval(scores[metric])
        if len(scores[metric]) == 1:
            half = float(scores[f'{metric}_ci95'][0])
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
    """Classifies pictures into classes that a folder of labelled pictures defines.

    Args:
        model: parameters, state and record of a few-shot run, as `models.model` returns them.
        support: a folder with one folder of pictures for each class. The smallest class sets the
            number of pictures that are used of every class.
        files: the pictures to classify.
        top: number of classes in an answer, the most probable ones.
        batch: number of pictures in a batch, which are the query of one episode.
        pixels: maximal number of pixels of a picture; None: the limit of the model's run.

    Returns:
        A dict for each picture, as `pictures.predict` returns it. Probabilities are the softmax of
        the method's outputs. The outputs of a relation network are not logits: only the order
        of its probabilities has a meaning.

    Raises:
        UserError: if the run is not few-shot, if its head has another number of classes, or if a
            folder has no pictures.

    >>> predict(({}, {}, {'config': {'data': {'name': 'folder'}}}), 'labelled', [])
    Traceback (most recent call last):
    tljax.core.UserError: --support: this run was not trained on episodes but on folder: take a ...
    """
    params, state, record = model
    classes, support_files = _classes_of(model, support)
    method = record['config']['method']
    if stated_by_method(method, 'TRANSDUCTIVE', False):
        say(f'{method["name"]} normalises the pictures of a batch together, {batch} at a time')

    def probabilities(queries: Dataset) -> np.ndarray:
        support_input, is_inverted = _support_input(record, support_files, pixels)
        episodes = _query_episodes(classes, support_input, is_inverted, queries, batch)
        output = predictions(predictor(record), params, state, episodes, 1)['output']
        output = output.reshape(len(output), -1, len(classes))[:, : len(files)]
        return softmax(output, -1).mean(0)

    shares, errors = read_once(Trained(*model), files, pixels, probabilities)
    return answers(files, shares, errors, classes, top)


def read_support(
    model: tuple[Tree, Tree, Record], support: str, pixels: int | None = None
) -> tuple[list[str], np.ndarray, bool]:
    """Reads the labelled pictures of new classes.

    Args:
        model: as in `predict`.
        support: as in `predict`.
        pixels: as in `predict`.

    Returns:
        The names of the classes, their pictures (1, ways, shots, h, w, c), and whether these were
        inverted, as the pictures to classify must be, too.

    Raises:
        UserError: as in `predict`.

    >>> read_support(({}, {}, {'config': {'data': {'name': 'folder'}}}), 'labelled')
    Traceback (most recent call last):
    tljax.core.UserError: --support: this run was not trained on episodes but on folder: take a ...
    """
    classes, files = _classes_of(model, support)
    return classes, *_support_input(model[2], files, pixels)


def _classes_of(model, support):
    """The classes of a support and their pictures' files, for a model that can tell them apart."""
    params, _, record = model
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
    classes, files = _support_files(Path(support).expanduser())
    head_ways = _head_ways(record['config']['method'], params)
    if head_ways is not None and head_ways != len(classes):
        raise UserError(
            f'this model tells {head_ways} classes apart, not {len(classes)}: ask for '
            f'{head_ways} folders in --support={support}'
        )
    return classes, files


def _support_files(root: Path) -> tuple[list[str], list[list[File]]]:
    """The classes of a support folder, and the pictures of each, equally many."""
    folders = []
    if root.is_dir():
        folders = [
            path for path in sorted(root.iterdir()) if path.is_dir() and path.name[0] not in '._'
        ]
    if len(folders) < 2:
        raise UserError(
            f'--support={root} holds {len(folders)} folders: give it one for each of two classes '
            'or more, with a few pictures in each'
        )
    by_class = {path.name: find([path]) for path in folders}
    shots = min(len(files) for files in by_class.values())
    larger_classes = [
        f'{name} {len(files)}' for name, files in by_class.items() if len(files) > shots
    ]
    if larger_classes:
        say(
            f'support: {shots} of each class, as many as the smallest has; there are more of '
            f'{abbreviated(larger_classes)}'
        )
    return list(by_class), [files[:shots] for files in by_class.values()]


def _support_input(
    record: Record, support_files: list[list[File]], pixels: int | None
) -> tuple[np.ndarray, bool]:
    """The pictures of a support, (1, ways, shots, h, w, c), and whether they were inverted: dark on
    light, where the run's are light on dark."""
    data, shape = record['config']['data'], tuple(record['input'])
    files = [file for class_files in support_files for file in class_files]
    settings = picture_config(data)
    dataset = pictures(
        files,
        shape,
        settings.get('resize'),
        pixels=pixels,
        draft=settings.get('draft', 0),
        interpolation=settings.get('interpolation', 'bilinear'),
    )
    inputs = dataset.take(np.arange(dataset.size))['input']
    inputs = inputs.reshape(1, len(support_files), -1, *shape)
    is_dark_on_light = innermost(data)['name'] in INK and bool(np.median(inputs) > 0.5)
    if is_dark_on_light:
        say(
            f'the pictures are dark on light, those of {innermost(data)["name"]} light on dark: '
            'they are inverted'
        )
        inputs = 1 - inputs
    return inputs, is_dark_on_light


def _query_episodes(
    classes: list[str], support_input: np.ndarray, is_inverted: bool, queries: Dataset, batch: int
) -> Dataset:
    """Episodes of one support, each with `batch` query pictures.

    Args:
        classes: names of the classes.
        support_input: the support (1, ways, shots, h, w, c).
        is_inverted: whether the queries are inverted, as the support was.
        queries: the pictures to classify; the first of them fill up the last episode.
        batch: number of queries in an episode.
    """
    count = -(-queries.size // batch)
    rows = np.resize(np.arange(queries.size), (count, min(batch, queries.size)))
    ways, shots = support_input.shape[1:3]
    label = np.broadcast_to(np.arange(ways)[None, :, None], (1, ways, shots))

    def take(index: np.ndarray) -> Batch:
        input = np.stack([queries.take(rows[i])['input'] for i in index])[:, None]
        if is_inverted:
            input = 1 - input
        return {
            'support': {
                'input': np.repeat(support_input, len(index), 0),
                'label': np.repeat(label, len(index), 0),
            },
            'query': {'input': input, 'label': np.zeros(input.shape[:3], np.int32)},
        }

    return Dataset(take, np.zeros(count, np.int32), Task.of(classes), queries.fingerprint)


def _head_ways(method: Config, params: Tree) -> int | None:
    """The number of classes of a head that answers episodes; None if the number is free."""
    bias = params.get('head', {}).get('bias')
    if bias is None or bias.ndim != 2:
        return None
    if stated_by_method(method, 'BATCHES', 'labelled') != 'episodes':
        return None  # the head of the base classes does not answer episodes
    return bias.shape[1]


def table(scores: Record) -> Table:
    """Returns the scores of `measure` as a table.

    Args:
        scores: as `measure` returns them.

    >>> row = {'episodes': '5-way 1-shot', 'metric': 'accuracy', 'mean': 0.5, 'ci95': 0.01}
    >>> table({'method': 'a', 'workdir': 'b', 'classes': 'c', 'over': 'd', 'rows': [row]}).rows
    [['5-way 1-shot', '50.00', '1.00']]
    """
    body = []
    for row in scores['rows']:
        half = '' if row['ci95'] is None else f'{100 * row["ci95"]:.2f}'
        body.append([row['episodes'], f'{100 * row["mean"]:.2f}', half])
    metric = scores['rows'][0]['metric']
    return Table(
        ['episodes', f'{metric} %', f'± (95 %, over {scores["over"]})'],
        body,
        f'{scores["method"]} on {scores["classes"]}, {scores["workdir"]}',
    )


def _episode_sets(data: Config, plan: Plan, runs: str | None) -> list[tuple[str, Dataset, int]]:
    """The episodes to measure: [(name, Dataset of episodes, ways)]."""
    if runs:
        return [('official runs', _official_runs(runs), 20)]
    splits = disjoint_classes(build.load(data['of']), data.get('by_class'), data.get('seed', 0))
    if plan.split not in splits:
        raise UserError(
            f'--split={plan.split}: this run kept no classes for it, only for {", ".join(splits)}'
        )
    test_settings = {**data, **(data.get('test') or {})}
    rotations = test_settings.get('rotations', False)
    seed = data.get('seed', 0), 2
    episode_sets = []
    for ways in plan.ways:
        for shots in plan.shots:
            dataset = episode_dataset(
                splits[plan.split], ways, shots, plan.queries, rotations, plan.count, seed
            )
            episode_sets.append((f'{ways}-way {shots}-shot', dataset, ways))
    return episode_sets


def _official_runs(path: str) -> Dataset:
    """The 20 official one-shot runs as episodes of 20 ways."""
    training, test, label = one_shot_runs(path)

    def take(index: np.ndarray) -> Batch:
        order = np.argsort(label[index], 1)  # the test picture of each class, in class order
        queries = np.take_along_axis(test[index], order[..., None, None, None], 1)
        ways = np.broadcast_to(np.arange(20)[:, None], (len(index), 20, 1))
        return {
            'support': {'input': training[index][:, :, None].astype(np.float32), 'label': ways},
            'query': {'input': queries[:, :, None].astype(np.float32), 'label': ways},
        }

    return Dataset(take, np.zeros(20), Task.of(tuple(map(str, range(20)))), 'official')
