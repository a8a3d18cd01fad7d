"""SimpleShot (Wang et al. 2019, https://arxiv.org/abs/1911.04623): nearest centroids, on rendered
letters or on Omniglot.

    python -m experiments.train --config=configs/simpleshot.py  # rendered letters, no download
    python -m experiments.train --config=configs/simpleshot.py:data=omniglot,ways=20,shots=5

Training: a classifier of the training characters on batches of 128 pictures; the four rotations of
a character are four classes. Test: nearest centroids of centred and normalised features. Adam at
1e-3 with a cosine schedule to zero is our choice. The paper has no results on Omniglot.

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
    config = base.episodic(options, dict(name='simpleshot', transform='CL2N'), pictures=True)
    with config.unlocked():
        # Training
        config.batch = 128
        config.steps = 10_000
        if options.smoke:
            base.smoke_episodes(config, pictures=True)
    return config
