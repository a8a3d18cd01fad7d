"""Baseline++ (Chen et al. 2019, https://arxiv.org/abs/1904.04232): cosine classifiers, on rendered
letters or on Omniglot.

    # rendered letters, no download
    python -m experiments.train --config=configs/baseline_plus_plus.py
    python -m experiments.train --config=configs/baseline_plus_plus.py:data=omniglot,ways=20,shots=5

Training: a cosine classifier of the training characters on batches of 128 pictures; the four
rotations of a character are four classes. Test: a new classifier takes 100 steps, as in the
authors' code. Adam at 1e-3 with a cosine schedule to zero is our choice. The paper uses Omniglot
only as the source of a transfer to other characters (EMNIST).

Expected: no run has been trained to its end yet.
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
    config = base.episodic(
        options,
        dict(
            name='baseline_plus_plus',
            scale=10.0,
            steps=100,
        ),
        pictures=True,
    )
    with config.unlocked():
        # Training
        config.batch = 128
        config.steps = 10_000
        if options.smoke:
            base.smoke_episodes(config, pictures=True)
    return config
