"""Siamese networks for one-shot recognition (Koch et al. 2015), on rendered letters or on Omniglot.

    python -m experiments.train --config=configs/siamese.py  # rendered letters, no download
    python -m experiments.train --config=configs/siamese.py:data=omniglot,ways=20,shots=5

Training compares every query with one example of each of 20 classes. Pairs of the same class and of
different classes have equal total weight. The network is Conv4 on 28x28 pictures; the paper uses
its own network on 105x105 pictures. Adam at 1e-3 with a cosine schedule to zero is our choice.

Expected: no run has been trained to its end yet. Published for the 20 official runs of Omniglot:
92.0 % accuracy.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'data=omniglot', 'ways=20',
            'shots=5', 'smoke'; None for the defaults.
    """
    options = base.episodic_arg(arg)
    config = base.episodic(options, dict(name='siamese'), ways=20, shots=options.shots, queries=5)
    with config.unlocked():
        # Training
        config.batch = 1
        config.steps = 10_000
        if options.smoke:
            base.smoke_episodes(config)
    return config
