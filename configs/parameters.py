"""Which way of fine-tuning keeps most of what ImageNet taught, with how few labels?

    python -m experiments.compare --config=configs/parameters.py:domain=sketch
    # also photo, art_painting, cartoon
    python -m experiments.compare --config=configs/parameters.py:domain=photo
    # the teacher of distillation is EfficientNet-Lite0, fine-tuned on the same labels
    python -m experiments.compare --config=configs/parameters.py:domain=sketch,teacher=lite0
    # a network with 20 times as many parameters, five labels per class
    python -m experiments.compare --config=configs/parameters.py:domain=sketch,net=lite0
    # tries every setting in SETTINGS; write the numbers that it prints into CHOSEN
    python -m experiments.compare --config=configs/parameters.py:choose

The source is MobileNet (alpha 0.25) with its ImageNet classifier, the target one domain of PACS
(Li et al. 2017, https://arxiv.org/abs/1710.03077): seven classes, 112x112 pixels. Every method of
parameter transfer is compared with plain fine-tuning, over the same four draws of labels. The files
are read from `$TLJAX_DATA`; --config.init.path and --config.data.path take other files.

Each method has the four settings of SETTINGS, plain fine-tuning among them. `choose` tries them on
sketch alone, with the labels of seed 0, which no comparison uses, and takes the one with the best
mean score on the validation split over 1, 5 and 20 labels; it never reads the test split. The other
domains use the settings that sketch chose. Without a teacher of its own, distillation learns from
the network that plain fine-tuning has made of the same labels. Two things to know: the 'reverse'
relation of Co-Tuning is calibrated on the labels of the validation split, which no other method
reads, and with one label per class a batch repeats its seven pictures, so that BSS has nothing to
shrink.

Expected (results/parameters.md), 20 labels per class: plain fine-tuning 63.5 % on paintings, 84.8 %
on photographs, 71.7 % on cartoons and 66.3 % on sketches, no method ahead of it, Co-Tuning 34, 10,
15 and 9 points behind. A domain takes a quarter of an hour on one core.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import base
from tljax.protocols import Config


def _rate(scale: float) -> Config:
    """Returns the setting by which the backbone learns at a share of the head's rate."""
    return dict(groups=dict(backbone=dict(scale=scale)))


def _settings(*variants: Config, **shared: str) -> list[Config]:
    """Returns the settings of a method: two variants of it, each at two rates of the backbone."""
    return [
        dict(method=variant, **shared, **_rate(scale)) for variant in variants for scale in (0.1, 1)
    ]


SETTINGS = {  # method -> four settings, each as it differs from the config
    'finetune': [_rate(scale) for scale in (0.03, 0.1, 0.3, 1)],
    'l2_sp': [
        dict(penalty=dict(name='l2_sp', alpha=alpha), **_rate(scale))
        for alpha in (0.01, 0.1)
        for scale in (0.1, 1)
    ],
    'delta': _settings(dict(name='delta', weight=0.064), dict(name='delta', weight=0.64)),
    'bss': _settings(dict(name='bss', weight=1e-3), dict(name='bss', weight=1e-2)),
    'stoch_norm': _settings(
        dict(name='stoch_norm', share=0.5),
        dict(name='stoch_norm', share=0.25),
        statistics='follow',  # all others use the stored statistics
    ),
    'co_tuning': _settings(
        dict(name='co_tuning', approach='direct'),
        dict(name='co_tuning', approach='reverse'),
    ),
    'lwf': _settings(dict(name='lwf', weight=0.3), dict(name='lwf', weight=1.0)),
    'distillation': _settings(
        dict(name='distillation', temperature=2.0),
        dict(name='distillation', temperature=5.0),
        teacher='finetune',
    ),
}
CHOSEN = {  # method -> number of its setting, from 1, which sketch's validation split chose
    'finetune': 1,
    'l2_sp': 4,
    'delta': 1,
    'bss': 1,
    'stoch_norm': 2,
    'co_tuning': 1,
    'lwf': 1,
    'distillation': 3,
}


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'domain=sketch' (also photo,
            art_painting, cartoon), 'teacher=lite0' (default finetune), 'net=lite0' (default
            mobilenet), 'first=1000' (the first of four seeds), 'choose', 'smoke'; None for the
            defaults.
    """
    options = base.parse_arg(
        arg,
        domain=('sketch', 'photo', 'art_painting', 'cartoon'),
        teacher=('finetune', 'lite0'),
        net=('mobilenet', 'lite0'),
        first=1000,
        choose=False,
        smoke=False,
    )
    if options.choose and (options.domain, options.net) != ('sketch', 'mobilenet'):
        raise ValueError('config argument choose: settings are chosen on sketch by mobilenet')
    config = base.get_config()
    with config.unlocked():
        config.commands = ('compare',)

        # Data
        config.data = base.pacs(options.domain)

        # Network
        config.net = base.mobilenet(momentum=0.9)
        config.init.path = base.mobilenet_weights(top=True)
        if options.net == 'lite0':
            config.net = base.lite0(momentum=0.9)
            config.init.path = base.lite0_weights()

        # Training
        config.seeds = (0,) if options.choose else tuple(range(options.first, options.first + 4))
        config.steps = 150
        config.batch = 16
        config.optim.lr = 1e-3
        config.statistics = 'stored'

        # Study
        config.study.baseline = 'finetune'
        config.study.budgets = (5,) if options.net == 'lite0' else (1, 5, 20)
        if options.choose:
            config.study.settings = ConfigDict(SETTINGS, sort_keys=False)
        else:
            _strategies(config, options.teacher)
        if options.smoke:
            _smoke(config)
    return config


def _strategies(config: ConfigDict, teacher: str) -> None:
    """Sets the chosen setting of every method as a strategy."""
    for name, number in CHOSEN.items():
        strategy: dict[str, Any] = dict(SETTINGS[name][number - 1])
        if name == 'distillation' and teacher == 'lite0':
            network = base.lite0()
            config.study.strategies.lite0 = dict(
                net=network, init=dict(path=base.lite0_weights()), **_rate(0.1)
            )
            strategy.update(teacher='lite0', method=dict(strategy['method'], teacher=network))
        config.study.strategies[name] = strategy


def _smoke(config: ConfigDict) -> None:
    """Makes the config as small as a test of it can be: from printed letters to digits."""
    letters = dict(name='glyphs', size=8, classes=4, per_class=10)
    config.data = dict(name='digits', size=8)
    config.net = base.smallest()
    config.init.path = ''
    config.phases.source = dict(data=letters, seeds=(9,), statistics='follow')
    config.phases.target = dict(init=dict(phase='source'))
    config.steps = 2
    config.study.budgets = (1,)
    if 'settings' in config.study:
        config.study.settings = ConfigDict(
            {name: SETTINGS[name][:2] for name in ('finetune', 'distillation')}, sort_keys=False
        )
        return
    config.seeds = (0, 1)
    for name in ('co_tuning', 'lwf'):
        config.study.strategies[name].method.source_classes = 4
