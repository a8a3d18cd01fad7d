"""What to transfer, when and how: advice on each target and source of a config.

Every piece of advice stands beside the facts that it rests on. The expected gain of a strategy
comes from a pool of measured transfers (`tljax.when.advice`), which a verified ranking writes;
without a pool there is the customary advice by size and similarity alone.
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
from tljax.studies.tables import Table, section
from tljax.when.advice import advised, judge, predict, quadrant, setting
from tljax.when.distances import domain_distances

ROWS = 500  # examples of a domain that distances look at
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
    """The measured transfers of a verified ranking.

    Args:
        path: of its results.json.

    Raises:
        UserError: for a file that is missing or holds no measured transfers.

    >>> read_pool('nowhere.json')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere.json does not exist: name results.json of a verified ranking
    """
    if not Path(path).is_file():
        raise UserError(f'{path} does not exist: name results.json of a verified ranking')
    try:
        rows = json.loads(Path(path).read_text())['rows']
    except (ValueError, KeyError, TypeError):
        raise UserError(f'{path} is no results.json of experiments.rank') from None
    if not rows or 'measured' not in rows[0]:
        raise UserError(f'{path} holds no measured transfers: run experiments.rank with --verify')
    return rows


def advise(config: Config, workdir: Path, pool: Sequence[Record] = ()) -> Record:
    """Advises on every pair of a config, and writes advice.json, advice.html and a config for each.

    Args:
        config: plain dict, as `configs/rank.py` describes it; a number of labels per class of 0
            stands for a target without labels.
        workdir: folder of all that.
        pool: as `read_pool` gives it.

    Returns:
        {'advice': [what stands in advice.json], 'tables': their tables}.

    Raises:
        UserError: for a config without a ranking, and a file of features among the sources.

    >>> advise({'phases': {}, 'study': {'targets': {}, 'most': None}}, Path('runs'))
    Traceback (most recent call last):
    tljax.core.UserError: study.sources is missing, which advice needs: see configs/rank.py
    """
    (_, settings), study = phases(config)[-1], config['study']
    if missing := {'targets', 'sources', 'most'} - set(study):
        raise UserError(f'study.{min(missing)} is missing, which advice needs: see configs/rank.py')
    donors = {
        name: donor(name, spec, settings, workdir / 'sources')
        for name, spec in study['sources'].items()
    }
    networks = {name: known for name, known in donors.items() if not isinstance(known, Path)}
    files = [name for name in donors if name not in networks]
    if files:
        raise UserError(f'study.sources.{files[0]} is a file of features: advice needs the network')
    found, tables = [], []
    for k in study['budgets']:
        for target, data in study['targets'].items():
            for name, known in networks.items():
                if trained_on(known, data):
                    continue
                row = dict(target=target, source=name, labels_per_class=k)
                rows, advice = _advise_on(known, data, row, settings, study, pool, workdir)
                labels = 'all labels' if k is None else f'{k} labels per class'
                tables.append(Table(COLUMNS, rows, f'{target} from {name}, {labels}'))
                found.append({**row, **advice})
    write(workdir / 'advice.json', json.dumps(found, indent=1) + '\n')
    page(
        workdir / 'advice.html',
        'What, when and how to transfer',
        [section(table.title, table) for table in tables],
    )
    return dict(advice=found, tables=tables)


def _advise_on(
    known: Donor,
    data: Config,
    row: Record,
    settings: Config,
    study: Config,
    pool: Sequence[Record],
    workdir: Path,
) -> tuple[list[list[str]], Record]:
    """Advises on one target and donor, and writes the config of the advised run.

    Args:
        known: the donor.
        data: config of the target's data.
        row: {'target', 'source', 'labels_per_class'}.
        settings: config of one fit.
        study: the config's `study`.
        pool: as `read_pool` gives it; may be empty.
        workdir: folder of the configs.

    Returns:
        Rows of the table, and what stands in advice.json.
    """
    dataset = build.load(target_for(known, data, study['most']))['train']
    labels, per_class, shared = _counts(known, dataset, row['labels_per_class'])
    rows = [
        [
            'which setting',
            setting(labels, dataset.classes, known.classes),
            f'{labels} labels; {shared} of {len(dataset.classes)} classes are among the '
            f'{len(known.classes)} of the source',
        ],
        *_inputs(known, data),
    ]
    distances = _distances(known, dataset)
    if distances:
        rows.append(
            [
                'how far the domains',
                f'proxy A-distance {distances["proxy_a_distance"]:.2f} of 2',
                ', '.join(f'{name} {value:.3g}' for name, value in distances.items()),
            ]
        )
    if not labels:
        strategy, how = _without_labels(shared == len(dataset.classes))
        rows.append(['how', how, 'no label to fit or to judge by'])
        return rows, dict(strategy=strategy, distances=distances)
    scores, without = scores_of_donor(known, data, row, settings['seeds'], study['most'], PROBES)
    facts = dict(probe=scores['probe'], inputs=without['inputs'], untrained=without['untrained'])
    facts = {name: float(np.mean(values)) for name, values in facts.items()}
    size, similarity, customary = quadrant(per_class, facts['probe'] - facts['inputs'])
    rows.append(
        [
            'size and similarity',
            f'{size}, {similarity}: customary is {customary}',
            f'{per_class} labels per class; a probe of the features is right {facts["probe"]:.1%}, '
            f'one of the inputs {facts["inputs"]:.1%}, one of the features of the same network '
            f'untrained {facts["untrained"]:.1%}',
        ]
    )
    measured = {**row, 'labels_per_class': per_class, 'scores': scores, 'without': without}
    expected = _expected(pool, measured, study)
    rows += _when(expected, study['baseline'], len(pool))
    choice = _choice(expected, customary, study)
    path = _write_config(known, data, row, settings, study, choice, workdir)
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
        **facts,
        distances=distances,
        expected={strategy: gain._asdict() for strategy, gain in expected.items()},
    )


def judge_pool(pool: Sequence[Record], baseline: str) -> Record:
    """How good the advice would have been on a pool, each row's source and target held out.

    Args:
        pool: as `read_pool` gives it.
        baseline: the strategy that gains are over.

    Returns:
        As `tljax.when.advice.judge`, and 'transfers', their number.

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


def judgement_table(found: Record) -> Table:
    """What `judge_pool` found, as a table.

    Args:
        found: as `judge_pool` gives it.

    >>> found = dict(
    ...     always={'frozen': 0.5},
    ...     right=0.75,
    ...     transfers=4,
    ...     negative=1,
    ...     of=8,
    ...     recall=0.0,
    ...     precision=None,
    ...     precision_at_recall_60=None,
    ... )
    >>> judgement_table(found).rows[0][1]
    '75.0% of 4'
    """
    always = ', '.join(f'{strategy} {share:.1%}' for strategy, share in found['always'].items())
    rows = [
        [
            'as good as the best strategy (within a point, or no worse by a paired t test)',
            f'{found["right"]:.1%} of {found["transfers"]}',
        ],
        ['the same, had one strategy always been advised', always],
        ['negative transfers (below -1 point)', f'{found["negative"]} of {found["of"]}'],
    ]
    for text, key in (
        ('precision of predicting them', 'precision'),
        ('recall', 'recall'),
        ('best precision at a recall of .6 or more', 'precision_at_recall_60'),
    ):
        rows.append([text, 'undefined' if found[key] is None else f'{found[key]:.2f}'])
    return Table(
        ['of the advice', 'value'], rows, 'Advice on the pool, each source and target held out'
    )


def _counts(known: Donor, dataset: Dataset, k: int | None) -> tuple[int, int, int]:
    """Labels of the target, labels per class, and classes that the donor knows, too."""
    counts = np.bincount(dataset.label, minlength=len(dataset.classes))
    shared = {name.lower() for name in dataset.classes} & {name.lower() for name in known.classes}
    if k is None:
        return int(counts.sum()), int(counts.min()), len(shared)
    return k * len(dataset.classes), k, len(shared)


def _inputs(known: Donor, data: Config) -> list[list[str]]:
    original = build.load(data)['train'].take(np.arange(1))['input'].shape[1:]
    same = tuple(original) == tuple(known.shape)
    return [
        [
            'which inputs',
            'homogeneous' if same else 'homogeneous once resampled',
            f'the source takes {known.shape}, the target has {tuple(original)}',
        ]
    ]


def _distances(known: Donor, dataset: Dataset) -> Record:
    """Distances of the donor's own data from the target, as the donor sees both; {} where its data
    are not known."""
    if known.data is None:
        return {}
    own = build.load(known.data)['train']
    some = [
        restrict(each, np.random.default_rng(0).permutation(each.size)[:ROWS])
        for each in (own, dataset)
    ]
    xs, xt = (donor_outputs(known, each, 'the source')[0] for each in some)
    return domain_distances(xs, xt)


def _without_labels(same_task: bool) -> tuple[str, str]:
    """The strategy for a target without labels, and how to go about it."""
    if same_task:
        return 'configs/adapt.py', 'adapt: experiments.compare --config=configs/adapt.py shows how'
    return 'none', "find labels: nothing ties the source's task to the target's"


def _expected(pool: Sequence[Record], measured: Record, study: Config) -> Record:
    """{strategy: the gain that a pool lets one expect}; {} without a pool."""
    strategies = [name for name in study['strategies'] if name != study['baseline']]
    return {
        strategy: predict(pool, measured, strategy, study['baseline'])
        for strategy in strategies
        if pool
    }


def _when(expected: Record, baseline: str, transfers: int) -> list[list[str]]:
    rows = []
    for strategy, gain in expected.items():
        verdict = 'it hurts' if gain.high < 0 else 'it helps' if gain.low > 0 else 'open'
        interval = (
            f'{100 * gain.mean:+.1f} points over {baseline} [{100 * gain.low:+.1f}, '
            f'{100 * gain.high:+.1f}]'
        )
        rows.append(
            [
                f'when: {strategy}',
                f'{interval}: {verdict}',
                f'{transfers} measured transfers, predicted by the probes and the number of labels',
            ]
        )
    if not expected:
        rows.append(['when', 'unknown', 'no pool of measured transfers: give --pool'])
    return rows


def _choice(expected: Record, customary: str, study: Config) -> str:
    if expected:
        return advised(expected, study['baseline'])
    if customary in study['strategies']:
        return customary
    return [name for name in study['strategies'] if name != study['baseline']][-1]


def _write_config(
    known: Donor,
    data: Config,
    row: Record,
    settings: Config,
    study: Config,
    choice: str,
    workdir: Path,
) -> Path:
    k = row['labels_per_class']
    path = workdir / f'{row["target"]}-{row["source"]}-{"all" if k is None else k}.py'
    run = json.dumps(transfer_settings(known, data, row, settings, study, choice), indent=1)
    write(path, SCRIPT.format(target=row['target'], source=row['source'], path=path, settings=run))
    return path
