"""What does it cost to withdraw examples from a model, and what do shards cost in accuracy?

    python -m experiments.unlearning --config=configs/unlearning.py
    # slices of each shard, whose stages are kept
    python -m experiments.unlearning --config=configs/unlearning.py:slices=3

Handwritten digits of USPS, read from `$TLJAX_DATA`, and a small Conv4 with layer normalisation. One
model on everything is trained for 1800 steps of 32; the shards share these steps. Steps and rate
were raised once, from 600 and 2e-3, with which the models of eight shards learn little.

Expected (results/unlearning.md): one example costs 1/8 of the steps with eight shards, whose test
accuracy is 93.9 ± 1.2 against 96.4 ± 0.9 of one model. Five minutes on 2 shared cores.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'slices=3' (slices of a shard),
            'first=1100' (the first of three seeds), 'smoke'; None for the defaults.
    """
    options = base.parse_arg(arg, slices=1, first=1100, smoke=False)
    config = base.get_config()
    with config.unlocked():
        config.commands = ('unlearning',)

        # Data
        config.data = base.usps()

        # Network
        config.net = dict(
            name='conv4',
            width=16,
            size=16,
            norm='layer',
        )

        # Training
        config.seeds = tuple(range(options.first, options.first + 3))
        config.steps = 1800
        config.batch = 32
        config.optim.lr = 5e-3
        config.optim.warmup = 20

        # Study
        config.study = dict(
            shards=(1, 2, 4, 8),
            slices=options.slices,
            counts=(1, 10),  # how many ids are withdrawn, drawn at random
        )
        if options.smoke:
            _smoke(config)
    return config


def _smoke(config: ConfigDict) -> None:
    """Makes the config as small as a test of it can be."""
    config.data = dict(name='digits', size=8)
    config.net = base.smallest()
    config.seeds = config.seeds[:2]
    config.steps = 4
    config.optim.warmup = 0
    config.study.shards = (1, 2)
    config.study.counts = (1,)
