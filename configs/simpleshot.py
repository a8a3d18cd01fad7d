"""SimpleShot (Wang et al. 2019, https://arxiv.org/abs/1911.04623): nearest centroids, on rendered
letters or on Omniglot.

    python -m experiments.train --config=configs/simpleshot.py  # glyphs, nothing to download
    python -m experiments.train --config=configs/simpleshot.py:data=omniglot,ways=20,shots=5

A classifier of the training characters, every one in four rotations, on batches of 128; centred and
normalised features in the test. Adam at 1e-3, by cosine to zero: ours. The paper has no Omniglot.

Expected: not yet run to its end.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(arg: str | None = None) -> ConfigDict:
    """A locked config, by its argument.

    Args:
        arg: what stands behind the colon of `--config`, with commas: 'data=omniglot', 'ways=20',
            'shots=5', 'smoke'; None for nothing.
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
