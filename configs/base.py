"""What configs share: the default settings, options after a config's name, and common pieces.

Real data is read from the folder `$TLJAX_DATA`, or from `data` where the variable is not set.
"""

import os
from contextlib import suppress
from pathlib import Path

from ml_collections import ConfigDict, config_dict

from tljax.configuration import DEFAULTS
from tljax.protocols import Config

PACS = ('photo', 'art_painting', 'cartoon', 'sketch')  # domains of Li et al. 2017
EPISODES = 'glyphs', 'omniglot'  # sets of characters that `episodic` draws from


def get_config() -> ConfigDict:
    """Returns a locked config with the default settings, for an experiment's config to change.

    A data set, network, method or augmentation is `dict(name='x', **keywords)`, where the keywords
    are arguments of the function x.
    """
    config = ConfigDict(
        dict(
            commands=('train', 'compare'),  # experiments that take this config, the main one first
            **{key: _tuples(value) for key, value in DEFAULTS.items()},
            # trainings in a row: name -> settings that differ
            phases=ConfigDict(sort_keys=False),
            study=ConfigDict(  # of experiments.compare
                dict(
                    baseline='scratch',
                    budgets=(),  # labels per class; None: all
                    # name -> settings that differ from the last phase
                    strategies=ConfigDict(sort_keys=False),
                ),
                sort_keys=False,
            ),
        ),
        sort_keys=False,
    )
    config.per_class = config_dict.placeholder(int)
    return config.lock()


def _tuples(tree: object) -> object:
    """Returns settings with tuples for lists: the command line can replace a tuple."""
    if isinstance(tree, dict):
        return {key: _tuples(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return tuple(_tuples(value) for value in tree)
    return tree


def shallow() -> ConfigDict:
    """Returns a locked config of `experiments.shallow`."""
    return ConfigDict(
        dict(
            commands=('shallow',),
            domains=ConfigDict(sort_keys=False),  # name -> a set of tljax.data
            splits=dict(  # splits that are read of the source, and of the target
                source=('train', 'validation', 'test'), target=('train', 'validation', 'test')
            ),
            net=dict(name=''),  # network of tljax.zoo that makes features; '': raw inputs
            init=dict(path='imagenet'),  # weights of that network: 'imagenet' or a Keras file
            scale='none',  # scaling of features: none, standard (columns), unit (rows)
            tasks=(),  # 'source-target'; (): all ordered pairs
            methods=ConfigDict(sort_keys=False),  # name -> classifier, and map or weights
        ),
        sort_keys=False,
    ).lock()


def many_tasks() -> ConfigDict:
    """Returns a locked config of `experiments.tasks`."""
    return ConfigDict(
        dict(
            commands=('tasks',),
            sets=ConfigDict(sort_keys=False),  # name of a task -> a set of tljax.data
            share=0.75,  # of the examples of a task that are trained on
            new=0.0,  # share of the tasks that are new; 0: all tasks are learnt together
            methods=ConfigDict(sort_keys=False),  # name -> learner, of tljax.shallow, and penalties
            baselines=(),  # methods that the others are compared with
            choices=5,  # cuts of the training examples that choose among a method's penalties
            seeds=(0,),  # one split each
        ),
        sort_keys=False,
    ).lock()


def parse_arg(arg: str | None, **defaults: str | float | tuple[str, ...]) -> ConfigDict:
    """Reads 'source=untrained,smoke' into a ConfigDict with the names and types of the defaults.

    Args:
        arg: comma-separated options after the colon of `--config`; a name without a value is set to
            true; None for the defaults.
        **defaults: a string, a number or a truth value, or a tuple of the allowed strings, whose
            first one is the default.

    Raises:
        ValueError: for an unknown name, and for a value of another type or outside its tuple.

    >>> options = parse_arg('source=untrained,smoke', source=('glyphs', 'untrained'), smoke=False)
    >>> options.source, options.smoke
    ('untrained', True)
    """
    values = {}
    for name, default in defaults.items():
        values[name] = default[0] if isinstance(default, tuple) else default
    for option in (arg or '').split(','):
        if not option:
            continue
        name, equals, text = option.partition('=')
        if name not in defaults:
            raise ValueError(
                f'config argument {name!r} is unknown: this config takes {", ".join(defaults)}'
            )
        if isinstance(defaults[name], bool) and not equals:
            text = 'true'
        values[name] = _value(name, text, defaults[name])
    return ConfigDict(values).lock()


def _value(name: str, text: str, default: str | float | tuple[str, ...]) -> str | float:
    """Returns the value of an option, in the default's type."""
    if isinstance(default, tuple):
        if text not in default:
            raise ValueError(
                f'config argument {name}={text} is not one of {", ".join(filter(None, default))}'
            )
        return text
    if isinstance(default, bool):
        if text in ('true', 'false'):
            return text == 'true'
    else:
        with suppress(ValueError):
            return type(default)(text)
    raise ValueError(f'config argument {name}={text} is no {type(default).__name__}')


def pair(options: ConfigDict) -> str:
    """Returns the task 'A-B' of the options `source=A,target=B`; '' where neither is given.

    Args:
        options: options that `parse_arg` returned, with `source` and `target`.

    Raises:
        ValueError: if only one of them is given, or both are the same.

    >>> pair(parse_arg('source=photo,target=sketch', source='', target=''))
    'photo-sketch'
    """
    source, target = options.source, options.target
    if bool(source) != bool(target):
        name = 'target' if source else 'source'
        raise ValueError(f'config argument {name} is missing: write source=A,target=B')
    if source and source == target:
        raise ValueError(f'config arguments source and target are both {source}: give two')
    return f'{source}-{target}' if source else ''


def data(path: str) -> str:
    """Returns the path of a file of real data.

    Args:
        path: path in the folder of the data, such as 'usps/usps.h5'.
    """
    return str(Path(os.environ.get('TLJAX_DATA', 'data'), path))


def pacs(domain: str, size: int = 112) -> Config:
    """Returns the config of a domain of PACS.

    Args:
        domain: a name in PACS.
        size: side of the pictures, in pixels.
    """
    return dict(name='folder', path=data('pacs/pacs_112.zip'), domain=domain, size=size)


def mnist(**keywords: int | str) -> Config:
    """Returns the config of MNIST's handwritten digits.

    Args:
        **keywords: keywords of `tljax.data.mnist`, such as channels=3.
    """
    return dict(name='mnist', path=data('mnist/raw'), **keywords)


def usps(**keywords: int | str) -> Config:
    """Returns the config of USPS's handwritten digits.

    Args:
        **keywords: keywords of `tljax.data.usps`, such as size=28.
    """
    return dict(name='usps', path=data('usps/usps.h5'), **keywords)


def mnist_m() -> Config:
    """Returns the config of MNIST-M: MNIST's training digits on patches of photographs, and the
    published test set."""
    return dict(
        name='mnist_m',
        path=data('mnist_m/mnist_m_test.zip'),
        mnist=data('mnist/raw'),
        photographs=data('bsds_patches_source'),
    )


def mobilenet(**keywords: float | str) -> Config:
    """Returns the config of MobileNet at alpha 0.25, the network of `mobilenet_weights`.

    Args:
        **keywords: keywords of `tljax.zoo.mobilenet`, such as momentum=0.9.
    """
    return dict(name='mobilenet', alpha=0.25, **keywords)


def mobilenet_weights(top: bool = False) -> str:
    """Returns the path of the ImageNet weights of MobileNet at alpha 0.25.

    Args:
        top: whether the file has the layers above the features.
    """
    file = 'mobilenet_2_5_224_tf.h5' if top else 'mobilenet_2_5_224_tf_no_top.h5'
    return data(f'imagenet_weights/{file}')


def lite0(**keywords: float | str) -> Config:
    """Returns the config of EfficientNet-Lite0, the network of `lite0_weights`.

    Args:
        **keywords: keywords of `tljax.zoo.efficientnet_lite0`, such as momentum=0.9.
    """
    return dict(name='efficientnet_lite0', **keywords)


def lite0_weights() -> str:
    """Returns the path of the ImageNet weights of EfficientNet-Lite0."""
    return data('imagenet_weights/efficientnet_lite0.safetensors')


def strategies() -> Config:
    """Returns three strategies: training from scratch, training a head on a frozen backbone, and
    fine-tuning, where the backbone has a tenth of the head's rate."""
    return dict(
        scratch=dict(init=dict(path='')),
        frozen=dict(partition=dict(name='freeze', until='backbone')),
        finetune=dict(statistics='stored', groups=dict(backbone=dict(scale=0.1))),
    )


def characters(dataset: str) -> Config:
    """Returns the config of labelled pictures that episodes are drawn from.

    Args:
        dataset: 'glyphs' for rendered letters, which need no download; 'omniglot'; or the path of
            a folder of your own pictures.
    """
    if dataset == 'glyphs':
        return dict(name='glyphs', size=28, classes=600, per_class=20)
    if dataset == 'omniglot':
        return dict(name='omniglot', path=data('omniglot/omniglot_28x28.npz'), split='random')
    return dict(name='folder', path=dataset, size=84)


def episodes(dataset: str, **plan: int | Config | None) -> Config:
    """Returns the config of episodes.

    Omniglot has the papers' split. Three in ten of the letters' classes are for the test and one in
    ten for validation; three in ten of a folder's classes are for the test. Characters come in four
    rotations.

    Args:
        dataset: as in `characters`.
        **plan: keywords of `tljax.data.episodes`, such as ways=5, shots=1, queries=15.
    """
    if dataset == 'glyphs':
        shares = dict(validation=0.1, test=0.3)
    elif dataset == 'omniglot':
        shares = None
    else:
        shares = dict(test=0.3)
    return dict(
        name='episodes',
        rotations=dataset in EPISODES,
        of=characters(dataset),
        by_class=shares,
        **plan,
    )


def episodic_arg(arg: str | None) -> ConfigDict:
    """Returns the options of a few-shot config: its data, and the ways and shots of its test.

    Args:
        arg: comma-separated options after the colon of `--config`; None for the defaults.

    Raises:
        ValueError: if the data are neither in EPISODES nor an existing folder.

    >>> episodic_arg('shots=5').to_dict()
    {'data': 'glyphs', 'shots': 5, 'smoke': False, 'ways': 5}
    """
    options = parse_arg(arg, data=EPISODES[0], ways=5, shots=1, smoke=False)
    if options.data not in EPISODES and not Path(options.data).expanduser().exists():
        raise ValueError(
            f'config argument data={options.data} is not one of {", ".join(EPISODES)}, and no '
            'folder that is there'
        )
    return options


def episodic(options: ConfigDict, method: Config, **plan: int | Config | None) -> ConfigDict:
    """Returns a locked config of a few-shot method on Conv4-64.

    Args:
        options: options that `episodic_arg` returned; they give the data, and the ways and shots
            of the test.
        method: name and keywords of the method.
        **plan: keywords of `tljax.data.episodes`. `pictures=True` trains on labelled pictures in
            place of episodes. `test` is what differs in the test, by default the options' ways and
            shots with 15 queries (5 for a folder).
    """
    is_folder = options.data not in EPISODES
    plan.setdefault(
        'test', dict(ways=options.ways, shots=options.shots, queries=5 if is_folder else 15)
    )
    if is_folder and 'ways' in plan:  # a folder may have few classes, with few pictures in each
        plan.update(ways=options.ways, queries=5)
    config = get_config()
    with config.unlocked():
        config.commands = ('train',)
        config.method = method
        config.net = dict(name='conv4', width=64, size=84 if is_folder else 28)
        config.data = episodes(
            options.data, **{key: value for key, value in plan.items() if value is not None}
        )
        config.save_every = 500
        config.eval_batch = 4
    return config


def smallest() -> Config:
    """Returns the config of the network of smoke tests, for pictures of 8 pixels."""
    return dict(name='conv4', width=4, blocks=1, size=8)


def smoke_episodes(config: ConfigDict, pictures: bool = False) -> None:
    """Makes a few-shot config as small as a test of it can be.

    Args:
        config: unlocked config that `episodic` returned; it is changed.
        pictures: whether training uses labelled pictures in place of episodes.
    """
    plan = dict(ways=3, shots=1, queries=2)
    letters = dict(name='glyphs', size=8, classes=12, per_class=4)
    config.data = dict(
        name='episodes',
        of=letters,
        by_class=dict(test=0.3),
        count=6,
        test=plan,
        pictures=pictures,
        **plan,
    )
    config.net = smallest()
    for key in {'steps', 'test_steps'} & set(config.method):
        config.method[key] = min(config.method[key], 2)
    if 'tap' in config.method:
        config.method.tap = 'block1'
    config.seeds = (0, 1)
    config.steps = 2
    config.batch = 2
    config.eval_every = 0


def shallow_methods(classifier: str = 'nearest', dim: int = 30) -> ConfigDict:
    """Returns the shallow methods with the papers' settings.

    Maps have the given classifier; methods that weight examples have logistic regression.

    Args:
        classifier: classifier on mapped features.
        dim: dimension of the maps' subspaces.
    """
    maps = dict(
        tca=dict(dim=dim),
        jda=dict(dim=dim),
        bda=dict(dim=dim, balance=0.1),
        subspace_alignment=dict(dim=dim),
        gfk=dict(dim=20),
        coral={},
        optimal_transport={},
    )
    weights = ('kmm', 'kliep', 'ulsif', 'rulsif', 'discriminator', 'nearest_neighbours')
    methods = {}
    for name, keywords in maps.items():
        methods[name] = dict(classifier=classifier, map=dict(name=name, **keywords))
    for name in weights:
        methods[name] = dict(classifier='logistic', weights=dict(name=name))
    return ConfigDict(methods, sort_keys=False)


def smoke_shallow(config: ConfigDict) -> None:
    """Makes a config of `experiments.shallow` as small as a test of it can be.

    Args:
        config: unlocked config that `shallow` returned; it is changed.
    """
    config.domains = dict(
        printed=dict(name='glyphs', part='digits', size=8, per_class=10),
        handwritten=dict(name='digits', size=8),
    )
    config.splits = dict(source=('train',), target=('validation',))
    config.net = dict(name='')
    config.scale = 'standard'
    config.tasks = ()
    config.methods = dict(
        tca=dict(classifier='nearest', map=dict(name='tca', dim=5)),
        discriminator=dict(classifier='logistic', weights=dict(name='discriminator')),
    )


def smoke_many_tasks(config: ConfigDict) -> None:
    """Makes a config of `experiments.tasks` as small as a test of it can be.

    Args:
        config: unlocked config that `many_tasks` returned; it is changed.
    """
    config.sets = {f'line{number}': dict(name='lines', number=number) for number in range(8)}
    config.share = min(config.share, 0.5)
    config.choices = 2
    config.seeds = (0, 1, 2)
