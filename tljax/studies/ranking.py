"""Ranks sources of transfer without training on the target.

A donor is a source as it is used: a network with weights, or a file of features. Each donor's
features of the target's training examples are extracted once and stored. Every score ranks the
donors. A verified ranking also trains every donor on the target by every strategy of the config's
`study`, and compares the rankings with the measured scores.
"""

import hashlib
import json
from pathlib import Path

from tljax import build
from tljax.configuration import nearest_name, phases
from tljax.core import UserError
from tljax.engine.train import fit
from tljax.files.console import progress
from tljax.files.text import write
from tljax.protocols import Config, Record
from tljax.report.page import page
from tljax.studies.agreement import agreement
from tljax.studies.donor_scores import PROBES, embedding, scores_of_donor
from tljax.studies.donors import Donor, donor, fingerprint, top1, trained_on, transfer_settings
from tljax.studies.ranking_report import sections
from tljax.studies.stored import stored
from tljax.when.relatedness import task2vec_distance
from tljax.when.transferability import SCORES

ALL = {**SCORES, **PROBES}
Donors = dict[str, Donor | Path]


def rank(config: Config, workdir: Path, verified: bool = False) -> Record:
    """Scores every source of a config for every target, and writes results.json and report.html.

    Args:
        config: plain dict, as `configs/rank.py` describes it.
        workdir: folder of the ranking; a restart continues an interrupted ranking.
        verified: whether every source is also trained on every target.

    Returns:
        {'rows': [{'target', 'source', 'labels_per_class', 'scores': {name: values by seed},
        'without': {name: values by seed}}], 'agreement' (of `agreement.agreement`), 'config'}. The
        rows of a verified ranking also have 'metric' and 'measured': {strategy: values by seed}.

    Raises:
        UserError: the config describes no ranking.

    >>> rank({'phases': {}, 'study': {}}, Path('runs'))
    Traceback (most recent call last):
    tljax.core.UserError: study.controls is missing, which a ranking needs: see configs/rank.py
    """
    _, settings = phases(config)[-1]
    study = config['study']
    if missing_keys := {'targets', 'sources', 'controls', 'most', 'probe'} - set(study):
        raise UserError(
            f'study.{min(missing_keys)} is missing, which a ranking needs: see configs/rank.py'
        )
    if not study['targets'] or len(study['sources']) < 2:
        raise UserError(
            'a ranking needs a target and two sources or more in `study`: see configs/rank.py'
        )
    donors = {
        name: donor(name, spec, settings, workdir / 'sources')
        for name, spec in study['sources'].items()
    }
    rows = _scored_rows(donors, settings, study, workdir)
    for row in progress(rows, 'training') if verified else ():
        folder = workdir / 'cells' / f'{row["target"]}-{row["labels_per_class"] or "all"}'
        row['metric'], row['measured'] = _measure(
            donors[row['source']], study['targets'][row['target']], row, settings, study, folder
        )
    results = dict(rows=rows, agreement=agreement(rows, study), config=config)
    write(workdir / 'results.json', json.dumps(results, indent=1) + '\n')
    page(workdir / 'report.html', 'Which source to transfer from', sections(results))
    return results


def _scored_rows(donors: Donors, settings: Config, study: Config, workdir: Path) -> list[Record]:
    """Returns the row of every budget, target and donor that has not learnt from the target."""
    cells = [
        (k, target, name)
        for k in study['budgets']
        for target, data in study['targets'].items()
        for name, source in donors.items()
        if isinstance(source, Path) or not trained_on(source, data)
    ]
    return [
        _scored_row(donors, name, target, k, settings, study, workdir)
        for k, target, name in progress(cells, 'scoring sources')
    ]


def _scored_row(
    donors: Donors,
    name: str,
    target: str,
    k: int | None,
    settings: Config,
    study: Config,
    workdir: Path,
) -> Record:
    """Returns the scores of a donor on a target as a row of the results.

    Args:
        donors: all donors.
        name: the donor that is scored.
        target: name of the target.
        k: labels per class; None for all labels.
        settings: config of one fit.
        study: the config's `study`.
        workdir: folder of the ranking.
    """
    data, source = study['targets'][target], donors[name]
    seeds, limit = settings['seeds'], study['most']
    row: Record = dict(target=target, source=name, labels_per_class=k)
    key = [fingerprint(source), data, k, limit, seeds, list(ALL), 'without']
    scores, row['without'] = stored(
        workdir / 'scores',
        f'{target}-{name}',
        key,
        lambda: scores_of_donor(source, data, row, seeds, limit, ALL),
    )
    scores_of_all_seeds = {
        'task2vec': nearness(donors, name, data, k, study, workdir / 'tasks'),
        'imagenet_top1': top1(study['sources'][name]),
    }
    row['scores'] = scores | {
        score: [value] * len(seeds)
        for score, value in scores_of_all_seeds.items()
        if value is not None
    }
    return row


def nearness(
    donors: Donors, name: str, data: Config, k: int | None, study: Config, folder: Path
) -> float | None:
    """Nearness of a donor's task to the target's: minus the distance of their Task2Vec embeddings.

    Args:
        donors: all donors; the network of the one that `study.probe` names embeds both tasks.
        name: the donor that is scored.
        data: config of the target's data.
        k: labels per class; None for all labels.
        study: {'probe', 'most'}.
        folder: folder in which embeddings are stored.

    Returns:
        A number of at most 0; None without a probe, and for a donor whose data are not known.

    Raises:
        UserError: the probe is no donor with a network.

    >>> study = {'probe': 'mine', 'most': None}
    >>> nearness({'mine': Path('mine.npz')}, 'mine', {}, 5, study, Path()) is None
    True
    """
    source, probe, limit = donors[name], study['probe'], study['most']
    source_data = None if isinstance(source, Path) else source.data
    if not probe or source_data is None:
        return None
    networks = {name: donor for name, donor in donors.items() if not isinstance(donor, Path)}
    if probe not in networks:
        raise UserError(
            f'study.probe={probe!r} is no source with a network: {nearest_name(probe, networks)}'
        )

    def stored_embedding(task_data: Config) -> list[float]:
        key = [fingerprint(networks[probe]), task_data, k, limit]
        return stored(
            folder, task_data['name'], key, lambda: embedding(networks[probe], task_data, k, limit)
        )

    return -task2vec_distance(stored_embedding(source_data), stored_embedding(data))


def _measure(
    source: Donor | Path,
    target: Config,
    row: Record,
    settings: Config,
    study: Config,
    folder: Path,
) -> tuple[str, Record]:
    """Trains a donor on a target by every strategy.

    Args:
        source: the donor.
        target: config of the target's data.
        row: {'target', 'source', 'labels_per_class'}.
        settings: config of one fit.
        study: the config's `study`.
        folder: folder of the runs on this target.

    Returns:
        The name of the score, and {strategy: its values by seed} on the target's test split.
    """
    metric, measured = '', {}
    for strategy in study['strategies']:
        cell = transfer_settings(source, target, row, settings, study, strategy)
        start = row['source']
        if not cell['init']['path']:  # from scratch: one run serves all donors of a network
            text = json.dumps([cell['net'], cell['data']])
            start = hashlib.sha256(text.encode()).hexdigest()[:8]
        workdir = folder / f'{strategy}-{start}'
        build.refuse_other_config(cell, workdir)
        run = build.build(cell, f'{row["target"]}, {row["source"]}, {strategy}')
        test = fit(run, workdir).scores['test']
        metric = next(iter(test))
        measured[strategy] = test[metric]
    return metric, measured
