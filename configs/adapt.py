"""Deep domain adaptation: labels in the source, none in the target.

    # printed to handwritten digits, no download
    python -m experiments.compare --config=configs/adapt.py
    # also usps-mnist and mnist-mnist_m
    python -m experiments.compare --config=configs/adapt.py:data=mnist-usps
    # PACS: any two of its four domains (photo, art_painting, cartoon, sketch)
    python -m experiments.compare --config=configs/adapt.py:source=photo,target=sketch
    python -m experiments.compare --config=configs/adapt.py:data=photo-sketch,method=dann+cdan
    # trains the whole network, on pictures of 64 pixels
    python -m experiments.compare --config=configs/adapt.py:data=photo-sketch,finetune
    # two folders of your own
    python -m experiments.compare --config=configs/adapt.py:source=PHOTOS,target=DRAWINGS
    # one method, without a study
    python -m experiments.train --config=configs/adapt.py:train=cdan,data=usps-mnist

`data=A-B` is short for `source=A,target=B`. A folder of your own holds one folder per class, or is
a ZIP of those. Classes of source and target are matched by name. A target without folders inside
has no labels. If the folders of a target are no classes, add the option `unlabelled`. A target
without labels is judged by label-free scores only, and `python -m experiments.predict --workdir=RUN
TARGET` predicts its classes. A target may lack classes of the source. If it has classes that the
source lacks, --config.data.of.shared=True keeps the classes that are in both. ImageNet weights are
fetched once; --config.data.weights=FILE.h5 takes a file instead. With `finetune` these settings are
--config.data.shared=True and --config.init.path=FILE.h5.

The study compares every method of tljax/methods/adaptation, or those that `method` joins by +, with
`source_only`, a network that is trained on the source alone. Network, steps and batches are the
same for all. ADDA and SHOT start from the trained source network and train for as many steps again.
MCD takes six steps for every step of the others, as its paper counts. On PACS the methods train one
hidden layer on fixed features of MobileNet (alpha 0.25, 112 pixels, ImageNet weights). On pictures
of your own they do the same at 224 pixels (`finetune`: 112). Data are read from `$TLJAX_DATA`.

Hyper-parameters: loss weights are the defaults of the papers, or of other implementations. The
steps and rates of LENGTHS_AND_RATES, the dropout, the layer that the critic sees and `by_domain`
were chosen on mnist-usps and mnist-mnist_m by accuracy on the target's training pictures, with a
seed that no study uses. This uses the target's labels, as is usual in this field. DANN's rate on
mnist-mnist_m and ADDA's on the printed digits were chosen by the source's validation split.

Expected: RESULTS.md lists the accuracies, the settings that were tried, and the pairs whose test
was seen while settings were chosen.
"""

import itertools
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from configs import base
from tljax.data.archives import members
from tljax.protocols import Config

DIGITS = ('glyphs-digits', 'mnist-usps', 'usps-mnist', 'mnist-mnist_m')
PACS = tuple(f'{source}-{target}' for source, target in itertools.permutations(base.PACS, 2))
DOMAINS = tuple(dict.fromkeys(name for pair in (*DIGITS, *PACS) for name in pair.split('-')))
FOLDERS = 'folders'  # in place of a pair: source and target are paths
PICTURES = (*PACS, FOLDERS)
LENGTHS_AND_RATES = {  # pair -> (steps, rate)
    'mnist-usps': (6000, 4e-3),
    'usps-mnist': (3000, 1e-3),
    'mnist-mnist_m': (10_000, 4e-3),
}
# initial weights: all parameters of the network that the phase 'source' has trained
SOURCE = dict(path='', phase='source', rules=(('.*', None),))


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'source=A,target=B', 'data=A-B',
            'method=NAME+NAME', 'train=NAME', 'finetune', 'unlabelled', 'smoke'; None for the
            defaults.
    """
    options = base.parse_arg(
        arg,
        data=('', *DIGITS, *PACS),
        source='',
        target='',
        method='all',
        train='',
        finetune=False,
        unlabelled=False,
        smoke=False,
    )
    pair = _pair(options)
    names = _names(options)
    config = base.get_config()
    with config.unlocked():
        config.commands = ('compare', 'train')

        # Data and network
        _data(config, pair, options)

        # Training
        _budget(config, pair, options.finetune)

        # Phases
        strategies = {name: _strategy(config, pair, name) for name in names}
        if not options.train or 'init' in strategies[options.train]:
            config.phases.source = _one_domain(config)
        config.phases.adapt = strategies[options.train] if options.train else {}

        # Study
        config.study.baseline = 'source_only'
        config.study.budgets = (None,)
        if not options.train:
            for name, strategy in strategies.items():
                config.study.strategies[name] = strategy
        if options.smoke:
            _smoke(config, pair)
    return config


def _smoke(config: ConfigDict, pair: str) -> None:
    """Makes the config as small as a test of it can be."""
    config.seeds = (0, 1)
    config.steps = 2
    config.batch = 8
    for key in {'width', 'widths'} & set(config.net):
        config.net[key] = (4,)
    if pair == DIGITS[0]:
        config.data.source.per_class = 10


def _pair(options: ConfigDict) -> str:
    """Returns the pair of domains, 'source-target', or FOLDERS for two folders."""
    from tljax.core import nearest_name

    domains = base.pair(options)
    for name, domain in (('source', options.source), ('target', options.target)):
        if domain and domain not in DOMAINS and not Path(domain).expanduser().exists():
            raise ValueError(
                f'config argument {name}={domain} is no domain of this config '
                f'({nearest_name(domain, DOMAINS)}) and no folder that is there'
            )
    if domains and not options.data and not {options.source, options.target} & {*DOMAINS}:
        return FOLDERS
    if domains and options.data not in ('', domains):
        raise ValueError(
            f'config arguments data={options.data} and source={options.source},'
            f'target={options.target} differ: give one of them'
        )
    pair = domains or options.data or DIGITS[0]
    if pair not in (*DIGITS, *PACS):
        raise ValueError(
            f'config arguments source={options.source},target={options.target} are no pair of '
            f'this config: {nearest_name(pair, (*DIGITS, *PACS))}'
        )
    return pair


def _names(options: ConfigDict) -> list[str]:
    """Returns the strategies: the method of `train`, or 'source_only' and a study's methods."""
    from tljax.core import nearest_name
    from tljax.keywords import method_names

    if options.train:
        names = [options.train]
    elif options.method != 'all':
        names = options.method.split('+')
    elif options.smoke:
        names = ['dann', 'adda', 'shot']
    else:
        names = method_names('adaptation')
    for name in names:
        if name not in method_names():
            option = 'train' if options.train else 'method'
            raise ValueError(
                f'config argument {option}={name} is unknown: {nearest_name(name, method_names())}'
            )
    return names if options.train else ['source_only', *names]


def _budget(config: ConfigDict, pair: str, finetune: bool) -> None:
    """Sets seeds, batch, steps and rates."""
    config.seeds = tuple(range(5))
    config.batch = 32
    config.log_every = 300
    config.steps, config.optim.lr = LENGTHS_AND_RATES.get(pair, (1000, 1e-3))
    if pair in PICTURES:
        config.batch = 64
        if finetune:
            config.seeds = tuple(range(3))
            config.init.path = 'imagenet' if pair == FOLDERS else base.mobilenet_weights()
            config.groups.backbone = dict(scale=0.1)


def _strategy(config: ConfigDict, pair: str, name: str) -> Config:
    """Returns the settings of a method that differ from the config."""
    from tljax.keywords import method_takes

    steps = config.get_ref('steps')
    if name == 'source_only':
        return dict(steps=0, init=SOURCE) | _one_domain(config)
    method: dict[str, Any] = dict(name=name)
    if method_takes(name, 'ramp'):
        method['ramp'] = steps
    strategy: dict[str, Any] = dict(method=method)
    if name == 'cdan':
        method['width'] = 500
    if name == 'adda':
        rules = (('source/(.*)', r'backbone/\1'), ('(backbone|head)/.*', None))
        # on printed digits a rate of 2e-4 destroyed the accuracy on the source
        rate = 2e-5 if pair == DIGITS[0] else 2e-4
        strategy.update(optim=dict(lr=rate), init={**SOURCE, 'rules': rules})
    if name == 'shot':
        target_only = dict(alone=True)
        strategy.update(
            data=dict(of=target_only) if 'of' in config.data else target_only,
            pseudo=dict(name='centroids'),
            init=SOURCE,
        )
    if name == 'mcd':
        strategy.update(
            steps=6 * steps,
            groups=dict(  # of six steps A B C C C C, those in which each player is updated
                backbone=dict(period=6, phase=(0, 2, 3, 4, 5)),
                head=dict(period=6, phase=(0, 1)),
                second=dict(period=6, phase=(0, 1)),
            ),
        )
        if (
            pair in LENGTHS_AND_RATES
        ):  # as in the paper: a convolutional generator, heads of dense layers
            by_domain = config.net.name == 'by_domain'
            strategy['net'] = dict(of=dict(dense=())) if by_domain else dict(dense=())
            method['widths'] = config.net.get('of', config.net).dense
    if name == 'dann' and pair == 'mnist-mnist_m':
        method['layer'] = 'block2'  # the critic sees feature maps: figure 4 of the paper
        strategy['optim'] = dict(lr=2e-3)  # at 4e-3 one seed lost its accuracy on the source
    if name in ('adabn', 'adda', 'shot'):  # batches have one domain
        strategy.update(_one_domain(config))
    return strategy


def _one_domain(config: ConfigDict) -> Config:
    """Returns the settings of a phase whose batches have one domain."""
    return dict(net=dict(domains=1)) if config.net.name == 'by_domain' else {}


def _data(config: ConfigDict, pair: str, options: ConfigDict) -> None:
    """Sets the data and the network."""
    if pair == FOLDERS:
        unlabelled = options.unlabelled or _has_no_folders(options.target)
        source = _folder(options.source, options.finetune)
        target = _folder(options.target, options.finetune, unlabelled)
    elif pair in PACS:
        size = 64 if options.finetune else 112
        source, target = [base.pacs(domain, size) for domain in pair.split('-')]
    else:
        sets, config.net = _glyphs() if pair == 'glyphs-digits' else _digits(pair)
        source, target = [sets[domain] for domain in pair.split('-')]
    config.data = dict(name='domains', source=source, target=target)
    if pair not in PICTURES:
        return
    if options.finetune:
        config.net = base.mobilenet(momentum=0.9)
        return
    weights = 'imagenet' if pair == FOLDERS else base.mobilenet_weights()
    config.data = dict(name='extracted', of=config.data, net=base.mobilenet(), weights=weights)
    config.net = dict(name='mlp', widths=(256,), norm='batch')


def _folder(path: str, finetune: bool, unlabelled: bool = False) -> Config:
    """Returns the config of a folder of the user's pictures."""
    shape = dict(size=112, resize=128) if finetune else dict(size=224, resize=256)
    return dict(name='unlabelled' if unlabelled else 'folder', path=path, **shape)


def _has_no_folders(path: str | Path) -> bool:
    """Returns whether a folder or an archive has no folders inside, which would name classes."""
    path = Path(path).expanduser()
    listing = members(path) if path.exists() else None
    if listing is None:
        return False
    files, _ = listing
    return not any('/' in name for name in files)


def _glyphs() -> tuple[Config, Config]:
    """Returns {name: set} of printed and handwritten digits, and the network."""
    printed = dict(name='glyphs', part='digits', size=16, resolution=8, per_class=200)
    network = dict(name='conv4', width=(32, 64, 128), blocks=3, size=16)
    return dict(glyphs=printed, digits=dict(name='digits')), network


def _digits(pair: str) -> tuple[Config, Config]:
    """Returns {name: set} of MNIST, USPS and MNIST-M, and the network."""
    colour = pair.endswith('mnist_m')
    layers = dict(widths=(32, 48), dense=(100, 100)) if colour else dict(dense=(500,))
    network = dict(name='lenet', norm='batch', dropout=0.5, **layers)
    sets = dict(
        mnist=base.mnist(channels=3 if colour else 1),
        usps=base.usps(size=28),
        mnist_m=base.mnist_m(),
    )
    if pair == 'usps-mnist':
        return sets, network
    return sets, dict(name='by_domain', of=network)
