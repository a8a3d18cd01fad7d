"""Deep domain adaptation: labels in the source, none in the target.

    # printed to handwritten digits, no download
    python -m experiments.compare --config=configs/adapt.py
    # usps-mnist, mnist-mnist_m
    python -m experiments.compare --config=configs/adapt.py:data=mnist-usps
    # PACS: any two of its domains
    python -m experiments.compare --config=configs/adapt.py:source=photo,target=sketch
    python -m experiments.compare --config=configs/adapt.py:data=photo-sketch,method=dann+cdan
    # the whole network, pictures of 64 pixels
    python -m experiments.compare --config=configs/adapt.py:data=photo-sketch,finetune
    # two folders of your own
    python -m experiments.compare --config=configs/adapt.py:source=PHOTOS,target=DRAWINGS
    # one method, without a study
    python -m experiments.train --config=configs/adapt.py:train=cdan,data=usps-mnist

`data=A-B` is short for `source=A,target=B`. A folder of your own holds one folder per class, or is
a ZIP of those. Classes are matched by name. A target without folders inside has no labels; the
argument `unlabelled` says the same of a target whose folders are no classes. Such a target is
judged by label-free scores alone, and `python -m experiments.predict --workdir=RUN TARGET` predicts
its classes. A target may lack classes of the source. If it has classes of its own,
--config.data.of.shared=True keeps the classes that are in both. Weights are fetched once;
--config.data.weights=FILE.h5 takes a file instead (with `finetune`: --config.init.path=FILE.h5 and
--config.data.shared=True).

The study compares every method of tljax/methods/adaptation, or those that `method` joins by +, with
`source_only`, a network that is trained on the source alone. Network, steps and batches are the
same. ADDA and SHOT begin from the trained source network and train for as many steps again. MCD
takes six steps for every step of the others, as its paper counts. PACS: one layer on fixed features
of MobileNet (alpha 0.25, 112 pixels, ImageNet weights). Your own pictures: the same at 224 pixels
(`finetune`: 112). Data are looked for under `$TLJAX_DATA`.

Hyper-parameters: loss weights are the defaults of the papers or of peers. The steps and rates of
BUDGETS, the dropout, the layer that the critic sees and `by_domain` were chosen on mnist-usps and
mnist-mnist_m by accuracy on the target's training pictures, with a seed that no study has. This
uses the target's labels, as is usual in this field. DANN's rate on mnist-mnist_m and ADDA's on the
printed digits were chosen by the source's validation split. RESULTS.md lists what was tried, on
which pairs the test was seen meanwhile, and the expected accuracies.
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
OWN = 'own'  # two folders of the user's
PICTURES = (*PACS, OWN)
BUDGETS = {  # steps, rate
    'mnist-usps': (6000, 4e-3),
    'usps-mnist': (3000, 1e-3),
    'mnist-mnist_m': (10_000, 4e-3),
}
SOURCE = dict(path='', phase='source', rules=(('.*', None),))  # starts from the source's network


def get_config(arg: str | None = None) -> ConfigDict:
    """A locked config, by its argument.

    Args:
        arg: what stands behind the colon of `--config`, with commas: the data, the methods and the
            network: 'source=A,target=B', 'data=A-B', 'method=NAME+NAME', 'train=NAME', 'finetune',
            'unlabelled', 'smoke'; None for nothing.
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
    config.seeds = (0, 1)
    config.steps = 2
    config.batch = 8
    for key in {'width', 'widths'} & set(config.net):
        config.net[key] = (4,)
    if pair == DIGITS[0]:
        config.data.source.per_class = 10


def _pair(arg: ConfigDict) -> str:
    """The pair of domains, 'source-target', or OWN for two folders."""
    from tljax.core import nearest_name

    named_pair = base.pair(arg)
    for name, domain in (('source', arg.source), ('target', arg.target)):
        if domain and domain not in DOMAINS and not Path(domain).expanduser().exists():
            raise ValueError(
                f'config argument {name}={domain} is no domain of this config '
                f'({nearest_name(domain, DOMAINS)}) and no folder that is there'
            )
    if named_pair and not arg.data and not {arg.source, arg.target} & {*DOMAINS}:
        return OWN
    if named_pair and arg.data not in ('', named_pair):
        raise ValueError(
            f'config arguments data={arg.data} and source={arg.source},target={arg.target} differ: '
            'give one of them'
        )
    pair = named_pair or arg.data or DIGITS[0]
    if pair not in (*DIGITS, *PACS):
        raise ValueError(
            f'config arguments source={arg.source},target={arg.target} are no pair of this config: '
            f'{nearest_name(pair, (*DIGITS, *PACS))}'
        )
    return pair


def _names(arg: ConfigDict) -> list[str]:
    """Names of the strategies: the one of `train`, or those of a study, which begins with
    source_only."""
    from tljax.core import nearest_name
    from tljax.keywords import method_names

    if arg.train:
        names = [arg.train]
    elif arg.method != 'all':
        names = arg.method.split('+')
    elif arg.smoke:
        names = ['dann', 'adda', 'shot']
    else:
        names = method_names('adaptation')
    for name in names:
        if name not in method_names():
            raise ValueError(
                f'config argument {"train" if arg.train else "method"}={name} is unknown: '
                f'{nearest_name(name, method_names())}'
            )
    return names if arg.train else ['source_only', *names]


def _budget(config: ConfigDict, pair: str, finetune: bool) -> None:
    config.seeds = tuple(range(5))
    config.batch = 32
    config.log_every = 300
    config.steps, config.optim.lr = BUDGETS.get(pair, (1000, 1e-3))
    if pair in PICTURES:
        config.batch = 64
        if finetune:
            config.seeds = tuple(range(3))
            config.init.path = 'imagenet' if pair == OWN else base.mobilenet_weights()
            config.groups.backbone = dict(scale=0.1)


def _strategy(config: ConfigDict, pair: str, name: str) -> Config:
    """The settings by which a method's last phase differs from the config."""
    from tljax.keywords import method_takes

    steps = config.get_ref('steps')
    if name == 'source_only':
        return dict(steps=0, init=SOURCE) | _one_domain(config)
    ramp = dict(ramp=steps) if method_takes(name, 'ramp') else {}
    strategy: dict[str, Any] = dict(method=dict(name=name, **ramp))
    if name == 'cdan':
        strategy['method']['width'] = 500
    if name == 'adda':
        rules = (('source/(.*)', r'backbone/\1'), ('(backbone|head)/.*', None))
        rate = 2e-5 if pair == DIGITS[0] else 2e-4  # at 2e-4 it unlearnt the source there
        strategy.update(optim=dict(lr=rate), init={**SOURCE, 'rules': rules})
    if name == 'shot':
        target_alone = dict(alone=True)
        strategy.update(
            data=dict(of=target_alone) if 'of' in config.data else target_alone,
            pseudo=dict(name='centroids'),
            init=SOURCE,
        )
    if name == 'mcd':
        strategy.update(
            steps=6 * steps,
            groups=dict(  # the players take turns within six steps
                backbone=dict(period=6, phase=(0, 2, 3, 4, 5)),
                head=dict(period=6, phase=(0, 1)),
                second=dict(period=6, phase=(0, 1)),
            ),
        )
        if pair in BUDGETS:  # as in its paper: a convolutional generator, heads of dense layers
            by_domain = config.net.name == 'by_domain'
            strategy['net'] = dict(of=dict(dense=())) if by_domain else dict(dense=())
            strategy['method']['widths'] = config.net.get('of', config.net).dense
    if name == 'dann' and pair == 'mnist-mnist_m':
        strategy['method']['layer'] = 'block2'  # the critic sees convolutions: the paper's figure 4
        strategy['optim'] = dict(lr=2e-3)  # at 4e-3 one seed unlearnt the source
    if name in ('adabn', 'adda', 'shot'):  # their batches have one domain
        strategy.update(_one_domain(config))
    return strategy


def _one_domain(config: ConfigDict) -> Config:
    """The settings of a phase whose batches have one domain."""
    return dict(net=dict(domains=1)) if config.net.name == 'by_domain' else {}


def _data(config: ConfigDict, pair: str, arg: ConfigDict) -> None:
    """Sets the data and the network."""
    if pair == OWN:
        unlabelled = arg.unlabelled or _flat(arg.target)
        sets = (_folder(arg.source, arg), _folder(arg.target, arg, unlabelled))
    elif pair in PACS:
        sets = [base.pacs(name, 64 if arg.finetune else 112) for name in pair.split('-')]
    else:
        by_name, config.net = _glyphs() if pair == 'glyphs-digits' else _digits(pair)
        sets = [by_name[name] for name in pair.split('-')]
    config.data = dict(name='domains', source=sets[0], target=sets[1])
    if pair not in PICTURES:
        return
    if arg.finetune:
        config.net = base.mobilenet(momentum=0.9)
        return
    weights = 'imagenet' if pair == OWN else base.mobilenet_weights()
    config.data = dict(name='extracted', of=config.data, net=base.mobilenet(), weights=weights)
    config.net = dict(name='mlp', widths=(256,), norm='batch')


def _folder(path: str, arg: ConfigDict, unlabelled: bool = False) -> Config:
    """A folder of one's own."""
    shape = dict(size=112, resize=128) if arg.finetune else dict(size=224, resize=256)
    return dict(name='unlabelled' if unlabelled else 'folder', path=path, **shape)


def _flat(path: str | Path) -> bool:
    """Whether a folder or an archive has no folders inside, which would name its classes."""
    path = Path(path).expanduser()
    files = members(path) if path.exists() else None
    return files is not None and not any('/' in name for name in files[0])


def _glyphs() -> tuple[Config, Config]:
    """Printed and handwritten digits by name, and the network."""
    printed = dict(name='glyphs', part='digits', size=16, resolution=8, per_class=200)
    network = dict(name='conv4', width=(32, 64, 128), blocks=3, size=16)
    return dict(glyphs=printed, digits=dict(name='digits')), network


def _digits(pair: str) -> tuple[Config, Config]:
    """MNIST, USPS and MNIST-M by name, and the network."""
    colour = pair.endswith('mnist_m')
    layers = dict(widths=(32, 48), dense=(100, 100)) if colour else dict(dense=(500,))
    network = dict(name='lenet', norm='batch', dropout=0.5, **layers)
    sets = dict(
        mnist=base.mnist(channels=3 if colour else 1),
        usps=base.usps(size=28),
        mnist_m=base.mnist_m(),
    )
    if pair == 'usps-mnist':
        return sets, dict(network, form='plain')
    return sets, dict(name='by_domain', of=dict(network, form='plain'))
