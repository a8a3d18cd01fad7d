"""What configs share: defaults, arguments behind a config's name, and pieces of several of them.

Real data lies under the folder that `$TLJAX_DATA` names, or under `data`.
"""

import os
from pathlib import Path

from ml_collections import ConfigDict, config_dict

from tljax.configuration import DEFAULTS
from tljax.protocols import Config

PACS = ('photo', 'art_painting', 'cartoon', 'sketch')  # domains of Li et al. 2017
EPISODES = 'glyphs', 'omniglot'  # what `episodic` draws from


def get_config() -> ConfigDict:
    """A locked config of one fit; an experiment's config fills in what it is about.

    Whatever is chosen by name is `dict(name='x', **keywords)`; the keywords are the arguments of
    the function x.
    """
    config = ConfigDict(
        dict(
            commands=('train', 'compare'),  # experiments that take this config, the main one first
            **{key: _tuples(value) for key, value in DEFAULTS.items()},
            phases=ConfigDict(sort_keys=False),  # fits in a row: name -> what differs
            study=ConfigDict(
                dict(  # experiments.compare
                    baseline='scratch',
                    budgets=(),  # labels per class; None: all
                    strategies=ConfigDict(sort_keys=False),
                ),  # name -> what differs from the last phase
                sort_keys=False,
            ),
        ),
        sort_keys=False,
    )
    config.per_class = config_dict.placeholder(int)
    return config.lock()


def _tuples(tree: object) -> object:
    """A plain dict with tuples for lists, which the command line can replace."""
    if isinstance(tree, dict):
        return {key: _tuples(value) for key, value in tree.items()}
    return tuple(map(_tuples, tree)) if isinstance(tree, list) else tree


def shallow() -> ConfigDict:
    """A locked config of `experiments.shallow`."""
    return ConfigDict(
        dict(
            commands=('shallow',),
            domains=ConfigDict(sort_keys=False),  # name -> tljax.data
            splits=dict(  # which splits stand for a domain
                source=('train', 'validation', 'test'), target=('train', 'validation', 'test')
            ),
            net=dict(name=''),  # tljax.zoo: whose features; none: the inputs themselves
            init=dict(path='imagenet'),  # weights of that network, or a Keras file
            scale='none',  # of a domain's features: none, standard (columns), unit (rows)
            tasks=(),  # 'source-target'; none: all ordered pairs
            methods=ConfigDict(sort_keys=False),  # name -> classifier, and map or weights
        ),
        sort_keys=False,
    ).lock()


def parse_arg(arg: str | None, **defaults: str | float | tuple[str, ...]) -> ConfigDict:
    """Reads 'source=untrained,smoke' into a ConfigDict with the defaults' names and types.

    Args:
        arg: what stands behind the colon; a bare name means true.
        **defaults: a string, a number or a truth value, or a tuple of the allowed strings, whose
            first one is the default.

    Raises:
        ValueError: for a name or a value that does not fit.
    """
    values = {
        name: value[0] if isinstance(value, tuple) else value for name, value in defaults.items()
    }
    for part in filter(None, (arg or '').split(',')):
        name, given, text = part.partition('=')
        if name not in defaults:
            raise ValueError(
                f'config argument {name!r} is unknown: this config takes {", ".join(defaults)}'
            )
        allowed, kind = defaults[name], type(values[name])
        if kind is bool and (not given or text in ('true', 'false')):
            values[name] = text != 'false'
        elif isinstance(allowed, tuple) and text not in allowed:
            raise ValueError(
                f'config argument {name}={text} is not one of {", ".join(filter(None, allowed))}'
            )
        else:
            try:
                values[name] = kind(text) if kind is not bool else {}[text]
            except (ValueError, KeyError):
                raise ValueError(f'config argument {name}={text} is no {kind.__name__}') from None
    return ConfigDict(values).lock()


def pair(arg: ConfigDict) -> str:
    """The task of the arguments `source=A,target=B` as 'A-B'; '' where neither is given.

    Args:
        arg: as `parse_arg` gives it, with `source` and `target`.

    Raises:
        ValueError: where one of them is given, or both are the same.
    """
    if bool(arg.source) != bool(arg.target):
        missing = 'target' if arg.source else 'source'
        raise ValueError(f'config argument {missing} is missing: write source=A,target=B')
    if arg.source and arg.source == arg.target:
        raise ValueError(f'config arguments source and target are both {arg.source}: give two')
    return f'{arg.source}-{arg.target}' if arg.source else ''


def data(path: str) -> str:
    """A file of real data.

    Args:
        path: in the folder of the data, 'usps/usps.h5'.
    """
    return str(Path(os.environ.get('TLJAX_DATA', 'data'), path))


def pacs(domain: str, size: int = 112) -> Config:
    """A domain of PACS.

    Args:
        domain: one of PACS.
        size: side of the pictures, in pixels.
    """
    return dict(name='folder', path=data('pacs/pacs_112.zip'), domain=domain, size=size)


def mnist(**keywords: int | str) -> Config:
    """MNIST's handwritten digits.

    Args:
        **keywords: of `tljax.data.mnist`, such as channels=3.
    """
    return dict(name='mnist', path=data('mnist/raw'), **keywords)


def usps(**keywords: int | str) -> Config:
    """USPS's handwritten digits.

    Args:
        **keywords: of `tljax.data.usps`, such as size=28.
    """
    return dict(name='usps', path=data('usps/usps.h5'), **keywords)


def mnist_m() -> Config:
    """MNIST-M: MNIST's training digits on patches of photographs, and the published test set."""
    return dict(
        name='mnist_m',
        path=data('mnist_m/mnist_m_test.zip'),
        mnist=data('mnist/raw'),
        photographs=data('bsds_patches_source'),
    )


def mobilenet(**keywords: float | str) -> Config:
    """MobileNet at alpha 0.25, whose weights `mobilenet_weights` names.

    Args:
        **keywords: of `tljax.zoo.mobilenet`, such as momentum=0.9.
    """
    return dict(name='mobilenet', alpha=0.25, **keywords)


def mobilenet_weights(top: bool = False) -> str:
    """Its file of ImageNet weights.

    Args:
        top: whether it has the layers above the features.
    """
    return data(f'imagenet_weights/mobilenet_2_5_224_tf{"" if top else "_no_top"}.h5')


def strategies() -> Config:
    """From scratch, on frozen features, and fine-tuned with a slow backbone."""
    return dict(
        scratch=dict(init=dict(path='')),
        frozen=dict(partition=dict(name='freeze', until='backbone')),
        finetune=dict(statistics='stored', groups=dict(backbone=dict(scale=0.1))),
    )


def characters(of: str) -> Config:
    """Omniglot's pictures, rendered letters, which need no download, or a folder of one's own.

    Args:
        of: one of EPISODES, or the path of a folder.
    """
    if of not in EPISODES:
        return dict(name='folder', path=of, size=84)
    if of == 'omniglot':
        return dict(name='omniglot', path=data('omniglot/omniglot_28x28.npz'), split='random')
    return dict(name='glyphs', size=28, classes=600, per_class=20)


def episodes(of: str, **plan: int | Config | None) -> Config:
    """Episodes of Omniglot in the papers' split, of rendered letters, both in four rotations, or of
    the classes of a folder, three in ten of them for the test.

    Args:
        of: as `characters` takes it.
        **plan: keywords of `tljax.data.episodes`, such as ways=5, shots=1, queries=15.
    """
    by_class = dict(omniglot=None, glyphs=dict(validation=0.1, test=0.3)).get(of, dict(test=0.3))
    return dict(
        name='episodes', rotations=of in EPISODES, of=characters(of), by_class=by_class, **plan
    )


def episodic_arg(arg: str | None) -> ConfigDict:
    """The argument of a few-shot config: its data, and the ways and shots of its test.

    Args:
        arg: what stands behind the colon of `--config`; None for nothing.

    Raises:
        ValueError: the data are neither of EPISODES nor a folder that is there.
    """
    found = parse_arg(arg, data=EPISODES[0], ways=5, shots=1, smoke=False)
    if found.data not in EPISODES and not Path(found.data).expanduser().exists():
        raise ValueError(
            f'config argument data={found.data} is not one of {", ".join(EPISODES)}, and no folder '
            'that is there'
        )
    return found


def episodic(arg: ConfigDict, method: Config, **plan: int | Config | None) -> ConfigDict:
    """A locked config of a few-shot method: Conv4-64, tested on the argument's ways and shots.

    Args:
        arg: as `episodic_arg` gives it.
        method: its name and keywords.
        **plan: of the episodes, or `pictures=True`; `test` is what differs in the test, by default
            the argument's ways and shots with 15 queries.
    """
    own = arg.data not in EPISODES
    plan.setdefault('test', dict(ways=arg.ways, shots=arg.shots, queries=5 if own else 15))
    if own and 'ways' in plan:
        plan.update(ways=arg.ways, queries=5)  # there may be few classes, and pictures of each
    config = get_config()
    with config.unlocked():
        config.commands = ('train',)
        config.method = method
        config.net = dict(name='conv4', width=64, size=84 if own else 28)
        config.data = episodes(
            arg.data, **{key: value for key, value in plan.items() if value is not None}
        )
        config.save_every = 500
        config.eval_batch = 4
    return config


def smallest() -> Config:
    """The network of smallest configs, for pictures of 8 pixels."""
    return dict(name='conv4', width=4, blocks=1, size=8)


def smoke_episodes(config: ConfigDict, pictures: bool = False) -> None:
    """Makes a few-shot config as small as it may be.

    Args:
        config: as `episodic` gives it, unlocked; it is changed.
        pictures: whether it is trained on pictures, not on episodes.
    """
    plan = dict(ways=3, shots=1, queries=2)
    of = dict(name='glyphs', size=8, classes=12, per_class=4)
    config.data = dict(
        name='episodes',
        of=of,
        by_class=dict(test=0.3),
        count=6,
        test=plan,
        pictures=pictures,
        **plan,
    )
    config.net = smallest()
    for turns in {'steps', 'test_steps'} & set(config.method):
        config.method[turns] = min(config.method[turns], 2)
    if 'tap' in config.method:
        config.method.tap = 'block1'
    config.seeds = (0, 1)
    config.steps = 2
    config.batch = 2
    config.eval_every = 0


def shallow_methods(classifier: str = 'nearest', dim: int = 30) -> ConfigDict:
    """Every map with a classifier, and every weight function with logistic regression, as the
    papers set them.

    Args:
        classifier: of the maps.
        dim: of the maps' subspaces.
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
    return ConfigDict(
        {
            **{
                name: dict(classifier=classifier, map=dict(name=name, **keywords))
                for name, keywords in maps.items()
            },
            **{name: dict(classifier='logistic', weights=dict(name=name)) for name in weights},
        },
        sort_keys=False,
    )


def smoke_shallow(config: ConfigDict) -> None:
    """Makes a config of `experiments.shallow` as small as it may be.

    Args:
        config: as `shallow` gives it, unlocked; it is changed.
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
