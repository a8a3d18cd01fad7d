"""Graphs: do labels of one network's nodes help to class the nodes of another?

The inputs of nodes are propagated over the same number of hops in every strategy, so that the gain
of an adaptation is not that of a wider neighbourhood. The baseline is the same network trained on
the source's nodes alone. Its answers are also spread along the target's links (label propagation).
With a few labels of the target, a network that starts from the source's parameters is compared
with one that starts afresh.

A node may have several topics: top-1 is the share of nodes whose predicted topic is one of theirs,
and F1 compares the one predicted topic with all topics of a node. Labels of the target choose
nothing.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.metrics import f1_score

from tljax import build
from tljax.configuration import GRAPHS, call_named, merge, settings
from tljax.core import UserError, nearest_name
from tljax.data.splits import per_class
from tljax.engine.evaluate import predictions
from tljax.files.text import write
from tljax.graphs import Graph
from tljax.protocols import Config, Record
from tljax.report.page import page
from tljax.shallow.label_propagation import propagate_labels
from tljax.studies.graphs_report import sections
from tljax.when.gain import mean_interval, transfer_gain, verdicts

BASELINE, SPREAD = 'source only', 'source only, spread'
SCRATCH, PARAMETERS = 'few labels', 'few labels, source parameters'
SCORES = ('top-1', 'micro F1', 'macro F1')
NODES = {'hops', 'fanouts', 'draws', 'weights', 'test', 'validation'}  # not of the graph itself
WHOLE = {'nodes': dict(validation=0.0, test=0.0), 'blocks': dict(test=0.0)}  # no node is held out
Values = dict[str, dict[str, list[float]]]  # {strategy: {score: values by seed}}


def adapt(config: Config, workdir: Path) -> Record:
    """Trains all strategies on all tasks, and writes results.json and report.html.

    Args:
        config: plain dict, as `configs/graphs.py` describes it.
        workdir: folder of the study; a restart continues an interrupted one.

    Returns:
        The result of `summarise`, and 'config'.

    Raises:
        UserError: a network, a task or a strategy does not fit.

    >>> adapt({'seeds': [5]}, Path('runs'))
    Traceback (most recent call last):
    tljax.core.UserError: seeds=[5]: intervals need two or more
    """
    if len(config['seeds']) < 2:
        raise UserError(f'seeds={config["seeds"]}: intervals need two or more')
    tasks = _tasks(config)
    values: dict[tuple[str, int], Values] = {}
    for source, target in tasks:
        graph = _graph(config['networks'][target])
        for hops in config['hops']:
            folder = workdir / f'{source}-{target}-{hops}'
            values[f'{source}-{target}', hops] = _task(
                config, (source, target), hops, graph, folder
            )
    results = summarise(values) | {'config': config}
    write(workdir / 'results.json', json.dumps(results, indent=1) + '\n')
    page(workdir / 'report.html', 'Do networks adapt to other graphs?', sections(results))
    return results


def summarise(values: dict[tuple[str, int], Values]) -> Record:
    """Adds means, deviations and intervals, and gains over the baseline with verdicts.

    Args:
        values: {(task, hops): {strategy: {score: values by seed}}}.

    Returns:
        {'rows': [{'task', 'hops', 'strategy', 'scores': {score: {'mean', 'ci95', 'sd', 'values'}},
        and for strategies that adapt 'gain', 'low', 'high', 'verdict'}]}. A gain is that of the
        first score over the source alone with as many hops, or with few labels over a fresh start,
        paired by seed. Verdicts are corrected over all gains.

    >>> base, better = {'top-1': [0.7, 0.7, 0.72]}, {'top-1': [0.8, 0.82, 0.82]}
    >>> row = summarise({('a-b', 5): {'source only': base, 'mmd': better}})['rows'][1]
    >>> round(row['gain'], 3), row['verdict']
    (0.107, 'positive')
    """
    rows, gains = [], []
    for (task, hops), strategies in values.items():
        for strategy, scores in strategies.items():
            summary = {}
            for score, numbers in scores.items():
                mean, half = mean_interval(numbers)
                sd = float(np.std(numbers, ddof=1))
                summary[score] = dict(mean=float(mean), ci95=half, sd=sd, values=numbers)
            rows.append(dict(task=task, hops=hops, strategy=strategy, scores=summary))
            baseline = {BASELINE: None, SCRATCH: None, PARAMETERS: SCRATCH}.get(strategy, BASELINE)
            if baseline:
                first = next(iter(scores))
                gain = transfer_gain(scores[first], strategies[baseline][first])
                gains.append((rows[-1], gain))
    answers = verdicts([gain for _, gain in gains])
    for (row, gain), verdict in zip(gains, answers, strict=True):
        row.update(gain=gain.mean, low=gain.low, high=gain.high, verdict=verdict)
    return dict(rows=rows)


def scores_of(output: np.ndarray, topics: np.ndarray) -> dict[str, float]:
    """Scores of one class per node against all topics of a node.

    Args:
        output: a number for each class, (n, classes).
        topics: whether a node has a topic, (n, classes).

    >>> scores_of(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([[True, True], [False, True]]))
    {'top-1': 0.5, 'micro F1': 0.4, 'macro F1': 0.3333333333333333}
    """
    absent: dict[str, Any] = dict(zero_division=0)  # a class that nobody has or predicts
    predicted = np.eye(output.shape[1], dtype=bool)[output.argmax(1)]
    return {
        'top-1': float((predicted & topics).any(1).mean()),
        'micro F1': float(f1_score(topics, predicted, average='micro', **absent)),
        'macro F1': float(f1_score(topics, predicted, average='macro', **absent)),
    }


def _task(
    config: Config,
    pair: tuple[str, str],
    hops: int,
    graph: Graph,
    folder: Path,
) -> Values:
    """Scores of all strategies on a task."""
    known = graph.label >= 0 if (graph.label >= 0).any() else np.ones(graph.size, bool)
    topics = graph.topics[known]
    specs = [config['networks'][name] for name in pair]
    source, target = ({**spec, 'hops': hops, **WHOLE.get(spec['name'], {})} for spec in specs)
    data = dict(name='domains', source=source, target=target)
    shared = merge(settings(seeds=config['seeds'], net=config['net']), config['training'])
    found: Values = {}
    for strategy, changes in {BASELINE: {}, **config['strategies']}.items():
        outputs = _outputs(merge(shared, {'data': data, **changes}), folder / _slug(strategy))
        found[strategy] = _by_score([scores_of(each, topics) for each in outputs])
        if strategy == BASELINE:
            spread = [_spread(graph, each, config['strength']) for each in outputs]
            found[SPREAD] = _by_score([scores_of(each, topics) for each in spread])
    k = config['labels']
    if not k:
        return found
    label = graph.label[graph.label >= 0]
    starts = {SCRATCH: '', PARAMETERS: str(folder / _slug(BASELINE))}
    for strategy, path in starts.items():
        changes = {'data': target, 'per_class': k, 'init': {'path': path}}
        outputs = _outputs(merge(shared, changes), folder / _slug(strategy))
        scores = []
        for seed, output in zip(config['seeds'], outputs, strict=True):
            rest = np.setdiff1d(np.arange(len(label)), per_class(label, k, seed))
            scores.append(scores_of(output[rest], topics[rest]))
        found[strategy] = _by_score(scores)
    return found


def _outputs(changes: Config, folder: Path) -> np.ndarray:
    """The outputs of a strategy for all labelled nodes of the target, (seeds, n, classes)."""
    run, fitted = build.fit_phases([(folder.name, changes)], folder)
    assert run is not None and fitted is not None
    splits = build.splits_of(changes)
    nodes = splits.get('target', splits['train'])
    return predictions(run.predict, fitted.params, fitted.state, nodes)['output']


def _spread(graph: Graph, output: np.ndarray, strength: float) -> np.ndarray:
    """Probabilities of labelled nodes after label propagation along all links."""
    known = np.flatnonzero(graph.label >= 0)
    scores = np.zeros((graph.size, output.shape[1]))
    scores[known] = softmax(output, 1)
    edges = np.stack(graph.links.nonzero(), 1)
    return propagate_labels(edges, scores, strength)[known]


def _by_score(scores: list[dict[str, float]]) -> dict[str, list[float]]:
    return {score: [each[score] for each in scores] for score in SCORES}


def _graph(spec: Config) -> Graph:
    """The graph of a network."""
    keywords = {key: value for key, value in spec.items() if key not in NODES}
    return call_named(GRAPHS, keywords, 'networks')


def _tasks(config: Config) -> list[tuple[str, str]]:
    """The pairs of networks; all ordered pairs if no task is named."""
    names = list(config['networks'])
    tasks = {f'{a}-{b}': (a, b) for a in names for b in names if a != b}
    if not tasks:
        raise UserError(f'networks names {len(names)}: give two or more')
    for name in config['tasks']:
        if name not in tasks:
            raise UserError(f'tasks={name!r}: {nearest_name(name, tasks)}')
    for name in (SPREAD, SCRATCH, PARAMETERS, BASELINE):
        if name in config['strategies']:
            raise UserError(f'strategies.{name}: this name is that of a baseline: take another')
    return [tasks[name] for name in config['tasks'] or tasks]


def _slug(name: str) -> str:
    return name.replace(', ', '-').replace(' ', '_')
