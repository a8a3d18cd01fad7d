"""Tables and page of a study of cuts."""

import json

import numpy as np

from tljax.protocols import Record
from tljax.report.drawing import svg
from tljax.report.figures import matrix
from tljax.studies.tables import Table, section
from tljax.when.gain import share_interval

READING = (
    'Test score, percent: mean ± half the width of the 95 % interval over seeds. The columns say '
    'which layers were frozen, from the input up to the named one. [ ] is the advised cut, * the '
    'best one. Regret: best minus advised, points, paired by seed.'
)


def tables(results: Record) -> list[Table]:
    """Returns the tables that are printed: pairs, what led to the advice, and the judgement.

    Args:
        results: as `cuts.judge_cuts` returns them.
    """
    parts = [_pair_table(results, False), _evidence_table(results), _judgement_table(results)]
    if results['judgement']['controls']:
        parts.insert(1, _pair_table(results, True))
    return parts


def verdict(results: Record) -> str:
    """Returns the judgement in words.

    Args:
        results: as `cuts.judge_cuts` returns them.

    >>> means = dict(advised=0.8, single=0.7, validation=0.8, best=0.81)
    >>> judged = dict(
    ...     pairs=[{}] * 12,
    ...     close=9,
    ...     single='block1',
    ...     single_close=3,
    ...     means=means,
    ...     gain=dict(mean=0.1, low=0.02, high=0.18),
    ... )
    >>> verdict(dict(judgement=judged))
    'The advised cut is within one point of the best cut on 9 of 12 pairs; the best single cut ...'
    """
    judged = results['judgement']
    means = {name: f'{100 * value:.1f} %' for name, value in judged['means'].items()}
    text = (
        f'The advised cut is within one point of the best cut on {judged["close"]} of '
        f'{len(judged["pairs"])} pairs; the best single cut for all pairs '
        f'({_frozen(judged["single"])}) on {judged["single_close"]}. Mean test score: advised '
        f'{means["advised"]}, single {means["single"]}, chosen by validation '
        f'{means["validation"]}, best {means["best"]}.'
    )
    if judged['gain']:
        gain = {name: f'{100 * value:+.1f}' for name, value in judged['gain'].items()}
        text += (
            f' Gain of the advice over the single cut: {gain["mean"]} points [{gain["low"]}, '
            f'{gain["high"]}], paired over pairs.'
        )
    return text


def sections(results: Record) -> list[Record]:
    """Returns the sections of the page.

    Args:
        results: as `cuts.judge_cuts` returns them.
    """
    rows = [row for row in results['rows'] if row['source'] == row['augmentation']]
    cuts = list(rows[0]['test'])
    values = np.array([[np.mean(row['test'][cut]) for row in rows] for cut in cuts])
    names = [f'{row["augmentation"]}, {row["target"]}' for row in rows]
    pair_table, *others = tables(results)
    return [
        section('Was the advice right?', text=verdict(results)),
        section(
            'Test score by the frozen layers',
            pair_table,
            text=READING,
            svg=svg(matrix(values, [_frozen(cut) for cut in cuts], names)),
        ),
        *(section(table.title.partition(':')[0], table, text=table.title) for table in others),
        section('How it was run', code=json.dumps(results['config'], indent=1)),
    ]


def _frozen(until: str) -> str:
    if until == 'backbone':
        return 'all frozen'
    return f'frozen to {until}' if until else 'nothing frozen'


def _pair_table(results: Record, controls: bool) -> Table:
    judged = results['judgement']['controls'] if controls else results['judgement']
    pairs = {(pair['augmentation'], pair['target']): pair for pair in judged['pairs']}
    rows, cuts = [], list(results['rows'][0]['test'])
    for row in results['rows']:
        if (row['source'] != row['augmentation']) != controls:
            continue
        pair = pairs[row['augmentation'], row['target']]
        cells = []
        for cut in cuts:
            mean, half = share_interval(row['test'][cut])
            cell = f'{100 * mean:.1f}' + (f' ± {100 * half:.1f}' if half is not None else '')
            cell = f'{cell} *' if cut == pair['best'] else cell
            cells.append(f'[{cell}]' if cut == pair['advised'] else cell)
        regret = f'{100 * pair["regret"]["mean"]:.1f}'
        if pair['regret']['half'] is not None:
            regret += f' ± {100 * pair["regret"]["half"]:.1f}'
        rows.append([row['augmentation'], row['target'], *cells, regret])
    title = 'Sources without augmentation (controls)' if controls else 'Augmented sources'
    columns = ['augmentation', 'target', *(_frozen(cut) for cut in cuts), 'regret']
    return Table(columns, rows, f'{title}: {READING[0].lower()}{READING[1:]}')


def _evidence_table(results: Record) -> Table:
    """Invariance of each layer, the need, and the probe's accuracy on each layer."""
    layers, body = results['rows'][0]['measured']['layers'], []
    for row in results['rows']:
        measured = {entry['layer']: entry for entry in row['measured']['rows']}
        cells = [
            f'{_number(measured[layer]["invariance"])} / {100 * measured[layer]["need"]:+.1f} / '
            f'{100 * measured[layer]["plain"]:.1f}'
            for layer in layers
        ]
        names = [row['source'], row['augmentation'], row['target']]
        body.append([*names, *cells, _frozen(row['advice']['until'])])
    return Table(
        ['source', 'augmentation', 'target', *layers, 'advice'],
        body,
        'What led to the advice: invariance of each layer to the augmentation / points that a '
        'probe loses by ignoring it / accuracy of the plain probe, percent',
    )


def _judgement_table(results: Record) -> Table:
    rows = []
    for name in ('', 'controls'):
        judged = results['judgement'][name] if name else results['judgement']
        if not judged:
            continue
        n = len(judged['pairs'])
        gain = judged['gain']
        rows.append(
            [
                'without augmentation' if name else 'augmented',
                f'{judged["close"]} of {n}',
                f'{judged["single_close"]} of {n} ({_frozen(judged["single"])})',
                *(f'{100 * judged["means"][key]:.1f}' for key in judged['means']),
                gain
                and f'{100 * gain["mean"]:+.1f} [{100 * gain["low"]:+.1f}, '
                f'{100 * gain["high"]:+.1f}]',
            ]
        )
    columns = [
        'sources',
        'advised within a point',
        'best single cut within a point',
        'advised %',
        'single %',
        'by validation %',
        'best %',
        'gain over single',
    ]
    return Table(columns, rows, 'The judgement: the advised cut and the best single cut for all')


def _number(value: float | None) -> str:
    return 'dead' if value is None else f'{value:.2f}'
