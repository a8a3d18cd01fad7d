"""From a phase's config, a plain dict (`tljax.configuration`), to the run that it describes."""

import math
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from tljax.configuration import DEFAULTS, folder
from tljax.core import Dataset, Net, Task, Tree, UserError, abbreviated
from tljax.data.ranges import input_range, refuse_channels_first
from tljax.data.splits import per_class, scored_splits, signature
from tljax.data.summary import summary
from tljax.engine import scores
from tljax.engine.checkpoint import claim, digest, write_plan
from tljax.engine.choice import SPLIT, Choice
from tljax.engine.train import Fitted, Run, fit
from tljax.features import Donors, refuse_channels
from tljax.parts import Parts, load, parts
from tljax.paths import first, flatten, overview
from tljax.program import Program
from tljax.protocols import Config

# may differ when a run goes on
FREE = ('log_every', 'save_every', 'eval_every', 'eval_batch', 'parallel', 'chunk')
# recorded where they are set: older runs know none
SILENT = ('epochs', 'keep', 'patience', 'class_weights')
WANTS = {
    'domains': 'unlabelled inputs of a target beside labelled ones: give '
    "data=dict(name='domains', source=..., target=...)",
    'episodes': "episodes: give data=dict(name='episodes', of=...)",
    'labelled': 'labelled examples: give a set of those',
}


def fit_phases(
    phases: list[tuple[str, Config]], workdir: str | Path
) -> tuple[Run | None, Fitted | None]:
    """Fits phases in a row, each in its numbered folder, and skips those that have finished.

    Args:
        phases: pairs (name, config), as `configuration.phases` gives.
        workdir: folder of all of them.

    Returns:
        (run, Fitted) of the last phase.

    Raises:
        UserError: as `build`, before the first phase is trained; what donors alone can tell, later.

    >>> fit_phases([], 'runs')
    (None, None)
    """
    names, run, fitted = [name for name, _ in phases], None, None
    for name, settings in phases:
        refuse_other_config(settings, folder(workdir, names, name))
    for _, settings in phases:  # what does not fit is refused before the first is trained
        _program(settings, parts(settings, donor(settings, workdir, names)), load(settings['data']))
    for name, settings in phases:
        run, place = (
            build(settings, name, donor(settings, workdir, names)),
            folder(workdir, names, name),
        )
        claim(place, run.record, compare_only=True)
        write_plan(workdir, [folder(workdir, names, each).name for each in names])
        fitted = fit(run, place)
    return run, fitted


def donor(settings: Config, workdir: str | Path, names: list[str]) -> Path | None:
    """The folder of the phase that a phase's config starts from, or None.

    Args:
        settings: config of the phase.
        workdir: folder of the run.
        names: of all phases, in their order.

    >>> donor({'init': {'phase': 'pretrain'}}, 'runs', ['pretrain']).name
    '00-pretrain'
    """
    return folder(workdir, names, settings['init']['phase']) if settings['init']['phase'] else None


def refuse_other_config(config: Config, workdir: str | Path) -> None:
    """Refuses another config than that of the run in a folder, before anything is loaded.

    It goes by what configs alone tell; `fit` looks once more.

    Args:
        config: a plain dict, as `build` takes it.
        workdir: folder of the run.

    Raises:
        UserError: as `claim`.

    >>> refuse_other_config(DEFAULTS, 'nowhere')
    """
    _refuse_counted(config)
    unknown = ('donor', 'examples', *(['steps'] if config['epochs'] else []))
    claim(workdir, _record(config), compare_only=True, ignored_keys=unknown)


def build(
    config: Config,
    name: str = 'train',
    donor_dir: str | Path | None = None,
    splits: dict[str, Dataset] | None = None,
) -> Run:
    """Makes the run that a phase's config describes.

    Args:
        config: a plain dict, one of `configuration.phases`, or what `configuration.settings` gives.
        name: for its progress line.
        donor_dir: a finished run to graft from, where the config names none by path.
        splits: the data set, where the config names none.

    Raises:
        UserError: for names, keywords, rules, donors and data that do not fit.

    >>> from tljax.configuration import settings
    >>> build(settings(data={'name': 'digits'}, net={'name': 'conv4', 'width': 4})).classes[:3]
    ('0', '1', '2')
    """
    pieces = parts(config, donor_dir)
    splits, seeds, rules = splits or load(config['data']), config['seeds'], config['init']['rules']
    built, sample, steps = _program(config, pieces, splits)
    train = splits['train']
    answered = Task.of(train.classes) if train.task.kind == 'unlabelled' else train.task
    donors = pieces.donors and _checked(pieces, built, rules, train, len(seeds))
    trees, taken = (
        (donors.trees, [(pattern, donors.place) for pattern, _ in rules])
        if donors
        else ([None], [])
    )
    labels = pieces.labels(built.net, donors, train) if pieces.labels and donors else []
    run = Run(
        name=name,
        init=lambda seed: built.init(seed, sample, trees[seeds.index(seed) % len(trees)], rules),
        tx=built.tx,
        step=built.step,
        predict=built.predict,
        evals=scored_splits(splits),
        task=answered,
        stream=pieces.stream(
            train,
            prepare=built.prepare,
            labels={seed: labels[i % len(labels)] for i, seed in enumerate(seeds) if labels},
        ),
        seeds=tuple(seeds),
        steps=steps,
        epochs=config['epochs'],
        log_every=config['log_every'],
        save_every=config['save_every'],
        eval_every=config['eval_every'],
        eval_batch=config['eval_batch'],
        chunk=config['chunk'] or (1 if jax.default_backend() == 'cpu' and len(seeds) == 1 else 10),
        transferred=overview(built.shapes, built.labels, built.rates, taken, built.net.groups),
        facts=lambda: (
            *summary(splits),
            ('statistics', config['statistics']),
            *_length(config, train, steps),
        ),
        choice=Choice(
            config['keep'],
            config['patience'],
            scores.score_named(scores.first_score(answered)).more_is_better,
        ),
        donors=len(donors.trees) if donors else 0,
        input=_shape(sample),
        range=input_range(train),
        record={
            **_record(config),
            'steps': steps,
            'donor': donors and digest(donors.trees),
            'examples': signature(splits),
        },
    )
    cached = pieces.cached and can_cache(built.labels, donors, rules, splits)
    return _on_features(run, pieces, built.net, splits, _optim(config, steps)) if cached else run


def _program(
    config: Config, pieces: Parts, splits: dict[str, Dataset]
) -> tuple[Program, Tree, int]:
    """The program of a phase, an example of its training set, and the number of its steps."""
    train = splits['train']
    sample = train.take(np.arange(1))
    _refuse_batches(pieces, config['method'], train, sample)
    refuse_channels_first(np.shape(sample['input'])[1:] if 'input' in sample else ())
    steps = _steps(config, train)
    _refuse_choice(config, splits, steps)
    return pieces.program(train, steps=steps, optim=_optim(config, steps)), sample, steps


def _record(config):
    """What a run's folder says of its config."""
    left_out = {key for key in SILENT if config[key] == DEFAULTS[key]} | {*FREE}
    if config['keep'] != 'last' or config['patience']:  # how often it looks changes how it ends
        left_out -= {'eval_every'}
    return {key: value for key, value in config.items() if key not in left_out}


def _steps(config, train):
    """The steps of a run: those of the config, or as many as its epochs have."""
    epochs = config['epochs']
    if not epochs or not config['steps']:  # what is not trained at all is not trained by epochs
        return config['steps']
    _refuse_counted(config)
    if train.example:
        raise UserError(
            f'epochs={epochs:g} of data whose examples are drawn afresh: there is no end to pass, '
            'so set steps'
        )
    return max(math.ceil(round(epochs * _examples(config, train) / config['batch'], 9)), 1)


def _refuse_counted(config):
    """Refuses epochs where something else is counted in steps."""
    epochs, counted = config['epochs'], None
    if not epochs or not config['steps']:
        return
    periods = [
        f'groups.{name}.period'
        for name, keywords in config['groups'].items()
        if keywords.get('period', 1) > 1
    ]
    if counted := _ramp(config['method'], 'method') or next(iter(periods), None):
        raise UserError(
            f'epochs={epochs:g}: {counted} is counted in steps: set steps in place of epochs'
        )


def _optim(config, steps):
    """The optimiser's config; a warm-up that epochs leave no room for takes a tenth of the
    steps."""
    optim = config['optim']
    longer = config['epochs'] and optim.get('warmup', 0) >= steps
    return {**optim, 'warmup': steps // 10} if longer else optim


def _ramp(spec, said):
    """The name of a schedule of the method that counts steps, however deep it lies, or None."""
    inside = [
        _ramp(value, f'{said}.{key}') for key, value in spec.items() if isinstance(value, dict)
    ]
    return f'{said}.ramp' if spec.get('ramp') else next(filter(None, inside), None)


def _examples(config, train):
    return len(per_class(train.label, config['per_class'], config['seeds'][0]))


def _length(config, train, steps):
    """What epochs mean here, as a fact."""
    if not config['epochs'] or not steps:
        return []
    told = (
        f'{steps}: {config["epochs"]:g} epochs of {_examples(config, train)} examples, '
        f'{config["batch"]} at a time'
    )
    optim = _optim(config, steps)
    if optim is not config['optim']:
        told += f'; a warm-up of {optim["warmup"]} steps in place of {config["optim"]["warmup"]}'
    return [('steps', told)]


def _refuse_choice(config, splits, steps):
    """Refuses a choice that there are no scores for."""
    if config['keep'] == 'last' and not config['patience'] or not steps:
        return
    said = f'patience={config["patience"]}' if config['patience'] else f'keep={config["keep"]!r}'
    if not 0 < config['eval_every'] < max(steps, 1):
        raise UserError(
            f'{said} goes by scores during training: set eval_every, between 1 and {steps - 1} for '
            f'these {steps} steps (it is {config["eval_every"]})'
        )
    if SPLIT not in splits or not splits[SPLIT].size:
        raise UserError(
            f'{said} goes by the {SPLIT} split, and this data has none: give one, or leave keep '
            'and patience alone'
        )


def can_cache(
    labels: Tree,
    donors: Donors | None,
    rules: Sequence[Sequence[str | None]],
    splits: dict[str, Dataset],
) -> bool:
    """Whether a frozen backbone computes the same for an input at every step and seed, so that
    features are extracted once.

    Args:
        labels: tree of labels like the parameters.
        donors: what the run is grafted from, or None.
        rules: of the graft.
        splits: {name: Dataset}.

    >>> can_cache({'backbone': {'w': 'frozen'}}, None, [], {})
    False
    """
    backbone = {
        path: label for path, label in flatten(labels).items() if path.startswith('backbone/')
    }
    one = (
        donors is not None
        and len(donors.trees) == 1
        and all(_grafted(rules, path) for path in backbone)
    )
    return (
        one
        and set(backbone.values()) == {'frozen'}
        and not any(split.example for split in splits.values())
    )


def _shape(sample):
    """The shape of one input of a batch, or of episodes, whose axes are (tasks, ways, shots,
    ...)."""
    if 'support' in sample:
        return np.shape(sample['support']['input'])[3:]
    return np.shape(sample['input'])[1:]


def _refuse_batches(pieces, method, train, sample):
    """Refuses data that give other batches than the method takes."""
    gives = 'episodes' if 'support' in sample else 'domains' if train.target else 'labelled'
    if pieces.batches != gives and (pieces.batches, gives) != ('labelled', 'domains'):
        raise UserError(
            f'method.name={method["name"]!r} takes {WANTS[pieces.batches]} (this data gives '
            f'{gives})'
        )
    if train.task.kind == 'labels' and not pieces.several:
        raise UserError(
            f'method.name={method["name"]!r} takes one class for each example, and this data has '
            'several labels: take finetune, or data.task'
        )
    if train.task.kind == 'unlabelled' and not pieces.labels:
        raise UserError(
            f'method.name={method["name"]!r} learns from labels, and these examples have '
            "none: give a set with labels, or pseudo=dict(name='centroids')"
        )
    if pieces.labels and train.target:
        raise UserError('pseudo-labels are made for one set: leave data=domains alone')


def _checked(pieces, built, rules, train, seeds):
    """The donors of a run, after a check that their classes and seeds fit."""
    takes_head = any(
        path.startswith('head/') and _grafted(rules, path) for path in flatten(built.labels)
    )
    donors = pieces.donors(built.net, top=takes_head)
    if (takes_head or pieces.labels) and donors.classes != train.classes:
        raise UserError(
            f'the head of {donors.place} knows the classes {abbreviated(donors.classes)}, this '
            f'data has {abbreviated(train.classes)}: graft the backbone alone (init.rules)'
        )
    if len(donors.trees) not in (1, seeds):
        raise UserError(
            f'{donors.place} was trained with {len(donors.trees)} seeds, this run has {seeds}: a '
            'donor has one, or as many'
        )
    refuse_channels(donors, built.shapes, rules)
    return donors


def _grafted(rules, path):
    """Whether a rule of the graft asks for the parameter."""
    return bool(first([(pattern, 'grafted') for pattern, _ in rules], path))


def _on_features(
    run: Run, pieces: Parts, net: Net, splits: dict[str, Dataset], optim: Config
) -> Run:
    """The same run with the frozen backbone's features, extracted once, in place of the inputs;
    `full_layout` puts the backbone back."""
    params, state = jax.tree.map(lambda leaf: np.asarray(leaf)[None], run.init(run.seeds[0]))
    found = pieces.features(net, params, state, splits)
    reduced = pieces.program(splits['train'], net.dim, steps=run.steps, optim=optim)

    def init(seed):
        params, state = run.init(seed)
        return {**params, 'backbone': {}}, {**state, 'backbone': {}}

    def full_layout(head_params, head_state):
        backbone, statistics = jax.tree.map(
            lambda leaf: np.repeat(leaf, len(run.seeds), 0), (params['backbone'], state['backbone'])
        )
        return (
            {**head_params, 'backbone': backbone},
            {**head_state, 'backbone': statistics},
        )

    return run._replace(
        init=init,
        tx=reduced.tx,
        step=reduced.step,
        predict=reduced.predict,
        evals=scored_splits(found),
        full_layout=full_layout,
        stream=pieces.stream(found['train']),
    )
