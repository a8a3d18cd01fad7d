"""Which source to transfer from, before anyone has paid for the training.

Features of the target's training examples are extracted once for each donor and kept. Every score
ranks the donors; if the ranking is verified, every donor is trained on the target by every strategy
of the config's `study`, and the rankings are compared with what was measured.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

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
from tljax.when.relatedness import task2vec_distance
from tljax.when.transferability import SCORES

ALL = {**SCORES, **PROBES}
Donors = dict[str, Donor | Path]
Kept = TypeVar('Kept')  # what JSON holds


def rank(config: Config, workdir: Path, verified: bool = False) -> Record:
    """Scores every source of a config for every target, and writes results.json and report.html.

    Args:
        config: plain dict, as `configs/rank.py` describes it.
        workdir: folder of the ranking; a restart goes on where it was cut off.
        verified: whether every source is trained on every target, too.

    Returns:
        {'rows': [{'target', 'source', 'labels_per_class', 'scores': {name: values by seed},
        'without': {name: values by seed}, and verified 'metric' and 'measured': {strategy: values
        by seed}}], 'agreement' (of `agreement.agreement`), 'config'}.

    Raises:
        UserError: for a config without a ranking.

    >>> rank({'phases': {}, 'study': {}}, Path('runs'))
    Traceback (most recent call last):
    tljax.core.UserError: study.controls is missing, which a ranking needs: see configs/rank.py
    """
    (_, settings), study = phases(config)[-1], config['study']
    if missing := {'targets', 'sources', 'controls', 'most', 'probe'} - set(study):
        raise UserError(
            f'study.{min(missing)} is missing, which a ranking needs: see configs/rank.py'
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
        place = workdir / 'cells' / f'{row["target"]}-{row["labels_per_class"] or "all"}'
        row['metric'], row['measured'] = _measure(
            donors[row['source']], study['targets'][row['target']], row, settings, study, place
        )
    results = dict(rows=rows, agreement=agreement(rows, study), config=config)
    write(workdir / 'results.json', json.dumps(results, indent=1) + '\n')
    page(workdir / 'report.html', 'Which source to transfer from', sections(results))
    return results


def _scored_rows(donors: Donors, settings: Config, study: Config, workdir: Path) -> list[Record]:
    cells = [
        (k, target, name)
        for k in study['budgets']
        for target in study['targets']
        for name, known in donors.items()
        if isinstance(known, Path) or not trained_on(known, study['targets'][target])
    ]
    rows, seeds, most = [], settings['seeds'], study['most']
    for k, target, name in progress(cells, 'scoring sources'):
        data, known = study['targets'][target], donors[name]
        row: Record = dict(target=target, source=name, labels_per_class=k)
        key = [fingerprint(known), data, k, most, seeds, list(ALL), 'without']
        found, row['without'] = _kept(
            workdir / 'scores',
            f'{target}-{name}',
            key,
            lambda known=known, data=data, row=row: scores_of_donor(
                known, data, row, seeds, most, ALL
            ),
        )
        once = {
            'task2vec': nearness(donors, name, data, k, study, workdir / 'tasks'),
            'imagenet_top1': top1(study['sources'][name]),
        }
        row['scores'] = found | {
            score: [value] * len(seeds) for score, value in once.items() if value is not None
        }
        rows.append(row)
    return rows


def _kept(folder: Path, name: str, key: list, make: Callable[[], Kept]) -> Kept:
    """What `make` gives, or gave before with the same key."""
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:12]
    path = folder / f'{name}-{digest}.json'
    if not path.exists():
        write(path, json.dumps(make()))
    return json.loads(path.read_text())


def nearness(
    donors: Donors, name: str, data: Config, k: int | None, study: Config, folder: Path
) -> float | None:
    """How near a donor's task is to the target's: minus the distance of their Task2Vec embeddings.

    Args:
        donors: all of them; the one that `study.probe` names embeds.
        name: of the donor.
        data: config of the target's data.
        k: labels per class.
        study: {'probe', 'most'}.
        folder: where embeddings are kept.

    Returns:
        A number of at most 0, or None where the donor's data are not known.

    Raises:
        UserError: for a probe without a network.

    >>> nearness({'mine': Path('mine.npz')}, 'mine', {}, 5, {'probe': 'mine', 'most': None}, Path())
    """
    known, probe, most = donors[name], study['probe'], study['most']
    trained_on = None if isinstance(known, Path) else known.data
    if not probe or trained_on is None:
        return None
    networks = {each: own for each, own in donors.items() if not isinstance(own, Path)}
    if probe not in networks:
        raise UserError(
            f'study.probe={probe!r} is no source with a network: {nearest_name(probe, networks)}'
        )
    embeddings = [
        _kept(
            folder,
            each['name'],
            [fingerprint(networks[probe]), each, k, most],
            lambda each=each: embedding(networks[probe], each, k, most),
        )
        for each in (trained_on, data)
    ]
    return -task2vec_distance(*embeddings)


def _measure(
    known: Donor | Path, target: Config, row: Record, settings: Config, study: Config, place: Path
) -> tuple[str, Record]:
    """Trains a donor on a target by every strategy.

    Args:
        known: the donor.
        target: config of the data.
        row: {'target', 'source', 'labels_per_class'}.
        settings: config of one fit.
        study: the config's `study`.
        place: folder of the runs on this target.

    Returns:
        The name of the score, and {strategy: its values by seed} on the target's test split.
    """
    metric, measured = '', {}
    for strategy in study['strategies']:
        cell = transfer_settings(known, target, row, settings, study, strategy)
        start = row['source']
        if not cell['init']['path']:  # from scratch: one run for all donors of a network
            text = json.dumps([cell['net'], cell['data']])
            start = hashlib.sha256(text.encode()).hexdigest()[:8]
        build.refuse_other_config(cell, place / f'{strategy}-{start}')
        run = build.build(cell, f'{row["target"]}, {row["source"]}, {strategy}')
        test = fit(run, place / f'{strategy}-{start}').scores['test']
        metric = next(iter(test))
        measured[strategy] = test[metric]
    return metric, measured
