"""From a phase's config, a plain dict (`tljax.configuration`), to the objects that it describes.

What is compiled depends on a part of the config alone (`_program`), so that fits which differ in their data, seeds or donor share one
compilation.
"""
import functools
import json
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from tljax import augment, combinators, layers, optim
from tljax.checkpoint import digest, load_final
from tljax.configuration import folder, named, near, short, stated
from tljax.core import Method, Refused
from tljax.data.arrays import beside, draw, keyed, relabelled, restrict, sampled
from tljax.evaluate import predictions
from tljax.features import extractor, featured_splits, pretrained
from tljax.paths import first, flatten, label
from tljax.step import Compiled, compile_jit, compile_pmap, compile_predict, each_by_itself, make_mesh, make_step, many, over_seeds
from tljax.train import Run, fit
from tljax.zoo import weights
from tljax.zoo.identity import identity

TRAINED_ON = 10_000   # examples of a training set that tell its accuracy to half a point
FREE = ('log_every', 'save_every', 'eval_every', 'eval_batch', 'parallel', 'chunk')   # may differ when a run goes on


def fit_phases(phases, workdir):
    """Fits phases in a row, each in its numbered folder, and skips those that have finished.

    Args:
        phases: pairs (name, config), as `phases` gives. workdir: of all of them.

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


def donor(settings, workdir, names):
    """The folder of the phase that a phase's config starts from, or None.

    >>> donor({'init': {'phase': 'pretrain'}}, 'runs', ['pretrain']).name
    '00-pretrain'
    """
    return folder(workdir, names, settings['init']['phase']) if settings['init']['phase'] else None


def build(config, name='train', donor_dir=None):
    """Makes the run that a phase's config describes.

    Args:
        config: a plain dict, one of `phases`. name: for its progress line. donor_dir: a finished run to graft from, where the
            config names none by path.

    Returns:
        A tljax.train.Run.

    Raises:
        Refused: for names, keywords, rules, donors and data that do not fit.

    >>> from configs import base
    >>> from tljax.configuration import phases
    >>> config = phases(base.get_config().unlock().to_dict() | {'data': {'name': 'digits'}, 'net': {'name': 'conv4', 'width': 4}})
    >>> build(config[0][1]).classes[:3]
    ('0', '1', '2')
    """
    _refuse_counts(config)
    splits = load(config['data'])
    train = splits['train']
    sample = train.take(np.arange(1))
    _refuse_batches(config['method'], train, sample)
    built = program(config, train)
    donors, rules = _donors(config, donor_dir, train.classes, built.labels), config['init']['rules']

    def init(seed):
        return _start(built, donors, rules, config['seeds'].index(seed), sample, seed)

    run = Run(
        name=name, init=init, tx=built.tx, step=each_by_itself(built.step, len(config['seeds'])), predict=built.predict,
        source=_source(config, train, built.prepare, _pseudo(config, built.net, donors, train)),
        evals=_judged(splits),
        seeds=tuple(config['seeds']), steps=config['steps'], log_every=config['log_every'], save_every=config['save_every'],
        eval_every=config['eval_every'], eval_batch=config['eval_batch'],
        chunk=config['chunk'] or (1 if jax.default_backend() == 'cpu' and len(config['seeds']) == 1 else 10),
        classes=train.classes, donors=len(donors or ()), input=np.shape(sample['input'])[1:] if 'input' in sample else (),
        record={**{key: value for key, value in config.items() if key not in FREE}, 'donor': donors and digest(donors)})
    if config['cache'] and can_cache(config, built.labels, donors, splits):
        return _on_features(run, config, built.net, splits)
    return run


def can_cache(config: dict, labels: dict, donors: list | None, splits: dict) -> bool:
    """Whether a run may train on features that are extracted once, because its backbone computes the same for an input at every step.

    Args:
        config: the config of the phase.
        labels: tree of labels like the parameters.
        donors: [(params, state)] that the run is grafted from, or None.
        splits: {name: Dataset}.

    Returns:
        True if all reasons below hold.

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


WANTS = {'domains': "unlabelled inputs of a target beside labelled ones: give data=dict(name='domains', source=..., target=...)",
         'episodes': "episodes: give data=dict(name='episodes', of=...)",
         'labelled': 'labelled examples: give a set of those'}


def _refuse_batches(method, train, sample):
    """Refuses a method on data that gives other batches than it takes."""
    gives = 'episodes' if 'support' in sample else 'domains' if train.target else 'labelled'
    takes = stated(method, 'BATCHES', 'labelled')
    if takes != gives and (takes, gives) != ('labelled', 'domains'):
        raise Refused(f'method.name={method["name"]!r} takes {WANTS[takes]} (this data gives {gives})')


def load(data):
    """The splits of a data set by its config: {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    >>> load({'name': 'digits'})['test'].size
    539
    """
    return _load(json.dumps(data))


@functools.lru_cache(maxsize=8)
def _load(key):
    data = json.loads(key)
    return named('tljax.features' if data['name'] == 'extracted' else 'tljax.data', data, 'data')   # what a network makes of a set is a set


class Program(NamedTuple):
    """What is compiled, and shared by all runs that differ in data, seeds and donors alone.

    >>> Program._fields[:3]
    ('method', 'penalty', 'net')
    """
    method: Method
    penalty: combinators.Penalty | None
    net: object
    labels: dict
    tx: object
    prepare: object
    step: Compiled
    predict: Compiled


def program(config, train, width=0):
    """The program of a phase's config for a training set like `train`; one object for all configs that mean the same program.

    `width`: of cached features that take the frozen backbone's place; 0 for none.

    >>> from configs import base
    >>> from tljax.configuration import phases
    >>> config = phases(base.get_config().unlock().to_dict() | {'data': {'name': 'digits'}, 'net': {'name': 'conv4', 'width': 4}})[0][1]
    >>> program(config, load(config['data'])['train']).labels['head']
    {'bias': 'head', 'kernel': 'head'}
    """
    parts = ('net', 'method', 'penalty', 'partition', 'statistics', 'optim', 'groups', 'steps', 'augment', 'parallel')
    sample = jax.tree.map(lambda leaf: [list(leaf.shape), str(leaf.dtype)], train.take(np.arange(1)))
    data = config['data'] if train.example else None   # examples that are made on the device are made by the program
    return _program(json.dumps({**{key: config[key] for key in parts}, 'classes': len(train.classes), 'width': width, 'sample': sample,
                                'data': data}))


@functools.lru_cache(maxsize=32)
def _program(key):
    spec = json.loads(key)
    make_net = functools.partial(named, 'tljax.zoo', spec['net'], 'net')
    groups = make_net().groups
    partition = named('tljax.optim', spec['partition'], 'partition', groups=groups)
    if frozen := stated(spec['method'], 'FROZEN', ''):
        partition = partition._replace(rules=[(frozen, 'frozen'), *partition.rules])
    net = make_net(stored=optim.stored(partition, spec['statistics']), **_form(spec['net'], spec['method']))
    method = named('tljax.methods', spec['method'], 'method', net=net, classes=spec['classes'])
    batch = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(tuple(leaf[0]), leaf[1]), spec['sample'],
                         is_leaf=lambda node: isinstance(node, list))
    labels = label(jax.eval_shape(method.init, jax.random.key(0), batch)[0], partition.rules)
    if spec['width']:   # the same method on features of that width: what the backbone was is no longer there
        net = identity(spec['width'])
        method = named('tljax.methods', spec['method'], 'method', net=net, classes=spec['classes'])
        labels = {**labels, 'backbone': {}}
    penalty = named('tljax.combinators', spec['penalty'], 'penalty') if spec['penalty']['name'] else None
    tx = optim.optimizer(labels, _groups(spec, labels, partition))
    if spec['augment'] and spec['data']:
        raise Refused(f'augment={spec["augment"]}: examples of {spec["data"]["name"]} are drawn afresh and not augmented: leave it empty')
    prepare = augment.augmented(augment.made(spec['augment'])) if spec['augment'] else lambda batch: batch
    if spec['data']:
        prepare = sampled(load(spec['data'])['train'].example, 1).prepare
    whole = combinators.with_penalty(method, penalty) if penalty else method
    if spec['parallel'] not in ('jit', 'pmap'):
        raise Refused(f'parallel={spec["parallel"]!r} is not jit or pmap')
    axis = 'data' if spec['parallel'] == 'pmap' else None
    step = many(over_seeds(make_step(whole, tx, labels, prepare, axis)))
    return Program(method._replace(init=jax.jit(method.init)), penalty, net, labels, tx, prepare,
                    compile_pmap(step) if axis else compile_jit(step, make_mesh()), compile_predict(whole.predict, make_mesh()))


def _form(net, method):
    return {} if 'form' in net else {'form': layers.place(stated(method, 'LOOPED', False))}


def _groups(spec, labels, partition):
    """label -> transform: the optimiser's settings, then the player's, then the group's own, last said wins."""
    names = set(flatten(labels).values()) - {'frozen'}
    for name in spec['groups']:
        if name not in names and not any(other.split('.')[0] == name for other in names):
            raise Refused(f'groups.{name} is no group of this run: {near(name, sorted(names))}')

    def make(name):
        settings = {**spec['optim'], **spec['groups'].get(name.split('.')[0], {}), **spec['groups'].get(name, {})}
        settings['scale'] = settings.get('scale', 1.) * partition.scales.get(name, 1.)
        return optim.group(settings.pop('name'), spec['steps'], **settings)
    return make


def _start(built, donors, rules, position, sample, seed):
    method = built.method
    if donors is not None:
        method = combinators.with_graft(method, *donors[position % len(donors)], rules)
    if built.penalty:
        method = combinators.with_penalty(method, built.penalty)
    return method.init(jax.random.key(seed), sample)


def _donors(config, donor_dir, classes, labels):
    """[(params, state)] of the finished run to graft from: one for all seeds, or one for each; None where there is no donor."""
    place = config['init']['path'] or donor_dir
    if not place:
        if config['init']['phase']:
            raise Refused(f'init.phase={config["init"]["phase"]!r}: run all phases, or name a finished run by init.path')
        return None
    rules = [(pattern, 'taken') for pattern, _ in config['init']['rules']]
    takes_head = any(path.startswith('head/') and first(rules, path) for path in flatten(labels))
    if Path(place).suffix in ('.h5', '.hdf5') or weights.NAME.fullmatch(str(place)):
        params, state, record = pretrained(config['net'].get('of', config['net']), place, top=takes_head)
    else:
        params, state, record = load_final(place)
    if (takes_head or config['pseudo']['name']) and tuple(record['classes']) != tuple(classes):
        raise Refused(f'the head of {place} knows the classes {short(record["classes"])}, this data has {short(classes)}: '
                      'graft the backbone alone (init.rules)')
    count = len(record['seeds'])
    if count not in (1, len(config['seeds'])):
        raise Refused(f'{place} was trained with {count} seeds, this run has {len(config["seeds"])}: a donor has one, or as many')
    return [jax.tree.map(lambda leaf, i=i: leaf[i], (params, state)) for i in range(count)]


def predictor(record):
    """The compiled `predict` of a finished run, or of a network with its weights, by its record.

    >>> predictor({'config': {'net': {'name': 'identity', 'dim': 2}, 'method': {'name': 'finetune'}}, 'classes': ['a', 'b']}).place(1)
    1
    """
    config = record['config']
    net = named('tljax.zoo', config['net'], 'net', **_form(config['net'], config['method']))
    return compile_predict(named('tljax.methods', config['method'], 'method', net=net, classes=len(record['classes'])).predict, make_mesh())


def _judged(splits):
    """What accuracy is measured on: all of a validation or test split, and 10,000 examples of larger sets that were trained on."""
    def some(split, dataset):
        if split not in ('train', 'target') or dataset.size <= TRAINED_ON:
            return dataset
        return restrict(dataset, np.sort(np.random.default_rng(0).permutation(dataset.size)[:TRAINED_ON]))
    return {split: some(split, dataset) for split, dataset in splits.items() if dataset.size and not (split == 'train' and dataset.example)}


def _refuse_counts(config):
    for key, least in (('batch', 1), ('steps', 0), ('log_every', 0), ('save_every', 0), ('eval_every', 0), ('eval_batch', 1)):
        if config[key] < least:
            raise Refused(f'config.{key}={config[key]}: give {least} or more')
    if any(not isinstance(seed, int) for seed in config['seeds']):
        raise Refused(f'config.seeds={config["seeds"]}: give whole numbers')
    if not config['seeds'] or len(set(config['seeds'])) < len(config['seeds']) or min(config['seeds']) < 0:
        raise Refused(f'config.seeds={config["seeds"]}: give one or more, none negative, none twice')


def _source(config, train, prepare, pseudo=None):
    if train.example:
        if config['per_class'] or config['shuffled']:
            raise Refused(f'per_class and shuffled have no meaning for {config["data"]["name"]}, whose examples are drawn afresh')
        return sampled(train.example, config['batch'])
    source = draw(train, config['batch'], config['per_class'], shuffled=config['shuffled'])
    if pseudo:
        source = relabelled(source, pseudo)
    if train.target:
        source = beside(source, draw(train.target, config['batch'], stream=1))
    return keyed(source, prepare) if config['augment'] else source


def _pseudo(config, net, donors, train):
    """{seed: labels that the seed's donor gives to the training set}, or None."""
    if stated(config['method'], 'PSEUDO', False) and not config['pseudo']['name']:
        raise Refused(f'method.name={config["method"]["name"]!r} takes pseudo-labels: set pseudo.name=centroids and name a finished run by '
                      'init.phase or init.path')
    if config['pseudo']['name'] in ('', 'given'):
        return None
    if donors is None or train.target or config['shuffled'] or config['per_class']:
        raise Refused(f'pseudo.name={config["pseudo"]["name"]!r} labels one set by a finished run: name it by init.phase or init.path, '
                      'and leave shuffled, per_class and data=domains alone')

    params, state = jax.tree.map(lambda *leaves: np.stack(leaves), *donors)
    features = predictions(extractor(net), params, state, train, config['eval_batch'])['features']
    logits = features @ params['head']['kernel'] + params['head']['bias'][:, None]
    labels = [named('tljax.pseudo', config['pseudo'], 'pseudo', features=each, logits=said)
              for each, said in zip(features, logits, strict=True)]
    return {seed: labels[i % len(labels)] for i, seed in enumerate(config['seeds'])}


def _on_features(run, config, net, splits):
    """The same run with the frozen backbone's features, extracted once, in place of the inputs; `whole` puts the backbone back."""
    params, state = jax.tree.map(lambda leaf: np.asarray(leaf)[None], run.init(run.seeds[0]))
    backbone, statistics = params['backbone'], state['backbone']
    found = featured_splits(config['net'], extractor(net), params, state, splits, run.eval_batch)
    reduced = program(config, splits['train'], width=net.dim)

    def init(seed):
        params, state = run.init(seed)
        return {**params, 'backbone': {}}, {**state, 'backbone': {}}

    def whole(params, state):
        full = jax.tree.map(lambda leaf: np.repeat(leaf, len(run.seeds), 0), (backbone, statistics))
        return {**params, 'backbone': full[0]}, {**state, 'backbone': full[1]}

    return run._replace(init=init, tx=reduced.tx, step=each_by_itself(reduced.step, len(run.seeds)), predict=reduced.predict,
                        evals=_judged(found), source=_source(config, found['train'], reduced.prepare), whole=whole)
