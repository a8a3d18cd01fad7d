"""Which source should one transfer from? Scores every source by its features of the target, before
training on the target.

    python -m experiments.rank --config=configs/rank.py  # no download
    # also trains every source on the target, to check the scores
    python -m experiments.rank --config=configs/rank.py --verify
    # 16 sources, 8 targets: MNIST to PACS
    python -m experiments.rank --config=configs/rank.py:pool --verify

The target is scikit-learn's handwritten digits. Sources are Conv4s, which the command trains first:
on printed letters, on printed digits, on letters with shuffled labels, and one left untrained. To
add a source of your own, add an entry to `study.sources`: dict(run='runs/mine') is a finished run,
dict(net=dict(name='resnet50'), weights='imagenet') a network with published weights,
dict(features='mine.npz') a file of features from any other program.

Scores use the labelled examples that training would use: 20 per class, another subset for each
seed. `pool` reads its files from `$TLJAX_DATA`. Keys of `study`: `probe` is the source whose
network embeds the tasks (Task2Vec), `controls` are sources that should not help, `most` is the
largest number of examples read from a split. `top1` of a source is its ImageNet accuracy, printed
beside the scores.

Steps, batch and rate are those of configs/pacs.py; a head on frozen features has ten times the
rate.

Expected (RESULTS.md): five scores order the default's four sources as training does, letters first.
Over the pool LogME's mean weighted tau is 0.83 with frozen features and 0.79 with fine-tuning.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'pool', 'smoke'; None for
            the defaults.
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
    """Adds sources of printed letters and digits, and the controls."""
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
    """Adds the targets and sources of the pool."""
    study.most = 1500
    study.targets.update(
        mnist=base.mnist(),
        usps=base.usps(),
        mnist_m=base.mnist_m(),
        **{domain: base.pacs(domain) for domain in base.PACS},
    )
    training = dict(
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
        study.sources[name] = dict(training, data=dict(grey, of=study.targets[name]))
    study.sources.omniglot = dict(
        training,
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
    """Makes the config as small as a test of it can be."""
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
