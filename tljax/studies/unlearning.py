"""Exact unlearning by sharded training (SISA): what do a withdrawal and the shards cost?

Source: Bourtoule et al., Machine Unlearning, 2021, https://arxiv.org/abs/1912.03817. The training
set is divided into shards, and a model is trained on each. Their probabilities are averaged. A
shard is divided into slices: the model is trained on the first, then on the first two, and so on,
and every stage is kept. A withdrawal trains the stages anew that have seen the example; all others
never saw it, and stay.

An example's shard and slice are a hash of its id, and the steps of a stage do not depend on its
size. So nothing that is kept depends on what was withdrawn: the system after a withdrawal is
bit-equal to one that was trained without the examples from the start.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tljax import build
from tljax.configuration import merge, phases
from tljax.core import Dataset, UserError
from tljax.data.purposes import Purpose
from tljax.data.splits import restrict
from tljax.data.withdrawal import ids_of, without
from tljax.engine.checkpoint import digest
from tljax.engine.train import fit
from tljax.files.console import progress
from tljax.files.text import write
from tljax.protocols import Config, Record
from tljax.report.page import page
from tljax.studies.stored import stored
from tljax.studies.unlearning_report import sections
from tljax.trained import Trained, load

KEYS = {'shards', 'slices', 'counts'}


class Stage(NamedTuple):
    """A stage of a shard's training.

    Attributes:
        shard: number of the shard.
        rows: rows of the training set that it is trained on: the slices up to its own.
        steps: number of steps.
        folder: where it is kept; its name is a hash of all that the stage and those before it saw.

    >>> Stage(0, np.arange(3), 10, Path('a')).steps
    10
    """

    shard: int
    rows: np.ndarray
    steps: int
    folder: Path


class Cost(NamedTuple):
    """What a stage cost when it was trained.

    Attributes:
        steps: number of steps.
        seconds: of the fit, with its start.

    >>> Cost(10, 0.5).steps
    10
    """

    steps: int
    seconds: float


def unlearn(config: Config, workdir: Path) -> Record:
    """Measures systems of shards before and after withdrawals, and writes results.json and
    report.html.

    Args:
        config: plain dict, as `configs/unlearning.py` describes it.
        workdir: folder of the study; a restart continues an interrupted one.

    Returns:
        {'rows': [{'shards', 'slices', 'seed', 'withdrawn': number of ids, 'before' and 'after':
        accuracy on the test split, 'steps': trained for the withdrawal, 'all_steps': of the whole
        system, 'seconds', 'all_seconds'}], 'config'}.

    Raises:
        UserError: the config describes no such study, or withdraws more examples than there are.

    >>> unlearn({'phases': {}, 'study': {}}, Path('runs'))
    Traceback (most recent call last):
    tljax.core.UserError: study.counts is missing, which a study of unlearning needs: see ...
    """
    _, settings = phases(config)[-1]
    study = config['study']
    if missing := KEYS - set(study):
        raise UserError(
            f'study.{min(missing)} is missing, which a study of unlearning needs: see '
            'configs/unlearning.py'
        )
    _refuse_counts(study)
    splits = build.load(settings['data'])
    cells = [(shards, seed) for shards in study['shards'] for seed in settings['seeds']]
    rows = []
    for shards, seed in progress(cells, 'systems'):
        one = merge(settings, {'seeds': [seed]})
        place = workdir / f'{shards}-shards' / str(seed)
        key = [one, study]
        rows += stored(
            workdir / 'cells',
            f'{shards}-{seed}',
            key,
            lambda one=one, shards=shards, place=place: _rows(one, splits, shards, study, place),
        )
    results = dict(rows=rows, config=config)
    write(workdir / 'results.json', json.dumps(results, indent=1) + '\n')
    page(workdir / 'report.html', 'What does a withdrawal cost?', sections(results))
    return results


def _refuse_counts(study: Config) -> None:
    for key in ('shards', 'counts'):
        if not study[key] or any(type(count) is not int or count < 1 for count in study[key]):
            raise UserError(f'study.{key}={study[key]!r}: give whole numbers, 1 or more')
    if type(study['slices']) is not int or study['slices'] < 1:
        raise UserError(f'study.slices={study["slices"]!r}: give a whole number, 1 or more')


def _rows(
    settings: Config, splits: dict[str, Dataset], shards: int, study: Config, workdir: Path
) -> list[Record]:
    """A row for each number of withdrawn ids."""
    (seed,), slices = settings['seeds'], study['slices']
    ids = ids_of(splits['train'], 'train')
    if max(study['counts']) >= len(ids):
        raise UserError(f'study.counts={study["counts"]}: there are {len(ids)} examples')
    first, costs = train_shards(settings, splits['train'], shards, slices, workdir)
    order = np.random.default_rng([Purpose.WITHDRAWN, seed]).permutation(ids)
    rows = []
    for count in study['counts']:
        gone = sorted(order[:count].tolist())
        again, new = train_shards(settings, splits['train'], shards, slices, workdir, gone)
        anew = [cost for name, cost in new.items() if name not in costs]
        rows.append(
            dict(
                shards=shards,
                slices=slices,
                seed=seed,
                withdrawn=count,
                before=_accuracy(first, splits['test']),
                after=_accuracy(again, splits['test']),
                steps=sum(cost.steps for cost in anew),
                all_steps=sum(cost.steps for cost in costs.values()),
                seconds=sum(cost.seconds for cost in anew),
                all_seconds=sum(cost.seconds for cost in costs.values()),
            )
        )
    return rows


def train_shards(
    settings: Config,
    train: Dataset,
    shards: int,
    slices: int,
    workdir: Path,
    withdrawn: Sequence[str] = (),
) -> tuple[list[Trained], dict[str, Cost]]:
    """Trains a model on each shard; stages that have not seen a withdrawn example are loaded.

    Args:
        settings: config of one fit, with one seed; `steps` are those of a single model on the whole
            set, which the stages of all shards share.
        train: the training set, with the withdrawn examples.
        shards: number of shards.
        slices: number of slices in a shard.
        workdir: folder of the system, whose stages are kept in it.
        withdrawn: ids of the examples to leave out.

    Returns:
        The models, and {name of a stage: its cost}. Two systems share the stages of one name.

    Raises:
        UserError: a shard's first slice has no example, or as `withdrawal.without`.

    >>> from tljax.configuration import settings
    >>> from tljax.data import digits
    >>> import tempfile
    >>> config = settings(net={'name': 'mlp', 'widths': [4]}, steps=8, batch=8)
    >>> train, workdir = digits(size=8)['train'], Path(tempfile.mkdtemp())
    >>> models, costs = train_shards(config, train, 2, 1, workdir)
    >>> _, new = train_shards(config, train, 2, 1, workdir, ['train/5'])
    >>> len(models), [cost.steps for name, cost in new.items() if name not in costs]
    (2, [4])
    """
    kept = without({'train': train}, tuple(withdrawn))['train']
    gone = {*withdrawn}
    ids = [name for name in ids_of(train, 'train').tolist() if name not in gone]
    before: dict[int, Path] = {}
    costs = {}
    for stage in _stages(settings, ids, shards, slices, workdir):

        def seconds(stage=stage):
            start = time.monotonic()
            config = merge(settings, {'steps': stage.steps, 'init': {'rules': [['.*', None]]}})
            data = {'train': restrict(kept, stage.rows)}
            run = build.build(config, f'shard {stage.shard + 1}', before.get(stage.shard), data)
            fit(run._replace(evals={}, facts=tuple, transferred=()), stage.folder)
            return time.monotonic() - start

        name = stage.folder.name
        costs[name] = Cost(stage.steps, stored(workdir / 'seconds', name, [], seconds))
        before[stage.shard] = stage.folder
    return [load(before[shard]) for shard in range(shards)], costs


def _stages(
    settings: Config, ids: list[str], shards: int, slices: int, workdir: Path
) -> list[Stage]:
    """The stages of all shards; those of a shard follow each other.

    Of the steps of the whole set each shard has its part, and of a shard's steps a stage has a part
    in proportion to the slices that it sees, so that shards and slices train no more steps than a
    single model does.
    """
    (seed,) = settings['seeds']
    places = np.array([place_of(name, seed, shards, slices) for name in ids])
    stages = []
    for shard in range(shards):
        seen = hashlib.sha256(json.dumps([settings, shards, slices, shard]).encode())
        for number in range(slices):
            rows = np.flatnonzero((places[:, 0] == shard) & (places[:, 1] <= number))
            if not len(rows):
                raise UserError(
                    f'study.shards has {shards}, study.slices {slices}: a slice of the {len(ids)} '
                    'examples is empty: take fewer'
                )
            seen.update(json.dumps([ids[row] for row in rows]).encode())
            share = 2 * (number + 1) / (slices * (slices + 1))
            steps = max(round(settings['steps'] * share / shards), 1)
            folder = workdir / f'{shard}-{number}-{seen.hexdigest()[:12]}'
            stages.append(Stage(shard, rows, steps, folder))
    return stages


def place_of(name: str, seed: int, shards: int, slices: int) -> tuple[int, int]:
    """Returns the shard and the slice of an example, which depend on nothing but its id.

    Args:
        name: id of the example.
        seed: of the division.
        shards: number of shards.
        slices: number of slices in a shard.

    >>> place_of('a.png', 0, 4, 2), place_of('b.png', 0, 4, 2)
    ((3, 1), (1, 0))
    """
    number = int.from_bytes(hashlib.sha256(f'{seed}/{name}'.encode()).digest()[:8])
    return number % shards, number // shards % slices


def _accuracy(models: list[Trained], test: Dataset) -> float:
    """The accuracy of the averaged probabilities."""
    probabilities = np.mean([model.predict(test, 256) for model in models], 0)
    return float((probabilities.argmax(1) == test.label).mean())


def system_digest(models: list[Trained]) -> str:
    """Returns a hash of the parameters of all models.

    Args:
        models: as `train_shards` returns them.

    >>> system_digest([]) == system_digest([])
    True
    """
    return digest([(model.params, model.state) for model in models])
