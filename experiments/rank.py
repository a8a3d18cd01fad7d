"""Which source to transfer from, before anyone has paid for the training: every score's ranking, and whether it was right.

    python -m experiments.rank --config=configs/rank.py
    python -m experiments.rank --config=configs/rank.py --verify --workdir=runs/rank

Sources are runs, networks with published weights, or files of features (`study.sources`); features of the target's training examples are
extracted once for each and kept. `--verify` trains every source on the target by every strategy of `study.strategies` and reports how well
each score's ranking agrees with what was measured. A restart goes on where it was cut off.
"""
import hashlib
import json
from pathlib import Path

import numpy as np
from absl import flags

from experiments import command
from experiments.sources import PROBES, embedding, fingerprint, same_data, scored, source, top1, trained_on
from tljax import build
from tljax.configuration import near, phases
from tljax.core import Refused
from tljax.figures import matrix, rankings, svg
from tljax.log import progress, say, write
from tljax.relatedness import rank_agreement, task2vec_distance
from tljax.report import page
from tljax.studies.tables import Table
from tljax.train import fit
from tljax.transferability import SCORES

READING = ('Each score is of the labelled target examples that training would see, averaged over seeds, and can be compared within its '
           'column alone. None of them has trained anything.')
AGREEMENT = ('Weighted Kendall tau of a score with the accuracy that was measured: 1 is the same order, 0 none, -1 the opposite; '
             'agreement at the top counts most. Sources: all of them, without the controls, or those whose own data are known.')
ALL = {**SCORES, **PROBES}
VERIFY = flags.DEFINE_bool('verify', False, 'Train every source on every target and compare.')


def main(config, workdir):
    """Scores, trains if asked to, and reports."""
    (_, settings), study = phases(config)[-1], config['study']
    if missing := {'targets', 'sources', 'controls', 'most', 'probe'} - set(study):
        raise Refused(f'study.{min(missing)} is missing, which a ranking needs: see configs/rank.py')
    if not study['targets'] or len(study['sources']) < 2:
        raise Refused('a ranking needs a target and two sources or more in `study`: see configs/rank.py')
    sources = {name: source(name, spec, settings, workdir / 'sources') for name, spec in study['sources'].items()}
    cells = [(k, target, name) for k in study['budgets'] for target in study['targets'] for name in sources
             if isinstance(sources[name], Path) or not same_data(sources[name], study['targets'][target])]
    rows = []
    for k, target, name in progress(cells, 'scoring sources'):
        data = study['targets'][target]
        rows.append(dict(target=target, source=name, labels_per_class=k))
        key = [fingerprint(sources[name]), data, k, study['most'], settings['seeds'], list(ALL), 'without']
        found, rows[-1]['without'] = _kept(workdir / 'scores', f'{target}-{name}', key, lambda name=name, data=data: scored(
            sources[name], data, rows[-1], settings['seeds'], study['most'], ALL))
        once = {'task2vec': _nearness(sources, name, data, k, study, workdir / 'tasks'),
                'imagenet_top1': top1(study['sources'][name])}
        rows[-1]['scores'] = found | {score: [value] * len(settings['seeds']) for score, value in once.items() if value is not None}
    for row in progress(rows if VERIFY.value else [], 'training'):
        place = workdir / 'cells' / f'{row["target"]}-{row["labels_per_class"] or "all"}'
        row['accuracy'] = measured(sources[row['source']], study['targets'][row['target']], row, settings, study, place)
    results = dict(rows=rows, agreement=agreement(rows, study), config=config)
    write(workdir / 'results.json', json.dumps(results, indent=1) + '\n')
    command.tell(results, show(results, workdir))
    say(f'{workdir}/report.html, {workdir}/results.json')


def _kept(folder, name, key, make):
    """What `make` gives, or gave before with the same key."""
    path = folder / f'{name}-{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:12]}.json'
    if not path.exists():
        write(path, json.dumps(make()))
    return json.loads(path.read_text())


def _nearness(sources, name, data, k, study, folder):
    """How near a source's task is to the target's, minus the distance of their Task2Vec embeddings; None where that is not known."""
    learnt, probe, most = None if isinstance(sources[name], Path) else sources[name].data, study['probe'], study['most']
    if not probe or learnt is None:
        return None
    networks = [each for each in sources if not isinstance(sources[each], Path)]
    if probe not in networks:
        raise Refused(f'study.probe={probe!r} is no source with a network: {near(probe, networks)}')
    known = sources[probe]
    return -task2vec_distance(*(_kept(folder, each['name'], [fingerprint(known), each, k, most],
                                      lambda each=each: embedding(known, each, k, most)) for each in (learnt, data)))


def measured(source, target, row, settings, study, place):
    """{strategy: (seeds,) accuracies} on the target's test split."""
    accuracy = {}
    for strategy in study['strategies']:
        cell = trained_on(source, target, row, settings, study, strategy)
        begun = row['source'] if cell['init']['path'] else hashlib.sha256(json.dumps([cell['net'], cell['data']]).encode()).hexdigest()[:8]
        fitted = fit(build.build(cell, f'{row["target"]}, {row["source"]}, {strategy}'), place / f'{strategy}-{begun}')
        accuracy[strategy] = fitted.scores['test']['accuracy']
    return accuracy


def agreement(rows, study):
    """How well each score's ranking agrees with what was measured: weighted Kendall tau by target, and its mean.

    The last row of each block is the score that one would have chosen for a target by the other targets.
    """
    found = []
    for k in study['budgets'] if 'accuracy' in rows[0] else ():
        for strategy in study['strategies']:
            real = [row for row in rows if row['source'] not in study['controls']]
            blocks = {'all': rows, **({'no controls': real} if study['controls'] else {}),
                      'of known data': [row for row in real if 'task2vec' in row['scores']]}
            for block, inside in blocks.items() if strategy != study['baseline'] else ():
                mine = [row for row in inside if row['labels_per_class'] == k]
                if not mine:
                    continue
                by_score = {score: _by_target(mine, score, strategy) for score in mine[0]['scores']}
                by_score = {score: taus for score, taus in by_score.items() if taus}
                targets = list(next(iter(by_score.values()), {}))
                if len(targets) > 1:
                    by_score['chosen by the other targets'] = {target: by_score[_best(by_score, target)][target] for target in targets}
                found += [dict(labels_per_class=k, strategy=strategy, sources=block, score=score, tau=taus,
                               mean=float(np.mean(list(taus.values())))) for score, taus in by_score.items()]
    return found


def _by_target(rows, score, strategy):
    """{target: weighted tau} of a score that every source has; {} of one that some source lacks."""
    if any(score not in row['scores'] for row in rows):
        return {}
    by_target = {}
    for target in dict.fromkeys(row['target'] for row in rows):
        mine = [row for row in rows if row['target'] == target]
        predicted, found = ([np.mean(each) for each in column] for column in (
            [row['scores'][score] for row in mine], [row['accuracy'][strategy] for row in mine]))
        if len(mine) > 2 and np.ptp(found):   # two sources, or all the same in the end, are no ranking
            by_target[target] = rank_agreement(predicted, found)
    return by_target


def _best(by_score, target):
    return max(by_score, key=lambda score: np.mean([tau for other, tau in by_score[score].items() if other != target]))


def show(results, workdir):
    """Writes the page; returns the tables."""
    rows, sections, tables = results['rows'], [], []
    for k, target in dict.fromkeys((row['labels_per_class'], row['target']) for row in rows):
        mine = [row for row in rows if (row['labels_per_class'], row['target']) == (k, target)]
        values = {row['source']: {**{score: np.mean(each) for score, each in row['scores'].items()},
                                  **{f'{strategy}, %': 100 * np.mean(each) for strategy, each in row.get('accuracy', {}).items()}}
                  for row in mine}
        columns = list(dict.fromkeys(column for each in values.values() for column in each))
        order = sorted(values, key=lambda name: -values[name].get('logme', -np.inf))
        cells = [[name, *(_number(values[name].get(column)) for column in columns)] for name in order]
        title = f'{target}, {"all labels" if k is None else f"{k} labels per class"}'
        tables.append(Table(['source', *columns], cells, title=f'{title}: sources by LogME; larger is better'))
        sections += [dict(heading=title, text=READING, svg=svg(rankings({name: values[name] for name in order})),
                          table=(['source', *columns], cells))]
    if results['agreement']:
        targets = list(dict.fromkeys(row['target'] for row in rows))
        columns = ['labels', 'strategy', 'sources', 'score', *targets, 'mean']
        cells = [[_count(row['labels_per_class']), row['strategy'], row['sources'], row['score'],
                  *(f'{row["tau"].get(target, np.nan):.2f}' for target in targets), f'{row["mean"]:.2f}'] for row in results['agreement']]
        tables.append(Table(columns, cells, title=f'{AGREEMENT} Controls: {", ".join(results["config"]["study"]["controls"])}.'))
        sections.insert(0, dict(heading='Was the ranking right?', text=AGREEMENT, table=(columns, cells)))
        names = list(dict.fromkeys(row['source'] for row in rows))
        for k, strategy in dict.fromkeys((row['labels_per_class'], strategy) for row in rows for strategy in row['accuracy']):
            found = {(row['source'], row['target']): np.mean(row['accuracy'][strategy]) for row in rows if row['labels_per_class'] == k}
            values = [[found.get((name, target), np.nan) for target in targets] for name in names]
            sections.append(dict(heading=f'Accuracy of every source on every target: {strategy}, {_count(k)} labels per class',
                                 svg=svg(matrix(values, names, targets))))
    page(workdir / 'report.html', 'Which source to transfer from', [
        *sections, dict(heading='How it was run', code=json.dumps(results['config'], indent=1))])
    return tables


def _number(value):
    return '' if value is None else f'{value:.3f}'


def _count(k):
    return 'all' if k is None else str(k)


if __name__ == '__main__':
    command.run(main, 'rank')
