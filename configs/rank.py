"""Which source should one transfer from? Every source's features of the target, scored before
anything is trained.

    python -m experiments.rank --config=configs/rank.py  # nothing to download
    # trains every source on the target; who was right?
    python -m experiments.rank --config=configs/rank.py --verify
    # 16 sources, 8 targets: MNIST to PACS
    python -m experiments.rank --config=configs/rank.py:pool --verify

The target is scikit-learn's handwritten digits; sources are Conv4s that learnt printed letters,
printed digits, shuffled letters and nothing, and are trained first. A source of your own is a line
in `study.sources`: dict(run='runs/mine') is a finished run, dict(net=dict(name='resnet50'),
weights='imagenet') a network with published weights, dict(features='mine.npz') what any other
program extracted.

Scores look at the labelled examples that training would see (20 per class, a subset for each seed);
training takes the same. `pool` wants its files under `$TLJAX_DATA`. `probe` is the source whose
network embeds the tasks (Task2Vec), `controls` are sources that should not help, `most` the
examples of a split that are looked at, `top1` of a source is its accuracy on ImageNet, told beside
the scores.

Steps, batch and rate are those of configs/pacs.py, a head on frozen features has ten times the
rate. Expected (RESULTS.md): five scores order the default's four sources as training does, letters
first; over the pool LogME's mean weighted tau is 0.83 frozen, 0.79 fine-tuned.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(arg: str | None = None) -> ConfigDict:
    """A locked config, by its argument.

    Args:
        arg: what stands behind the colon of `--config`, with commas: 'pool', 'smoke'; None for
            nothing.
    """
    options = base.parse_arg(arg, pool=False, smoke=False)
    config = base.get_config()
    with config.unlocked():
        config.commands = ('rank', 'advise')

        # Network
        config.net = dict(
            name='conv4',
            width=(32, 64, 64, 128),
            size=28,
            norm='layer',
        )

        # Training
        config.seeds = tuple(range(3))
        config.steps = 150
        config.batch = 16

        # Study
        config.study.update(
            dict(
                baseline='scratch',
                budgets=(20,),
                most=1000,
                targets={},
                sources={},
                controls=('shuffled', 'untrained'),
                probe='letters',
            )
        )
        config.study.strategies.update(base.strategies())
        config.study.strategies.frozen.optim = dict(lr=1e-2)
        config.study.targets.digits = dict(name='digits', size=28)
        _letters(config.study, size=28)
        if options.pool:
            _pool(config.study)
        if options.smoke:
            _smoke(config)
    return config


def _letters(study: ConfigDict, size: int) -> None:
    letters = dict(
        data=dict(
            name='glyphs',
            size=size,
            classes=600,
            per_class=40,
        ),
        steps=2000,
        batch=64,
    )
    study.sources.letters = dict(
        letters,
        optim=dict(
            lr=2e-3,
            warmup=200,
            clip=1.0,
        ),
    )
    study.sources.shuffled = dict(
        letters,
        optim=dict(
            lr=5e-4,
            warmup=200,
            clip=1.0,
        ),
        shuffled=True,
    )
    study.sources.untrained = dict(letters, steps=0)
    study.sources.printed_digits = dict(
        data=dict(
            name='glyphs',
            part='digits',
            size=size,
            per_class=400,
        ),
        steps=1000,
        batch=64,
        optim=dict(
            lr=2e-3,
            warmup=100,
            clip=1.0,
        ),
    )


def _pool(study: ConfigDict) -> None:
    study.most = 1500
    study.targets.update(
        mnist=base.mnist(),
        usps=base.usps(),
        mnist_m=base.mnist_m(),
        **{domain: base.pacs(domain) for domain in base.PACS},
    )
    trained = dict(
        steps=1000,
        batch=64,
        optim=dict(
            lr=2e-3,
            warmup=100,
            clip=1.0,
        ),
    )
    grey = dict(
        name='resampled',
        size=28,
        channels=1,
    )
    for name in ('mnist', 'usps', 'mnist_m', *base.PACS):
        study.sources[name] = dict(trained, data=dict(grey, of=study.targets[name]))
    study.sources.omniglot = dict(
        trained,
        steps=2000,
        data=dict(
            name='more_classes', of=base.characters('omniglot'), first=964, further=(), held=0.1
        ),
    )
    mobilenet, weights = base.mobilenet(momentum=0.9), base.mobilenet_weights(top=True)
    study.sources.imagenet = dict(
        net=mobilenet,
        weights=weights,
        size=64,
    )
    for tap in ('block3', 'block5', 'block11'):
        study.sources[f'imagenet_{tap}'] = dict(
            net=dict(
                name='truncated',
                of=mobilenet,
                tap=tap,
            ),
            weights=weights,
            size=64,
        )


def _smoke(config: ConfigDict) -> None:
    printed = dict(name='glyphs', part='digits', size=8, per_class=10)
    config.seeds = (0, 1)
    config.steps = 2
    config.net = base.smallest()
    config.study.budgets = (2,)
    config.study.most = 60
    config.study.sources = dict(
        printed=dict(data=printed, steps=2), untrained=dict(data=printed, steps=0)
    )
    config.study.targets = dict(digits=dict(name='digits', size=8))
    config.study.probe = 'printed'
