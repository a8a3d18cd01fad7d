"""What to transfer, when and how: advice on each target and source of a config, every piece beside the facts that it rests on.

    python -m experiments.advise --config=configs/rank.py --pool=runs/rank/results.json

`--pool` is what a verified ranking measured (`experiments.rank` with its flag verify): the
expected gain of every strategy, and its interval, come from
there; without it there is the customary advice by size and similarity alone. A number of labels per class of 0 in `study.budgets` stands
for a target without labels. For each advice a config is written that the next command runs. `--judge` tells instead how good the advice
would have been on the pool itself, each row's source and target held out.
"""
import json
from pathlib import Path

import numpy as np
from absl import flags

from experiments import command
from experiments.sources import PROBES, same_data, scored, seen_by, source, target_for, trained_on
from tljax import build
from tljax.advice import advised, judge, predict, setting, square
from tljax.configuration import phases
from tljax.core import Refused
from tljax.data.arrays import restrict
from tljax.distances import domain_distances
from tljax.log import say, write
from tljax.report import page
from tljax.studies.tables import Table

POOL = flags.DEFINE_string('pool', None, 'results.json of a verified ranking.')
JUDGE = flags.DEFINE_bool('judge', False, 'Judge the advice on the pool instead of giving any.')
ROWS = 500   # examples of a domain that distances look at
COLUMNS = ['question', 'answer', 'what was measured']
SCRIPT = '''"""{target} from {source}, as advised: python -m experiments.train --config={path}"""
import json

from configs import base

SETTINGS = json.loads(r"""{settings}""")


def get_config(arg=None):
    config = base.get_config()
    with config.unlocked():
        config.update(SETTINGS)
    return config
'''


def main(config, workdir):
    """Advises on every pair of the config, or judges the advice."""
    (_, settings), study, pool = phases(config)[-1], config['study'], _pool()
    if JUDGE.value:
        return _judged(pool, study)
    sources = {name: source(name, spec, settings, workdir / 'sources') for name, spec in study['sources'].items()}
    sections, found, tables = [], [], []
    for k in study['budgets']:
        for target, data in study['targets'].items():
            for name, known in sources.items():
                if isinstance(known, Path):
                    raise Refused(f'study.sources.{name} is a file of features: advice needs the network')
                if not same_data(known, data):
                    row = dict(target=target, source=name, labels_per_class=k)
                    cells, advice = advise(known, data, row, settings, study, pool, workdir)
                    title = f'{target} from {name}, {"all labels" if k is None else f"{k} labels per class"}'
                    tables.append(Table(COLUMNS, cells, title))
                    sections.append(dict(heading=title, table=(COLUMNS, cells)))
                    found.append({**row, **advice})
    write(workdir / 'advice.json', json.dumps(found, indent=1) + '\n')
    page(workdir / 'advice.html', 'What, when and how to transfer', sections)
    command.tell(found, tables)
    say(f'{workdir}/advice.html, {workdir}/advice.json')


def _pool():
    if not POOL.value:
        if JUDGE.value:
            raise Refused('--judge needs --pool=results.json of a verified ranking: python -m experiments.rank --verify')
        return []
    rows = json.loads(Path(POOL.value).read_text())['rows']
    if not rows or 'accuracy' not in rows[0]:
        raise Refused(f'{POOL.value} holds no measured accuracies: run experiments.rank with --verify')
    return rows


def advise(known, data, row, settings, study, pool, workdir):
    """(rows of the table, what stands in advice.json) on one target and source."""
    k, baseline = row['labels_per_class'], study['baseline']
    dataset = build.load(target_for(known, data, study['most']))['train']
    counts = np.bincount(dataset.label, minlength=len(dataset.classes))
    per_class = int(counts.min()) if k is None else k
    labels = int(counts.sum()) if k is None else k * len(dataset.classes)
    shared = {name.lower() for name in dataset.classes} & {name.lower() for name in known.classes}
    cells = [['which setting', setting(labels, dataset.classes, known.classes),
              f'{labels} labels; {len(shared)} of {len(dataset.classes)} classes are among the {len(known.classes)} of the source'],
             *_inputs(known, data)]
    distances = _distances(known, dataset)
    cells += [['how far the domains', f'proxy A-distance {distances["proxy_a_distance"]:.2f} of 2',
               ', '.join(f'{name} {value:.3g}' for name, value in distances.items())]] if distances else []
    if not labels:
        how = 'configs/adapt.py' if len(shared) == len(dataset.classes) else 'none'
        cells.append(['how', 'adapt: experiments.compare --config=configs/adapt.py shows how' if how != 'none' else
                      'find labels: nothing ties the source\'s task to the target\'s', 'no label to fit or to judge by'])
        return cells, dict(strategy=how, distances=distances)
    scores, without = scored(known, data, row, settings['seeds'], study['most'], PROBES)
    probe, inputs, untrained = (float(np.mean(each)) for each in (scores['probe'], without['inputs'], without['untrained']))
    size, similarity, customary = square(per_class, probe - inputs)
    cells.append(['size and similarity', f'{size}, {similarity}: customary is {customary}',
                  f'{per_class} labels per class; a probe of the features is right {probe:.1%}, one of the inputs {inputs:.1%}, '
                  f'one of the features of the same network untrained {untrained:.1%}'])
    strategies = [strategy for strategy in study['strategies'] if strategy != baseline]
    measured = {**row, 'labels_per_class': per_class, 'scores': scores, 'without': without}
    expected = {strategy: predict(pool, measured, strategy, baseline) for strategy in strategies if pool}
    for strategy, gain in expected.items():
        verdict = 'it hurts' if gain.high < 0 else 'it helps' if gain.low > 0 else 'open'
        interval = f'{100 * gain.mean:+.1f} points over {baseline} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]'
        cells.append([f'when: {strategy}', f'{interval}: {verdict}',
                      f'{len(pool)} measured transfers, predicted by the probes and the number of labels'])
    if not pool:
        cells.append(['when', 'unknown', 'no pool of measured transfers: give --pool'])
    choice = advised(expected, baseline) if pool else customary if customary in study['strategies'] else strategies[-1]
    path = workdir / f'{row["target"]}-{row["source"]}-{"all" if k is None else k}.py'
    run = json.dumps(trained_on(known, data, row, settings, study, choice), indent=1)
    write(path, SCRIPT.format(target=row['target'], source=row['source'], path=path, settings=run))
    cells.append(['how', f'{choice}: python -m experiments.train --config={path}',
                  'the largest expected gain' if pool else 'custom, by size and similarity'])
    return cells, dict(strategy=choice, customary=customary, probe=probe, inputs=inputs, untrained=untrained, distances=distances,
                       expected={strategy: gain._asdict() for strategy, gain in expected.items()})


def _inputs(known, data):
    original = build.load(data)['train'].take(np.arange(1))['input'].shape[1:]
    same = tuple(original) == tuple(known.shape)
    return [['which inputs', 'homogeneous' if same else 'homogeneous once resampled',
             f'the source takes {known.shape}, the target has {tuple(original)}']]


def _distances(known, dataset):
    """Distances of the source's own data from the target, as the source sees both; {} where its data are not known."""
    if known.data is None:
        return {}
    learnt = build.load(known.data)['train']
    some = [restrict(each, np.random.default_rng(0).permutation(each.size)[:ROWS]) for each in (learnt, dataset)]
    return domain_distances(*(seen_by(known, each, 'the source')[0] for each in some))


def _judged(pool, study):
    found = judge(pool, study['baseline'])
    always = ', '.join(f'{strategy} {share:.1%}' for strategy, share in found['always'].items())
    command.tell(found, [Table(['of the advice', 'value'], [
        ['as good as the best strategy (within a point, or no worse by a paired t test)', f'{found["right"]:.1%} of {len(pool)}'],
        ['the same, had one strategy always been advised', always],
        ['negative transfers (below -1 point)', f'{found["negative"]} of {found["of"]}'],
        *([what, 'undefined' if found[key] is None else f'{found[key]:.2f}'] for what, key in (
            ('precision of predicting them', 'precision'), ('recall', 'recall'),
            ('best precision at a recall of .6 or more', 'precision_at_recall_60')))],
        title='Advice on the pool, each source and target held out')])


if __name__ == '__main__':
    command.run(main, 'advise')
