"""A transfer study: does it help, from how few labels, by which strategy? Prints a table, writes results.json and report.html.

    python -m experiments.compare --config=configs/digits.py

Phases before the last are trained once; the last is repeated for every strategy and number of labels per class of `config.study`, over all
seeds. A restart goes on where it was cut off.
"""
import json
import time

import jax
import numpy as np
from scipy.special import softmax

from experiments import command
from tljax import build
from tljax.configuration import merge, named, phases
from tljax.core import Refused
from tljax.data.arrays import restrict
from tljax.distances import proxy_a_distance
from tljax.evaluate import predictions
from tljax.features import extractor
from tljax.figures import gains, learning_curves, svg, two_domains
from tljax.gain import labels_needed, mean_interval, transfer_gain, verdicts
from tljax.label_efficiency import fit_curve, labels_for
from tljax.log import console, say, write
from tljax.report import page
from tljax.selection import SCORES, choose, deep_embedded_validation, source_accuracy
from tljax.shallow.instance import density_ratio
from tljax.studies.tables import Table
from tljax.train import fit

NEEDS = ['strategy', 'labels per class', 'by the fitted curve']


def main(config, workdir):
    """Runs the study and reports it."""
    begun = time.monotonic()
    *earlier, (_, last) = phases(config)
    names, study = [name for name, _ in earlier], config['study']
    if len(last['seeds']) < 2 or study['baseline'] not in study['strategies'] or not study['budgets']:
        raise Refused('a study needs two seeds or more, budgets, and its baseline among its strategies: see configs/digits.py')
    splits = build.load(last['data'])
    if 'target' in splits and 'validation' not in splits:
        raise Refused('the source has no validation split, which a study of adaptation judges by: name another as data.source')
    build.fit_phases(earlier, workdir)
    accuracy, sources, judged = {}, set(), {}
    cells = [(strategy, k) for strategy in study['strategies'] for k in study['budgets']]
    for i, (strategy, k) in enumerate(cells):
        settings = merge(merge(last, study['strategies'][strategy], f'study.strategies.{strategy}'), {'per_class': k})
        run = build.build(settings, f'{i + 1}/{len(cells)} {strategy}, {_labels(k)}', build.donor(settings, workdir, names))
        if not run.classes or 'test' not in run.evals:
            raise Refused('a study compares accuracy on a test split: give data with classes and a test split')
        sources.add(run.donors)
        fitted = fit(run, workdir / 'cells' / f'{strategy}-{k or "all"}')
        accuracy[strategy, k] = np.array(fitted.scores['test']['accuracy'])
        if 'target' in splits:
            judged[strategy, k] = without_labels(settings, fitted, splits)
    if jax.process_index():
        return
    results = summarise(accuracy, study, config, one_source=1 in sources) | {'chosen': chosen(accuracy, judged)}
    write(workdir / 'results.json', json.dumps(results, indent=1) + '\n')
    features = {f'{name}, {_labels(k)}': each[:2] for (name, k), (_, _, each) in judged.items()}
    tables = show(results, workdir, svg(two_domains(features, next(iter(judged.values()))[2][2])) if judged else None)
    command.tell(results, tables)
    say(f'{(time.monotonic() - begun) / 60:.1f} minutes; {workdir}/report.html, {workdir}/results.json')


def summarise(accuracy, study, config, one_source):
    """{(strategy, labels per class): test accuracy by seed} -> what results.json holds."""
    baseline = study['baseline']
    compared = [cell for cell in accuracy if cell[0] != baseline]
    paired = {cell: transfer_gain(accuracy[cell], accuracy[baseline, cell[1]]) for cell in compared}
    found = dict(zip(compared, verdicts([paired[cell] for cell in compared]), strict=True))
    rows = []
    for (strategy, k), values in accuracy.items():
        mean, half = mean_interval(values)
        gain = paired.get((strategy, k))
        rows.append(dict(strategy=strategy, labels_per_class=k, accuracy_mean=mean, accuracy_ci95=half,
                         gain_mean=gain and gain.mean, gain_low=gain and gain.low, gain_high=gain and gain.high, p=gain and gain.p,
                         verdict=found.get((strategy, k)), accuracy=values.tolist()))
    budgets = study['budgets']
    most = None if None in budgets else max(budgets)
    goal = .9 * float(accuracy[baseline, most].mean())
    needed = {strategy: labels_needed(budgets, [row['accuracy_mean'] for row in rows if row['strategy'] == strategy], goal)
              for strategy in study['strategies']}
    fitted = {strategy: _by_curve([k for k in budgets if k], accuracy, strategy, goal) for strategy in study['strategies']}
    return dict(rows=rows, goal=goal, labels_for_goal=needed, labels_for_goal_by_curve=fitted, seeds=config['seeds'], config=config,
                intervals_cover='seeds of the target run only: they hold for the one source network trained' if one_source else
                'seeds of the target run and of the source, one source network per seed')


def _by_curve(budgets, accuracy, strategy, goal):
    """The labels per class that a fitted learning curve needs for the goal, 'from LOW to HIGH' (95 %), or why there is none."""
    try:
        found = labels_for(fit_curve(budgets, [accuracy[strategy, k] for k in budgets]), goal)
    except Refused as refused:
        return str(refused).partition(':')[0]
    value, low, high = (f'{each:.1f}' if np.isfinite(each) else 'never' for each in found[:3])
    return f'{value} ({low} to {high})' + ', beyond what was measured' * found.extrapolated


def without_labels(settings, fitted, splits, rows=2000):
    """What can be told of each seed's model without the target's labels: {score: (seeds,)} to choose by, the domains' distance, and their
    features by the first seed, with the source's labels.

    `rows`: how many examples of a split are looked at, drawn at random.
    """
    sets = {name: restrict(split, np.random.default_rng(0).permutation(split.size)[:rows]) for name, split in splits.items()}
    predict = build.predictor({'config': settings, 'classes': splits['train'].classes})
    extract = extractor(named('tljax.zoo', settings['net'], 'net'))
    there = fitted.params, fitted.state
    here = [{**tree, 'backbone': tree.get('source', tree['backbone'])} for tree in there]   # ADDA's source has an encoder of its own
    source, target = predictions(predict, *here, sets['validation']), predictions(predict, *there, sets['target'])
    xs, xv, xt = (predictions(extract, *encoder, sets[name])['features']
                  for encoder, name in ((here, 'train'), (here, 'validation'), (there, 'target')))
    scores = {name: [score(probability) for probability in softmax(target['output'], -1)] for name, score in SCORES.items()}
    scores['source_accuracy'] = [source_accuracy(*each) for each in zip(source['output'], source['label'], strict=True)]
    wrong = source['output'].argmax(-1) != source['label']
    scores['deep_embedded_validation'] = [deep_embedded_validation(loss, density_ratio(a, b, x))
                                          for loss, a, b, x in zip(wrong, xs, xt, xv, strict=True)]
    label = sets['train'].label
    return scores, [proxy_a_distance(*pair) for pair in zip(xs, xt, strict=True)], (xs[0], xt[0], label)


def chosen(accuracy, judged):
    """What each label-free score would have chosen among the strategies, seed by seed, and, with the test's labels, the oracle."""
    rows = []
    for k in dict.fromkeys(k for _, k in judged):
        names = [strategy for strategy, budget in judged if budget == k]
        scores = {score: np.array([judged[name, k][0][score] for name in names]) for score in judged[names[0], k][0]}
        scores['oracle'] = np.array([accuracy[name, k] for name in names])
        for score, values in scores.items():
            picks = [choose(each, names) for each in values.T]
            mean, half = mean_interval([accuracy[pick, k][seed] for seed, pick in enumerate(picks)])
            rows.append(dict(score=score, labels_per_class=k, picks=picks, accuracy_mean=mean, accuracy_ci95=half))
    distances = {f'{name}, {_labels(k)}': found for (name, k), (_, found, _) in judged.items()}
    return dict(rows=rows, proxy_a_distance=distances)


def show(results, workdir, domains=None):
    """Writes the page; returns the tables."""
    rows, baseline = results['rows'], results['config']['study']['baseline']
    columns = ['strategy', 'labels per class', 'accuracy %', f'gain over {baseline}, points', '95 % interval', 'verdict']
    cells = [[row['strategy'], _count(row['labels_per_class']), f'{100 * row["accuracy_mean"]:.1f} ± {100 * row["accuracy_ci95"]:.1f}',
              *(['', '', ''] if row['verdict'] is None else [f'{100 * row["gain_mean"]:+.1f}', f'{100 * row["gain_low"]:+.1f} to '
                                                             f'{100 * row["gain_high"]:+.1f}', row['verdict']])] for row in rows]
    tables = [Table(columns, cells, title=f'{len(results["seeds"])} seeds; accuracy on the test split')]
    picks = ['chosen by', 'labels per class', 'accuracy %', 'its choices']
    choices = [[row['score'] + ' (sees test labels)' * (row['score'] == 'oracle'), _count(row['labels_per_class']),
                f'{100 * row["accuracy_mean"]:.1f} ± {100 * row["accuracy_ci95"]:.1f}', ', '.join(dict.fromkeys(row['picks']))]
               for row in results['chosen']['rows']]
    distances = [[name, f'{np.mean(values):.3f}'] for name, values in results['chosen']['proxy_a_distance'].items()]
    if choices:
        tables += [Table(picks, choices, title="Which strategy to take, chosen per seed without the target's labels"),
                   Table(['features of', 'proxy A-distance'], distances,
                         title='How well a linear classifier tells the domains apart: 0 to 2')]
    goal = f'{100 * results["goal"]:.1f} %, 90 % of what {baseline} reaches with most labels'
    needs = [[strategy, 'never' if k is None else _count(None if k == 'all' else k), results['labels_for_goal_by_curve'][strategy]]
             for strategy, k in results['labels_for_goal'].items()]
    several = len({row['labels_per_class'] for row in rows}) > 1
    if several:
        tables.append(Table(NEEDS, needs, title=f'Labels needed for {goal}'))
    reading = (f'Gains are paired by seed. An interval is a 95 % paired t interval over {len(results["seeds"])} seeds; a verdict is '
               f'corrected over the table (Holm, 5 %). Intervals cover {results["intervals_cover"]}.')
    console.print(reading, soft_wrap=True)
    page(workdir / 'report.html', 'Does transfer help?', [
        dict(heading='Accuracy by number of labels', text=reading, **({'svg': svg(learning_curves(rows))} if several else {})),
        dict(heading=f'Gain over {baseline}', text='Filled: a gain or a loss was detected. Hollow: none was.', svg=svg(gains(rows))),
        dict(heading='Every cell', text='Accuracy on the test split, which chose nothing.', table=(columns, cells)),
        *([dict(heading='Chosen without target labels', text='Per seed, among the strategies; the oracle looks at the test.',
                table=(picks, choices)),
           dict(heading='Distance of the domains', text='Proxy A-distance of the features: 0 to 2.',
                table=(['features of', 'proxy A-distance'], distances)),
           dict(heading='Source and target', text='Features by the first seed: the source coloured by class, the target in ink.',
                svg=domains)] if choices else []),
        *([dict(heading='From how few labels', text=f'Fewest labels per class whose mean accuracy reaches {goal}; beside it, where a power '
                'law with a floor, fitted to what was measured, reaches it, with its 95 % interval over seeds.',
                table=(NEEDS, needs))] if several else []),
        dict(heading='How it was run', text='The config, from which the same command makes the same page.',
             code=json.dumps(results['config'], indent=1))])
    return tables


def _labels(k):
    return 'all labels' if k is None else f'{k} label{"s" * (k > 1)} per class'


def _count(k):
    return 'all' if k is None else str(k)


if __name__ == '__main__':
    command.run(main, 'compare')
