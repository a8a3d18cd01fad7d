"""Advises what to transfer, when and how, for each target and source of a config.

Each piece of advice is reported with its evidence. The expected gain of a strategy is predicted
from a pool of measured transfers (`tljax.when.advice`), which a verified ranking writes. Without a
pool the advice follows the customary rule: by the target's size and its similarity to the source.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tljax import build
from tljax.configuration import phases
from tljax.core import Dataset, UserError
from tljax.data.splits import restrict
from tljax.files.text import write
from tljax.protocols import Config, Record
from tljax.report.page import page
from tljax.studies.donor_scores import PROBES, donor_outputs, scores_of_donor
from tljax.studies.donors import Donor, donor, target_for, trained_on, transfer_settings
from tljax.studies.tables import Table, budget, section
from tljax.when.advice import Prediction, advised, judge, predict, quadrant, setting
from tljax.when.distances import domain_distances

ROWS = 500  # examples of a domain from which distances are computed
COLUMNS = ['question', 'answer', 'what was measured']
SCRIPT = '''"""{target} from {source}: python -m experiments.train --config={path}"""
import json

from configs import base

SETTINGS = json.loads(r"""{settings}""")


def get_config(arg=None):
    config = base.get_config()
    with config.unlocked():
        config.commands = ('train',)
        config.update(SETTINGS)
    return config
'''


def read_pool(path: str | Path) -> list[Record]:
    """Reads the measured transfers of a verified ranking.

    Args:
        path: results.json of the ranking.

    Raises:
        UserError: the file does not exist or holds no measured transfers.

    >>> read_pool('nowhere.json')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere.json does not exist: name results.json of a verified ranking
    """
    if not Path(path).is_file():
        raise UserError(f'{path} does not exist: name results.json of a verified ranking')
    try:
        rows = json.loads(Path(path).read_text())['rows']
    except (ValueError, KeyError, TypeError):
        raise UserError(f'{path} is not a results.json of experiments.rank') from None
    if not rows or 'measured' not in rows[0]:
        raise UserError(f'{path} holds no measured transfers: run experiments.rank with --verify')
    return rows


def advise(config: Config, workdir: Path, pool: Sequence[Record] = ()) -> Record:
    """Advises on every source and target of a config.

    Writes advice.json, advice.html and, for each advised training, a config that runs it.

    Args:
        config: plain dict, as `configs/rank.py` describes it; 0 labels per class stands for a
            target without labels.
        workdir: folder of these files.
        pool: measured transfers, as `read_pool` returns them; may be empty.

    Returns:
        {'advice': [a dict for each pair, as in advice.json], 'tables': [a table for each pair]}.

    Raises:
        UserError: the config describes no ranking, or a source is a file of features.

    >>> advise({'phases': {}, 'study': {'targets': {}, 'most': None}}, Path('runs'))
    Traceback (most recent call last):
    tljax.core.UserError: study.sources is missing, which advice needs: see configs/rank.py
    """
    _, settings = phases(config)[-1]
    study = config['study']
    if missing_keys := {'targets', 'sources', 'most'} - set(study):
        raise UserError(
            f'study.{min(missing_keys)} is missing, which advice needs: see configs/rank.py'
        )
    donors = {
        name: donor(name, spec, settings, workdir / 'sources')
        for name, spec in study['sources'].items()
    }
    networks = {name: source for name, source in donors.items() if not isinstance(source, Path)}
    files = [name for name in donors if name not in networks]
    if files:
        raise UserError(f'study.sources.{files[0]} is a file of features: advice needs the network')
    records, tables = [], []
    for k in study['budgets']:
        for target, data in study['targets'].items():
            for name, source in networks.items():
                if trained_on(source, data):
                    continue
                row = dict(target=target, source=name, labels_per_class=k)
                rows, advice = _advise_on(source, data, row, settings, study, pool, workdir)
                labels = 'all labels' if k is None else f'{k} labels per class'
                tables.append(Table(COLUMNS, rows, f'{target} from {name}, {labels}'))
                records.append({**row, **advice})
    write(workdir / 'advice.json', json.dumps(records, indent=1) + '\n')
    page(
        workdir / 'advice.html',
        'What, when and how to transfer',
        [section(table.title, table) for table in tables],
    )
    return dict(advice=records, tables=tables)


def _advise_on(
    source: Donor,
    data: Config,
    row: Record,
    settings: Config,
    study: Config,
    pool: Sequence[Record],
    workdir: Path,
) -> tuple[list[list[str]], Record]:
    """Advises on one target and donor, and writes the config of the advised training.

    Args:
        source: the donor.
        data: config of the target's data.
        row: {'target', 'source', 'labels_per_class'}.
        settings: config of one fit.
        study: the config's `study`.
        pool: measured transfers, as `read_pool` returns them; may be empty.
        workdir: folder of the configs.

    Returns:
        The rows of the table, and the dict for advice.json.
    """
    dataset = build.load(target_for(source, data, study['most']))['train']
    labels, per_class, shared = _counts(source, dataset, row['labels_per_class'])
    distances = _distances(source, dataset)
    rows = [
        [
            'which setting',
            setting(labels, dataset.classes, source.classes),
            f'{labels} labels; {shared} of {len(dataset.classes)} classes are among the '
            f'{len(source.classes)} of the source',
        ],
        _input_row(source, data),
    ]
    if distances:
        rows.append(_distance_row(distances))
    if not labels:
        strategy, how = _without_labels(shared == len(dataset.classes))
        rows.append(['how', how, 'no label to fit or to judge by'])
        return rows, dict(strategy=strategy, distances=distances)
    scores, without = scores_of_donor(source, data, row, settings['seeds'], study['most'], PROBES)
    probes = {
        'probe': float(np.mean(scores['probe'])),
        'inputs': float(np.mean(without['inputs'])),
        'untrained': float(np.mean(without['untrained'])),
    }
    size, similarity, customary = quadrant(per_class, probes['probe'] - probes['inputs'])
    quadrant_text = f'{size}, {similarity}: customary is {customary}'
    rows.append(['size and similarity', quadrant_text, _probe_text(per_class, probes)])
    transfer = {**row, 'labels_per_class': per_class, 'scores': scores, 'without': without}
    expected = _expected_gains(pool, transfer, study)
    rows += _gain_rows(expected, study['baseline'], len(pool))
    choice = _choice(expected, customary, study)
    path = _write_config(source, data, row, settings, study, choice, workdir)
    rows.append(
        [
            'how',
            f'{choice}: python -m experiments.train --config={path}',
            'the largest expected gain' if pool else 'custom, by size and similarity',
        ]
    )
    return rows, dict(
        strategy=choice,
        customary=customary,
        **probes,
        distances=distances,
        expected={strategy: gain._asdict() for strategy, gain in expected.items()},
    )


def judge_pool(pool: Sequence[Record], baseline: str) -> Record:
    """Measures how good the advice is on a pool, with each row's source and target held out.

    Args:
        pool: measured transfers, as `read_pool` returns them.
        baseline: the strategy over which gains are measured.

    Returns:
        The dict of `tljax.when.advice.judge`, with 'transfers': number of rows of the pool.

    >>> without = dict(inputs=[0.5], untrained=[0.5])
    >>> pool = [
    ...     dict(
    ...         source=s,
    ...         target=t,
    ...         labels_per_class=4,
    ...         without=without,
    ...         scores=dict(probe=[s / 9], nearest=[0.5]),
    ...         measured=dict(scratch=[0.5, 0.5], frozen=[0.5 + s / 9, 0.5 + s / 9]),
    ...     )
    ...     for s in range(6)
    ...     for t in range(3)
    ... ]
    >>> judge_pool(pool, 'scratch')['transfers']
    18
    """
    return judge(pool, baseline) | {'transfers': len(pool)}


def judgement_table(judgement: Record) -> Table:
    """Returns the judgement of `judge_pool` as a table.

    Args:
        judgement: as `judge_pool` returns it.

    >>> judgement = dict(
    ...     always={'frozen': 0.5},
    ...     right=0.75,
    ...     transfers=4,
    ...     negative=1,
    ...     of=8,
    ...     recall=0.0,
    ...     precision=None,
    ...     precision_at_recall_60=None,
    ... )
    >>> judgement_table(judgement).rows[0][1]
    '75.0% of 4'
    """
    always = ', '.join(f'{strategy} {share:.1%}' for strategy, share in judgement['always'].items())
    rows = [
        [
            'as good as the best strategy (within a point, or no worse by a paired t test)',
            f'{judgement["right"]:.1%} of {judgement["transfers"]}',
        ],
        ['the same, had one strategy always been advised', always],
        ['negative transfers (below -1 point)', f'{judgement["negative"]} of {judgement["of"]}'],
    ]
    for text, key in (
        ('precision of predicting them', 'precision'),
        ('recall', 'recall'),
        ('best precision at a recall of .6 or more', 'precision_at_recall_60'),
    ):
        rows.append([text, 'undefined' if judgement[key] is None else f'{judgement[key]:.2f}'])
    return Table(
        ['of the advice', 'value'], rows, 'Advice on the pool, each source and target held out'
    )


def _counts(source: Donor, dataset: Dataset, k: int | None) -> tuple[int, int, int]:
    """Returns the target's labels, its labels per class, and its classes that the donor has too."""
    counts = np.bincount(dataset.label, minlength=len(dataset.classes))
    shared = {name.lower() for name in dataset.classes} & {name.lower() for name in source.classes}
    if k is None:
        return int(counts.sum()), int(counts.min()), len(shared)
    return k * len(dataset.classes), k, len(shared)


def _input_row(source: Donor, data: Config) -> list[str]:
    shape = build.load(data)['train'].take(np.arange(1))['input'].shape[1:]
    same = tuple(shape) == tuple(source.shape)
    return [
        'which inputs',
        'homogeneous' if same else 'homogeneous once resampled',
        f'the source takes {source.shape}, the target has {tuple(shape)}',
    ]


def _distances(source: Donor, dataset: Dataset) -> dict[str, float]:
    """Returns the distances between the donor's own data and the target, in the donor's features.

    Args:
        source: the donor; if its data are not known, the result is {}.
        dataset: training examples of the target.
    """
    if source.data is None:
        return {}
    xs = _features_of_some(source, build.load(source.data)['train'])
    return domain_distances(xs, _features_of_some(source, dataset))


def _features_of_some(source: Donor, dataset: Dataset) -> np.ndarray:
    """Returns a donor's features of ROWS examples of a data set, drawn at random."""
    rows = np.random.default_rng(0).permutation(dataset.size)[:ROWS]
    return donor_outputs(source, restrict(dataset, rows), 'the source')[0]


def _distance_row(distances: dict[str, float]) -> list[str]:
    return [
        'how far the domains',
        f'proxy A-distance {distances["proxy_a_distance"]:.2f} of 2',
        ', '.join(f'{name} {value:.3g}' for name, value in distances.items()),
    ]


def _probe_text(per_class: int, probes: dict[str, float]) -> str:
    return (
        f'{per_class} labels per class; a probe of the features is right {probes["probe"]:.1%}, '
        f'one of the inputs {probes["inputs"]:.1%}, one of the features of the same network '
        f'untrained {probes["untrained"]:.1%}'
    )


def _without_labels(same_task: bool) -> tuple[str, str]:
    """Returns the strategy for a target without labels, and the next step in words."""
    if same_task:
        return 'configs/adapt.py', 'adapt: experiments.compare --config=configs/adapt.py shows how'
    return 'none', "find labels: nothing ties the source's task to the target's"


def _expected_gains(
    pool: Sequence[Record], transfer: Record, study: Config
) -> dict[str, Prediction]:
    """Predicts the gain of each strategy over the baseline from a pool; {} without a pool.

    Args:
        pool: measured transfers; may be empty.
        transfer: the transfer to predict, a row of a ranking.
        study: {'strategies', 'baseline'}.
    """
    if not pool:
        return {}
    return {
        strategy: predict(pool, transfer, strategy, study['baseline'])
        for strategy in study['strategies']
        if strategy != study['baseline']
    }


def _gain_rows(expected: dict[str, Prediction], baseline: str, transfers: int) -> list[list[str]]:
    """Returns a row of the table for the expected gain of each strategy."""
    if not expected:
        return [['when', 'unknown', 'no pool of measured transfers: give --pool']]
    rows = []
    for strategy, gain in expected.items():
        if gain.high < 0:
            verdict = 'it hurts'
        elif gain.low > 0:
            verdict = 'it helps'
        else:
            verdict = 'open'
        interval = (
            f'{100 * gain.mean:+.1f} points over {baseline} [{100 * gain.low:+.1f}, '
            f'{100 * gain.high:+.1f}]'
        )
        evidence = (
            f'{transfers} measured transfers, predicted by the probes and the number of labels'
        )
        rows.append([f'when: {strategy}', f'{interval}: {verdict}', evidence])
    return rows


def _choice(expected: dict[str, Prediction], customary: str, study: Config) -> str:
    """Returns the advised strategy: by expected gain, or else by custom, or else the last one."""
    if expected:
        return advised(expected, study['baseline'])
    if customary in study['strategies']:
        return customary
    return [name for name in study['strategies'] if name != study['baseline']][-1]


def _write_config(
    source: Donor,
    data: Config,
    row: Record,
    settings: Config,
    study: Config,
    choice: str,
    workdir: Path,
) -> Path:
    """Writes a config of `experiments.train` that trains by the advised strategy.

    Args:
        source: the donor.
        data: config of the target's data.
        row: {'target', 'source', 'labels_per_class'}.
        settings: config of one fit.
        study: the config's `study`.
        choice: the advised strategy.
        workdir: folder of the config.

    Returns:
        Path of the config.
    """
    target, name, k = row['target'], row['source'], row['labels_per_class']
    path = workdir / f'{target}-{name}-{budget(k)}.py'
    text = json.dumps(transfer_settings(source, data, row, settings, study, choice), indent=1)
    write(path, SCRIPT.format(target=target, source=name, path=path, settings=text))
    return path
