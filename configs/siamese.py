"""Siamese networks for one-shot recognition (Koch et al. 2015), on rendered letters or on Omniglot.

    python -m experiments.train --config=configs/siamese.py  # glyphs, nothing to download
    python -m experiments.train --config=configs/siamese.py:data=omniglot,ways=20,shots=5

Every query is compared with one example of 20 classes; same and different pairs count alike. The
network is Conv4 on 28x28 pictures, not the paper's on 105x105. Adam at 1e-3, by cosine to zero:
ours.

Expected: not yet run to its end; published for the 20 official runs of Omniglot: 92.0 % right.
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
    config = base.episodic(options, dict(name='siamese'), ways=20, shots=options.shots, queries=5)
    with config.unlocked():
        # Training
        config.batch = 1
        config.steps = 10_000
        if options.smoke:
            base.smoke_episodes(config)
    return config
