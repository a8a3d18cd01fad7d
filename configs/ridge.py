"""Ridge regression within the episode (R2-D2, Bertinetto et al. 2019,
https://arxiv.org/abs/1805.08136), letters or Omniglot.

    python -m experiments.train --config=configs/ridge.py  # glyphs, nothing to download
    python -m experiments.train --config=configs/ridge.py:data=omniglot,ways=20,shots=5

Trained on 20 ways with as many shots as in the test and 5 queries, every class in four rotations.
Adam at 1e-3, by cosine to zero: ours.

Expected: not yet run to its end; published, Omniglot: 98.9 / 99.7 / 96.7 / 98.9 % (with their wider
network).
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
    config = base.episodic(options, dict(name='ridge'), ways=20, shots=options.shots, queries=5)
    with config.unlocked():
        # Training
        config.batch = 1
        config.steps = 10_000
        if options.smoke:
            base.smoke_episodes(config)
    return config
