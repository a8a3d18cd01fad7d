"""Shallow domain adaptation: weights and maps of features, every method beside the source alone, over pairs of domains.

    python -m experiments.shallow --config=configs/office_caltech.py
    python -m experiments.shallow --config=configs/pacs_shallow.py:source=photo,target=sketch

All ordered pairs of the config's domains are tasks, or those that `tasks` names. A method has a classifier, and a map or weights; its gain
is over the same classifier on the source as it is. Features are the inputs, or what a network with pretrained weights makes of them,
extracted once. The target's labels choose nothing: beside the table stands what each label-free score would have chosen, and, marked as
such, the oracle.
"""
import inspect
import json
import warnings

import numpy as np
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler, normalize
from sklearn.svm import LinearSVC

from experiments import command
from tljax.configuration import named, near
from tljax.core import Refused
from tljax.evaluate import proportion
from tljax.features import extractor, featured, pretrained
from tljax.figures import svg, two_domains
from tljax.gain import transfer_gain, verdicts
from tljax.log import progress, say, write
from tljax.report import page
from tljax.selection import SCORES, choose
from tljax.shallow import mapping
from tljax.studies.tables import Table

CLASSIFIERS = {'nearest': lambda: KNeighborsClassifier(1), 'logistic': lambda: LogisticRegression(max_iter=1000),
               'svm': lambda: LinearSVC(dual='auto')}
CHOICE = ("Which method to take, chosen per task without the target's labels, among those whose classifier is not always sure, as a "
          'nearest neighbour is; the oracle sees the labels')
SCALES = {'none': lambda x: x, 'standard': StandardScaler().fit_transform, 'unit': normalize}


def main(config, workdir):
    """Runs every method on every task and reports."""
    tasks = _tasks(config['tasks'], list(config['domains']))
    methods = _methods(config['methods'])
    extract = _extraction(config)
    domains = {name: _features(config, name, extract) for name in config['domains']}
    _refuse_unlike(domains)
    right, scores, drawn = {}, {}, {}
    for task in progress(tasks, f'{len(methods)} methods on {len(tasks)} tasks'):
        xs, ys, xt, yt = *domains[task[0]]['source'], *domains[task[1]]['target']
        for name, method in methods.items():
            zs, zt, output, classes = _adapted(method, '-'.join(task), xs, ys, xt)
            right[name, task] = classes[output.argmax(1)] == yt
            scores[name, task] = {score: function(output) for score, function in SCORES.items()}
            if task == tasks[0] and 'map' in method:
                drawn[name] = zs, zt
    results = summarise(right, scores, methods, tasks) | {'config': config}
    write(workdir / 'results.json', json.dumps(results, indent=1) + '\n')
    xs, ys, xt, _ = *domains[tasks[0][0]]['source'], *domains[tasks[0][1]]['target']
    command.tell(results, show(results, svg(two_domains({'as they are': (xs, xt), **drawn}, ys)), workdir))
    say(f'{workdir}/report.html, {workdir}/results.json')


def _extraction(config):
    """Dataset -> Dataset of its features, by the config's network, or as it is."""
    if not config['net']['name']:
        return lambda dataset: dataset
    params, state, _ = pretrained(config['net'], config['init']['path'], top=False)
    extract = extractor(named('tljax.zoo', config['net'], 'net'))
    return lambda dataset: featured(config['net'], extract, params, state, dataset)


def _features(config, domain, extract):
    """{'source': (x, label), 'target': (x, label), 'classes'}: of the splits that stand for a domain where it is one or the other."""
    if config['scale'] not in SCALES:
        raise Refused(f'scale={config["scale"]!r} is not one of {", ".join(SCALES)}')
    splits = named('tljax.data', config['domains'][domain], f'domains.{domain}')
    used = {*config['splits']['source'], *config['splits']['target']}
    for name in used - set(splits):
        raise Refused(f'splits: {domain} has no {name!r}: {near(name, splits)}')
    splits = {name: extract(splits[name]) for name in used}
    found = {'classes': splits[config['splits']['source'][0]].classes}
    for side, names in config['splits'].items():
        parts = [splits[name].take(np.arange(splits[name].size)) for name in names]
        x, label = (np.concatenate([part[key] for part in parts]) for key in ('input', 'label'))
        found[side] = SCALES[config['scale']](x.reshape(len(x), -1).astype(np.float64)), label
    return found


def _refuse_unlike(domains):
    first, *others = domains
    for name in others:
        for what, one, other in (('classes', domains[first]['classes'], domains[name]['classes']),
                                 ('columns', domains[first]['source'][0].shape[1], domains[name]['source'][0].shape[1])):
            if one != other:
                raise Refused(f'domains.{first} and domains.{name} differ in their {what}: adaptation needs the same in all domains')


def _tasks(chosen, domains):
    if len(domains) < 2:
        raise Refused(f'domains has {len(domains)} of them: adaptation needs two or more')
    tasks = [(source, target) for source in domains for target in domains if source != target]
    if not chosen:
        return tasks
    for task in chosen:
        if tuple(task.split('-')) not in tasks:
            raise Refused(f'tasks={task!r} is no source-target of this config: {near(task, ["-".join(pair) for pair in tasks])}')
    return [tuple(task.split('-')) for task in chosen]


def _methods(methods):
    """The methods, each classifier on the source alone ahead of them."""
    for name, method in methods.items():
        for key in set(method) - {'classifier', 'map', 'weights', 'by_task'}:
            raise Refused(f'methods.{name}.{key} is unknown: a method has a classifier, and a map, with by_task, or weights')
        if method['classifier'] not in CLASSIFIERS:
            raise Refused(f'methods.{name}.classifier={method["classifier"]!r}: {near(method["classifier"], CLASSIFIERS)}')
        if 'weights' in method and method['classifier'] == 'nearest':
            raise Refused(f'methods.{name}: a nearest neighbour has no use for weights: take logistic or svm')
    used = dict.fromkeys(method['classifier'] for method in methods.values())
    return {**{_alone(name): {'classifier': name} for name in used}, **methods}


def _alone(classifier):
    return f'source only, {classifier}'


def _adapted(method, task, xs, ys, xt):
    """(zs, zt, probabilities of the target's rows (nt, c), the classes of their columns)."""
    zs, zt, keywords = xs, xt, {}
    if 'map' in method:
        spec = {**method['map'], **method.get('by_task', {}).get(task, {})}
        takes = inspect.signature(getattr(mapping, spec['name'], lambda: None)).parameters   # an unknown name is refused by `named`
        zs, zt = named('tljax.shallow.mapping', spec, 'map', xs=xs, xt=xt, **({'ys': ys} if 'ys' in takes else {}))
    if 'weights' in method:
        keywords['sample_weight'] = named('tljax.shallow.instance', method['weights'], 'weights', xs=xs, xt=xt)
    classifier = CLASSIFIERS[method['classifier']]()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', ConvergenceWarning)
        classifier.fit(zs, ys, **keywords)
    if hasattr(classifier, 'predict_proba'):
        return zs, zt, classifier.predict_proba(zt), classifier.classes_
    margin = classifier.decision_function(zt)
    return zs, zt, softmax(np.stack([-margin, margin], 1) / 2 if margin.ndim == 1 else margin, 1), classifier.classes_


def summarise(right, scores, methods, tasks):
    """Which target examples are right, by method and task -> what results.json holds."""
    rows, gains = [], {}
    for name, method in methods.items():
        for task in tasks:
            accuracy, low, high = proportion(right[name, task].sum(), len(right[name, task]))
            rows.append(dict(method=name, source=task[0], target=task[1], accuracy=accuracy, low=low, high=high))
            if name != _alone(method['classifier']):
                alone = right[_alone(method['classifier']), task]
                gain = gains[name, task] = transfer_gain(right[name, task].astype(float), alone.astype(float))
                rows[-1].update(gain=gain.mean, gain_low=gain.low, gain_high=gain.high)
    for (name, task), verdict in zip(gains, verdicts(list(gains.values())), strict=True):
        next(row for row in rows if (row['method'], row['source'], row['target']) == (name, *task))['verdict'] = verdict
    accuracy = {(row['method'], row['source'], row['target']): row['accuracy'] for row in rows}
    graded = [name for name, method in methods.items() if method['classifier'] != 'nearest'] or list(methods)
    picks = {score: {task: choose([scores[name, task][score] for name in graded], graded) for task in tasks} for score in SCORES}
    picks['oracle'] = {task: choose([accuracy[name, *task] for name in methods], list(methods)) for task in tasks}
    chosen = [dict(score=score, accuracy=float(np.mean([accuracy[pick, *task] for task, pick in by_task.items()])),
                   picks={'-'.join(task): pick for task, pick in by_task.items()}) for score, by_task in picks.items()]
    return dict(rows=rows, chosen=chosen)


def show(results, figure, workdir):
    """Writes the page; returns the tables."""
    rows = results['rows']
    tasks = list(dict.fromkeys((row['source'], row['target']) for row in rows))
    columns, cells = ['method', *(f'{source}-{target}' for source, target in tasks), 'mean'], []
    for name in dict.fromkeys(row['method'] for row in rows):
        mine = [row for row in rows if row['method'] == name]
        signs = [{'positive': ' +', 'negative': ' −'}.get(row.get('verdict'), '') for row in mine]
        cells.append([name, *(f'{100 * row["accuracy"]:.1f}{sign}' for row, sign in zip(mine, signs, strict=True)),
                      f'{100 * np.mean([row["accuracy"] for row in mine]):.1f}'])
    reading = ('Accuracy on the target, percent; + and − where a paired t test over its examples, Holm-corrected over the table at 5 %, '
               'finds that the method helps, or hurts (negative transfer), against the same classifier on the source alone.')
    tables = [Table(columns, cells, title=reading)]
    picks = [[row['score'] + ' (sees target labels)' * (row['score'] == 'oracle'), f'{100 * row["accuracy"]:.1f}',
              ', '.join(dict.fromkeys(row['picks'].values()))] for row in results['chosen']]
    tables.append(Table(['chosen by', 'mean accuracy %', 'its choices'], picks, title=CHOICE))
    gains = [[row['method'], f'{row["source"]}-{row["target"]}', f'{100 * row["gain"]:+.1f}',
              f'{100 * row["gain_low"]:+.1f} to {100 * row["gain_high"]:+.1f}', row['verdict']] for row in rows if 'verdict' in row]
    page(workdir / 'report.html', 'Does adaptation help?', [
        dict(heading='Accuracy', text=reading, table=(columns, cells)),
        dict(heading='Before and after', text=f'Features of {"-".join(tasks[0])}: source coloured by class, target in ink.', svg=figure),
        dict(heading='Chosen without target labels', text=CHOICE,
             table=(['chosen by', 'mean accuracy %', 'choices'], picks)),
        dict(heading='Every gain', table=(['method', 'task', 'gain, points', '95 % interval', 'verdict'], gains)),
        dict(heading='How it was run', code=json.dumps(results['config'], indent=1))])
    return tables


if __name__ == '__main__':
    command.run(main, 'shallow')
