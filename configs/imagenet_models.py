"""Do better ImageNet models transfer better? (Kornblith, Shlens and Le 2019,
https://arxiv.org/abs/1805.08974)

    # 18 networks with downloaded weights: for a cluster
    python -m experiments.rank --config=configs/imagenet_models.py --verify
    # MobileNet at four picture sizes
    python -m experiments.rank --config=configs/imagenet_models.py:sizes --verify
    # MobileNet alpha 0.25 and EfficientNet-Lite0, from the files in $TLJAX_DATA
    python -m experiments.rank --config=configs/imagenet_models.py:files --verify

Every network is trained on every target with fixed features, with fine-tuning, and from scratch.
The study judges the score `imagenet_top1` beside scores that are computed on the target. Its
weighted Kendall tau with the accuracy on the target measures how well ImageNet's order of the
networks predicts the target's order. For the 18 networks `imagenet_top1` is the accuracy that Keras
publishes. In `sizes`, one set of weights is used at smaller and smaller pictures; there it is the
accuracy on 500 ImageNet photographs (`experiments.evaluate --size=96`). Targets are the four
domains of PACS, read from `$TLJAX_DATA`.

Any other network of `experiments.models` is one more entry of `study.sources`.

The rates are those of configs/rank.py. `sizes` and `files` take 100 steps of 16 examples, the 18
networks 5,000 steps of 64 on all labels.

Expected (RESULTS.md): `sizes` is in ImageNet's order on all four targets, tau 1. Published over 16
networks and 12 data sets: r = .99 with fixed features, .96 with fine-tuning.
"""

from ml_collections import ConfigDict

from configs import base
from tljax.protocols import Config

NETWORKS = (
    'xception',
    'vgg16',
    'vgg19',
    'resnet50',
    'resnet101',
    'resnet152',
    'resnet50v2',
    'resnet101v2',
    'resnet152v2',
    'inception_v3',
    'inception_resnet_v2',
    'mobilenet',
    'mobilenet_v2',
    'densenet121',
    'densenet169',
    'densenet201',
    'nasnet_mobile',
    'nasnet_large',
)
# pixels -> top-1 accuracy of MobileNet, alpha .25, on 500 photographs; at 224 pixels it is .552
SIZES = {48: 0.004, 64: 0.056, 96: 0.220, 128: 0.386}


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'sizes', 'files', 'smoke'; None
            for the defaults.
    """
    options = base.parse_arg(arg, sizes=False, files=False, smoke=False)
    config = base.get_config()
    with config.unlocked():
        config.commands = ('rank', 'advise')

        # Network
        config.net = dict(name='conv4')  # the sources bring their own networks

        # Training
        config.seeds = tuple(range(3))
        config.steps = 5000
        config.batch = 64

        # Study
        config.study.update(
            dict(
                baseline='scratch',
                budgets=(None,),
                most=None,
                targets={},
                sources={},
                controls=(),
                probe='',
            )
        )
        config.study.strategies.update(base.strategies())
        config.study.strategies.scratch.optim = dict(warmup=200)
        config.study.strategies.frozen.optim = dict(lr=1e-2)
        for domain in base.PACS:
            config.study.targets[domain] = base.pacs(domain)
        for name in NETWORKS:
            config.study.sources[name] = dict(net=dict(name=name), weights='imagenet')
        if options.sizes or options.files or options.smoke:
            _few_labels(config)
        if options.sizes or options.smoke:
            config.study.sources = _sizes()
        if options.files:
            config.study.sources = _files()
        if options.smoke:
            _smoke(config)
    return config


def _few_labels(config: ConfigDict) -> None:
    """Takes 20 labels per class, and steps for as many."""
    config.steps = 100
    config.batch = 16
    config.study.budgets = (20,)
    config.study.most = 1500
    config.study.strategies.scratch.optim.warmup = 0


def _sizes() -> Config:
    """Returns MobileNet at several picture sizes as sources."""
    return {
        f'pixels{size}': dict(
            net=base.mobilenet(momentum=0.9),
            weights=base.mobilenet_weights(top=True),
            size=size,
            top1=top1,
        )
        for size, top1 in SIZES.items()
    }


def _files() -> Config:
    """Returns two networks whose weights are files as sources. Their top1 is measured as SIZES."""
    return dict(
        mobilenet=dict(
            net=base.mobilenet(momentum=0.9),
            weights=base.mobilenet_weights(top=True),
            size=112,
            top1=0.552,
        ),
        lite0=dict(
            net=base.lite0(momentum=0.9),
            weights=base.lite0_weights(),
            size=112,
            top1=0.850,
        ),
    )


def _smoke(config: ConfigDict) -> None:
    """Makes the config as small as a test of it can be: three small networks without weights."""
    digits = dict(name='glyphs', part='digits', size=8, per_class=10)
    config.seeds = (0, 1)
    config.steps = 1
    config.study.budgets = (2,)
    config.study.most = 60
    config.net = base.smallest()
    config.study.targets = dict(digits=dict(name='digits', size=8))
    config.study.sources = {
        f'steps{steps}': dict(data=digits, steps=steps, top1=steps / 10) for steps in (0, 1, 2)
    }
