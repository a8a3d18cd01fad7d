"""Which layers to fine-tune: advice before training, judged by training from every cut.

A pair is a source network, trained with an augmentation or without one, and a target. For each
pair `invariance.measure` gives the advice. Then the target is trained from every cut of
`study.cuts`, the layers below it frozen, and the advised cut is compared with the best one.
"""

import json
from pathlib import Path

import numpy as np

from tljax import build
from tljax.configuration import TRANSFORMATIONS, ZOO, call_each, call_named, merge, phases
from tljax.core import UserError, abbreviated
from tljax.engine.train import fit
from tljax.files.console import progress
from tljax.files.text import write
from tljax.protocols import Config, Record
from tljax.report.page import page
from tljax.studies.cuts_report import sections
from tljax.studies.donors import Donor, donor, fingerprint, target_for
from tljax.studies.invariance import CELLS, Families, advice, measure
from tljax.studies.stored import stored
from tljax.when.gain import mean_interval, transfer_gain

NO_AUGMENTATION = 'none'  # name of the source that is trained without an augmentation
CLOSE = 0.01  # an advised cut is good if its accuracy is within this of the best cut's
KEYS = {'families', 'targets', 'labels', 'source', 'cuts', 'most', 'controls'}


def judge_cuts(config: Config, workdir: Path) -> Record:
    """Advises a cut for every pair, trains every cut, and writes results.json and report.html.

    Args:
        config: plain dict, as `configs/cuts.py` describes it.
        workdir: folder of the study; a restart continues an interrupted one.

    Returns:
        {'rows': [{'augmentation', 'target', 'source', 'advice', 'measured', 'validation' and 'test'
        ({cut: score by seed})}], 'judgement' (of `judgement`), 'config'}. 'source' is the
        augmentation of the source's training, or 'none' for a control.

    Raises:
        UserError: the config describes no such study.

    >>> judge_cuts({'phases': {}, 'study': {}}, Path('runs'))
    Traceback (most recent call last):
    tljax.core.UserError: study.controls is missing, which a study of cuts needs: see ...
    """
    _, settings = phases(config)[-1]
    study = config['study']
    if missing_keys := KEYS - set(study):
        raise UserError(
            f'study.{min(missing_keys)} is missing, which a study of cuts needs: see '
            'configs/cuts.py'
        )
    if not study['families'] or not study['targets'] or len(study['cuts']) < 2:
        raise UserError('a study of cuts needs families, targets and two cuts or more in `study`')
    if set(study['labels']) != set(study['targets']):
        raise UserError(
            f'study.labels has {abbreviated(study["labels"])}: give labels per class for each of '
            f'{abbreviated(study["targets"])}'
        )
    sources = {
        name: _source(name, by, settings, study, workdir / 'sources')
        for name, by in {
            **study['families'],
            **({NO_AUGMENTATION: []} if study['controls'] else {}),
        }.items()
    }
    pairs = [
        (source, family, target)
        for family in study['families']
        for source in (family, NO_AUGMENTATION)
        if source in sources
        for target in study['targets']
    ]
    rows = [
        _row(sources[source], source, family, target, settings, study, workdir)
        for source, family, target in progress(pairs, 'pairs')
    ]
    results = dict(rows=rows, judgement=judgement(rows), config=config)
    write(workdir / 'results.json', json.dumps(results, indent=1) + '\n')
    page(workdir / 'report.html', 'Which layers to fine-tune', sections(results))
    return results


def _source(name: str, by: list, settings: Config, study: Config, folder: Path) -> Donor:
    """Trains or loads the source network of an augmentation."""
    augment = [*study['source'].get('augment', [])]
    if by:
        augment.append(dict(name='one_of', by=by))
    trained = donor(name, {**study['source'], 'augment': augment}, settings, folder)
    assert isinstance(trained, Donor)  # no file of features
    return trained


def _row(
    source: Donor,
    name: str,
    family: str,
    target: str,
    settings: Config,
    study: Config,
    workdir: Path,
) -> Record:
    """Returns the advice and the measured scores of a pair.

    Args:
        source: the source network.
        name: name of the source: an augmentation, or 'none'.
        family: augmentation that the target is about.
        target: name of the target.
        settings: config of one fit.
        study: the config's `study`.
        workdir: folder of the study.
    """
    by, data = study['families'][family], study['targets'][target]
    if data['name'] == 'transformed':
        data = {**data, 'by': by}
    data = target_for(source, data, study['most'])
    families: Families = {family: call_each(TRANSFORMATIONS, by, f'study.families.{family}')}
    folder = f'{name}-{family}-{target}'
    settings = merge(settings, {'per_class': study['labels'][target]})
    key = [fingerprint(source), data, by, settings['per_class'], settings['seeds'], CELLS]
    measured = stored(
        workdir / 'measured',
        folder,
        key,
        lambda: _measured(source, data, families, settings),
    )
    row: Record = dict(
        augmentation=family,
        target=target,
        source=name,
        measured=measured,
        advice=advice(measured),  # from the stored measurements, so that the rule can be changed
        validation={},
        test={},
    )
    for until in study['cuts']:
        start = {'data': data, 'net': source.net, 'init': {'path': source.place}}
        cell = merge(settings, start)
        if until:
            cell = merge(cell, {'partition': {'name': 'freeze', 'until': until}})
        cell_folder = workdir / 'cells' / folder / (until or 'nothing')
        build.refuse_other_config(cell, cell_folder)
        run = build.build(cell, f'{name}, {target} of {family}, frozen: {until or "nothing"}')
        scores = fit(run, cell_folder).scores
        for split in ('validation', 'test'):
            row[split][until] = next(iter(scores[split].values()))
    return row


def _measured(source: Donor, data: Config, families: Families, settings: Config) -> Record:
    splits = build.load(data)
    return measure(
        call_named(ZOO, source.net, 'net'),
        source.params,
        source.state,
        splits,
        families,
        settings['per_class'],
        settings['seeds'],
    )


def advised_until(row: Record) -> str:
    """Returns the trained cut that is nearest to the advice and freezes no more layers.

    Args:
        row: as `judge_cuts` returns it.

    >>> measured = {'layers': ['block1', 'block2', 'block3']}
    >>> row = {'advice': {'frozen': 2}, 'measured': measured, 'test': {'': [], 'block1': []}}
    >>> advised_until(row)
    'block1'
    """
    layers = row['measured']['layers']
    depth = {'': 0, **{layer: i for i, layer in enumerate(layers, 1)}, 'backbone': len(layers)}
    allowed = [until for until in row['test'] if depth[until] <= row['advice']['frozen']]
    return max(allowed, key=lambda until: depth[until])


def judgement(rows: list[Record]) -> Record:
    """Compares the advised cut of every pair with the best cut, and with one cut for all pairs.

    The best cut of a pair has the highest mean test score, and so has the best single cut over all
    pairs: both are known only after training all cuts and looking at the test. The cut chosen by
    validation needs all trainings, too, but no test.

    Args:
        rows: as `judge_cuts` returns them, of pairs or of controls.

    Returns:
        {'pairs': [{'augmentation', 'target', 'source', 'advised', 'best', 'by_validation',
        'regret': {'mean', 'half'} of best minus advised, paired by seed}], 'close': number of pairs
        whose regret is at most CLOSE, 'single': the best single cut, 'single_close': the number of
        pairs for it, 'means': mean test score of 'advised', 'single', 'validation' and 'best',
        'gain': {'mean', 'low', 'high'} of advised over single, paired by pair}, for the augmented
        sources; 'controls' holds the same of the sources without augmentation, or None.

    >>> measured = {'layers': ['block1']}
    >>> scores = (
    ...     {'': [0.9, 0.9], 'backbone': [0.5, 0.5]},
    ...     {'': [0.6, 0.6], 'backbone': [0.8, 0.8]},
    ... )
    >>> rows = [
    ...     dict(
    ...         augmentation='flip',
    ...         target=str(i),
    ...         source='flip',
    ...         measured=measured,
    ...         advice=dict(frozen=i),
    ...         validation=score,
    ...         test=score,
    ...     )
    ...     for i, score in enumerate(scores)
    ... ]
    >>> found = judgement(rows)
    >>> found['close'], found['single'], round(found['gain']['mean'], 2)
    (2, '', 0.1)
    """
    augmented = [row for row in rows if row['source'] != NO_AUGMENTATION]
    controls = [row for row in rows if row['source'] == NO_AUGMENTATION]
    return {**_judged(augmented), 'controls': _judged(controls) if controls else None}


def _judged(rows: list[Record]) -> Record:
    cuts = list(rows[0]['test'])
    means = {
        split: np.array([[np.mean(row[split][cut]) for cut in cuts] for row in rows])
        for split in ('validation', 'test')
    }
    test, each = means['test'], np.arange(len(rows))
    advised = np.array([cuts.index(advised_until(row)) for row in rows])
    best, by_validation = test.argmax(1), means['validation'].argmax(1)
    single = int(test.mean(0).argmax())
    regret = test[each, best] - test[each, advised]
    pairs = []
    for i, row in enumerate(rows):
        difference = np.subtract(row['test'][cuts[best[i]]], row['test'][cuts[advised[i]]])
        mean, half = mean_interval(difference)
        pairs.append(
            {
                **{key: row[key] for key in ('augmentation', 'target', 'source')},
                'advised': cuts[advised[i]],
                'best': cuts[best[i]],
                'by_validation': cuts[by_validation[i]],
                'regret': dict(mean=mean, half=half),
            }
        )
    gain = None
    if len(rows) > 1:
        gain = transfer_gain(test[each, advised], test[:, single])
        gain = dict(mean=gain.mean, low=gain.low, high=gain.high)
    return dict(
        pairs=pairs,
        close=int((regret <= CLOSE + 1e-9).sum()),
        single=cuts[single],
        single_close=int((test.max(1) - test[:, single] <= CLOSE + 1e-9).sum()),
        means=dict(
            advised=float(test[each, advised].mean()),
            single=float(test[:, single].mean()),
            validation=float(test[each, by_validation].mean()),
            best=float(test.max(1).mean()),
        ),
        gain=gain,
    )
