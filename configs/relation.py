"""Relation networks (Sung et al. 2018, https://arxiv.org/abs/1711.06025), on rendered letters or on
Omniglot.

    python -m experiments.train --config=configs/relation.py  # rendered letters, no download
    python -m experiments.train --config=configs/relation.py:data=omniglot,ways=20,shots=5

Training uses the ways and shots of the test and 10 queries, four episodes a step; the four
rotations of a character are four classes. The embedding is the feature map of the second block, as
in the paper, where the first two blocks pool and the last two do not. Adam at 1e-3 follows a cosine
schedule to zero; the paper halves the rate instead.

Expected: no run has been trained to its end yet. Published, Omniglot: 99.6 / 99.8 / 97.6 / 99.1 %
for 5-way 1-shot and 5-shot, 20-way 1-shot and 5-shot.
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
    method = dict(name='relation', tap='block2')
    config = base.episodic(
        options, method, ways=options.ways, shots=options.shots, queries=10, test=None
    )
    with config.unlocked():
        # Network
        config.net.blocks = 2

        # Training
        config.batch = 4
        config.steps = 10_000
        if options.smoke:
            base.smoke_episodes(config)
    return config
