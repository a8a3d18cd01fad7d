"""From a phase's config, a plain dict (`tljax.configuration`), to the run that it describes."""
from pathlib import Path

import jax
import numpy as np

from tljax.configuration import DATA, Recent, folder, named, stated
from tljax.core import Dataset, Refused, Stream, Tree
from tljax.data.splits import restrict
from tljax.data.streams import beside, draw, keyed, relabelled, sampled
from tljax.engine.checkpoint import digest
from tljax.engine.devices import each_by_itself
from tljax.engine.train import Fitted, Run, fit
from tljax.features import donors_of, extractor, featured_splits, pseudo_labels
from tljax.methods import combinators
from tljax.paths import first, flatten
from tljax.program import Program, program

TRAINED_ON = 10_000   # examples of a training set that tell its score to half a point
FREE = ('log_every', 'save_every', 'eval_every', 'eval_batch', 'parallel', 'chunk')   # may differ when a run goes on
LOADED = Recent(most=8)
WANTS = {'domains': "unlabelled inputs of a target beside labelled ones: give data=dict(name='domains', source=..., target=...)",
         'episodes': "episodes: give data=dict(name='episodes', of=...)",
         'labelled': 'labelled examples: give a set of those'}


def fit_phases(phases: list[tuple[str, dict]], workdir: str | Path) -> tuple[Run | None, Fitted | None]:
    """Fits phases in a row, each in its numbered folder, and skips those that have finished.

    Args:
        phases: pairs (name, config), as `configuration.phases` gives.
        workdir: folder of all of them.

    Returns:
        (run, Fitted) of the last phase.

    >>> fit_phases([], 'runs')
    (None, None)
    """
    names, run, fitted = [name for name, _ in phases], None, None
    for name, settings in phases:
        run = build(settings, name, donor(settings, workdir, names))
        fitted = fit(run, folder(workdir, names, name))
    return run, fitted


def donor(settings: dict, workdir: str | Path, names: list[str]) -> Path | None:
    """The folder of the phase that a phase's config starts from, or None.

    >>> donor({'init': {'phase': 'pretrain'}}, 'runs', ['pretrain']).name
    '00-pretrain'
    """
    return folder(workdir, names, settings['init']['phase']) if settings['init']['phase'] else None


def load(data: dict) -> dict[str, Dataset]:
    """The splits of a data set by its config: {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    >>> load({'name': 'digits'})['test'].size
    539
    """
    return LOADED.get(data, lambda: named(DATA, data, 'data'))


def build(config: dict, name: str = 'train', donor_dir: str | Path | None = None, splits: dict[str, Dataset] | None = None) -> Run:
    """Makes the run that a phase's config describes.

    Args:
        config: a plain dict, one of `configuration.phases`, or what `configuration.settings` gives.
        name: for its progress line.
        donor_dir: a finished run to graft from, where the config names none by path.
        splits: the data set, where the config names none.

    Raises:
        Refused: for names, keywords, rules, donors and data that do not fit.

    >>> from tljax.configuration import settings
    >>> build(settings(data={'name': 'digits'}, net={'name': 'conv4', 'width': 4})).classes[:3]
    ('0', '1', '2')
    """
    _refuse_counts(config)
    splits = splits or load(config['data'])
    train, seeds = splits['train'], config['seeds']
    sample = train.take(np.arange(1))
    _refuse_batches(config['method'], train, sample)
    built = program(config, train)
    donors = donors_of(config, donor_dir, built.net, built.labels, train.classes)
    labels = pseudo_labels(config, built.net, donors, train)
    run = Run(
        name=name, init=lambda seed: _start(config, built, donors, sample, seed), tx=built.tx,
        step=each_by_itself(built.step, len(seeds)), predict=built.predict, stream=_stream(config, train, built, labels),
        evals=_judged(splits), seeds=tuple(seeds), steps=config['steps'], log_every=config['log_every'],
        save_every=config['save_every'], eval_every=config['eval_every'], eval_batch=config['eval_batch'],
        chunk=config['chunk'] or (1 if jax.default_backend() == 'cpu' and len(seeds) == 1 else 10), task=train.task,
        donors=len(donors or ()), input=np.shape(sample['input'])[1:] if 'input' in sample else (),
        record={**{key: value for key, value in config.items() if key not in FREE}, 'donor': donors and digest(donors)})
    if config['cache'] and can_cache(config, built.labels, donors, splits):
        return _on_features(run, config, built, splits)
    return run


def can_cache(config: dict, labels: Tree, donors: list | None, splits: dict[str, Dataset]) -> bool:
    """Whether a run may train on features that are extracted once, because its backbone computes the same for an input at every step.

    Args:
        config: config of the phase.
        labels: tree of labels like the parameters.
        donors: [(params, state)] that the run is grafted from, or None.
        splits: {name: Dataset}.

    >>> can_cache({'method': {'name': 'maml'}}, {}, None, {})
    False
    """
    if not stated(config['method'], 'CACHED', True):   # the method asks the network for more than features
        return False
    if config['pseudo']['name'] or any(split.example for split in splits.values()):   # labels and examples that are made on the way
        return False
    if config['augment'] or config['statistics'] == 'batch':   # inputs or statistics that change from step to step
        return False
    backbone = {path: label for path, label in flatten(labels).items() if path.startswith('backbone/')}
    if set(backbone.values()) != {'frozen'}:
        return False
    taken = [(pattern, 'taken') for pattern, _ in config['init']['rules']]
    return donors is not None and len(donors) == 1 and all(first(taken, path) for path in backbone)   # one backbone for all seeds


def _refuse_counts(config):
    for key, least in (('batch', 1), ('steps', 0), ('log_every', 0), ('save_every', 0), ('eval_every', 0), ('eval_batch', 1)):
        if config[key] < least:
            raise Refused(f'config.{key}={config[key]}: give {least} or more')
    if not config['seeds'] or len(set(config['seeds'])) < len(config['seeds']) or min(config['seeds']) < 0:
        raise Refused(f'config.seeds={config["seeds"]}: give one or more, none negative, none twice')


def _refuse_batches(method, train, sample):
    """Refuses a method on data that gives other batches than it takes."""
    gives = 'episodes' if 'support' in sample else 'domains' if train.target else 'labelled'
    takes = stated(method, 'BATCHES', 'labelled')
    if takes != gives and (takes, gives) != ('labelled', 'domains'):
        raise Refused(f'method.name={method["name"]!r} takes {WANTS[takes]} (this data gives {gives})')


def _start(config, built, donors, sample, seed):
    """(params, state) before the first step: fresh, grafted, and remembered by a penalty."""
    method = built.method
    if donors is not None:
        method = combinators.with_graft(method, *donors[config['seeds'].index(seed) % len(donors)], config['init']['rules'])
    if built.penalty:
        method = combinators.with_penalty(method, built.penalty)
    return method.init(jax.random.key(seed), sample)


def _stream(config, train, built, labels=None) -> Stream:
    """Batches of the training set as the config asks for them; `labels` {seed: (size,)} take the place of its own."""
    if train.example:
        if config['per_class'] or config['shuffled']:
            raise Refused(f'per_class and shuffled have no meaning for {config["data"]["name"]}, whose examples are drawn afresh')
        return sampled(train.example, config['batch'])
    stream = draw(train, config['batch'], config['per_class'], shuffled=config['shuffled'])
    if labels:
        stream = relabelled(stream, labels)
    if train.target:
        stream = beside(stream, draw(train.target, config['batch'], stream=1))
    return keyed(stream, built.prepare) if config['augment'] else stream


def _judged(splits):
    """What scores are measured on: all of a validation or test split, and 10,000 examples of larger sets that were trained on."""
    def some(split, dataset):
        if split not in ('train', 'target') or dataset.size <= TRAINED_ON:
            return dataset
        return restrict(dataset, np.sort(np.random.default_rng(0).permutation(dataset.size)[:TRAINED_ON]))
    return {split: some(split, dataset) for split, dataset in splits.items() if dataset.size and not (split == 'train' and dataset.example)}


def _on_features(run: Run, config: dict, built: Program, splits: dict[str, Dataset]) -> Run:
    """The same run with the frozen backbone's features, extracted once, in place of the inputs; `whole` puts the backbone back."""
    params, state = jax.tree.map(lambda leaf: np.asarray(leaf)[None], run.init(run.seeds[0]))
    backbone, statistics = params['backbone'], state['backbone']
    found = featured_splits(built.net, extractor(built.net), params, state, splits, run.eval_batch)
    reduced = program(config, splits['train'], width=built.net.dim)

    def init(seed):
        params, state = run.init(seed)
        return {**params, 'backbone': {}}, {**state, 'backbone': {}}

    def whole(params, state):
        full = jax.tree.map(lambda leaf: np.repeat(leaf, len(run.seeds), 0), (backbone, statistics))
        return {**params, 'backbone': full[0]}, {**state, 'backbone': full[1]}

    return run._replace(init=init, tx=reduced.tx, step=each_by_itself(reduced.step, len(run.seeds)), predict=reduced.predict,
                        evals=_judged(found), stream=_stream(config, found['train'], reduced), whole=whole)
