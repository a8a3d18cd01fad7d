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

`data=A-B` is short for `source=A,target=B`. A folder of your own has one folder per class, or is a
ZIP of them; classes are matched by name. A target without folders inside has no labels, and
`unlabelled` says so of a target whose folders mean nothing: it is judged by label-free scores
alone, and `python -m experiments.predict --workdir=RUN TARGET` tells its classes. A target may lack
classes of the source; where it has others, --config.data.of.shared=True keeps those that are in
both. Weights are fetched once, or --config.data.weights=FILE.h5 names them (with `finetune`:
--config.init.path=FILE.h5, --config.data.shared=True).

Every method of tljax/methods/adaptation, or those that `method` joins by +, stand beside a network
trained on the source alone, with the same network, steps and batches. `source_only` is that
network; ADDA and SHOT, which begin from it, train on for as many steps again; MCD's players take
six turns where others take a step, as its paper counts. PACS: one layer on fixed features of
MobileNet (alpha 0.25, 112 pixels, ImageNet weights); your own pictures: the same at 224 pixels
(`finetune`: 112). Data are looked for under `$TLJAX_DATA`.

Hyper-parameters: weights are the papers' or peers' defaults. What BUDGETS says, the dropout, the
layer that the critic sees and `by_domain` were chosen for mnist-usps and mnist-mnist_m by accuracy
on the target's training pictures, with a seed that no study has: with their labels, as is usual in
this field; DANN's rate on mnist-mnist_m and ADDA's on the printed digits by the source's
validation. RESULTS.md tells what was tried, and on which pairs the test was seen while that was
done. Expected: there.
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
OWN = 'own'  # two folders
PICTURES = (*PACS, OWN)
BUDGETS = {  # steps, rate
    'mnist-usps': (6000, 4e-3),
    'usps-mnist': (3000, 1e-3),
    'mnist-mnist_m': (10_000, 4e-3),
}
SOURCE = dict(path='', phase='source', rules=(('.*', None),))  # from the network of the source


def get_config(arg: str | None = None) -> ConfigDict:
    """A locked config, by its argument.

    Args:
        arg: what stands behind the colon of `--config`, with commas: the data, the methods and the
            network: 'source=A,target=B', 'data=A-B', 'method=NAME+NAME', 'train=NAME', 'finetune',
            'unlabelled', 'smoke'; None for nothing.
    """
    asked = base.parse_arg(
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
    pair = _pair(asked)
    names = _names(asked)
    config = base.get_config()
    with config.unlocked():
        config.commands = ('compare', 'train')
        _data(config, pair, asked)
        _budget(config, pair, asked.finetune)
        strategies = {name: _strategy(config, pair, name) for name in names}
        if not asked.train or 'init' in strategies[asked.train]:
            config.phases.source = _one_domain(config)
        config.phases.adapt = strategies[asked.train] if asked.train else {}
        config.study.baseline = 'source_only'
        config.study.budgets = (None,)
        if not asked.train:
            for name, strategy in strategies.items():
                config.study.strategies[name] = strategy
        if asked.smoke:
            config.seeds = (0, 1)
            config.steps = 2
            config.batch = 8
            config.net.update({key: (4,) for key in ('width', 'widths') if key in config.net})
            if pair == DIGITS[0]:
                config.data.source.per_class = 10
    return config


def _pair(arg: ConfigDict) -> str:
    """The task, 'source-target', or OWN."""
    from tljax.core import nearest_name

    asked = base.pair(arg)
    for name, given in (('source', arg.source), ('target', arg.target)):
        if given and given not in DOMAINS and not Path(given).expanduser().exists():
            raise ValueError(
                f'config argument {name}={given} is no domain of this config '
                f'({nearest_name(given, DOMAINS)}) and no folder that is there'
            )
    if asked and not arg.data and not {arg.source, arg.target} & {*DOMAINS}:
        return OWN
    if asked and arg.data not in ('', asked):
        raise ValueError(
            f'config arguments data={arg.data} and source={arg.source},target={arg.target} differ: '
            'give one of them'
        )
    pair = asked or arg.data or DIGITS[0]
    if pair not in (*DIGITS, *PACS):
        raise ValueError(
            f'config arguments source={arg.source},target={arg.target} are no pair of this config: '
            f'{nearest_name(pair, (*DIGITS, *PACS))}'
        )
    return pair


def _names(arg: ConfigDict) -> list[str]:
    """The strategies: one that `train` names, or those of a study, the source alone in front."""
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
    """What a method changes in the last phase."""
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
        alone = dict(alone=True)  # the target
        strategy.update(
            data=dict(of=alone) if 'of' in config.data else alone,
            pseudo=dict(name='centroids'),
            init=SOURCE,
        )
    if name == 'mcd':
        strategy.update(
            steps=6 * steps,
            groups=dict(  # turns of six steps
                backbone=dict(period=6, phase=(0, 2, 3, 4, 5)),
                head=dict(period=6, phase=(0, 1)),
                second=dict(period=6, phase=(0, 1)),
            ),
        )
        if pair in BUDGETS:  # as in its paper, convolutions generate and heads have dense layers
            by_domain = config.net.name == 'by_domain'
            strategy['net'] = dict(of=dict(dense=())) if by_domain else dict(dense=())
            strategy['method']['widths'] = config.net.get('of', config.net).dense
    if name == 'dann' and pair == 'mnist-mnist_m':  # the critic looks at the convolutions, as in
        strategy['method']['layer'] = 'block2'  # the paper's figure 4; at 4e-3 a seed lost
        strategy['optim'] = dict(lr=2e-3)  # the source
    if name in ('adabn', 'adda', 'shot'):  # no batch of theirs has two domains
        strategy.update(_one_domain(config))
    return strategy


def _one_domain(config: ConfigDict) -> Config:
    """What a phase changes whose batches have one domain."""
    return dict(net=dict(domains=1)) if config.net.name == 'by_domain' else {}


def _data(config: ConfigDict, pair: str, arg: ConfigDict) -> None:
    """Sets the data and the network."""
    if pair == OWN:
        bare = arg.unlabelled or _flat(arg.target)
        sets = (_folder(arg.source, arg), _folder(arg.target, arg, bare))
    elif pair in PACS:
        sets = [base.pacs(name, 64 if arg.finetune else 112) for name in pair.split('-')]
    else:
        found, config.net = _glyphs() if pair == 'glyphs-digits' else _digits(pair)
        sets = [found[name] for name in pair.split('-')]
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


def _flat(path: str) -> bool:
    """Whether a folder or an archive has no folders inside, so that nothing names a class."""
    place = Path(path).expanduser()
    inside = members(place) if place.exists() else None
    return inside is not None and not any('/' in name for name in inside[0])


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
