"""Relation networks (Sung et al. 2018, https://arxiv.org/abs/1711.06025), on rendered letters or on
Omniglot.

    python -m experiments.train --config=configs/relation.py  # glyphs, nothing to download
    python -m experiments.train --config=configs/relation.py:data=omniglot,ways=20,shots=5

Trained on the ways and shots of the test with 10 queries, every class in four rotations, four
episodes a step; the embedding is the map of the second block, as in the paper, where two blocks
pool and two do not. Adam at 1e-3, by cosine to zero instead of halving.

Expected: not yet run to its end; published, Omniglot: 99.6 / 99.8 / 97.6 / 99.1 % for 5-way 1- and
5-shot, 20-way 1- and 5-shot.
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
