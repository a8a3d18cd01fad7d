"""The two questions of one-shot learning, options of ten characters.

    # rendered letters, nothing to download
    python -m experiments.train --config=configs/more_classes.py
    python -m experiments.train --config=configs/more_classes.py:data=omniglot  # handwritten ones

A network learns ten classes to 99 %. How good is it, with one example each, on 10, 20 and 50
further classes? And while it improves on the first ten, does it improve on the next? The curves
over training in `report.html` answer both: 'test' is held-out pictures of the ten, 'next 10'
nearest centroids from one example each of ten others (SimpleShot). Adam at 1e-3, constant; five
seeds.

Expected (RESULTS.md): the ten at 98 %, and 10, 20 and 50 further letters at 53, 49 and 36 %, which
stop rising when the ten reach 95 %.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(arg: str | None = None) -> ConfigDict:
    """A locked config, by its argument.

    Args:
        arg: what stands behind the colon of `--config`, with commas: 'data=glyphs' (also omniglot),
            'first=10', 'smoke'; None for nothing.
    """
    options = base.parse_arg(arg, data=base.EPISODES, first=10, smoke=False)
    config = base.get_config()
    with config.unlocked():
        config.commands = ('train',)

        # Data
        config.data = dict(
            name='more_classes',
            of=base.characters(options.data),
            first=options.first,
            further=(10, 20, 50),
            count=40,
        )

        # Network
        config.net = dict(
            name='conv4',
            width=64,
            size=28,
        )

        # Method
        config.method = dict(name='simpleshot', transform='L2N')

        # Training
        config.seeds = tuple(range(5))
        config.optim.schedule = 'constant'
        config.batch = 32
        config.steps = 400
        config.log_every = 10
        config.eval_every = 20
        config.eval_batch = 50
        if options.smoke:
            _smoke(config)
    return config


def _smoke(config: ConfigDict) -> None:
    of = dict(name='glyphs', size=8, classes=12, per_class=8)
    config.data = dict(name='more_classes', of=of, first=4, further=(3, 5), count=4)
    config.net = base.smallest()
    config.seeds = (0, 1)
    config.steps = 4
    config.batch = 4
    config.eval_every = 2
