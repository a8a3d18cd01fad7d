"""Builds the run that a phase's config describes, and fits the phases of a run in order.

A phase is one of several fits in a row, such as 'pretrain' and 'transfer'. Its config is a plain
dict (`tljax.configuration`). A donor is the network whose weights a run starts from.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import numpy as np

from tljax.configuration import DEFAULTS, folder
from tljax.core import Dataset, Net, Start, Task, Tree, UserError, abbreviated
from tljax.data import withdrawal
from tljax.data.ranges import input_range, refuse_channels_first
from tljax.data.splits import scored_splits, signature
from tljax.data.summary import summary
from tljax.engine import scores
from tljax.engine.average_precision import refuse_no_pycocotools
from tljax.engine.checkpoint import claim, digest, write_plan
from tljax.engine.choice import SPLIT, Choice
from tljax.engine.tracing import steps_to_trace
from tljax.engine.train import Fitted, Run, fit
from tljax.epochs import length_facts, optimizer_settings, refuse_counted_steps, steps_of
from tljax.features import Donors, refuse_channels
from tljax.parts import Parts, load, parts
from tljax.paths import first, flatten, overview
from tljax.platforms import is_for_cpu
from tljax.program import Program
from tljax.protocols import Config

# Settings that may differ when a run is resumed.
FREE = ('log_every', 'save_every', 'eval_every', 'eval_batch', 'parallel', 'chunk')
# Settings that are recorded only where they are set, because older runs do not have them.
SILENT = (
    'epochs',
    'keep',
    'patience',
    'class_weights',
    'teacher',
    'label_seeds',
    'withdrawn',
    'remat',
)
SOURCE_HEAD = ('source_head/(.*)', r'head/\1')  # rule of the graft of a source's classifier
WANTS = {
    'domains': 'unlabelled inputs of a target beside labelled ones: give '
    "data=dict(name='domains', source=..., target=...)",
    'episodes': "episodes: give data=dict(name='episodes', of=...)",
    'labelled': 'labelled examples: give a set of those',
    'boxes': "pictures with boxes: give data=dict(name='boxes', path=...)",
    'tasks': "several tasks: give data=dict(name='joint_tasks', of=...)",
    'unlabelled': 'inputs alone: give a set of examples, labelled or not',
}


def fit_phases(
    phases: list[tuple[str, Config]],
    workdir: str | Path,
    started: Callable[[], None] = lambda: None,
    profile: str = '',
) -> tuple[Run | None, Fitted | None]:
    """Fits phases one after the other, each in its own numbered folder.

    A phase that has finished is loaded, not trained again.

    Args:
        phases: pairs (name, config), as `configuration.phases` returns them.
        workdir: folder that holds the folders of the phases.
        started: called before the first phase that is not finished, when all is checked.
        profile: 'FIRST:LAST', steps of the last phase that are traced (`tljax.engine.tracing`) into
            `profile` in its folder; '' for none.

    Returns:
        (run, Fitted) of the last phase; (None, None) if there are no phases.

    Raises:
        UserError: for the same reasons as `build`. All phases are checked before the first one is
            trained, except for what depends on the weights of an earlier phase.

    >>> fit_phases([], 'runs')
    (None, None)
    """
    names, run, fitted, told = [name for name, _ in phases], None, None, False
    traced = None
    for name, settings in phases:
        refuse_other_config(settings, folder(workdir, names, name))
    for name, settings in phases:  # all errors come before the first training
        donor_dir, teacher_dir = donor(settings, workdir, names), teacher(settings, workdir, names)
        functions = parts(settings, donor_dir, teacher_dir)
        _, _, steps = _program(settings, functions, splits_of(settings))
        traced = steps_to_trace(profile, steps) if profile and name == names[-1] else None
    for name, settings in phases:
        donor_dir, teacher_dir = donor(settings, workdir, names), teacher(settings, workdir, names)
        run = build(settings, name, donor_dir, teacher_dir=teacher_dir)
        run_dir = folder(workdir, names, name)
        claim(run_dir, run.record, compare_only=True)
        write_plan(workdir, [folder(workdir, names, phase).name for phase in names])
        if not told and not Path(run_dir, 'final').exists():
            told = True
            started()
        fitted = fit(run._replace(traced=traced) if name == names[-1] else run, run_dir)
    return run, fitted


def donor(settings: Config, workdir: str | Path, names: list[str]) -> Path | None:
    """The folder of the earlier phase whose weights a phase starts from; None if there is none.

    Args:
        settings: config of the phase that starts.
        workdir: folder of the run.
        names: names of all phases, in order.

    >>> donor({'init': {'phase': 'pretrain'}}, 'runs', ['pretrain']).name
    '00-pretrain'
    """
    return folder(workdir, names, settings['init']['phase']) if settings['init']['phase'] else None


def teacher(settings: Config, workdir: str | Path, names: list[str]) -> Path | None:
    """The folder of the earlier phase that teaches a phase; None if its teacher is no phase.

    Args:
        settings: config of the phase that is taught.
        workdir: folder of the run.
        names: names of all phases, in order.

    >>> teacher({'teacher': 'large'}, 'runs', ['large', 'small']).name
    '00-large'
    """
    name = settings['teacher']
    return folder(workdir, names, name) if name in names else None


def refuse_other_config(config: Config, workdir: str | Path) -> None:
    """Raises an error if a folder holds a run with another config. No data are loaded for this.

    Only the configs are compared here. `fit` compares the data and the donor as well.

    Args:
        config: a plain dict, as `build` takes it.
        workdir: folder of the run.

    Raises:
        UserError: names the settings that differ (`checkpoint.claim`).

    >>> refuse_other_config(DEFAULTS, 'a/new/folder')  # no error: the folder holds no run
    """
    refuse_counted_steps(config)
    not_in_config = ['donor', 'examples', 'teacher_weights']
    if config['epochs']:
        not_in_config.append('steps')
    claim(workdir, _record(config), compare_only=True, ignored_keys=not_in_config)


def build(
    config: Config,
    name: str = 'train',
    donor_dir: str | Path | None = None,
    splits: dict[str, Dataset] | None = None,
    teacher_dir: str | Path | None = None,
    functions: Parts | None = None,
) -> Run:
    """Makes the run that a phase's config describes.

    Args:
        config: a plain dict, one of `configuration.phases` or the result of
            `configuration.settings`.
        name: name of the run on its progress line.
        donor_dir: folder of a finished run whose weights this run starts from. If the config sets
            `init.path`, that is used instead.
        splits: the data set; None for the one that the config names.
        teacher_dir: folder of a finished run that teaches this run; None for the one that the
            config names.
        functions: in the place of those that `parts` makes of the config.

    Raises:
        UserError: for unknown names or keywords, and for rules, a donor or data that do not fit the
            rest of the config.

    >>> from tljax.configuration import settings
    >>> run = build(settings(data={'name': 'digits'}, net={'name': 'conv4', 'width': 4}, steps=9))
    >>> run.steps, len(run.seeds), run.classes[:3]
    (9, 1, ('0', '1', '2'))
    """
    functions = functions or parts(config, donor_dir, teacher_dir)
    splits = splits_of(config, splits)
    train, seeds = splits['train'], config['seeds']
    program, sample, steps = _program(config, functions, splits)
    rules = _rules(config['init']['rules'], functions, program)
    donors = None
    if functions.donors:
        donors = _donors(functions, program, rules, train, len(seeds))
    trees = donors.trees if donors else [None]  # one for all seeds, or one for each seed
    teachers = _teachers(functions, train, len(seeds)) if functions.teacher else None
    labels = _pseudo_labels(functions, program.net, donors, train, seeds)

    def init(seed):
        i = seeds.index(seed)
        start = Start(
            functions.examples(train, seed, labels=labels),
            splits.get('validation'),
            teachers and teachers.trees[i % len(teachers.trees)],
        )
        return program.init(seed, sample, start, trees[i % len(trees)], rules)

    origins = [(pattern, donors.place) for pattern, _ in rules] if donors else []
    task = Task.of(train.classes) if train.task.kind == 'unlabelled' else train.task
    run = Run(
        name=name,
        init=init,
        tx=program.tx,
        step=program.step,
        predict=program.predict,
        stream=functions.stream(train, prepare=program.prepare, labels=labels),
        evals=_scored(functions, splits),
        seeds=tuple(seeds),
        steps=steps,
        epochs=config['epochs'],
        withdrawn=withdrawal.read_ids(config['withdrawn']),
        net=program.net,
        log_every=config['log_every'],
        save_every=config['save_every'],
        eval_every=config['eval_every'],
        eval_batch=config['eval_batch'],
        chunk=config['chunk'] or (1 if is_for_cpu() and len(seeds) == 1 else 10),
        task=task,
        choice=Choice(
            config['keep'],
            config['patience'],
            scores.more_is_better(task),
        ),
        donors=len(donors.trees) if donors else 0,
        input=_shape(sample),
        range=input_range(train),
        transferred=overview(
            program.shapes, program.labels, program.rates, origins, program.net.groups
        ),
        facts=lambda: (
            *summary(splits),
            ('statistics', config['statistics']),
            *([('teacher', teachers.place)] if teachers else []),
            *length_facts(config, train, steps),
        ),
        record={
            **_record(config),
            'steps': steps,
            'donor': digest(donors.trees) if donors and donors.are_read else None,
            'examples': signature(splits),
            **(
                {'teacher_weights': digest(teachers.trees)}
                if teachers and teachers.are_read
                else {}
            ),
        },
    )
    if program.method.final:
        finish = jax.jit(jax.vmap(program.method.final))
        run = run._replace(full_layout=lambda params, state: (finish(params), state))
    if functions.cached and can_cache(program.labels, donors, rules, splits):
        optim = optimizer_settings(config, steps)
        return _on_features(run, functions, program.net, splits, optim)
    return run


def splits_of(config: Config, splits: dict[str, Dataset] | None = None) -> dict[str, Dataset]:
    """The splits that a run is trained and scored on, without the withdrawn examples.

    Args:
        config: a plain dict, as `build` takes it.
        splits: as `build` takes them.

    Raises:
        UserError: as `parts.load` and `withdrawal.without`.

    >>> from tljax.configuration import settings
    >>> config = settings(data={'name': 'digits'}, withdrawn=['train/3', 'test/0'])
    >>> {name: split.size for name, split in splits_of(config).items()}
    {'train': 898, 'validation': 359, 'test': 538}
    """
    ids = withdrawal.read_ids(config['withdrawn'])
    if ids:
        withdrawal.refuse_fitted(config['data'])
    return withdrawal.without(splits or load(config['data']), ids)


def _pseudo_labels(functions, net, donors, train, seeds):
    """{seed: pseudo-labels} if the config asks for them, and otherwise {}."""
    if not functions.labels or not donors:
        return {}
    label_sets = functions.labels(net, donors, train)
    return {seed: label_sets[i % len(label_sets)] for i, seed in enumerate(seeds)}


def _program(
    config: Config, functions: Parts, splits: dict[str, Dataset]
) -> tuple[Program, Tree, int]:
    """The program of a phase, a batch of one training example, and the number of steps."""
    train = splits['train']
    sample = train.take(np.arange(1))
    _refuse_batches(functions, config['method'], train, sample)
    refuse_channels_first(np.shape(sample['input'])[1:] if 'input' in sample else ())
    steps = steps_of(config, train)
    _refuse_choice(config, _scored(functions, splits), steps)
    program = functions.program(train, steps=steps, optim=optimizer_settings(config, steps))
    return program, sample, steps


def _scored(functions: Parts, splits: dict[str, Dataset]) -> dict[str, Dataset]:
    """The splits that are scored: none by a method that reads no labels."""
    return {} if functions.batches == 'unlabelled' else scored_splits(splits)


def _record(config):
    """The settings that are written to a run's folder, and that a resumed run must share."""
    omitted = {key for key in SILENT if config[key] == DEFAULTS[key]} | {*FREE}
    if config['keep'] != 'last' or config['patience']:  # then evaluations decide how a run ends
        omitted -= {'eval_every'}
    record = {key: value for key, value in config.items() if key not in omitted}
    if 'withdrawn' in record:
        record['withdrawn'] = withdrawal.facts(withdrawal.read_ids(config['withdrawn']))
    return record


def _refuse_choice(config, splits, steps):
    """Raises an error for `keep` or `patience` without evaluations, or without validation data."""
    keep, patience = config['keep'], config['patience']
    if not steps or (keep == 'last' and not patience):
        return
    setting = f'patience={patience}' if patience else f'keep={keep!r}'
    if not 0 < config['eval_every'] < max(steps, 1):
        raise UserError(
            f'{setting} goes by scores during training: set eval_every, between 1 and {steps - 1} '
            f'for these {steps} steps (it is {config["eval_every"]})'
        )
    if SPLIT not in splits or not splits[SPLIT].size:
        raise UserError(
            f'{setting} goes by the {SPLIT} split, and this data has none: give one, or leave keep '
            'and patience alone'
        )
    if splits['train'].task.tasks:
        scores.first_score(splits['train'].task)  # refuses tasks whose scores have no mean


def can_cache(
    labels: Tree,
    donors: Donors | None,
    rules: Sequence[Sequence[str | None]],
    splits: dict[str, Dataset],
) -> bool:
    """Whether the backbone computes the same features of an input at every step, for every seed.

    The features can then be extracted once. The whole backbone must be frozen and copied from one
    donor, and no split may draw new examples in every step.

    Args:
        labels: tree of strings with the structure of the parameters, 'frozen' for parameters that
            are not trained.
        donors: the networks that the run starts from, or None.
        rules: pairs (pattern, path in the donor): the parameters that are copied from the donor.
        splits: {name: Dataset}.

    >>> labels, rules = {'backbone': {'w': 'frozen'}}, [('backbone/.*', None)]
    >>> can_cache(labels, Donors([({}, {})], (), 'runs/a'), rules, {})
    True
    >>> can_cache(labels, None, [], {})  # without a donor, every seed has a backbone of its own
    False
    """
    backbone = {
        path: label for path, label in flatten(labels).items() if path.startswith('backbone/')
    }
    if donors is None or len(donors.trees) != 1:
        return False
    if any(split.example for split in splits.values()):
        return False
    frozen = set(backbone.values()) == {'frozen'}
    return frozen and all(_grafted(rules, path) for path in backbone)


def _shape(sample):
    """The shape of one input of a batch."""
    if 'support' in sample:  # episodes: (tasks, ways, shots, ...)
        return np.shape(sample['support']['input'])[3:]
    return np.shape(sample['input'])[1:]


def _refuse_batches(functions, method, train, sample):
    """Raises an error for data whose batches the method does not take."""
    input = sample.get('input')
    if isinstance(input, np.ndarray) and input.dtype.kind == 'O':
        raise UserError(
            "inputs are texts, and networks take numbers: lay dict(name='tfidf', of=...) around "
            'the data set'
        )
    kind = 'episodes' if 'support' in sample else 'domains' if train.target else 'labelled'
    kind = 'tasks' if train.task.tasks else kind
    kind = 'boxes' if train.task.kind == 'boxes' else kind
    if kind == 'boxes':
        refuse_no_pycocotools()
    if (functions.batches, kind) in (('unlabelled', 'labelled'), ('unlabelled', 'domains')):
        return  # it reads no labels
    if functions.batches != kind and (functions.batches, kind) != ('labelled', 'domains'):
        raise UserError(
            f'method.name={method["name"]!r} takes {WANTS[functions.batches]} (this data gives '
            f'{kind})'
        )
    if train.task.kind == 'labels' and not functions.several:
        raise UserError(
            f'method.name={method["name"]!r} takes one class for each example, and this data has '
            'several labels: take finetune, or data.task'
        )
    if train.task.kind == 'unlabelled' and not functions.labels:
        raise UserError(
            f'method.name={method["name"]!r} learns from labels, and these examples have '
            "none: give a set with labels, or pseudo=dict(name='centroids')"
        )
    if functions.labels and train.target:
        raise UserError('pseudo-labels are made for one set: do not set data=domains')


def _donors(functions, program, rules, train, seeds):
    """The donors of a run. Raises an error if their classes, seeds or channels do not fit it."""
    takes_head = any(
        path.startswith('head/') and _grafted(rules, path) for path in flatten(program.labels)
    )
    donors = functions.donors(program.net, top=takes_head or functions.source == 'head')
    if SOURCE_HEAD in rules:
        _refuse_source_head(donors, program.shapes['source_head']['kernel'].shape[-1])
    for name, task in train.task.by_name.items():
        known_classes = donors.tasks.get(name, {}).get('classes', list(task.names))
        if _grafted(rules, f'head/{name}/kernel') and known_classes != list(task.names):
            raise UserError(
                f'the head of {donors.place} for the task {name} knows the classes '
                f'{abbreviated(known_classes)}, this data has {abbreviated(task.names)}: graft the '
                'backbone alone (init.rules)'
            )
    takes_head = takes_head and not train.task.tasks
    if train.task.kind == 'boxes':  # the layers of boxes are the same for all classes
        takes_head = any(
            path.startswith('head/class/') and _grafted(rules, path)
            for path in flatten(program.labels)
        )
    if (takes_head or functions.labels) and donors.classes != train.classes:
        raise UserError(
            f'the head of {donors.place} knows the classes {abbreviated(donors.classes)}, this '
            f'data has {abbreviated(train.classes)}: graft the backbone alone (init.rules)'
        )
    _refuse_seeds(donors, seeds)
    refuse_channels(donors, program.shapes, rules)
    return donors


def _refuse_seeds(donors, seeds):
    if len(donors.trees) not in (1, seeds):
        raise UserError(
            f'{donors.place} was trained with {len(donors.trees)} seeds, this run has {seeds}: a '
            'donor has one, or as many'
        )


def _rules(rules, functions, program):
    """The rules of the graft; a method that keeps the source's classifier takes the head of the
    donor, unless a rule of the config matches `source_head`."""
    if functions.source != 'head':
        return rules
    paths = [path for path in flatten(program.shapes) if path.startswith('source_head/')]
    return rules if all(_grafted(rules, path) for path in paths) else [*rules, SOURCE_HEAD]


def _refuse_source_head(donors, outputs):
    """Raises an error for a donor without a classifier, or with another number of outputs."""
    head = donors.trees[0][0].get('head', {})
    if not {'kernel', 'bias'} <= set(head):
        raise UserError(
            f'{donors.place} has no classifier, and the method keeps the one of the source: name '
            'weights with their top, or a run that was trained on classes'
        )
    if head['kernel'].shape[-1] != outputs:
        raise UserError(
            f'the classifier of {donors.place} has {head["kernel"].shape[-1]} outputs, and '
            f'method.source_classes is {outputs}: set it to {head["kernel"].shape[-1]}'
        )


def _teachers(functions, train, seeds):
    """The teachers of a run. Raises an error if their classes or seeds do not fit it."""
    teachers = functions.teacher()
    if teachers.classes != train.classes:
        raise UserError(
            f'the teacher {teachers.place} knows the classes {abbreviated(teachers.classes)}, this '
            f'data has {abbreviated(train.classes)}: name a run that was trained on the same ones'
        )
    if not {'kernel', 'bias'} <= set(teachers.trees[0][0].get('head', {})):
        raise UserError(f'the teacher {teachers.place} has no linear head: name another run')
    _refuse_seeds(teachers, seeds)
    return teachers


def _grafted(rules, path):
    """Whether the parameter at a path is copied from the donor: a rule matches it."""
    return bool(first([(pattern, 'grafted') for pattern, _ in rules], path))


def _on_features(
    run: Run, functions: Parts, net: Net, splits: dict[str, Dataset], optim: Config
) -> Run:
    """The same run, but of the head alone, on features that the frozen backbone computes once.

    `full_layout` adds the backbone again, so that the run ends with the same tree of parameters.
    """
    params, state = jax.tree.map(lambda leaf: np.asarray(leaf)[None], run.init(run.seeds[0]))
    features = functions.features(net, params, state, splits)
    program = functions.program(splits['train'], net.dim, steps=run.steps, optim=optim)

    def init(seed):
        params, state = run.init(seed)
        return {**params, 'backbone': {}}, {**state, 'backbone': {}}

    def full_layout(head_params, head_state):
        backbone, statistics = jax.tree.map(
            lambda leaf: np.repeat(leaf, len(run.seeds), 0), (params['backbone'], state['backbone'])
        )
        return {**head_params, 'backbone': backbone}, {**head_state, 'backbone': statistics}

    return run._replace(
        init=init,
        tx=program.tx,
        step=program.step,
        predict=program.predict,
        evals=scored_splits(features),
        full_layout=full_layout,
        stream=functions.stream(features['train']),
    )
