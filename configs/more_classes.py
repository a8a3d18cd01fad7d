"""Two questions about one-shot learning, on options of ten characters.

    # rendered letters, no download
    python -m experiments.train --config=configs/more_classes.py
    # handwritten characters
    python -m experiments.train --config=configs/more_classes.py:data=omniglot

A network learns ten classes to 99 %. How accurate is it, with one example per class, on 10, 20 and
50 further classes? And while its accuracy rises on the first ten, does it rise on the next ten? The
curves over training in `report.html` answer both questions. 'test' is the accuracy on test pictures
of the ten classes. 'next 10' is the accuracy of nearest centroids from one example of each of ten
further classes (SimpleShot). Adam at a constant 1e-3; five seeds.

Expected (RESULTS.md): the ten classes at 98 %; 10, 20 and 50 further letters at 53, 49 and 36 %,
which stop rising when the ten reach 95 %.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'data=glyphs' (also omniglot),
            'first=10', 'smoke'; None for the defaults.
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
    """Makes the config as small as a test of it can be."""
    letters = dict(name='glyphs', size=8, classes=12, per_class=8)
    config.data = dict(name='more_classes', of=letters, first=4, further=(3, 5), count=4)
    config.net = base.smallest()
    config.seeds = (0, 1)
    config.steps = 4
    config.batch = 4
    config.eval_every = 2
