r"""Fine-tunes an ImageNet network on your own folder of pictures: the recipe to begin with.

    python -m experiments.train --config=configs/finetune.py --config.data.path=PICTURES \
        --workdir=runs/mine
    python -m experiments.predict --workdir=runs/mine new_pictures/

PICTURES holds one folder per class, or the folders train/, validation/ and test/ with one folder
per class each. The ImageNet weights of `--config.net` are fetched once. --config.init.path=FILE.h5
takes a Keras file instead, and --config.init.path=RUN the folder of a finished run. Every keyword
of `tljax.data.folder` and of the network is a setting: --config.data.validation=.2,
--config.net.name=resnet50.

    python -m experiments.compare --config=configs/finetune.py --config.data.path=PICTURES

with the same flags compares the recipe with training from scratch, to show whether the weights
help. It uses three seeds, so that gains have intervals (--config.seeds="(0,1)" takes two), and
takes about six times as long as one training.

--config.epochs=10 replaces steps by passes over the pictures. --config.keep=best
--config.eval_every=50 keeps the model with the best validation score, and --config.patience=5 stops
early.

    python -m experiments.train --config=configs/finetune.py:gradual --config.data.path=PICTURES

unfreezes the network step by step (gradual unfreezing, Howard and Ruder 2018): the blocks near the
head first, in the phases `top`, `upper` and `middle`, and all layers in the phase `all`. In each of
them, rates rise and fall in a slanted triangle. A network other than MobileNet has other groups of
layers, which an error lists: --config.phases.top.partition.until=stage4_block2.

    python -m experiments.sweep --config=configs/finetune.py --config.data.path=PICTURES

trains the twelve members of `get_sweep`: rates, and how much smaller they are in shallow layers.

The first phase trains a new head on frozen features. The features are extracted once, so it takes
seconds, and the gradients of a random head never change the backbone. The second phase trains all
layers on augmented pictures, deeper layers at a higher rate than shallow ones. BatchNorm uses its
ImageNet statistics, which is safer for small batches and small data sets. Sources: the order of the
two phases, Kumar et al. 2022 (https://arxiv.org/abs/2202.10054); layer-wise rates, Howard and Ruder
2018 (https://arxiv.org/abs/1801.06146); the crops, Szegedy et al. 2015
(https://arxiv.org/abs/1409.4842).

Expected on the paintings of PACS (112 pixels, 1,433 training pictures, MobileNet alpha 0.25;
command in RESULTS.md): a test accuracy of 78 % (95 % interval 73 to 81), in two minutes on 2 cores.
"""

from ml_collections import ConfigDict

from configs import base
from tljax.protocols import Config


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'gradual' for gradual
            unfreezing, 'smoke'; None for the defaults.
    """
    options = base.parse_arg(arg, gradual=False, smoke=False)
    config = base.get_config()
    with config.unlocked():
        config.commands = ('train', 'compare')

        # Data
        config.data = dict(
            name='folder',
            path='pictures',
            domain='',
            size=224,
            resize=256,
        )

        # Network
        config.net = base.mobilenet()
        config.init.path = 'imagenet'

        # Method
        config.statistics = 'stored'

        # Training
        config.batch = 32
        config.save_every = 200
        config.seeds = (0,)

        # Phases
        config.phases.head = dict(
            steps=500,
            partition=dict(name='freeze', until='backbone'),
            optim=dict(lr=1e-2, weight_decay=1e-4),
        )
        config.phases.all = dict(
            steps=1000,
            init=dict(
                path='',
                phase='head',
                rules=(('.*', None),),
            ),
            partition=dict(name='layerwise', rate=0.8),
            optim=dict(
                lr=3e-4,
                warmup=100,
                weight_decay=1e-4,
                clip=1.0,
            ),
            augment=('resized_crop', 'flip', 'colour'),
        )
        if options.gradual:
            _unfreeze_gradually(config, smoke=options.smoke)

        # Study
        config.study.budgets = (None,)
        config.study.strategies.scratch = dict(
            init=dict(
                path='',
                phase='',
                rules=(('backbone/.*', None),),
            ),
            partition=dict(name='full'),
            statistics='follow',
            method=dict(name='finetune'),  # whatever the recipe's method, it has no source here
        )
        config.study.strategies.recipe = dict()
        if options.smoke:
            _smoke(config)
    return config


def get_sweep(arg: str | None = None) -> list[Config]:
    """Returns the members of `experiments.sweep`: rates of the last phase.

    Args:
        arg: as `get_config` takes it.
    """
    rates, ratios = (1e-4, 3e-4, 1e-3, 3e-3), (0.65, 0.8, 1.0)
    if 'smoke' in (arg or '').split(','):
        rates, ratios = (1e-3, 1e-2), (0.8,)
    return [
        {'phases.all.optim.lr': rate, 'phases.all.partition.rate': ratio}
        for rate in rates
        for ratio in ratios
    ]


def _unfreeze_gradually(config: ConfigDict, smoke: bool) -> None:
    """Divides the last phase into four, which train more and more layers."""
    last, before = config.phases['all'].to_dict(), 'head'
    del config.phases['all']  # the order of the phases is that of their definition
    frozen = dict(top='block12', upper='block9', middle='block5', all=None)
    if smoke:
        frozen = dict(top='block1', all=None)
    for name, until in frozen.items():
        config.phases[name] = last | dict(
            steps=250,
            init=last['init'] | dict(phase=before),
            partition=last['partition'] | dict(until=until),
            optim=last['optim'] | dict(schedule='slanted_triangular', warmup=0),
        )
        before = name


def _smoke(config: ConfigDict) -> None:
    """Makes the config as small as a test of it can be."""
    config.data = dict(name='glyphs', size=16, classes=4, per_class=10)
    config.net = dict(base.smallest(), size=16)
    config.init.path = ''
    config.batch = 8
    for phase in config.phases.values():
        phase.update(dict(steps=2, optim=dict(warmup=0)))
    config.seeds = (0, 1)
    config.study.budgets = (1,)
