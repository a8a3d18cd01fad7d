"""Unlabelled targets: do features that a source taught help to find the classes of a target, and to
learn them from few labels?

Every self-supervised method of the config trains a network on the target's inputs alone, on the
source's alone, and on the source's first and then the target's. The same algorithms then cluster
the target's held-out examples by each network's features, by those of an untrained network, and by
the inputs as they are. Deep embedded clustering starts from each network. Two more algorithms read
the source themselves. The same classifier learns from few labels on all features.

Labels choose nothing: not the number of clusters, not the step, not a setting. They score.
"""

import json
from pathlib import Path

import jax
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tljax import build
from tljax.configuration import ZOO, call_named, settings
from tljax.core import Dataset, Task, UserError
from tljax.data.splits import per_class
from tljax.engine.evaluate import predictions
from tljax.engine.scores import first_score
from tljax.engine.train import Fitted, Run
from tljax.features import extractor
from tljax.files.console import progress
from tljax.files.text import write
from tljax.protocols import Config, Record
from tljax.report.page import page
from tljax.shallow.clustering import agreement, principal_components
from tljax.studies.clusters_report import sections
from tljax.when.gain import mean_interval, transfer_gain, verdicts

METRIC = first_score(Task('classes'))
INPUTS, UNTRAINED = 'inputs', 'untrained'  # features without any training
TARGET, SOURCE, BOTH = 'target', 'source', 'source, target'  # what a network is trained on
DEEP = 'deep_embedded_clustering'
Features = dict[tuple[str, str], np.ndarray]  # {(features, trained on): (seeds, n, d)}
Values = dict[tuple[str, ...], list[Record]]  # {(features, trained on, algorithm): one per seed}


def compare(config: Config, workdir: Path) -> Record:
    """Trains all networks, clusters, and writes results.json and report.html.

    Args:
        config: plain dict, as `configs/clusters.py` describes it.
        workdir: folder of the study; a restart continues an interrupted one.

    Returns:
        The result of `summarise`, 'examples' (number of clustered examples) and 'config'.

    Raises:
        UserError: a setting or a data set does not fit.

    >>> compare({'seeds': [5]}, Path('runs'))
    Traceback (most recent call last):
    tljax.core.UserError: seeds=[5]: intervals need two or more
    """
    if len(config['seeds']) < 2:
        raise UserError(f'seeds={config["seeds"]}: intervals need two or more')
    sides = {side: build.load(config[side]) for side in (TARGET, SOURCE)}
    _refuse_unfit(sides, config)
    train, test = sides[TARGET]['train'], [sides[TARGET][name] for name in config['examples']]
    drawn = _drawn(train, config)
    label = np.concatenate([split.label for split in test])
    clustered: Values = {}
    learnt: Values = {}
    features = _flat(test, len(config['seeds']))
    labelled = _flat([train], len(config['seeds']))
    for name, changes in config['pretraining'].items():
        for trained_on, (_, fitted) in _trainings(config, name, changes, workdir).items():
            if config[DEEP]:
                donor = _folder(workdir, name, trained_on)
                answers = _deep(config, donor, f'{name}, {trained_on}', test, workdir)
                clustered[name, trained_on, DEEP] = [agreement(label, each) for each in answers]
            features[name, trained_on] = _features(fitted, config, test)
            labelled[name, trained_on] = _features(fitted, config, [train])
    features[UNTRAINED, ''], labelled[UNTRAINED, ''] = (
        _untrained(config, splits) for splits in (test, [train])
    )
    for (name, trained_on), x in progress(list(features.items()), 'clustering, and few labels'):
        for algorithm, spec in config['algorithms'].items():
            clustered[name, trained_on, algorithm] = [
                agreement(label, _clusters(spec, algorithm, x[i], config, seed))
                for i, seed in enumerate(config['seeds'])
            ]
        for k in config['labels']:
            learnt[name, trained_on, str(k)] = [
                _few_labels(
                    labelled[name, trained_on][i][rows], train.label[rows], x[i], label, k, seed
                )
                for i, (seed, rows) in enumerate(drawn.items())
            ]
    clustered |= _readers_of_the_source(config, sides[SOURCE]['train'], features, label)
    results = summarise(clustered, learnt) | {'examples': len(label), 'config': config}
    write(workdir / 'results.json', json.dumps(results, indent=1) + '\n')
    page(workdir / 'report.html', 'Does a source help an unlabelled target?', sections(results))
    return results


def summarise(clustered: Values, learnt: Values) -> Record:
    """Adds means with intervals to all scores, and gains of transfer with verdicts.

    Args:
        clustered: {(features, trained on, algorithm): [scores of `agreement` of each seed]}.
        learnt: {(features, trained on, labels per class): [{first score of classes} of each seed]}.

    Returns:
        {'rows': [{'features', 'trained on', 'algorithm' or 'labels per class', 'scores': {score:
        {'mean', 'ci95', 'values'}}, 'gains': {score: {'over': {'features', 'trained on'}, 'mean',
        'low', 'high', 'verdict'}}}]}. A gain is that over the same algorithm on the same features,
        trained on the target alone; of those over the inputs, 'over inputs' holds the same.
        Verdicts are corrected over all gains of one kind.

    >>> scores = [{'nmi': 0.5}, {'nmi': 0.6}, {'nmi': 0.4}]
    >>> better = [{'nmi': 0.7}, {'nmi': 0.8}, {'nmi': 0.7}]
    >>> clustered = {('simclr', 'target', 'kmeans'): scores, ('simclr', 'source', 'kmeans'): better}
    >>> row = summarise(clustered, {})['rows'][1]
    >>> round(row['gains']['nmi']['mean'], 2), row['gains']['nmi']['verdict']
    (0.23, 'positive')
    """
    rows, gains = [], {}
    for what, values in (('algorithm', clustered), ('labels per class', learnt)):
        for (name, trained_on, cell), scores in values.items():
            row: Record = {'features': name, 'trained on': trained_on, what: cell, 'scores': {}}
            for score in scores[0]:
                numbers = [each[score] for each in scores]
                mean, half = mean_interval(numbers)
                row['scores'][score] = dict(mean=float(mean), ci95=half, values=numbers)
                for kind, key in (('gains', (name, TARGET)), ('over inputs', (INPUTS, ''))):
                    if trained_on not in (SOURCE, BOTH) or (*key, cell) not in values:
                        continue
                    baseline = [each[score] for each in values[*key, cell]]
                    gains[len(rows), kind, score] = transfer_gain(numbers, baseline)
            rows.append(row)
    for kind in ('gains', 'over inputs'):
        cells = [cell for cell in gains if cell[1] == kind]
        for cell, verdict in zip(cells, verdicts([gains[cell] for cell in cells]), strict=True):
            gain, (number, _, score) = gains[cell], cell
            record = dict(mean=gain.mean, low=gain.low, high=gain.high, verdict=verdict)
            rows[number].setdefault(kind, {})[score] = record
    return dict(rows=rows)


def _trainings(
    config: Config, name: str, changes: Config, workdir: Path
) -> dict[str, tuple[Run, Fitted]]:
    """The networks of a method by what they are trained on. All take as many steps on the target as
    the last one takes in all, so that transfer is not a longer training."""
    steps = changes['steps']
    shared = dict(net=config['net'], seeds=config['seeds'], **changes)
    target = _unlabelled_target(config)
    plans = {
        TARGET: dict(target, steps=2 * steps),
        SOURCE: dict(data=config[SOURCE], steps=steps),
        BOTH: dict(
            target,
            steps=steps,
            init=dict(path=str(_folder(workdir, name, SOURCE)), phase=''),
        ),
    }
    return {
        trained_on: _fit({**shared, **plan}, _folder(workdir, name, trained_on))
        for trained_on, plan in plans.items()
    }


def _unlabelled_target(config: Config) -> Config:
    """Settings of a training on the target's inputs: as many as `target_examples` says, by seed."""
    data = dict(name='without_labels', of=config[TARGET])
    return dict(data=data, per_class=config['target_examples'])


def _fit(changes: Config, folder: Path) -> tuple[Run, Fitted]:
    """Trains a network, or loads it if it has finished."""
    run, fitted = build.fit_phases([(folder.name, settings(**changes))], folder)
    assert run is not None and fitted is not None
    return run, fitted


def _folder(workdir: Path, name: str, trained_on: str) -> Path:
    return workdir / f'{name}-{trained_on.replace(", ", "-")}'


def _deep(
    config: Config, donor: Path, name: str, test: list[Dataset], workdir: Path
) -> list[np.ndarray]:
    """Clusters of deep embedded clustering from a trained network, by seed."""
    shared = _unlabelled_target(config)
    changes = dict(config[DEEP], **shared, net=config['net'], seeds=config['seeds'])
    changes['method'] = dict(changes['method'], name=DEEP, clusters=config['clusters'])
    changes['init'] = dict(path=str(donor), phase='')
    run, fitted = _fit(changes, workdir / f'{DEEP}-{donor.name}')
    outputs = [
        predictions(run.predict, fitted.params, fitted.state, split)['output'] for split in test
    ]
    return list(np.concatenate(outputs, 1).argmax(-1))


def _features(fitted: Fitted, config: Config, splits: list[Dataset]) -> np.ndarray:
    """Features of splits by every seed's network, (seeds, n, d)."""
    extract = extractor(call_named(ZOO, config['net'], 'net'))
    parts = [predictions(extract, fitted.params, fitted.state, each) for each in splits]
    return np.concatenate([part['features'] for part in parts], 1)


def _untrained(config: Config, splits: list[Dataset]) -> np.ndarray:
    """Features of splits by networks with their initial parameters, (seeds, n, d)."""
    net = call_named(ZOO, config['net'], 'net')
    sample = splits[0].take(np.arange(1))['input']
    drawn = [net.init(jax.random.key(seed), sample) for seed in config['seeds']]
    params, state = jax.tree.map(lambda *leaves: np.stack(leaves), *drawn)
    fitted = Fitted({'backbone': params}, {'backbone': state}, {})
    return _features(fitted, config, splits)


def _flat(splits: list[Dataset], seeds: int) -> Features:
    """The inputs of splits as features, the same for every seed."""
    x = np.concatenate([split.take(np.arange(split.size))['input'] for split in splits])
    return {(INPUTS, ''): np.repeat(x.reshape(1, len(x), -1), seeds, 0)}


def _clusters(spec: Config, what: str, x: np.ndarray, config: Config, seed: int) -> np.ndarray:
    """Clusters of features by one algorithm, in the subspace of their principal components."""
    scores = principal_components(x, min(config['dim'], *x.shape))
    return call_named(
        'tljax.shallow',
        spec,
        f'algorithms.{what}',
        x=scores,
        clusters=config['clusters'],
        seed=seed,
    )


def _few_labels(
    x: np.ndarray, y: np.ndarray, new: np.ndarray, truth: np.ndarray, k: int, seed: int
) -> Record:
    """The score of a classifier that learns from k labels of each class."""
    rows = per_class(y, k, seed)
    scaler = StandardScaler().fit(x)
    classifier = LogisticRegression(max_iter=1000, C=1 / x.shape[1] ** 0.5)
    classifier.fit(scaler.transform(x[rows]), y[rows])
    return {METRIC: float(np.mean(classifier.predict(scaler.transform(new)) == truth))}


def _readers_of_the_source(
    config: Config, source: Dataset, features: Features, label: np.ndarray
) -> Values:
    """The two algorithms that read the source's inputs themselves, with the source and without."""
    values: Values = {}
    for i, seed in enumerate(config['seeds']):
        rows = np.random.default_rng(seed).permutation(source.size)[: config['source_examples']]
        part = source.take(np.sort(rows))
        xs, ys = part['input'].reshape(len(rows), -1), np.asarray(part['label'])
        inked = xs[xs.any(1)]
        for name, spec in config['readers'].items():
            is_discriminative = spec['name'] == 'transferred_discriminative_analysis'
            with_source = dict(xs=xs, ys=ys) if is_discriminative else dict(xs=inked)
            without = dict(spec) if is_discriminative else {**spec, 'strength': 0.0}
            sides = {TARGET: (without, {} if is_discriminative else with_source)}
            sides[SOURCE] = (spec, with_source)
            for trained_on, (settings_of_it, given) in sides.items():
                found = call_named(
                    'tljax.shallow',
                    settings_of_it,
                    f'readers.{name}',
                    xt=features[INPUTS, ''][i],
                    clusters=config['clusters'],
                    seed=seed,
                    **given,
                )
                values.setdefault((INPUTS, trained_on, name), []).append(
                    agreement(label, found.label)
                )
    return values


def _drawn(train: Dataset, config: Config) -> dict[int, np.ndarray]:
    """The target's training examples of each seed. Those that get labels are among them."""
    count, most = config['target_examples'], max(config['labels'], default=0)
    if count is not None and not 1 <= count <= train.size:
        raise UserError(f'target_examples={count}: the target has {train.size} training examples')
    withheld = np.full(train.size, -1)
    drawn = {seed: per_class(withheld, count, seed) for seed in config['seeds']}
    for seed, rows in drawn.items():
        sizes = np.bincount(train.label[rows], minlength=len(train.classes))
        if sizes.min() < most:
            raise UserError(
                f'labels={most}: among the {len(rows)} training examples of the seed {seed} are '
                f'{sizes.min()} of the class {train.classes[sizes.argmin()]}: ask for fewer labels '
                'or more target_examples'
            )
    return drawn


def _refuse_unfit(sides: dict[str, dict[str, Dataset]], config: Config) -> None:
    """Refuses sets that the study cannot compare, and settings that are out of range."""
    target = sides[TARGET]['train']
    if target.task.kind != 'classes':
        raise UserError(
            f'target asks for {target.task.kind}: give a set whose classes can score clusters'
        )
    for name in config['examples']:
        if name not in sides[TARGET]:
            raise UserError(f'examples={name!r}: the target has {", ".join(sides[TARGET])}')
    shapes = [splits['train'].take(np.arange(1))['input'].shape[1:] for splits in sides.values()]
    if shapes[0] != shapes[1]:
        raise UserError(
            f'inputs of the target are {shapes[0]} and of the source {shapes[1]}: lay dict(name='
            "'resampled', ...) around one"
        )
    if config['clusters'] < 2 or config['dim'] < 1:
        raise UserError(
            f'clusters={config["clusters"]}, dim={config["dim"]}: give two clusters or more, and '
            'one dimension or more'
        )
