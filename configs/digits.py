"""Does pre-training on printed characters help to recognise handwritten digits, from how few labels
and with which strategy?

    python -m experiments.compare --config=configs/digits.py
    python -m experiments.compare --config=configs/digits.py:source=untrained
    python -m experiments.compare --config=configs/digits.py:source=shuffled

The first phase trains a Conv4 on the letters of many scripts, without digits. The second phase
trains on the digits, once for every strategy and number of labels. Two controls replace the source,
each with one source network per seed: `untrained` has random weights, `shuffled` has learnt random
labels.

Hyper-parameters are ours. They were chosen on the validation split, never on test labels. Of 150,
300 and 450 steps, we took the smallest number whose doubling changes no mean validation accuracy by
half a point, for scratch and for fine-tuning, at 1, 5, 20 and all labels. Rates, the weights of
L2-SP and the network were tuned by hand on the same split.

Expected (RESULTS.md): fine-tuning is better than scratch with every number of labels (+9.7 points
at 1 per class, +6.3 at 5, +1.2 with all 90), frozen features up to 10 labels per class. With
`untrained` nothing is gained. 4 to 5 minutes on 2 cores.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'source=glyphs' (also
            untrained, shuffled), 'smoke'; None for the defaults.
    """
    options = base.parse_arg(arg, source=('glyphs', 'untrained', 'shuffled'), smoke=False)
    config = base.get_config()
    with config.unlocked():
        config.commands = ('compare', 'train')

        # Data
        config.data = dict(name='digits', size=8)

        # Network
        config.net = dict(
            name='conv4',
            width=(32, 64, 128),
            size=8,
            norm='layer',
        )
        config.init.phase = 'pretrain'

        # Training
        config.seeds = tuple(range(8))
        config.steps = 450
        config.batch = 16
        config.optim.lr = 2e-3

        # Phases
        config.phases.pretrain = dict(
            data=dict(
                name='glyphs',
                size=8,
                classes=600,
                per_class=40,
            ),
            seeds=(100,),
            steps=2000,
            batch=128,
            save_every=500,
            optim=dict(
                lr=4e-3,
                warmup=200,
                clip=1.0,
            ),
            init=dict(phase=''),
        )
        config.phases.transfer = dict()

        # Study
        config.study.budgets = (1, 2, 5, 10, 20, None)  # labels per class; None: all
        strategies = config.study.strategies
        strategies.scratch = dict(init=dict(phase='', path=''))
        strategies.frozen = dict(partition=dict(name='freeze', until='backbone'))
        strategies.finetune = dict()  # the config as it is
        strategies.layerwise = dict(partition=dict(name='layerwise', rate=0.5))
        strategies.l2_sp = dict(
            penalty=dict(
                name='l2_sp',
                alpha=0.01,
                beta=0.01,
            )
        )
        _control(config, options.source)
        if options.smoke:
            _smoke(config)
    return config


def _control(config: ConfigDict, source: str) -> None:
    """Replaces the source by a control: an untrained network, or one that learnt random labels."""
    pretrain = config.phases.pretrain
    if source != 'glyphs':
        pretrain.seeds = tuple(range(100, 108))
    if source == 'untrained':
        pretrain.update(dict(steps=0, optim=dict(warmup=0)))
    if source == 'shuffled':
        pretrain.shuffled = True
        pretrain.optim.lr = 1e-3  # at 4e-3 all units die under random labels


def _smoke(config: ConfigDict) -> None:
    """Makes the config as small as a test of it can be."""
    pretrain = config.phases.pretrain
    pretrain.update(dict(data=dict(classes=20, per_class=5), seeds=(100,), optim=dict(warmup=0)))
    pretrain.steps = min(pretrain.steps, 4)
    config.net.width = (4,)
    config.seeds = (0, 1)
    config.steps = 4
    config.study.budgets = (1, None)
