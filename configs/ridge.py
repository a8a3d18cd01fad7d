"""R2-D2 (Bertinetto et al. 2019, https://arxiv.org/abs/1805.08136): ridge regression within the
episode, on rendered letters or on Omniglot.

    python -m experiments.train --config=configs/ridge.py  # rendered letters, no download
    python -m experiments.train --config=configs/ridge.py:data=omniglot,ways=20,shots=5

Training uses 20 ways, as many shots as the test, and 5 queries; the four rotations of a character
are four classes. Adam at 1e-3 with a cosine schedule to zero is our choice.

Expected: no run has been trained to its end yet. Published, Omniglot, with the authors' wider
network: 98.9 / 99.7 / 96.7 / 98.9 %.
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
    config = base.episodic(options, dict(name='ridge'), ways=20, shots=options.shots, queries=5)
    with config.unlocked():
        # Training
        config.batch = 1
        config.steps = 10_000
        if options.smoke:
            base.smoke_episodes(config)
    return config
