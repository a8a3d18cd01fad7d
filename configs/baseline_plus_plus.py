"""Baseline++ (Chen et al. 2019, https://arxiv.org/abs/1904.04232): cosine classifiers, on rendered
letters or on Omniglot.

    # glyphs, nothing to download
    python -m experiments.train --config=configs/baseline_plus_plus.py
    python -m experiments.train --config=configs/baseline_plus_plus.py:data=omniglot,ways=20,shots=5

A cosine classifier of the training characters, every one in four rotations, on batches of 128; 100
steps for a new one in the test, as the authors do. Adam at 1e-3, by cosine to zero: ours. The
paper's Omniglot is used to cross to other characters (EMNIST), not by itself.

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
