"""How many parameters must move? Fine-tuning all of them, against LoRA, adapters and biases.

    python -m experiments.compare --config=configs/efficient.py
    python -m experiments.costs   --config=configs/efficient.py
    # also art_painting, cartoon, photo; a network with 20 times as many parameters
    python -m experiments.compare --config=configs/efficient.py:domain=cartoon,net=lite0

The source is MobileNet (alpha 0.25) trained on ImageNet, or EfficientNet-Lite0. The target is one
domain of PACS with five labels per class. Everything but `finetune` keeps the backbone's parameters
and BatchNorm statistics, and moves a few of its parameters, or a few that are added. `costs` counts
them, and the bytes that the optimiser keeps and that devices exchange.

LoRA and adapters stand at the 1x1 convolutions, which hold most parameters.

Expected (results/efficient.md), MobileNet: all but side-tuning are within 4 points of `finetune`,
with 2.1 to 4.5 % of the parameters; side-tuning is 5 to 20 points behind. 5 to 15 minutes for a
domain on one core. EfficientNet-Lite0 was not run.
"""

from ml_collections import ConfigDict

from configs import base
from tljax.protocols import Config

POINTWISE = {'mobilenet': 'conv_pw_[0-9]+', 'lite0': '.*conv_(pw|pwl|head)'}  # layers


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'domain=sketch' (also photo,
            art_painting, cartoon), 'net=lite0' (default mobilenet), 'smoke'; None for the defaults.
    """
    options = base.parse_arg(
        arg,
        domain=('sketch', 'photo', 'art_painting', 'cartoon'),
        net=('mobilenet', 'lite0'),
        smoke=False,
    )
    config = base.get_config()
    with config.unlocked():
        config.commands = ('compare', 'train')

        # Data
        config.data = base.pacs(options.domain)

        # Network
        config.net = base.mobilenet(momentum=0.9)
        config.init.path = base.mobilenet_weights()
        if options.net == 'lite0':
            config.net = base.lite0(momentum=0.9)
            config.init.path = base.lite0_weights()
        config.init.rules = (('backbone/(?!adapters/|side/).*', None),)  # the donor has neither

        # Method
        config.statistics = 'stored'

        # Training
        config.seeds = tuple(range(1000, 1004))
        config.steps = 150
        config.batch = 16
        config.optim.lr = 1e-3

        # Study
        config.study.baseline = 'finetune'
        config.study.budgets = (5,)
        layers, side = POINTWISE[options.net], dict(name='mobilenet', alpha=1 / 16)
        if options.smoke:
            _smoke(config)
            layers, side = 'conv2', base.smallest()
        config.study.strategies.update(_strategies(config.net.to_dict(), layers, side))
    return config


def _strategies(net: Config, layers: str, side: Config) -> Config:
    """Returns full fine-tuning, a head alone, and strategies that move few parameters.

    Args:
        net: the network.
        layers: regex of the layers that LoRA and adapters change.
        side: the small network of side-tuning.
    """
    frozen = dict(name='freeze', until='backbone')
    added = dict(
        name='by_path',
        rules=(
            ('backbone/(adapters|side)/.*', 'added'),
            ('backbone/.*', 'frozen'),
        ),
    )
    lora = dict(
        name='with_lora',
        method=dict(name='finetune'),
        rules=(f'backbone/{layers}/kernel',),
    )
    return dict(
        finetune=dict(groups=dict(backbone=dict(scale=0.1))),
        head=dict(partition=frozen),
        lora_1=dict(method=dict(lora, rank=1), partition=frozen),
        lora_2=dict(method=dict(lora, rank=2), partition=frozen),
        lora_3=dict(method=dict(lora, rank=3), partition=frozen),
        adapters=dict(
            net=dict(name='with_adapters', of=net, width=2, layers=layers),
            partition=added,
        ),
        side_tuning=dict(
            net=dict(name='side_tuning', of=net, side=side),
            partition=added,
        ),
        bitfit=dict(partition=dict(name='bitfit')),
        bitfit_scales=dict(partition=dict(name='bitfit', scales=True)),
    )


def _smoke(config: ConfigDict) -> None:
    """Makes the config as small as a test of it can be."""
    config.data = dict(name='glyphs', size=8, classes=4, per_class=10)
    config.net = dict(base.smallest(), blocks=2)
    config.init.path = ''
    config.seeds = (0, 1)
    config.steps = 2
    config.study.budgets = (1,)
