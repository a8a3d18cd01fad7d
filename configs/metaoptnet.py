"""MetaOptNet (Lee et al. 2019, https://arxiv.org/abs/1904.03758): support vector machines, on
rendered letters or on Omniglot.

    python -m experiments.train --config=configs/metaoptnet.py  # rendered letters, no download
    python -m experiments.train --config=configs/metaoptnet.py:data=omniglot,ways=20,shots=5

Training uses 5 ways, 5 shots and 5 queries, 8 episodes a step; the four rotations of a character
are four classes. The paper trains on more shots than its tests have. C = 0.1 as in the paper. Adam
at 1e-3 with a cosine schedule to zero is our choice. The paper has no results on Omniglot.

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
        options, dict(name='metaoptnet', penalty=0.1), ways=5, shots=5, queries=5
    )
    with config.unlocked():
        # Training
        config.batch = 8
        config.steps = 5_000
        if options.smoke:
            base.smoke_episodes(config)
    return config
